"""Reject documents that say what another says: cosine of embeddings, compared within clusters (SemDeDup).

    emit: each document with an embedding goes to its nearest centroid
    reduce: within a cluster, in the order of the survivor policy, a document falls only to one that survives

SemDeDup (Abbas et al. 2023, arXiv:2303.09540) sorts a cluster by distance from its centroid, farthest first, and
drops a document that is like *any* before it, kept or not: chains fall whole, and what a document was dropped for may
be gone itself. Here each rejected document has a verified cosine to one that stays. Its order, the least typical
first, is `prefer_outliers`.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import ANY_TYPE, Marks
from stages.dedup._policy import CLUSTER_SIZES, SurvivorPolicy, group_starts, reject_rows
from stages.dedup._semantic_clusters import Clusters, load_clusters
from stages.dedup._semantic_vectors import judge
from stages.kernels.vectors import nearest_rows, unit_vectors

EVIDENCE_TYPE = pa.struct(
    [("survivor", pa.string()), ("similarity", pa.float64()), ("cluster_size", pa.int64())]
)
SIMILARITIES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 0.999, 1.0)
LOW_THRESHOLD = 0.5


class SemanticReason(StrEnum):
    """Why a document falls."""

    SEMANTIC_DUPLICATE = "semantic_duplicate"


class SemanticDedup(SurvivorPolicy[Clusters]):
    """Of documents with much the same embedding, keep the preferred one; verified, with evidence.

    Compared are documents of one cluster only: a pair on two sides of a border is missed (a second node with
    clusters of another seed finds most of these). A document without an embedding, or with one of zeros or with
    NaN, is nobody's duplicate. A cluster of more than the run's `max_group_rows` documents is judged in parts.
    """

    reasons = SemanticReason
    singles: ClassVar[bool] = False
    sides: ClassVar[Mapping[str, str]] = {"clusters": "folder of train_clusters"}
    measures: ClassVar[Mapping[str, Sequence[float]]] = {
        "similarity": SIMILARITIES,
        "cluster_size": CLUSTER_SIZES,
    }

    column: str = Field(
        "embedding", min_length=1, description="list column of embeddings, of any number type"
    )
    threshold: float = Field(
        0.95,
        gt=0,
        le=1,
        description="least cosine to a survivor that rejects; what it should be is the model's matter",
    )
    prefer_outliers: bool = Field(
        False,
        description="of equal source and quality the one farthest from its centroid survives, as in SemDeDup; "
        "`prefer` then decides only what is equally far",
    )

    def reads(self) -> pa.Schema:
        """The embedding, and what the survivor policy looks at."""
        fields = [
            *self.policy_reads(),
            *([TEXT] if self._measures_text else []),
            pa.field(self.column, ANY_TYPE),
        ]
        return pa.schema(list({field.name: field for field in fields}.values()))

    def needs_side(self) -> Sequence[str]:
        return ["clusters"]

    def problems(self) -> Sequence[str]:
        """A source named twice, or a threshold that unrelated documents reach."""
        found = list(super().problems())
        if self.threshold < LOW_THRESHOLD:
            found.append(
                f"threshold is a cosine of {self.threshold:g}, which unrelated documents reach under most models; "
                f"use {LOW_THRESHOLD} or more"
            )
        return found

    def describe(self) -> Sequence[str]:
        """What is compared."""
        return [
            f"a document is rejected if its cosine to a survivor of its cluster is at least {self.threshold:g}; "
            "pairs on two sides of a border between clusters are missed"
        ]

    def open(self, side: Mapping[str, Path]) -> Clusters:
        """Load the centroids.

        Raises:
            ValueError: there are none, or they are of another column.
        """
        clusters = load_clusters(side["clusters"])
        if clusters.column != self.column:
            raise ValueError(
                f"column: the clusters {clusters.path} are of column {clusters.column!r}, not {self.column!r}; "
                f"write column: {clusters.column}, or train clusters of {self.column!r}"
            )
        return clusters

    def order(self, round: int) -> Sequence[str]:  # noqa: ARG002
        """The survivor policy, best first."""
        policy = self.policy_order
        at = 2 if self.quality else 1  # after priority and quality
        return [*policy[:at], "centrality", *policy[at:]] if self.prefer_outliers else policy

    @property
    def _measures_text(self) -> bool:
        return self.prefer in ("longest", "shortest")

    def emit(self, batch: pa.RecordBatch, resource: Clusters, round: int, verdicts: pa.Table) -> pa.Table:  # noqa: ARG002
        """A row for each document with an embedding, to its nearest centroid.

        Raises:
            ValueError: embeddings of another length than the centroids, or no embeddings at all.
        """
        unit, rows = unit_vectors(batch[self.column], self.column)
        dim = resource.centroids.shape[1]
        if len(rows) and unit.shape[1] != dim:
            raise ValueError(
                f"column {self.column!r} has embeddings of {unit.shape[1]} values, but the clusters "
                f"{resource.path} are of {dim}; train clusters on what the same model made"
            )
        nearest, closeness = nearest_rows(unit.reshape(-1, dim), resource.centroids)
        at = pa.array(rows, pa.int64())
        texts = batch["text"].take(at) if self._measures_text else pa.nulls(len(at), pa.large_string())
        offsets = pa.array(np.arange(len(rows) + 1) * dim, pa.int64())
        return pa.table(
            {
                "key": _mix(nearest.astype(np.uint64)),
                "row": at.cast(pa.int32()),
                **self.policy_columns(batch, at, texts),
                **({"centrality": closeness} if self.prefer_outliers else {}),
                "embedding": pa.LargeListArray.from_arrays(offsets, pa.array(unit.reshape(-1), pa.float32())),
            }
        )

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:  # noqa: ARG002
        """Who falls to whom, cluster by cluster."""
        starts = group_starts(bucket["key"])
        values = bucket["embedding"].combine_chunks().flatten().to_numpy()
        unit = values.reshape(bucket.num_rows, -1) if bucket.num_rows else np.zeros((0, 1), np.float32)
        survivor, similarity = np.full(bucket.num_rows, -1, np.int64), np.zeros(bucket.num_rows)
        for low, high in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            if high - low > 1:
                found = judge(unit[low:high], self.threshold)
                survivor[low:high] = np.where(found.survivor < 0, -1, found.survivor + low)
                similarity[low:high] = found.similarity
        lost = np.flatnonzero(survivor >= 0)
        sizes = np.bincount(survivor[lost], minlength=bucket.num_rows) + 1
        return pa.table(
            {
                "doc": bucket["doc"].take(pa.array(lost)),
                "survivor": bucket["id"].take(pa.array(survivor[lost])),
                "similarity": similarity[lost],
                "cluster_size": sizes[survivor[lost]].astype(np.int64),
            }
        )

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        """Reject what has a survivor."""
        return reject_rows(batch.num_rows, verdicts, SemanticReason.SEMANTIC_DUPLICATE, EVIDENCE_TYPE)


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Uniform keys from the numbers of centroids (splitmix64)."""
    h = numbers + np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))
