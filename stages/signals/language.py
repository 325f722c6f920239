"""Which language a document is in, by a fastText model: a label and a score, and the languages to keep.

Joulin et al., Bag of Tricks for Efficient Text Classification (2016); lid.176 reads character n-grams of
Wikipedia, Tatoeba and SETimes. FineWeb and CCNet keep what scores at least 0.65 and 0.5. A model says "this
language" of any bytes at all, so an empty text gets no label rather than the prior. The model's file is read by
our own kernels (`stages/kernels/fasttext.py`): the labels are those of the fastText library.
"""

import difflib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.models import model_path
from pipeline.schema import LANG, LANG_SCORE, TEXT
from pipeline.stage import MapStage, Marks
from stages.kernels.fasttext import FastTextClassifier, load_fasttext, space_table
from stages.kernels.fasttext_spans import text_heads
from stages.signals._language_codes import label_codes, language_code

EVIDENCE_TYPE = pa.struct([("lang", pa.string()), ("lang_score", pa.float32())])
SEPARATORS = space_table(tuple(range(33)))  # fastText's, and the controls: no word of any language has them


class Reason(StrEnum):
    """Why a document goes."""

    LANGUAGE_NOT_KEPT = "language_not_kept"
    LANGUAGE_UNCERTAIN = "language_uncertain"
    NO_TEXT = "no_text"


class LanguageModel(NamedTuple):
    """A loaded fastText model and the code that each of its labels stands for."""

    model: FastTextClassifier
    codes: Sequence[str]  # one for each label, in the model's order


def load_model(path: Path) -> LanguageModel:
    """Load a fastText classifier.

    Raises:
        ValueError: the file is not a fastText classifier.
    """
    model = load_fasttext(path)
    codes = label_codes(model.labels)
    return LanguageModel(model, [codes[label] for label in model.labels])


def named(labels: np.ndarray, codes: Sequence[str]) -> pa.Array:
    """Codes of label numbers, string; null for numbers below 0.

    >>> named(np.array([1, -1]), ["en", "de"]).to_pylist()
    ['de', None]
    """
    return pa.array(codes, pa.string()).take(pa.array(labels, pa.int32(), mask=labels < 0))


def identify_languages(
    text: pa.Array, loaded: LanguageModel, max_chars: int | None
) -> tuple[pa.Array, pa.Array]:
    """The best language of each text and its score.

    Returns:
        codes string; scores float32 in 0..1; both null where there is no word to judge.
    """
    found = loaded.model.predict_spans(*text_heads(text, max_chars), space=SEPARATORS)
    scores = np.minimum(found.scores, np.float32(1))  # fastText adds 1e-5 before it takes the logarithm
    return named(found.labels, loaded.codes), pa.array(scores, pa.float32(), mask=found.labels < 0)


def language_reasons(
    codes: pa.Array, scores: pa.Array, keep: Sequence[str] | None, min_score: float | None
) -> pa.Array:
    """Why each document goes, or null: no text, then too uncertain, then a language not asked for.

    `keep` without a script takes the language in any script.
    """
    nothing = pa.nulls(len(codes), pa.string())
    if keep is None and min_score is None:
        return nothing
    verdict = nothing
    if keep is not None:
        verdict = pc.if_else(is_wanted(codes, keep), verdict, pa.scalar(Reason.LANGUAGE_NOT_KEPT.value))
    if min_score is not None:
        uncertain = pc.fill_null(pc.less(scores, pa.scalar(min_score, pa.float32())), False)
        verdict = pc.if_else(uncertain, pa.scalar(Reason.LANGUAGE_UNCERTAIN.value), verdict)
    return pc.if_else(pc.is_null(codes), pa.scalar(Reason.NO_TEXT.value), verdict)


def code_problems(param: str, codes: Sequence[str]) -> list[str]:
    """What is wrong with language codes that someone wrote, without looking at a model."""
    found = []
    for code in codes:
        if not (code.isascii() and 2 <= len(code.replace("-", "_").partition("_")[0]) <= 3):
            found.append(f"{param}: {code!r} is no language code; write one such as 'en'")
        elif language_code(code) != code:
            found.append(f"{param}: {code!r} is not the code we use for it; write {language_code(code)!r}")
    return found


def check_codes(param: str, codes: Sequence[str] | None, loaded: LanguageModel, name: str) -> None:
    """Refuse codes of languages that the model does not know.

    Raises:
        ValueError: one of them, with the nearest that it knows.
    """
    known = set(loaded.codes) | {code.partition("_")[0] for code in loaded.codes}
    for code in codes or []:
        if code not in known:
            near = difflib.get_close_matches(code, sorted(known), 1)
            hint = f"did you mean {near[0]!r}" if near else f"it has {', '.join(sorted(known)[:20])}, ..."
            raise ValueError(f"{param}: the model {name} knows no language {code!r}; {hint}")


def is_wanted(codes: pa.Array, wanted: Sequence[str]) -> pa.Array:
    """Whether each code is one of those wanted, bool; a wanted code without a script takes any script of it."""
    values = pa.array(sorted(set(wanted)), pa.string())
    bare = pc.replace_substring_regex(codes, "_.*$", "")
    return pc.or_(pc.is_in(codes, values), pc.is_in(bare, values))


class IdentifyLanguage(MapStage[LanguageModel]):
    """Label each document with its language, and keep those you want."""

    reasons = Reason
    version = 2  # scores may differ in the sixth digit from version 1's, which the fastText library gave
    summarize = {"lang": "values"}

    model: str = Field(
        "lid176", description="name in the model catalogue, or path of a fastText model (.bin, .ftz)"
    )
    keep: list[str] | None = Field(
        None,
        description="languages to keep, such as [en, de]; zh takes any script of it, zh_Hans one; null = all",
    )
    min_score: float | None = Field(
        0.65,
        ge=0,
        le=1,
        description="reject what scores less and leave its `lang` null; null = take the best guess",
    )
    max_chars: int | None = Field(
        1000,
        ge=50,
        # docs/language.md: the first 1,000 give the label of the whole text in 97 to 100 % of documents and are
        # right as often to 0.2 points; windows spread over the text gain no more than that.
        description="code points read from the start of the text; null = all",
    )

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([LANG, LANG_SCORE])

    def resources(self) -> Sequence[Path]:
        return [model_path(self.model)]

    def problems(self) -> Sequence[str]:
        if self.keep is None:
            return []
        if not self.keep:
            return ["keep: an empty list keeps no document; name languages, or write null to keep all"]
        return code_problems("keep", self.keep)

    def open(self, side: Mapping[str, Path]) -> LanguageModel:  # noqa: ARG002
        loaded = load_model(model_path(self.model))
        check_codes("keep", self.keep, loaded, self.model)
        return loaded

    def annotate(self, batch: pa.RecordBatch, resource: LanguageModel) -> Marks:
        codes, scores = identify_languages(batch["text"], resource, self.max_chars)
        reject = language_reasons(codes, scores, self.keep, self.min_score)
        uncertain = pc.fill_null(pc.equal(reject, Reason.LANGUAGE_UNCERTAIN.value), False)
        shown = pc.if_else(uncertain, pa.scalar(None, pa.string()), codes)
        evidence = pa.StructArray.from_arrays(
            [codes, scores], fields=list(EVIDENCE_TYPE), mask=pc.is_null(reject)
        )
        return Marks({"lang": shown, "lang_score": scores}, reject, evidence)
