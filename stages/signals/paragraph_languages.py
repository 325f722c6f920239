"""Which languages the paragraphs of a document are in: mixed pages found, marked, or cut down to what is wanted.

A page in one language with a menu, comments or a translation in another has one label as a whole; here each line
has its own (extractors write a paragraph as a line). A line with few letters is not judged: lid.176 is right on
99 % of sentences cut to 40 letters, on 94 % of those cut to 20 (docs/language.md).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.models import model_path
from pipeline.schema import TEXT
from pipeline.stage import MapStage, Marks
from stages.kernels.fasttext_spans import Lines, text_lines
from stages.signals.language import (
    SEPARATORS,
    LanguageModel,
    check_codes,
    code_problems,
    is_wanted,
    load_model,
    named,
)

MIX_TYPE = pa.list_(pa.struct([("lang", pa.string()), ("fraction", pa.float32())]))
LANGUAGE_MIX = pa.field("language_mix", MIX_TYPE)  # greatest first, of all letters; the rest is not decided
MAIN_LANGUAGE = pa.field("main_language", pa.string())  # null where no line was decided
OTHER_FRACTION = pa.field("other_language_fraction", pa.float32())  # of the letters of decided lines
SPAN_TYPE = pa.struct([("lang", pa.string()), ("start", pa.int64()), ("end", pa.int64())])
EVIDENCE_TYPE = pa.struct(
    [
        ("main_language", pa.string()),
        ("other_language_fraction", pa.float32()),
        ("removed_lines", pa.int64()),
        (
            "removed",
            pa.list_(SPAN_TYPE),
        ),  # code points of the text as it was; neighbours of a language as one
    ]
)
MAX_EVIDENCE_SPANS = 100
UNDECIDED = -1


class Reason(StrEnum):
    """Why a document goes."""

    MIXED_LANGUAGES = "mixed_languages"
    NO_PARAGRAPH_KEPT = "no_paragraph_kept"


class Shares(NamedTuple):
    """How the letters of each text divide into languages; one entry for each text."""

    mix: pa.Array  # MIX_TYPE
    main: np.ndarray  # int32 label, or UNDECIDED
    other: np.ndarray  # float32, NaN where main is UNDECIDED


def label_lines(lines: Lines, loaded: LanguageModel, min_letters: int, min_score: float) -> np.ndarray:
    """Label number of each line, int32; UNDECIDED where it has too few letters or scores too low."""
    found = loaded.model.predict_spans(lines.data, lines.starts, lines.ends, space=SEPARATORS)
    decided = (lines.letters >= min_letters) & (found.scores >= np.float32(min_score))
    return np.where(decided, found.labels, UNDECIDED).astype(np.int32)


def share_letters(lines: Lines, labels: np.ndarray, rows: int, codes: Sequence[str]) -> Shares:
    """Languages of each of `rows` texts by their share of letters; the first label wins among equals."""
    decided = labels != UNDECIDED
    keys = lines.rows[decided] * len(codes) + labels[decided]
    pairs, inverse = np.unique(keys, return_inverse=True)
    letters = np.bincount(inverse, lines.letters[decided], len(pairs)).astype(np.int64)
    row_of, label_of = pairs // len(codes), (pairs % len(codes)).astype(np.int32)
    order = np.lexsort((label_of, -letters, row_of))
    letters, row_of, label_of = letters[order], row_of[order], label_of[order]
    total = np.bincount(lines.rows, lines.letters, rows)
    seen = np.bincount(row_of, letters, rows)
    bounds = np.searchsorted(row_of, np.arange(rows + 1))
    fractions = (letters / np.maximum(total[row_of], 1)).astype(np.float32)
    entries = pa.StructArray.from_arrays(
        [named(label_of, codes), fractions], fields=list(MIX_TYPE.value_type)
    )
    main, other = np.full(rows, UNDECIDED, np.int32), np.full(rows, np.nan, np.float32)
    has = np.flatnonzero(np.diff(bounds))
    first = bounds[has]
    main[has] = label_of[first]
    other[has] = 1 - letters[first] / seen[has]
    return Shares(pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), entries, type=MIX_TYPE), main, other)


def unwanted_lines(lines: Lines, labels: np.ndarray, is_kept: np.ndarray) -> np.ndarray:
    """Which lines are cut, bool: decided and not kept, or undecided with nothing kept next to them.

    Args:
        lines: all lines that are not blank.
        labels: of each line, or UNDECIDED.
        is_kept: bool, one for each label.

    An undecided line goes if the nearest decided lines of its text, before and after, are all cut; it stays if
    there are none.
    """
    verdict = np.where(
        labels == UNDECIDED, 0, np.where(is_kept[labels], 1, -1)
    )  # 1 stays, -1 goes, 0 unclear
    before, after = _nearest(verdict, lines.rows), _nearest(verdict[::-1], lines.rows[::-1])[::-1]
    around = np.maximum(np.where(before == 0, after, before), np.where(after == 0, before, after))
    cut: np.ndarray = np.where(verdict == 0, around, verdict) < 0
    return cut


def _nearest(verdict: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The last verdict that is not 0 up to each line of the same text, else 0."""
    if not len(verdict):
        return verdict
    places = np.arange(len(verdict))
    last = np.maximum.accumulate(np.where(verdict != 0, places, -1))
    same = (last >= 0) & (rows[last] == rows)
    return np.where(same, verdict[last], 0)


def cut_lines(text: str, lines: Sequence[tuple[int, int, str | None]]) -> tuple[str, list[dict[str, object]]]:
    """A text without some lines, and where they stood.

    Args:
        text: the whole text.
        lines: (start, end, language) of each line that goes, in bytes of UTF-8, ascending.

    Returns:
        what is left, each line gone with its newline; spans {lang, start, end} in code points.
    """
    data = text.encode()
    kept, spans, at, chars = [], list[dict[str, object]](), 0, 0
    for start, end, lang in lines:
        first = data.rfind(b"\n", 0, start) + 1
        newline = data.find(b"\n", end)
        after = len(data) if newline < 0 else newline + 1
        kept.append(data[at:first])
        chars += len(data[at:start].decode())
        size = len(data[start:end].decode())
        if spans and spans[-1]["lang"] == lang and not data[at:first].strip():
            spans[-1]["end"] = chars + size
        else:
            spans.append({"lang": lang, "start": chars, "end": chars + size})
        chars += size + len(data[end:after].decode())
        at = after
    kept.append(data[at:])
    return b"".join(kept).decode().strip("\n"), spans


class IdentifyParagraphLanguages(MapStage[LanguageModel]):
    """Give each document the share of its letters by language, line by line; cut lines in other languages if asked."""

    reasons = Reason
    summarize = {"main_language": "values"}

    model: str = Field(
        "lid176", description="name in the model catalogue, or path of a fastText model (.bin, .ftz)"
    )
    min_letters: int = Field(
        40,
        ge=1,
        description="a line with fewer letters is not judged; a character of Han, Kana or Thai counts as three",
    )
    min_score: float = Field(
        0.5, ge=0, le=1, description="a line whose best language scores less is not judged"
    )
    cut_other_than: list[str] | None = Field(
        None,
        description="languages whose lines stay, such as [en]; lines decided to be in another, and undecided ones "
        "with no kept line next to them, are cut; null cuts nothing",
    )
    max_other_fraction: float | None = Field(
        None,
        ge=0,
        le=1,
        description="reject documents of which a greater share is not in the main language (before cutting); "
        "null turns it off",
    )

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        signals = [LANGUAGE_MIX, MAIN_LANGUAGE, OTHER_FRACTION]
        return pa.schema(signals if self.cut_other_than is None else [TEXT, *signals])

    def resources(self) -> Sequence[Path]:
        return [model_path(self.model)]

    def problems(self) -> Sequence[str]:
        if self.cut_other_than is None:
            return []
        if not self.cut_other_than:
            return ["cut_other_than: an empty list cuts every line; name languages, or write null"]
        return code_problems("cut_other_than", self.cut_other_than)

    def open(self, side: Mapping[str, Path]) -> LanguageModel:  # noqa: ARG002
        loaded = load_model(model_path(self.model))
        check_codes("cut_other_than", self.cut_other_than, loaded, self.model)
        return loaded

    def annotate(self, batch: pa.RecordBatch, resource: LanguageModel) -> Marks:
        text = batch["text"]
        lines = text_lines(text)
        labels = label_lines(lines, resource, self.min_letters, self.min_score)
        shares = share_letters(lines, labels, len(text), resource.codes)
        main = named(shares.main, resource.codes)
        other = pa.array(shares.other, pa.float32(), mask=np.isnan(shares.other))
        columns = {"language_mix": shares.mix, "main_language": main, "other_language_fraction": other}
        removed: list[list[dict[str, object]] | None] = [None] * len(text)
        count = np.zeros(len(text), np.int64)
        reject = pa.nulls(len(text), pa.string())
        if self.cut_other_than is not None:
            is_kept = is_wanted(pa.array(resource.codes, pa.string()), self.cut_other_than)
            cut = unwanted_lines(lines, labels, is_kept.to_numpy(zero_copy_only=False))
            count = np.bincount(lines.rows[cut], minlength=len(text))
            columns["text"], removed = _cut_texts(text, lines, labels, cut, resource.codes)
            nothing = pa.array((count > 0) & (count == np.bincount(lines.rows, minlength=len(text))))
            reject = pc.if_else(nothing, pa.scalar(Reason.NO_PARAGRAPH_KEPT.value), reject)
        if self.max_other_fraction is not None:
            mixed = pc.fill_null(pc.greater(other, pa.scalar(self.max_other_fraction, pa.float32())), False)
            reject = pc.if_else(mixed, pa.scalar(Reason.MIXED_LANGUAGES.value), reject)
        shown = [r and r[:MAX_EVIDENCE_SPANS] for r in removed]
        evidence = pa.StructArray.from_arrays(
            [main, other, pa.array(count, pa.int64()), pa.array(shown, pa.list_(SPAN_TYPE))],
            fields=list(EVIDENCE_TYPE),
            mask=pc.and_(pc.is_null(reject), pa.array(count == 0)),
        )
        return Marks(columns, reject, evidence)


def _cut_texts(
    text: pa.Array, lines: Lines, labels: np.ndarray, cut: np.ndarray, codes: Sequence[str]
) -> tuple[pa.Array, list[list[dict[str, object]] | None]]:
    """The texts without the lines that go, and the spans of those; only texts that lose a line are touched."""
    removed: list[list[dict[str, object]] | None] = [None] * len(text)
    touched = np.unique(lines.rows[cut])
    if not len(touched):
        return text.cast(TEXT.type), removed
    starts = np.searchsorted(lines.rows, touched)
    ends = np.searchsorted(lines.rows, touched, side="right")
    changed = []
    for row, first, last in zip(touched.tolist(), starts.tolist(), ends.tolist(), strict=True):
        gone = np.flatnonzero(cut[first:last]) + first
        value = text[row].as_py()
        base = lines.offsets[row]
        names = [None if labels[k] == UNDECIDED else codes[labels[k]] for k in gone.tolist()]
        bounds = zip(
            (lines.starts[gone] - base).tolist(), (lines.ends[gone] - base).tolist(), names, strict=True
        )
        left, removed[row] = cut_lines(value, list(bounds))
        changed.append(left)
    mask = np.zeros(len(text), np.bool_)
    mask[touched] = True
    return pc.replace_with_mask(text.cast(TEXT.type), pa.array(mask), pa.array(changed, TEXT.type)), removed
