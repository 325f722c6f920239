"""How fast do shards become batches, and how long does a loader take to be ready? Prints JSON.

    python -m benchmarks.loader [--tokens 64] [--seq-len 1024] [--batch 8] [--peers /path/to/peer/python]

The same random tokens (documents of 700 on average) lie in our shards, in MDS, as Megatron's .bin/.idx and as one
numpy array. Each loader reads them whole in a process of its own, without workers, from a warm page cache, in turns;
the best of the rounds counts, in CPU seconds. Ours is measured by the columns that it makes. Peers need a Python with
mosaicml-streaming, megatron-core, datasets and torch; those that are missing are named.
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
from pathlib import Path

import numpy as np
import pyarrow as pa

from shards.format import (
    PIECE_TYPE,
    Manifest,
    ShardFile,
    TokenizerInfo,
    file_sha256,
    row_schema,
    write_folder,
)
from shards.loader import TokenShards
from shards.mixture import Mixture

VOCAB, DOCUMENT, BATCH_TOKENS = 50_000, 700, 1 << 20
COLUMNS = {
    "ids": ("input_ids",),
    "ids_labels": ("input_ids", "labels"),
    "ids_labels_positions": ("input_ids", "labels", "position_ids"),
    "all": ("input_ids", "attention_mask", "position_ids", "labels", "rows"),
}


def record_batch(ids: np.ndarray, seq_len: int, rng: np.random.Generator) -> pa.RecordBatch:
    size = len(ids)
    cuts = np.concatenate([np.arange(0, size + 1, seq_len), rng.integers(0, size, size // DOCUMENT)])
    cuts = np.unique(cuts)
    lengths = pa.array(np.diff(cuts).astype(np.int32))
    offsets = pa.array(np.searchsorted(cuts[:-1] // seq_len, np.arange(size // seq_len + 1)).astype(np.int32))
    zeros = pa.array(np.zeros(len(lengths), np.int64))
    names = pa.array(["web/0#0"] * len(lengths))
    pieces = pa.StructArray.from_arrays([names, zeros, zeros, lengths], fields=list(PIECE_TYPE))
    rows = pa.ListArray.from_arrays(pa.array(np.arange(0, size + 1, seq_len, dtype=np.int32)), pa.array(ids))
    columns = [rows, pa.ListArray.from_arrays(offsets, lengths), pa.ListArray.from_arrays(offsets, pieces)]
    return pa.record_batch(columns, schema=row_schema("uint16", labels=False))


def manifest_of(files: tuple[ShardFile, ...], seq_len: int) -> Manifest:
    return Manifest(
        dtype="uint16",
        seq_len=seq_len,
        packing="concat",
        labels=False,
        rows=sum(file.rows for file in files),
        tokens=sum(file.tokens for file in files),
        documents=1,
        tokenizer=TokenizerInfo("00" * 32, "tokenizers", VOCAB, eos_id=0),
        shards=files,
    )


def write_shards(folder: Path, tokens: np.ndarray, seq_len: int, shards: int) -> None:
    """The rows of `tokens`, of shape (rows, seq_len), in equally large shards."""
    folder.mkdir()
    rng, files = np.random.default_rng(1), []
    step = BATCH_TOKENS // seq_len
    for number, rows in enumerate(np.array_split(tokens, shards)):
        path = folder / f"{number:05d}-shard.arrow"
        schema = row_schema("uint16", labels=False)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for start in range(0, len(rows), step):
                writer.write_batch(record_batch(rows[start : start + step].reshape(-1), seq_len, rng))
        files.append(ShardFile(path.name, len(rows), rows.size, path.stat().st_size, file_sha256(path)))
    write_folder(folder, manifest_of(tuple(files), seq_len))


def ours(folder: Path, batch: int, rounds: int, columns: str, mixture: bool) -> dict[str, object]:
    """One process of ours: CPU seconds of each round."""
    params = {"columns": COLUMNS[columns], "batch": batch, "seq_len": Manifest.load(folder).seq_len}
    data = TokenShards(folder, seed=1, **params)
    if mixture:
        parts = [TokenShards(folder, seed=seed) for seed in (1, 2, 3)]
        data = Mixture(parts, [0.6, 0.3, 0.1], rows=len(data), max_epochs=None, **params)
    seconds, tokens = [], 0
    for _ in range(rounds):
        start, tokens = time.process_time(), 0
        for made in data:
            tokens += made["input_ids"].size
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"cpu_seconds": seconds, "tokens": tokens, "peak_mb": peak}


def resident_mb() -> float:
    """Memory that the process has now, mapped pages included (Linux; 0 elsewhere)."""
    status = Path("/proc/self/statm")
    pages = int(status.read_text().split()[1]) if status.exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def start_up(folder: Path) -> dict[str, object]:
    """Seconds until a loader knows its first 1000 rows and which shards they are in, and the memory it took."""
    memory = resident_mb()
    start = time.perf_counter()
    data = TokenShards(folder, seed=1, batch=1000)
    rows = data.order(np.arange(1000))
    shards = np.searchsorted(data.store.first_rows, rows, side="right") - 1
    data.state_dict()
    seconds = time.perf_counter() - start
    grown = resident_mb() - memory
    size = sum(
        path.stat().st_size for path in folder.iterdir() if path.name in ("manifest.json", "index.arrow")
    )
    return {
        "ms": round(1000 * seconds, 2),
        "memory_mb": round(grown, 1),
        "shards_met": len(set(shards.tolist())),
        "list_mb": round(size / 1e6, 2),
    }


def simulate(folder: Path, shards: int) -> None:
    """A folder with a list of so many shards, and none of them."""
    folder.mkdir()
    files = tuple(
        ShardFile(f"{i:07d}-shard.arrow", 65_536, 1 << 26, (1 << 27) + i, f"{i:064x}") for i in range(shards)
    )
    write_folder(folder, manifest_of(files, 1024))


def in_process(python: str, *arguments: object) -> dict[str, object]:
    """The last line that a process prints, as JSON."""
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [python, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1:]}
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def summary(found: list[dict[str, object]]) -> dict[str, object]:
    """The best round of all processes of a loader."""
    first = found[0]
    if "cpu_seconds" not in first:
        return first
    best = min(seconds for one in found for seconds in one["cpu_seconds"])  # type: ignore[attr-defined]
    shown = {name: value for name, value in first.items() if name not in ("cpu_seconds", "tokens")}
    return {"million_tokens_per_cpu_second": round(int(str(first["tokens"])) / best / 1e6, 1), **shown}


def compare(work: Path, arguments: argparse.Namespace) -> dict[str, object]:
    rows = arguments.tokens * 1_000_000 // arguments.seq_len
    tokens = np.random.default_rng(0).integers(0, VOCAB, (rows, arguments.seq_len), np.uint16)
    np.save(work / "tokens.npy", tokens)
    (work / "shape.json").write_text(json.dumps(tokens.shape))
    write_shards(work / "shards", tokens, arguments.seq_len, arguments.shards)
    peers = Path(__file__).parent / "peers" / "loaders.py"
    calls: dict[str, list[object]] = {}
    for name in COLUMNS:
        calls[f"ours_{name}"] = [sys.executable, "-m", "benchmarks.loader", "--ours", name]
    calls["ours_mixture"] = [*calls["ours_ids_labels_positions"], "--mixture"]
    for call in calls.values():
        call += ["--folder", work / "shards", "--batch", arguments.batch]
    if arguments.peers:
        prepared = in_process(arguments.peers, peers, "prepare", work)
        calls |= {
            name: [arguments.peers, peers, "read", name, work, arguments.batch, 1]
            for name in ("mds", "megatron", "datasets", "memmap")
            if prepared.get(name, True) is True
        }
    found: dict[str, list[dict[str, object]]] = {name: [] for name in calls}
    for _ in range(arguments.rounds):
        for name, (python, *call) in calls.items():
            found[name].append(in_process(str(python), *call))
    return {name: summary(results) for name, results in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=64, help="millions")
    parser.add_argument("--seq-len", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", help="a Python that has the peers")
    parser.add_argument("--ours", choices=[*COLUMNS, "start"], help=argparse.SUPPRESS)
    parser.add_argument("--mixture", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours == "start":
        print(json.dumps(start_up(arguments.folder)))
        return
    if arguments.ours:
        print(json.dumps(ours(arguments.folder, arguments.batch, 2, arguments.ours, arguments.mixture)))
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        result = compare(work, arguments)
        for count in (100, 1_000_000):
            simulate(work / str(count), count)
            call = ["-m", "benchmarks.loader", "--ours", "start", "--folder", work / str(count)]
            result[f"start_up_{count}_shards"] = in_process(sys.executable, *call)
    machine = {"python": platform.python_version(), "numpy": np.__version__, "pyarrow": pa.__version__}
    data = {name: getattr(arguments, name) for name in ("tokens", "seq_len", "batch", "shards", "rounds")}
    print(json.dumps({"data": data, **result, "versions": machine}, indent=2))


if __name__ == "__main__":
    main()
