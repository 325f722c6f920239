"""Mark what a machine probably wrote or misread: a kind, and a calibrated score for each kind. Nothing is rejected.

    machine_text_signals ──▶ mark_machine_text ──▶ machine_text: human | ocr_noise | language_model |
                                                                machine_translation | null = cannot be judged

Two ways to a mark. A text that says itself that a machine made it ("As an AI language model", "automatically
translated") is marked by that; all else by a model's score at its threshold. The thresholds of the default
weights accuse at most 1 % of human texts; docs/machine-text.md says what they find, and what they cannot.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.models import model_path
from pipeline.stage import MapStage, Marks
from stages.signals._machine_model import KINDS, LinearModel, applies, feature_matrix, load_models, score
from stages.signals.machine_text import MACHINE_TEXT_SIGNALS

DEFAULT_WEIGHTS = Path(__file__).with_name("machine_text_weights.json")
MACHINE_TEXT = pa.field("machine_text", pa.string())
SCORES = {kind: pa.field(f"{kind}_score", pa.float32()) for kind in KINDS}
Models = Mapping[str, LinearModel]


class Kind(StrEnum):
    """Who made a text, as far as its signals tell."""

    HUMAN = "human"
    OCR_NOISE = "ocr_noise"
    LANGUAGE_MODEL = "language_model"
    MACHINE_TRANSLATION = "machine_translation"


def columns_read(models: Models) -> pa.Schema:
    """The columns that the models and the two rules need; a column of another stage may have any number type."""
    names = {"style_words", "lm_disclosures", "mt_marks"}
    for model in models.values():
        names |= {*model.features, *model.needs}
    known = {field.name: field for field in MACHINE_TEXT_SIGNALS}
    return pa.schema([known.get(name, pa.field(name, pa.float64())) for name in sorted(names)])


def score_kinds(columns: Mapping[str, pa.Array], models: Models) -> dict[str, np.ndarray]:
    """Calibrated probabilities by kind, float64; nan where the kind's model does not apply."""
    return {
        kind: np.where(applies(model, columns), score(model, feature_matrix(columns, model.features)), np.nan)
        for kind, model in models.items()
    }


def choose_kinds(
    scores: Mapping[str, np.ndarray],
    thresholds: Mapping[str, float],
    discloses: np.ndarray,
    translated: np.ndarray,
) -> list[str | None]:
    """One kind a row: what the text says of itself, else the highest score at or above its threshold.

    Args:
        scores: by kind, nan where not judged.
        thresholds: by kind, of the score.
        discloses: bool, the text says that a language model wrote it.
        translated: bool, it says that a machine translated it.

    Returns:
        Kinds; human where a model that can mark has judged and nothing marked it, None where none could judge.

    >>> no = np.zeros(2, bool)
    >>> choose_kinds({"ocr_noise": np.array([0.99, 0.2])}, {"ocr_noise": 0.9}, no, no)
    ['ocr_noise', 'human']
    """
    rows = len(discloses)
    best, judged = np.zeros(rows), np.zeros(rows, bool)
    chosen = np.full(rows, None, object)
    for kind in KINDS:
        if kind in scores:
            values = scores[kind]
            judged |= ~np.isnan(values) & (thresholds[kind] <= 1)  # what never marks cannot vouch
            wins = np.nan_to_num(values, nan=-1.0) >= np.maximum(thresholds[kind], best + 1e-12)
            chosen[wins], best[wins] = kind, values[wins]
    chosen[judged & (best == 0)] = Kind.HUMAN.value
    chosen[translated] = Kind.MACHINE_TRANSLATION.value
    chosen[discloses] = Kind.LANGUAGE_MODEL.value
    found: list[str | None] = chosen.tolist()
    return found


def is_dense(marks: pa.Array, words: pa.Array, max_words: int | None) -> np.ndarray:
    """bool: has the text a mark for each `max_words` words? A long text that only quotes one has not."""
    count, size = (pc.fill_null(column, 0).to_numpy(zero_copy_only=False) for column in (marks, words))
    if max_words is None:
        return np.zeros(len(count), bool)
    dense: np.ndarray = (count > 0) & (count.astype(np.int64) * max_words >= size)
    return dense


class MarkMachineText(MapStage[Models]):
    """Mark OCR noise, text of language models and machine translation; keep everything.

    To remove what is marked, let `filter_column` read `machine_text` or a score. The report counts the marks
    by value, and so by source.
    """

    summarize = {"machine_text": "values"}

    model: str | None = Field(
        None,
        description="weights of your own (`corpusmill train-machine-text`): the path of a JSON file; null = the "
        "default weights",
    )
    thresholds: dict[str, float] = Field(
        {},
        description="score from which a kind is marked, such as {ocr_noise: 0.9}; kinds left out take the model's "
        "own, which accuses at most 1 % of the human texts it was measured on; above 1 = never",
    )
    max_words_per_disclosure: int | None = Field(
        300,
        ge=1,
        description="a text that calls itself a language model's so often or oftener is marked whatever its score; "
        "null = off",
    )
    max_words_per_translation_mark: int | None = Field(
        300, ge=1, description="the same for what says that a machine translated it; null = off"
    )

    def path(self) -> Path:
        """The weights file."""
        return DEFAULT_WEIGHTS if self.model is None else model_path(self.model)

    def reads(self) -> pa.Schema:
        try:
            return columns_read(load_models(self.path()))
        except (OSError, ValueError):  # said in problems(), or as a missing resource
            return columns_read({})

    def writes(self) -> pa.Schema:
        return pa.schema([MACHINE_TEXT, *SCORES.values()])

    def resources(self) -> Sequence[Path]:
        return [self.path()]

    def problems(self) -> Sequence[str]:
        found = [
            f"thresholds: {kind!r} is no kind of machine text; write one of {', '.join(KINDS)}"
            for kind in self.thresholds
            if kind not in KINDS
        ]
        if self.path().is_file():
            try:
                models = load_models(self.path())
            except ValueError as error:
                return [*found, f"model: {error}"]
            found += [
                f"thresholds: {self.path()} has no model for {kind!r}, only for {', '.join(models)}"
                for kind in self.thresholds
                if kind in KINDS and kind not in models
            ]
        return found

    def describe(self) -> Sequence[str]:
        try:
            models = load_models(self.path())
        except (OSError, ValueError):
            return []
        lines = []
        for kind, model in models.items():
            limit = self.thresholds.get(kind, model.threshold)
            marked = f"marked from a score of {limit:.4g}" if limit <= 1 else "scored, never marked by it"
            lines.append(f"{kind}: {marked} ({model.card.get('summary', 'no card')})")
        return lines

    def open(self, side: Mapping[str, Path]) -> Models:  # noqa: ARG002
        return load_models(self.path())

    def annotate(self, batch: pa.RecordBatch, resource: Models) -> Marks:
        columns = {name: batch.column(name) for name in columns_read(resource).names}
        scores = score_kinds(columns, resource)
        limits = {kind: self.thresholds.get(kind, model.threshold) for kind, model in resource.items()}
        words = columns["style_words"]
        kinds = choose_kinds(
            scores,
            limits,
            is_dense(columns["lm_disclosures"], words, self.max_words_per_disclosure),
            is_dense(columns["mt_marks"], words, self.max_words_per_translation_mark),
        )
        marks = {MACHINE_TEXT.name: pa.array(kinds, pa.string())}
        for kind, field in SCORES.items():
            values = scores.get(kind, np.full(batch.num_rows, np.nan))
            marks[field.name] = pa.array(values, mask=np.isnan(values)).cast(pa.float32())
        return Marks(marks)
