"""A text classifier's score of each document, such as its quality, and thresholds on it.

The score is the probability that a fastText model gives to one label: DataComp-LM ranks pages by such a model of
word bigrams (Li et al. 2024, arXiv:2406.11794), GPT-3 samples by one (Brown et al. 2020, arXiv:2005.14165,
appendix A). Train one with `corpusmill train-classifier` or a `train_quality_classifier` node.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.models import model_path
from pipeline.schema import ID_HASH, TEXT, hash_fractions
from pipeline.stage import MapStage, Marks
from stages.kernels.fasttext import FastTextClassifier, load_fasttext
from stages.kernels.fasttext_spans import text_heads

PREFIX = "__label__"
MODEL_FILE = "model.bin"  # in the folder of a train_quality_classifier node
CARD_SUFFIX = ".json"  # what is known of model.bin stands in model.bin.json
EVIDENCE_TYPE = pa.struct([("label", pa.string()), ("score", pa.float32()), ("limit", pa.float32())])


class Reason(StrEnum):
    """Why a document goes."""

    SCORE_TOO_LOW = "score_too_low"
    SCORE_TOO_HIGH = "score_too_high"
    NOT_SAMPLED = "not_sampled"


class Classifier(NamedTuple):
    """A loaded model and the label that is asked for."""

    model: FastTextClassifier
    names: Sequence[str]  # labels without the prefix
    positive: int


def prepare_text(text: pa.Array, lowercase: bool) -> pa.Array:
    """Text as classifiers read it, large_string: lower-cased if asked; null becomes empty.

    White space needs no care: a newline separates words like a space, in training and in prediction.
    """
    text = pc.fill_null(text.cast(TEXT.type), "")
    return pc.utf8_lower(text) if lowercase else text


def score_texts(
    text: pa.Array, loaded: Classifier, max_chars: int | None, lowercase: bool
) -> tuple[pa.Array, pa.Array]:
    """Score and best label of each text.

    Returns:
        scores float32 in 0..1, the probability of the label asked for; labels string. Both null for a text
        without a word.
    """
    if max_chars is not None:
        text = pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(text), 0, max_chars)
    found = loaded.model.predict_spans(*text_heads(prepare_text(text, lowercase), None), loaded.positive)
    nothing = found.labels < 0
    scores = pa.array(np.minimum(found.targets, np.float32(1)), pa.float32(), mask=nothing)
    return scores, pa.array(loaded.names, pa.string()).take(pa.array(found.labels, pa.int32(), mask=nothing))


def sampled(scores: pa.Array, id_hash: pa.Array, alpha: float, salt: str) -> pa.Array:
    """Which documents GPT-3's rule keeps, bool: where a Pareto draw exceeds 1 - score; null scores are kept.

    The draw is numpy's `pareto(alpha)`, (1 - u)^(-1/alpha) - 1, with u from the id and `salt` in place of an RNG.
    """
    draws = (1 - hash_fractions(id_hash, salt)) ** (-1 / alpha) - 1
    return pc.fill_null(
        pc.greater(pa.array(draws), pc.subtract(pa.scalar(1.0), scores.cast(pa.float64()))), True
    )


def load_classifier(path: Path, label: str | None, lowercase: bool) -> Classifier:
    """Load a model, find the label, and compare with the card beside it, if it has one.

    Raises:
        ValueError: no model, no such label, no label named where it is not clear, or texts prepared otherwise.
    """
    model = load_fasttext(path)
    names = [name.removeprefix(PREFIX) for name in model.labels]
    card = _read_card(path)
    wanted = str(label or card.get("positive") or "").removeprefix(PREFIX)
    if wanted not in names:
        have = ", ".join(sorted(names)[:20])
        said = f"knows no label {wanted!r}" if wanted else "does not say which label is the positive one"
        raise ValueError(f"label: the model {path} {said}; write one of: {have}")
    if card.get("lowercase", lowercase) != lowercase:
        was = "lower-cased text" if card["lowercase"] else "text as it is"
        raise ValueError(
            f"lowercase: the model {path} was trained on {was}; write lowercase: {str(not lowercase).lower()}"
        )
    return Classifier(model, names, names.index(wanted))


def _read_card(path: Path) -> Mapping[str, object]:
    card = path.with_name(path.name + CARD_SUFFIX)
    if not card.is_file():
        return {}
    try:
        found = json.loads(card.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{card}: not JSON ({error}); train the model again, or remove this file") from error
    return found if isinstance(found, dict) else {}


class ClassifyText(MapStage[Classifier]):
    """Score each document with a fastText classifier; reject or sample by the score if asked.

    A document without a word has no score, and no score breaks no rule.
    """

    reasons = Reason
    sides: ClassVar[Mapping[str, str]] = {"model": "folder of train_quality_classifier"}
    libraries: ClassVar[Sequence[str]] = ("pyarrow",)  # its Unicode tables, for lowercase

    model: str | None = Field(
        None,
        description="path of a fastText classifier (.bin, .ftz), or name in the catalogue; null = side input",
    )
    label: str | None = Field(
        None,
        description="label whose probability is the score, with or without __label__; null = as the model's card says",
    )
    column: str = Field("quality_score", min_length=1, description="name of the score's column, float32")
    label_column: str | None = Field(
        None, min_length=1, description="name of a column for the best label, string; null = none"
    )
    max_chars: int | None = Field(
        None, ge=1, description="code points read from the start of the text; null = all"
    )
    lowercase: bool = Field(False, description="lower-case the text first, if the model was trained so")
    min_score: float | None = Field(None, ge=0, le=1, description="reject what scores less; null = off")
    max_score: float | None = Field(None, ge=0, le=1, description="reject what scores more; null = off")
    pareto_alpha: float | None = Field(
        None,
        gt=0,
        description="keep by chance, as GPT-3 did with 9: where a Pareto draw exceeds 1 - score; null = off",
    )
    seed: int = Field(0, description="another seed, another sample")

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT] if self.pareto_alpha is None else [TEXT, ID_HASH])

    def writes(self) -> pa.Schema:
        score = pa.field(self.column, pa.float32())
        return pa.schema([score, *([pa.field(self.label_column, pa.string())] if self.label_column else [])])

    def needs_side(self) -> Sequence[str]:
        return ["model"] if self.model is None else []

    def resources(self) -> Sequence[Path]:
        return [] if self.model is None else [model_path(self.model)]

    def problems(self) -> Sequence[str]:
        found = []
        if self.label_column == self.column:
            found.append(f"label_column and column are both {self.column!r}; give them different names")
        if self.min_score is not None and self.max_score is not None and self.min_score > self.max_score:
            found.append(
                f"min_score {self.min_score} is above max_score {self.max_score}; nothing is between"
            )
        return found

    def open(self, side: Mapping[str, Path]) -> Classifier:
        path = side["model"] / MODEL_FILE if self.model is None else model_path(self.model)
        return load_classifier(path, self.label, self.lowercase)

    def annotate(self, batch: pa.RecordBatch, resource: Classifier) -> Marks:
        scores, labels = score_texts(batch["text"], resource, self.max_chars, self.lowercase)
        columns = {self.column: scores, **({self.label_column: labels} if self.label_column else {})}
        reject, limit = pa.nulls(len(scores), pa.string()), pa.nulls(len(scores), pa.float32())
        if self.pareto_alpha is not None:
            kept = sampled(scores, batch["id_hash"], self.pareto_alpha, f"{self.seed}/classify_text")
            reject = pc.if_else(kept, reject, pa.scalar(Reason.NOT_SAMPLED.value))
        for bound, crossed, reason in (
            (self.max_score, pc.greater, Reason.SCORE_TOO_HIGH),
            (self.min_score, pc.less, Reason.SCORE_TOO_LOW),
        ):
            if bound is not None:
                value = pa.scalar(bound, pa.float32())
                failed = pc.fill_null(crossed(scores, value), False)
                reject = pc.if_else(failed, pa.scalar(reason.value), reject)
                limit = pc.if_else(failed, value, limit)
        evidence = pa.StructArray.from_arrays(
            [labels, scores, limit], fields=list(EVIDENCE_TYPE), mask=pc.is_null(reject)
        )
        return Marks(columns, reject, evidence)
