"""Pairs that datasketch and text-dedup take for near-duplicates: run by benchmarks/minhash_quality.py.

    python benchmarks/peers/minhash_quality.py TEXTS.parquet PAIRS.npz

TEXTS has a column `text`. PAIRS gets, for each way of using a peer, an array of shape (pairs, 2) of row numbers, the
smaller first. Prints JSON: versions.

- `datasketch`: MinHashLSH(0.75, num_perm=128) over words as its users cut them, lower().split() in runs of 5; as it
  is; with MinHash.jaccard() of candidates of at least 0.75; with the exact similarity of the two sets of runs, which
  is a user's own code. `14 x 8` has our bands instead of those that it chooses.
- `text-dedup`: its minhash command (5 words, 250 permutations), with a threshold of 0.75, and with its default of
  0.7: pairs that share a band, and its clusters, by which it deletes.
"""

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import text_dedup.minhash as peer
from datasets import Dataset
from datasketch import MinHash, MinHashLSH
from text_dedup.utils import IOArgs, MetaArgs, MinHashArgs

THRESHOLD, N, NUM_PERM = 0.75, 5, 128
Pairs = set[tuple[int, int]]


def shingles(text: str) -> set[str]:
    """Runs of words, as in datasketch's examples."""
    words = text.lower().split()
    return {" ".join(words[i : i + N]) for i in range(max(1, len(words) - N + 1))}


def by_datasketch(texts: list[str]) -> dict[str, Pairs]:
    """By way."""
    sets = [shingles(text) for text in texts]
    found = {}
    for name, lsh in (
        ("", MinHashLSH(threshold=THRESHOLD, num_perm=NUM_PERM)),
        (" 14 x 8", MinHashLSH(params=(14, 8), num_perm=14 * 8)),
    ):
        found |= {f"datasketch{name} {way}": pairs for way, pairs in candidates(sets, lsh).items()}
    return found


def candidates(sets: list[set[str]], lsh: MinHashLSH) -> dict[str, Pairs]:
    """Pairs that share a band; those of them that are estimated, and that are, similar enough."""
    sketches = []
    found: Pairs = set()
    for number, members in enumerate(sets):
        sketch = MinHash(num_perm=lsh.h)
        sketch.update_batch([member.encode() for member in members])
        found |= {(other, number) for other in lsh.query(sketch)}
        lsh.insert(number, sketch)
        sketches.append(sketch)
    estimated = {(a, b) for a, b in found if sketches[a].jaccard(sketches[b]) >= THRESHOLD}
    exact = {(a, b) for a, b in found if len(sets[a] & sets[b]) >= THRESHOLD * len(sets[a] | sets[b])}
    return {"lsh": found, "lsh, estimate": estimated, "lsh, exact": exact}


def by_text_dedup(texts: list[str], threshold: float) -> dict[str, Pairs]:
    """What its command does, run in this process so that bands can be looked at."""
    bands: dict[int, list[bytes]] = {}
    embed = peer.embed_func

    def remembering(content: str, idx: int, **kwargs: Any) -> dict[str, Any]:
        said: dict[str, Any] = embed(content, idx, **kwargs)
        bands[idx] = said[peer.SIGNATURE_COLUMN]
        return said

    peer.RNG.seed(peer.SEED)
    peer.embed_func = remembering
    with tempfile.TemporaryDirectory() as folder:
        Dataset.from_dict({"text": texts}).save_to_disk(f"{folder}/in")
        peer.main.callback(
            io_args=IOArgs(path=f"{folder}/in", output=f"{folder}/out", local=True, num_proc=None),
            meta_args=MetaArgs(column="text"),
            minhash_args=MinHashArgs(threshold=threshold),
        )
    peer.embed_func = embed
    tables: dict[Any, list[int]] = defaultdict(list)
    clusters: dict[int, list[int]] = defaultdict(list)
    for idx, keys in bands.items():
        clusters[peer.uf.find(idx)].append(idx)
        for place, key in enumerate(keys):
            tables[place, key].append(idx)
    name = f"text-dedup {threshold:g}"
    return {f"{name} bands": within(tables.values()), f"{name} clusters": within(clusters.values())}


def within(groups: Iterable[list[int]]) -> Pairs:
    """All pairs of each group."""
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


def main(source: Path, target: Path) -> None:
    """Run both."""
    texts = pq.read_table(source)["text"].to_pylist()
    found = by_datasketch(texts)
    for threshold in (THRESHOLD, MinHashArgs.threshold):
        found |= by_text_dedup(texts, threshold)
    arrays = {name: np.array(sorted(pairs), np.int64).reshape(-1, 2) for name, pairs in found.items()}
    np.savez(target, **arrays)  # type: ignore[arg-type]
    versions = {name: version(name) for name in ("datasketch", "text-dedup")}
    print(json.dumps(versions))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
