"""Cut out spans of text that stand elsewhere in the corpus too, word for word.

    round 0: of every document, few n-grams that stand for all its windows of k tokens (minimizers)
    round 1: the windows whose n-gram stands twice in the corpus meet; all but one of those that are equal fall

Lee, Ippolito, Nystrom, Zhang, Eck, Callison-Burch, Carlini, "Deduplicating Training Data Makes Language Models
Better", ACL 2022 (ExactSubstr), which needs one suffix array over the corpus; the exchange needs none.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import Marks
from stages.dedup._cuts import cut_spans
from stages.dedup._policy import SurvivorPolicy
from stages.dedup._substring_kernels import locate_spans, sample_rows, window_rows
from stages.kernels.buffers import text_buffers
from stages.kernels.words import Alphabet, token_alphabet, word_alphabet

SHOWN_SPANS = 20
SHOWN_BYTES = 400
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
    rounds: ClassVar[int] = 2
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
        return pa.schema([*self.policy_reads(), TEXT])

    def writes(self) -> pa.Schema:
        """How much was repeated; and the text without it, when cutting."""
        repeated = pa.field("repeated_chars", pa.int64())
        return pa.schema([repeated] if self.action == "mark" else [TEXT, repeated])

    @property
    def length(self) -> int:
        """Units of a window."""
        return self.k or (100 if self.unit == "byte" else 50)

    def _alphabet(self) -> tuple[bool, *tuple[object, ...]]:
        alphabet: Alphabet = word_alphabet() if self.unit == "word" else token_alphabet()
        return (self.unit == "byte", *alphabet)

    def order(self, round: int) -> Sequence[str]:
        """Equal windows together, the one that stays first."""
        return ["check", *self.policy_order, "place"] if round else ()

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:  # noqa: ARG002
        """Round 0: minimizers. Round 1: windows whose minimizer is repeated."""
        data, offsets = text_buffers(batch["text"])
        k = self.length
        m = max(1, k // 2)
        if not round:
            keys, rows = sample_rows(data, offsets, *self._alphabet(), k, m)
            return pa.table({"key": keys, "row": rows})
        some = verdicts.num_rows > 0
        owners = verdicts["row"].to_numpy() if some else np.zeros(0, np.int64)
        grams = verdicts["gram"].to_numpy() if some else np.zeros(0, np.uint64)
        wanted = grams[np.lexsort((grams, owners))]
        ends = np.searchsorted(owners, np.arange(batch.num_rows + 1))
        keys, checks, rows, places = window_rows(
            data, offsets, *self._alphabet(), k, m, wanted, ends.astype(np.int64)
        )
        return pa.table(
            {
                "key": keys,
                "row": rows,
                "check": checks,
                "place": places,
                **self._policy_of(batch, rows),
            }
        )

    def _policy_of(self, batch: pa.RecordBatch, rows: np.ndarray) -> dict[str, pa.Array]:
        """Policy columns for each window: of each document once, then repeated."""
        documents, which = np.unique(rows, return_inverse=True)
        at = pa.array(documents, pa.int32())
        columns = self.policy_columns(batch, at, batch["text"].take(at))
        return {name: column.take(pa.array(which)) for name, column in columns.items()}

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:
        """Round 0: n-grams that stand twice, for all their documents. Round 1: windows that fall, and to whom."""
        keys = np.asarray(bucket["key"].to_numpy(), np.uint64)
        checks = np.asarray(bucket["check"].to_numpy(), np.uint64) if round else keys
        new = np.ones(len(keys), bool)
        new[1:] = (keys[1:] != keys[:-1]) | (checks[1:] != checks[:-1])
        starts = np.flatnonzero(new)
        sizes = np.diff(np.append(starts, len(keys)))
        first = np.repeat(starts, sizes)
        falls = np.repeat(sizes > 1, sizes)
        if not round:
            said = pa.table({"doc": bucket["doc"], "gram": bucket["key"]})
            return said.filter(pa.array(falls))
        if self.keep == "one":
            falls &= first != np.arange(len(keys))
        at = pa.array(np.flatnonzero(falls))
        survivor = bucket["id"].take(pa.array(first)).take(at)
        if self.keep == "none":
            survivor = pa.nulls(len(at), pa.string())
        return pa.table(
            {"doc": bucket["doc"].take(at), "place": bucket["place"].take(at), "survivor": survivor}
        )

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        """Texts without their repeated spans."""
        rows, texts = batch.num_rows, batch["text"]
        data, offsets = text_buffers(texts)
        some = verdicts.num_rows > 0
        owners = verdicts["row"].to_numpy() if some else np.zeros(0, np.int64)
        places = verdicts["place"].to_numpy() if some else np.zeros(0, np.int32)
        order = np.lexsort((places, owners))
        places = np.append(places[order], np.int32(0))  # the kernel wants an array of some size
        ends = np.searchsorted(owners, np.arange(rows + 1)).astype(np.int64)
        starts, stops, bounds = locate_spans(
            data, offsets, *self._alphabet(), self.length, self.keep == "one", places, ends
        )
        cut = cut_spans(texts, starts, stops, bounds)
        lengths = np.asarray(pc.fill_null(pc.utf8_length(texts), 0), np.int64)
        left = np.asarray(pc.fill_null(pc.utf8_length(pc.utf8_trim_whitespace(cut.texts)), 0), np.int64)
        touched = np.diff(bounds) > 0
        share = cut.removed / np.maximum(lengths, 1)
        few = touched & (left < self.min_left_chars)
        most = touched & (share > (2.0 if self.max_removed_fraction is None else self.max_removed_fraction))
        reject = _reasons(few, most)
        first = np.full(rows, -1, np.int64)
        first[owners[order][::-1]] = np.arange(len(order))[::-1]
        evidence = _evidence(
            np.diff(bounds),
            cut.removed,
            share,
            _first_spans(data, starts, stops, bounds),
            _survivors(verdicts, order, first),
            _span_lists(cut.starts, cut.ends, bounds),
        )
        columns = {"repeated_chars": pa.array(cut.removed, pa.int64())}
        if self.action == "cut":
            columns["text"] = cut.texts if touched.any() else texts
            return Marks(columns, reject, evidence)
        return Marks(columns)


def _reasons(few: np.ndarray, most: np.ndarray) -> pa.Array:
    none = pa.scalar(None, pa.string())
    mostly = pc.if_else(pa.array(most), SubstringReason.MOSTLY_REPEATED, none)
    return pc.if_else(pa.array(few), SubstringReason.NOTHING_LEFT, mostly)


def _first_spans(
    data: np.ndarray, starts: np.ndarray, stops: np.ndarray, bounds: np.ndarray
) -> list[str | None]:
    """The beginning of each row's first span."""
    raw = memoryview(data)
    return [
        bytes(raw[starts[low] : min(stops[low], starts[low] + SHOWN_BYTES)]).decode("utf-8", "ignore")
        if high > low
        else None
        for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]


def _survivors(verdicts: pa.Table, order: np.ndarray, first: np.ndarray) -> pa.Array:
    """The id of the document in which each row's first falling window stays."""
    if not verdicts.num_rows:
        return pa.nulls(len(first), pa.string())
    ids = verdicts["survivor"].combine_chunks().cast(pa.string()).take(pa.array(order))
    return ids.take(pa.array(first, mask=first < 0))


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
