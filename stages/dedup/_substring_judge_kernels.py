"""Compiled loops of repeated spans: which windows fall, and which bytes the falling ones cover."""
# mypy: disable-error-code="assignment, no-untyped-def"

import numpy as np
from numba import njit

from stages.dedup._substring_kernels import bound_tokens, first_places, grown, read_tokens, table_size
from stages.kernels.words import roll_shingles

_OTHER_BASE = np.uint64(0xA0761D6478BD642F)  # odd: of the second hash of a window


@njit(cache=True, nogil=True)
def _second_hashes(tokens, count, k, out):
    """Another hash of each window of k tokens, so that both together never meet by chance."""
    power = np.uint64(1)
    for _ in range(k):
        power *= _OTHER_BASE
    h = np.uint64(0)
    for i in range(count):
        h = h * _OTHER_BASE + tokens[i]
        if i >= k:
            h -= tokens[i - k] * power
        if i >= k - 1:
            out[i - k + 1] = h


@njit(cache=True, nogil=True)
def _all_alike(data, offsets, low, high):
    """Whether rows low..high-1 are the same bytes."""
    size = offsets[low + 1] - offsets[low]
    for row in range(low + 1, high):
        if offsets[row + 1] - offsets[row] != size:
            return False
    for row in range(low + 1, high):
        for i in range(size):
            if data[offsets[row] + i] != data[offsets[low] + i]:
                return False
    return True


@njit(cache=True, nogil=True)
def judge_runs(groups, data, offsets, bytewise, kinds, folded, quick, gaps, k, counts, keep_one):
    """Which windows fall, of runs that share a minimizer.

    `groups` holds where each group of rows begins, and the number of rows; the rows are in the order of preference.
    Row i is a run of counts[i] windows, whose tokens stand in data[offsets[i]:offsets[i + 1]].

    Returns:
        row, first window (from the start of its run), number of windows, and the row that keeps the first of them,
        for each stretch of windows that fall.
    """
    fallen, firsts = np.empty(1024, np.int64), np.empty(1024, np.int32)
    lengths, keepers = np.empty(1024, np.int32), np.empty(1024, np.int64)
    nowhere = np.empty(0, np.int64)
    most = longest = 1
    for g in range(groups.size - 1):
        most = max(most, counts[groups[g] : groups[g + 1]].sum())
    for row in range(offsets.size - 1):
        longest = max(longest, bound_tokens(data, offsets[row], offsets[row + 1], bytewise, kinds, gaps))
    tokens, grams, others = (
        np.empty(longest, np.uint64),
        np.empty(longest, np.uint64),
        np.empty(longest, np.uint64),
    )
    left, right = np.empty(table_size(most), np.uint64), np.empty(table_size(most), np.uint64)
    times, keeper = (
        np.zeros(left.size, np.int32),
        np.empty(left.size, np.int64),
    )  # zeroed again after each group
    slots, rows_of = np.empty(most, np.int64), np.empty(most, np.int64)
    at = 0
    for g in range(groups.size - 1):
        low, high = groups[g], groups[g + 1]
        if high - low < 2:
            continue
        if counts[low] == counts[high - 1] and _all_alike(data, offsets, low, high):  # copies, mostly
            if at + high - low > fallen.size:
                fallen, firsts = grown(fallen, at, at + high - low), grown(firsts, at, at + high - low)
                lengths, keepers = grown(lengths, at, at + high - low), grown(keepers, at, at + high - low)
            for row in range(low + keep_one, high):
                fallen[at], firsts[at], lengths[at], keepers[at] = row, 0, counts[row], low
                at += 1
            continue
        mask = np.uint64(table_size(counts[low:high].sum()) - 1)
        done = 0
        for row in range(low, high):
            count = read_tokens(
                data,
                offsets[row],
                offsets[row + 1],
                bytewise,
                kinds,
                folded,
                quick,
                gaps,
                tokens,
                nowhere,
                nowhere,
            )
            roll_shingles(tokens, count, k, grams)
            _second_hashes(tokens, count, k, others)
            for i in range(counts[row]):
                slot = np.int64(grams[i] & mask)
                while times[slot] and (left[slot] != grams[i] or right[slot] != others[i]):
                    slot = np.int64((np.uint64(slot) + np.uint64(1)) & mask)
                if times[slot] == 0:
                    left[slot], right[slot], keeper[slot] = grams[i], others[i], done
                times[slot] += 1
                slots[done], rows_of[done] = slot, row
                done += 1
        done = 0
        for row in range(low, high):
            open_run = False
            for i in range(counts[row]):
                slot = slots[done]
                falls = times[slot] > 1 and not (keep_one and keeper[slot] == done)
                done += 1
                if not falls:
                    open_run = False
                    continue
                if not open_run:
                    if at == fallen.size:
                        fallen, firsts = grown(fallen, at, at + 1), grown(firsts, at, at + 1)
                        lengths, keepers = grown(lengths, at, at + 1), grown(keepers, at, at + 1)
                    fallen[at], firsts[at], lengths[at] = row, i, 0
                    keepers[at] = rows_of[keeper[slot]]
                    open_run = True
                    at += 1
                lengths[at - 1] += 1
        for i in range(done):
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
