"""A corpus for measuring deduplication: unlike documents of real words, and copies of them whose making is known.

    python -m benchmarks.dedup_corpus FOLDER [--megabytes 220] [--files 8]

Real English texts (set CORPUSMILL_DATA to the folder that has them) are cut in runs of 8 to 40 words; a document
is about 2.6 KB of such runs in an order of its own, so that unrelated ones share few 5-word shingles, as on the
web. Then, by number of the document: 6 % are exact copies of an earlier one, 18 % copies in which each word is
replaced at a rate of 0.5 to 15 %, 5 % take a span of 120 to 300 words from an earlier one. `truth.jsonl` says
which document was made of which, how, and at what rate. Everything follows from a counter: same bytes everywhere.
"""

import argparse
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.components import mixed

FILES = ("nltk_gutenberg", "nltk_inaugural", "nltk_state_union", "rust_rfcs_sample")
CHARS = 2600
RATES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.15)
ROW_GROUP = 2000
FILE_ROWS = 50_000  # of short documents
SHORT_WORDS = 12


class Dice:
    """Numbers from a counter (splitmix64): the same on every machine and in every version of Python."""

    def __init__(self, seed: int) -> None:
        self._state = _mix(_mix(seed + 1))  # far from the states of other seeds

    def below(self, limit: int) -> int:
        """A whole number from 0 to limit - 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) % 2**64
        return _mix(self._state) * limit >> 64


def _mix(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def read_words(base: Path) -> list[str]:
    """All words of the source texts, in order."""
    words: list[str] = []
    for name in FILES:
        with gzip.open(base / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            for line in file:
                words += json.loads(line)["text"].split()
    return words


def fresh(words: list[str], dice: Dice) -> list[str]:
    """A document of its own."""
    out: list[str] = []
    size = 0
    while size < CHARS:
        at, count = dice.below(len(words) - 40), 8 + dice.below(33)
        run = words[at : at + count]
        out += run
        size += sum(map(len, run)) + count
    return out


def edited(document: list[str], words: list[str], rate: float, dice: Dice) -> list[str]:
    """A copy in which each word is replaced with this probability."""
    limit = int(rate * 1_000_000)
    return [words[dice.below(len(words))] if dice.below(1_000_000) < limit else w for w in document]


def documents(words: list[str], characters: int) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Texts, each with what it was made of, if it was."""
    made: list[list[str]] = []
    total = number = 0
    while total < characters:
        dice = Dice(number)
        kind = dice.below(100)
        truth: dict[str, Any] | None = None
        if kind < 29 and number > 100:
            of = dice.below(number)
            if kind < 6:
                body, truth = made[of], {"of": of, "how": "copy"}
            elif kind < 24:
                rate = RATES[dice.below(len(RATES))]
                body, truth = edited(made[of], words, rate, dice), {"of": of, "how": "edit", "rate": rate}
            else:
                body = fresh(words, dice)
                count = min(120 + dice.below(181), len(made[of]))
                start, at = dice.below(len(made[of]) - count + 1), dice.below(len(body) // 2)
                body[at : at + count] = made[of][start : start + count]
                truth = {"of": of, "how": "span", "words": count}
        else:
            body = fresh(words, dice)
        made.append(body)
        text = " ".join(body)
        text = text.replace(". ", ".\n", 6)  # a few lines, as documents have
        total += len(text)
        yield text, truth and {"document": number, **truth}
        number += 1


def build(folder: Path, megabytes: int, files: int, base: Path) -> dict[str, Any]:
    """Write `part-*.parquet` (columns id, text) and `truth.jsonl`; returns counts."""
    folder.mkdir(parents=True, exist_ok=True)
    texts, truths = [], []
    for text, truth in documents(read_words(base), megabytes * 1_000_000):
        texts.append(text)
        if truth:
            truths.append(truth)
    per_file = -(-len(texts) // files)
    for part in range(files):
        mine = texts[part * per_file : (part + 1) * per_file]
        ids = [f"{part * per_file + i:07d}" for i in range(len(mine))]
        table = pa.table({"id": pa.array(ids), "text": pa.array(mine, pa.large_string())})
        pq.write_table(
            table, folder / f"part-{part:02d}.parquet", compression="zstd", row_group_size=ROW_GROUP
        )
    (folder / "truth.jsonl").write_text("".join(json.dumps(t) + "\n" for t in truths))
    return {
        "documents": len(texts),
        "bytes": sum(len(t.encode()) for t in texts),
        "made of others": len(truths),
    }


def write_short_documents(folder: Path, documents: int) -> int:
    """Files of documents of about 85 bytes, one in eleven a copy of another; returns their bytes."""
    letters = np.array(list("bcdfghklmnprstvw")), np.array(list("aeiou"))
    vocabulary = pa.array(
        ["".join(letters[k % 2][int(h >> (5 * k)) % len(letters[k % 2])] for k in range(4 + i % 5))
         for i, h in enumerate(mixed(np.arange(60_000, dtype=np.uint64)).tolist())]
    )  # fmt: skip
    size = 0
    for part, start in enumerate(range(0, documents, FILE_ROWS)):
        number = np.arange(start, min(start + FILE_ROWS, documents), dtype=np.uint64)
        copied = mixed(number + np.uint64(1)) % np.uint64(10) == 0
        body = np.where(copied, number // np.uint64(2), number)
        places = mixed(
            body[:, None] * np.uint64(SHORT_WORDS) + np.arange(SHORT_WORDS, dtype=np.uint64)
        ) % np.uint64(60_000)
        columns = [vocabulary.take(pa.array(places[:, k])) for k in range(SHORT_WORDS)]
        text = pc.binary_join_element_wise(*columns, " ").cast(pa.large_string())
        size += text.nbytes
        pq.write_table(pa.table({"text": text}), folder / f"{part:05d}.parquet", compression="zstd")
    return size


def data_folder() -> Path:
    """Where the real texts are."""
    return Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).parents[2] / "shared" / "data"))


def main() -> None:
    """Build the corpus in a folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=220)
    parser.add_argument("--files", type=int, default=8)
    args = parser.parse_args()
    print(json.dumps(build(args.folder, args.megabytes, args.files, data_folder()), indent=2))


if __name__ == "__main__":
    main()
