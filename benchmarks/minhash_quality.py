r"""Pairs of near-duplicates found, and found wrongly, beside datasketch and text-dedup.

    python -m benchmarks.minhash_quality [--peer-python PYTHON_WITH_THE_PEERS] [--record]

Two sets of texts (set CORPUSMILL_DATA to the folder that has them): 1,053 revisions of PEPs, and 3,322 licence texts.
A pair is right if the Jaccard similarity of the sets of five `\w+` words in a row, in lower case, is at least 0.75:
for 2,506 pairs of PEPs as others computed it, and for all pairs of both sets as computed here, from its definition.

Precision: of the pairs found, how many are right. Recall: of the right ones, how many are found. Ours finds a pair if
it is in one group and verified at 0.75, `bands alone` if it also shares a band. How the peers are used is said in
benchmarks/peers/minhash_quality.py. `--record` writes the peers' figures to tests/quality/floors_dedup.json, where a
test holds ours to them.
"""

import argparse
import gzip
import hashlib
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.dedup_corpus import data_folder
from pipeline.components import find_roots
from stages.dedup._judge_kernels import similarity_of
from stages.dedup._minhash import MinhashParams

FLOORS = Path(__file__).parents[1] / "tests" / "quality" / "floors_dedup.json"
PEER = Path(__file__).parent / "peers" / "minhash_quality.py"
FILES = {"PEPs": "peps_revisions_dev", "licences": "scancode_licenses_dev"}
PAIRS = "peps_pairs_dev"
THRESHOLD, N = 0.75, 5
WAYS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours, num_perm 128": {"num_perm": 128},
    "ours, num_perm 256": {"num_perm": 256},
}


class Label(NamedTuple):
    """What is known of pairs of texts, as codes(), ascending."""

    right: np.ndarray  # the similar ones
    judged: np.ndarray | None = None  # the only ones that count; without it, all do


class Labelled(NamedTuple):
    """Texts, and what is known of their pairs, by name."""

    texts: pa.Array
    labels: dict[str, Label]


def codes(pairs: np.ndarray, documents: int) -> np.ndarray:
    """A number for each pair, ascending, each once; pairs has shape (pairs, 2).

    >>> codes(np.array([[1, 2], [2, 0]]), documents=3).tolist()
    [2, 5]
    """
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    return np.unique(low.astype(np.int64) * documents + high)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def gold_shingles(text: str) -> set[tuple[str, ...]]:
    """What the gold similarity is of."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + N]) for i in range(len(words) - N + 1)}


def similar_pairs(texts: list[str], threshold: float) -> np.ndarray:
    """All pairs whose gold similarity is at least this, by counting what each document shares with each."""
    numbers: dict[tuple[str, ...], int] = {}
    sets = [
        np.array([numbers.setdefault(s, len(numbers)) for s in gold_shingles(t)], np.int64) for t in texts
    ]
    sizes = np.array([s.size for s in sets])
    flat, owner = np.concatenate(sets), np.repeat(np.arange(len(sets)), sizes)
    order = np.argsort(flat, kind="stable")
    owners = np.split(owner[order], np.cumsum(np.bincount(flat))[:-1])  # by shingle, who has it
    found = []
    for row, members in enumerate(sets):
        if not members.size:
            continue
        shared = np.bincount(np.concatenate([owners[m] for m in members]), minlength=len(sets))
        alike = shared / (sizes + sizes[row] - shared) >= threshold
        others = np.flatnonzero(alike[:row])
        found.append(np.stack([others, np.full(others.size, row)], axis=1))
    return codes(np.concatenate(found), len(texts))


def load(folder: Path) -> list[Labelled]:
    """Both sets, with all their similar pairs; of the PEPs, the given pairs too."""
    loaded = []
    for name, file in FILES.items():
        rows = read_lines(folder / f"{file}.jsonl.gz")
        texts = [row["text"] for row in rows]
        labels = {f"all pairs of {name}": Label(similar_pairs(texts, THRESHOLD))}
        if name == "PEPs":
            labels["given pairs of PEPs"] = given_pairs(folder, [row["id"] for row in rows])
        loaded.append(Labelled(pa.array(texts, pa.large_string()), labels))
    return loaded


def given_pairs(folder: Path, ids: list[str]) -> Label:
    """The pairs that others judged."""
    place = {name: i for i, name in enumerate(ids)}
    rows = read_lines(folder / f"{PAIRS}.jsonl.gz")
    pairs = np.array([[place[row["a"]], place[row["b"]]] for row in rows])
    right = np.array([row["jaccard_word5"] >= THRESHOLD for row in rows])
    return Label(codes(pairs[right], len(ids)), codes(pairs, len(ids)))


def found_pairs(texts: pa.Array, params: MinhashParams) -> tuple[np.ndarray, np.ndarray]:
    """What minhash_dedup takes for similar: pairs of a group, and those of them that share a band."""
    keys, rows = params.band_keys(texts)
    sets = [np.asarray(s.values.to_numpy()) for s in params.sets(texts)]
    left, right = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for band in keys.T:
        _, first, which = np.unique(band, return_index=True, return_inverse=True)
        left.append(first[which])
        right.append(np.arange(len(rows)))
    roots = find_roots(len(rows), np.concatenate(left), np.concatenate(right))
    grouped, banded = [], []
    for root in np.unique(roots):
        members = np.flatnonzero(roots == root)
        for i, a in enumerate(members):
            for b in members[i + 1 :]:
                if similarity_of(sets[rows[a]], sets[rows[b]], params.threshold, False) >= params.threshold:
                    grouped.append((rows[a], rows[b]))
                    if (keys[a] == keys[b]).any():
                        banded.append((rows[a], rows[b]))
    return tuple(codes(np.array(p, np.int64).reshape(-1, 2), len(texts)) for p in (grouped, banded))  # type: ignore[return-value]


def score(found: np.ndarray, label: Label) -> dict[str, float]:
    """Precision and recall of pairs, and how many were found."""
    if label.judged is not None:
        found = np.intersect1d(found, label.judged)
    hits = np.intersect1d(found, label.right).size
    return {
        "precision": round(hits / max(1, found.size), 4),
        "recall": round(hits / max(1, label.right.size), 4),
        "pairs": int(found.size),
    }


def score_ours(data: Labelled, name: str = "ours", **params: Any) -> dict[str, dict[str, dict[str, float]]]:
    """Scores by label and way: groups, as the stage does, and bands alone."""
    ways = dict(
        zip((name, f"{name}, bands alone"), found_pairs(data.texts, MinhashParams(**params)), strict=True)
    )
    return {
        at: {way: score(pairs, label) for way, pairs in ways.items()} for at, label in data.labels.items()
    }


def ask_peers(python: str, texts: pa.Array) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What the peers find among texts, and what they say of themselves."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "texts.parquet", Path(folder) / "pairs.npz"
        pq.write_table(pa.table({"text": texts}), source)
        run = subprocess.run(
            [python, str(PEER), str(source), str(target)], check=True, capture_output=True, text=True
        )
        with np.load(target) as arrays:
            return {name: codes(arrays[name], len(texts)) for name in arrays.files}, json.loads(
                run.stdout.splitlines()[-1]
            )


def digests(folder: Path) -> dict[str, str]:
    """Which data it was."""
    names = (*FILES.values(), PAIRS)
    return {n: hashlib.sha256((folder / f"{n}.jsonl.gz").read_bytes()).hexdigest() for n in names}


def main() -> None:
    """Measure, print, and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer-python")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    folder = data_folder() / "neardup"
    scores: dict[str, dict[str, Any]] = {}
    peers: dict[str, dict[str, Any]] = {}
    about: dict[str, Any] = {}
    right: dict[str, int] = {}
    for data in load(folder):
        right |= {at: int(label.right.size) for at, label in data.labels.items()}
        for name, params in WAYS.items():
            for at, said in score_ours(data, name, **params).items():
                scores.setdefault(at, {}).update(said)
        if args.peer_python:
            found, about = ask_peers(args.peer_python, data.texts)
            for at, label in data.labels.items():
                peers[at] = {way: score(pairs, label) for way, pairs in found.items()}
    told = {at: {"right pairs": right[at], **said, **peers.get(at, {})} for at, said in scores.items()}
    print(json.dumps({**told, "versions": about}, indent=2))
    if args.record and peers:
        kept = json.loads(FLOORS.read_text())
        kept |= {
            "data": digests(folder),
            "peers": {"versions": about, "threshold": THRESHOLD, "scores": peers},
        }
        FLOORS.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
