"""Chinese text brought into one script, simplified or traditional, word by word (OpenCC; the extra `chinese`).

One simplified character may stand for several traditional ones (发: 發 or 髮), so OpenCC looks up words before
characters. Japanese and Korean write the same code points and must not be rewritten: see `convertible`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import re2
from opencc import OpenCC
from pydantic import Field

from pipeline.schema import LANG, TEXT
from pipeline.stage import MapStage, Marks

EVIDENCE_TYPE = pa.struct([("converted_to", pa.string()), ("chars_changed", pa.int64())])
# ISO 639 codes that stand for Chinese and its members that are written in Han characters.
CHINESE = frozenset("zh zho chi cmn yue wuu gan hak hsn nan cdo lzh".split())  # noqa: SIM905
_HAN = r"\p{Han}"
_NOT_CHINESE = r"[\p{Hiragana}\p{Katakana}\p{Hangul}]"  # the middle dot ・ is in none of them
_OTHER_SCRIPT = re2.compile(_NOT_CHINESE)
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
Script = Literal["simplified", "traditional"]
Region = Literal["taiwan", "hong_kong"]
CONFIGS: dict[tuple[Script, Region | None, bool], str] = {
    ("simplified", None, False): "t2s",
    ("simplified", "taiwan", False): "tw2s",
    ("simplified", "taiwan", True): "tw2sp",
    ("simplified", "hong_kong", False): "hk2s",
    ("simplified", "hong_kong", True): "hk2sp",
    ("traditional", None, False): "s2t",
    ("traditional", "taiwan", False): "s2tw",
    ("traditional", "taiwan", True): "s2twp",
    ("traditional", "hong_kong", False): "s2hk",
    ("traditional", "hong_kong", True): "s2hkp",
}


def is_chinese(lang: str) -> bool:
    """Does a language code mean Chinese, whatever its script or region?

    >>> [is_chinese(code) for code in ("zh", "zh_Hant", "yue-Hant-HK", "ja", "zu")]
    [True, True, True, False, False]
    """
    return re.split("[-_]", lang, maxsplit=1)[0].lower() in CHINESE


def convertible(text: pa.Array, lang: pa.Array | None) -> tuple[pa.Array, pa.Array]:
    """Rows that may be converted, and those of them whose lines must be looked at one by one.

    A row has Han characters, and `lang` says that it is Chinese; where `lang` says nothing (no such column, or
    null) it must be free of kana and Hangul. In a Chinese row, lines with kana or Hangul are quotations and stay.

    Returns:
        two bool arrays without nulls, the second a subset of the first.
    """
    has_han = pc.fill_null(pc.match_substring_regex(text, _HAN), False)
    mixed = pc.fill_null(pc.match_substring_regex(text, _NOT_CHINESE), False)
    if lang is None:
        return pc.and_(has_han, pc.invert(mixed)), pa.repeat(False, len(text))
    lang = pc.cast(lang, pa.string())
    chosen = [code for code in pc.unique(lang).to_pylist() if code is not None and is_chinese(code)]
    says_chinese = pc.is_in(lang, pa.array(chosen, pa.string()))
    unmixed = pc.and_(pc.is_null(lang), pc.invert(mixed))
    return pc.and_(has_han, pc.or_(says_chinese, unmixed)), pc.and_(has_han, pc.and_(says_chinese, mixed))


def convert_lines(text: str, convert: Callable[[str], str]) -> str:
    """The text with each line converted that has neither kana nor Hangul."""
    return "".join(line if _OTHER_SCRIPT.search(line) else convert(line) for line in _LINES.findall(text))


def chars_changed(old: str, new: str) -> int | None:
    """Code points that differ from the old text's at their place; null where a word became longer or shorter.

    >>> chars_changed("漢字", "汉字"), chars_changed("軟體", "软体程式")
    (1, None)
    """
    if len(old) != len(new):
        return None
    points = [np.frombuffer(text.encode("utf-32-le"), np.uint32) for text in (old, new)]
    return int(np.count_nonzero(points[0] != points[1]))


class ConvertChinese(MapStage[OpenCC]):
    """Rewrite Chinese text in one script; a row that changed says so in its evidence."""

    libraries = ("opencc", "pyarrow", "google-re2")  # words; which scripts a character is of

    to: Script = Field(description="script to write: simplified or traditional")
    region: Region | None = Field(
        None, description="standard of the traditional side: taiwan, hong_kong; null = OpenCC's own"
    )
    phrases: bool = Field(
        False, description="also swap words that differ by region (軟體, 软件); needs a region"
    )

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([TEXT])

    def problems(self) -> Sequence[str]:
        if self.phrases and self.region is None:
            return [
                "phrases is true but region is null; set region to taiwan or hong_kong, or phrases to false"
            ]
        return ()

    def open(self, side: Mapping[str, Path]) -> OpenCC:  # noqa: ARG002
        return OpenCC(CONFIGS[self.to, self.region, self.phrases])

    def annotate(self, batch: pa.RecordBatch, resource: OpenCC) -> Marks:
        text = batch[TEXT.name]
        lang = batch[LANG.name] if LANG.name in batch.schema.names else None
        rows, by_line = (mask.to_numpy(zero_copy_only=False) for mask in convertible(text, lang))
        at = np.flatnonzero(rows)
        before = text.take(pa.array(at, pa.int64())).to_pylist()
        after = [
            convert_lines(t, resource.convert) if lines else resource.convert(t)
            for t, lines in zip(before, by_line[at], strict=True)
        ]
        converted: list[str | None] = [None] * len(text)
        evidence: list[dict[str, object] | None] = [None] * len(text)
        for row, old, new in zip(at.tolist(), before, after, strict=True):
            if old != new:
                converted[row] = new
                evidence[row] = {"converted_to": self.to, "chars_changed": chars_changed(old, new)}
        changed = pa.array(converted, text.type)
        return Marks(
            {TEXT.name: pc.if_else(pc.is_valid(changed), changed, text)},
            None,
            pa.array(evidence, EVIDENCE_TYPE),
        )
