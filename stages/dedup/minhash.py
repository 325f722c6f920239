"""Reject near-duplicates: MinHash finds candidates, exact similarity decides.

    round 0: text -> words -> shingles -> signature -> one key a band; equal keys make links, links groups
    round 1: the shingle sets of each group's documents meet; in the order of the survivor policy, a
             document is rejected only if its set is verified similar to that of one that survives

A group is only where to look: being linked through a third document rejects nobody.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.stage import Marks
from stages.dedup._judge_kernels import judge_groups
from stages.dedup._minhash import MinhashParams, bad_params, s_curve
from stages.dedup._policy import (
    CLUSTER_SIZES,
    SurvivorPolicy,
    group_starts,
    mix_references,
    reject_rows,
)

EVIDENCE_TYPE = pa.struct(
    [
        ("survivor", pa.string()),
        ("similarity", pa.float64()),
        ("cluster_size", pa.int64()),
        ("group_size", pa.int64()),
    ]
)
SIMILARITIES = tuple(i / 20 for i in range(21))


class MinhashReason(StrEnum):
    """Why a document falls."""

    NEAR_DUPLICATE = "near_duplicate"


class MinhashDedup(MinhashParams, SurvivorPolicy[None]):
    """Of documents with much the same shingles, keep the preferred one; verified, with evidence.

    Short documents: one with fewer words than a shingle counts as its whole sequence of words, so it falls
    only to an equal one. A document without words is nobody's duplicate. Texts are compared as words: case,
    spacing and punctuation do not count; digits, marks, signs before digits and emoji do.

    A document that the bands miss stays (`corpusmill plan` prints the chances). A group of more than the
    run's `max_group_rows` documents is judged in parts, so that pairs in different parts stay as well.
    """

    version: ClassVar[int] = 2
    reasons = MinhashReason
    rounds: ClassVar[int] = 2
    singles: ClassVar[bool] = False
    measures: ClassVar[Mapping[str, Sequence[float]]] = {
        "similarity": SIMILARITIES,
        "cluster_size": CLUSTER_SIZES,
    }

    measure: Literal["jaccard", "containment"] = Field(
        "jaccard",
        description="shared shingles over all of both documents, or over those of the document that would fall; "
        "bands find pairs by their Jaccard similarity either way",
    )
    prefer: Literal["longest", "shortest", "newest", "oldest", "first"] = Field(
        "longest",
        description="which survives of equal source and quality: by length, by `date`, or the smallest id",
    )

    def reads(self) -> pa.Schema:
        """The text, and what the survivor policy looks at."""
        return pa.schema([*self.policy_reads(), self.column()])

    def problems(self) -> Sequence[str]:
        """Settings that cannot find what they promise, or find what is not there."""
        return [*super().problems(), *bad_params(self)]

    def describe(self) -> Sequence[str]:
        """The S-curve."""
        kind = "similarity to" if self.measure == "jaccard" else "containment in"
        return [
            *s_curve(self),
            f"a candidate is rejected if its exact {kind} a survivor is at least {self.threshold:g}",
        ]

    def order(self, round: int) -> Sequence[str]:
        """The survivor policy, best first."""
        return self.policy_order if round else ()

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:  # noqa: ARG002
        """Round 0: a row for each band. Round 1: the shingle set of each document in a group."""
        return self._emit_sets(batch, verdicts) if round else self._emit_bands(self.texts(batch))

    def _emit_bands(self, texts: pa.Array) -> pa.Table:
        keys, rows = self.band_keys(texts)
        return pa.table({"key": keys.reshape(-1), "row": np.repeat(rows, keys.shape[1]).astype(np.int32)})

    def _emit_sets(self, batch: pa.RecordBatch, verdicts: pa.Table) -> pa.Table:
        some = verdicts.num_rows > 0
        rows = verdicts["row"].to_numpy() if some else np.zeros(0, np.int64)
        groups = verdicts["group"].to_numpy() if some else np.zeros(0, np.uint64)
        at = pa.array(rows, pa.int64())
        texts = self.texts(batch).take(at)
        return pa.table(
            {
                "key": mix_references(groups),
                "row": at.cast(pa.int32()),
                **self.policy_columns(batch, at, texts),
                "shingles": self.sets(texts),
            }
        )

    def links(self, round: int) -> bool:
        """Round 0 says who belongs together; verdicts of round 1 are complete as they are."""
        return round == 0

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:
        """Round 0: links among the documents that share a key. Round 1: who falls to whom."""
        starts = group_starts(bucket["key"])
        return self._judge(bucket, starts) if round else _link(bucket["doc"], starts)

    def _judge(self, bucket: pa.Table, starts: np.ndarray) -> pa.Table:
        lists = bucket["shingles"].combine_chunks()
        offsets = np.asarray(lists.offsets.to_numpy(), np.int64)
        containment = self.measure == "containment"
        survivor, similarity = judge_groups(
            starts, lists.values.to_numpy(), offsets, self.threshold, containment
        )
        lost = np.flatnonzero(survivor >= 0)
        sizes = np.repeat(np.diff(starts), np.diff(starts))
        fallen_to = np.bincount(survivor[lost], minlength=len(survivor))
        return pa.table(
            {
                "doc": bucket["doc"].take(pa.array(lost)),
                "survivor": bucket["id"].take(pa.array(survivor[lost])),
                "similarity": similarity[lost],
                "cluster_size": (fallen_to[survivor[lost]] + 1).astype(np.int64),
                "group_size": sizes[lost].astype(np.int64),
            }
        )

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        """Reject what has a survivor."""
        return reject_rows(batch.num_rows, verdicts, MinhashReason.NEAR_DUPLICATE, EVIDENCE_TYPE)


def _link(docs: pa.ChunkedArray, starts: np.ndarray) -> pa.Table:
    """Every document of a key, with the first of its key."""
    numbers = np.asarray(docs.to_numpy(), np.uint64)
    first = np.repeat(starts[:-1], np.diff(starts))
    linked = np.flatnonzero(first != np.arange(numbers.size))
    return pa.table({"doc": numbers[linked], "group": numbers[first[linked]]})
