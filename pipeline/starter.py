"""A first config for the files that a person has: which reader, which shape, and comments on what to change.

The first record of the first file is looked at, to find the field with the text and to tell dialogues from
documents; nothing else is read.
"""

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import fsspec
import zstandard

from pipeline.errors import ConfigError

PEEK_BYTES = 1 << 20
READERS = (
    ((".warc", ".arc", ".wet"), "read_warc"),
    ((".jsonl", ".ndjson", ".json"), "read_jsonl"),
    ((".parquet",), "read_parquet"),
    ((".html", ".htm", ".xhtml", ".xht"), "read_html"),
    ((".txt", ".md", ".rst", ".text"), "read_text"),
    ((".arrow", ".feather"), "read_arrow"),
)
COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")
NAMES = {"read_warc": "crawl", "read_html": "folder", "read_parquet": "table", "read_arrow": "table"}
FIELDS: Mapping[str, tuple[str, ...]] = {  # params of the readers -> what fields are often called
    "text": ("text", "content", "body", "raw_content", "document", "article"),
    "id": ("id", "doc_id", "document_id", "uuid", "_id"),
    "url": ("url", "uri", "link", "source_url"),
    "date": ("date", "timestamp", "created", "published", "crawl_date"),
}


class Input(NamedTuple):
    """A source of the starter config."""

    name: str
    stage: str
    paths: str
    params: Mapping[str, str | None]
    dialogue: bool


def starter_config(arguments: Sequence[str]) -> str:
    """A commented config that reads the files and writes token shards.

    Args:
        arguments: files, folders or globs, local or fsspec URLs.

    Raises:
        ConfigError: an argument names nothing that we read, or dialogues and documents are mixed.
    """
    inputs = inputs_of(arguments)
    mixed = {i.dialogue: i.paths for i in inputs}
    if len(mixed) > 1:
        raise ConfigError(
            f"init: {mixed[True]} holds dialogues and {mixed[False]} documents; make a config for each"
        )
    return _dialogues(inputs) if inputs[0].dialogue else _documents(inputs)


def inputs_of(arguments: Sequence[str]) -> list[Input]:
    """One source for each argument and kind of file; arguments that are read alike share one.

    Raises:
        ConfigError: an argument names nothing, or nothing that we read.
    """
    found: dict[tuple[Any, ...], list[str]] = {}
    for argument in arguments:
        files = _files(argument)
        if not files:
            raise ConfigError(f"init: nothing is at '{argument}'; name a file, a folder or a glob")
        stages = sorted({stage for file in files if (stage := reader_of(file))})
        if not stages:
            known = ", ".join(endings[0] for endings, _ in READERS)
            raise ConfigError(
                f"init: no stage reads '{files[0]}'; there are readers for {known}, compressed or not"
            )
        for stage in stages:
            first = next(f for f in files if reader_of(f) == stage)
            record = first_record(stage, first)
            params = tuple(sorted(_params(stage, record).items()))
            found.setdefault((stage, params, is_dialogue(record)), []).append(argument)
    inputs: list[Input] = []
    for (stage, params, dialogue), paths in found.items():
        text = json.dumps(paths[0] if len(paths) == 1 else paths, ensure_ascii=False)
        inputs.append(Input(_name(inputs, stage, dialogue), stage, text, dict(params), dialogue))
    return inputs


def _files(argument: str) -> list[str]:
    """Files below a folder, or that a glob matches, as paths that `fsspec.open` takes."""
    fs, path = fsspec.core.url_to_fs(argument)
    if fs.isfile(path):
        found = [path]
    else:
        found = fs.find(path) if fs.isdir(path) else fs.glob(path)
    local = "://" not in argument
    return sorted(str(f) if local else str(fs.unstrip_protocol(f)) for f in found)


def reader_of(path: str) -> str | None:
    """The stage that reads a file, by its name.

    >>> reader_of("a/b.warc.gz"), reader_of("x.jsonl.zst"), reader_of("x.pdf")
    ('read_warc', 'read_jsonl', None)
    """
    name = path.lower()
    for ending in COMPRESSIONS:
        name = name.removesuffix(ending)
    return next((stage for endings, stage in READERS if name.endswith(endings)), None)


# --- looking at the first record --------------------------------------------------------------------


def first_record(stage: str, path: str) -> dict[str, Any]:
    """The first row or object of a file that has fields; empty where there is none to see."""
    readers = {"read_jsonl": _first_object, "read_parquet": _first_parquet, "read_arrow": _first_arrow}
    if stage not in readers:
        return {}
    try:
        return readers[stage](path)
    except (OSError, ValueError, EOFError, zlib.error, zstandard.ZstdError):
        return {}  # `corpusmill run` says what is wrong with a file, and where


def _first_object(path: str) -> dict[str, Any]:
    with fsspec.open(path, "rb", compression=_codec(path)) as file:
        text = file.read(PEEK_BYTES).decode("utf-8-sig", "ignore").lstrip().removeprefix("[").lstrip()
    record, _ = json.JSONDecoder().raw_decode(text)
    return record if isinstance(record, dict) else {}


def _codec(path: str) -> str | None:
    return {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}.get(path[path.rfind(".") :].lower())


def _first_parquet(path: str) -> dict[str, Any]:
    import pyarrow.parquet as pq

    with fsspec.open(path, "rb") as file:
        table = pq.ParquetFile(file)
        empty: dict[str, Any] = dict.fromkeys(table.schema_arrow.names)
        rows = next(table.iter_batches(batch_size=1), None)
        return empty if rows is None or not len(rows) else dict(rows.to_pylist()[0])


def _first_arrow(path: str) -> dict[str, Any]:
    import pyarrow as pa

    with fsspec.open(path, "rb") as file:
        head = file.read(6)
        file.seek(0)
        if head == b"ARROW1":
            reader = pa.ipc.open_file(io.BytesIO(file.read()))
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            reader = pa.ipc.open_stream(file)
            batches = iter(reader)
        rows = next((batch for batch in batches if len(batch)), None)
        return dict.fromkeys(reader.schema.names) if rows is None else dict(rows.slice(0, 1).to_pylist()[0])


def is_dialogue(record: Mapping[str, Any]) -> bool:
    """Whether a record is a dialogue in one of the three usual shapes.

    >>> is_dialogue({"messages": []}), is_dialogue({"instruction": "", "output": ""}), is_dialogue({"text": ""})
    (True, True, False)
    """
    turns = any(isinstance(record.get(name), list) for name in ("messages", "conversations"))
    return turns or {"instruction", "output"} <= record.keys()


def _params(stage: str, record: Mapping[str, Any]) -> dict[str, str | None]:
    """Params that say which fields are which; those that have their default are left out."""
    if not record or stage in ("read_warc", "read_html", "read_text"):
        return {}
    found = {param: next((n for n in names if n in record), None) for param, names in FIELDS.items()}
    if found["text"] is None:
        texts = [(len(value), name) for name, value in record.items() if isinstance(value, str)]
        found["text"] = max(texts)[1] if texts else "text"
    params: dict[str, str | None] = {name: field for name, field in found.items() if field is not None}
    if is_dialogue(record):
        params["text"] = None  # parse_dialogue reads the whole record
        params.pop("url", None)
        params.pop("date", None)
    if params["text"] == "text":
        del params["text"]
    return params


def _name(others: Sequence[Input], stage: str, dialogue: bool) -> str:
    base = "dialogues" if dialogue else NAMES.get(stage, "library")
    count = sum(other.name.rstrip("0123456789") == base for other in others)
    return base if count == 0 else f"{base}{count + 1}"


# --- the text ---------------------------------------------------------------------------------------

HEAD = """\
# Made by `corpusmill init`. Next:
#   corpusmill check THIS_FILE      is anything wrong?
#   corpusmill plan THIS_FILE       what runs together, and why
#   corpusmill run THIS_FILE        run it; the same command continues a run that stopped
# `corpusmill stages` lists what else there is, `corpusmill stages NAME` explains a stage and its params.
version: 1
run:
  name: {name}                  # the output goes to runs/{name}
  seed: 17

nodes:
  # --- what is read; paths are files, folders, globs, or URLs such as s3://bucket/x/*.gz
"""


def _head(name: str, inputs: Sequence[Input]) -> str:
    lines = []
    for i in inputs:
        fields = "".join(f", {param}: {json.dumps(field)}" for param, field in sorted(i.params.items()))
        lines.append(f"  {i.name}: {{stage: {i.stage}, params: {{paths: {i.paths}{fields}}}}}\n")
    return HEAD.format(name=name) + "".join(lines)


def _documents(inputs: Sequence[Input]) -> str:
    pages = [i.name for i in inputs if i.stage in ("read_warc", "read_html")]
    texts = [i.name for i in inputs if i.name not in pages]
    body = _head("documents", inputs)
    rejected = ""
    if pages:
        body += PAGES.replace("@pages", ", ".join(pages))
        texts = ["pages", *texts]
        rejected = "pages.rejected, "
    return body + DOCUMENTS.replace("@texts", ", ".join(texts)).replace("@rejected", rejected)


PAGES = """
  # --- from pages to text; engine: trafilatura (articles), resiliparse (quick, any page), justext
  pages: {stage: extract_html, inputs: [@pages], params: {engine: trafilatura}}
"""

DOCUMENTS = """
  # --- language; keep: [en, de] keeps these, null keeps all and only labels
  clean: {stage: repair_text, inputs: [@texts]}
  lang: {stage: identify_language, inputs: [clean], params: {keep: null, min_score: null}}

  # --- quality: one pass over the text, then thresholds. Gopher's stop words are English; for English alone
  #     leave `min_stop_words: null` out
  signals: {stage: text_signals, inputs: [lang]}
  quality: {stage: gopher_rules, inputs: [signals], params: {min_words: 50, min_stop_words: null}}
  repeats: {stage: gopher_repetition, inputs: [quality]}

  # --- duplicates: equal texts, then near-equal ones (`corpusmill plan` prints what the bands can find)
  exact: {stage: exact_dedup, inputs: [repeats]}
  near: {stage: minhash_dedup, inputs: [exact], params: {bands: 14, rows_per_band: 8, threshold: 0.75}}

  # --- personal data: e-mail, IP, phone and card numbers become placeholders
  scrubbed: {stage: scrub_pii, inputs: [near]}

  # --- tokens and shards. To use a tokenizer that you have, remove `vocab` and both `side:`, and write
  #     params: {tokenizer: path/to/tokenizer.json} at `tokens` and `shards`
  vocab: {stage: train_tokenizer, inputs: [scrubbed], params: {vocab_size: 8000}}
  tokens: {stage: tokenize, inputs: [scrubbed], side: {tokenizer: vocab}}
  shards: {stage: write_token_shards, inputs: [tokens], side: {tokenizer: vocab}, params: {seq_len: 1024}}

  # --- to read: what was kept, and everything that was taken out with its reason and evidence
  documents: {stage: write_jsonl, inputs: [scrubbed], params: {columns: [id, url, source, lang, text]}}
  why:
    stage: write_jsonl
    inputs: [@rejectedlang.rejected, quality.rejected, repeats.rejected, exact.rejected, near.rejected]
    params: {columns: [id, url, source, rejected_by, evidence, text]}
"""


def _dialogues(inputs: Sequence[Input]) -> str:
    return _head("dialogues", inputs) + DIALOGUES.replace("@inputs", ", ".join(i.name for i in inputs))


DIALOGUES = """
  # --- ShareGPT, OpenAI messages and Alpaca records are told apart by their fields
  parsed: {stage: parse_dialogue, inputs: [@inputs]}
  sound: {stage: check_dialogue, inputs: [parsed]}

  # --- duplicates, equal and near-equal
  exact: {stage: exact_dedup, inputs: [sound]}
  near: {stage: minhash_dedup, inputs: [exact], params: {bands: 14, rows_per_band: 8, threshold: 0.8}}

  # --- personal data: e-mail, IP, phone and card numbers become placeholders
  scrubbed: {stage: scrub_pii, inputs: [near], params: {column: messages}}

  # --- tokens: the template's marks are special tokens, the loss is on what the assistant says. To use a
  #     tokenizer that you have, remove `vocab` and both `side:`, and name it as `tokenizer:` in both params
  vocab:
    stage: train_tokenizer
    inputs: [scrubbed]
    params: {vocab_size: 4000, special_tokens: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]}
  tokens:
    stage: tokenize_dialogue
    inputs: [scrubbed]
    side: {tokenizer: vocab}
    params: {template: chatml, loss: assistant, max_tokens: 2048, eos_token: "<|im_end|>"}
  shards:
    stage: write_token_shards
    inputs: [tokens]
    side: {tokenizer: vocab}
    params: {seq_len: 2048, eos_token: "<|im_end|>"}

  # --- everything that was taken out, with its reason and evidence
  why:
    stage: write_jsonl
    inputs: [parsed.rejected, sound.rejected, exact.rejected, near.rejected, tokens.rejected]
    params: {columns: [id, source, rejected_by, evidence, metadata]}
"""
