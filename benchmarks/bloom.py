"""Bloom filters of n-grams a CPU second, tokenizing included: building, asking, repeats; beside plain Python.

    python -m benchmarks.bloom            # JSON on stdout

Documents are stretches of about 2.6 KB of real English texts (set CORPUSMILL_DATA to the folder that has them),
13-word n-grams, a false positive rate of 0.01. `python` is the plain way: str.lower().split(), n-grams joined to
strings, xxh3-128 as two hashes for k places in a bytearray (Kirsch, Mitzenmacher 2006). Candidates run in turn; the
best of three rounds is taken; Python sees fewer documents, because it is slow.
"""

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import xxhash

from benchmarks.minhash import documents
from stages.dedup._bloom import measure_filter, read_filter
from stages.dedup.bloom import BloomDedup
from stages.dedup.build_bloom import BuildBloomFilter
from stages.dedup.ngram import NgramDedup

ROUNDS = 3
COPIES = 6  # of the texts, with words in between that make each another
SLOW = 400  # documents for Python
N, RATE = 13, 0.01


class PythonBloom:
    """A classic filter in a bytearray."""

    def __init__(self, places: int, bits: int) -> None:
        self.places, self.bits, self.data = places, bits, bytearray(places // 8 + 1)

    def spots(self, gram: str) -> list[int]:
        """The places of an n-gram."""
        h = xxhash.xxh3_128_intdigest(gram.encode())
        a, b = h >> 64, h & 0xFFFFFFFFFFFFFFFF | 1
        return [(a + i * b) % self.places for i in range(self.bits)]

    def add(self, text: str) -> None:
        """Put in what a document has."""
        for gram in ngrams(text):
            for spot in self.spots(gram):
                self.data[spot >> 3] |= 1 << (spot & 7)

    def share(self, text: str) -> float:
        """How much of a document is in."""
        grams = ngrams(text)
        return sum(all(self.data[s >> 3] >> (s & 7) & 1 for s in self.spots(g)) for g in grams) / max(
            1, len(grams)
        )


def ngrams(text: str) -> list[str]:
    words = text.lower().split()
    return [" ".join(words[i : i + N]) for i in range(max(1, len(words) - N + 1))]


def mixed(texts: list[str]) -> list[str]:
    """Documents with few n-grams in common: every eighth word of each copy is followed by one of its own."""
    made = []
    for copy in range(COPIES):
        for number, text in enumerate(texts):
            words = text.split(" ")
            for k in range(0, len(words), 8):
                words[k] += f" {copy}x{(number * 31 + k) % 997}"
            made.append(" ".join(words))
    return made


def built(sink: BuildBloomFilter, batches: list[pa.RecordBatch], folder: Path) -> Path:
    """Two partitions and their merge."""
    half = len(batches) // 2
    shards = []
    for number, part in enumerate((batches[:half], batches[half:])):
        own = folder / str(number)
        own.mkdir()
        info = sink.write(iter(part), own, None)
        names = [(own / name).rename(folder / f"{number:05d}-{name}").name for name in info.files]
        shards.append(info._replace(files=names))
    sink.commit(shards, folder, None)
    return folder


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    base = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    texts = mixed(documents(base))
    rows = len(texts)
    batch = pa.record_batch(
        {
            "id": pa.array([f"web/file#{i:08d}" for i in range(rows)]),
            "source": pa.array(["web"] * rows).dictionary_encode(),
            "text": pa.array(
                [texts[i - 7] if i % 10 == 9 else t for i, t in enumerate(texts)], pa.large_string()
            ),
        }
    )
    batches = [batch.slice(at, 1000) for at in range(0, rows, 1000)]
    megabytes = batch["text"].nbytes / 1e6 / rows
    expected = int(sum(len(t.split()) for t in texts) * 1.02)
    sink = BuildBloomFilter(expected_ngrams=expected, false_positive_rate=RATE, n=N)
    both = BuildBloomFilter(expected_ngrams=expected, false_positive_rate=RATE, n=N, repeated=True)
    slow = texts[:SLOW]
    python = PythonBloom(10 * sum(len(t.split()) for t in slow), 7)
    empty = pa.table({"row": pa.array([], pa.int64())})
    with tempfile.TemporaryDirectory() as scratch:
        runs = iter(range(1000))

        def fresh() -> Path:
            folder = Path(scratch) / str(next(runs))
            folder.mkdir()
            return folder

        bloom = BloomDedup().open({"filter": built(sink, batches, fresh())})
        repeated = read_filter(built(both, batches, fresh()))
        stage, ngram = BloomDedup(), NgramDedup(n=N)
        for warm in (repeated, None):
            ngram.emit(batch.slice(0, 2), warm, 0, empty)
        stage.annotate(batch.slice(0, 2), bloom)
        work: dict[str, tuple[int, Callable[[], object]]] = {
            "build": (rows, lambda: built(sink, batches, fresh())),
            "build, repeated": (rows, lambda: built(both, batches, fresh())),
            "ask": (rows, lambda: [stage.annotate(b, bloom) for b in batches]),
            "ngram_dedup: emit with a filter": (
                rows,
                lambda: [ngram.emit(b, repeated, 0, empty) for b in batches],
            ),
            "ngram_dedup: emit without": (rows, lambda: [ngram.emit(b, None, 0, empty) for b in batches]),
            "python: build": (len(slow), lambda: [python.add(t) for t in slow]),
            "python: ask": (len(slow), lambda: [python.share(t) for t in slow]),
        }
        rounds = [
            {name: count / cpu_seconds(run) for name, (count, run) in work.items()} for _ in range(ROUNDS)
        ]
        best = {name: max(r[name] for r in rounds) for name in work}
        measured = measure_filter(bloom.words, bloom.size)
        exchanged = {
            name: sum(ngram.emit(b, resource, 0, empty).num_rows for b in batches)
            for name, resource in (("with a filter", repeated), ("without", None))
        }
    print(
        json.dumps(
            {
                "documents": rows,
                "mean_bytes": round(megabytes * 1e6, 1),
                "filter_mb": round(sink.size.bytes / 1e6, 1),
                "distinct_ngrams": round(measured.distinct),
                "false_positive_rate": {
                    "exact": measured.rate,
                    "probed": measured.probed_rate,
                    "promised": RATE,
                },
                "documents_per_cpu_s": {name: round(value) for name, value in best.items()},
                "mb_per_cpu_s": {name: round(value * megabytes, 1) for name, value in best.items()},
                "ratio_to_python": {
                    name: round(best[name] / best[f"python: {name}"], 1) for name in ("build", "ask")
                },
                "rows_exchanged_by_ngram_dedup": exchanged,
                "versions": {name: version(name) for name in ("numba", "numpy", "pyarrow", "xxhash")},
                "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
