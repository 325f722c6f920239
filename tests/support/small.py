"""A small run of real stages: documents, some too short, some twice, through a tokenizer to shards."""

import json
from pathlib import Path
from typing import Any

from pipeline.api import RunResult, parse, run
from pipeline.executors.local import LocalExecutor

TEXT = "The miller's daughter counted the sacks twice, and twice the number came out odd, so she began again"

SMALL = """
version: 1
run: {{name: small, output: {out}}}
nodes:
  docs: {{stage: read_jsonl, params: {{paths: "{folder}/*.jsonl", id: id, url: url}}}}
  signals: {{stage: text_signals, inputs: [docs]}}
  length: {{stage: filter_length, inputs: [signals], params: {{min_words: {min_words}}}}}
  exact: {{stage: exact_dedup, inputs: [length]}}
  pieces: {{stage: chunk_long_documents, inputs: [exact], params: {{max_chars: 2000}}}}
  vocab: {{stage: train_tokenizer, inputs: [pieces], params: {{vocab_size: 400}}}}
  tokens: {{stage: tokenize, inputs: [pieces], side: {{tokenizer: vocab}}}}
  shards: {{stage: write_token_shards, inputs: [tokens], side: {{tokenizer: vocab}}, params: {{seq_len: 64}}}}
  why: {{stage: write_jsonl, inputs: [length.rejected, exact.rejected]}}
"""


def write_documents(folder: Path) -> Path:
    """Two files: four documents, a short one, a copy, one that is cut in pieces, and a line that is not JSON."""
    folder.mkdir(parents=True)
    first = [{"id": f"d{i}", "url": f"http://a.example/{i}", "text": f"{TEXT} {i}."} for i in range(3)]
    first.append({"id": "short", "url": "http://a.example/short", "text": "Too <b>short</b>"})
    second = [{"id": "copy", "url": "http://b.example/copy", "text": first[0]["text"]}]
    second.append(
        {
            "id": "long",
            "url": "http://b.example/long",
            "text": "\n\n".join(f"{TEXT} {i}." for i in range(120)),
        }
    )
    for name, rows in (("a.jsonl", first), ("b.jsonl", second)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with (folder / "b.jsonl").open("a") as file:
        file.write("{not json\n")
    return folder


def small_config(tmp: Path, min_words: int = 5) -> Any:
    """The config over documents in `tmp`."""
    folder = tmp / "docs"
    if not folder.exists():
        write_documents(folder)
    return parse(SMALL.format(out=tmp / "out", folder=folder, min_words=min_words), "small.yaml")


def small_run(tmp: Path, min_words: int = 5) -> RunResult:
    """Run it in this process."""
    return run(small_config(tmp, min_words), executor=LocalExecutor())
