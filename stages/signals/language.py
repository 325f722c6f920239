"""Which language a document is in, by fastText: a label and a score, and the languages to keep.

Joulin et al., Bag of Tricks for Efficient Text Classification (2016); lid.176 reads character n-grams of
Wikipedia, Tatoeba and SETimes. FineWeb and CCNet keep what scores at least 0.65 and 0.5. A model says "this
language" of any bytes at all, so an empty text gets no label rather than the prior.
"""

import difflib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.models import model_path
from pipeline.schema import LANG, LANG_SCORE, TEXT
from pipeline.stage import MapStage, Marks
from stages.signals._language_codes import label_codes, language_code

EVIDENCE_TYPE = pa.struct([("lang", pa.string()), ("lang_score", pa.float32())])


class Reason(StrEnum):
    """Why a document goes."""

    LANGUAGE_NOT_KEPT = "language_not_kept"
    LANGUAGE_UNCERTAIN = "language_uncertain"
    NO_TEXT = "no_text"


class LanguageModel(NamedTuple):
    """A loaded fastText model and the code that each of its labels stands for."""

    model: Any  # fasttext.FastText._FastText
    codes: Mapping[str, str]


def load_model(path: Path) -> LanguageModel:
    """Load a fastText classifier. It cannot be pickled: each worker loads its own.

    Raises:
        ValueError: the file is not a fastText model.
    """
    model = fasttext.load_model(str(path))
    return LanguageModel(model, label_codes(model.get_labels()))


def line_heads(text: pa.Array, max_chars: int | None) -> pa.Array:
    r"""The first `max_chars` code points of each text as one line, stripped; null becomes empty.

    fastText stops at a newline, so all that breaks a line becomes a space.

    >>> line_heads(pa.array([" a\nb", None], pa.large_string()), 3).to_pylist()
    ['a b', '']
    """
    heads = pc.utf8_slice_codeunits(pc.fill_null(pc.utf8_ltrim_whitespace(text), ""), 0, max_chars)
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(heads, r"[\x00-\x1f]+", " "))


def identify_languages(
    text: pa.Array, loaded: LanguageModel, max_chars: int | None
) -> tuple[pa.Array, pa.Array]:
    """The best language of each text and its score.

    Returns:
        codes string; scores float32 in 0..1; both null where there is no text to judge, or where the model
        knows none of it.
    """
    heads = line_heads(text, max_chars)
    rows = np.flatnonzero(pc.greater(pc.binary_length(heads), 0).to_numpy(zero_copy_only=False))
    codes: list[str | None] = [None] * len(heads)
    scores: list[float | None] = [None] * len(heads)
    if len(rows):
        labels, values = loaded.model.predict(heads.take(pa.array(rows)).to_pylist(), k=1)
        for row, label, value in zip(rows.tolist(), labels, values, strict=True):
            if len(label):
                codes[row] = loaded.codes[label[0]]
                scores[row] = min(float(value[0]), 1.0)  # the softmax table overshoots: 1.00005 seen
    return pa.array(codes, pa.string()), pa.array(scores, pa.float32())


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
        bare = pc.replace_substring_regex(codes, "_.*$", "")
        wanted = pa.array(sorted(set(keep)), pa.string())
        kept = pc.or_(pc.is_in(codes, wanted), pc.is_in(bare, wanted))
        verdict = pc.if_else(kept, verdict, pa.scalar(Reason.LANGUAGE_NOT_KEPT.value))
    if min_score is not None:
        uncertain = pc.fill_null(pc.less(scores, pa.scalar(min_score, pa.float32())), False)
        verdict = pc.if_else(uncertain, pa.scalar(Reason.LANGUAGE_UNCERTAIN.value), verdict)
    return pc.if_else(pc.is_null(codes), pa.scalar(Reason.NO_TEXT.value), verdict)


class IdentifyLanguage(MapStage[LanguageModel]):
    """Label each document with its language, and keep those you want."""

    reasons = Reason
    libraries = ("fasttext-community",)
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
        # 3,000 passages of 5,000 chars in 5 languages: 99.7 % get the same label from 1,000 (97.5 % from
        # 100), and prediction runs 3.5 times as fast: 24,000 documents/s against 6,900.
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
        found = [
            f"keep: {c!r} is not the code we use for it; write {language_code(c)!r}"
            for c in self._other_codes()
        ]
        return [
            *found,
            *(f"keep: {c!r} is no language code; write one such as 'en'" for c in self._non_codes()),
        ]

    def _other_codes(self) -> list[str]:
        return [c for c in self.keep or [] if c not in self._non_codes() and language_code(c) != c]

    def _non_codes(self) -> list[str]:
        return [
            c
            for c in self.keep or []
            if not (c.isascii() and 2 <= len(c.replace("-", "_").partition("_")[0]) <= 3)
        ]

    def open(self, side: Mapping[str, Path]) -> LanguageModel:  # noqa: ARG002
        loaded = load_model(model_path(self.model))
        known = set(loaded.codes.values())
        known |= {code.partition("_")[0] for code in known}
        for code in self.keep or []:
            if code not in known:
                near = difflib.get_close_matches(code, sorted(known), 1)
                hint = f"did you mean {near[0]!r}" if near else f"it has {', '.join(sorted(known)[:20])}, ..."
                raise ValueError(f"keep: the model {self.model} knows no language {code!r}; {hint}")
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
