"""Find documents whose embedding is near a benchmark item's: paraphrases, which share few words in a row.

Source: Yang et al. 2023 (arXiv:2311.04850) show that rephrased items pass n-gram definitions and find candidates by
embedding. They let a language model judge the nearest; here the nearest item is named with its cosine, and that is
a lead, not proof.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.stage import ANY_TYPE, MapStage, Marks
from stages.decontamination.build_vectors import ItemVectors, read_vectors
from stages.kernels.vectors import nearest_rows, unit_vectors

EVIDENCE_TYPE = pa.struct(
    [("benchmark", pa.string()), ("item", pa.string()), ("similarity", pa.float64())],
)


class Similar(StrEnum):
    """Why a document falls."""

    CONTAMINATED_BY_SIMILARITY = "contaminated_by_similarity"


class FindSimilarItems(MapStage[ItemVectors]):
    """Name the benchmark item whose embedding is nearest to a document's; reject or mark what is near enough.

    Documents and items must have been embedded by one model. An embedding is of a whole document: an item in the
    middle of a long one is not found so; cut documents to pieces before, or use this for dialogues and other short
    texts. A cosine is no proof: read the report's samples before you choose a threshold.
    """

    reasons = Similar
    sides: ClassVar[Mapping[str, str]] = {
        "vectors": "a build_item_vectors node over embedded benchmark items"
    }
    measures: ClassVar[Mapping[str, Sequence[float]]] = {
        "similarity": (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
    }

    column: str = Field("embedding", min_length=1, description="list column of the documents' embeddings")
    threshold: float = Field(0.9, gt=0, le=1, description="least cosine between a document and an item")
    action: Literal["reject", "mark"] = Field("mark", description="reject the document, or only mark it")

    def reads(self) -> pa.Schema:
        """The embeddings."""
        return pa.schema([pa.field(self.column, ANY_TYPE)])

    def writes(self) -> pa.Schema:
        """The nearest item's cosine, null without an embedding."""
        return pa.schema([pa.field("item_similarity", pa.float64())])

    def needs_side(self) -> Sequence[str]:
        """The items' vectors."""
        return ["vectors"]

    def open(self, side: Mapping[str, Path]) -> ItemVectors:
        """Map the vectors."""
        return read_vectors(side["vectors"])

    def annotate(self, batch: pa.RecordBatch, resource: ItemVectors) -> Marks:
        """The nearest item of each row, the first of equals; evidence from the threshold on.

        Raises:
            ValueError: documents' and items' embeddings differ in length.
        """
        unit, at = unit_vectors(batch[self.column], self.column)
        reject: list[str | None] = [None] * batch.num_rows
        evidence: list[dict[str, Any] | None] = [None] * batch.num_rows
        similarity = np.full(batch.num_rows, np.nan)
        if len(at):
            if unit.shape[1] != resource.unit.shape[1]:
                raise ValueError(
                    f"find_similar_items: documents have embeddings of {unit.shape[1]} values, items of "
                    f"{resource.unit.shape[1]}; embed both by the same model"
                )
            nearest, similarity[at] = nearest_rows(unit, resource.unit)
            for row, item in zip(at.tolist(), nearest.tolist(), strict=True):
                if similarity[row] >= self.threshold:
                    evidence[row] = {
                        "benchmark": resource.benchmarks[item],
                        "item": resource.items[item],
                        "similarity": similarity[row],
                    }
                    if self.action == "reject":
                        reject[row] = Similar.CONTAMINATED_BY_SIMILARITY
        column = pa.array(similarity, mask=np.isnan(similarity))
        return Marks(
            {"item_similarity": column}, pa.array(reject, pa.string()), pa.array(evidence, EVIDENCE_TYPE)
        )
