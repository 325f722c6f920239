"""MinHash signatures a CPU second, words and shingles included: our kernel beside datasketch, same texts.

    python -m benchmarks.minhash            # JSON on stdout

Documents are stretches of about 2.6 KB of real English texts (set CORPUSMILL_DATA to the folder that has
them), 112 permutations over 5-word shingles. datasketch gets words from str.lower().split() and joins them to
shingles, the way its users do: `as shipped` updates one shingle at a time with its default hash, `bulk` hands
all shingles of a document to update_batch with a fast hash. The candidates run in turn, and the best of three
rounds is taken; datasketch sees fewer documents, because it is slow. Band keys are timed too.
"""

import gzip
import hashlib
import json
import os
import platform
import resource
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash
from datasketch import MinHash

from stages.dedup._kernels import fold_bands
from stages.dedup.minhash import sign_texts
from stages.kernels.words import hash_words, shingle, word_alphabet

FILES = ("nltk_gutenberg", "nltk_inaugural", "nltk_state_union", "rust_rfcs_sample")
CHARS = 2600
SLOW = 300  # documents for datasketch
ROUNDS = 3
BANDS, ROWS_PER_BAND, N = 14, 8, 5
NUM_PERM = BANDS * ROWS_PER_BAND


def documents(base: Path) -> list[str]:
    found = []
    for name in FILES:
        with gzip.open(base / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            for line in file:
                text = json.loads(line)["text"]
                found += [text[i : i + CHARS] for i in range(0, len(text) - CHARS, CHARS)]
    return found


def shingles(text: str) -> list[bytes]:
    words = text.lower().split()
    return [" ".join(words[i : i + N]).encode() for i in range(len(words) - N + 1)]


def as_shipped(texts: list[str]) -> None:
    for text in texts:
        sketch = MinHash(num_perm=NUM_PERM)
        for each in shingles(text):
            sketch.update(each)


def bulk(texts: list[str]) -> None:
    for text in texts:
        sketch = MinHash(num_perm=NUM_PERM, hashfunc=xxhash.xxh32_intdigest)
        sketch.update_batch(shingles(text))


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    base = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    texts = documents(base)
    column = pa.array(texts, pa.large_string())
    alphabet = word_alphabet(signs=True)
    slow = texts[:: max(1, len(texts) // SLOW)][:SLOW]
    signatures = sign_texts(column, alphabet, N, NUM_PERM, seed=1)[0]  # compiles, and warms the caches
    shingle(hash_words(column.slice(0, 2), alphabet), N)
    fold_bands(signatures[:2], BANDS)
    work: dict[str, tuple[int, Callable[[], object]]] = {
        "signatures": (len(texts), lambda: sign_texts(column, alphabet, N, NUM_PERM, seed=1)),
        "words and shingles only": (len(texts), lambda: shingle(hash_words(column, alphabet), N)),
        "band keys only": (len(texts), lambda: fold_bands(signatures, BANDS)),
        "datasketch as shipped": (len(slow), lambda: as_shipped(slow)),
        "datasketch bulk": (len(slow), lambda: bulk(slow)),
    }
    rounds = [{name: count / cpu_seconds(run) for name, (count, run) in work.items()} for _ in range(ROUNDS)]
    best = {name: max(r[name] for r in rounds) for name in work}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(
        json.dumps(
            {
                "documents": len(texts),
                "mean_bytes": round(float(np.mean([len(t.encode()) for t in texts])), 1),
                "sha256": hashlib.sha256("\0".join(texts).encode()).hexdigest(),
                "num_perm": NUM_PERM,
                "documents_per_cpu_s": {name: round(value) for name, value in best.items()},
                "ratio_to_datasketch": {
                    name: round(best["signatures"] / best[f"datasketch {name}"], 1)
                    for name in ("as shipped", "bulk")
                },
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "versions": {name: version(name) for name in ("datasketch", "numba", "numpy", "pyarrow")},
                "machine": machine,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
