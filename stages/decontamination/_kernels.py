"""Compiled scan of texts for the n-grams of an index."""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.words import bound_words, roll_shingles, scan_words

_ROOM = 1 << 16  # words; there are never more than bytes, so only longer texts need counting first


class HashSet(NamedTuple):
    """A set of uniform 64-bit hashes, for fast answers of no."""

    values: np.ndarray  # uint64, ascending, distinct
    bitmap: np.ndarray  # uint64: a bit for each prefix that some value has
    bitmap_shift: int  # a value's prefix is value >> this
    directory: np.ndarray  # int64: where in `values` each (shorter) prefix begins; one more at the end
    directory_shift: int


@njit(inline="always")
def find(value, known):
    """Index of a value in a HashSet, or -1."""
    bit = value >> np.uint64(known.bitmap_shift)
    if (known.bitmap[np.int64(bit >> np.uint64(6))] >> (bit & np.uint64(63))) & np.uint64(1) == 0:
        return -1
    prefix = np.int64(value >> np.uint64(known.directory_shift))
    for k in range(known.directory[prefix], known.directory[prefix + 1]):
        if known.values[k] == value:
            return k
    return -1


@njit(cache=True, nogil=True)
def _match_row(words, count, n, width, lengths, grams, anchors, shingles, found, first, last):
    """Matches in one row's words: n-grams of the index, and whole short items at their first `width` words.

    Writes gram number, first word and last word of each match, as far as `found` has room; returns how many.
    """
    hits = 0
    if count >= n:
        for i in range(roll_shingles(words, count, n, shingles)):
            gram = find(shingles[i], grams)
            if gram >= 0:
                if hits < found.size:
                    found[hits], first[hits], last[hits] = gram, i, i + n - 1
                hits += 1
    if lengths.size == 0 or count < width:
        return hits
    one = np.empty(1, np.uint64)
    for i in range(roll_shingles(words, count, width, shingles)):
        if find(shingles[i], anchors) < 0:
            continue
        for length in lengths:
            if i + length > count:
                continue
            roll_shingles(words[i:], length, length, one)
            gram = find(one[0], grams)
            if gram >= 0:
                if hits < found.size:
                    found[hits], first[hits], last[hits] = gram, i, i + length - 1
                hits += 1
    return hits


@njit(cache=True, nogil=True)
def count_matches(data, offsets, kinds, folded, quick, gaps, n, width, lengths, grams, anchors):
    """Matches in each row of a text column, int64."""
    rows = offsets.size - 1
    counts = np.zeros(rows, np.int64)
    words, shingles = np.empty(_ROOM, np.uint64), np.empty(_ROOM, np.uint64)
    none = np.empty(0, np.int64)
    for row in range(rows):
        start, end = offsets[row], offsets[row + 1]
        if end - start > words.size:
            bound = bound_words(data, start, end, kinds, gaps)
            if bound > words.size:
                words, shingles = np.empty(bound, np.uint64), np.empty(bound, np.uint64)
        count = scan_words(data, start, end, kinds, folded, quick, gaps, words, none, none)
        counts[row] = _match_row(words, count, n, width, lengths, grams, anchors, shingles, none, none, none)
    return counts


@njit(cache=True, nogil=True)
def locate_matches(data, start, end, hits, kinds, folded, quick, gaps, n, width, lengths, grams, anchors):
    """The `hits` matches of one text: gram numbers, first bytes, end bytes (from the start of the text)."""
    bound = bound_words(data, start, end, kinds, gaps)
    words, shingles = np.empty(bound, np.uint64), np.empty(bound, np.uint64)
    starts, ends = np.empty(bound, np.int64), np.empty(bound, np.int64)
    count = scan_words(data, start, end, kinds, folded, quick, gaps, words, starts, ends)
    found, first, last = np.empty(hits, np.int64), np.empty(hits, np.int64), np.empty(hits, np.int64)
    _match_row(words, count, n, width, lengths, grams, anchors, shingles, found, first, last)
    return found, starts[first] - start, ends[last] - start


@njit(cache=True, nogil=True)
def set_bits(values, shift, bitmap):
    """Set the bit of every value's prefix."""
    for value in values:
        bit = value >> np.uint64(shift)
        bitmap[np.int64(bit >> np.uint64(6))] |= np.uint64(1) << (bit & np.uint64(63))
