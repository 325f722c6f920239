"""Cut out spans of text that stand elsewhere in the corpus too, word for word.

    round 0: of every document, few n-grams that stand for all its windows of k tokens (minimizers)
    round 1: the runs of windows whose n-gram stands twice in the corpus meet, as hashes (of bytes: as they are); all
             but one of the windows that are equal fall
    round 2: a document that loses something learns the id of the one that keeps it

Lee, Ippolito, Nystrom, Zhang, Eck, Callison-Burch, Carlini, "Deduplicating Training Data Makes Language Models
Better", ACL 2022 (ExactSubstr), which needs one suffix array over the corpus; the exchange needs none.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import ID_HASH, TEXT
from pipeline.stage import Marks
from stages.dedup._cuts import cut_spans
from stages.dedup._policy import SurvivorPolicy, distinct, group_starts, hash_halves, mix_references
from stages.dedup._substring_judge_kernels import judge_runs, locate_spans
from stages.dedup._substring_kernels import copy_runs, hash_runs, run_rows, sample_rows
from stages.kernels.buffers import text_buffers
from stages.kernels.words import Alphabet, token_alphabet, word_alphabet

SHOWN_SPANS = 20
SHOWN_BYTES = 400
PIECE_BYTES = 1 << 20  # of runs of bytes, judged at once
SPAN_TYPE = pa.struct([("start", pa.int64()), ("end", pa.int64())])
EVIDENCE_TYPE = pa.struct(
    [
        ("removed_spans", pa.int64()),
        ("removed_chars", pa.int64()),
        ("removed_fraction", pa.float64()),
        ("first", pa.string()),
        ("survivor", pa.string()),
        ("spans", pa.list_(SPAN_TYPE)),
    ]
)
FRACTIONS = tuple(i / 20 for i in range(21))


class Tokens(NamedTuple):
    """What the kernels read tokens with: bytes as they are, or an Alphabet."""

    bytewise: bool
    kinds: np.ndarray
    folded: np.ndarray
    quick: np.ndarray
    gaps: bool


class SubstringReason(StrEnum):
    """Why a document falls."""

    NOTHING_LEFT = "nothing_left"
    MOSTLY_REPEATED = "mostly_repeated"


class SubstringDedup(SurvivorPolicy[None]):
    """Remove every span of at least `k` tokens (or bytes) that is repeated, within a document or across documents.

    A window of k tokens is repeated if the same tokens in a row stand at another place of the corpus. With `keep:
    one` the first of equal windows stays, by survivor policy and then by place; with `keep: none` all fall. What
    is removed of a document is what its falling windows cover, which is exactly all spans of k and more tokens that
    stand elsewhere before it. Spans never cross documents, and are cut between characters.

    A run that repeats itself with a period shorter than k shrinks to one period, for each of its windows but the first
    falls. A removal can bring texts together that are repeated then: a second node finds them. Windows are compared by
    128 bits of hashes.
    """

    reasons = SubstringReason
    rounds: ClassVar[int] = 3
    remembers: ClassVar[Sequence[int]] = (1,)
    singles: ClassVar[bool] = False
    libraries: ClassVar[Sequence[str]] = ()
    measures: ClassVar[Mapping[str, Sequence[float]]] = {"removed_fraction": FRACTIONS}

    unit: Literal["token", "word", "byte"] = Field(
        "token",
        description="token: words as written and every mark by itself, white space does not count; word: case "
        "and punctuation do not count either; byte: UTF-8 bytes as they are",
    )
    k: int | None = Field(
        None, ge=2, le=100_000, description="units a span must have; null: 50 tokens or words, 100 bytes"
    )
    keep: Literal["one", "none"] = Field("one", description="whether one copy of a repeated span stays")
    action: Literal["cut", "mark"] = Field("cut", description="cut spans out, or only write repeated_chars")
    min_left_chars: int = Field(
        1, ge=0, description="a document with fewer code points left (white space aside) is rejected"
    )
    max_removed_fraction: float | None = Field(
        None,
        gt=0,
        le=1,
        description="a document that would lose a larger share of its code points is rejected",
    )

    def reads(self) -> pa.Schema:
        """The text, and what the survivor policy looks at."""
        return pa.schema([*self.policy_reads(), ID_HASH, TEXT])

    def writes(self) -> pa.Schema:
        """How much was repeated; and the text without it, when cutting."""
        repeated = pa.field("repeated_chars", pa.int64())
        return pa.schema([repeated] if self.action == "mark" else [TEXT, repeated])

    @property
    def length(self) -> int:
        """Units of a window."""
        return self.k or (100 if self.unit == "byte" else 50)

    def _alphabet(self) -> Tokens:
        alphabet: Alphabet = word_alphabet() if self.unit == "word" else token_alphabet()
        return Tokens(self.unit == "byte", *alphabet)

    def order(self, round: int) -> Sequence[str]:
        """Equal windows together, the one that stays first; the document that keeps before those that ask."""
        ranks = [name for name in self.policy_order if name != "id" and self._ranked(name)]
        return ((), (*ranks, "tie", "place"), ("asks",))[round]

    def _ranked(self, name: str) -> bool:
        return name != "priority" or bool(self.source_priority)

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:  # noqa: ARG002
        """Round 0: minimizers. Round 1: windows whose minimizer is repeated. Round 2: who asks, who answers."""
        if round == 2:
            return _emit_questions(batch, verdicts)
        data, offsets = text_buffers(batch["text"])
        k = self.length
        m = max(1, k // 2)
        if round == 0:
            keys, rows = sample_rows(data, offsets, *self._alphabet(), k, m)
            return pa.table({"key": keys, "row": rows})
        owners, grams = _column(verdicts, "gram", np.uint64)
        wanted = grams[np.lexsort((grams, owners))]
        ends = np.searchsorted(owners, np.arange(batch.num_rows + 1)).astype(np.int64)
        keys, rows, places, stops, hashes = run_rows(data, offsets, *self._alphabet(), k, m, wanted, ends)
        if self.unit == "byte":
            counts = np.diff(stops, prepend=0)
            texts, bounds = copy_runs(data, offsets[rows] + places, counts, k)
            parts = [None, pa.py_buffer(bounds), pa.py_buffer(texts)]
            windows = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(rows), parts)
        else:
            bounds = pa.array(np.append(0, 2 * stops), pa.int64())
            windows = pa.LargeListArray.from_arrays(bounds, pa.array(hashes.reshape(-1)))
        payload = {"place": places, "windows": windows, **self._policy_of(batch, rows)}
        return pa.table({"key": keys, "row": rows, **payload})

    def _policy_of(self, batch: pa.RecordBatch, rows: np.ndarray) -> dict[str, pa.Array]:
        """What of the policy sorts windows: fixed-size columns alone, for there are many; ids give way to hashes."""
        ties = hash_halves(batch["id_hash"])[rows]
        if self.prefer == "first" and not self.quality and not self.source_priority:
            return {"tie": pa.array(ties)}
        at = pa.array(np.arange(batch.num_rows), pa.int32())
        columns = self.policy_columns(batch, at, batch["text"])
        which = pa.array(rows)
        ranks = {n: c.take(which) for n, c in columns.items() if n != "id" and self._ranked(n)}
        return {**ranks, "tie": pa.array(ties)}

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:
        """Round 0: repeated n-grams. Round 1: windows that fall, and to which document. Round 2: its id."""
        if round == 2:
            return _answer(bucket)
        if round == 0:
            return _repeated(bucket)
        docs, places = (np.asarray(bucket[name].to_numpy()) for name in ("doc", "place"))
        starts = group_starts(bucket["key"])
        one = self.keep == "one"
        windows = bucket["windows"].combine_chunks()
        if self.unit == "byte":
            fallen, firsts, lengths, keepers = _judge_bytes(starts, *text_buffers(windows), self.length, one)
        else:
            hashes, ends = windows.values.to_numpy().reshape(-1, 2), windows.offsets.to_numpy() // 2
            fallen, firsts, lengths, keepers = judge_runs(starts, hashes, ends, one)
        own = distinct(docs[keepers]) if one else docs[:0]  # who keeps something learns its own reference
        return pa.table(
            {
                "doc": np.concatenate([docs[fallen], own]),
                "place": np.concatenate([places[fallen] + firsts, np.full(len(own), -1, np.int32)]),
                "windows": np.concatenate([lengths, np.zeros(len(own), np.int32)]),
                "keeper": np.concatenate([docs[keepers], own]),
            }
        )

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        """Texts without their repeated spans."""
        rows, texts = batch.num_rows, batch["text"]
        data, offsets = text_buffers(texts)
        owners, places = _column(verdicts, "place", np.int32)
        counts = _column(verdicts, "windows", np.int32)[1]
        falls = places >= 0
        ends = np.searchsorted(owners[falls], np.arange(rows + 1)).astype(np.int64)
        starts, stops, bounds = locate_spans(
            data,
            offsets,
            *self._alphabet(),
            self.length,
            self.keep == "one",
            places[falls],
            counts[falls],
            ends,
        )
        cut = cut_spans(texts, starts, stops, bounds)
        columns = {"repeated_chars": pa.array(cut.removed, pa.int64())}
        if self.action == "mark":
            return Marks(columns)
        touched = np.flatnonzero(np.diff(bounds))
        share, left = np.zeros(rows), np.zeros(rows, np.int64)
        share[touched] = cut.removed[touched] / _lengths(texts.take(pa.array(touched)))
        left[touched] = _lengths(pc.utf8_trim_whitespace(cut.texts.take(pa.array(touched))))
        reject = _reasons(touched, left < self.min_left_chars, share > (self.max_removed_fraction or 1.0))
        evidence = _evidence(
            np.diff(bounds),
            cut.removed,
            share,
            _first_spans(data, starts, stops, bounds),
            _survivors(verdicts, rows),
            _span_lists(cut.starts, cut.ends, bounds),
        )
        return Marks(columns | {"text": cut.texts}, reject, evidence)


def _lengths(texts: pa.Array) -> np.ndarray:
    """Code points of texts none of which is null."""
    return np.asarray(pc.utf8_length(texts), np.int64)


def _column(verdicts: pa.Table, name: str, kind: type) -> list[np.ndarray]:
    """`row` and another column of verdicts, without the rows that have none; empty where there are no verdicts."""
    if name not in verdicts.schema.names:
        return [np.zeros(0, np.int64), np.zeros(0, kind)]
    told = verdicts.filter(pc.is_valid(verdicts[name])) if verdicts[name].null_count else verdicts
    return [told["row"].to_numpy(), told[name].to_numpy()]


def _repeated(bucket: pa.Table) -> pa.Table:
    """Keys that stand twice, for each of their rows."""
    keys, docs = (np.asarray(bucket[name].to_numpy(), np.uint64) for name in ("key", "doc"))
    starts = group_starts(bucket["key"])
    some = np.repeat(np.diff(starts) > 1, np.diff(starts))
    return pa.table({"doc": docs[some], "gram": keys[some]})


def _judge_bytes(
    starts: np.ndarray, data: np.ndarray, offsets: np.ndarray, k: int, keep_one: bool
) -> list[np.ndarray]:
    """judge_runs() of runs of bytes, some groups at a time: hashes take sixteen times the room of what they are of."""
    piece = offsets[starts] // PIECE_BYTES
    cuts = [0, *(np.flatnonzero(np.diff(piece[:-1])) + 1).tolist(), len(starts) - 1]
    judged = []
    for a, b in pairwise(cuts):
        low = starts[a]
        ends, hashes = hash_runs(data, offsets[low : starts[b] + 1], k)
        fallen, firsts, lengths, keepers = judge_runs(starts[a : b + 1] - low, hashes, ends, keep_one)
        judged.append((fallen + low, firsts, lengths, keepers + low))
    return [np.concatenate(parts) for parts in zip(*judged, strict=True)]


def _emit_questions(batch: pa.RecordBatch, verdicts: pa.Table) -> pa.Table:
    """A row for each document that loses something, and one for each that keeps something, with its id."""
    owners, places = _column(verdicts, "place", np.int32)
    keepers = _column(verdicts, "keeper", np.uint64)[1]
    order = np.lexsort((places, owners))
    owners, places, keepers = owners[order], places[order], keepers[order]
    lost = np.flatnonzero(places >= 0)
    lost = lost[np.unique(owners[lost], return_index=True)[1]]  # its first falling window
    kept = np.flatnonzero(places < 0)
    kept = kept[np.unique(owners[kept], return_index=True)[1]]
    at = np.concatenate([kept, lost])
    rows = pa.array(owners[at], pa.int32())
    names = pc.if_else(pa.array(places[at] < 0), batch["id"].take(rows), pa.scalar(None, pa.string()))
    asks = pa.array((places[at] >= 0).astype(np.int8))
    return pa.table({"key": mix_references(keepers[at]), "row": rows, "asks": asks, "survivor": names})


def _answer(bucket: pa.Table) -> pa.Table:
    """The id that heads each key, for those that ask for it."""
    starts = group_starts(bucket["key"])
    first = np.repeat(starts[:-1], np.diff(starts))
    names = bucket["survivor"].take(pa.array(first))
    asks = pc.and_(pc.equal(bucket["asks"], 1), pc.is_valid(names))
    return pa.table({"doc": bucket["doc"], "survivor": names}).filter(asks)


def _reasons(touched: np.ndarray, few: np.ndarray, most: np.ndarray) -> pa.Array:
    """The reason of each row that lost something and by that too much; null for the others."""
    codes = np.zeros(len(few), np.int64)
    codes[touched] = np.where(few[touched], 1, np.where(most[touched], 2, 0))
    names = [None, SubstringReason.NOTHING_LEFT.value, SubstringReason.MOSTLY_REPEATED.value]
    return pa.array(names, pa.string()).take(pa.array(codes))


def _first_spans(
    data: np.ndarray, starts: np.ndarray, stops: np.ndarray, bounds: np.ndarray
) -> list[str | None]:
    """The beginning of each row's first span."""
    raw = memoryview(data.data)
    return [
        bytes(raw[starts[low] : min(stops[low], starts[low] + SHOWN_BYTES)]).decode("utf-8", "ignore")
        if high > low
        else None
        for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]


def _survivors(verdicts: pa.Table, rows: int) -> pa.Array:
    """The id of the document in which each row's first falling window stays."""
    if "survivor" not in verdicts.schema.names:
        return pa.nulls(rows, pa.string())
    told = verdicts.filter(pc.is_valid(verdicts["survivor"]))
    place = np.full(rows, -1, np.int64)
    place[told["row"].to_numpy()] = np.arange(len(told))
    return told["survivor"].combine_chunks().cast(pa.string()).take(pa.array(place, mask=place < 0))


def _span_lists(starts: np.ndarray, ends: np.ndarray, bounds: np.ndarray) -> pa.Array:
    """The first SHOWN_SPANS spans of each row."""
    sizes = np.minimum(np.diff(bounds), SHOWN_SPANS)
    keep = np.arange(len(starts)) - np.repeat(bounds[:-1], np.diff(bounds)) < SHOWN_SPANS
    spans = pa.StructArray.from_arrays(
        [pa.array(starts[keep]), pa.array(ends[keep])], fields=[SPAN_TYPE.field(0), SPAN_TYPE.field(1)]
    )
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(sizes)), pa.int32()), spans)


def _evidence(
    spans_of: np.ndarray,
    removed: np.ndarray,
    share: np.ndarray,
    first: list[str | None],
    survivors: pa.Array,
    spans: pa.Array,
) -> pa.Array:
    values = [
        pa.array(spans_of, pa.int64()),
        pa.array(removed, pa.int64()),
        pa.array(share, pa.float64()),
        pa.array(first, pa.string()),
        survivors,
        spans,
    ]
    fields = [EVIDENCE_TYPE.field(i) for i in range(EVIDENCE_TYPE.num_fields)]
    return pa.StructArray.from_arrays(values, fields=fields, mask=pa.array(spans_of == 0))
