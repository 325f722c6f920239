"""Reject documents that mostly repeat what better-ranked documents of the same corpus say, n-gram by n-gram.

    round 0: every n-gram that several documents have belongs to the best-ranked of them; who has less than the
             threshold from others is a *source*, and survives
    round 1: the others are measured against sources alone, and fall only to what these have

dolma's deduper and DataComp-LM's BFF decide as they read, by one Bloom filter of all that came before: what falls
depends on the order, and a document may fall to text that fell itself. Here the order is the survivor policy's, and
the overlap of every rejected document is with documents that survive.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import MESSAGES, TEXT
from pipeline.stage import Marks
from stages.dedup._bloom import BloomFilter, GramRules, gram_hashes, read_filter
from stages.dedup._bloom_kernels import select_held
from stages.dedup._policy import SurvivorPolicy, group_starts, reject_rows
from stages.kernels.dialogue import dialogue_texts

EVIDENCE_TYPE = pa.struct(
    [
        ("survivor", pa.string()),  # the one that has most of the repeated n-grams
        ("similarity", pa.float64()),  # share of the n-grams that surviving documents have
        ("survivor_share", pa.float64()),  # share that `survivor` is the best-ranked to have
        ("survivors", pa.int64()),  # documents that have some
        ("ngrams", pa.int64()),
    ]
)
OVERLAPS = tuple(k / 20 for k in range(21))  # edges of bins for reports


class NgramReason(StrEnum):
    """Why a document falls."""

    REPEATED_NGRAMS = "repeated_ngrams"


def sum_overlaps(verdicts: pa.Table) -> pa.Table:
    """One row for each document from rows of (document, owner of some of its n-grams).

    Args:
        verdicts: `row`, ascending; `owner` string, `owned` int64, `ngrams` int64.

    Returns:
        `row`, and the fields of EVIDENCE_TYPE.
    """
    pairs = verdicts.group_by(["row", "owner", "ngrams"], use_threads=False).aggregate([("owned", "sum")])
    order = [("row", "ascending"), ("owned_sum", "descending"), ("owner", "ascending")]
    pairs = pairs.sort_by(order).combine_chunks()
    starts = group_starts(pairs["row"])[:-1]
    if not len(starts):
        starts = np.zeros(0, np.int64)
    owned, ngrams = pairs["owned_sum"].to_numpy(), pairs["ngrams"].to_numpy()[starts]
    total = np.add.reduceat(owned, starts) if len(starts) else np.zeros(0, np.int64)
    return pa.table(
        {
            "row": pairs["row"].take(pa.array(starts)),
            "survivor": pairs["owner"].take(pa.array(starts)),
            "similarity": total / ngrams,
            "survivor_share": owned[starts] / ngrams,
            "survivors": np.diff(np.append(starts, pairs.num_rows)),
            "ngrams": ngrams,
        }
    )


class NgramDedup(SurvivorPolicy[BloomFilter | None]):
    """Reject documents of whose n-grams a share of `threshold` stands in better-ranked documents that survive.

    N-grams count once each, and the share is that of the union of those documents, so a page made of pieces of
    three others falls, which pairwise comparison would keep. Found repeats are exact. Among documents that all
    repeat each other some that could fall stay: what only a document that is no source has (one that repeats
    others itself) counts for nobody.

    The side input `filter`, a build_bloom_filter node over the same documents with `repeated: true`, keeps n-grams of
    one document away from the exchange; it changes no result. Without it every n-gram is exchanged. A document of
    fewer words than n is one n-gram; one without words is nobody's duplicate.
    """

    reasons = NgramReason
    rounds: ClassVar[int] = 2
    singles: ClassVar[bool] = False
    sides: ClassVar[Mapping[str, str]] = {
        "filter": "a build_bloom_filter node over the same documents, repeated: true"
    }
    measures = {"similarity": OVERLAPS}

    threshold: float = Field(0.8, gt=0, le=1, description="share of a document's n-grams that rejects it")
    unit: Literal["word", "char"] = Field("word", description="what an n-gram is a run of; as in the filter")
    n: int | None = Field(
        13, ge=1, le=1000, description="units to an n-gram; null: the whole document, or paragraph, is one"
    )
    scope: Literal["document", "paragraph"] = Field(
        "document", description="n-grams run through the document, or each line has its own"
    )
    on: Literal["text", "messages"] = Field(
        "text", description="the text, or the contents of a dialogue's turns"
    )

    def reads(self) -> pa.Schema:
        """The text or the dialogue, and what the survivor policy looks at."""
        return pa.schema([*self.policy_reads(), MESSAGES if self.on == "messages" else TEXT])

    def open(self, side: Mapping[str, Path]) -> BloomFilter | None:
        """Map the filter, if there is one.

        Raises:
            ValueError: it is a filter of other n-grams, or does not know which are repeated.
        """
        if "filter" not in side:
            return None
        bloom = read_filter(side["filter"])
        mine = GramRules(self.unit, self.n, self.scope)
        if bloom.rules != mine:
            raise ValueError(
                f"ngram_dedup: the filter has {bloom.rules}, the params say {mine}; make them equal"
            )
        if not bloom.repeated.size:
            raise ValueError(
                "ngram_dedup: the filter does not know what is repeated; build it with repeated: true"
            )
        return bloom

    def order(self, round: int) -> Sequence[str]:  # noqa: ARG002
        """The owner of an n-gram comes first."""
        return self.policy_order

    def emit(
        self, batch: pa.RecordBatch, resource: BloomFilter | None, round: int, verdicts: pa.Table
    ) -> pa.Table:
        """A row for each n-gram of a document that others may have too; in round 1 with who must be measured."""
        texts = dialogue_texts(batch["messages"]) if self.on == "messages" else batch["text"]
        hashes, offsets = gram_hashes(texts, GramRules(self.unit, self.n, self.scope), distinct=True)
        counts = np.diff(offsets)
        if resource is not None:
            hashes, offsets = select_held(
                hashes, offsets, resource.repeated, resource.size.blocks, resource.size.bits
            )
        rows = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        policy = self.policy_columns(batch, pa.array(np.arange(batch.num_rows)), texts)
        at = pa.array(rows, pa.int64())
        table = {
            "key": pa.array(hashes, pa.uint64()),
            "row": at.cast(pa.int32()),
            "ngrams": pa.array(counts[rows], pa.int64()),
            **{name: column.take(at) for name, column in policy.items()},
        }
        if round:
            asks = np.zeros(batch.num_rows, bool)
            if verdicts.num_rows:
                said = sum_overlaps(verdicts)
                asks[said["row"].to_numpy()] = said["similarity"].to_numpy() >= self.threshold
            table["asks"] = pa.array(asks[rows], pa.bool_())
        return pa.table(table)

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:
        """How many n-grams of each document which other has before it; round 1: which source."""
        starts = group_starts(bucket["key"])
        places = np.arange(bucket.num_rows)
        owners = np.repeat(starts[:-1], np.diff(starts))
        wants = places > owners
        if round and bucket.num_rows:
            asks = bucket["asks"].to_numpy()
            first = np.minimum.reduceat(np.where(asks, bucket.num_rows, places), starts[:-1])
            owners = np.repeat(first, np.diff(starts))
            wants = asks & (owners < places)
        lost = np.flatnonzero(wants)
        found = pa.table(
            {
                "doc": bucket["doc"].take(pa.array(lost)),
                "owner": bucket["id"].take(pa.array(owners[lost])),
                "ngrams": bucket["ngrams"].take(pa.array(lost)),
                "owned": np.ones(len(lost), np.int64),
            }
        )
        summed = found.group_by(["doc", "owner", "ngrams"], use_threads=False).aggregate([("owned", "sum")])
        return summed.select(["doc", "owner", "ngrams", "owned_sum"]).rename_columns(found.schema.names)

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        """Reject what has too little of its own."""
        if verdicts.num_rows:
            said = sum_overlaps(verdicts)
            verdicts = said.filter(pa.array(said["similarity"].to_numpy() >= self.threshold))
        return reject_rows(batch.num_rows, verdicts, NgramReason.REPEATED_NGRAMS, EVIDENCE_TYPE)
