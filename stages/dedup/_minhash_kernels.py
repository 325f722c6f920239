"""Compiled loops of near-duplicate detection: signatures, band keys, sets of shingles."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from stages.kernels.words import bound_words, mix64, roll_shingles, scan_words

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ROOM = 1 << 16  # words; there are never more than bytes, so only longer texts need counting first
_MERSENNE = np.uint64((1 << 61) - 1)


@njit(cache=True, nogil=True)
def _lower(lowest, values, factors, shifts):
    """lowest[p] = min(lowest[p], factors[p] * x + shifts[p]) for every x; eight at a time, to load and store less."""
    whole = values.size - values.size % 8
    for i in range(0, whole, 8):
        a, b, c, d = values[i], values[i + 1], values[i + 2], values[i + 3]
        e, f, g, h = values[i + 4], values[i + 5], values[i + 6], values[i + 7]
        for p in range(factors.size):
            factor, shift = factors[p], shifts[p]
            one = min(np.uint32(factor * a + shift), np.uint32(factor * b + shift))
            two = min(np.uint32(factor * c + shift), np.uint32(factor * d + shift))
            three = min(np.uint32(factor * e + shift), np.uint32(factor * f + shift))
            four = min(np.uint32(factor * g + shift), np.uint32(factor * h + shift))
            lowest[p] = min(lowest[p], one, two, three, four)
    for i in range(whole, values.size):
        for p in range(factors.size):
            lowest[p] = min(lowest[p], np.uint32(factors[p] * values[i] + shifts[p]))


@njit(cache=True, nogil=True)
def sign_rows(
    data, offsets, kinds, folded, quick, gaps, n, factors, shifts, wide_factors, wide_shifts, finish
):
    """MinHash signatures of a text column: text_buffers(), an Alphabet, words to a shingle, permutations().

    A permutation is x -> factor * x + shift mod 2^32 (odd factor) over the upper half of a shingle's hash. If there
    are wide factors, it is their product and sum modulo 2^64, then modulo 2^61 - 1, then 32 bits of that. `finish`
    sends that half through MurmurHash3's finalizer first.

    Returns:
        signatures uint32, shape (rows, permutations); shingles of each row int64, repeats included.
    """
    rows = offsets.size - 1
    signatures = np.empty((rows, max(factors.size, wide_factors.size)), np.uint32)
    counts = np.zeros(rows, np.int64)
    words, shingles = np.empty(_ROOM, np.uint64), np.empty(_ROOM, np.uint64)
    nowhere = np.empty(0, np.int64)
    halves = np.empty(_ROOM, np.uint32)
    lowest = np.empty(max(factors.size, wide_factors.size), np.uint32)
    for row in range(rows):
        if offsets[row + 1] - offsets[row] > words.size:
            bound = bound_words(data, offsets[row], offsets[row + 1], kinds, gaps)
            if bound > words.size:
                words, shingles = np.empty(bound, np.uint64), np.empty(bound, np.uint64)
        found = scan_words(
            data, offsets[row], offsets[row + 1], kinds, folded, quick, gaps, words, nowhere, nowhere
        )
        counts[row] = roll_shingles(words, found, n, shingles)
        lowest[:] = np.uint32(0xFFFFFFFF)
        values = halves[: counts[row]] if counts[row] <= halves.size else np.empty(counts[row], np.uint32)
        for i in range(counts[row]):
            x = np.uint32(shingles[i] >> np.uint64(32))
            if finish:
                x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
                x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
                x ^= x >> np.uint32(16)
            values[i] = x
        _lower(lowest, values, factors, shifts)
        for x in values:
            for p in range(wide_factors.size):
                y = wide_factors[p] * np.uint64(x) + wide_shifts[p]
                y = (y & _MERSENNE) + (y >> np.uint64(61))
                y = y - _MERSENNE if y >= _MERSENNE else y
                lowest[p] = min(lowest[p], np.uint32(y & np.uint64(0xFFFFFFFF)))
        signatures[row] = lowest
    return signatures, counts


@njit(cache=True, nogil=True)
def fold_bands(signatures, bands):
    """One 64-bit key a band of each signature: equal rows of a band have equal keys, bands never share one.

    Returns:
        uint64, shape (rows, bands).
    """
    rows, width = signatures.shape
    out = np.empty((rows, bands), np.uint64)
    per_band = width // bands
    for row in range(rows):
        for band in range(bands):
            h = np.uint64(band + 1) * _GOLDEN
            for i in range(band * per_band, (band + 1) * per_band):
                h = mix64(h ^ np.uint64(signatures[row, i])) * _GOLDEN
            out[row, band] = mix64(h)
    return out


@njit(cache=True, nogil=True)
def sort_uniform(values, count, places, out):
    """The first `count` uniform hashes in ascending order, each once, into `out`; returns how many.

    One counting pass by leading bits leaves each hash a step or two from its place, so this is linear.
    `places` is zeroed room for at least 2 * count + 2 numbers, and is left zeroed.
    """
    bits = 1
    while (1 << bits) < count:
        bits += 1
    shift = np.uint64(64 - bits)
    for i in range(count):
        places[np.int64(values[i] >> shift) + 1] += 1
    for i in range(1 << bits):
        places[i + 1] += places[i]
    for i in range(count):
        bucket = np.int64(values[i] >> shift)
        out[places[bucket]] = values[i]
        places[bucket] += 1
    places[: (1 << bits) + 1] = 0
    kept = 0
    for i in range(count):
        value = out[i]
        k = kept
        while k > 0 and out[k - 1] > value:
            k -= 1
        if k > 0 and out[k - 1] == value:
            continue
        for m in range(kept, k, -1):
            out[m] = out[m - 1]
        out[k] = value
        kept += 1
    return kept


@njit(cache=True, nogil=True)
def shingle_rows(data, offsets, kinds, folded, quick, gaps, n):
    """The distinct shingle hashes of each row, ascending: values and offsets. Arguments as of sign_rows()."""
    rows = offsets.size - 1
    words, shingles, ordered = (
        np.empty(_ROOM, np.uint64),
        np.empty(_ROOM, np.uint64),
        np.empty(_ROOM, np.uint64),
    )
    places = np.zeros(2 * _ROOM + 2, np.int64)
    nowhere = np.empty(0, np.int64)
    found = np.zeros(rows + 1, np.int64)
    values = np.empty(max(1024, (offsets[rows] - offsets[0]) // 4), np.uint64)
    at = 0
    for row in range(rows):
        if offsets[row + 1] - offsets[row] > words.size:
            bound = bound_words(data, offsets[row], offsets[row + 1], kinds, gaps)
            if bound > words.size:
                words, shingles, ordered = (
                    np.empty(bound, np.uint64),
                    np.empty(bound, np.uint64),
                    np.empty(bound, np.uint64),
                )
                places = np.zeros(2 * bound + 2, np.int64)
        count = scan_words(
            data, offsets[row], offsets[row + 1], kinds, folded, quick, gaps, words, nowhere, nowhere
        )
        count = sort_uniform(shingles, roll_shingles(words, count, n, shingles), places, ordered)
        if at + count > values.size:
            wider = np.empty(max(2 * values.size, at + count), np.uint64)
            wider[:at] = values[:at]
            values = wider
        values[at : at + count] = ordered[:count]
        at += count
        found[row + 1] = at
    return values[:at].copy(), found
