"""Cut lines, paragraphs or runs of sentences that are repeated, within a document, a domain or the whole corpus.

    round 0: each document's distinct lines -> one row a line; the first document of a line, by the survivor policy,
             keeps it, the others lose it
    round 1: each document's losses meet the id of the document that keeps the first of them

What a document repeats by itself is no matter of an exchange: `annotate` sees it.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import ID_HASH, TEXT, URL
from pipeline.stage import Marks
from stages.dedup._line_cuts import Cuts, cut_texts, losses_of, name_keepers
from stages.dedup._line_units import Form, Items, Pieces, Unit, cut_pieces, hosts_of, items_of
from stages.dedup._policy import CLUSTER_SIZES, SurvivorPolicy, distinct, group_starts, hash_halves

KEEPER = np.int32(-(2**31))  # in `code`: nothing goes, the document keeps what others lose
MOST = 65_535  # copies of a line in one document that are counted
FRACTIONS = tuple(i / 20 for i in range(21))


class LineReason(StrEnum):
    """Why a document falls."""

    NOTHING_LEFT = "nothing_left"
    MOSTLY_REPEATED = "mostly_repeated"


class LineDedup(SurvivorPolicy[None]):
    r"""Cut what is repeated out of `text`: of a line's copies one stays, or none.

    A line ends at \n and at nothing else. White space at its ends does not count when lines are compared, blank lines
    are never repeats, and neither is what is shorter than `min_chars`. Lines that stay keep their bytes and their line
    ends. With a `span` above 1, so for sentences, every run of so many is compared (C4), a document of fewer as a
    whole, and what a repeated run covers goes. With `keep: first` whatever goes stays in another place: a line in the
    document that comes first by source_priority, quality, prefer and at last a hash of the id, what is in a run
    there or in a document before it. That does not hold for documents rejected by `min_left_chars` above 1 or
    `max_removed_fraction`, whose last lines are lost.

    Two lines have the same 128-bit key with probability n^2 / 2^128: 3e-15 for 10^12 lines. Documents of a line with
    more than the run's `max_group_rows` of them are counted in pieces: all but fewer than `min_documents` or
    `min_count` of them, in the last piece, lose it as they should, and those keep it.
    """

    reasons = LineReason
    rounds: ClassVar[int] = 2
    singles: ClassVar[bool] = False
    measures: ClassVar[Mapping[str, Sequence[float]]] = {
        "removed_fraction": FRACTIONS,
        "cluster_size": CLUSTER_SIZES,
    }

    prefer: Literal["longest", "shortest", "newest", "oldest", "first"] = Field(
        "first",
        description="which document keeps a line, of equal source and quality: by length, by `date`, or the smallest "
        "hash of the id",
    )
    unit: Unit = Field(
        "line",
        description="line (what CCNet and dolma call a paragraph), paragraph (lines up to a blank one), or "
        "sentences",
    )
    span: int | None = Field(
        None,
        ge=1,
        le=100,
        description="how many in a row are compared together: 3 lines as FineWeb tried; null: 3 sentences (C4), or 1 "
        "line or paragraph",
    )
    scope: Literal["corpus", "domain", "document"] = Field(
        "corpus",
        description="where copies are looked for: everywhere, in documents of the same host (of `url`, without "
        "www.; documents without one are left alone), or in each document by itself",
    )
    min_count: int = Field(2, ge=2, le=MOST, description="copies from which a line is repeated")
    min_documents: int = Field(1, ge=1, description="documents that must have the line, besides")
    keep: Literal["first", "none"] = Field("first", description="one of the copies, or none of them")
    normalize: Form = Field(
        "exact",
        description="lines are equal by bytes but for white space at the ends; by words (case, punctuation and "
        "spacing do not count, digits do); or as in CCNet (digits are all 0: different sums become equal)",
    )
    min_chars: int = Field(
        13,
        ge=1,
        description="lines, or runs of them, of fewer characters are left alone: `}`, `Yes.`, `* * *`",
    )
    min_left_chars: int = Field(
        1, ge=1, description="reject documents that lost something and have fewer characters left"
    )
    max_removed_fraction: float | None = Field(
        None, ge=0, lt=1, description="reject documents that lost more than this share of their characters"
    )

    def reads(self) -> pa.Schema:
        """The text, the domain, and what the survivor policy looks at."""
        wanted = [*self.policy_reads(), ID_HASH, TEXT, *([URL] if self.scope == "domain" else [])]
        return pa.schema({field.name: field for field in wanted}.values())

    def writes(self) -> pa.Schema:
        """The text without its repeats."""
        return pa.schema([TEXT])

    def problems(self) -> Sequence[str]:
        """Documents counted where only one is looked at; a source named twice."""
        found = list(super().problems())
        if self.scope == "document" and self.min_documents > 1:
            found.append(
                f"min_documents is {self.min_documents}, but scope: document looks at one at a time; leave it out, "
                "or write scope: domain"
            )
        return found

    # --- round 0: who has a line ----------------------------------------------------------------------

    def order(self, round: int) -> Sequence[str]:
        """Round 0: the document that keeps a line comes first. Round 1: the one that names itself does."""
        if round:
            return ["role"]
        names = self.policy_order[:-1]
        return [*(names if self.source_priority else names[1:]), "rank_hash"]

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:  # noqa: ARG002
        """Round 0: a row for each distinct line. Round 1: each document's losses, and the ids of those that keep."""
        if round:
            return losses_of(batch["id"], verdicts, int(KEEPER))
        if self.scope == "document":
            batch = batch.slice(0, 0)
        return self._emit_lines(batch)

    def _items(self, batch: pa.RecordBatch) -> tuple[Pieces, Items]:
        pieces = cut_pieces(batch["text"], self.unit, self.normalize)
        hosts = hosts_of(batch["url"]) if self.scope == "domain" else None
        return pieces, items_of(pieces, self._width, self.min_chars, hosts)

    @property
    def _width(self) -> int:
        return self.span or (3 if self.unit == "sentences" else 1)

    def _emit_lines(self, batch: pa.RecordBatch) -> pa.Table:
        _, items = self._items(batch)
        at = np.flatnonzero(items.heads == np.arange(len(items.heads)))
        owners = items.rows[at]
        everyone = pa.array(np.arange(batch.num_rows), pa.int64())
        policy = self.policy_columns(batch, everyone, batch["text"])
        policy["rank_hash"] = pa.array(hash_halves(batch["id_hash"]))
        rows = pa.array(owners.astype(np.int32))
        keys = np.ascontiguousarray(
            items.keys[at].byteswap()
        )  # big-endian: buckets are cut by the first bytes
        return pa.table(
            {
                "key": pa.Array.from_buffers(pa.binary(16), len(at), [None, pa.py_buffer(keys)]),
                "row": rows,
                **{name: policy[name].take(rows) for name in self.order(0)},
                "item": (at - items.firsts[owners]).astype(np.int32),
                "copies": np.minimum(items.counts[at], MOST).astype(np.uint16),
            }
        )

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:
        """Round 0: the lines that each document loses, by number. Round 1: the same, with the first one's keeper."""
        if round:
            return name_keepers(bucket, self.keep == "first")
        starts = group_starts(bucket["key"])
        sizes = np.diff(starts)
        copies = bucket["copies"].to_numpy().astype(np.int64)
        totals = np.add.reduceat(copies, starts[:-1]) if len(copies) else copies
        repeated = np.repeat((sizes > 1) & (totals >= self.min_count) & (sizes >= self.min_documents), sizes)
        first = np.repeat(starts[:-1], sizes)
        is_first = first == np.arange(len(first))
        lost = repeated & ~is_first if self.keep == "first" else repeated
        own = repeated & is_first & (copies > 1) & (self.keep == "first")
        docs, items = bucket["doc"].to_numpy(), bucket["item"].to_numpy()
        keepers = distinct(docs[repeated & is_first])
        at = np.flatnonzero(lost | own)
        codes = np.where(lost[at], items[at], ~items[at]).astype(np.int32)
        return pa.table(
            {
                "doc": np.concatenate([docs[at], keepers]),
                "code": np.concatenate([codes, np.full(len(keepers), KEEPER)]),
                "keeper": np.concatenate([docs[first[at]], keepers]),
                "documents": np.concatenate([np.repeat(sizes, sizes)[at], np.zeros(len(keepers), np.int64)]),
            }
        )

    # --- the text without them ------------------------------------------------------------------------

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        """Cut what goes; reject what has too little left."""
        pieces, items = self._items(batch)
        least = self.min_count if self.min_documents == 1 else 0
        cuts = cut_texts(pieces, items, verdicts, least, self.keep == "first")
        reject = self._verdicts(cuts)
        kept = np.asarray(pc.is_null(reject))
        return Marks(
            {"text": cuts.left(batch["text"], kept)},
            reject,
            cuts.evidence(batch["id"], kept, self.keep == "first"),
        )

    def _verdicts(self, cuts: Cuts) -> pa.Array:
        reasons = np.full(len(cuts.removed_chars), None, object)
        if self.max_removed_fraction is not None:
            reasons[cuts.removed_fraction > self.max_removed_fraction] = str(LineReason.MOSTLY_REPEATED)
        few = cuts.chars - cuts.removed_chars < self.min_left_chars
        reasons[few & (cuts.removed_chars > 0)] = str(LineReason.NOTHING_LEFT)
        return pa.array(reasons, pa.string())
