"""What the engine itself costs.

    python benchmarks/engine.py overhead [--megabytes 1000]
        ten map stages that do nothing, between reading and writing Parquet, in one process; CPU beside
        pyarrow reading and writing the same Parquet (same row groups, same compression)
    python benchmarks/engine.py partitions [--partitions 10000]
        that many tiny partitions through Dask; wall time, and the driver's peak memory

Prints JSON. The corpus is made from a fixed list of words by a counter, so it is the same on every machine.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.api import parse, run
from pipeline.cluster import ClusterConfig
from pipeline.executors.local import LocalExecutor
from pipeline.registry import discover
from pipeline.stage import MapStage, Marks, StageRef

WORDS = [
    f"{a}{b}"
    for a in ("ban", "ro", "kel", "mi", "sta", "tor", "un", "ve")
    for b in ("da", "lin", "ra", "s", "to")
]
MAPS = 10
ROW_GROUP = 10_000


class Pass(MapStage[None]):
    """Says nothing about any row."""

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:  # noqa: ARG002, D102
        return Marks()


REGISTRY = {**discover(), "pass": StageRef("benchmarks.engine:Pass")}


def document(seed: int, words: int = 430) -> str:
    """About 2.6 KB of text that compresses like text does."""
    x, out = seed * 2654435761 % 2**32 or 1, []
    for _ in range(words):
        x = (x * 1103515245 + 12345) % 2**31
        out.append(WORDS[(x >> 16) % len(WORDS)] + str((x >> 8) % 7))
    return " ".join(out)


def write_corpus(folder: Path, megabytes: int, files: int = 4) -> int:
    """Parquet files with a text column; returns the bytes of text."""
    folder.mkdir()
    base = [document(i) for i in range(2000)]
    per_file = megabytes * 10**6 // files // len(base[0])
    total = 0
    for f in range(files):
        texts = [f"{f} {i} {base[(i * 7 + f) % len(base)]}" for i in range(per_file)]
        total += sum(map(len, texts))
        table = pa.table({"text": pa.array(texts, pa.large_string())})
        pq.write_table(table, folder / f"{f}.parquet", compression="zstd", row_group_size=ROW_GROUP)
    return total


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, all threads, for a call."""
    before = os.times()
    result = work()
    after = os.times()
    return (after.user + after.system) - (before.user + before.system), result


def plain_copy(folder: Path, out: Path) -> None:
    """What pyarrow needs to read that Parquet and write it again."""
    out.mkdir()
    for file in sorted(folder.iterdir()):
        with (
            pq.ParquetFile(file) as reader,
            pq.ParquetWriter(out / file.name, reader.schema_arrow, compression="zstd") as writer,
        ):
            for batch in reader.iter_batches(ROW_GROUP):
                writer.write_batch(batch, row_group_size=ROW_GROUP)


def overhead(megabytes: int) -> dict[str, Any]:
    """CPU of ten passing stages beside a plain copy, alternating, best of two."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_corpus(folder / "in", megabytes)
        nodes = [
            "  a: {stage: read_parquet, params: {paths: %s/*.parquet, keep_metadata: false}}"
            % (folder / "in")
        ]
        nodes += [f"  m{i}: {{stage: pass, inputs: [{'a' if i == 0 else f'm{i - 1}'}]}}" for i in range(MAPS)]
        nodes.append(f"  out: {{stage: write_parquet, inputs: [m{MAPS - 1}], params: {{columns: [text]}}}}")
        plain, ours = [], []
        for k in range(2):
            plain.append(cpu(lambda k=k: plain_copy(folder / "in", folder / f"copy{k}"))[0])
            text = (
                f"version: 1\nrun: {{output: {folder}/out{k}, batch_rows: {ROW_GROUP}}}\nnodes:\n"
                + "\n".join(nodes)
            )
            seconds, result = cpu(lambda t=text: run(parse(t), registry=REGISTRY, executor=LocalExecutor()))
            ours.append(seconds)
            assert result.executed == 5
        return {
            "question": "engine overhead",
            "megabytes": size / 1e6,
            "plain_cpu_s": min(plain),
            "engine_cpu_s": min(ours),
            "ratio": min(ours) / min(plain),
        }


def partitions(count: int) -> dict[str, Any]:
    """Many tiny partitions through Dask, in a child whose peak memory is the driver's."""
    code = f"from benchmarks.engine import drive; drive({count})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def drive(count: int) -> None:
    """The child of `partitions`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for i in range(count):
            (folder / "in" / f"{i:06d}.jsonl").write_text(json.dumps({"text": document(i, 20)}) + "\n")
        text = f"""
version: 1
run: {{output: {folder}/out}}
nodes:
  a: {{stage: read_jsonl, params: {{paths: {folder}/in/*.jsonl}}}}
  d: {{stage: exact_dedup, inputs: [a]}}
  out: {{stage: write_jsonl, inputs: [d]}}
"""
        started = time.time()
        result = run(parse(text), cluster=ClusterConfig(workers=2))
        seconds = time.time() - started
        again = time.time()
        assert run(parse(text), executor=LocalExecutor()).executed == 0
        print(json.dumps({
            "question": "driver at many partitions",
            "partitions": count,
            "tasks": result.executed,
            "seconds": seconds,
            "seconds_of_a_second_run": time.time() - again,
            "driver_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }))  # fmt: skip


def main() -> None:
    """Run one question and print its answer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question", choices=["overhead", "partitions"])
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--partitions", type=int, default=10_000)
    args = parser.parse_args()
    answer = overhead(args.megabytes) if args.question == "overhead" else partitions(args.partitions)
    answer |= {"python": platform.python_version(), "pyarrow": pa.__version__, "cores": os.cpu_count()}
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
