"""How surprising a document is to an n-gram language model: perplexity, and CCNet's head, middle and tail.

Low is fluent text of the model's kind; high is noise, lists, another language, or merely another kind of text: the
number says how much a document resembles what the model was trained on (Wenzek et al. 2020, arXiv:1911.00359,
section 3.3, who keep all three buckets and say so).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import MapStage, Marks
from stages.signals._lm_arpa import read_arpa
from stages.signals._lm_model import LanguageModel, Scores, load_model, score

PERPLEXITY = pa.field("perplexity", pa.float64())
PERPLEXITY_BUCKET = pa.field("perplexity_bucket", pa.string())
UNKNOWN_WORD_FRACTION = pa.field("unknown_word_fraction", pa.float64())
BUCKETS = ("head", "middle", "tail")
EVIDENCE_TYPE = pa.struct([("perplexity", pa.float64()), ("min", pa.float64()), ("max", pa.float64())])


class Reason(StrEnum):
    """Why a document goes."""

    PERPLEXITY_TOO_LOW = "perplexity_too_low"
    PERPLEXITY_TOO_HIGH = "perplexity_too_high"


class Scorer(Protocol):
    """A model that is loaded."""

    cuts: tuple[float, float] | None

    def score(self, text: pa.Array) -> Scores:
        """Perplexity and share of unknown words of each text, NaN where there is no word."""


class OwnScorer:
    """A model of our words, from a train_language_model node or an ARPA file."""

    def __init__(self, model: LanguageModel) -> None:
        self.model, self.cuts = model, model.cuts

    def score(self, text: pa.Array) -> Scores:
        """Compiled, a whole column at once."""
        return score(self.model, text)


def is_arpa(path: str) -> bool:
    """Is a model's file read by us, rather than by kenlm?"""
    return path.endswith((".arpa", ".arpa.gz"))


def bucket_of(perplexity: pa.Array, cuts: tuple[float, float] | None) -> pa.Array:
    """`head` up to the first cut, `middle` up to the second, else `tail`; null without cuts or perplexity.

    >>> bucket_of(pa.array([1.0, 2.5, 9.0, None]), (2.0, 3.0)).to_pylist()
    ['head', 'middle', 'tail', None]
    """
    if cuts is None:
        return pa.nulls(len(perplexity), pa.string())
    head, middle, tail = (pa.scalar(name) for name in BUCKETS)
    upper = pc.if_else(pc.less_equal(perplexity, cuts[1]), middle, tail)
    return pc.if_else(pc.less_equal(perplexity, cuts[0]), head, upper)


class Perplexity(MapStage[Scorer]):
    """Write each document's perplexity, its bucket and its share of unknown words; reject nothing unless asked.

    Null where a document has no word. A model is of one language: give each language its own node and model, with
    `where: {lang: ...}` on the inputs.
    """

    version: ClassVar[int] = 3
    reasons = Reason
    sides: ClassVar[Mapping[str, str]] = {"model": "folder of train_language_model"}
    summarize: ClassVar[Mapping[str, Literal["sum", "values"]]] = {"perplexity_bucket": "values"}

    model: str | None = Field(
        None,
        description="path of an ARPA file (.arpa, .arpa.gz) of lower-case words, punctuation apart from them, or "
        "of a KenLM binary (needs the extra `lm`); null: the side input `model`",
    )
    sentencepiece: str | None = Field(
        None,
        description="with a KenLM binary: path of the SentencePiece model that it was trained with; documents are then "
        "prepared as CCNet does it; null: words",
    )
    cuts: tuple[float, float] | None = Field(
        None, description="perplexities where head and middle end; null: those the node found, if it did"
    )
    min_perplexity: float | None = Field(None, gt=0, description="reject what is lower; null turns it off")
    max_perplexity: float | None = Field(None, gt=0, description="reject what is higher; null turns it off")

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([PERPLEXITY, PERPLEXITY_BUCKET, UNKNOWN_WORD_FRACTION])

    def needs_side(self) -> Sequence[str]:
        return () if self.model is not None else ("model",)

    def resources(self) -> Sequence[Path]:
        return [Path(path) for path in (self.model, self.sentencepiece) if path is not None]

    def problems(self) -> Sequence[str]:
        found = []
        if self.cuts is not None and self.cuts[0] > self.cuts[1]:
            found.append(f"cuts: {self.cuts[0]:g} is above {self.cuts[1]:g}; swap them")
        low, high = self.min_perplexity, self.max_perplexity
        if low is not None and high is not None and low > high:
            found.append(
                f"min_perplexity: {low:g} is above max_perplexity = {high:g}, so nothing would be kept"
            )
        if self.sentencepiece is not None and (self.model is None or is_arpa(self.model)):
            found.append("sentencepiece: only a KenLM binary goes with it; give its path as `model`")
        return found

    def open(self, side: Mapping[str, Path]) -> Scorer:
        if self.model is None:
            return OwnScorer(load_model(side["model"]))
        if is_arpa(self.model):
            return OwnScorer(read_arpa(Path(self.model)))
        from stages.signals._kenlm import KenlmScorer

        return KenlmScorer(self.model, self.sentencepiece)

    def annotate(self, batch: pa.RecordBatch, resource: Scorer) -> Marks:
        found = resource.score(batch[TEXT.name])
        perplexity, unknown = (pa.array(v, pa.float64(), mask=~np.isfinite(v)) for v in found)
        columns = {
            PERPLEXITY.name: perplexity,
            PERPLEXITY_BUCKET.name: bucket_of(perplexity, self.cuts or resource.cuts),
            UNKNOWN_WORD_FRACTION.name: unknown,
        }
        if self.min_perplexity is None and self.max_perplexity is None:
            return Marks(columns)
        low, high = (pa.scalar(v, pa.float64()) for v in (self.min_perplexity, self.max_perplexity))
        too_low, too_high = (
            pc.fill_null(broken, False) for broken in (pc.less(perplexity, low), pc.greater(perplexity, high))
        )
        reject = pc.if_else(too_high, pa.scalar(Reason.PERPLEXITY_TOO_HIGH.value), None)
        reject = pc.if_else(too_low, pa.scalar(Reason.PERPLEXITY_TOO_LOW.value), reject).cast(pa.string())
        bounds = [pa.array([bound.as_py()] * len(perplexity), pa.float64()) for bound in (low, high)]
        evidence = pa.StructArray.from_arrays(
            [perplexity, *bounds], fields=list(EVIDENCE_TYPE), mask=pc.is_null(reject)
        )
        return Marks(columns, reject, evidence)
