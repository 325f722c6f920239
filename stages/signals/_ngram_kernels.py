"""Compiled counting of repeated n-grams, and the reusable hash table that the text scan uses too.

A document's words come as prefix sums: hashes[k] is a polynomial hash of its first k words, ends[k] their
length in characters, so that any n-gram's hash and length cost one subtraction.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.words import mix64 as mix

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)
LONGEST_RUN = DUPLICATE_SIZES[-1] - 3  # repeated 4-grams in a row that a repeated n-gram needs at most
PASSES = 1 + len(TOP_SIZES) + len(DUPLICATE_SIZES)
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd: the base of the word polynomial


class Table(NamedTuple):
    """An open hash table that is emptied by using a higher mark: slots with a lower one are free."""

    keys: np.ndarray  # uint64
    counts: np.ndarray  # int64: the mark it was last used under << 32 | how often its key came


@njit(cache=True, nogil=True)
def new_table(size):
    """An empty table; `size` is a power of two, and marks begin at 1."""
    return Table(np.empty(size, np.uint64), np.zeros(size, np.int64))


@njit(cache=True, nogil=True)
def mask_for(entries):
    """Size less one of a table that so many entries fill by two thirds: sized by a count, never a guess."""
    size = 64
    while size < entries + entries // 2:
        size *= 2
    return size - 1


@njit(inline="always")
def add(table, mark, mask, key):
    """Count `key`; returns its slot. Hardly a branch here can be foreseen, so there is only one."""
    slot = np.int64(key & np.uint64(mask))
    free = np.int64(mark) << 32
    while (table.counts[slot] >= free) & (table.keys[slot] != key):
        slot = (slot + 1) & mask
    table.keys[slot] = key
    table.counts[slot] = max(table.counts[slot], free) + 1
    return slot


@njit(inline="always")
def seen(table, slot):
    """How often the key of this slot came."""
    return table.counts[slot] & _COUNT


_COUNT = (1 << 32) - 1
_KNOWN_LOGS = 1 << 12
# ln c: an entropy needs one for each occurrence of a word that comes c times, and most counts are small
_LOGS = np.log(np.arange(_KNOWN_LOGS).clip(1))


@njit(cache=True, nogil=True)
def _count_words(words, hashes, places, slots, table, mark, mask):
    """(distinct words, sum of ln c over the words, how many word pairs may repeat).

    Puts into `places` where a pair starts whose two words come more than once.
    """
    unique, total, pairs, repeated = 0, 0.0, 0, False
    for i in range(words):
        slot = add(table, mark, mask, hashes[i + 1] - hashes[i] * BASE)
        slots[i] = slot
        unique += seen(table, slot) == 1
    for i in range(words):
        count = seen(table, np.int64(slots[i]))
        total += _LOGS[count] if count < _KNOWN_LOGS else np.log(count)
        places[pairs] = max(i - 1, 0)
        pairs += repeated and count > 1
        repeated = count > 1
    return unique, total, pairs


@njit(cache=True, nogil=True)
def _power(n):
    power = np.uint64(1)
    for _ in range(n):
        power *= BASE
    return power


@njit(cache=True, nogil=True)
def _top_ngram(n, found, hashes, ends, places, slots, table, mark, mask):
    """(characters of the n-gram that repeats most often, times its count (ties: the longest); places left).

    Looks at the first `found` places, then keeps those where a repeating n-gram starts.
    """
    power = _power(n)
    best, best_chars, left = 1, 0, 0
    for k in range(found):
        i = np.int64(places[k])
        slot = add(table, mark, mask, mix(hashes[i + n] - hashes[i] * power))
        slots[k] = slot
        count, chars = seen(table, slot), ends[i + n] - ends[i]
        if count > best or (count == best and count > 1 and chars > best_chars):
            best, best_chars = count, chars
    for k in range(found):
        places[left] = places[k]
        left += seen(table, np.int64(slots[k])) > 1
    return best * best_chars, left


@njit(cache=True, nogil=True)
def _join_neighbours(found, places):
    """Keep of the ascending places those whose next word is one too: a longer n-gram may repeat there."""
    left = 0
    for k in range(found - 1):
        i = places[k]
        places[left] = i
        left += places[k + 1] == i + 1
    return left


@njit(cache=True, nogil=True)
def _measure_runs(words, found, places, runs):
    """runs[i]: how many of the places follow each other from word i on, LONGEST_RUN at most; returns the longest."""
    runs[:words] = 0
    longest = 0
    for k in range(found - 1, -1, -1):
        i = np.int64(places[k])
        runs[i] = min((runs[i + 1] if i + 1 < words else 0) + 1, LONGEST_RUN)
        longest = max(longest, runs[i])
    return longest


@njit(cache=True, nogil=True)
def _duplicate_ngram(n, words, hashes, ends, runs, table, mark, mask):
    """Characters of n-grams seen before, left to right; after a repeat the scan goes on behind it."""
    power = _power(n)
    repeated = 0
    i = 0
    while i <= words - n:
        step = 1
        if runs[i] > n - 4:  # all of its 4-grams repeat; else it cannot
            slot = add(table, mark, mask, mix(hashes[i + n] - hashes[i] * power))
            if seen(table, slot) > 1:
                repeated += ends[i + n] - ends[i]
                step = n
        i += step
    return repeated


@njit(cache=True, nogil=True)
def count_ngrams(words, hashes, ends, places, slots, runs, table, mark, mask, out):
    """Distinct words into out[0], repeated n-grams of 2 to 10 words in characters into out[1:10].

    Uses the PASSES marks from `mark` on. An n-gram repeats only where both (n-1)-grams in it repeat, which
    leaves little to look at in plain text. Returns the sum of c ln c over the counts c of words.
    """
    out[0], total, found = _count_words(words, hashes, places, slots, table, mark, mask)
    for n in TOP_SIZES:
        if n > TOP_SIZES[0]:
            found = _join_neighbours(found, places)
        out[n - 1], found = _top_ngram(n, found, hashes, ends, places, slots, table, mark + n - 1, mask)
    longest = _measure_runs(words, found, places, runs) if found else 0
    for n in DUPLICATE_SIZES:
        if longest > n - 4:
            out[n - 1] = _duplicate_ngram(n, words, hashes, ends, runs, table, mark + n - 1, mask)
    return total
