"""Compiled counting of repeated n-grams, and the reusable hash table that the text scan uses too.

A document's words come as prefix sums: hashes[k] is a polynomial hash of its first k words, ends[k] their
length in characters, so that any n-gram's hash and length cost one subtraction.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

from typing import NamedTuple

import numpy as np
from numba import njit

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)
PASSES = 1 + len(TOP_SIZES) + len(DUPLICATE_SIZES)
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd: the base of the word polynomial


class Table(NamedTuple):
    """An open hash table that is emptied by using another mark: slots with an old mark are free."""

    keys: np.ndarray  # uint64
    seen: np.ndarray  # int32: how often each key came
    marks: np.ndarray  # int32: 0 is never used


@njit(cache=True, nogil=True)
def new_table(size):
    """An empty table; `size` is a power of two."""
    return Table(np.empty(size, np.uint64), np.empty(size, np.int32), np.zeros(size, np.int32))


@njit(cache=True, nogil=True)
def mask_for(entries):
    """Size less one of a table that so many entries fill by half at most: sized by a count, never a guess."""
    size = 64
    while size < 2 * entries:
        size *= 2
    return size - 1


@njit(inline="always")
def mix(h):
    """A bijection of uint64 that spreads every bit (splitmix64)."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@njit(cache=True, nogil=True)
def add(table, mark, mask, key):
    """Count `key`; returns its slot."""
    slot = np.int64(key & np.uint64(mask))
    while table.marks[slot] == mark and table.keys[slot] != key:
        slot = (slot + 1) & mask
    if table.marks[slot] != mark:
        table.marks[slot] = mark
        table.keys[slot] = key
        table.seen[slot] = 0
    table.seen[slot] += 1
    return slot


_KNOWN_LOGS = 1 << 12
# c ln c: an entropy needs one for each occurrence of each word, and most counts are small
_LOGS = np.array([0.0, *(c * np.log(c) for c in range(1, _KNOWN_LOGS))])


@njit(inline="always")
def _c_log_c(count):
    return _LOGS[count] if count < _KNOWN_LOGS else count * np.log(count)


@njit(cache=True, nogil=True)
def _count_words(words, hashes, may_repeat, slots, table, mark, mask):
    """Distinct words, and the sum of c ln c over their counts; sets `may_repeat` where a word occurs again."""
    unique, total = 0, 0.0
    for i in range(words):
        slots[i] = add(table, mark, mask, hashes[i + 1] - hashes[i] * BASE)
        count = table.seen[slots[i]]
        unique += count == 1
        total += _c_log_c(count) - _c_log_c(count - 1)
    for i in range(words):
        may_repeat[i] = table.seen[slots[i]] > 1
    return unique, total


@njit(cache=True, nogil=True)
def _power(n):
    power = np.uint64(1)
    for _ in range(n):
        power *= BASE
    return power


@njit(cache=True, nogil=True)
def _top_ngram(n, words, hashes, ends, may_repeat, slots, table, mark, mask):
    """Characters of the most frequent n-gram that occurs twice or more, times its count (ties: the longest).

    Only positions in `may_repeat` are looked at; those whose n-gram does not repeat are cleared from it.
    """
    power = _power(n)
    best, best_chars = 1, 0
    for i in range(words - n + 1):
        if may_repeat[i]:
            slots[i] = add(table, mark, mask, mix(hashes[i + n] - hashes[i] * power))
            count, chars = table.seen[slots[i]], ends[i + n] - ends[i]
            if count > best or (count == best and count > 1 and chars > best_chars):
                best, best_chars = count, chars
    for i in range(words):
        may_repeat[i] = i <= words - n and may_repeat[i] and table.seen[slots[i]] > 1
    return best * best_chars


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
            if table.seen[slot] > 1:
                repeated += ends[i + n] - ends[i]
                step = n
        i += step
    return repeated


@njit(cache=True, nogil=True)
def count_ngrams(words, hashes, ends, may_repeat, slots, runs, table, mark, mask, out):
    """Distinct words into out[0], repeated n-grams of 2 to 10 words in characters into out[1:10].

    Uses the PASSES marks from `mark` on. An n-gram repeats only where both (n-1)-grams in it repeat, which
    leaves little to look at in plain text. Returns the sum of c ln c over the counts of words.
    """
    out[0], total = _count_words(words, hashes, may_repeat, slots, table, mark, mask)
    for n in TOP_SIZES:
        for i in range(words - 1):
            may_repeat[i] = may_repeat[i] and may_repeat[i + 1]
        out[n - 1] = _top_ngram(n, words, hashes, ends, may_repeat, slots, table, mark + n - 1, mask)
    run = longest = 0
    for i in range(words - 1, -1, -1):  # how many repeated 4-grams start in a row at each word
        run = run + 1 if may_repeat[i] else 0
        runs[i] = run
        longest = max(longest, run)
    for n in DUPLICATE_SIZES:
        if longest > n - 4:
            out[n - 1] = _duplicate_ngram(n, words, hashes, ends, runs, table, mark + n - 1, mask)
    return total
