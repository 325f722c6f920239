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

from stages.kernels.bits import letters_of, load64, parts_of, trailing_zeros
from stages.kernels.buffers import text_buffers
from stages.kernels.unicode import LIMIT, MARK, UNSPACED, WORD, char_classes, decode, lower_table

SEPARATOR, IGNORED, PART, JOINING, SINGLE, SIGN, REPEATABLE = range(7)
# PART of a word; JOINING whatever stands before it; SINGLE: a word by itself; SIGN: one if a digit comes next;
# REPEATABLE: one by itself, a run of it counting once.

_ZERO_WIDTH_SPACE = 0x200B
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_ASCII_SIGNS = "-.*/^"  # beyond Unicode's mathematical and currency symbols
_FULL_STOP, _BLANK = 0x2E, 0x20
_NO_STATE, _IN_WORD, _IN_SINGLE = 0, 1, 2
_LARGE_A, _SMALL_A, _LOW_LINE = ord("A"), ord("a"), ord("_")
_TOPS = np.uint64(0x8080808080808080)

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x9E3779B97F4A7C15)  # odd, far from any small multiple of a power of two
BASE = np.uint64(0xD6E8FEB86659FD93)  # odd: the base of the polynomial over words
_GAP_HASH = np.uint64(0x8EBC6AF09C88C6E3)  # the word that a gap is, where gaps count


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


@njit(inline="always")
def mix64(h):
    """A bijection on 64 bits in which every bit depends on every other (splitmix64's finisher)."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@njit(cache=True, nogil=True)
def bound_words(data, start, end, kinds, gaps):
    """No more words than this are in data[start:end]: at most one too many for each non-ASCII character."""
    words = 1
    in_word = False
    for i in range(start, end):
        byte = data[i]
        if byte < 0x80:
            kind = kinds[byte]
            part = kind == PART
            words += (part and not in_word) + (kind >= SINGLE) + (gaps and kind == SEPARATOR)
            in_word = part
        else:
            words += (byte >= 0xC0) * (2 if gaps else 1)
            in_word = False
    return words


@njit(inline="always")
def _digit_comes(data, i, end, point):
    """Is there an ASCII digit at i, or after one blank there? The blank is not for a full stop."""
    if i + 1 < end and data[i] == _BLANK and point != _FULL_STOP:
        i += 1
    return i < end and 0x30 <= data[i] <= 0x39


@njit(inline="always")
def _push(h, chunk, filled, byte):
    """A word's hash state with one more byte: (h, chunk, filled)."""
    chunk |= byte << np.uint64(8 * filled)
    if filled == 7:
        return mix64(h ^ chunk) * _PRIME, np.uint64(0), 0
    return h, chunk, filled + 1


@njit(inline="always")
def _push_point(h, chunk, filled, point):
    """The same with the UTF-8 bytes of a code point."""
    if point < np.uint64(0x80):
        return _push(h, chunk, filled, point)
    six, mask, tail = np.uint64(6), np.uint64(0x3F), np.uint64(0x80)
    if point < np.uint64(0x800):
        h, chunk, filled = _push(h, chunk, filled, np.uint64(0xC0) | (point >> six))
    else:
        if point < np.uint64(0x10000):
            h, chunk, filled = _push(h, chunk, filled, np.uint64(0xE0) | (point >> np.uint64(12)))
        else:
            h, chunk, filled = _push(h, chunk, filled, np.uint64(0xF0) | (point >> np.uint64(18)))
            h, chunk, filled = _push(h, chunk, filled, tail | ((point >> np.uint64(12)) & mask))
        h, chunk, filled = _push(h, chunk, filled, tail | ((point >> six) & mask))
    return _push(h, chunk, filled, tail | (point & mask))


@njit(cache=True, nogil=True)
def scan_words(data, start, end, kinds, folded, quick, gaps, hashes, starts, ends):
    """Hashes of the words of data[start:end], in order; also their byte positions if `starts` has a size.

    A word's hash is of its folded UTF-8 bytes, eight at a time, so words of up to seven bytes never share one.
    `hashes` (and `starts`, `ends`) must have room for bound_words() entries. Returns the number of words.
    """
    located = starts.size > 0
    # an alphabet's ASCII parts of words are letters and digits, with or without `_`; or none at all
    fast, low_lines = quick[_SMALL_A] != 0 and not gaps, quick[_LOW_LINE] != 0
    folds = np.uint64(0 if quick[_LARGE_A] == _LARGE_A else 2)
    count = 0
    state, first, last, symbol, gap = _NO_STATE, 0, 0, np.int64(-1), False
    h, chunk, filled = _BASIS, np.uint64(0), 0
    i = start
    while i < end:
        if fast and state != _IN_WORD and quick[data[i]]:  # a word begins with ASCII: most do and end so
            if state != _NO_STATE:
                hashes[count] = mix64(h ^ chunk)
                if located:
                    starts[count] = first
                    ends[count] = last
                count += 1
            state, symbol, first = _IN_WORD, np.int64(-1), i
            h, chunk, filled = _BASIS, np.uint64(0), 0
            while i + 8 <= data.size:
                x = load64(data, i)
                letters = letters_of(x)
                size = np.int64(trailing_zeros(~parts_of(x, letters, low_lines) & _TOPS) >> np.uint64(3))
                size = min(size, end - i)
                if folds:
                    x |= letters >> np.uint64(2)
                i += size
                if size < 8:
                    chunk = x & ((np.uint64(1) << np.uint64(8 * size)) - np.uint64(1))
                    filled = size  # type: ignore[assignment]  # numba makes them one
                    break
                h = mix64(h ^ x) * _PRIME
            else:
                while i < end and quick[data[i]]:
                    h, chunk, filled = _push(h, chunk, filled, np.uint64(quick[data[i]]))
                    i += 1
            last = i
            if i < end and data[i] < 0x80 and kinds[data[i]] == SEPARATOR:
                hashes[count] = mix64(h ^ chunk)
                if located:
                    starts[count] = first
                    ends[count] = last
                count += 1
                state = _NO_STATE
                i += 1
            continue
        at = i
        point, size = decode(data, i)
        i += size
        if point < LIMIT:
            kind, low = np.int64(kinds[point]), np.uint64(folded[point])
        else:  # planes 2 and 3 are Han; plane 14 holds tags and variation selectors
            kind, low = np.int64(SEPARATOR), np.uint64(point)
            if point < 0x40000:
                kind = np.int64(SINGLE)
            elif 0xE0000 <= point < 0xE1000:
                kind = np.int64(IGNORED)
        if kind == SIGN:
            kind = np.int64(REPEATABLE if _digit_comes(data, i, end, point) else SEPARATOR)
        if kind == PART and state == _IN_WORD:
            h, chunk, filled = _push_point(h, chunk, filled, low)
            last = i
            continue
        if kind == IGNORED:
            continue
        if kind == JOINING:
            if state != _NO_STATE:
                h, chunk, filled = _push_point(h, chunk, filled, low)
                last = i
            continue
        if kind == REPEATABLE and symbol == point:
            continue
        if state != _NO_STATE:
            hashes[count] = mix64(h ^ chunk)
            if located:
                starts[count] = first
                ends[count] = last
            count += 1
        if kind == SEPARATOR:
            state, symbol, gap = _NO_STATE, np.int64(-1), True
            continue
        if gaps and gap and count:
            hashes[count] = _GAP_HASH
            if located:
                starts[count] = last
                ends[count] = at
            count += 1
        gap = False
        symbol = point if kind == REPEATABLE else np.int64(-1)
        state = _IN_WORD if kind == PART else _IN_SINGLE
        h, chunk, filled = _push_point(_BASIS, np.uint64(0), 0, low)
        first, last = at, i
    if state != _NO_STATE:
        hashes[count] = mix64(h ^ chunk)
        if located:
            starts[count] = first
            ends[count] = last
        count += 1
    return count


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
