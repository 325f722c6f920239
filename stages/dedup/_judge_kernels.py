"""Compiled loops of verification: exact similarity of sets, and who falls to whom within a group."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from stages.kernels.words import mix64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FEW = 24  # distinct sets in a group up to which comparing all pairs is cheaper than an index
_CLOSE = 1e-9  # bounds are computed this much too wide, so that rounding never hides a pair


@njit(cache=True, nogil=True)
def similarity_of(a, b, threshold, containment):
    """Of two ascending sets: shared over all members (Jaccard), or over those of `a` (its containment in `b`).

    -1 as soon as it must be below the threshold; an empty set is like nothing.
    """
    if a.size == 0 or b.size == 0:
        return -1.0
    if containment:
        needed = threshold * a.size - _CLOSE
    else:
        needed = threshold / (1 + threshold) * (a.size + b.size) - _CLOSE
    i = j = shared = 0
    while i < a.size and j < b.size:
        if shared + min(a.size - i, b.size - j) < needed:
            return -1.0
        if a[i] == b[j]:
            shared += 1
            i += 1
            j += 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    found = shared / a.size if containment else shared / (a.size + b.size - shared)
    return found if found >= threshold else -1.0


@njit(cache=True, nogil=True)
def _prefix(size, threshold):
    """How many members, in any common order, must hold one of another set that is similar enough."""
    return size - np.int64(np.ceil(threshold * size - _CLOSE)) + 1


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
def _judge_few(low, high, sets, offsets, threshold, containment, twin, survivor, similarity):
    """Compare each distinct set with those of all survivors before it."""
    for i in range(low, high):
        if twin[i] >= 0:
            continue
        mine = sets[offsets[i] : offsets[i + 1]]
        for j in range(low, i):
            if twin[j] >= 0 or survivor[j] >= 0:
                continue
            found = similarity_of(mine, sets[offsets[j] : offsets[j + 1]], threshold, containment)
            if found >= 0:
                survivor[i], similarity[i] = j, found
                break


@njit(cache=True, nogil=True)
def _count_members(low, high, sets, offsets, twin):
    """About how many of the group's sets have a member, by its last bits; the size is a power of two."""
    members = 0
    for i in range(low, high):
        members += 0 if twin[i] >= 0 else offsets[i + 1] - offsets[i]
    size = 1 << 10
    while size < members and size < 1 << 22:
        size *= 2
    counts = np.zeros(size, np.uint16)
    for i in range(low, high):
        if twin[i] < 0:
            for k in range(offsets[i], offsets[i + 1]):
                at = np.int64(sets[k] & np.uint64(size - 1))
                counts[at] += counts[at] < 65535
    return counts


@njit(cache=True, nogil=True)
def _rarest_first(members, counts):
    """Members as numbers whose order is rarest first; equal members of other sets are the same number."""
    out = np.empty(members.size, np.uint64)
    for k in range(members.size):
        rarity = np.uint64(counts[np.int64(members[k] & np.uint64(counts.size - 1))])
        out[k] = (rarity << np.uint64(48)) | (members[k] >> np.uint64(16))
    out.sort()
    return out


@njit(cache=True, nogil=True)
def _slot(keys, heads, key):
    """Where a key stands in the open table, or may be put; a head of -1 is an empty slot."""
    at = np.int64(mix64(key) & np.uint64(keys.size - 1))
    while heads[at] >= 0 and keys[at] != key:
        at = (at + 1) & (keys.size - 1)
    return at


@njit(cache=True, nogil=True)
def _judge_many(low, high, sets, offsets, threshold, containment, twin, survivor, similarity):
    """The same, looking only at survivors that share one of the rarest members of both sets.

    Two sets of Jaccard t share at least t * size of either, so they share one of the first
    size - ceil(t * size) + 1 members of each, in any common order (Bayardo, Ma, Srikant, WWW 2007). For
    containment that holds of the contained set alone, so survivors are found by all their members.
    """
    counts = _count_members(low, high, sets, offsets, twin)
    room = 1
    for i in range(low, high):
        size = offsets[i + 1] - offsets[i]
        if twin[i] < 0 and size:
            room += size if containment else _prefix(size, threshold)
    slots = 1 << 4
    while slots < 2 * room:
        slots *= 2
    keys, heads = np.empty(slots, np.uint64), np.full(slots, -1, np.int64)
    after, owner = np.empty(room, np.int64), np.empty(room, np.int64)
    seen = np.full(high - low, -1, np.int64)
    candidates = np.empty(high - low, np.int64)
    used = 0
    for i in range(low, high):
        mine = sets[offsets[i] : offsets[i + 1]]
        if twin[i] >= 0 or mine.size == 0:
            continue
        ranked = _rarest_first(mine, counts)
        found = 0
        for key in ranked[: _prefix(mine.size, threshold)]:
            node = heads[_slot(keys, heads, key)]
            while node >= 0:
                j = owner[node]
                if seen[j - low] != i:
                    seen[j - low] = i
                    candidates[found] = j
                    found += 1
                node = after[node]
        for j in np.sort(candidates[:found]):
            alike = similarity_of(mine, sets[offsets[j] : offsets[j + 1]], threshold, containment)
            if alike >= 0:
                survivor[i], similarity[i] = j, alike
                break
        if survivor[i] < 0:
            for key in ranked if containment else ranked[: _prefix(mine.size, threshold)]:
                at = _slot(keys, heads, key)
                keys[at] = key
                after[used], owner[used] = heads[at], i
                heads[at] = used
                used += 1


@njit(cache=True, nogil=True)
def judge_groups(groups, sets, offsets, threshold, containment):
    """For each row, the first surviving row before it in its group that is verified similar.

    A row without one survives. Rows with the very same set are compared once, so any number of copies is
    cheap; a big group of different sets goes through an index of rare members. `groups` holds where each
    group of rows begins, and the number of rows; `sets` each row's distinct members, ascending, from
    offsets[i] to offsets[i + 1]. `containment`: of the row in the survivor, instead of Jaccard.

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
            _judge_few(low, high, sets, offsets, threshold, containment, twin, survivor, similarity)
        else:
            _judge_many(low, high, sets, offsets, threshold, containment, twin, survivor, similarity)
        for i in range(low, high):
            if twin[i] >= 0:
                j = twin[i]
                if survivor[j] >= 0:
                    survivor[i], similarity[i] = survivor[j], similarity[j]
                else:
                    survivor[i], similarity[i] = j, 1.0
    return survivor, similarity


@njit(cache=True, nogil=True)
def best_matches(starts, docs, sets, offsets, others, ends, threshold, containment):
    """For each row, the most similar of its candidates, the first of equals.

    Row i has the candidates docs[starts[i]:starts[i + 1]]; candidate d has the set others[ends[d - 1]:ends[d]].

    Returns:
        candidate int64 (-1: none is similar enough), similarity float64.
    """
    rows = starts.size - 1
    matched, similarity = np.full(rows, -1, np.int64), np.zeros(rows, np.float64)
    for row in range(rows):
        mine = sets[offsets[row] : offsets[row + 1]]
        for k in range(starts[row], starts[row + 1]):
            d = docs[k]
            low = np.int64(ends[d - 1]) if d > 0 else np.int64(0)
            theirs = others[low : np.int64(ends[d])]
            found = similarity_of(mine, theirs, max(threshold, similarity[row]), containment)
            if found > similarity[row]:
                matched[row], similarity[row] = d, found
    return matched, similarity
