"""Text repaired: mojibake undone, one normal form, no control characters, regular white space.

ftfy (Speer, 2019) finds and undoes text that was decoded with the wrong charset. Its other habits are off by
default: straight quotes, unfolded ligatures and half-width forms would rewrite what authors wrote. Nothing
here changes words: NFC composes, it does not fold (NFKC turns ² into 2, so it must be asked for). What becomes
of characters that nobody sees is in docs/normalization.md.
"""

import re
import unicodedata
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ftfy import TextFixerConfig, fix_text
from ftfy.chardata import WIDTH_MAP
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import MapStage, Marks
from stages.normalization._invisible import InvisibleKind, remove_invisible, suspect_class
from stages.normalization._suspects import (
    BLANKS,
    WIDE_BLANKS,
    FtfySteps,
    NormalForm,
    char_class,
    compiled,
    ftfy_pattern,
    matches,
    not_normalized,
)

EVIDENCE_TYPE = pa.struct([("chars_before", pa.int64()), ("chars_after", pa.int64())])

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_NONCHARACTERS = r"\x{fdd0}-\x{fdef}\x{fffe}\x{ffff}"  # of _CONTROLS, what ftfy leaves in place
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c]")  # ftfy takes out the vertical tab and leaves the form feed
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_SPACE_RUNS = re.compile(r"[^\S\n]{2,}|[^\S\n ]")
# Letters, digits, kana and Hangul; full-width punctuation is how Chinese and Japanese punctuate.
LETTER_WIDTHS = {
    point: char for point, char in WIDTH_MAP.items() if char.isalnum() or char in "ー\u3099\u309a"
}


def limit_blank_lines(text: str, most: int) -> str:
    r"""At most `most` blank lines in a row.

    >>> limit_blank_lines("a\n\n\n\nb", 1)
    'a\n\nb'
    """
    if "\n" * (most + 2) not in text:
        return text
    return re.sub(rf"\n{{{most + 2},}}", "\n" * (most + 1), text)


def strip_line_ends(text: str) -> str:
    r"""No blanks before a line feed; those at the end of the last line stay.

    >>> strip_line_ends("a \t\nb ")
    'a\nb '
    """
    *lines, last = text.split("\n")
    return "\n".join([*map(str.rstrip, lines), last])


def feed_lines(text: str) -> str:
    r"""Line feeds in place of carriage returns, vertical tabs and form feeds.

    >>> feed_lines("a\r\nb\x0c")
    'a\nb\n'
    """
    return _LINE_ENDS.sub("\n", text) if "\r" in text or "\x0b" in text or "\x0c" in text else text


class RepairText(MapStage[None]):
    """Repair Unicode and white space in each text; a row that changed says so in its evidence."""

    version = 2
    libraries = ("ftfy",)

    fix_mojibake: bool = Field(True, description="undo text decoded with the wrong charset (ftfy)")
    unescape_html: bool = Field(
        False, description="turn &amp; into & where no < is near; off, as extraction did it and code means it"
    )
    normal_form: NormalForm | None = Field("NFC", description="Unicode normal form; null = leave as it is")
    fix_character_width: bool | Literal["letters"] = Field(
        False,
        description="full-width Latin and half-width kana to usual width; letters = not punctuation and spaces, "
        "whose full-width forms are right in Chinese and Japanese",
    )
    uncurl_quotes: bool = Field(False, description="curly quotes to straight ones")
    fix_latin_ligatures: bool = Field(False, description="ﬁ to fi")
    remove_invisible: tuple[InvisibleKind, ...] = Field(
        ("soft_hyphen", "tags"),
        description="invisible characters to take out: soft_hyphen (between letters), zero_width_space, "
        "bidi_controls, variation_selectors, tags (but those of flags); joiners always stay",
    )
    collapse_spaces: bool = Field(
        False,
        description="runs of spaces and tabs in a line to one space; off, as it would take code's indent",
    )
    strip_line_ends: bool = Field(True, description="no blanks at the end of a line")
    max_blank_lines: int | None = Field(2, ge=0, description="blank lines in a row; null = as they are")
    strip: bool = Field(True, description="nothing blank before and after the text")

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([TEXT])

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:  # noqa: ARG002
        text = batch[TEXT.name]
        suspect, broken = self.suspects(text)
        rows = np.flatnonzero(suspect.to_numpy(zero_copy_only=False))
        before = text.take(pa.array(rows, pa.int64()))
        after = pa.array(
            [
                self._finish(self._fix_lines(t) if b else t)
                for t, b in zip(
                    map(feed_lines, before.to_pylist()),
                    broken.to_numpy(zero_copy_only=False)[rows],
                    strict=True,
                )
            ],
            text.type,
        )
        return _marks(text, rows, before, after)

    def repair(self, text: str) -> str:
        """The repaired text; repairing it again changes nothing more, unless a mojibake was doubled."""
        return self._finish(fix_text(feed_lines(text), self._ftfy_config()))

    def suspects(self, text: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Rows that `repair` may change, and those of them that ftfy may change; never null.

        `repair` leaves every other row as it is. One pass finds the suspects; only these are looked at again.
        """
        ftfy = ftfy_pattern(self._ftfy_steps())
        suspect = matches(text, f"{ftfy}|{self._irregular()}")
        broken = suspect
        if suspect.true_count:
            broken = pc.replace_with_mask(suspect, suspect, matches(text.filter(suspect), ftfy))
        denormalized = not_normalized(text, self.normal_form, broken)
        return pc.or_(suspect, denormalized), pc.or_(broken, denormalized)

    def _fix_lines(self, text: str) -> str:
        """What ftfy makes of the text, which it looks at line by line, asked only for lines it may change."""
        config = self._ftfy_config()
        if self.unescape_html:  # a < in one line is remembered in the next
            return fix_text(text, config)
        search, form = compiled(ftfy_pattern(self._ftfy_steps())).search, self.normal_form
        return "".join(
            fix_text(line, config)
            if search(line) or (form is not None and not unicodedata.is_normalized(form, line))
            else line
            for line in _LINES.findall(text)
        )

    def _finish(self, text: str) -> str:
        """All that is not ftfy's: invisible characters and blanks."""
        cleaned = remove_invisible(_CONTROLS.sub("", text), self.remove_invisible)
        if self.fix_character_width == "letters":
            cleaned = cleaned.translate(LETTER_WIDTHS)
        if cleaned != text and self.normal_form is not None:  # what was apart may now compose
            cleaned = unicodedata.normalize(self.normal_form, cleaned)
        text = cleaned
        if self.collapse_spaces:
            text = _SPACE_RUNS.sub(" ", text)
        if self.strip_line_ends:
            text = strip_line_ends(text)
        if self.max_blank_lines is not None:
            text = limit_blank_lines(text, self.max_blank_lines)
        return text.strip() if self.strip else text

    def _ftfy_steps(self) -> FtfySteps:
        return FtfySteps(
            self.fix_mojibake,
            self.unescape_html,
            self.fix_latin_ligatures,
            self.fix_character_width is True,
            self.uncurl_quotes,
        )

    def _ftfy_config(self) -> TextFixerConfig:
        return TextFixerConfig(
            unescape_html="auto" if self.unescape_html else False,
            fix_encoding=self.fix_mojibake,
            restore_byte_a0=self.fix_mojibake,
            replace_lossy_sequences=self.fix_mojibake,
            decode_inconsistent_utf8=self.fix_mojibake,
            fix_c1_controls=self.fix_mojibake,
            fix_latin_ligatures=self.fix_latin_ligatures,
            fix_character_width=self.fix_character_width is True,
            uncurl_quotes=self.uncurl_quotes,
            normalization=self.normal_form,
            explain=False,
        )

    def _irregular(self) -> str:
        """RE2 pattern of what `_finish` may change, with the line ends that are not line feeds."""
        widths = char_class(LETTER_WIDTHS) if self.fix_character_width == "letters" else ""
        parts = [rf"[\x{{b}}-\r{_NONCHARACTERS}{suspect_class(self.remove_invisible)}{widths}]"]
        if self.collapse_spaces:
            parts.append(rf"  |[{WIDE_BLANKS}]")
        if self.strip_line_ends:
            parts.append(rf"[{BLANKS}]\n")
        if self.max_blank_lines is not None:
            parts.append(rf"\n{{{self.max_blank_lines + 2}}}")
        if self.strip:
            parts.append(rf"\A[\n{BLANKS}]|[\n{BLANKS}]\z")
        return "|".join(parts)


def _marks(text: pa.Array, rows: np.ndarray, before: pa.Array, after: pa.Array) -> Marks:
    """The column with `after` in place of `before` at `rows`, and evidence where the two differ."""
    changed = pc.not_equal(before, after)
    rows = rows[changed.to_numpy(zero_copy_only=False)]
    before, after = before.filter(changed), after.filter(changed)
    place = np.arange(len(text))
    place[rows] = len(text) + np.arange(len(rows))
    source = np.full(len(text), -1)
    source[rows] = np.arange(len(rows))
    sizes = [pc.cast(pc.utf8_length(t), pa.int64()) for t in (before, after)]
    found = pa.StructArray.from_arrays(sizes, fields=list(EVIDENCE_TYPE))
    evidence = found.take(pa.array(source, pa.int64(), mask=source < 0))
    repaired = pa.concat_arrays([text, after]).take(pa.array(place, pa.int64())) if len(rows) else text
    return Marks({TEXT.name: repaired}, None, evidence)
