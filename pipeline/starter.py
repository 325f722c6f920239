"""A first config for the files that a person has: which reader, which shape, and comments on what to change."""

import glob
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from pipeline.errors import ConfigError

PEEK_BYTES = 1 << 20
READERS = (
    ((".warc", ".arc", ".wet"), "read_warc"),
    ((".jsonl", ".ndjson", ".json"), "read_jsonl"),
    ((".parquet",), "read_parquet"),
    ((".html", ".htm", ".xhtml"), "read_html"),
    ((".txt", ".md"), "read_text"),
    ((".arrow",), "read_arrow"),
)
COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz", ".lz4")
DIALOGUE_FIELDS = {"messages", "conversations", "instruction"}


class Input(NamedTuple):
    """A source of the starter config."""

    name: str
    stage: str
    paths: str
    dialogue: bool
    text: str | None = "text"


def reader_of(path: str) -> str | None:
    """The stage that reads a file, by its name.

    >>> reader_of("a/b.warc.gz"), reader_of("x.jsonl.zst"), reader_of("x.pdf")
    ('read_warc', 'read_jsonl', None)
    """
    name = path.lower()
    for ending in COMPRESSIONS:
        name = name.removesuffix(ending)
    return next((stage for endings, stage in READERS if name.endswith(endings)), None)


def first_record(path: Path) -> dict[str, Any]:
    """The first object of a JSONL or JSON file; empty when there is none to see."""
    raw = path.open("rb")
    with raw:
        stream: Any = raw
        if path.suffix == ".gz":
            stream = gzip.GzipFile(fileobj=raw)
        elif path.suffix == ".zst":
            stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        head = io.BytesIO(stream.read(PEEK_BYTES)).getvalue()
    line = head.lstrip().split(b"\n", 1)[0].strip().lstrip(b"[").rstrip(b",")
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def inputs_of(arguments: Sequence[str]) -> list[Input]:
    """One source for each argument.

    Raises:
        ConfigError: an argument names nothing, or nothing that we read.
    """
    found: list[Input] = []
    for argument in arguments:
        files = _files(argument)
        if not files:
            raise ConfigError(f"init: nothing is at '{argument}'; name a file, a folder or a glob")
        stages = sorted({stage for f in files if (stage := reader_of(f))})
        if not stages:
            raise ConfigError(
                f"init: no reader for '{files[0]}'; it reads WARC, JSONL, Parquet, HTML, text and Arrow files"
            )
        for stage in stages:
            mine = [f for f in files if reader_of(f) == stage]
            paths = (
                argument if not Path(argument).is_dir() else f"{argument.rstrip('/')}/**/*{_ending(mine[0])}"
            )
            record = first_record(Path(mine[0])) if stage == "read_jsonl" else {}
            dialogue = bool(DIALOGUE_FIELDS & set(record))
            found.append(Input(_name(found, stage), stage, paths, dialogue, _text_field(record)))
    return found


def _files(argument: str) -> list[str]:
    path = Path(argument)
    if path.is_dir():
        return sorted(str(f) for f in path.rglob("*") if f.is_file())
    return sorted(glob.glob(argument, recursive=True))  # noqa: PTH207  (patterns come from a person, with **)


def _ending(path: str) -> str:
    return "".join(Path(path).suffixes[-2:]) if path.endswith(COMPRESSIONS) else Path(path).suffix


def _text_field(record: dict[str, Any]) -> str | None:
    if not record or isinstance(record.get("text"), str):
        return "text"
    texts = [(len(v), k) for k, v in record.items() if isinstance(v, str)]
    return max(texts)[1] if texts else "text"


def _name(found: Sequence[Input], stage: str) -> str:
    base = {"read_warc": "crawl", "read_html": "pages_in", "read_jsonl": "rows", "read_parquet": "table"}.get(
        stage, "files"
    )
    count = sum(i.name.startswith(base) for i in found)
    return base if count == 0 else f"{base}{count + 1}"


def starter_config(arguments: Sequence[str]) -> str:
    """A commented config that reads the files and writes token shards.

    Raises:
        ConfigError: see `inputs_of`.
    """
    inputs = inputs_of(arguments)
    if len({i.dialogue for i in inputs}) > 1:
        raise ConfigError("init: dialogues and documents need a config each; call it once for either")
    return _dialogues(inputs) if inputs[0].dialogue else _documents(inputs)


HEAD = """\
# Made by `corpusmill init`. Next:
#   corpusmill check THIS_FILE      are there problems?
#   corpusmill plan THIS_FILE       what runs together, and why
#   corpusmill run THIS_FILE        run it; the same command continues a run that stopped
version: 1
run:
  name: {name}

nodes:
"""


def _sources(inputs: Sequence[Input]) -> str:
    lines = []
    for i in inputs:
        params = [f"paths: {json.dumps(i.paths)}"]
        if i.dialogue:
            params.append("text: null")
        elif i.text != "text":
            params.append(f"text: {i.text}")
        lines.append(f"  {i.name}: {{stage: {i.stage}, params: {{{', '.join(params)}}}}}")
    return "\n".join(lines) + "\n"


def _documents(inputs: Sequence[Input]) -> str:
    pages = [i.name for i in inputs if i.stage in ("read_warc", "read_html")]
    texts = [i.name for i in inputs if i.name not in pages]
    body = HEAD.format(name="documents") + _sources(inputs)
    if pages:
        body += f"""
  # HTML to text; engine: trafilatura (articles), resiliparse (fast, general pages), justext
  pages: {{stage: extract_html, inputs: [{", ".join(pages)}], params: {{engine: trafilatura}}}}
"""
        texts = ["pages", *texts]
    return body + DOCUMENTS.replace("@texts", ", ".join(texts))


DOCUMENTS = """
  # language: keep what you train on; null keeps all and only labels
  lang: {stage: identify_language, inputs: [@texts], params: {keep: null, min_score: null}}

  # quality: one pass over the text, then thresholds; Gopher's stop words are English
  signals: {stage: text_signals, inputs: [lang]}
  quality: {stage: gopher_rules, inputs: [signals], params: {min_stop_words: null}}
  repeats: {stage: gopher_repetition, inputs: [quality]}

  # duplicates: equal texts, then near-equal ones (`corpusmill plan` prints what the bands find)
  exact: {stage: exact_dedup, inputs: [repeats]}
  near: {stage: minhash_dedup, inputs: [exact], params: {threshold: 0.75}}

  # personal data is replaced by placeholders
  scrubbed: {stage: scrub_pii, inputs: [near]}

  # a tokenizer of your own; to use one that you have, drop vocab and the side inputs and set
  # params: {tokenizer: path/to/tokenizer.json} on both tokens and shards
  vocab: {stage: train_tokenizer, inputs: [scrubbed], params: {vocab_size: 8000}}
  tokens: {stage: tokenize, inputs: [scrubbed], side: {tokenizer: vocab}}
  shards: {stage: write_token_shards, inputs: [tokens], side: {tokenizer: vocab}, params: {seq_len: 1024}}

  # everything that was taken out, with reason and evidence
  why:
    stage: write_jsonl
    inputs: [lang.rejected, quality.rejected, repeats.rejected, exact.rejected, near.rejected]
    params: {columns: [id, source, rejected_by, evidence, text]}
"""


def _dialogues(inputs: Sequence[Input]) -> str:
    return (
        HEAD.format(name="dialogues")
        + _sources(inputs)
        + DIALOGUES.replace("@inputs", ", ".join(i.name for i in inputs))
    )


DIALOGUES = """
  # ShareGPT, OpenAI messages and Alpaca records are told apart by their fields
  parsed: {stage: parse_dialogue, inputs: [@inputs]}
  sound: {stage: check_dialogue, inputs: [parsed]}
  exact: {stage: exact_dedup, inputs: [sound]}
  scrubbed: {stage: scrub_pii, inputs: [exact], params: {column: messages}}

  # the template's words are special tokens; the loss is on what the assistant says
  vocab:
    stage: train_tokenizer
    inputs: [scrubbed]
    params: {vocab_size: 4000, special_tokens: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]}
  tokens:
    stage: tokenize_dialogue
    inputs: [scrubbed]
    side: {tokenizer: vocab}
    params: {template: chatml, max_tokens: 2048, eos_token: "<|im_end|>"}
  shards:
    stage: write_token_shards
    inputs: [tokens]
    side: {tokenizer: vocab}
    params: {seq_len: 2048, eos_token: "<|im_end|>"}

  # everything that was taken out, with reason and evidence
  why:
    stage: write_jsonl
    inputs: [parsed.rejected, sound.rejected, exact.rejected, tokens.rejected]
    params: {columns: [id, source, rejected_by, evidence, metadata]}
"""
