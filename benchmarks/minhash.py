"""MinHash signatures a CPU second, words and shingles included, beside datatrove, datasketch and rensa; one run.

    python -m benchmarks.minhash CORPUS [--peer-python PYTHON_WITH_THE_PEERS]

CORPUS is a folder that benchmarks.dedup_corpus made: documents of about 2.6 KB. Ours signs all of them, the peers (see
benchmarks/peers/minhash_signatures.py) the first few hundred or thousand of the same. 112 MinHashes over runs of five
words. Rounds take every candidate in turn; the best of each counts. `words and shingles alone` is our kernel without
permutations: it reads the text, hashes words and rolls shingles into the same scratch room.
"""

import argparse
import gzip
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numba import njit

from stages.dedup._minhash import shingle_sets, sign_texts
from stages.dedup._minhash_kernels import fold_bands
from stages.kernels.buffers import text_buffers
from stages.kernels.words import Alphabet, bound_words, roll_shingles, scan_words, word_alphabet

FILES = ("nltk_gutenberg", "nltk_inaugural", "nltk_state_union", "rust_rfcs_sample")
CHARS = 2600
ROUNDS = 3
BANDS, ROWS_PER_BAND, N = 14, 8, 5
NUM_PERM = BANDS * ROWS_PER_BAND
PEER = Path(__file__).parent / "peers" / "minhash_signatures.py"
PEER_DOCUMENTS = {
    "datatrove": 300,
    "datatrove split": 1000,
    "datasketch": 400,
    "datasketch bulk": 2000,
    "rensa": 2000,
    "rensa batch": 2000,
    "rensa circulant": 2000,
    "rensa 128": 2000,
    "rensa rho": 2000,
}
TARGETS = {"datatrove": 400, "datatrove split": 50, "datasketch": 60, "datasketch bulk": 15, "rensa": 15}
ALONE, MOST_TIMES_ALONE = "words and shingles alone", 1.6


def documents(base: Path) -> list[str]:
    """Stretches of real English texts, for benchmarks that need no duplicates."""
    found = []
    for name in FILES:
        with gzip.open(base / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            for line in file:
                text = json.loads(line)["text"]
                found += [text[i : i + CHARS] for i in range(0, len(text) - CHARS, CHARS)]
    return found


@njit(cache=True, nogil=True)
def _shingle_rows(data, offsets, kinds, folded, quick, gaps, n):
    """A sum of all shingles, so that none can be left out."""
    words, shingles = np.empty(1 << 16, np.uint64), np.empty(1 << 16, np.uint64)
    nowhere = np.empty(0, np.int64)
    total = np.uint64(0)
    for row in range(offsets.size - 1):
        if offsets[row + 1] - offsets[row] > words.size:  # as the signing kernel does
            bound = bound_words(data, offsets[row], offsets[row + 1], kinds, gaps)
            words, shingles = np.empty(bound, np.uint64), np.empty(bound, np.uint64)
        found = scan_words(
            data, offsets[row], offsets[row + 1], kinds, folded, quick, gaps, words, nowhere, nowhere
        )
        for i in range(roll_shingles(words, found, n, shingles)):
            total += shingles[i]
    return total


def shingle_alone(column: pa.Array, alphabet: Alphabet) -> np.uint64:
    """What signing costs before a permutation is computed."""
    return _shingle_rows(*text_buffers(column), *alphabet, N)  # type: ignore[no-any-return]


def our_ways(column: pa.Array) -> dict[str, Callable[[], object]]:
    """What is timed of ours, over the whole corpus; kernels are loaded."""
    alphabet = word_alphabet(signs=True)
    few = column.slice(0, 1000)

    def signing(texts: pa.Array, scheme: Any) -> np.ndarray:
        return sign_texts(texts, alphabet, N, NUM_PERM, 1, scheme)[0]

    signatures = signing(column, "affine")
    shingle_alone(few, alphabet), shingle_sets(few, alphabet, N), fold_bands(signatures[:2], BANDS)
    for scheme in ("datasketch", "datasketch_legacy"):
        signing(few, scheme)
    return {
        "signatures": lambda: signing(column, "affine"),
        "signatures, scheme datasketch": lambda: signing(column, "datasketch"),
        "signatures, scheme datasketch_legacy": lambda: signing(column, "datasketch_legacy"),
        ALONE: lambda: shingle_alone(column, alphabet),
        "band keys": lambda: fold_bands(signatures, BANDS),
        "shingle sets": lambda: shingle_sets(column, alphabet, N),
    }


def cpu_seconds(work: Callable[[], object]) -> float:
    """Of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ask_peers(python: str, part: Path) -> dict[str, Any]:
    """One round of the peers."""
    sizes = [f"{name}={count}" for name, count in PEER_DOCUMENTS.items()]
    run = subprocess.run([python, str(PEER), str(part), *sizes], check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return told


def ratios(best: dict[str, float]) -> dict[str, Any]:
    """Ours to each peer, beside its target where it has one, and to words and shingles alone."""
    times = {
        name: {"times": round(best["signatures"] / best[name], 1), "target": TARGETS.get(name)}
        for name in PEER_DOCUMENTS
        if name in best
    }
    alone = {"times the cost": round(best[ALONE] / best["signatures"], 2), "target": MOST_TIMES_ALONE}
    return {**times, ALONE: alone}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args()
    parts = sorted(args.corpus.glob("*.parquet"))
    column = pa.concat_arrays([c for part in parts for c in pq.read_table(part)["text"].chunks])
    work = our_ways(column)
    rounds: list[dict[str, float]] = []
    versions = {name: version(name) for name in ("numba", "numpy", "pyarrow")}
    for _ in range(args.rounds):
        ours = {name: len(column) / cpu_seconds(run) for name, run in work.items()}
        peers = ask_peers(args.peer_python, parts[0])
        rounds.append({**ours, **peers["documents_per_cpu_s"]})
        versions |= peers["versions"]
    best = {name: max(r[name] for r in rounds) for name in rounds[0]}
    megabytes = sum(pq.read_table(p)["text"].nbytes for p in parts) / 1e6
    told = {
        "documents": len(column),
        "megabytes": round(megabytes, 1),
        "num_perm": NUM_PERM,
        "documents_per_cpu_s": {name: round(value) for name, value in best.items()},
        "every round": {name: [round(r[name]) for r in rounds] for name in best},
        "megabytes_per_cpu_s": round(best["signatures"] * megabytes / len(column), 1),
        "signatures": ratios(best),
        "documents of peers": PEER_DOCUMENTS,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "versions": versions,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
