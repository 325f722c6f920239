r"""Near-duplicates removed a CPU second, from Parquet to Parquet, beside datatrove's four stages; and peak memory.

    python -m benchmarks.minhash_whole CORPUS [--peer-python PYTHON_WITH_DATATROVE] [--peer-documents 3000]
    python -m benchmarks.minhash_whole --documents 100000 1000000 [--folder /tmp]

CORPUS is a folder that benchmarks.dedup_corpus made. Ours takes all of it through the engine in this process, reading,
signing, grouping, verifying, rejecting, writing and reporting; a small run before loads the kernels. datatrove takes
the first documents, each stage one task in one process, with its default (spaCy) words, and with str.split; its model
loads before the clock starts.

Then both deduplicate those first documents, and all their pairs of a Jaccard similarity of 0.75 or more (sets of five
`\w+` words, counted from the definition) are looked for in what each leaves: `found` is the share of these pairs of
which not both are left; `deleted rightly` the share of deleted documents that are that similar to one that is left. For
all of ours, `found` says the same of the pairs that the corpus was made with, by their similarity.

--documents measures peak memory of a process over very many short documents.
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
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.dedup_corpus import write_short_documents
from benchmarks.minhash_quality import THRESHOLD, gold_shingles, similar_pairs
from pipeline.api import parse, run
from pipeline.executors.local import LocalExecutor
from pipeline.registry import discover

PEER = Path(__file__).parent / "peers" / "datatrove_minhash.py"
TARGET = 200
LEVELS = (0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
CONFIG = """
version: 1
run: {{name: whole, output: {out}, store_compression: {compression}}}
nodes:
  docs: {{stage: read_parquet, params: {{paths: '{paths}'}}}}
  near: {{stage: minhash_dedup, inputs: [docs]}}
  out: {{stage: write_parquet, inputs: [near], params: {{columns: [text, metadata]}}}}
"""


def dedup(paths: str, compression: str = "lz4") -> tuple[float, pa.Table]:
    """CPU seconds of a whole run, and what it kept; `compression` of the rows kept between its levels."""
    with tempfile.TemporaryDirectory() as folder:
        config = parse(CONFIG.format(out=f"{folder}/out", paths=paths, compression=compression), "whole.yaml")
        start = time.process_time()
        result = run(config, registry=discover(), executor=LocalExecutor())
        seconds = time.process_time() - start
        files = sorted(Path(result.sink("out")).rglob("*.parquet"))
        return seconds, pa.concat_tables([pq.read_table(f) for f in files])


def small_run(corpus: Path) -> None:
    """Load every kernel and import that a real run needs."""
    with tempfile.TemporaryDirectory() as folder:
        first = min(corpus.glob("*.parquet"))
        pq.write_table(pq.read_table(first).slice(0, 300), f"{folder}/small.parquet")
        dedup(f"{folder}/small.parquet")


def numbers(kept: pa.Table) -> np.ndarray:
    """Which documents of the corpus these are."""
    return np.array([int(json.loads(said)["id"]) for said in kept["metadata"].to_pylist()])


def found_by_similarity(truth: Path, texts: pa.ChunkedArray, kept: np.ndarray) -> dict[str, str]:
    """Of the documents made of another and still as similar, how often not both are left."""
    stays = np.zeros(len(texts), bool)
    stays[kept] = True
    counts: dict[float, list[int]] = {level: [0, 0] for level in LEVELS}
    for line in truth.read_text().splitlines():
        made = json.loads(line)
        mine, theirs = (gold_shingles(texts[made[name]].as_py()) for name in ("document", "of"))
        alike = len(mine & theirs) / len(mine | theirs)
        if alike >= LEVELS[0]:
            count = counts[max(level for level in LEVELS if level <= alike)]
            count[0] += not (stays[made["document"]] and stays[made["of"]])
            count[1] += 1
    return {f"from {level:g}": f"{some} of {all_}" for level, (some, all_) in counts.items()}


def quality(right: np.ndarray, documents: int, kept: np.ndarray) -> dict[str, Any]:
    """Of a deduplication, by the pairs that are similar (codes() of row numbers)."""
    stays = np.zeros(documents, bool)
    stays[kept] = True
    low, high = np.divmod(right, documents)
    near_one_that_stays = np.zeros(documents, bool)
    near_one_that_stays[low[stays[high]]] = True
    near_one_that_stays[high[stays[low]]] = True
    deleted = ~stays
    return {
        "kept": int(stays.sum()),
        "similar pairs": int(right.size),
        "found": round(float((deleted[low] | deleted[high]).mean()), 4),
        "deleted rightly": round(float(near_one_that_stays[deleted].mean()), 4),
    }


def ask_datatrove(python: str, corpus: Path, documents: int, words: str) -> dict[str, Any]:
    """CPU seconds of its stages, and what it kept."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, str(PEER), str(corpus), f"{folder}/work", str(documents), words]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def beside_datatrove(corpus: Path, python: str, documents: int, ours_ms: float) -> dict[str, Any]:
    """Cost a document, and quality over the first documents of the corpus."""
    first = pq.read_table(min(corpus.glob("*.parquet"))).slice(0, documents)
    right = similar_pairs(first["text"].to_pylist(), THRESHOLD)
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(first, f"{folder}/part.parquet", compression="zstd", row_group_size=2000)
        seconds, kept = dedup(f"{folder}/part.parquet")
    told = {
        "ours": {
            "ms_per_document": round(1000 * seconds / first.num_rows, 4),
            **quality(right, first.num_rows, numbers(kept)),
        }
    }
    for words in ("default", "split"):
        said = ask_datatrove(python, corpus, documents, words)
        ms = 1000 * sum(said["cpu_s"].values()) / said["documents"]
        told[f"datatrove, {words} words"] = {
            "version": said["version"],
            "cpu_s": {name: round(value, 2) for name, value in said["cpu_s"].items()},
            "ms_per_document": round(ms, 3),
            "times ours over the whole corpus": round(ms / ours_ms, 1),
            "target": TARGET if words == "default" else None,
            **quality(right, said["documents"], np.array([int(i) for i in said["kept"]])),
        }
    return {"first documents": first.num_rows, **told}


def whole(args: argparse.Namespace) -> dict[str, Any]:
    """Speed, and what was found."""
    small_run(args.corpus)
    seconds, kept = dedup(f"{args.corpus}/*.parquet")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    raw_seconds, _ = dedup(f"{args.corpus}/*.parquet", "none")
    parts = sorted(args.corpus.glob("*.parquet"))
    copying = time.process_time()
    for part in parts:
        with tempfile.TemporaryFile() as file:
            pq.write_table(pq.read_table(part, columns=["text"]), file, compression="zstd")
    copying = time.process_time() - copying
    texts = pa.chunked_array([c for part in parts for c in pq.read_table(part)["text"].chunks])
    ms = 1000 * seconds / len(texts)
    told = {
        "documents": len(texts),
        "megabytes": round(texts.nbytes / 1e6, 1),
        "kept": kept.num_rows,
        "exact copies kept": kept.num_rows - pc.count_distinct(kept["text"]).as_py(),
        "found": found_by_similarity(args.corpus / "truth.jsonl", texts, numbers(kept)),
        "cpu_s": round(seconds, 2),
        "ms_per_document": round(ms, 4),
        "ms_per_document with store_compression: none": round(1000 * raw_seconds / len(texts), 4),
        "of which reading and writing Parquet without the engine": round(1000 * copying / len(texts), 4),
        "megabytes_per_cpu_s": round(texts.nbytes / seconds / 1e6, 1),
        "peak_rss_mb": peak,
    }
    if args.peer_python:
        told |= beside_datatrove(args.corpus, args.peer_python, args.peer_documents, ms)
    return told


def peak_of(documents: int, where: str) -> dict[str, Any]:
    """Peak memory of one process that deduplicates this many short documents."""
    with tempfile.TemporaryDirectory(dir=where) as folder:
        size = write_short_documents(Path(folder), documents)
        code = f"from benchmarks.minhash_whole import short; short({folder!r})"
        environment = {**os.environ, "TMPDIR": folder}  # where the run's store goes
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
        )
    return {
        "documents": documents,
        "megabytes": round(size / 1e6, 1),
        **json.loads(done.stdout.splitlines()[-1]),
    }


def short(folder: str) -> None:
    """The child of `peak_of`."""
    with tempfile.TemporaryDirectory() as out:
        text = CONFIG.format(out=out, paths=f"{folder}/*.parquet", compression="lz4")
        start = time.process_time()
        result = run(parse(text, "whole.yaml"), registry=discover(), executor=LocalExecutor())
        seconds = time.process_time() - start
        store = sum(f.stat().st_size for f in Path(out).rglob("*") if f.is_file())
    near = next(n["total"] for n in result.report["nodes"] if n["node"] == "near")
    told = {
        "fell": sum(near["rejected"].values()),
        "cpu_s": round(seconds, 1),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "disk_mb": round(store / 1e6),
        "tasks": result.executed,
    }
    print(json.dumps(told))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--peer-python")
    parser.add_argument("--peer-documents", type=int, default=3000)
    parser.add_argument("--documents", type=int, nargs="+")
    parser.add_argument("--folder", default=tempfile.gettempdir())
    args = parser.parse_args()
    told: dict[str, Any] = {
        "versions": {name: version(name) for name in ("numba", "numpy", "pyarrow")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    if args.corpus:
        told |= whole(args)
    if args.documents:
        told["memory"] = [peak_of(documents, args.folder) for documents in args.documents]
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
