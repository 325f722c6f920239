"""Compiled loops that cut texts into lines, paragraphs and sentences.

Pieces tile a column's bytes: piece u is data[bounds[u]:bounds[u + 1]], white space after it included, and row i has
the pieces from firsts[i] to firsts[i + 1]. All loops are linear in the bytes.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.dedup._space_kernels import _KINDS, LEAD, PLAIN, SPACE, _space_bytes
from stages.kernels.bits import load64, trailing_zeros
from stages.kernels.unicode import LIMIT, decode
from stages.kernels.unicode import SPACE as SPACES

# What sentences look at, in a table by code point: SPACES of char_classes(), and above its bits these.
STOP, FULL_STOP, CLOSER, LOWER = 1 << 8, 1 << 9, 1 << 10, 1 << 11
_NONE, _STOPPED, _FULL, _SPACED, _BROKEN = range(5)  # how near the end of a sentence is
_NEWLINE = 0x0A
_NEWLINES = np.uint64(0x0A0A0A0A0A0A0A0A)
_LOWS, _TOPS = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x8080808080808080)


@njit(inline="always")
def _space_before(data, start, i):
    """Bytes of the white space that ends before i, 0 if none does."""
    kind = _KINDS[data[i - 1]]
    if kind == SPACE:
        return 1
    if data[i - 1] < 0x80:
        return 0
    for size in (2, 3):
        if i - size >= start and _KINDS[data[i - size]] == LEAD and _space_bytes(data, i - size, i) == size:
            return size
    return 0


@njit(cache=True, nogil=True)
def trim(data, start, end):
    """The same span without white space (Unicode's) at its ends; `start, start` if there is no more in it."""
    begin = start
    while start < end:
        kind = _KINDS[data[start]]
        size = 1 if kind == SPACE else 0 if kind == PLAIN else _space_bytes(data, start, end)
        if size == 0:
            break
        start += size
    if start == end:
        return begin, begin
    while end > start:
        size = _space_before(data, start, end)
        if size == 0:
            break
        end -= size
    return start, end


@njit(cache=True, nogil=True)
def trim_spans(data, starts, ends):
    """trim() of many spans, int64 (2, spans)."""
    out = np.empty((2, starts.size), np.int64)
    for k in range(starts.size):
        out[0, k], out[1, k] = trim(data, starts[k], ends[k])
    return out


@njit(cache=True, nogil=True)
def tile_lines(data, offsets, lines):
    r"""Lines, each with its \n; nothing else ends one. `lines` is no less than their number."""
    rows = offsets.size - 1
    bounds, firsts = np.empty(lines + 1, np.int64), np.zeros(rows + 1, np.int64)
    bounds[0] = offsets[0]
    at = 0
    for row in range(rows):
        start, end = offsets[row], offsets[row + 1]
        i = start
        while i + 8 <= end:
            x = load64(data, i) ^ _NEWLINES  # a byte is 0 where a newline stands
            found = ~(((x & _LOWS) + _LOWS) | x) & _TOPS
            while found:
                at += 1
                bounds[at] = i + (np.int64(trailing_zeros(found)) >> 3) + 1
                found &= found - np.uint64(1)
            i += 8
        while i < end:
            if data[i] == _NEWLINE:
                at += 1
                bounds[at] = i + 1
            i += 1
        if start < end and bounds[at] != end:
            at += 1
            bounds[at] = end
        firsts[row + 1] = at
    return bounds[: at + 1].copy(), firsts


@njit(cache=True, nogil=True)
def join_lines(data, bounds, firsts):
    """Paragraphs of lines: runs of lines that are not blank, each with the blank lines after it.

    Blank lines at the beginning of a row are one piece.
    """
    rows = firsts.size - 1
    joined, starts = np.empty(bounds.size, np.int64), np.zeros(rows + 1, np.int64)
    joined[0] = bounds[0]
    at = 0
    for row in range(rows):
        was_blank = False
        for u in range(firsts[row], firsts[row + 1]):
            start, end = trim(data, bounds[u], bounds[u + 1])
            if u > firsts[row] and was_blank and start < end:
                at += 1
                joined[at] = bounds[u]
            was_blank = start == end
        if firsts[row] < firsts[row + 1]:
            at += 1
            joined[at] = bounds[firsts[row + 1]]
        starts[row + 1] = at
    return joined[: at + 1].copy(), starts


@njit(inline="always")
def _bound_sentences(data, start, end, halts):
    count = 1
    for i in range(start, end):
        count += halts[data[i]]
    return count


@njit(cache=True, nogil=True)
def _read_sentences(data, i, end, kinds, halts, bounds, at):
    """Where the sentences of data[i:end] end, into bounds[at + 1:]; the last place written."""
    state, begun = _NONE, False
    while i < end:
        if state == _NONE and begun:
            while i < end and not halts[data[i]]:
                i += 1
            if i == end:
                break
        point, size = decode(data, i)
        kind = np.int64(kinds[point]) if point < LIMIT else np.int64(0)
        if kind & SPACES:
            if point == _NEWLINE or state == _FULL:
                state = _BROKEN
            elif state == _STOPPED:
                state = _SPACED
        else:
            ends = state == _BROKEN or (state == _SPACED and not kind & LOWER)
            ends = ends or (state == _FULL and not kind & (CLOSER | STOP | FULL_STOP))
            if ends and begun:
                at += 1
                bounds[at] = i
            if ends or state == _SPACED:
                state = _NONE
            begun = True
            if kind & FULL_STOP:
                state = _FULL
            elif kind & STOP:
                state = max(state, _STOPPED)
            elif not kind & CLOSER:
                state = _NONE
        i += size
    at += 1
    bounds[at] = end
    return at


@njit(cache=True, nogil=True)
def tile_sentences(data, offsets, kinds, halts):
    """Sentences, each with the white space after it; that at the beginning of a row is the first one's.

    A sentence ends at a line's end; at a STOP, with the CLOSERs behind it, if white space follows and then no
    LOWER letter; and at a FULL_STOP with the CLOSERs and stops behind it, whatever follows.

    Args:
        data: uint8.
        offsets: of the rows.
        kinds: uint16 by code point.
        halts: uint8 by byte: 1 for newlines, stops, and bytes with which other characters begin.
    """
    rows = offsets.size - 1
    bounds, firsts = np.empty(1024, np.int64), np.zeros(rows + 1, np.int64)
    bounds[0] = offsets[0]
    at = 0
    for row in range(rows):
        start, end = offsets[row], offsets[row + 1]
        if start < end:
            need = at + 1 + _bound_sentences(data, start, end, halts)
            if need > bounds.size:
                grown = np.empty(2 * need, np.int64)
                grown[: at + 1] = bounds[: at + 1]
                bounds = grown
            at = _read_sentences(data, start, end, kinds, halts, bounds, at)
        firsts[row + 1] = at
    return bounds[: at + 1].copy(), firsts
