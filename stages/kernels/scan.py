"""The scanner of words: from UTF-8 bytes to one 64-bit hash for each word. What a word is, words.py says.

Most text is ASCII, so most words are found 64 bytes at a time: each byte's class is one bit, a word is a run of
bits, and where the next one begins is known without waiting for this one's hash. Bytes that this cannot judge (beyond
ASCII, or a sign that may be a word) are loud: they, and words they touch, are read a character at a time.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.bits import between64, lean_njit, load64, mix64, trailing_zeros
from stages.kernels.unicode import LIMIT, decode

SEPARATOR, IGNORED, PART, JOINING, SINGLE, SIGN, REPEATABLE = range(7)
# PART of a word; JOINING whatever stands before it; SINGLE: a word by itself; SIGN: one if a digit comes next;
# REPEATABLE: one by itself, a run of it counting once.

_BLOCK = 64
_ROOM = _BLOCK + 8  # bytes that are read from a block's first on
_FULL_STOP, _BLANK, _DOLLAR, _LOW_LINE = 0x2E, 0x20, ord("$"), ord("_")
_LARGE_A, _SMALL_A = ord("A"), ord("a")
_NO_STATE, _IN_WORD, _IN_SINGLE = 0, 1, 2
_ONE, _SEVEN, _ALL = np.uint64(1), np.uint64(7), np.uint64(0xFFFFFFFFFFFFFFFF)

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x9E3779B97F4A7C15)  # odd, far from any small multiple of a power of two
_GAP = np.uint64(0x7B660EA491E8D026)  # the word that a gap is, where gaps count; not yet mixed


class Style(NamedTuple):
    """How the ASCII characters of an alphabet make words: letters and digits are parts of them wherever it is plain."""

    plain: bool
    folds: bool
    low_lines: bool  # `_` is a part too
    signs: bool  # a mark may be a word, if a digit follows
    singles: bool  # every mark is one


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


@njit(inline="always")
def _range64(data, i, low, high):
    return between64(data, i, np.uint8(low), np.uint8(high))


@njit(inline="always")
def _parts64(data, i, low_lines):
    """The ASCII parts of words among 64 bytes: letters, digits and, if asked for, `_`."""
    parts = _range64(data, i, 0x30, 0x39) | _range64(data, i, 0x41, 0x5A) | _range64(data, i, 0x61, 0x7A)
    if low_lines:
        parts |= _range64(data, i, 0x5F, 0x5F)
    return parts


@njit(inline="always")
def _before_digits64(data, i):
    """Which of 64 bytes have an ASCII digit one or two bytes after them."""
    digits, later = _range64(data, i, 0x30, 0x39), _range64(data, i + 2, 0x30, 0x39)
    return later | (digits >> _ONE) | (later << _ONE)


@njit(inline="always")
def _low_bits(count):
    """The lowest 0 to 64 bits."""
    return ~(_ALL << np.uint64(count)) if count < _BLOCK else _ALL


@njit(inline="always")
def _fold(x, style):
    """Eight bytes of an ASCII word in lower case, if the style has it; bytes above the word's become anything."""
    if style.folds:
        x |= np.uint64(0x2020202020202020)  # digits have that bit
        if style.low_lines:  # the only part that is changed, to a byte that no other part becomes
            x ^= ((x + np.uint64(0x0101010101010101)) & np.uint64(0x8080808080808080)) >> np.uint64(2)
    return x


@njit(inline="always")
def _hash_run(data, start, size, style):
    """The hash of an ASCII word but for its last mixing; eight bytes from any of its own on can be read."""
    h = _BASIS
    x = _fold(load64(data, start), style)
    while size >= 8:
        h = mix64(h ^ x) * _PRIME
        start, size = start + 8, size - 8
        x = _fold(load64(data, start), style)
    return h ^ (x & ((_ONE << np.uint64(8 * size)) - _ONE))


@njit(inline="always")
def _put(hashes, starts, ends, count, h, first, last):
    """One more word; its hash is mixed at the end, with all others."""
    hashes[count] = h
    if starts.size:
        starts[count] = first
        ends[count] = last
    return count + 1


@lean_njit()
def _scan_plain(data, i, end, style, hashes, starts, ends, count):
    """The words of data[i:end], as far as 64 bytes at a time can judge them.

    Returns the number of words, where this stopped, and where the word begins that is not surely over there; else -1.
    """
    touched = -1
    while i < end and i + _ROOM <= data.size:
        parts, loud = _parts64(data, i, style.low_lines), _range64(data, i, 0x80, 0xFF)
        alone = np.uint64(0)
        if style.signs:
            loud |= _range64(data, i, 0x21, 0x7E) & ~parts & _before_digits64(data, i)
        if style.singles:
            alone = _range64(data, i, 0x21, 0x7E) & ~parts
        stop = min(trailing_zeros(loud), end - i)  # with nothing loud, 64
        parts, alone = parts & _low_bits(stop), alone & _low_bits(stop)
        heads, tails = (parts & ~(parts << _ONE)) | alone, (parts & ~(parts >> _ONE)) | alone
        if 0 < stop < end - i:
            tails &= _low_bits(stop - 1)  # a mark may follow that joins
        while tails:
            first, last = i + trailing_zeros(heads), i + trailing_zeros(tails) + 1
            heads, tails = heads & (heads - _ONE), tails & (tails - _ONE)
            count = _put(
                hashes, starts, ends, count, _hash_run(data, first, last - first, style), first, last
            )
        head = i + trailing_zeros(heads) if heads else -1  # of what is not surely over
        if stop < _BLOCK or head == i:
            i, touched = i + stop, head
            break
        i = head if heads else i + _BLOCK
    return count, i, touched


@lean_njit()
def _absorb(data, i, end, style):
    """The state of a word of ASCII that begins at i, and where it ends or cannot be read in blocks any more."""
    h = _BASIS
    while i + _ROOM <= data.size:
        run = min(trailing_zeros(~_parts64(data, i, style.low_lines)), end - i)
        whole = run - run % 8
        for at in range(i, i + whole, 8):
            h = mix64(h ^ _fold(load64(data, at), style)) * _PRIME
        i += run
        if run < _BLOCK:
            rest = _fold(load64(data, i - run % 8), style)
            return i, h, rest & _low_bits(8 * (run % 8)), run % 8
    return i, h, np.uint64(0), 0


@njit(inline="always")
def _style_of(kinds, folded, quick, gaps):
    """How ASCII makes words in an alphabet."""
    return Style(
        kinds[_SMALL_A] == PART and not gaps,
        folded[_LARGE_A] == _SMALL_A,
        quick[_LOW_LINE] != 0,
        kinds[_DOLLAR] == SIGN,
        kinds[_DOLLAR] == SINGLE,
    )


@njit(inline="always")
def _kind_at(data, i, end, point, kinds):
    """The kind of a code point; `i` is where the next one stands."""
    if point >= LIMIT:  # planes 2 and 3 are Han; plane 14 holds tags and variation selectors
        if point < 0x40000:
            return np.int64(SINGLE)
        return np.int64(IGNORED if 0xE0000 <= point < 0xE1000 else SEPARATOR)
    kind = np.int64(kinds[point])
    if kind == SIGN:
        kind = np.int64(REPEATABLE if _digit_comes(data, i, end, point) else SEPARATOR)
    return kind


@lean_njit()
def scan_words(data, start, end, kinds, folded, quick, gaps, hashes, starts, ends):
    """Hashes of the words of data[start:end], in order; also their byte positions if `starts` has a size.

    A word's hash is of its folded UTF-8 bytes, eight at a time, so words of up to seven bytes never share one.
    `hashes` (and `starts`, `ends`) must have room for bound_words() entries. Returns the number of words.
    """
    style = _style_of(kinds, folded, quick, gaps)
    count, state, symbol, gap = 0, _NO_STATE, np.int64(-1), False
    first = last = i = np.int64(start)
    h, chunk, filled = _BASIS, np.uint64(0), 0
    while i < end:
        if style.plain and state == _NO_STATE and i + _ROOM <= data.size and data[i] | data[i + 1] < 0x80:
            begin = i
            count, i, first = _scan_plain(data, i, end, style, hashes, starts, ends, count)
            if first >= 0 and quick[data[first]]:
                state = _IN_WORD
                i, h, chunk, filled = _absorb(data, first, end, style)
                last = i
            elif first >= 0:
                state, h, chunk, filled, last = _IN_SINGLE, _BASIS, np.uint64(data[first]), 1, i
            if i > begin:
                continue
        at = i
        point, size = decode(data, i)
        i += size
        low = np.uint64(folded[point] if point < LIMIT else point)
        kind = _kind_at(data, i, end, point, kinds)
        if kind == IGNORED or (kind == REPEATABLE and symbol == point):
            continue
        if kind == JOINING or (kind == PART and state == _IN_WORD):
            if state != _NO_STATE:
                h, chunk, filled = _push_point(h, chunk, filled, low)
                last = i
            continue
        if state != _NO_STATE:
            count = _put(hashes, starts, ends, count, h ^ chunk, first, last)
        if kind == SEPARATOR:
            state, symbol, gap = _NO_STATE, np.int64(-1), True
            continue
        if gaps and gap and count:
            count = _put(hashes, starts, ends, count, _GAP, last, at)
        gap = False
        symbol = point if kind == REPEATABLE else np.int64(-1)
        state = _IN_WORD if kind == PART else _IN_SINGLE
        h, chunk, filled = _push_point(_BASIS, np.uint64(0), 0, low)
        first, last = at, i
    if state != _NO_STATE:
        count = _put(hashes, starts, ends, count, h ^ chunk, first, last)
    for k in range(count):  # a loop of its own, so that it becomes one of vectors
        hashes[k] = mix64(hashes[k])
    return count
