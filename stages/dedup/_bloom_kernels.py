"""Compiled loops of Bloom filters: n-grams of texts, and bits set and read a cache line at a time.

A filter is a row of blocks of 512 bits. A 64-bit hash has its block by its upper half and `bits` places in it by the
rest, so adding or asking touches one cache line (Putze, Sanders, Singler 2009, "Cache-, hash- and space-efficient
Bloom filters"), and ascending hashes go through the filter from front to back.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.kernels.words import bound_words, mix64, roll_shingles, scan_words

WORDS = 8  # uint64 to a block
BLOCK_BITS = 64 * WORDS
MAX_BITS = 14  # places to a hash: seven from each of two mixed words
_SALT = np.uint64(0xA0761D6478BD642F)
_ROOM = 1 << 16


@njit(inline="always")
def _places(h):
    return mix64(h ^ _SALT)


@njit(inline="always")
def _first_word(h, blocks):
    return np.int64(((h >> np.uint64(32)) * np.uint64(blocks)) >> np.uint64(32)) * WORDS


@njit(inline="always")
def holds(words, blocks, bits, h):
    """Are all places of this hash set?"""
    base = _first_word(h, blocks)
    g = _places(h)
    left = 7
    for _ in range(bits):
        if left == 0:
            g, left = mix64(_places(h)), 7
        place = g & np.uint64(511)
        if (words[base + np.int64(place >> np.uint64(6))] >> (place & np.uint64(63))) & np.uint64(1) == 0:
            return False
        g >>= np.uint64(9)
        left -= 1
    return True


@njit(cache=True, nogil=True)
def add_hashes(words, twice, blocks, bits, hashes):
    """Set the places of each hash; where one was set already, set it in `twice` (empty: nothing is kept of that).

    A place that one hash has twice counts once, so the result is the same for any order.
    """
    mask = np.zeros(WORDS, np.uint64)
    counted = twice.size > 0
    for h in hashes:
        base = _first_word(h, blocks)
        g = _places(h)
        left = 7
        for _ in range(bits):
            if left == 0:
                g, left = mix64(_places(h)), 7
            place = g & np.uint64(511)
            mask[np.int64(place >> np.uint64(6))] |= np.uint64(1) << (place & np.uint64(63))
            g >>= np.uint64(9)
            left -= 1
        for w in range(WORDS):
            if counted:
                twice[base + w] |= words[base + w] & mask[w]
            words[base + w] |= mask[w]
            mask[w] = np.uint64(0)


@njit(cache=True, nogil=True)
def count_held(words, blocks, bits, hashes):
    """How many of the hashes the filter holds."""
    found = 0
    for h in hashes:
        found += holds(words, blocks, bits, h)
    return found


@njit(cache=True, nogil=True)
def merge_filters(words, twice, other, other_twice):
    """Make of two filters that of both corpora, in the first; empty `twice`: nothing is kept of that."""
    for i in range(twice.size):
        twice[i] |= other_twice[i] | (words[i] & other[i])
    for i in range(words.size):
        words[i] |= other[i]


@njit(inline="always")
def _ones(x):
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True, nogil=True)
def count_fills(words):
    """How many blocks have 0, 1, ..., 512 places set; int64, 513 entries."""
    found = np.zeros(BLOCK_BITS + 1, np.int64)
    for block in range(words.size // WORDS):
        ones = 0
        for w in range(WORDS):
            ones += _ones(words[block * WORDS + w])
        found[ones] += 1
    return found


@njit(inline="always")
def _line_end(data, start, end, by_line):
    """Behind the newline of the line that begins at start; the end of the text, where lines do not count."""
    if not by_line:
        return end
    while start < end and data[start] != 10:
        start += 1
    return min(start + 1, end)


@njit(cache=True, nogil=True)
def _distinct(hashes, count):
    """The first `count` hashes ascending, each once, in place; returns how many there are."""
    hashes[:count].sort()
    kept = 0
    for i in range(count):
        if i == 0 or hashes[i] != hashes[i - 1]:
            hashes[kept] = hashes[i]
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def hash_grams(data, offsets, kinds, folded, quick, gaps, n, by_line, distinct):
    """Hashes of the n-grams of each row, of its lines one by one if `by_line`; ascending, each once, if `distinct`.

    Fewer words than n are one n-gram, none are none. Returns hashes and offsets.
    """
    rows = offsets.size - 1
    bounds = 0
    for row in range(rows):
        bounds += bound_words(data, offsets[row], offsets[row + 1], kinds, gaps)
    out, found = np.empty(bounds, np.uint64), np.zeros(rows + 1, np.int64)
    none = np.empty(0, np.int64)
    words = np.empty(_ROOM, np.uint64)
    at = 0
    for row in range(rows):
        start, end = offsets[row], offsets[row + 1]
        if end - start > words.size:
            words = np.empty(max(bound_words(data, start, end, kinds, gaps), words.size), np.uint64)
        first = at
        while start < end:
            stop = _line_end(data, start, end, by_line)
            count = scan_words(data, start, stop, kinds, folded, quick, gaps, words, none, none)
            at += roll_shingles(words, count, n, out[at:])
            start = stop
        if distinct:
            at = first + _distinct(out[first:at], at - first)
        found[row + 1] = at
    return out[:at].copy(), found


@njit(cache=True, nogil=True)
def select_held(hashes, offsets, words, blocks, bits):
    """The hashes that a filter holds, and the offsets of rows among them."""
    out, found = np.empty(hashes.size, np.uint64), np.zeros(offsets.size, np.int64)
    at = 0
    for row in range(offsets.size - 1):
        for i in range(offsets[row], offsets[row + 1]):
            if holds(words, blocks, bits, hashes[i]):
                out[at] = hashes[i]
                at += 1
        found[row + 1] = at
    return out[:at].copy(), found


@njit(cache=True, nogil=True)
def probe_texts(
    data, offsets, kinds, folded, quick, gaps, n, by_line, filter_words, blocks, bits, cut, threshold
):
    """How many n-grams of each row a filter holds; if `cut`, the texts without lines of which enough are.

    Returns:
        n-grams and those held, int64 for each row; lines cut int64; bytes and offsets of what is left (empty and zeros
        unless `cut`).
    """
    rows = offsets.size - 1
    counts, hits, lost = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    none = np.empty(0, np.int64)
    words, grams = np.empty(_ROOM, np.uint64), np.empty(_ROOM, np.uint64)
    out = np.empty(offsets[rows] - offsets[0] if cut else 0, np.uint8)
    left = np.zeros(rows + 1, np.int64)
    at = 0
    for row in range(rows):
        start, end = offsets[row], offsets[row + 1]
        if end - start > words.size:
            bound = max(bound_words(data, start, end, kinds, gaps), words.size)
            words, grams = np.empty(bound, np.uint64), np.empty(bound, np.uint64)
        while start < end:
            stop = _line_end(data, start, end, by_line)
            count = scan_words(data, start, stop, kinds, folded, quick, gaps, words, none, none)
            count = roll_shingles(words, count, n, grams)
            held = 0
            for i in range(count):
                held += holds(filter_words, blocks, bits, grams[i])
            counts[row] += count
            hits[row] += held
            if cut:
                if count and held >= threshold * count:
                    lost[row] += 1
                else:
                    for i in range(start, stop):
                        out[at] = data[i]
                        at += 1
            start = stop
        left[row + 1] = at
    return counts, hits, lost, out[:at].copy(), left
