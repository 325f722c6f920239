"""Words of a list, misreadings that may be such words, and stock phrases; compiled."""

# mypy: disable-error-code="assignment, no-untyped-def, no-untyped-call"
# numba unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.kernels.words import mix64
from stages.signals._machine_tables import BASE, SPLITS


@njit(inline="always")
def find_word(keys, values, h):
    """The value of a hashed letter string in the word table, 0 if it is not there.

    A key is 32 bits of the hash and the slot 16 or more others: a strange string passes for a word with
    probability below 1e-5, and the table stays in the processor's cache.
    """
    h = mix64(h)
    key = np.uint32(h >> np.uint64(32)) | np.uint32(1)
    mask = np.uint64(keys.size - 1)
    slot = h & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return np.int64(values[slot])
        slot = (slot + np.uint64(1)) & mask
    return np.int64(0)


@njit(cache=True, nogil=True)
def add_words(keys, values, hashes, new_values):
    """Put hashed letter strings into the table; the first value given for a string stays."""
    mask = np.uint64(keys.size - 1)
    for k in range(hashes.size):
        h = mix64(hashes[k])
        key = np.uint32(h >> np.uint64(32)) | np.uint32(1)
        slot = h & mask
        while keys[slot] != 0 and keys[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        if keys[slot] == 0:
            keys[slot] = key
            values[slot] = new_values[k]


@njit(cache=True, nogil=True)
def is_confusable(ids, length, prefix, powers, starts, confusions, keys, values):
    """Would one usual misreading, undone, make this unknown word a known one?"""
    for i in range(length):
        seen = ids[i]
        for k in range(starts[seen], starts[seen + 1]):
            j = i + 1
            if confusions[k, 1]:
                if j >= length or ids[j] != confusions[k, 1]:
                    continue
                j += 1
            h = prefix[i] * BASE + np.uint64(confusions[k, 2])
            if confusions[k, 3]:
                h = h * BASE + np.uint64(confusions[k, 3])
            rest = prefix[length] - prefix[j] * powers[length - j]
            if find_word(keys, values, h * powers[length - j] + rest) & 15:
                return True
    return False


@njit(cache=True, nogil=True)
def match_phrases(t, words, hashes, flags, found):
    """Count the stock phrases by kind: the longest at each word, none overlapping another."""
    w = 0
    phrases = t.phrase_kinds.size
    while w < words:
        h = hashes[w]
        step = 1
        if t.phrase_bits[h & np.uint64(0xFFFF)]:
            low, high = 0, phrases
            while low < high:
                middle = (low + high) // 2
                if t.phrase_words[t.phrase_starts[middle]] < h:
                    low = middle + 1
                else:
                    high = middle
            while low < phrases and t.phrase_words[t.phrase_starts[low]] == h:
                first, size = t.phrase_starts[low], t.phrase_starts[low + 1] - t.phrase_starts[low]
                same = w + size <= words
                k = 1
                while same and k < size:
                    same = hashes[w + k] == t.phrase_words[first + k]
                    k += 1
                kind = np.int64(t.phrase_kinds[low])
                if same and (kind < 128 or flags[w] & SPLITS):
                    found[kind & 127] += 1
                    step = size
                    break
                low += 1
        w += step
