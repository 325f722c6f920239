"""What kernels know of Unicode: a class and a lower-case form for each code point, as lookup tables."""

import functools
import unicodedata

import numpy as np
from numba import njit

LIMIT = 0x20000  # planes 0 and 1; above it lie Han extensions (letters) and unassigned or private code points
SPACE, LETTER, DIGIT, MARK, PUNCT, SYMBOL, UNSPACED, UPPER = (1 << bit for bit in range(8))
WORD = LETTER | DIGIT | MARK  # what stays inside a word

# Blocks of scripts written without spaces between words: a word count there needs characters, not gaps.
UNSPACED_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # CJK radicals
    (0x3005, 0x3007),  # iteration mark, zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1B000, 0x1B16F),  # Kana supplement
)
_BY_CATEGORY = {"L": LETTER, "N": DIGIT, "M": MARK, "P": PUNCT, "S": SYMBOL, "Z": SPACE}


@functools.cache
def char_classes() -> np.ndarray:
    r"""uint8 bit sets (SPACE, LETTER, ...) for code points below LIMIT; controls \t\n\v\f\r\x85 are SPACE.

    >>> int(char_classes()[ord("Q")]) == LETTER | UPPER
    True
    """
    table = np.zeros(LIMIT, np.uint8)
    for point in range(LIMIT):
        category = unicodedata.category(chr(point))
        table[point] = _BY_CATEGORY.get(category[0], 0) | (UPPER if category == "Lu" else 0)
    for point in (*range(0x09, 0x0E), 0x1C, 0x1D, 0x1E, 0x1F, 0x85):  # what str.isspace() adds to Z*
        table[point] = SPACE
    for first, last in UNSPACED_RANGES:
        block = table[first : last + 1]
        block[(block & WORD) != 0] |= UNSPACED
    return table


@functools.cache
def lower_table() -> np.ndarray:
    """int32 simple lower case for code points below LIMIT (one code point to one; `İ` and such stay)."""
    table = np.arange(LIMIT, dtype=np.int32)
    for point in range(LIMIT):
        lowered = chr(point).lower()
        if len(lowered) == 1:
            table[point] = ord(lowered)
    return table


@njit(inline="always")
def decode(data, i):
    """(code point, bytes) of the valid UTF-8 character that starts at data[i]."""
    c = np.int64(data[i])
    if c < 0x80:
        return c, 1
    if c < 0xE0:
        return ((c & 0x1F) << 6) | (np.int64(data[i + 1]) & 0x3F), 2
    if c < 0xF0:
        return ((c & 0x0F) << 12) | ((np.int64(data[i + 1]) & 0x3F) << 6) | (np.int64(data[i + 2]) & 0x3F), 3
    return (
        ((c & 0x07) << 18)
        | ((np.int64(data[i + 1]) & 0x3F) << 12)
        | ((np.int64(data[i + 2]) & 0x3F) << 6)
        | (np.int64(data[i + 3]) & 0x3F)
    ), 4


@njit(inline="always")
def class_of(classes, point):
    """The class bits of any code point; planes 2 and 3 are Han."""
    if point < LIMIT:
        return classes[point]
    return np.uint8(LETTER | UNSPACED) if point < 0x40000 else np.uint8(0)
