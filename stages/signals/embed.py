"""An embedding of each document, so that documents can be compared by what they say.

The built-in model `hashing` knows no meaning: it sees shared words and pairs of neighbouring words, and finds
documents that are mostly the same words in other places. For paraphrases use a trained model; even the small static
ones of model2vec know that a cat is not far from a kitten.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import MapStage, Marks
from stages.signals._embed_kernels import unit_rows
from stages.signals._embed_models import (
    Embedder,
    head_texts,
    load_model,
    model_files,
    name_problems,
    parse_name,
)

EMBEDDING_TYPE = pa.large_list(pa.float32())  # fixed_size_list would need a dim that only the model knows


def embed_texts(texts: pa.Array, model: Embedder, max_chars: int | None) -> pa.Array:
    """Embeddings of length 1.

    Returns:
        EMBEDDING_TYPE; null for a text that is null or blank, and where the model finds nothing or no number.
    """
    heads = head_texts(texts, max_chars)
    wanted = np.flatnonzero(pc.not_equal(pc.utf8_ltrim_whitespace(heads), "").to_numpy(zero_copy_only=False))
    if not len(wanted):
        return pa.nulls(len(texts), EMBEDDING_TYPE)
    unit, known = unit_rows(model.embed(heads.take(pa.array(wanted))))
    counts = np.zeros(len(texts) + 1, np.int64)
    counts[wanted[known] + 1] = unit.shape[1]
    offsets = pa.array(np.cumsum(counts), pa.int64())
    missing = np.ones(len(texts), np.bool_)
    missing[wanted[known]] = False
    values = pa.array(unit[known].reshape(-1), pa.float32())
    return pa.LargeListArray.from_arrays(offsets, values, mask=pa.array(missing))


class EmbedText(MapStage[Embedder]):
    """Write an embedding of length 1 for each text, by hashing its words or by a model.

    A text that is null or blank has none. A text's embedding depends on that text alone.
    """

    model: str = Field(
        "hashing",
        min_length=1,
        description="hashing; path of a fastText model (.bin, .ftz) or name in the catalogue; "
        "model2vec:NAME or sentence-transformers:NAME, a folder or what the hub's cache has as ORG/NAME[@REVISION]",
    )
    column: str = Field("embedding", min_length=1, description="name of the column, large_list of float32")
    dim: int = Field(
        256, ge=8, le=65_536, description="values to an embedding of `hashing`; others have their own"
    )
    max_chars: int | None = Field(
        None, ge=1, description="code points read from the start of the text; null = all"
    )

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([pa.field(self.column, EMBEDDING_TYPE)])

    def resources(self) -> Sequence[Path]:
        return model_files(parse_name(self.model)) if not self.problems() else []

    def problems(self) -> Sequence[str]:
        """A column that is the text, or a model that is not here."""
        found = name_problems(parse_name(self.model))
        if self.column == TEXT.name:
            found.append("column is 'text', which would replace the text; write another name")
        return found

    def open(self, side: object) -> Embedder:  # noqa: ARG002
        """Load the model."""
        return load_model(parse_name(self.model), self.dim)

    def annotate(self, batch: pa.RecordBatch, resource: Embedder) -> Marks:
        return Marks({self.column: embed_texts(batch["text"], resource, self.max_chars)})
