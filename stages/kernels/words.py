"""Words as 64-bit hashes, and runs of n words (shingles, n-grams) as one hash, straight from UTF-8 bytes.

What counts as the same word is the same wherever words are compared (duplicates, benchmark items):

- case is folded (one code point to one; final sigma as sigma); digits and combining marks stay, so that `48`
  and `75`, `й` and `и`, `ガ` and `カ` stay different;
- white space, punctuation and control characters separate words; invisible joiners, soft hyphens, direction
  and variation marks are passed over, so they neither split a word nor change it;
- a character of a script written without spaces (Han, Kana, Thai, ...) is a word by itself, with its marks;
- symbols and `_` separate too; or, where asked for (`signs=True`), a sign is a word by itself if a digit
  comes next (`5+3`, `5 - 3`, `$5` and `3.5` then differ from the same without signs), so is an emoji, a run of
  one emoji counting once, and `_` is part of a word.

No composition is done: text in NFD has other words than in NFC, so normalise to one form first.
"""

import functools
import unicodedata
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from stages.kernels.bits import mix64
from stages.kernels.buffers import text_buffers
from stages.kernels.scan import (
    IGNORED,
    JOINING,
    PART,
    REPEATABLE,
    SEPARATOR,
    SIGN,
    SINGLE,
    bound_words,
    scan_words,
)
from stages.kernels.unicode import LIMIT, MARK, UNSPACED, WORD, char_classes, lower_table

__all__ = [  # the scanner's own names among them, so that one module is all of words
    "BASE",
    "IGNORED",
    "JOINING",
    "PART",
    "REPEATABLE",
    "SEPARATOR",
    "SIGN",
    "SINGLE",
    "Alphabet",
    "HashedWords",
    "Shingles",
    "bound_words",
    "char_alphabet",
    "hash_words",
    "kind_of",
    "mix64",
    "roll_shingles",
    "scan_words",
    "shingle",
    "token_alphabet",
    "word_alphabet",
]

_ZERO_WIDTH_SPACE = 0x200B
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_ASCII_SIGNS = "-.*/^"  # beyond Unicode's mathematical and currency symbols
BASE = np.uint64(0xD6E8FEB86659FD93)  # odd: the base of the polynomial over words


class Alphabet(NamedTuple):
    """How code points below LIMIT make words."""

    kinds: np.ndarray  # uint8: SEPARATOR ... REPEATABLE
    folded: np.ndarray  # int32: the code point that is hashed
    quick: np.ndarray  # uint8, by byte: the folded byte of an ASCII PART, else 0
    gaps: bool  # is the gap between two words a word of its own


class HashedWords(NamedTuple):
    """The words of a text column; row i has those from offsets[i] to offsets[i + 1]."""

    hashes: np.ndarray  # uint64
    offsets: np.ndarray  # int64, rows + 1
    starts: np.ndarray  # int64 byte positions in the data of text_buffers(); empty unless asked for
    ends: np.ndarray


class Shingles(NamedTuple):
    """The shingles of a text column; row i has those from offsets[i] to offsets[i + 1]."""

    hashes: np.ndarray  # uint64
    offsets: np.ndarray  # int64, rows + 1


def kind_of(char: str, signs: bool = False) -> int:
    """What one character does to words; see the module's docstring.

    >>> [kind_of(c) for c in "a 橋"] == [PART, SEPARATOR, SINGLE]
    True
    """
    point, category = ord(char), unicodedata.category(char)
    bits = int(char_classes()[point])
    if point in _VARIATION_SELECTORS or (category == "Cf" and point != _ZERO_WIDTH_SPACE):
        return IGNORED
    if bits & MARK:
        return JOINING
    if bits & WORD:
        return SINGLE if bits & UNSPACED else PART
    if not signs:
        return SEPARATOR
    if char in _ASCII_SIGNS or category in ("Sm", "Sc"):
        return SIGN
    return PART if char == "_" else REPEATABLE if category == "So" else SEPARATOR


@functools.cache
def word_alphabet(signs: bool = False) -> Alphabet:
    """Words, with or without signs, emoji and `_` as said above."""
    kinds = np.fromiter((kind_of(chr(point), signs) for point in range(LIMIT)), np.uint8, LIMIT)
    folded = lower_table().copy()
    folded[0x03C2] = 0x03C3  # final sigma
    return Alphabet(kinds, folded, _quick(kinds, folded), False)


@functools.cache
def token_alphabet() -> Alphabet:
    """Words as they are written, case and all, and every punctuation mark and symbol a word by itself."""
    kinds = word_alphabet().kinds.copy()
    for point in range(LIMIT):
        if kinds[point] == SEPARATOR and unicodedata.category(chr(point))[0] not in "ZC":
            kinds[point] = SINGLE
    folded = np.arange(LIMIT, dtype=word_alphabet().folded.dtype)
    return Alphabet(kinds, folded, _quick(kinds, folded), False)


@functools.cache
def char_alphabet(signs: bool = False) -> Alphabet:
    """Every letter and digit a word by itself, and one more for each gap between words."""
    words = word_alphabet(signs)
    kinds = words.kinds.copy()
    kinds[kinds == PART] = SINGLE
    return Alphabet(kinds, words.folded, _quick(kinds, words.folded), True)


def _quick(kinds: np.ndarray, folded: np.ndarray) -> np.ndarray:
    quick = np.zeros(256, np.uint8)
    quick[:128] = np.where(kinds[:128] == PART, folded[:128], 0)
    return quick


@njit(cache=True, nogil=True)
def roll_shingles(words, count, n, out):
    """A hash for each run of n of the first `count` words; fewer words than n are one shingle, none are none.

    Returns the number of shingles, which is at most `count`.
    """
    if count == 0:
        return 0
    width = min(n, count)
    power = np.uint64(1)
    for _ in range(width):
        power *= BASE
    h = np.uint64(0)
    for i in range(width):
        h = h * BASE + words[i]
    out[0] = mix64(h)
    for i in range(width, count):
        h = h * BASE + words[i] - words[i - width] * power
        out[i - width + 1] = mix64(h)
    return count - width + 1


@njit(cache=True, nogil=True)
def _hash_column(data, offsets, kinds, folded, quick, gaps, located):
    rows = offsets.size - 1
    bounds = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        bounds[row + 1] = bounds[row] + bound_words(data, offsets[row], offsets[row + 1], kinds, gaps)
    hashes = np.empty(bounds[rows], np.uint64)
    places = bounds[rows] if located else 0
    starts, ends = np.empty(places, np.int64), np.empty(places, np.int64)
    found = np.zeros(rows + 1, np.int64)
    at = 0
    for row in range(rows):
        s, e = (starts[at:], ends[at:]) if located else (starts, ends)
        at += scan_words(data, offsets[row], offsets[row + 1], kinds, folded, quick, gaps, hashes[at:], s, e)
        found[row + 1] = at
    places = at if located else 0
    return hashes[:at].copy(), found, starts[:places].copy(), ends[:places].copy()


@njit(cache=True, nogil=True)
def _shingle_column(hashes, offsets, n):
    rows = offsets.size - 1
    out = np.empty(hashes.size, np.uint64)
    found = np.zeros(rows + 1, np.int64)
    at = 0
    for row in range(rows):
        at += roll_shingles(hashes[offsets[row] :], offsets[row + 1] - offsets[row], n, out[at:])
        found[row + 1] = at
    return out[:at].copy(), found


def hash_words(column: pa.Array, alphabet: Alphabet, located: bool = False) -> HashedWords:
    """The words of every row of a text column; a null has none.

    Args:
        column: (large_)string.
        alphabet: word_alphabet() or char_alphabet().
        located: also where each word stands, in bytes of text_buffers()' data.

    >>> words = hash_words(pa.array(["One, two", None, "ONE"]), word_alphabet())
    >>> words.offsets.tolist(), bool(words.hashes[0] == words.hashes[2])
    ([0, 2, 2, 3], True)
    """
    data, offsets = text_buffers(column)
    return HashedWords(*_hash_column(data, offsets, *alphabet, located))


def shingle(words: HashedWords, n: int) -> Shingles:
    """Runs of n words of every row, repeats included; a row of 1 to n-1 words is one shingle.

    >>> words = hash_words(pa.array(["a b c d", "a b", ""]), word_alphabet())
    >>> shingle(words, 3).offsets.tolist()
    [0, 2, 3, 3]
    """
    return Shingles(*_shingle_column(words.hashes, words.offsets, n))
