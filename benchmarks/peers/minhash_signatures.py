"""What a MinHash signature costs with datatrove, datasketch and rensa: run by benchmarks/minhash.py.

    python benchmarks/peers/minhash_signatures.py PART.parquet NAME=DOCUMENTS ...

Signs the first DOCUMENTS rows' `text` by each named way, words included, and prints JSON: documents per CPU second of
each way whose package is installed, and versions. All have 112 MinHashes over runs of five words but where said.

- `datatrove`, `datatrove split`: MinhashDedupSignature with its default (spaCy) English words, and with str.split.
- `datasketch`: update() for each shingle, as shipped; `datasketch bulk`: update_batch() with a fast hash.
- `rensa`: RMinHash.update(), a document at a time; `rensa batch`: RMinHash.digest_matrix_from_token_sets(); `rensa
  circulant`: CMinHash.update(); `rensa 128`: batch with 128, which its fastest code wants; `rensa rho`: batch of 128 of
  its bulk filter, which looks at a sample of the shingles, and so is not MinHash.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import pyarrow.parquet as pq

os.environ["RAYON_NUM_THREADS"] = "1"
NUM_PERM, N, BATCH = 112, 5, 1000
Work = Callable[[list[str]], None]


def shingles(text: str) -> list[str]:
    """Runs of words as users of datasketch and rensa make them."""
    words = text.lower().split()
    return [" ".join(words[i : i + N]) for i in range(len(words) - N + 1)]


def encoded(text: str) -> list[bytes]:
    """The same, as bytes."""
    return [shingle.encode() for shingle in shingles(text)]


def datatrove_ways() -> dict[str, Work]:
    """Its first stage without the writing."""
    from datatrove.pipeline.dedup import MinhashConfig, MinhashDedupSignature
    from datatrove.utils.hashing import HashConfig

    config = MinhashConfig(hash_config=HashConfig(hash_fc="xxhash", precision=64), num_buckets=14)

    def signer(split: bool) -> Work:
        stage = MinhashDedupSignature(output_folder=tempfile.mkdtemp(), config=config)
        if split:
            stage.word_tokenizer = Split()
        stage.get_signature(
            stage.get_shingles("its model and permutations load once, before the clock starts")
        )
        return lambda texts: [stage.get_signature(stage.get_shingles(text)) for text in texts] and None

    return {"datatrove": signer(False), "datatrove split": signer(True)}


class Split:
    """Words between white space, for datatrove."""

    def word_tokenize(self, text: str) -> list[str]:
        """One call is all that it needs."""
        return text.split()


def datasketch_ways() -> dict[str, Work]:
    """As shipped and bulk."""
    import xxhash
    from datasketch import MinHash

    def one_by_one(texts: list[str]) -> None:
        for text in texts:
            sketch = MinHash(num_perm=NUM_PERM)
            for shingle in encoded(text):
                sketch.update(shingle)

    def bulk(texts: list[str]) -> None:
        for text in texts:
            sketch = MinHash(num_perm=NUM_PERM, hashfunc=xxhash.xxh32_intdigest)
            sketch.update_batch(encoded(text))

    return {"datasketch": one_by_one, "datasketch bulk": bulk}


def rensa_ways() -> dict[str, Work]:
    """Both sketches one document at a time, and whole batches."""
    from rensa import CMinHash, RMinHash

    def updating(kind: type) -> Work:
        def sign(texts: list[str]) -> None:
            for text in texts:
                sketch = kind(num_perm=NUM_PERM, seed=42)
                sketch.update(shingles(text))
                sketch.digest()

        return sign

    def in_batches(make: Callable[..., object], num_perm: int) -> Work:
        def sign(texts: list[str]) -> None:
            for at in range(0, len(texts), BATCH):
                make([shingles(text) for text in texts[at : at + BATCH]], num_perm=num_perm, seed=42)

        return sign

    plain, rho = RMinHash.digest_matrix_from_token_sets, RMinHash.digest_matrix_from_token_sets_rho
    return {
        "rensa": updating(RMinHash),
        "rensa batch": in_batches(plain, NUM_PERM),
        "rensa circulant": updating(CMinHash),
        "rensa 128": in_batches(plain, 128),
        "rensa rho": in_batches(rho, 128),
    }


def main(part: str, wanted: dict[str, int]) -> None:
    """Each way in turn."""
    texts = pq.ParquetFile(part).read_row_group(0)["text"].to_pylist()
    ways: dict[str, Work] = {}
    versions = {}
    for package, load in (
        ("datatrove", datatrove_ways),
        ("datasketch", datasketch_ways),
        ("rensa", rensa_ways),
    ):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
        ways |= load()
    rates = {}
    for name, documents in wanted.items():
        if name in ways:
            ways[name](texts[:2])
            start = time.process_time()
            ways[name](texts[:documents])
            rates[name] = min(documents, len(texts)) / (time.process_time() - start)
    print(json.dumps({"documents_per_cpu_s": rates, "versions": versions}))


if __name__ == "__main__":
    main(sys.argv[1], {name: int(count) for name, count in (each.rsplit("=") for each in sys.argv[2:])})
