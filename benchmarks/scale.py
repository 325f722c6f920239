"""Near-duplicate groups of very many documents through the real engine: ids and band keys alone, no text.

    python -m benchmarks.scale --documents 30000000 --folder /tmp/scale [--workers 2] [--check]

Each simulated document has 14 band keys, as minhash_dedup emits them. 30 % of the documents belong to clusters, most
of them of two to ten, one in each million of a thousand; a band of a document is its cluster's with a
probability of a quarter, so that groups are found through chains. Round 0 exchanges the band keys, the engine merges
the links into groups, round 1 exchanges the groups, and all but the first of each group fall. Everything but the
hashing and comparing of text is what minhash_dedup does.

Prints JSON: CPU seconds and bytes by kind of task, peak memory of a process, documents that fell. `--check`
compares with scipy's connected components (up to a few million documents).
"""

import argparse
import json
import os
import platform
import resource
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from pipeline.api import parse, run
from pipeline.cluster import ClusterConfig
from pipeline.components import mixed
from pipeline.executors.local import LocalExecutor
from pipeline.registry import discover
from pipeline.schema import ID_HASH, ORIGIN
from pipeline.stage import GlobalStage, Marks, Source, StageRef

BANDS = 14
BATCH = 1 << 16
NUMBER = pa.field("number", pa.int64(), nullable=False)


def cluster_of(numbers: np.ndarray) -> np.ndarray:
    """Each document's cluster, or -1 for the 70 % that have none."""
    h = mixed(numbers.astype(np.uint64) + np.uint64(1))
    block = numbers // 10  # neighbours in number share a cluster: sizes of 1 to 10, 3 on average
    alone = (h >> np.uint64(32)) % np.uint64(10) >= 3
    giant = mixed(block.astype(np.uint64) ^ np.uint64(0x9E37)) % np.uint64(1_000) == 0
    cluster = np.where(giant, -2 - numbers // 1_000_000, block)  # one giant cluster a million
    return np.where(alone & ~giant, -1, cluster)


def band_keys(numbers: np.ndarray) -> np.ndarray:
    """uint64, shape (documents, BANDS)."""
    cluster = cluster_of(numbers)
    bands = np.arange(BANDS, dtype=np.uint64)
    own = mixed((numbers.astype(np.uint64) << np.uint64(5))[:, None] + bands)
    shared = mixed(mixed((cluster.astype(np.uint64) << np.uint64(5))[:, None] + bands))
    takes = ((own >> np.uint64(7)) & np.uint64(3) == 0) & (cluster != -1)[:, None]
    return np.where(takes, shared, own)


class Numbers(Source[None]):
    """Documents that are numbers."""

    documents: int
    partition: int = 250_000

    def writes(self) -> pa.Schema:  # noqa: D102
        return pa.schema([ORIGIN, NUMBER])

    def split(self) -> Sequence[str]:  # noqa: D102
        return [f"{start:012d}" for start in range(0, self.documents, self.partition)]

    def files(self, split: str) -> Sequence[str]:  # noqa: D102, ARG002
        return []

    def read(self, split: str, resource: None) -> Iterator[pa.RecordBatch]:  # noqa: D102, ARG002
        start = int(split)
        end = min(start + self.partition, self.documents)
        for low in range(start, end, BATCH):
            numbers = np.arange(low, min(low + BATCH, end))
            origin = pa.StructArray.from_arrays(
                [
                    pa.repeat(pa.scalar(split), len(numbers)),
                    pa.array(numbers).cast(pa.string()),
                    pa.array(numbers),
                ],
                fields=list(ORIGIN.type),
            )
            yield pa.RecordBatch.from_arrays([origin, pa.array(numbers)], schema=self.writes())


class GroupReason(StrEnum):
    """Why a document falls."""

    GROUPED = "grouped"


class Group(GlobalStage[None]):
    """The exchanges of minhash_dedup, with the smallest hash of an id in place of verification."""

    reasons = GroupReason
    rounds: ClassVar[int] = 2
    singles: ClassVar[bool] = False

    def reads(self) -> pa.Schema:  # noqa: D102
        return pa.schema([NUMBER, ID_HASH])

    def order(self, round: int) -> Sequence[str]:  # noqa: D102
        return ("tie",) if round else ()

    def links(self, round: int) -> bool:  # noqa: D102
        return round == 0

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:  # noqa: D102, ARG002
        if round == 0:
            keys = band_keys(np.asarray(batch["number"]))
            rows = np.repeat(np.arange(batch.num_rows, dtype=np.int32), BANDS)
            return pa.table({"key": keys.reshape(-1), "row": rows})
        some = verdicts.num_rows > 0
        rows = verdicts["row"].to_numpy() if some else np.zeros(0, np.int64)
        groups = verdicts["group"].to_numpy() if some else np.zeros(0, np.uint64)
        ties = mixed(np.asarray(batch["number"]).astype(np.uint64))[rows]
        return pa.table({"key": mixed(groups), "row": rows.astype(np.int32), "tie": ties})

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:  # noqa: D102
        keys, docs = bucket["key"].to_numpy(), bucket["doc"].to_numpy()
        new = np.ones(len(keys), bool)
        new[1:] = keys[1:] != keys[:-1]
        if round:
            return pa.table({"doc": docs[~new]})
        starts = np.flatnonzero(new)
        first = docs[np.repeat(starts, np.diff(np.append(starts, len(keys))))]
        return pa.table({"doc": docs[~new], "group": first[~new]})

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:  # noqa: D102
        falls = np.zeros(batch.num_rows, bool)
        falls[verdicts["row"].to_numpy() if verdicts.num_rows else []] = True
        reasons = pa.array(np.where(falls, GroupReason.GROUPED.value, None), pa.string())
        return Marks(reject=reasons)


REGISTRY = {
    **discover(),
    "numbers": StageRef("benchmarks.scale:Numbers"),
    "group": StageRef("benchmarks.scale:Group"),
}
CONFIG = """
version: 1
run: {{name: scale, output: {folder}/out, keep_rejected: false, samples: 0, batch_rows: 65536, bucket_bytes: {bucket}}}
nodes:
  numbers: {{stage: numbers, params: {{documents: {documents}}}}}
  group: {{stage: group, inputs: [numbers]}}
  out: {{stage: write_parquet, inputs: [group], params: {{columns: [number]}}}}
"""


def expected_falls(documents: int) -> int:
    """How many documents fall, by scipy."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    keys = band_keys(np.arange(documents)).reshape(-1)
    _, column = np.unique(keys, return_inverse=True)
    rows = np.repeat(np.arange(documents), BANDS)
    width = int(column.max()) + 1
    both = coo_matrix(
        (np.ones(len(rows), bool), (rows, column + documents)), shape=(documents + width, documents + width)
    )
    _, labels = connected_components(both, directed=False)
    return documents - len(np.unique(labels[:documents]))


def by_kind(store: Path) -> dict[str, dict[str, float]]:
    """CPU seconds, bytes written and tasks of each kind of task."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for path in store.rglob("commit.json"):
        record = json.loads(path.read_text())
        timing = json.loads((path.parent / "timing.json").read_text())
        kind = found[record["kind"]]
        kind["cpu_s"] += timing["cpu_s"]
        kind["bytes"] += sum(size for _, size, _ in record["files"].values())
        kind["tasks"] += 1
        kind["peak_bytes"] = max(kind["peak_bytes"], timing["peak_bytes"])
    return {name: {k: round(v, 1) for k, v in kind.items()} for name, kind in sorted(found.items())}


def main() -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--bucket-bytes", type=int, default=256 << 20)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    folder = args.folder / f"{args.documents}"
    shutil.rmtree(folder, ignore_errors=True)
    config = parse(
        CONFIG.format(folder=folder, documents=args.documents, bucket=args.bucket_bytes), "scale.yaml"
    )
    started = time.time()
    where: dict[str, Any] = {"executor": LocalExecutor()}
    if args.workers > 1:
        where = {"cluster": ClusterConfig(workers=args.workers)}
    result = run(config, registry=REGISTRY, **where)
    wall = time.time() - started
    report = json.loads((Path(result.folder) / "report.json").read_text())
    fell = next(n["total"]["rejected"] for n in report["nodes"] if n["node"] == "group")["grouped"]
    kinds = by_kind(folder / "out" / "store")
    cpu = sum(k["cpu_s"] for k in kinds.values())
    told = {
        "documents": args.documents,
        "fell": fell,
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "cpu_us_per_document": round(cpu / args.documents * 1e6, 2),
        "bytes_per_document": round(sum(k["bytes"] for k in kinds.values()) / args.documents, 1),
        "peak_mb_of_a_worker": round(max(k["peak_bytes"] for k in kinds.values()) / 1e6),
        "driver_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "by_kind": kinds,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    if args.check:
        told["expected_to_fall"] = expected_falls(args.documents)
        assert told["expected_to_fall"] == fell
    print(json.dumps(told, indent=2))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
