"""Cutting byte spans out of texts so that what is left is still text."""
# mypy: disable-error-code="assignment, no-untyped-def"
# ruff: noqa: ANN001, ANN202 - kernels have the types of their arguments

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from stages.kernels.buffers import text_buffers

_BLANK, _NEWLINE = 0x20, 0x0A


class Cut(NamedTuple):
    """Texts without their spans."""

    texts: pa.Array  # large_string; null where the column is
    removed: np.ndarray  # int64, code points taken out of each row
    starts: np.ndarray  # int64: where each span began and ended, in code points of its row
    ends: np.ndarray


@njit(inline="always")
def _is_space(byte):
    return byte == _BLANK or 0x09 <= byte <= 0x0D


@njit(inline="always")
def _joins(byte):
    """Whether a byte is of a letter or digit, or of a character beyond ASCII."""
    return byte >= 0x80 or 0x30 <= byte <= 0x39 or 0x41 <= (byte & 0xDF) <= 0x5A


@njit(cache=True, nogil=True)
def _cut_rows(data, offsets, starts, ends, bounds):
    rows = offsets.size - 1
    size = offsets[rows] - offsets[0] + starts.size
    out, ends_out = np.empty(size, np.uint8), np.zeros(rows + 1, np.int64)
    removed = np.zeros(rows, np.int64)
    first, last = np.empty(starts.size, np.int64), np.empty(starts.size, np.int64)
    at = 0
    for row in range(rows):
        place, points, begin = offsets[row], 0, at
        for k in range(bounds[row], bounds[row + 1]):
            low, high = starts[k], ends[k]
            spaced, lined = False, False
            while place < low:
                points += (data[place] & 0xC0) != 0x80
                out[at] = data[place]
                at += 1
                place += 1
            first[k] = points
            while place < high:
                points += (data[place] & 0xC0) != 0x80
                spaced = spaced or _is_space(data[place])
                lined = lined or data[place] == _NEWLINE
                place += 1
            last[k] = points
            open_left = at == begin or _is_space(out[at - 1])
            if open_left:  # white space stays on one side only
                while place < offsets[row + 1] and _is_space(data[place]) and data[place] != _NEWLINE:
                    points += 1
                    place += 1
                whole_lines = at == begin or out[at - 1] == _NEWLINE
                if whole_lines and place < offsets[row + 1] and data[place] == _NEWLINE:
                    points += 1
                    place += 1
            elif spaced and place < offsets[row + 1] and _joins(out[at - 1]) and _joins(data[place]):
                out[at] = _NEWLINE if lined else _BLANK  # two words must not become one
                at += 1
            removed[row] += points - first[k]
        while place < offsets[row + 1]:
            out[at] = data[place]
            at += 1
            place += 1
        ends_out[row + 1] = at
    return out[:at].copy(), ends_out, removed, first, last


def cut_spans(column: pa.Array, starts: np.ndarray, ends: np.ndarray, bounds: np.ndarray) -> Cut:
    """Take byte spans out of the texts of a column.

    White space that stood on both sides of a span stays on one; where a span with white space in it joined two
    words, a blank (or a line end, if it had one) comes in its place.

    Args:
        column: large_string.
        starts: first bytes of the spans in text_buffers()' data, ascending, at the starts of characters.
        ends: their ends.
        bounds: row i has the spans from bounds[i] to bounds[i + 1].

    >>> text = pa.array(["keep this, drop that, keep"], pa.large_string())
    >>> cut_spans(text, np.array([11]), np.array([21]), np.array([0, 1])).texts[0].as_py()
    'keep this, keep'
    """
    data, offsets = text_buffers(column)
    out, out_offsets, removed, first, last = _cut_rows(data, offsets, starts, ends, bounds)
    valid = pa.array(column.is_valid()).buffers()[1] if column.null_count else None
    texts = pa.LargeStringArray.from_buffers(
        len(column), pa.py_buffer(out_offsets), pa.py_buffer(out), valid, column.null_count
    )
    return Cut(texts, removed, first, last)
