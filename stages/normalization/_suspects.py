r"""Which texts a repair may change: patterns that RE2 runs over an Arrow column, and that never miss one.

Nearly all text needs no repair, and ftfy takes as long to find that out as to repair it. Each step of ftfy
changes a line only where a known character or pair of characters stands, so one pattern of all of these finds
every line that it can change; a line without a match comes out of ftfy as it went in, but for its normal form,
which `unicodedata.is_normalized` settles. The tables and the heuristic's expression are read from ftfy itself,
so that they are those of the version installed. Patterns may say yes too often, never too seldom.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import re2
from ftfy.badness import BADNESS_RE
from ftfy.chardata import CONTROL_CHARS, LIGATURES, WIDTH_MAP

NormalForm = Literal["NFC", "NFD", "NFKC", "NFKD"]

# str.isspace() as RE2 writes it inside a class, without the line feed; and without the space.
WIDE_BLANKS = (
    r"\t\x{b}-\r\x{1c}-\x{1f}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
)
BLANKS = r"\x{20}" + WIDE_BLANKS
ANY_NON_ASCII = r"[^\x{0}-\x{7f}]"
_ALWAYS = r"\x{80}-\x{9f}\x{2028}\x{2029}"  # C1 controls and the separators of lines and paragraphs
_QUOTES = r"\x{2bc}\x{2018}-\x{201f}"
# Python's \w as RE2 can hold it: all but ASCII and punctuation that surely is not. Wider than \w, never narrower.
_NOT_WORD = r"\x{0}-/:-@\[-^`{-\x{7f}\x{a0}\x{2010}-\x{2027}\x{3000}-\x{3002}"
_ESCAPES = {r"\s": rf"[\n{BLANKS}]", r"\w": f"[^{_NOT_WORD}]", r"\xa0": r"\x{a0}", r"\xad": r"\x{ad}"}
_PIECE = re.compile(r"\\x[0-9a-f]{2}|\\.|#[^\n]*|.", re.DOTALL)


class FtfySteps(NamedTuple):
    """The steps of ftfy that may be off; the others always run."""

    fix_mojibake: bool
    unescape_html: bool
    fix_latin_ligatures: bool
    fix_character_width: bool
    uncurl_quotes: bool


def re2_superset(pattern: str) -> str:
    r"""An RE2 pattern that matches wherever a verbose `re` pattern of ftfy's kind does, and maybe elsewhere.

    Anchors go, \s and \w become classes that hold all of Unicode's. Whatever is not known here (groups, other
    escapes, look-around) makes it ANY_NON_ASCII, as ftfy never touches the encoding of ASCII.

    >>> re2_superset(r"^[ÃÂ][ ]  # at the start" + "\n" + r"| × [²³]")
    '[ÃÂ][ ]|×[²³]'
    >>> re2_superset("(?<!a)é") == ANY_NON_ASCII
    True
    """
    parts = []
    in_class = False
    for piece in _PIECE.findall(pattern):
        if not in_class and piece[0] in "#^ \t\n\r\v\f":  # comments, anchors, blanks of a verbose pattern
            continue
        if piece[0] == "#" or (piece in "(){}*+$" and not in_class):
            return ANY_NON_ASCII
        if piece[0] == "\\":
            known = _ESCAPES.get(piece, "")
            if not known or (in_class and known[0] == "["):
                return ANY_NON_ASCII
            piece = known  # noqa: PLW2901
        in_class = piece == "[" or (in_class and piece != "]")
        parts.append(piece)
    return "".join(parts)


def char_class(points: Iterable[int]) -> str:
    r"""The inside of an RE2 class with these code points.

    >>> char_class([0x41, 0x43, 0x42, 0xFB00])
    '\\x{41}-\\x{43}\\x{fb00}'
    """
    return "".join(
        rf"\x{{{first:x}}}" if first == last else rf"\x{{{first:x}}}-\x{{{last:x}}}"
        for first, last in _ranges(sorted(set(points)))
    )


def _ranges(points: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for at in range(1, len(points) + 1):
        if at == len(points) or points[at] != points[at - 1] + 1:
            yield points[start], points[at - 1]
            start = at


@functools.cache
def ftfy_pattern(steps: FtfySteps) -> str:
    """RE2 pattern without a match in any line that ftfy leaves as it is, normal form apart.

    Line ends must have been made line feeds.
    """
    points = list(CONTROL_CHARS)
    points += LIGATURES if steps.fix_latin_ligatures else []
    points += WIDTH_MAP if steps.fix_character_width else []
    parts = [f"[{_ALWAYS}{_QUOTES if steps.uncurl_quotes else ''}{char_class(points)}]"]
    parts += ["&[#0-9A-Za-z]"] if steps.unescape_html else []
    parts += [re2_superset(BADNESS_RE.pattern)] if steps.fix_mojibake else []
    return "|".join(parts)


@functools.cache
def compiled(pattern: str) -> Any:
    """The pattern for single lines; RE2 objects search str."""
    return re2.compile(pattern)


def matches(text: pa.Array, pattern: str) -> pa.Array:
    """Rows where the pattern is found; null is no."""
    return pc.fill_null(pc.match_substring_regex(text, pattern), False)


def not_normalized(text: pa.Array, form: NormalForm | None, known: pa.Array) -> pa.Array:
    """Rows that are not in the normal form, among those that are not `known` to need a repair anyway."""
    if form is None or len(text) == 0:
        return pa.repeat(False, len(text))
    asked = pc.and_(pc.invert(known), pc.invert(pc.fill_null(pc.string_is_ascii(text), True)))
    found = [not unicodedata.is_normalized(form, t) for t in text.filter(asked).to_pylist()]
    if not any(found):
        return pa.repeat(False, len(text))
    return pc.replace_with_mask(pa.repeat(False, len(text)), asked, pa.array(found, pa.bool_()))
