"""What do packing and writing cost a token? Prints JSON.

    python -m benchmarks.packing [--tokens 16] [--repeats 5] [--vocab 50000] [--labels]

Batches as `tokenize` makes them, of documents whose lengths are log-normal. CPU seconds of this process; the ways to
pack take turns, and the least of the repeats counts. Every batch is made anew while the sink waits for it, as in a
run: a sink that holds on to old batches makes the next ones dearer. `making_ns`, what that costs alone, is subtracted.
`sha256_ns` and `copy_ns` are the floor: hashing and writing as many bytes of ids, and nothing else. `rows_full` is
tokens over rows times seq_len.
"""

import argparse
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from pipeline.schema import ID, INPUT_IDS, LABELS, TOKEN_ENDS
from shards.format import TokenizerInfo, id_dtype
from stages.sinks._tokens import Opened
from stages.sinks.token_shards import WriteTokenShards

T = TypeVar("T")
SHA256 = "0" * 64
BATCH_TOKENS = 200_000  # of a batch, about what 1 MB of text has
SINKS = {
    "concat": WriteTokenShards(seq_len=2048),
    "best_fit": WriteTokenShards(seq_len=2048, packing="best_fit"),
    "none": WriteTokenShards(seq_len=2048, packing="none"),
    "whole documents": WriteTokenShards(seq_len=None, packing="none"),
}


def make_batches(tokens: int, vocab: int, labels: bool) -> list[pa.RecordBatch]:
    """Batches of documents, the median of whose lengths is 400 tokens; the same in every run."""
    rng = np.random.default_rng(11)
    made: list[pa.RecordBatch] = []
    total = 0
    while total < tokens:
        lengths = np.minimum(rng.lognormal(6.0, 1.2, BATCH_TOKENS // 800).astype(np.int64) + 1, 1 << 16)
        made.append(make_batch(rng, lengths, vocab, labels, len(made)))
        total += int(lengths.sum())
    return made


def make_batch(
    rng: np.random.Generator, lengths: np.ndarray, vocab: int, labels: bool, number: int
) -> pa.RecordBatch:
    """Random ids; every token covers four code points."""
    offsets = pa.array(np.append(0, np.cumsum(lengths)))
    size = int(lengths.sum())
    ids = rng.integers(0, vocab, size, np.uint32)
    within = np.arange(size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    zeros = pa.array(np.zeros(len(lengths), np.int32))
    columns = {
        ID.name: pa.array([f"bench/{number:05d}#{k}" for k in range(len(lengths))]),
        INPUT_IDS.name: pa.LargeListArray.from_arrays(offsets, ids),
        TOKEN_ENDS.name: pa.LargeListArray.from_arrays(offsets, (4 * within + 4).astype(np.uint32)),
        "tokenizer": pa.DictionaryArray.from_arrays(zeros, pa.array([SHA256])),
    }
    if labels:
        columns[LABELS.name] = pa.LargeListArray.from_arrays(offsets, ids.astype(np.int64))
    return pa.record_batch(columns)


def made_anew(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches with new buffers, each when it is asked for."""
    for batch in batches:
        columns = {name: batch.column(name) for name in batch.schema.names}
        for name, column in columns.items():
            if pa.types.is_large_list(column.type):
                values = column.values.to_numpy().copy()
                columns[name] = pa.LargeListArray.from_arrays(column.offsets, values)
        yield pa.record_batch(columns)


def make_all(batches: list[pa.RecordBatch]) -> int:
    """Batches made and let go; returns their rows."""
    return sum(batch.num_rows for batch in made_anew(batches))


def cpu_of(call: Callable[[], T]) -> tuple[float, T]:
    start = time.process_time()
    value = call()
    return time.process_time() - start, value


def floors(tokens: int, dtype: np.dtype, folder: Path) -> dict[str, float]:
    """CPU seconds to hash, and to write, the bytes that these ids have."""
    data = memoryview(np.random.default_rng(0).integers(0, 1 << 16, tokens).astype(dtype).tobytes())
    hashing, _ = cpu_of(lambda: sha256(data).digest())
    with (folder / "copy").open("wb", buffering=0) as file:
        copying, _ = cpu_of(lambda: file.write(data))
    return {"sha256": hashing, "copy": copying}


def write_all(sink: WriteTokenShards, batches: list[pa.RecordBatch], opened: Opened, out: Path) -> int:
    """Rows written."""
    out.mkdir(exist_ok=True)
    info = sink.write(made_anew(batches), out, opened)
    return int(str(info.meta["rows"]))


def measure(
    batches: list[pa.RecordBatch], tokens: int, opened: Opened, repeats: int
) -> tuple[dict[str, float], dict[str, int]]:
    """The least CPU seconds of each way, and its rows."""
    least: dict[str, float] = {}
    rows: dict[str, int] = {}
    dtype = np.dtype(id_dtype(opened.info.vocab_size))
    with tempfile.TemporaryDirectory() as name:
        for sink in SINKS.values():
            write_all(sink, batches[:2], opened, Path(name) / "out")  # compiles what there is to compile
        for _ in range(repeats):
            spent = floors(tokens, dtype, Path(name))
            spent["making"], _ = cpu_of(partial(make_all, batches))
            for way, sink in SINKS.items():
                shutil.rmtree(Path(name) / "out")  # not timed
                write = partial(write_all, sink, batches, opened, Path(name) / "out")
                spent[way], rows[way] = cpu_of(write)
            least = {way: min(seconds, least.get(way, seconds)) for way, seconds in spent.items()}
    return least, rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=float, default=16, help="millions of them")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--vocab", type=int, default=50_000, help="above 65,536 ids have four bytes")
    parser.add_argument("--labels", action="store_true")
    options = parser.parse_args()
    batches = make_batches(int(options.tokens * 1e6), options.vocab, options.labels)
    tokens = sum(len(batch.column("input_ids").flatten()) for batch in batches)
    opened = Opened(Path("tokenizer.json"), TokenizerInfo(SHA256, "tokenizers", options.vocab))
    least, rows = measure(batches, tokens, opened, options.repeats)
    cost = {way: (least[way] - least["making"]) / tokens * 1e9 for way in SINKS}
    result = {
        "tokens": tokens,
        "dtype": id_dtype(options.vocab),
        "labels": options.labels,
        "sha256_ns": round(least["sha256"] / tokens * 1e9, 2),
        "copy_ns": round(least["copy"] / tokens * 1e9, 2),
        "making_ns": round(least["making"] / tokens * 1e9, 2),
        "ways": {
            way: {
                "ns_per_token": round(cost[way], 2),
                "million_tokens_per_cpu_s": round(1e3 / cost[way]),
                "rows": rows[way],
                "rows_full": None if sink.seq_len is None else round(tokens / (rows[way] * sink.seq_len), 4),
            }
            for way, sink in SINKS.items()
        },
        "versions": {"pyarrow": pa.__version__, "numpy": np.__version__, "python": platform.python_version()},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
