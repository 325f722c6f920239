"""What the text of a block looks like, in numbers; compiled. Columns are those of _best_features.TEXT.

Compiled into `_best_feature_kernels.py`, whose cached machine code must be removed when this file is edited.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

from typing import NamedTuple

import numpy as np
from numba import njit

N_TEXT = 12
SIZE, WORDS, LINK_SHARE, PUNCTUATION, ENDS_SENTENCE, DIGITS = range(6)
UPPER, WORD_SIZE, LINKS, LINES, MARKS, STARTS_LOWER = range(6, N_TEXT)
WIDE_SIZE = 3  # letters that a Han or kana character counts for, and words
WIDE_WORDS = 0.6
MAX_WORD_SIZE = 40.0
MAX_MARKS = 8

# What a character is, as bits: at most eight, a byte a code point.
_BLANK, _WIDE, _LETTER, _CAPITAL, _DIGIT, _STOP, _MARK, _CLOSER = (1 << k for k in range(8))
_FIRST_ASTRAL = 0x10000
_RANGES = [
    (_LETTER, 0xC0, 0xFFFF),  # beyond Latin-1's signs all but General Punctuation to CJK punctuation
    (0, 0x2000, 0x303F),
    (_LETTER | _WIDE, 0x3040, 0x30FF),
    (_LETTER | _WIDE, 0x3400, 0x9FFF),
    (_LETTER, ord("a"), ord("z")),
    (_LETTER | _CAPITAL, ord("A"), ord("Z")),
    (_DIGIT, ord("0"), ord("9")),
]
_SIGNS = [
    (_BLANK, " \t\n"),
    (_STOP, ".,!?;\u3001\u3002\uff0c\uff01\uff1f\u06d4\u061f"),
    (_MARK, "©|»«\u203a→•·#@®▶"),  # of menus, lists and imprints
    (_CLOSER, "\"')\u201d\u2019\u300d"),  # may follow the end of a sentence
]
_ENDS = tuple(ord(c) for c in ".!?\u3002\uff01\uff1f…\u06d4\u061f\u0964")
_HALF_ENDS = tuple(ord(c) for c in ":;,\uff1a")


def _kinds() -> np.ndarray:
    """uint8 [65536]: the bits of each code point below the astral planes."""
    kinds = np.zeros(_FIRST_ASTRAL, np.uint8)
    for bits, first, last in _RANGES:
        kinds[first : last + 1] = bits
    for bits, characters in _SIGNS:
        kinds[[ord(c) for c in characters]] |= bits
    return kinds


_KINDS = _kinds()


class Counts(NamedTuple):
    """Characters of a block by what they are, its letters and words, and its first and last character."""

    size: float  # in letters
    words: float
    points: int  # code points but for blanks
    letters: int
    capitals: int
    digits: int
    stops: int
    marks: int
    lines: int
    first: np.uint32
    last: np.uint32  # quotes and brackets that close a sentence left out


@njit(cache=True, nogil=True)
def _kind_of(point):
    if point < _FIRST_ASTRAL:
        return _KINDS[point]
    return np.uint8(_LETTER | _WIDE if 0x20000 <= point <= 0x3FFFF else _LETTER)


@njit(cache=True, nogil=True)
def _decode(text, i):
    """(code point, index after) of the character of two to four bytes at i."""
    c = np.uint32(text[i])
    if c < 0xE0:
        return ((c & 31) << 6) | (text[i + 1] & 63), i + 2
    if c < 0xF0:
        return ((c & 15) << 12) | ((text[i + 1] & 63) << 6) | (text[i + 2] & 63), i + 3
    high = ((c & 7) << 18) | ((text[i + 1] & 63) << 12)
    return high | ((text[i + 2] & 63) << 6) | (text[i + 3] & 63), i + 4


@njit(cache=True, nogil=True)
def _count(text, i, stop):
    """Counts of text[i:stop]."""
    size = words = 0.0
    points = letters = capitals = digits = stops = marks = 0
    lines = 1
    first = last = np.uint32(0)
    inside = False  # of a word
    while i < stop:
        point = np.uint32(text[i])
        if point < 0x80:
            i += 1
        else:
            point, i = _decode(text, i)
        kind = _kind_of(point)
        if kind & _BLANK:
            inside = False
            lines += point == 10
            continue
        points += 1
        if first == 0:
            first = point
        if not kind & _CLOSER:
            last = point
        letters += kind & _LETTER != 0
        capitals += kind & _CAPITAL != 0
        digits += kind & _DIGIT != 0
        stops += kind & _STOP != 0
        marks += kind & _MARK != 0
        if kind & _WIDE:
            size += WIDE_SIZE
            words += WIDE_WORDS
        else:
            size += 1.0
            words += 0.0 if inside else 1.0
            inside = True
    return Counts(size, words, points, letters, capitals, digits, stops, marks, lines, first, last)


@njit(cache=True, nogil=True)
def fill_text(rows, text, start, link_bytes, links):
    """Fill the columns of TEXT; return each block's size in letters (float32) and share in links (float64)."""
    n = link_bytes.size
    sizes = np.zeros(n, np.float32)
    shares = np.zeros(n)
    for b in range(n):
        row = rows[b]
        counts = _count(text, start[b], start[b + 1])
        words = max(counts.words, 1.0)
        sizes[b] = counts.size
        shares[b] = min(1.0, link_bytes[b] / max(start[b + 1] - start[b], 1))
        row[SIZE] = np.log1p(counts.size)
        row[WORDS] = np.log1p(counts.words)
        row[LINK_SHARE] = shares[b]
        row[PUNCTUATION] = counts.stops / words
        row[ENDS_SENTENCE] = (counts.last in _ENDS) + 0.5 * (counts.last in _HALF_ENDS)
        row[DIGITS] = counts.digits / max(counts.points, 1)
        row[UPPER] = counts.capitals / max(counts.letters, 1)
        row[WORD_SIZE] = min(counts.size / words, MAX_WORD_SIZE)
        row[LINKS] = np.log1p(links[b])
        row[LINES] = np.log1p(counts.lines)
        row[MARKS] = min(counts.marks, MAX_MARKS)
        row[STARTS_LOWER] = 97 <= counts.first <= 122
    return sizes, shares


@njit(cache=True, nogil=True)
def text_hashes(text, start):
    """uint64 [blocks]: FNV-1a of each block's text."""
    out = np.zeros(start.size - 1, np.uint64)
    for b in range(out.size):
        value = np.uint64(0xCBF29CE484222325)
        for i in range(start[b], start[b + 1]):
            value = (value ^ np.uint64(text[i])) * np.uint64(0x100000001B3)
        out[b] = value
    return out
