"""Compiled loops of near-duplicate detection: signatures, band keys, sets of shingles."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from llvmlite import ir
from numba import njit, types

from stages.kernels.bits import array_place, intrinsic, lean_njit, spread
from stages.kernels.words import bound_words, mix64, roll_shingles, scan_words

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ROOM = 1 << 16  # words; there are never more than bytes, so only longer texts need counting first
_GROUP = 1 << 15  # values of the rows that are permuted together
_MERSENNE = np.uint64((1 << 61) - 1)
_TILE = 16  # 32-bit numbers: the widest vectors there are; narrower ones take as many steps more


@intrinsic
def _lower_tile(typingctx, lowest, factors, shifts, p, values, i):  # noqa: ARG001 - numba's protocol
    """lowest[q] = min(lowest[q], factors[q] * x + shifts[q]) for x of values[i : i + 16] and q of p to p + 15."""

    def generate(context, builder, signature, args):
        number, many = ir.IntType(32), ir.VectorType(ir.IntType(32), _TILE)
        places = [array_place(context, builder, signature.args[k], args[k], args[3], many) for k in range(3)]
        least, factor, shift = (builder.load(place, align=4) for place in places)
        first = array_place(context, builder, signature.args[4], args[4], args[5], number)
        for k in range(_TILE):
            x = builder.load(builder.gep(first, [ir.Constant(ir.IntType(64), k)]), align=4)
            y = builder.add(builder.mul(factor, spread(builder, x, _TILE)), shift)
            least = builder.select(builder.icmp_unsigned("<", y, least), y, least)
        builder.store(least, places[0], align=4)
        return context.get_dummy_value()

    return types.void(lowest, factors, shifts, types.int64, values, types.int64), generate


@lean_njit()
def _lower(lowest, values, start, count, factors, shifts):
    """lowest[p] = min(lowest[p], factors[p] * x + shifts[p]) for `count` values; all sizes are whole tiles."""
    for p in range(0, factors.size, _TILE):
        for i in range(start, start + count, _TILE):
            _lower_tile(lowest, factors, shifts, p, values, i)


@lean_njit()
def _lower_wide(lowest, values, start, count, factors, shifts):
    """The same modulo 2^64, then modulo 2^61 - 1, then 32 bits of that."""
    for i in range(start, start + count):
        for p in range(factors.size):
            y = factors[p] * np.uint64(values[i]) + shifts[p]
            y = (y & _MERSENNE) + (y >> np.uint64(61))
            y = y - _MERSENNE if y >= _MERSENNE else y
            lowest[p] = min(lowest[p], np.uint32(y & np.uint64(0xFFFFFFFF)))


@lean_njit()
def _take_halves(shingles, count, finish, values, at):
    """The upper half of each hash, through MurmurHash3's finalizer if asked for, into values[at:]; whole tiles."""
    for i in range(count):
        x = np.uint32(shingles[i] >> np.uint64(32))
        if finish:
            x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
            x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
            x ^= x >> np.uint32(16)
        values[at + i] = x
    for i in range(count, _whole_tiles(count)):
        values[at + i] = values[at]  # a value twice changes no minimum


@njit(inline="always")
def _whole_tiles(count):
    return (count + _TILE - 1) // _TILE * _TILE


@njit(cache=True, nogil=True)
def _padded(numbers):
    padded = np.zeros(_whole_tiles(numbers.size), np.uint32)
    padded[: numbers.size] = numbers
    return padded


@njit(cache=True, nogil=True)
def _sign_group(signatures, counts, first, last, values, factors, shifts, wide_factors, wide_shifts):
    """The signatures of rows first to last - 1, whose values stand one after another."""
    size, at = signatures.shape[1], 0
    lowest = np.empty(_whole_tiles(size), np.uint32)
    for row in range(first, last):
        lowest[:] = np.uint32(0xFFFFFFFF)
        count = _whole_tiles(counts[row])
        _lower(lowest, values, at, count, factors, shifts)
        _lower_wide(lowest, values, at, counts[row], wide_factors, wide_shifts)
        signatures[row] = lowest[:size]
        at += count


@njit(cache=True, nogil=True)
def sign_rows(
    data, offsets, kinds, folded, quick, gaps, n, factors, shifts, wide_factors, wide_shifts, finish
):
    """MinHash signatures of a text column: text_buffers(), an Alphabet, words to a shingle, permutations().

    A permutation is x -> factor * x + shift mod 2^32 (odd factor) over the upper half of a shingle's hash. If there
    are wide factors, it is their product and sum modulo 2^64, then modulo 2^61 - 1, then 32 bits of that. `finish`
    sends that half through MurmurHash3's finalizer first.

    Many rows are read, then permuted: wide multiplications slow some processors' clock for most of a millisecond,
    and reading would pay for it.

    Returns:
        signatures uint32, shape (rows, permutations); shingles of each row int64, repeats included.
    """
    rows = offsets.size - 1
    signatures = np.empty((rows, max(factors.size, wide_factors.size)), np.uint32)
    counts, nowhere = np.zeros(rows, np.int64), np.empty(0, np.int64)
    words, shingles = np.empty(_ROOM, np.uint64), np.empty(_ROOM, np.uint64)
    values = np.empty(min(_GROUP, offsets[rows] - offsets[0] + rows * _TILE), np.uint32)
    factors, shifts, first, at = _padded(factors), _padded(shifts), 0, 0
    for row in range(rows):
        start, end = offsets[row], offsets[row + 1]
        if end - start > words.size:
            bound = bound_words(data, start, end, kinds, gaps)
            if bound > words.size:
                words, shingles = np.empty(bound, np.uint64), np.empty(bound, np.uint64)
        found = scan_words(data, start, end, kinds, folded, quick, gaps, words, nowhere, nowhere)
        counts[row] = roll_shingles(words, found, n, shingles)
        count = _whole_tiles(counts[row])
        if at + count > values.size:
            _sign_group(signatures, counts, first, row, values, factors, shifts, wide_factors, wide_shifts)
            first, at = row, 0
            if count > values.size:
                values = np.empty(count, np.uint32)
        _take_halves(shingles, counts[row], finish, values, at)
        at += count
    _sign_group(signatures, counts, first, rows, values, factors, shifts, wide_factors, wide_shifts)
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
