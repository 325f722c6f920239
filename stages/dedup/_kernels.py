"""Compiled loops of near-duplicate detection: signatures, band keys, components, verified survivors."""

import numpy as np
from numba import njit

from stages.kernels.words import bound_words, mix64, roll_shingles, scan_words

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ROOM = 1 << 16  # words; there are never more than bytes, so only longer texts need counting first
_FEW = 24  # distinct sets in a group up to which comparing all pairs is cheaper than an index
_CLOSE = 1e-9  # bounds are computed this much too wide, so that rounding never hides a pair


@njit(cache=True, nogil=True)
def sign_rows(data, offsets, kinds, folded, quick, gaps, n, factors, shifts):
    """MinHash signatures of a text column: text_buffers(), an Alphabet, words to a shingle, permutations().

    A permutation is x -> factor * x + shift mod 2^32 (odd factor) over the upper half of a shingle's hash.

    Returns:
        signatures uint32, shape (rows, permutations); shingles of each row int64, repeats included.
    """
    rows = offsets.size - 1
    signatures = np.empty((rows, factors.size), np.uint32)
    counts = np.zeros(rows, np.int64)
    words, shingles = np.empty(_ROOM, np.uint64), np.empty(_ROOM, np.uint64)
    nowhere = np.empty(0, np.int64)
    lowest = np.empty(factors.size, np.uint32)
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
        for i in range(counts[row]):
            x = np.uint32(shingles[i] >> np.uint64(32))
            for p in range(factors.size):
                lowest[p] = min(lowest[p], np.uint32(factors[p] * x + shifts[p]))
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
def distinct_sorted(hashes, offsets):
    """Each row's hashes in ascending order, each once. Returns hashes and offsets."""
    rows = offsets.size - 1
    out = np.empty(hashes.size, np.uint64)
    found = np.zeros(rows + 1, np.int64)
    at = 0
    for row in range(rows):
        part = np.sort(hashes[offsets[row] : offsets[row + 1]])
        for i in range(part.size):
            if i == 0 or part[i] != part[i - 1]:
                out[at] = part[i]
                at += 1
        found[row + 1] = at
    return out[:at].copy(), found


@njit(cache=True, nogil=True)
def find_roots(nodes, left, right):
    """The smallest member of each node's component, for edges between nodes numbered from 0."""
    parent = np.arange(nodes)
    for i in range(left.size):
        a, b = left[i], right[i]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a < b:
            parent[b] = a
        else:
            parent[a] = b
    for i in range(nodes):
        parent[i] = parent[parent[i]]  # parents are smaller, so they are flat by now
    return parent


@njit(cache=True, nogil=True)
def jaccard(a, b, threshold):
    """Shared over all members of two ascending sets; -1 as soon as it must be below the threshold."""
    shorter, longer = min(a.size, b.size), max(a.size, b.size)
    if shorter == 0 or shorter < threshold * longer - _CLOSE:
        return -1.0
    needed = threshold / (1 + threshold) * (a.size + b.size) - _CLOSE
    i = j = shared = 0
    while i < a.size and j < b.size:
        if a[i] == b[j]:
            shared += 1
            i += 1
            j += 1
            continue
        if a[i] < b[j]:
            i += 1
        else:
            j += 1
        if shared + min(a.size - i, b.size - j) < needed:
            return -1.0
    return shared / (a.size + b.size - shared)


@njit(cache=True, nogil=True)
def _same(a, b):
    if a.size != b.size:
        return False
    for i in range(a.size):  # noqa: SIM110 - numba knows no all()
        if a[i] != b[i]:
            return False
    return True


@njit(cache=True, nogil=True)
def _find_twins(low, high, sets, offsets, twin):
    """twin[i]: the first row of the group with the very set of row i, if that is not i itself, else -1."""
    prints = np.empty(high - low, np.uint64)
    for i in range(low, high):
        h = np.uint64(offsets[i + 1] - offsets[i])
        for k in range(offsets[i], offsets[i + 1]):
            h = mix64(h ^ sets[k]) * _GOLDEN
        prints[i - low] = h
    order = np.argsort(prints, kind="mergesort")  # stable: the first of equals stays first
    first = 0
    distinct = high - low
    for k in range(1, order.size):
        if prints[order[k]] != prints[order[first]]:
            first = k
            continue
        i, j = low + order[k], low + order[first]
        if _same(sets[offsets[i] : offsets[i + 1]], sets[offsets[j] : offsets[j + 1]]):
            twin[i] = j
            distinct -= 1
    return distinct


@njit(cache=True, nogil=True)
def _rank_sets(low, high, sets, offsets, twin):
    """The group's sets as ranks, rarest member first, each set ascending; twins are left empty.

    Returns ranks, their offsets, and how many different members there are.
    """
    bounds = np.zeros(high - low + 1, np.int64)
    for i in range(low, high):
        bounds[i - low + 1] = bounds[i - low] + (0 if twin[i] >= 0 else offsets[i + 1] - offsets[i])
    flat = np.empty(bounds[-1], np.uint64)
    for i in range(low, high):
        if twin[i] < 0:
            flat[bounds[i - low] : bounds[i - low + 1]] = sets[offsets[i] : offsets[i + 1]]
    order = np.argsort(flat, kind="mergesort")
    member = np.empty(flat.size, np.int64)  # number of each entry's value among the different values
    counts = np.zeros(flat.size, np.int64)
    number = -1
    for k in range(order.size):
        if k == 0 or flat[order[k]] != flat[order[k - 1]]:
            number += 1
        member[order[k]] = number
        counts[number] += 1
    rank = np.empty(number + 1, np.int64)
    rank[np.argsort(counts[: number + 1], kind="mergesort")] = np.arange(number + 1)
    ranks = rank[member]
    for i in range(high - low):
        ranks[bounds[i] : bounds[i + 1]] = np.sort(ranks[bounds[i] : bounds[i + 1]])
    return ranks, bounds, number + 1


@njit(cache=True, nogil=True)
def _judge_few(low, high, sets, offsets, threshold, twin, survivor, similarity):
    """Compare each distinct set with those of all survivors before it."""
    for i in range(low, high):
        if twin[i] >= 0:
            continue
        for j in range(low, i):
            if twin[j] >= 0 or survivor[j] >= 0:
                continue
            found = jaccard(sets[offsets[i] : offsets[i + 1]], sets[offsets[j] : offsets[j + 1]], threshold)
            if found >= threshold:
                survivor[i], similarity[i] = j, found
                break


@njit(cache=True, nogil=True)
def _judge_many(low, high, sets, offsets, threshold, twin, survivor, similarity):
    """The same, looking only at survivors that share one of the rarest members of both sets.

    Two sets of Jaccard t share at least t * size of either, so they share one of the first
    size - ceil(t * size) + 1 members of each, in any common order (Bayardo, Ma, Srikant, WWW 2007).
    """
    ranks, bounds, members = _rank_sets(low, high, sets, offsets, twin)
    heads = np.full(members, -1, np.int64)
    room = 0
    for i in range(high - low):
        size = bounds[i + 1] - bounds[i]
        room += size - np.int64(np.ceil(threshold * size - _CLOSE)) + 1
    after, owner = np.empty(room, np.int64), np.empty(room, np.int64)
    seen = np.full(high - low, -1, np.int64)
    candidates = np.empty(high - low, np.int64)
    used = 0
    for i in range(low, high):
        at = i - low
        size = bounds[at + 1] - bounds[at]
        if twin[i] >= 0 or size == 0:
            continue
        prefix = size - np.int64(np.ceil(threshold * size - _CLOSE)) + 1
        found = 0
        for k in range(bounds[at], bounds[at] + prefix):
            node = heads[ranks[k]]
            while node >= 0:
                j = owner[node]
                if seen[j] != at:
                    seen[j] = at
                    candidates[found] = j
                    found += 1
                node = after[node]
        for j in np.sort(candidates[:found]):
            a, b = ranks[bounds[at] : bounds[at + 1]], ranks[bounds[j] : bounds[j + 1]]
            alike = jaccard(a, b, threshold)
            if alike >= threshold:
                survivor[i], similarity[i] = low + j, alike
                break
        if survivor[i] < 0:
            for k in range(bounds[at], bounds[at] + prefix):
                after[used], owner[used] = heads[ranks[k]], at
                heads[ranks[k]] = used
                used += 1


@njit(cache=True, nogil=True)
def judge_groups(groups, sets, offsets, threshold):
    """For each row, the first surviving row before it in its group that is verified similar.

    A row without one survives. Rows with the very same set are compared once, so any number of copies is
    cheap; a big group of different sets goes through an index of rare members. `groups` holds where each
    group of rows begins, and the number of rows; `sets` each row's distinct members, ascending, from
    offsets[i] to offsets[i + 1].

    Returns:
        survivor int64 (-1: the row survives), similarity float64.
    """
    rows = offsets.size - 1
    survivor, similarity = np.full(rows, -1, np.int64), np.zeros(rows, np.float64)
    twin = np.full(rows, -1, np.int64)
    for g in range(groups.size - 1):
        low, high = groups[g], groups[g + 1]
        if high - low < 2:
            continue
        if _find_twins(low, high, sets, offsets, twin) <= _FEW:
            _judge_few(low, high, sets, offsets, threshold, twin, survivor, similarity)
        else:
            _judge_many(low, high, sets, offsets, threshold, twin, survivor, similarity)
        for i in range(low, high):
            if twin[i] >= 0:
                j = twin[i]
                if survivor[j] >= 0:
                    survivor[i], similarity[i] = survivor[j], similarity[j]
                else:
                    survivor[i], similarity[i] = j, 1.0
    return survivor, similarity
