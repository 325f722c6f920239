"""Search for benchmark items, text a CPU second: the bundled benchmarks, 10^4 to 10^6 made items, beside datatrove.

    python -m benchmarks.decontamination CORPUS [--data FOLDER] [--peer-python PYTHON_WITH_DATATROVE]

CORPUS is a folder that benchmarks.dedup_corpus made. Ours reads its first hundred megabytes in batches of a thousand
documents; datatrove (see benchmarks/peers/datatrove_decontamination.py) the first megabyte and a half. Rounds take
every candidate in turn; the best of each counts. Building an index is told apart, in a process of its own, as is
the scan with each size, so that peak memory is theirs (of a scan it has the mapped index in it).
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.schema import BENCHMARK, ITEM, ITEM_PARTS
from stages.decontamination._index import BenchmarkIndex, read_index
from stages.decontamination._matches import find_matches
from stages.decontamination.build_index import BuildNgramIndex
from stages.decontamination.decontaminate import Decontaminate
from stages.sources.benchmark import ReadBenchmark

PEER = Path(__file__).parent / "peers" / "datatrove_decontamination.py"
BENCHMARKS: dict[str, list[str]] = {
    "gsm8k": ["gsm8k/test.jsonl", "gsm8k/train.jsonl.gz"],
    "humaneval": ["humaneval/HumanEval.jsonl.gz"],
    "mbpp": ["mbpp/mbpp.jsonl"],
    "mmlu": ["mmlu/test"],
    "truthfulqa": ["truthfulqa/TruthfulQA.csv"],
    "bbh": ["bbh"],
    "arc": ["llmfoundry/arc_easy.jsonl"],
    "openbookqa": ["llmfoundry/openbook_qa.jsonl"],
    "commonsense_qa": ["llmfoundry/commonsense_qa.jsonl"],
}
NGRAM_13: dict[str, Any] = {"kind": "ngram", "n": 13}
DEFAULTS = [NGRAM_13, {"kind": "short"}]
FIVE = [
    NGRAM_13,
    {"kind": "ngram", "n": 8},
    {"kind": "coverage"},
    {"kind": "longest_span"},
    {"kind": "short"},
]
BATCH, MEGABYTES, PEER_MEGABYTES, ROUNDS = 1000, 100, 1.5, 3
QUESTION_WORDS, ANSWER_WORDS = 35, 15  # of a made item
LONG, PLANTED = 13, 200
TARGET = 120
ITEMS = pa.schema([BENCHMARK, ITEM, ITEM_PARTS])


def read_corpus(folder: Path, megabytes: float) -> list[pa.RecordBatch]:
    """The first documents, in batches."""
    batches: list[pa.RecordBatch] = []
    size = 0
    for part in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(part).iter_batches(BATCH, columns=["text"]):
            if size >= megabytes * 1e6:
                return batches
            text = batch["text"].cast(pa.large_string())
            batches.append(pa.record_batch({"text": text}))
            size += pc.sum(pc.binary_length(text)).as_py()
    return batches


def text_megabytes(batches: Sequence[pa.RecordBatch]) -> float:
    """UTF-8."""
    return float(sum(pc.sum(pc.binary_length(batch["text"])).as_py() for batch in batches)) / 1e6


def bundled(base: Path) -> list[pa.Table]:
    """The items of each benchmark."""
    tables = []
    for name, paths in BENCHMARKS.items():
        source = ReadBenchmark(benchmark=name, paths=[str(base / "bench" / path) for path in paths])
        tables.append(
            pa.Table.from_batches(source.read(next(iter(source.split())), None)).select(ITEMS.names)
        )
    return tables


def made(count: int, words: np.ndarray) -> Iterator[pa.RecordBatch]:
    """Items of 50 words each, words by a Zipf law in the order in which the corpus has them."""
    chances = 1 / np.arange(1, len(words) + 1)
    chances /= chances.sum()
    rng = np.random.default_rng(0)
    for first in range(0, count, 50_000):
        rows = min(50_000, count - first)
        drawn = words[rng.choice(len(words), (rows, QUESTION_WORDS + ANSWER_WORDS), p=chances)].tolist()
        texts = [" ".join(part) for own in drawn for part in (own[:QUESTION_WORDS], own[QUESTION_WORDS:])]
        kinds = pa.array(["question", "answer"] * rows)
        parts = pa.StructArray.from_arrays([kinds, pa.array(texts, pa.large_string())], ["part", "text"])
        places = pa.array(np.arange(0, 2 * rows + 1, 2), pa.int32())
        ids = pa.array([str(first + k) for k in range(rows)])
        columns = [pa.array(["made"] * rows), ids, pa.ListArray.from_arrays(places, parts)]
        yield pa.record_batch(columns, names=ITEMS.names).cast(ITEMS)


def write_made(path: Path, count: int, batches: Sequence[pa.RecordBatch]) -> None:
    """Made items as a file, so that making them is no part of building."""
    seen: Counter[str] = Counter()
    for batch in batches[:5]:
        for text in batch["text"].to_pylist():
            seen.update(word for word in text.lower().split() if word.isalpha())
    words = np.array(sorted(seen, key=lambda word: (-seen[word], word)), dtype=object)
    with pq.ParquetWriter(path, ITEMS) as writer:
        for batch in made(count, words):
            writer.write_batch(batch)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def peak_mb() -> int:
    """Of this process, so far; ru_maxrss of a child begins at its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def build_index(parts: Sequence[Path], folder: Path) -> dict[str, Any]:
    """An index of item files, a partition each; its costs and facts."""
    stage, loaded = BuildNgramIndex(), peak_mb()

    def run() -> None:
        shards = []
        for number, part in enumerate(parts):
            own = folder / f"part-{number}"
            own.mkdir(parents=True)
            info = stage.write(pq.ParquetFile(part).iter_batches(10_000), own, None)
            for name in info.files:
                (own / name).rename(folder / f"{number:05d}-{name}")
            own.rmdir()
            shards.append(info._replace(files=[f"{number:05d}-{name}" for name in info.files]))
        stage.commit(shards, folder, None)
        for partial in folder.glob("0*-*"):
            partial.unlink()

    cpu = cpu_seconds(run)
    meta = read_index(folder).meta
    facts = {name: meta[name] for name in ("items", "texts", "seeds", "boilerplate_seeds", "not_findable")}
    disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    return {
        **facts,
        "disk_mb": round(disk, 1),
        "build_cpu_s": round(cpu, 1),
        "build_peak_mb": peak_mb(),
        "of_which_imports_mb": loaded,
    }


def our_ways(batches: Sequence[pa.RecordBatch], folder: Path) -> dict[str, Callable[[], object]]:
    """What is timed of ours; kernels are loaded."""
    index: BenchmarkIndex = read_index(folder)

    def stage(*definitions: dict[str, Any]) -> Callable[[], object]:
        own = Decontaminate.model_validate({"definitions": list(definitions)})
        resource = own.open({"index": folder})
        own.annotate(batches[0], resource)
        return lambda: [own.annotate(batch, resource) for batch in batches] and None

    find_matches(batches[0]["text"], index)
    return {
        "find_matches": lambda: [find_matches(batch["text"], index) for batch in batches] and None,
        "ngram_13": stage(NGRAM_13),
        "five definitions": stage(*FIVE),
    }


def scan(corpus: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """The best rates with one index, and the peak."""
    batches = read_corpus(corpus, MEGABYTES)
    size, before = text_megabytes(batches), peak_mb()
    work = our_ways(batches, folder)
    times = [{name: cpu_seconds(run) for name, run in work.items()} for _ in range(rounds)]
    best = {name: round(size / min(each[name] for each in times), 1) for name in work}
    return {
        "mb_per_cpu_s": best,
        "scan_peak_mb": peak_mb(),
        "of_which_documents_and_imports_mb": before,
        "documents_rejected": {
            "ngram_13 and short": sum(
                sum(found_by_ours(folder, batch["text"], DEFAULTS)) for batch in batches
            ),
            "five definitions": sum(sum(found_by_ours(folder, batch["text"], FIVE)) for batch in batches),
        },
    }


def apart(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """Run in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def peer_items(tables: Sequence[pa.Table]) -> list[dict[str, Any]]:
    """Task, query and labels of each item, as datatrove's indexer takes them."""
    found = []
    for table in tables:
        for row in table.to_pylist():
            texts: dict[str, list[str]] = {}
            for part in row["item_parts"]:
                texts.setdefault(part["part"], []).append(part["text"])
            query = "\n".join([*texts.get("passage", []), texts["question"][0]])
            labels = [*texts.get("solution", []), *texts.get("answer", [])]
            found.append({"task": row["benchmark"], "query": query, "labels": labels})
    return found


def plant(items: Sequence[dict[str, Any]], texts: Sequence[str]) -> dict[str, list[str]]:
    """Questions with and without their first answer, as lines in the middle of documents that have no item."""
    rng = np.random.default_rng(0)
    groups: dict[str, list[str]] = {}
    for kind in ("long", "short"):
        own = [each for each in items if (len(each["query"].split()) >= LONG) == (kind == "long")]
        chosen = [own[k] for k in rng.choice(len(own), PLANTED, replace=False)]
        for form in ("question", "question and answer"):
            planted = []
            for number, each in enumerate(chosen):
                lines = [each["query"], *(each["labels"][:1] if form != "question" else [])]
                text = texts[number % len(texts)]
                middle = text.find(" ", len(text) // 2)
                planted.append("\n\n".join([text[:middle], "\n".join(lines), text[middle:]]))
            groups[f"{kind} {form}"] = planted
    return groups


def found_by_ours(
    folder: Path, texts: Sequence[str] | pa.Array, definitions: Sequence[dict[str, Any]]
) -> list[bool]:
    """Whether each text is rejected."""
    stage = Decontaminate.model_validate({"definitions": definitions})
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    marks = stage.annotate(batch, stage.open({"index": folder}))
    assert marks.reject is not None
    return [reason is not None for reason in marks.reject.to_pylist()]


def beside_datatrove(
    python: str, corpus: Path, index: Path, items: Sequence[dict[str, Any]], room: Path, rounds: int
) -> dict[str, Any]:
    """Rates on the same benchmarks and documents, in turn; and what each finds of planted items."""
    texts: list[str] = []
    for batch in read_corpus(corpus, PEER_MEGABYTES):
        texts += batch["text"].to_pylist()
    while sum(len(text.encode()) for text in texts) > PEER_MEGABYTES * 1e6:
        texts.pop()
    groups = plant(items, texts)
    planted = [text for own in groups.values() for text in own]
    for name, values in (("items", items), ("texts", texts), ("planted", planted)):
        lines = [json.dumps(value) + "\n" for value in values]
        (room / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    batches = read_corpus(corpus, MEGABYTES)
    size, work = text_megabytes(batches), our_ways(batches, index)
    told: list[dict[str, Any]] = []
    ours: list[dict[str, float]] = []
    for _ in range(rounds):
        ours.append({name: size / cpu_seconds(run) for name, run in work.items()})
        run = subprocess.run([python, str(PEER), str(room)], check=True, capture_output=True, text=True)
        told.append(json.loads(run.stdout.splitlines()[-1]))
    best = {name: max(each[name] for each in ours) for name in work}
    peers = {name: max(t["ways"][name]["mb_per_cpu_s"] for t in told) for name in told[0]["ways"]}
    first = told[0]["ways"]
    found = {name: way.pop("planted") for name, way in first.items() if "split" not in name}
    found["ours, ngram_13"] = found_by_ours(index, planted, [NGRAM_13])
    found["ours, ngram_13 and short"] = found_by_ours(index, planted, DEFAULTS)
    shares = {
        name: {group: sum(own[k * PLANTED : (k + 1) * PLANTED]) / PLANTED for k, group in enumerate(groups)}
        for name, own in found.items()
    }
    return {
        "mb_per_cpu_s": {name: round(rate, 2) for name, rate in {**best, **peers}.items()},
        "times": {
            f"{own} to {peer}": round(best[own] / peers[peer])
            for own in ("ngram_13", "five definitions")
            for peer in peers
        },
        "index of datatrove": {
            name: {k: way.get(k) for k in ("hashes", "build_cpu_s")} for name, way in first.items()
        },
        "found of planted": shares,
        "documents without planted items": {
            "documents": len(texts),
            **{name: way["flagged"] for name, way in first.items()},
            "ours, ngram_13 and short": sum(found_by_ours(index, texts, DEFAULTS)),
        },
        "versions": told[0]["versions"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", type=Path)
    data = os.environ.get("CORPUSMILL_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(data), help="folder that has bench/")
    parser.add_argument("--peer-python")
    parser.add_argument("--items", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args()
    batches = read_corpus(args.corpus, MEGABYTES)
    told: dict[str, Any] = {
        "documents": sum(batch.num_rows for batch in batches),
        "megabytes": round(text_megabytes(batches), 1),
        "target_mb_per_cpu_s": TARGET,
    }
    with tempfile.TemporaryDirectory() as temporary:
        room = Path(temporary)
        tables: list[pa.Table] = []
        reading = cpu_seconds(lambda: tables.extend(bundled(args.data)))
        parts = [room / f"{name}.parquet" for name in BENCHMARKS]
        for part, table in zip(parts, tables, strict=True):
            pq.write_table(table, part)
        index = room / "bundled"
        told["bundled benchmarks"] = {
            "read_cpu_s": round(reading, 1),
            **apart(build_index, parts, index),
            **apart(scan, args.corpus, index, args.rounds),
        }
        if args.peer_python:
            told["datatrove"] = beside_datatrove(
                args.peer_python, args.corpus, index, peer_items(tables), room, args.rounds
            )
        for count in args.items:
            write_made(room / "made.parquet", count, batches)
            folder = room / f"made-{count}"
            told[f"{count} made items"] = {
                **apart(build_index, [room / "made.parquet"], folder),
                **apart(scan, args.corpus, folder, args.rounds),
            }
    told["versions"] = {name: version(name) for name in ("numba", "numpy", "pyarrow")}
    told["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
