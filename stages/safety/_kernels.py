"""Texts folded for word lists: lower case, every word between two spaces of its own."""

import numpy as np
from numba import njit

from stages.kernels.buffers import text_buffers
from stages.kernels.unicode import LIMIT, SPACE, UNSPACED, WORD, char_classes, class_of, decode, lower_table


@njit(cache=True, nogil=True)
def _encode(out, at, point):
    if point < 0x80:
        out[at] = point
        return at + 1
    if point < 0x800:
        out[at] = 0xC0 | (point >> 6)
        out[at + 1] = 0x80 | (point & 0x3F)
        return at + 2
    if point < 0x10000:
        out[at] = 0xE0 | (point >> 12)
        out[at + 1] = 0x80 | ((point >> 6) & 0x3F)
        out[at + 2] = 0x80 | (point & 0x3F)
        return at + 3
    out[at] = 0xF0 | (point >> 18)
    out[at + 1] = 0x80 | ((point >> 12) & 0x3F)
    out[at + 2] = 0x80 | ((point >> 6) & 0x3F)
    out[at + 3] = 0x80 | (point & 0x3F)
    return at + 4


@njit(cache=True, nogil=True)
def _fold(data, offsets, classes, lower, out, chars, words):
    """Kinds of token: 0 none, 1 a word, 2 a run without spaces, 3 any other visible character, alone."""
    at = 0
    count = 0  # code points written
    for row in range(len(offsets) - 1):
        chars[row] = count
        kind = 0
        i = offsets[row]
        while i < offsets[row + 1]:
            point, width = decode(data, i)
            i += width
            bits = class_of(classes, point)
            if bits & UNSPACED:
                new = 2
            elif bits & WORD:
                # A combining mark belongs to what it stands on, Thai vowels to their run.
                new = 1
            elif bits & SPACE or bits == 0:
                new = 0
            else:
                new = 3
            if kind != 0 and (new != kind or new == 3):
                out[at] = 32
                at += 1
                count += 1
            if new != 0 and (new != kind or new == 3):
                out[at] = 32
                at += 1
                count += 1
                words[row] += new == 1
            words[row] += new == 2
            if new != 0:
                at = _encode(out, at, np.int64(lower[point]) if point < LIMIT else point)
                count += 1
            kind = new
        if kind != 0:
            out[at] = 32
            at += 1
            count += 1
        out[at] = 10  # rows do not run into each other
        at += 1
        count += 1
    chars[len(offsets) - 1] = count
    return at


def fold_texts(column):
    r"""All texts of a column as one lower-case string in which every token has a space on both sides.

    Tokens are words, runs of a script without spaces, and single punctuation marks or symbols; white space
    between tokens is dropped, so a token is followed by exactly two spaces unless it ends the row ("\n").

    Returns:
        the string; int64 starts of the rows in it (code points, rows + 1); int64 words of each row, where a
        character of a script without spaces counts as one.
    """
    data, offsets = text_buffers(column)
    rows = len(offsets) - 1
    # At worst a one-byte token becomes three bytes, and two-byte Ⱥ a three-byte letter between spaces.
    out = np.empty(4 * int(offsets[-1] - offsets[0]) + rows + 4, np.uint8)
    chars, words = np.zeros(rows + 1, np.int64), np.zeros(rows, np.int64)
    size = _fold(data, offsets, char_classes(), lower_table(), out, chars, words)
    return out[:size].tobytes().decode("utf-8"), chars, words
