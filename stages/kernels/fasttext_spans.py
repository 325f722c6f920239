"""Where the texts that a classifier reads begin and end: the head of each document, or its lines."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from stages.kernels.buffers import text_buffers
from stages.kernels.unicode import LETTER, LIMIT, SPACE, UNSPACED, char_classes, class_of, decode

UNSPACED_WEIGHT = 3  # letters that a character of Han, Kana or Thai counts for: it says about as much
_CONTROL, _DELETE = 0x20, 0x7F


class Lines(NamedTuple):
    """The lines of a text column that are not blank, in order."""

    data: np.ndarray  # uint8: the bytes that offsets, starts and ends point into
    offsets: np.ndarray  # int64 (texts + 1,)
    rows: np.ndarray  # int64: the text that each is of
    starts: np.ndarray  # int64: of its first character that is not white space
    ends: np.ndarray  # int64: after its last
    letters: np.ndarray  # int64: letters, those of unspaced scripts weighted


def text_heads(text: pa.Array, max_chars: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Bounds of the first `max_chars` code points of each text, without white space and controls around them.

    Returns:
        data uint8; starts, ends int64 positions in it. Null is empty; so is what has nothing but white space.

    >>> data, starts, ends = text_heads(pa.array([" a\nb", None]), 3)
    >>> bytes(data[starts[0] : ends[0]]), bool(starts[1] == ends[1])
    (b'a\nb', True)
    """
    data, offsets = text_buffers(text)
    starts, ends = _heads(data, offsets, -1 if max_chars is None else max_chars, char_classes())
    return data, starts, ends


def text_lines(text: pa.Array) -> Lines:
    """The lines of each text, cut at newlines, that are not blank."""
    data, offsets = text_buffers(text)
    return Lines(data, offsets, *_lines(data, offsets, char_classes()))


@njit(inline="always")
def _is_blank(classes, point):
    return point < _CONTROL or point == _DELETE or (point < LIMIT and (classes[point] & SPACE) != 0)


@njit(cache=True, nogil=True)
def _trim(data, start, end, classes):
    """The stretch without the white space and controls around it."""
    while start < end:
        point, width = decode(data, start)
        if not _is_blank(classes, point):
            break
        start += width
    while end > start:
        at = end - 1
        while at > start and (data[at] & 0xC0) == 0x80:
            at -= 1
        point, _ = decode(data, at)
        if not _is_blank(classes, point):
            break
        end = at
    return start, end


@njit(cache=True, nogil=True)
def _heads(data, offsets, max_chars, classes):
    rows = len(offsets) - 1
    starts, ends = np.empty(rows, np.int64), np.empty(rows, np.int64)
    for row in range(rows):
        start, end = _trim(data, offsets[row], offsets[row + 1], classes)
        if 0 <= max_chars < end - start:
            at, seen = start, 0
            while at < end:
                if (data[at] & 0xC0) != 0x80:
                    if seen == max_chars:
                        break
                    seen += 1
                at += 1
            start, end = _trim(data, start, at, classes)
        starts[row], ends[row] = start, end
    return starts, ends


@njit(cache=True, nogil=True)
def _lines(data, offsets, classes):
    newlines = 0
    for i in range(offsets[0], offsets[-1]):
        newlines += data[i] == 10
    most = newlines + len(offsets) - 1
    rows, starts, ends, letters = (
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
    )
    found = 0
    for row in range(len(offsets) - 1):
        at = offsets[row]
        while at < offsets[row + 1]:
            stop = at
            while stop < offsets[row + 1] and data[stop] != 10:
                stop += 1
            start, end = _trim(data, at, stop, classes)
            if start < end:
                count, i = 0, start
                while i < end:
                    point, width = decode(data, i)
                    bits = class_of(classes, point)
                    if bits & LETTER:
                        count += UNSPACED_WEIGHT if bits & UNSPACED else 1
                    i += width
                rows[found], starts[found], ends[found], letters[found] = row, start, end, count
                found += 1
            at = stop + 1
    return rows[:found].copy(), starts[:found].copy(), ends[:found].copy(), letters[:found].copy()
