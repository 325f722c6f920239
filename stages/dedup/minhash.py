"""Reject near-duplicates: MinHash finds candidates, exact Jaccard similarity decides.

    round 0: text -> words -> shingles -> signature -> one key a band; equal keys make edges, edges groups
    round 1: the shingle sets of each group's documents meet; in the order of the survivor policy, a
             document is rejected only if its set is verified similar to that of one that survives

A group is only where to look: being linked through a third document rejects nobody.

Sources: Broder 1997, "On the resemblance and containment of documents"; bands as in Leskovec, Rajaraman,
Ullman, Mining of Massive Datasets, section 3.4; 14 x 8 over 5-word shingles: FineWeb (Penedo et al. 2024).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import ID, MESSAGES, SOURCE, TEXT
from pipeline.stage import GlobalStage, Marks
from stages.dedup._kernels import distinct_sorted, find_roots, fold_bands, judge_groups, sign_rows
from stages.dedup._policy import group_starts, reject_rows, repeated_sources, source_ranks
from stages.kernels.buffers import text_buffers
from stages.kernels.dialogue import dialogue_texts
from stages.kernels.words import Alphabet, char_alphabet, hash_words, shingle, word_alphabet

EVIDENCE_TYPE = pa.struct(
    [("survivor", pa.string()), ("similarity", pa.float64()), ("group_size", pa.int64())]
)
EDGES = pa.schema([("doc", pa.uint64()), ("group", pa.uint64())])
LEAST_RECALL = 0.5  # below this chance at the threshold, a setting cannot find what it promises
LEAST_CHARS = (
    20  # shorter character shingles are shared by unrelated long documents (NeMo Curator warns likewise)
)


class MinhashReason(StrEnum):
    """Why a document falls."""

    NEAR_DUPLICATE = "near_duplicate"


def permutations(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Odd factors and shifts of x -> factor * x + shift mod 2^32, from a seed (splitmix64).

    Returns:
        two arrays of uint32, shape (count,).

    >>> permutations(1, seed=1)[0].tolist()
    [2433363437]
    """
    drawn = []
    for i in range(2 * count):
        z = (seed + (i + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        drawn.append((z ^ (z >> 31)) >> 32)
    return np.array(drawn[::2], np.uint32) | np.uint32(1), np.array(drawn[1::2], np.uint32)


def sign_texts(
    texts: pa.Array, alphabet: Alphabet, n: int, num_perm: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """MinHash signatures of the shingle sets of texts.

    A text of 1 to n-1 words has one shingle, all of it; a text without words has none, and its signature
    means nothing.

    Returns:
        signatures uint32, shape (rows, num_perm); shingles of each row, repeats included, int64.
    """
    return sign_rows(*text_buffers(texts), *alphabet, n, *permutations(num_perm, seed))  # type: ignore[no-any-return]


def candidate_chance(similarity: float, bands: int, rows_per_band: int) -> float:
    """The chance that two documents of this Jaccard similarity share a band: 1 - (1 - s^r)^b.

    >>> round(candidate_chance(0.8, bands=14, rows_per_band=8), 3)
    0.924
    """
    return float(1 - (1 - similarity**rows_per_band) ** bands)


def components(edges: pa.Table) -> pa.Table:
    """The smallest member of each document's component.

    Applied to its own result and further edges it gives what it gives to all edges at once.

    Args:
        edges: `doc` and `group` (another document), uint64.

    Returns:
        one row for each document of any edge, ascending.
    """
    left, right = (np.asarray(edges[name].to_numpy(), np.uint64) for name in ("doc", "group"))
    docs = np.unique(np.concatenate([left, right]))
    roots = find_roots(docs.size, np.searchsorted(docs, left), np.searchsorted(docs, right))
    return pa.table({"doc": docs, "group": docs[roots]}, schema=EDGES)


def shingle_sets(texts: pa.Array, alphabet: Alphabet, n: int) -> pa.Array:
    """The distinct shingle hashes of each text, ascending, as large_list<uint64>."""
    hashes, offsets = distinct_sorted(*shingle(hash_words(texts, alphabet), n))
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(hashes, pa.uint64()))


class MinhashDedup(GlobalStage[None]):
    """Of documents with much the same shingles, keep the preferred one; verified, with evidence.

    Short documents: one with fewer words than a shingle counts as its whole sequence of words, so it falls
    only to an equal one. A document without words is nobody's duplicate. Texts are compared as words: case,
    spacing and punctuation do not count; digits, marks, signs before digits and emoji do.

    A document that the bands miss stays (`corpusmill plan` prints the chances). A group of more than the
    run's `max_group_rows` documents is judged in parts, so that pairs in different parts stay as well.
    """

    reasons = MinhashReason
    rounds: ClassVar[int] = 2
    libraries: ClassVar[Sequence[str]] = ()

    on: Literal["text", "messages"] = Field(
        "text", description="what is compared: the text, or the contents of a dialogue's turns"
    )
    unit: Literal["word", "char"] = Field(
        "word", description="what a shingle is a run of; `word` takes Han, Kana, Thai by character"
    )
    n: int = Field(5, ge=1, le=1000, description="units to a shingle")
    bands: int = Field(14, ge=1, le=1000, description="band keys a document; equal keys make candidates")
    rows_per_band: int = Field(
        8, ge=1, le=100, description="MinHashes to a band key; num_perm = bands x this"
    )
    threshold: float = Field(
        0.75,
        gt=0,
        le=1,
        description="least exact Jaccard similarity of shingle sets to a survivor that rejects",
    )
    seed: int = Field(1, ge=0, description="of the permutations")
    source_priority: list[str] = Field(
        default=[], description="sources whose documents survive, best first; the others come after these"
    )
    prefer: Literal["longest", "first"] = Field(
        "longest", description="which survives within a source: the longest, or the one with the smallest id"
    )

    @property
    def num_perm(self) -> int:
        """MinHashes a document."""
        return self.bands * self.rows_per_band

    def reads(self) -> pa.Schema:
        """The text, and what the survivor policy looks at."""
        return pa.schema([ID, SOURCE, MESSAGES if self.on == "messages" else TEXT])

    def problems(self) -> Sequence[str]:
        """Settings that cannot find what they promise, or find what is not there."""
        found = repeated_sources(self.source_priority)
        chance = candidate_chance(self.threshold, self.bands, self.rows_per_band)
        if chance < LEAST_RECALL:
            found.append(
                f"bands: {self.bands} bands of {self.rows_per_band} rows find only {chance:.1%} of the pairs "
                f"at threshold {self.threshold:g}; use more bands or fewer rows_per_band (are they swapped?)"
            )
        if self.unit == "char" and self.n < LEAST_CHARS:
            found.append(
                f"n is {self.n} characters, which unrelated long documents share; use at least "
                f"{LEAST_CHARS}, or unit: word"
            )
        return found

    def describe(self) -> Sequence[str]:
        """The S-curve."""
        at = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
        curve = "  ".join(f"{s:g}: {candidate_chance(s, self.bands, self.rows_per_band):.1%}" for s in at)
        return [
            f"{self.num_perm} MinHashes in {self.bands} bands of {self.rows_per_band}; a pair of this "
            f"Jaccard similarity becomes a candidate with a chance of  {curve}",
            f"a candidate is rejected if its exact similarity to a survivor is at least {self.threshold:g}",
        ]

    def order(self, round: int) -> Sequence[str]:
        """The survivor policy, best first."""
        return ["priority", "rank", "id"] if round else ()

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:  # noqa: ARG002
        """Round 0: a row for each band. Round 1: the shingle set of each document in a group."""
        return self._emit_sets(batch, verdicts) if round else self._emit_bands(self._texts(batch))

    def _texts(self, batch: pa.RecordBatch) -> pa.Array:
        return dialogue_texts(batch["messages"]) if self.on == "messages" else batch["text"]

    def _alphabet(self) -> Alphabet:
        return word_alphabet(signs=True) if self.unit == "word" else char_alphabet(signs=True)

    def _emit_bands(self, texts: pa.Array) -> pa.Table:
        signatures, counts = sign_texts(texts, self._alphabet(), self.n, self.num_perm, self.seed)
        rows = np.flatnonzero(counts)
        keys = fold_bands(signatures[rows], self.bands)
        return pa.table({"key": keys.reshape(-1), "row": np.repeat(rows, self.bands).astype(np.int32)})

    def _emit_sets(self, batch: pa.RecordBatch, verdicts: pa.Table) -> pa.Table:
        some = verdicts.num_rows > 0
        rows = verdicts["row"].to_numpy() if some else np.zeros(0, np.int64)
        groups = verdicts["group"].to_numpy() if some else np.zeros(0, np.uint64)
        at = pa.array(rows, pa.int64())
        texts = self._texts(batch).take(at)
        lengths = pc.fill_null(pc.utf8_length(texts), 0).cast(pa.int64())
        longest = self.prefer == "longest"
        return pa.table(
            {
                "key": _mix(groups),
                "row": at.cast(pa.int32()),
                "priority": source_ranks(batch["source"], self.source_priority).take(at),
                "rank": pc.negate(lengths) if longest else pa.repeat(pa.scalar(0, pa.int64()), len(at)),
                "id": batch["id"].take(at),
                "shingles": shingle_sets(texts, self._alphabet(), self.n),
            }
        )

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:
        """Round 0: groups among the documents that share a key. Round 1: who falls to whom."""
        starts = group_starts(bucket["key"])
        return self._judge(bucket, starts) if round else _link(bucket["doc"], starts)

    def _judge(self, bucket: pa.Table, starts: np.ndarray) -> pa.Table:
        lists = bucket["shingles"].combine_chunks()
        offsets = np.asarray(lists.offsets.to_numpy(), np.int64)
        survivor, similarity = judge_groups(starts, lists.values.to_numpy(), offsets, self.threshold)
        sizes = np.repeat(np.diff(starts), np.diff(starts))
        lost = np.flatnonzero(survivor >= 0)
        return pa.table(
            {
                "doc": bucket["doc"].take(pa.array(lost)),
                "survivor": bucket["id"].take(pa.array(survivor[lost])),
                "similarity": similarity[lost],
                "group_size": sizes[lost].astype(np.int64),
            }
        )

    def resolves(self, round: int) -> bool:
        """Groups must meet; verdicts of round 1 are complete as they are."""
        return round == 0

    def resolve(self, tables: Sequence[pa.Table], round: int, final: bool) -> pa.Table:  # noqa: ARG002
        """Groups that meet in a document become one."""
        return components(pa.concat_tables(tables))

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        """Reject what has a survivor."""
        return reject_rows(batch.num_rows, verdicts, MinhashReason.NEAR_DUPLICATE, EVIDENCE_TYPE)


def _link(docs: pa.ChunkedArray, starts: np.ndarray) -> pa.Table:
    """Groups of documents of which each shares a key with the first of its key."""
    numbers = np.asarray(docs.to_numpy(), np.uint64)
    first = np.repeat(starts[:-1], np.diff(starts))
    linked = np.flatnonzero(first != np.arange(numbers.size))
    return components(pa.table({"doc": numbers[linked], "group": numbers[first[linked]]}, schema=EDGES))


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Uniform keys from document references (splitmix64's finisher)."""
    h = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))  # type: ignore[no-any-return]
