"""Compiled loops over the pieces of texts: their 128-bit keys, runs of them, and which of them a document repeats.

Pieces tile a column as _line_tile_kernels.py says; items are pieces or runs of them. All loops are linear.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.dedup._line_hash_kernels import BASIS, absorb, finish, hash_bytes, hash_numbers, hash_points
from stages.dedup._line_tile_kernels import trim
from stages.kernels.words import mix64

_BASIS_A, _BASIS_B = BASIS
_NEWLINE = 0x0A


@njit(inline="always")
def _count_chars(data, start, end):
    count = 0
    for i in range(start, end):
        count += (data[i] & 0xC0) != 0x80
    return count


@njit(cache=True, nogil=True)
def hash_pieces(data, bounds, folded, words, word_offsets):
    """The key, and the characters between its white space, of each piece; a piece without content has 0 of both.

    Args:
        data: uint8.
        bounds: of the pieces.
        folded: int32 by code point, what it is hashed as, or DROPPED; empty: bytes are hashed as they are.
        words: if `word_offsets` has a size, what is hashed instead: uint64.
        word_offsets: int64, words of each piece.

    Returns:
        keys uint64 (pieces, 2), characters int64 (pieces); characters count also where nothing is left to hash.
    """
    count = bounds.size - 1
    keys, chars = np.zeros((count, 2), np.uint64), np.zeros(count, np.int64)
    for u in range(count):
        start, end = bounds[u], bounds[u + 1]
        if end - start > 1 and data[end - 1] == _NEWLINE:
            end -= 1
        if not (0x20 < data[start] < 0x80 and 0x20 < data[end - 1] < 0x80):  # most are as they should be
            start, end = trim(data, start, end)
            if start == end:
                continue
        plain, size = False, 1
        if word_offsets.size:
            size = word_offsets[u + 1] - word_offsets[u]
            a, b = hash_numbers(words, word_offsets[u], word_offsets[u + 1])
        elif folded.size:
            a, b, size = hash_points(data, start, end, folded)
        else:
            a, b, plain = hash_bytes(data, start, end)
        if size:
            keys[u, 0], keys[u, 1] = a, b
        chars[u] = end - start if plain else _count_chars(data, start, end)
    return keys, chars


@njit(cache=True, nogil=True)
def roll_windows(keys, chars, firsts, span):
    """Every run of `span` pieces with content in a row; all of a row's pieces if they are fewer.

    Returns:
        keys uint64 (windows, 2); chars int64; firsts int64 (rows + 1); the first and the last piece of each.
    """
    rows = firsts.size - 1
    most = keys.shape[0]
    made, sizes = np.empty((most, 2), np.uint64), np.empty(most, np.int64)
    begins, lasts = np.empty(most, np.int64), np.empty(most, np.int64)
    starts, held = np.zeros(rows + 1, np.int64), np.empty(most, np.int64)
    at = 0
    for row in range(rows):
        count = 0
        for u in range(firsts[row], firsts[row + 1]):
            if keys[u, 0]:
                held[count] = u
                count += 1
        width = min(span, count)
        for w in range(count - width + 1 if count else 0):
            a, b, size = _BASIS_A, _BASIS_B, 0
            for k in range(w, w + width):
                a, b = absorb(a, b, keys[held[k], 0], keys[held[k], 1])
                size += chars[held[k]]
            made[at, 0], made[at, 1] = finish(a, b, width)
            sizes[at] = size
            begins[at], lasts[at] = held[w], held[w + width - 1]
            at += 1
        starts[row + 1] = at
    return made[:at].copy(), sizes[:at].copy(), starts, begins[:at].copy(), lasts[:at].copy()


@njit(cache=True, nogil=True)
def salt_keys(keys, firsts, salts, salted):
    """Keys that are equal only within one salt; rows that are not `salted` have none (0)."""
    for row in range(firsts.size - 1):
        for u in range(firsts[row], firsts[row + 1]):
            if not salted[row]:
                keys[u, 0] = keys[u, 1] = 0
            elif keys[u, 0]:
                a, b = absorb(keys[u, 0], keys[u, 1], salts[row, 0], salts[row, 1])
                keys[u, 0], keys[u, 1] = finish(a, b, 0)


@njit(cache=True, nogil=True)
def group_items(keys, chars, firsts, min_chars):
    """For each item the first of its row with the same key, and how often it stands in the row (at that first).

    Returns:
        heads int64: an item's number, -1 where there is no key or fewer than `min_chars`; counts int32.
    """
    rows = firsts.size - 1
    longest = 1
    for row in range(rows):
        longest = max(longest, firsts[row + 1] - firsts[row])
    room = 2
    while room < 2 * longest:
        room *= 2
    slots = np.full(room, -1, np.int64)  # an item of an earlier row is an empty slot: nothing is cleared
    heads, counts = np.full(keys.shape[0], -1, np.int64), np.zeros(keys.shape[0], np.int32)
    for row in range(rows):
        mask = 1
        while mask < 2 * (firsts[row + 1] - firsts[row]):
            mask *= 2
        mask -= 1
        for u in range(firsts[row], firsts[row + 1]):
            if keys[u, 0] == 0 or chars[u] < min_chars:
                continue
            slot = np.int64(keys[u, 1] & np.uint64(mask))
            while slots[slot] >= firsts[row] and (
                keys[slots[slot], 0] != keys[u, 0] or keys[slots[slot], 1] != keys[u, 1]
            ):
                slot = (slot + 1) & mask
            if slots[slot] < firsts[row]:
                slots[slot] = u
            heads[u] = slots[slot]
            counts[slots[slot]] += 1
    return heads, counts


@njit(cache=True, nogil=True)
def mix_numbers(numbers):
    """Uniform keys from document references."""
    out = np.empty(numbers.size, np.uint64)
    for i in range(numbers.size):
        out[i] = mix64(numbers[i])
    return out
