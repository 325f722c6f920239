"""Repeated spans removed a CPU second, reading and writing Parquet included, beside a suffix array of the text.

    python -m benchmarks.substring CORPUS [--unit token] [--k 50] [--compression lz4]

CORPUS is a folder that benchmarks.dedup_corpus made. The stage runs through the engine in this process, after a small
run that loads its kernels; its peak memory is that of the process. Where pydivsufsort is installed, its suffix array
over the first 50 MB of the same text is timed too: that is the first of three steps of a suffix-array deduplication
(sorting, finding repeats, cutting), and takes nine bytes of memory for each byte of the whole corpus.
"""

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.api import parse, run
from pipeline.executors.local import LocalExecutor
from pipeline.registry import discover

SUFFIX_BYTES = 50_000_000
CONFIG = """
version: 1
run: {{name: substring, output: {out}, store_compression: {compression}}}
nodes:
  docs: {{stage: read_parquet, params: {{paths: '{paths}'}}}}
  spans: {{stage: substring_dedup, inputs: [docs], params: {{unit: {unit}, k: {k}}}}}
  out: {{stage: write_parquet, inputs: [spans]}}
"""


def measure(paths: str, args: argparse.Namespace) -> tuple[float, dict[str, Any]]:
    """CPU seconds of a run, and its report."""
    with tempfile.TemporaryDirectory() as folder:
        text = CONFIG.format(
            out=f"{folder}/out", paths=paths, unit=args.unit, k=args.k, compression=args.compression
        )
        start = time.process_time()
        result = run(parse(text, "substring.yaml"), registry=discover(), executor=LocalExecutor())
        seconds = time.process_time() - start
        return seconds, json.loads((Path(result.folder) / "report.json").read_text())


def suffix_array_seconds(corpus: Path) -> float | None:
    """CPU seconds of divsufsort, or None where it is not installed."""
    try:
        import pydivsufsort
    except ImportError:
        return None
    parts = sorted(corpus.glob("*.parquet"))
    data = b""
    for part in parts:
        if len(data) < SUFFIX_BYTES:
            data += "\0".join(pq.read_table(part)["text"].to_pylist()).encode()
    data = data[:SUFFIX_BYTES]
    start = time.process_time()
    pydivsufsort.divsufsort(data)
    return time.process_time() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--unit", default="token")
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--compression", default="lz4")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as small:
        first = min(args.corpus.glob("*.parquet"))
        pq.write_table(pq.read_table(first).slice(0, 300), f"{small}/small.parquet")
        measure(f"{small}/small.parquet", args)
    seconds, report = measure(f"{args.corpus}/*.parquet", args)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    source, spans = (
        next(n["total"] for n in report["nodes"] if n["node"] == name) for name in ("docs", "spans")
    )
    suffix = suffix_array_seconds(args.corpus)
    versions = {}
    for name in ("numba", "numpy", "pyarrow", "pydivsufsort"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    print(
        json.dumps(
            {
                "documents": source["kept"],
                "bytes": source["bytes_kept"],
                "bytes_left": spans["bytes_kept"],
                "documents_cut": spans["edited"] + sum(spans["rejected"].values()),
                "cpu_s": round(seconds, 2),
                "mb_per_cpu_s": round(source["bytes_kept"] / seconds / 1e6, 1),
                "peak_rss_mb": peak,
                "suffix_array_mb_per_cpu_s": suffix and round(SUFFIX_BYTES / suffix / 1e6, 1),
                "settings": {"unit": args.unit, "k": args.k, "compression": args.compression},
                "versions": versions,
                "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
