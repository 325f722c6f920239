"""Text repaired: mojibake undone, one normal form, no control characters, regular white space.

ftfy (Speer, 2019) finds and undoes text that was decoded with the wrong charset. Its other habits are off by
default: straight quotes, unfolded ligatures and half-width forms would rewrite what authors wrote. Nothing
here changes words: NFC composes, it does not fold (NFKC turns ² into 2, so it must be asked for).
"""

import re
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from ftfy import TextFixerConfig, fix_text
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import MapStage, Marks

NormalForm = Literal["NFC", "NFD", "NFKC", "NFKD"]
EVIDENCE_TYPE = pa.struct([("chars_before", pa.int64()), ("chars_after", pa.int64())])

# ASCII text with none of these comes out as it went in, but for white space.
_SUSPECT_ASCII = r"[\x00-\x08\x0b-\x1f\x7f]"
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c]")  # ftfy takes out the vertical tab and leaves the form feed
_SPACE_RUNS = re.compile(r"[^\S\n]{2,}|[^\S\n ]")
_LINE_END_SPACE = re.compile(r"(?<![^\S\n])[^\S\n]+(?=\n)")


def limit_blank_lines(text: str, most: int) -> str:
    r"""At most `most` blank lines in a row.

    >>> limit_blank_lines("a\n\n\n\nb", 1)
    'a\n\nb'
    """
    return re.sub(rf"\n{{{most + 2},}}", "\n" * (most + 1), text)


class RepairText(MapStage[None]):
    """Repair Unicode and white space in each text; a row that changed says so in its evidence."""

    libraries = ("ftfy",)

    fix_mojibake: bool = Field(True, description="undo text decoded with the wrong charset (ftfy)")
    unescape_html: bool = Field(
        False, description="turn &amp; into & where no < is near; off, as extraction did it and code means it"
    )
    normal_form: NormalForm | None = Field("NFC", description="Unicode normal form; null = leave as it is")
    fix_character_width: bool = Field(
        False, description="full-width Latin and half-width kana to usual width"
    )
    uncurl_quotes: bool = Field(False, description="curly quotes to straight ones")
    fix_latin_ligatures: bool = Field(False, description="ﬁ to fi")
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
        suspect = self._suspects(text).to_pylist()
        repaired = pa.array(
            [
                self.repair(t.as_py()) if s and t.is_valid else t.as_py()
                for t, s in zip(text, suspect, strict=True)
            ],
            text.type,
        )
        changed = pc.fill_null(pc.not_equal(text, repaired), False)
        sizes = [pc.cast(pc.utf8_length(t), pa.int64()) for t in (text, repaired)]
        evidence = pa.StructArray.from_arrays(sizes, fields=list(EVIDENCE_TYPE), mask=pc.invert(changed))
        return Marks({TEXT.name: repaired}, None, evidence)

    def repair(self, text: str) -> str:
        """The repaired text; repairing it again changes nothing more, unless a mojibake was doubled."""
        text = fix_text(_LINE_ENDS.sub("\n", text), self._ftfy_config())
        text = _CONTROLS.sub("", text)
        if self.collapse_spaces:
            text = _SPACE_RUNS.sub(" ", text)
        if self.strip_line_ends:
            text = _LINE_END_SPACE.sub("", text)
        if self.max_blank_lines is not None:
            text = limit_blank_lines(text, self.max_blank_lines)
        return text.strip() if self.strip else text

    def _ftfy_config(self) -> TextFixerConfig:
        return TextFixerConfig(
            unescape_html="auto" if self.unescape_html else False,
            fix_encoding=self.fix_mojibake,
            restore_byte_a0=self.fix_mojibake,
            replace_lossy_sequences=self.fix_mojibake,
            decode_inconsistent_utf8=self.fix_mojibake,
            fix_c1_controls=self.fix_mojibake,
            fix_latin_ligatures=self.fix_latin_ligatures,
            fix_character_width=self.fix_character_width,
            uncurl_quotes=self.uncurl_quotes,
            normalization=self.normal_form,
            explain=False,
        )

    def _suspects(self, text: pa.Array) -> pa.Array:
        """Rows that repairing may change: all but regular ASCII."""
        suspect = pc.or_(
            pc.invert(pc.string_is_ascii(text)),
            pc.match_substring_regex(text, _SUSPECT_ASCII + self._irregular_ascii()),
        )
        return pc.fill_null(suspect, False)

    def _irregular_ascii(self) -> str:
        """RE2 alternatives that find, in ASCII text, what the params beyond ftfy's would change."""
        parts = [r"&[#A-Za-z]"] if self.unescape_html else []
        if self.collapse_spaces:
            parts.append(r"[ \t]{2,}|\t")
        if self.strip_line_ends:
            parts.append(r"[ \t]\n")
        if self.max_blank_lines is not None:
            parts.append(rf"\n{{{self.max_blank_lines + 2},}}")
        if self.strip:
            parts.append(r"\A[ \t\n]|[ \t\n]\z")
        return "".join("|" + part for part in parts)
