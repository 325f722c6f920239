"""Toy corpora, configs over them, and what a run of them left behind."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.api import RunResult, parse, run
from pipeline.executors.local import LocalExecutor
from tests.support.toy import TOYS

WORDS = ["alder", "birch", "cedar", "damson", "elder", "fir", "gorse", "hazel", "ivy", "juniper"]


def write_corpus(folder: Path, files: int = 4, lines: int = 40) -> Path:
    """Files of short lines: many duplicates, some empty, some long, one damaged stretch in each."""
    folder.mkdir(parents=True, exist_ok=True)
    for f in range(files):
        made = []
        for i in range(lines):
            k = (f * 31 + i * 7) % 23
            made.append(" ".join(WORDS[(k + j * k) % 10] for j in range(k % 6)))
        made[lines // 2] = "!damage"
        (folder / f"part{f}.txt").write_text("\n".join(made) + "\n", "utf-8")
    return folder


FULL = """
version: 1
run: {{name: toy, output: {out}, seed: 3, max_error_ratio: 0.5{run}}}
nodes:
  lines: {{stage: read_lines, params: {{folder: {folder}}}}}
  more: {{stage: read_lines, params: {{folder: {more}}}}}
  length: {{stage: measure, inputs: [lines, more], params: {{min_length: {min}, max_length: 30}}}}
  loud: {{stage: shout, inputs: [length], params: {{slow_s: {slow}}}}}
  unique: {{stage: dedup, inputs: [loud]}}
  letters: {{stage: count_first_letter, inputs: [unique]}}
  words: {{stage: split_words, inputs: [letters]}}
  list: {{stage: write_rows, inputs: [more]}}
  known: {{stage: listed, inputs: [loud], side: {{list: list}}, annotate_only: true}}
  out: {{stage: write_rows, inputs: [words], params: {{columns: [id, text, group_size]}}}}
  known_out: {{stage: write_rows, inputs: [known]}}
  why: {{stage: write_rows, inputs: [length.rejected, unique.rejected], params: {{columns: [id, text, rejected_by, evidence]}}}}
"""


def full_config(tmp: Path, *, out: str = "out", min_length: int = 5, run: str = "", slow: float = 0.0) -> Any:
    """The config that has one of everything, over the toy corpora in `tmp`."""
    folder = write_corpus(tmp / "lines")
    more = write_corpus(tmp / "more", files=2, lines=25)
    text = FULL.format(
        out=tmp / out, folder=folder, more=more, min=min_length, slow=slow, run=f", {run}" if run else ""
    )
    return parse(text, "toy.yaml")


def run_here(config: Any, **kwargs: Any) -> RunResult:
    """Run with the toy stages in this process."""
    kwargs.setdefault("executor", LocalExecutor())
    return run(config, registry=TOYS, **kwargs)


def digests(result: RunResult) -> dict[str, str]:
    """A checksum for every file of a run's folder that must not depend on how it was run."""
    root = Path(result.folder)
    skip = {"timings.json", "report.html", "manifest.json"}
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and (p.parent != root or p.name not in skip)
    }


def rows(folder: str | Path) -> list[dict[str, Any]]:
    """All rows of a write_rows sink."""
    found: list[dict[str, Any]] = []
    for file in sorted(Path(folder).glob("*.arrow")):
        with pa.ipc.open_file(str(file)) as reader:
            found += reader.read_all().to_pylist()
    return found
