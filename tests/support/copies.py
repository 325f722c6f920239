"""A toy dedup stage with all that the report explains: similarities, cluster sizes, bands."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from pipeline.api import RunResult, parse, run
from pipeline.executors.local import LocalExecutor
from pipeline.schema import TEXT
from pipeline.stage import GlobalStage, Marks, StageRef
from tests.support.toy import TOYS

EVIDENCE = pa.struct([("survivor", pa.string()), ("similarity", pa.float64()), ("cluster_size", pa.int64())])
SIMILARITIES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class CopiesReason(StrEnum):
    COPY = "near_duplicate"


class Copies(GlobalStage[None]):
    """Texts with the same first word are copies; the smallest id survives; similarity is Jaccard's of the words."""

    reasons = CopiesReason
    measures = {"similarity": SIMILARITIES, "cluster_size": (2, 3, 5)}
    bands: int = 14
    rows_per_band: int = 8
    threshold: float = 0.1

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def order(self, round: int) -> Sequence[str]:
        return ["id"]

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:
        texts = batch["text"].to_pylist()
        keys = [xxhash.xxh3_64_intdigest((t.split() or [""])[0].encode()) for t in texts]
        rows = pa.array(range(len(texts)), pa.int32())
        return pa.table(
            {"key": pa.array(keys, pa.uint64()), "row": rows, "id": batch["id"], "text": batch["text"]}
        )

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:
        groups: dict[int, list[dict[str, Any]]] = {}
        for row in bucket.to_pylist():
            groups.setdefault(row["key"], []).append(row)
        fell = []
        for group in groups.values():
            first = set(group[0]["text"].split())
            for row in group[1:]:
                words = set(row["text"].split())
                similarity = len(first & words) / (len(first | words) or 1)
                fell.append((row["doc"], group[0]["id"], similarity, len(group)))
        columns = list(zip(*fell, strict=True)) or [(), (), (), ()]
        names = ["doc", "survivor", "similarity", "cluster_size"]
        types = [pa.uint64(), pa.string(), pa.float64(), pa.int64()]
        return pa.table({n: pa.array(c, t) for n, c, t in zip(names, columns, types, strict=True)})

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        reject: list[str | None] = [None] * batch.num_rows
        evidence: list[dict[str, Any] | None] = [None] * batch.num_rows
        for row in verdicts.to_pylist() if "survivor" in verdicts.column_names else ():
            at = row.pop("row")
            reject[at], evidence[at] = "near_duplicate", row
        return Marks({}, pa.array(reject, pa.string()), pa.array(evidence, EVIDENCE))


CONFIG = """
version: 1
run: {{name: copies, output: {out}, samples: 2{run}}}
nodes:
  lines: {{stage: read_lines, params: {{folder: {lines}}}}}
  more: {{stage: read_lines, params: {{folder: {more}}}}}
  near: {{stage: copies, inputs: [lines, more]{node}}}
  out: {{stage: write_rows, inputs: [near]}}
  why: {{stage: write_rows, inputs: [near.rejected], params: {{columns: [id, text, rejected_by, evidence]}}}}
"""


def copies_run(
    tmp: Path,
    lines: Sequence[str],
    more: Sequence[str],
    *,
    out: str = "out",
    run_: str = "",
    node: str = "",
    files: int = 1,
) -> RunResult:
    """Run texts of two sources through `copies`, each source cut into some files."""
    for name, texts in (("lines", lines), ("more", more)):
        folder = tmp / f"{name}{files}"
        folder.mkdir(exist_ok=True)
        for i in range(files):
            (folder / f"{i}.txt").write_text("\n".join(texts[i::files]) + "\n", "utf-8")
    text = CONFIG.format(
        out=tmp / out,
        lines=tmp / f"lines{files}",
        more=tmp / f"more{files}",
        run=f", {run_}" if run_ else "",
        node=f", {node}" if node else "",
    )
    registry = {**TOYS, "copies": StageRef("tests.support.copies:Copies")}
    return run(parse(text, "copies.yaml"), registry=registry, executor=LocalExecutor())
