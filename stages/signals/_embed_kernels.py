"""Compiled halves of the embeddings: hashed features of words, rows of fastText models, lengths of 1."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from stages.kernels.fasttext_kernels import FNV_BASIS, fill_slot, fnv_step, mean_of_rows, slot_of
from stages.kernels.words import BASE, mix64

# What a word's place and sign come from is not its hash itself, which other stages choose documents by.
_FEATURE = np.uint64(0xA0761D6478BD642F)


@njit(inline="always")
def _count(feature, mask, keys, counts, order, found):
    """Count a feature in an open-addressing table where a count of 0 is a free slot. Returns how many differ."""
    slot = np.int64(feature >> np.uint64(20)) & mask
    while counts[slot] and keys[slot] != feature:
        slot = (slot + 1) & mask
    keys[slot] = feature
    order[found] = (
        slot  # counts only if the slot was free: a branch here would be guessed wrong half the time
    )
    found += counts[slot] == 0
    counts[slot] += 1
    return found


@njit(cache=True, nogil=True)
def hash_features(hashes, offsets, weights, dim):
    """Signed sums of the words and pairs of neighbouring words of each row, in float64, each distinct one once.

    Words of a row are hashes[offsets[i]:offsets[i + 1]]; what comes n times weighs weights[n], or the last of them.
    Terms are added in order of first occurrence, so a row of the result depends on its words alone.
    """
    rows = offsets.size - 1
    most = np.int64(1)
    for row in range(rows):
        most = max(most, offsets[row + 1] - offsets[row])
    size = 64
    while size < 4 * most:
        size *= 2
    keys, counts = np.empty(size, np.uint64), np.zeros(size, np.int32)
    order = np.empty(2 * most + 1, np.int32)
    out = np.zeros((rows, dim), np.float64)
    for row in range(rows):
        start, end = offsets[row], offsets[row + 1]
        slots = 64
        while slots < 4 * (end - start):
            slots *= 2
        mask, found = np.int64(slots - 1), 0
        for i in range(start, end):
            found = _count(mix64(hashes[i] ^ _FEATURE), mask, keys, counts, order, found)
            if i > start:
                pair = mix64(hashes[i - 1] * BASE + hashes[i])
                found = _count(pair, mask, keys, counts, order, found)
        total = out[row]
        for k in range(found):
            slot = order[k]
            feature = keys[slot]
            weight = weights[min(np.int64(counts[slot]), weights.size - 1)]
            counts[slot] = 0
            place = ((feature >> np.uint64(33)) * np.uint64(dim)) >> np.uint64(31)
            total[np.int64(place)] += weight * (1 - 2 * np.int64(feature & np.uint64(1)))
    return out


@njit(cache=True, nogil=True)
def embed_spans(data, starts, ends, m, cache, space):
    """The mean row of a fastText model for each stretch of bytes, float32 (rows, dim); zeros if it has no word."""
    out = np.zeros((starts.size, m.output.shape[1]), np.float32)
    chains = np.zeros(m.word_ngrams if m.word_ngrams > 1 else 0, np.uint64)
    for row in range(starts.size):
        if not mean_of_rows(data, starts[row], ends[row], m, cache, space, out[row], chains):
            out[row] = 0
    return out


@njit(inline="always")
def _holds(cache, slot, h, data, start, end):
    """Does a slot of a word cache hold this word?"""
    if cache.hashes[slot] != h or cache.lengths[slot] != end - start:
        return False
    for k in range(end - start):  # noqa: SIM110 - all() of a generator does not compile
        if cache.keys[slot, k] != data[start + k]:
            return False
    return True


@njit(cache=True, nogil=True)
def embed_words(data, starts, ends, m, cache, space):
    """The sum of the word vectors of each stretch of bytes, each at length 1; float32 (rows, dim)."""
    out = np.zeros((starts.size, m.output.shape[1]), np.float32)
    mask = len(cache.hashes) - 1
    for row in range(starts.size):
        i, end, total = starts[row], ends[row], out[row]
        while i < end:
            if space[data[i]]:
                i += 1
                continue
            h, first = np.uint32(FNV_BASIS), i
            while i < end and not space[data[i]]:
                h = fnv_step(h, data[i])
                i += 1
            slot = slot_of(h, mask)
            if not _holds(cache, slot, h, data, first, i):
                fill_slot(data, first, i, h, slot, m, cache)
            if cache.counts[slot] <= 0:
                continue
            sums, square = cache.sums[slot], 0.0
            for k in range(total.size):
                square += np.float64(sums[k]) * np.float64(sums[k])
            if square > 0:
                scale = np.float32(1.0 / np.sqrt(square))
                for k in range(total.size):
                    total[k] += scale * sums[k]
    return out


@njit(cache=True, nogil=True)
def unit_rows(values):
    """Rows at length 1, float32, and which rows have a direction: not all zero, every value finite."""
    rows, dim = values.shape
    out, known = np.zeros((rows, dim), np.float32), np.zeros(rows, np.bool_)
    for i in range(rows):
        total, finite = 0.0, True
        for k in range(dim):
            value = np.float64(values[i, k])
            finite = finite and np.isfinite(value)
            total += value * value
        if not finite or total == 0:
            continue
        norm = np.sqrt(total)
        for k in range(dim):
            out[i, k] = np.float64(values[i, k]) / norm
        known[i] = True
    return out, known
