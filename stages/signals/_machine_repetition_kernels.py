"""How much a document repeats itself: words in windows, n-grams near each other, gaps, compression; compiled."""

# mypy: disable-error-code="assignment, no-untyped-def, no-untyped-call"
# numba unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.kernels.words import mix64

WINDOW_WORDS = 50  # of the moving type/token ratio
NEAR_WORDS = 200  # an n-gram is repeated if it stood within this many words before
MIN_RECURRENCES = 3  # a word must occur so often for its gaps to have a spread
LZ_BITS, LZ_REACH, LZ_MIN, LZ_COST = 12, 2048, 4, 3  # the match finder of a byte-oriented LZ77
_NGRAM = np.uint64(0xD6E8FEB86659FD93)


@njit(inline="always")
def _slot(keys, marks, mark, mask, h):
    slot = np.int64(h & np.uint64(mask))
    while marks[slot] == mark and keys[slot] != h:
        slot = (slot + 1) & mask
    return slot


@njit(cache=True, nogil=True)
def repeat(words, hashes, keys, marks, places, sums, mark, mask, out):
    """Distinct words in windows, n-grams seen shortly before; returns the mean burstiness of words' gaps.

    Burstiness (Goh and Barabasi 2008) of a word's gaps is (s - m) / (s + m): -1 regular, 0 random, 1 in bursts.
    """
    window = min(WINDOW_WORDS, words)
    windows = words - window + 1
    distinct = 0
    repeated = np.zeros(5, np.int64)
    power = np.uint64(0)
    for n in range(1, 5):
        power = np.uint64(1)
        for _ in range(n):
            power *= _NGRAM
        h = np.uint64(0)
        for w in range(words):
            h = h * _NGRAM + hashes[w]
            if w >= n:
                h -= hashes[w - n] * power
            if w < n - 1:
                continue
            key = mix64(h + np.uint64(n))
            slot = _slot(keys, marks, mark, mask, key)
            last = np.int64(-1)
            if marks[slot] == mark:
                last = places[slot]
            else:
                keys[slot], marks[slot] = key, mark
                if n == 1:
                    sums[slot, 0], sums[slot, 1], sums[slot, 2] = 0, 0, 0
            places[slot] = w
            if last >= 0 and w - last <= NEAR_WORDS:
                repeated[n] += 1
            if n == 1:
                low = max(last + 1, w - window + 1)
                distinct += max(min(w, words - window) - low + 1, 0)
                if last >= 0:
                    sums[slot, 0] += 1
                    sums[slot, 1] += w - last
                    sums[slot, 2] += (w - last) * (w - last)
        if n == 1:
            burstiness = _burstiness(words, hashes, keys, marks, sums, mark, mask)
    out[0], out[1] = windows, distinct
    for n in range(2, 5):
        out[n] = repeated[n]
    return burstiness


@njit(cache=True, nogil=True)
def _burstiness(words, hashes, keys, marks, sums, mark, mask):
    total, types = 0.0, 0
    for w in range(words):
        slot = _slot(keys, marks, mark, mask, mix64(hashes[w] + np.uint64(1)))
        n = sums[slot, 0]
        if n < MIN_RECURRENCES:
            continue
        sums[slot, 0] = 0  # each word once
        mean = sums[slot, 1] / n
        spread = np.sqrt(max(sums[slot, 2] / n - mean * mean, 0.0))
        total += (spread - mean) / (spread + mean)
        types += 1
    return total / types if types else np.nan


@njit(cache=True, nogil=True)
def squeeze(data, start, end, last_seen):
    """About how many bytes a fast LZ77 would make of data[start:end]: literals, and LZ_COST for each match."""
    last_seen[:] = -1
    size = 0
    i = start
    while i < end:
        if i + LZ_MIN > end:
            size += end - i
            break
        four = (
            np.uint32(data[i])
            | (np.uint32(data[i + 1]) << np.uint32(8))
            | (np.uint32(data[i + 2]) << np.uint32(16))
            | (np.uint32(data[i + 3]) << np.uint32(24))
        )
        slot = (np.uint64(four) * np.uint64(2654435761) & np.uint64(0xFFFFFFFF)) >> np.uint64(32 - LZ_BITS)
        before = start + np.int64(last_seen[slot])
        last_seen[slot] = i - start
        run = 0
        if before >= start and i - before <= LZ_REACH:
            while i + run < end and data[before + run] == data[i + run]:
                run += 1
        if run >= LZ_MIN:
            size += LZ_COST
            i += run
        else:
            size += 1
            i += 1
    return size
