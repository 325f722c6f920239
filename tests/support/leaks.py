"""A toy decontamination: documents say themselves which benchmark items they have; the index is a list of lines."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from pipeline.api import RunResult, parse, run
from pipeline.executors.local import LocalExecutor
from pipeline.schema import CONTAMINATION, TEXT
from pipeline.stage import MapStage, Marks, ShardInfo, Sink, StageRef
from tests.support.toy import TOYS

CLASSES = {"both": "input_and_output", "in": "input_only", "out": "output_only"}
PLANT = re.compile(
    r"<(?P<benchmark>[^:<>]+):(?P<item>[^:<>]+):(?P<by>\w+):(?P<kind>both|in|out)(?P<weak>~?)(?P<say>[^<>]*)>"
)
ITEMS = pa.schema(
    [(n, pa.string()) for n in ("benchmark", "id", "question", "answer")] + [("findable", pa.bool_())]
)


def leaks_in(text: str) -> list[dict[str, Any]]:
    """`<gsm8k:7:ngram_8:in~ some words>`: item 7, found by ngram_8; ~ means that this does not decide."""
    return [
        {
            "benchmark": m["benchmark"],
            "item": m["item"],
            "definition": m["by"],
            "class": CLASSES[m["kind"]],
            "part": "output" if m["kind"] == "out" else "input",
            "score": float(m.end() - m.start()),
            "start": m.start(),
            "end": m.end(),
            "matched": m[0][:500],
            "decides": not m["weak"],
        }
        for m in PLANT.finditer(text)
    ]


class LeakReason(StrEnum):
    CONTAMINATED = "contaminated"


class Leaky(MapStage[None]):
    """Rejects, cuts or marks documents with an item that decides."""

    reasons = LeakReason
    sides: ClassVar[Mapping[str, str]] = {"index": "list_items"}
    action: str = "reject"

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([CONTAMINATION, *([TEXT] if self.action == "cut" else [])])

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:
        texts = batch["text"].to_pylist()
        leaks = [leaks_in(text or "") or None for text in texts]
        decided = [any(leak["decides"] for leak in found or ()) for found in leaks]
        columns = {CONTAMINATION.name: pa.array(leaks, CONTAMINATION.type)}
        if self.action == "cut":
            kept = [PLANT.sub("", t) if d else t for t, d in zip(texts, decided, strict=True)]
            columns["text"] = pa.array(kept, TEXT.type)
        gone = self.action == "reject"
        reject = pa.array(["contaminated" if gone and d else None for d in decided], pa.string())
        evidence = [{"items": len(found)} if d else None for found, d in zip(leaks, decided, strict=True)]
        return Marks(columns, reject, pa.array(evidence, pa.struct([("items", pa.int64())])))


class ListItems(Sink[None]):
    """items.arrow from lines `benchmark|id|question|answer`, in the order they come; `-` before it: not findable."""

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:
        lines = [line for batch in batches for line in batch["text"].to_pylist()]
        return ShardInfo((), len(lines), {"lines": lines})

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:
        lines = [line for shard in shards for line in shard.meta["lines"]]
        write_items(out, [(*line.removeprefix("-").split("|"), not line.startswith("-")) for line in lines])


def write_items(folder: Path, items: Sequence[tuple[Any, ...]]) -> Path:
    """An index's items.arrow of (benchmark, id, question, answer, findable)."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = list(zip(*items, strict=True)) or [()] * 5
    arrays = [pa.array(c, f.type) for c, f in zip(columns, ITEMS, strict=True)]
    with pa.ipc.new_file(str(folder / "items.arrow"), ITEMS) as writer:
        writer.write_table(pa.table(arrays, schema=ITEMS))
    return folder


CONFIG = """
version: 1
run: {{name: leaks, output: {out}, samples: 2{run}}}
nodes:
  lines: {{stage: read_lines, params: {{folder: {lines}}}}}
  more: {{stage: read_lines, params: {{folder: {more}}}}}
  items: {{stage: read_lines, params: {{folder: {items}}}}}
  index: {{stage: list_items, inputs: [items]}}
  clean: {{stage: leaky, inputs: [lines, more], side: {{index: index}}, params: {{action: {action}}}{node}}}
  lists: {{stage: write_benchmark_lists, inputs: [clean.kept, clean.rejected], side: {{index: index}}}}
  out: {{stage: write_rows, inputs: [clean]}}
{extra}
"""

REGISTRY = TOYS | {
    "leaky": StageRef("tests.support.leaks:Leaky"),
    "list_items": StageRef("tests.support.leaks:ListItems"),
    "write_benchmark_lists": StageRef("stages.decontamination.write_lists:WriteBenchmarkLists"),
}


def leaks_run(
    tmp: Path,
    texts: Mapping[str, Sequence[str]],
    items: Sequence[str],
    *,
    files: int = 1,
    action: str = "reject",
    settings: str = "",
    node: str = "",
    extra: str = "",
) -> RunResult:
    """A run over texts by source (lines, more), cut into files, and an index of items."""
    folders = {name: tmp / name for name in ("lines", "more", "items")}
    for name, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        rows = items if name == "items" else texts[name]
        per = max(1, -(-len(rows) // (1 if name == "items" else files)))
        for number, start in enumerate(range(0, max(len(rows), 1), per)):
            (folder / f"{number}.txt").write_text(
                "".join(f"{row}\n" for row in rows[start : start + per]), "utf-8"
            )
    config = CONFIG.format(
        out=tmp / "out",
        **folders,
        action=action,
        run=settings and f", {settings}",
        node=node and f", {node}",
        extra=extra,
    )
    return run(parse(config, "leaks.yaml"), registry=REGISTRY, executor=LocalExecutor())
