"""Compiled loops of repeated spans: which windows fall, and which bytes the falling ones cover."""
# mypy: disable-error-code="assignment, no-untyped-def"

import numpy as np
from numba import njit

from stages.dedup._substring_kernels import bound_tokens, first_places, grown, read_tokens, table_size
from stages.kernels.words import roll_shingles


@njit(inline="always")
def _equal(hashes, i, j):
    return hashes[i, 0] == hashes[j, 0] and hashes[i, 1] == hashes[j, 1]


@njit(cache=True, nogil=True)
def _all_alike(hashes, ends, low, high):
    """Whether rows low..high-1 are the same windows."""
    size = ends[low + 1] - ends[low]
    for row in range(low + 1, high):
        if ends[row + 1] - ends[row] != size:
            return False
    for row in range(low + 1, high):
        for i in range(size):
            if not _equal(hashes, ends[row] + i, ends[low] + i):
                return False
    return True


@njit(cache=True, nogil=True)
def judge_runs(groups, hashes, ends, keep_one):
    """Which windows fall, of runs that share a minimizer.

    `groups` holds where each group of rows begins, and the number of rows; the rows are in the order of preference.
    Row i is a run of the windows whose two hashes stand in hashes[ends[i]:ends[i + 1]].

    Returns:
        row, first window (from the start of its run), number of windows, and the row that keeps the first of them,
        for each stretch of windows that fall.
    """
    fallen, firsts = np.empty(1024, np.int64), np.empty(1024, np.int32)
    lengths, keepers = np.empty(1024, np.int32), np.empty(1024, np.int64)
    most = 1
    for g in range(groups.size - 1):
        most = max(most, ends[groups[g + 1]] - ends[groups[g]])
    size = table_size(most)
    heads, times = (
        np.empty(size, np.int64),
        np.zeros(size, np.int32),
    )  # times are zeroed again after each group
    slots, rows_of = np.empty(most, np.int64), np.empty(most, np.int64)
    at = 0
    for g in range(groups.size - 1):
        low, high = groups[g], groups[g + 1]
        if high - low < 2:
            continue
        if _all_alike(hashes, ends, low, high):  # copies, mostly
            if at + high - low > fallen.size:
                fallen, firsts = grown(fallen, at, at + high - low), grown(firsts, at, at + high - low)
                lengths, keepers = grown(lengths, at, at + high - low), grown(keepers, at, at + high - low)
            for row in range(low + keep_one, high):
                fallen[at], firsts[at], lengths[at], keepers[at] = row, 0, ends[row + 1] - ends[row], low
                at += 1
            continue
        base, count = ends[low], ends[high] - ends[low]
        mask = np.uint64(table_size(count) - 1)
        for row in range(low, high):
            rows_of[ends[row] - base : ends[row + 1] - base] = row
        for i in range(count):
            slot = np.int64(hashes[base + i, 0] & mask)
            while times[slot] and not _equal(hashes, base + heads[slot], base + i):
                slot = np.int64((np.uint64(slot) + np.uint64(1)) & mask)
            if times[slot] == 0:
                heads[slot] = i
            times[slot] += 1
            slots[i] = slot
        last = -1  # the row of the stretch that is open
        for i in range(count):
            slot, row = slots[i], rows_of[i]
            if times[slot] < 2 or (keep_one and heads[slot] == i):
                last = -1
                continue
            if row != last:
                if at == fallen.size:
                    fallen, firsts = grown(fallen, at, at + 1), grown(firsts, at, at + 1)
                    lengths, keepers = grown(lengths, at, at + 1), grown(keepers, at, at + 1)
                fallen[at], firsts[at], lengths[at] = row, base + i - ends[row], 0
                keepers[at] = rows_of[heads[slot]]
                last = row
                at += 1
            lengths[at - 1] += 1
        for i in range(count):
            times[slots[i]] = 0
    return fallen[:at].copy(), firsts[:at].copy(), lengths[:at].copy(), keepers[:at].copy()


@njit(cache=True, nogil=True)
def _whole_characters(data, end, low, high):
    """The largest part of data[low:high] that cuts no character of a text that ends at `end`."""
    while low < high and (data[low] & 0xC0) == 0x80:
        low += 1
    while high > low and high < end and (data[high] & 0xC0) == 0x80:
        high -= 1
    return low, high


@njit(cache=True, nogil=True)
def locate_spans(
    data, offsets, bytewise, kinds, folded, quick, gaps, k, keep_one, places, counts, place_ends
):
    """Byte spans of each row that its falling windows cover.

    Row i has stretches of counts[j] windows that begin at tokens places[j], j from place_ends[i] to
    place_ends[i + 1]. Of windows that stand more than twice in a row some may be missing; they are found here.

    Returns:
        starts and ends (absolute, int64), where each row's begin.
    """
    rows = offsets.size - 1
    span_starts, span_ends = np.empty(1024, np.int64), np.empty(1024, np.int64)
    found = np.zeros(rows + 1, np.int64)
    at = 0
    for row in range(rows):
        low, high = place_ends[row], place_ends[row + 1]
        found[row + 1] = at
        if low == high:
            continue
        begin, end = offsets[row], offsets[row + 1]
        bound = bound_tokens(data, begin, end, bytewise, kinds, gaps)
        tokens, grams = np.empty(bound, np.uint64), np.empty(bound, np.uint64)
        starts, ends = np.empty(bound, np.int64), np.empty(bound, np.int64)
        count = read_tokens(data, begin, end, bytewise, kinds, folded, quick, gaps, tokens, starts, ends)
        windows = roll_shingles(tokens, count, k, grams)
        first = np.empty(windows, np.int64)
        first_places(grams, windows, np.full(table_size(windows), -1, np.int64), first)
        whole, rest = np.zeros(windows, np.bool_), np.zeros(windows, np.bool_)
        for p in range(low, high):
            for i in range(places[p], places[p] + counts[p]):
                if i == first[i] or not keep_one:
                    whole[first[i]] = True
                else:
                    rest[first[i]] = True
        covered = -1  # the last token of the span that is open
        for i in range(windows):
            if not (whole[first[i]] or (rest[first[i]] and i != first[i])):
                continue
            if i > covered + 1 or covered < 0:
                if at == span_starts.size:
                    span_starts, span_ends = grown(span_starts, at, at + 1), grown(span_ends, at, at + 1)
                span_starts[at] = starts[i]
                at += 1
            covered = i + k - 1
            span_ends[at - 1] = ends[covered]
        if bytewise:
            for p in range(found[row], at):
                span_starts[p], span_ends[p] = _whole_characters(data, end, span_starts[p], span_ends[p])
        found[row + 1] = at
    return span_starts[:at].copy(), span_ends[:at].copy(), found
