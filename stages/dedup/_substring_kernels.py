"""Compiled loops of repeated spans: sampled n-grams, windows of k tokens, and which tokens the removed ones cover.

A window of k tokens is known by the smallest hash among its n-grams of m < k tokens (a minimizer, Schleimer,
Wilkerson, Aiken, "Winnowing", SIGMOD 2003; Roberts et al. 2004): equal windows have the same, so a window can only be
repeated if its minimizer is. Neighbouring windows mostly share one, so few n-grams stand for all.
"""
# mypy: disable-error-code="assignment, no-untyped-def"

import numpy as np
from numba import njit

from stages.kernels.words import BASE, bound_words, mix64, roll_shingles, scan_words

_ROOM = 1 << 16
_NARROW = 128  # grams to a window
_SALT = np.uint64(0xE7037ED1A0B428DB)
_OTHER_BASE = np.uint64(0xA0761D6478BD642F)  # odd: of the second hash of a window


@njit(cache=True, nogil=True)
def read_tokens(data, start, end, bytewise, kinds, folded, quick, gaps, hashes, starts, ends):
    """Hashes of the tokens of data[start:end], and their byte positions if `starts` has a size; their number."""
    if not bytewise:
        return scan_words(data, start, end, kinds, folded, quick, gaps, hashes, starts, ends)
    for i in range(start, end):
        hashes[i - start] = mix64(np.uint64(data[i]) + _SALT)
        if starts.size:
            starts[i - start] = i
            ends[i - start] = i + 1
    return end - start


@njit(cache=True, nogil=True)
def bound_tokens(data, start, end, bytewise, kinds, gaps):
    """No more tokens than this are in data[start:end]; there are never more than bytes."""
    if bytewise or end - start <= _ROOM:
        return end - start
    return bound_words(data, start, end, kinds, gaps)


@njit(cache=True, nogil=True)
def _find_minima(grams, count, width, queue, minima):
    """minima[i]: where the smallest of grams[i : i + width] stands, the first of equals; returns how many i.

    `queue` holds places of growing grams, each the smallest from there on (Lemire 2006).
    """
    if width <= _NARROW:  # looking again when the smallest leaves is cheaper than a queue
        best, least = -1, np.uint64(0)
        for i in range(width - 1, count):
            low = i - width + 1
            if best < low:
                best, least = low, grams[low]
                for j in range(low + 1, i + 1):
                    if grams[j] < least:
                        best, least = j, grams[j]
            elif grams[i] < least:
                best, least = i, grams[i]
            minima[low] = best
        return max(0, count - width + 1)
    head = tail = 0
    for i in range(count):
        while tail > head and grams[queue[tail - 1]] > grams[i]:
            tail -= 1
        queue[tail] = i
        tail += 1
        if queue[head] <= i - width:
            head += 1
        if i >= width - 1:
            minima[i - width + 1] = queue[head]
    return max(0, count - width + 1)


@njit(cache=True, nogil=True)
def sample_rows(data, offsets, bytewise, kinds, folded, quick, gaps, k, m):
    """The minimizers of each row's windows: n-gram hashes and rows; one that stands twice in a row comes twice."""
    rows = offsets.size - 1
    tokens, grams = np.empty(_ROOM, np.uint64), np.empty(_ROOM, np.uint64)
    queue, minima = np.empty(_ROOM, np.int64), np.empty(_ROOM, np.int64)
    chosen = np.empty(_ROOM, np.uint64)
    nowhere = np.empty(0, np.int64)
    values, owners = np.empty(1024, np.uint64), np.empty(1024, np.int32)
    at = 0
    for row in range(rows):
        if offsets[row + 1] - offsets[row] > tokens.size:
            bound = bound_tokens(data, offsets[row], offsets[row + 1], bytewise, kinds, gaps)
            if bound > tokens.size:
                tokens, grams = np.empty(bound, np.uint64), np.empty(bound, np.uint64)
                queue, minima = np.empty(bound, np.int64), np.empty(bound, np.int64)
                chosen = np.empty(bound, np.uint64)
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
        if count < k:
            continue
        windows = _find_minima(grams, roll_shingles(tokens, count, m, grams), k - m + 1, queue, minima)
        found = 0
        for i in range(windows):
            if i == 0 or minima[i] != minima[i - 1]:
                chosen[found] = grams[minima[i]]
                found += 1
        ordered = np.sort(chosen[:found])
        if at + found > values.size:
            values = grown(values, at, at + found)
            owners = grown(owners, at, at + found)
        for i in range(found):
            if i < 2 or ordered[i] != ordered[i - 2]:
                values[at], owners[at] = ordered[i], row
                at += 1
    return values[:at].copy(), owners[:at].copy()


@njit(cache=True, nogil=True)
def grown(array, used, needed):
    wider = np.empty(max(2 * array.size, needed), array.dtype)
    wider[:used] = array[:used]
    return wider


@njit(cache=True, nogil=True)
def table_size(count):
    size = 16
    while size < 2 * count:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def first_places(hashes, count, table, first):
    """first[i]: where the hash of place i stood first; the table must be all -1 and twice as large as `count`."""
    mask = np.uint64(table.size - 1)
    for i in range(count):
        at = np.int64(hashes[i] & mask)
        while table[at] >= 0 and hashes[table[at]] != hashes[i]:
            at = np.int64((np.uint64(at) + np.uint64(1)) & mask)
        if table[at] < 0:
            table[at] = i
        first[i] = table[at]


@njit(cache=True, nogil=True)
def _hash_windows(tokens, count, k, first, second):
    """Two hashes of each window of k tokens, which together never meet by chance; the first as of roll_shingles."""
    power, other_power = np.uint64(1), np.uint64(1)
    for _ in range(k):
        power *= BASE
        other_power *= _OTHER_BASE
    h = other = np.uint64(0)
    for i in range(k):
        h = h * BASE + tokens[i]
        other = other * _OTHER_BASE + tokens[i]
    first[0], second[0] = mix64(h), other
    for i in range(k, count):
        h = h * BASE + tokens[i] - tokens[i - k] * power
        other = other * _OTHER_BASE + tokens[i] - tokens[i - k] * other_power
        first[i - k + 1], second[i - k + 1] = mix64(h), other


@njit(cache=True, nogil=True)
def run_rows(data, offsets, bytewise, kinds, folded, quick, gaps, k, m, wanted, wanted_ends):
    """Runs of neighbouring windows that share a wanted minimizer.

    Row i wants the ascending n-gram hashes wanted[wanted_ends[i]:wanted_ends[i + 1]]. Of a run that stands more than
    twice in a row, with all its tokens, the first two are told.

    Returns:
        minimizer, row, token of the first window, where its windows end; and of each window two hashes, but none
        bytewise, where as many bytes say the same.
    """
    rows = offsets.size - 1
    keys, owners = np.empty(1024, np.uint64), np.empty(1024, np.int32)
    places, stops = np.empty(1024, np.int32), np.empty(1024, np.int64)
    hashes = np.empty((1024, 2), np.uint64)
    nowhere = np.empty(0, np.int64)
    at = told = 0
    for row in range(rows):
        bound = bound_tokens(data, offsets[row], offsets[row + 1], bytewise, kinds, gaps)
        mine = wanted[wanted_ends[row] : wanted_ends[row + 1]]
        if mine.size == 0 or bound < k:
            continue
        tokens, grams = np.empty(bound, np.uint64), np.empty(bound, np.uint64)
        begin, end = offsets[row], offsets[row + 1]
        count = read_tokens(data, begin, end, bytewise, kinds, folded, quick, gaps, tokens, nowhere, nowhere)
        if count < k:
            continue
        minima = np.empty(count, np.int64)
        grams_found = roll_shingles(tokens, count, m, grams)
        windows = _find_minima(grams, grams_found, k - m + 1, np.empty(count, np.int64), minima)
        firsts = np.empty(windows + 1, np.int64)  # the first window of each run that is wanted
        lengths = np.empty(windows, np.int64)
        runs = 0
        i = 0
        while i < windows:
            j = i + 1
            while j < windows and minima[j] == minima[i]:
                j += 1
            value = grams[minima[i]]
            place = np.searchsorted(mine, value)
            if place < mine.size and mine[place] == value:
                firsts[runs], lengths[runs] = i, j - i
                runs += 1
            i = j
        if runs == 0:
            continue
        values = np.empty(runs, np.uint64)
        for r in range(runs):
            values[r] = grams[minima[firsts[r]]]
        others = np.empty(windows, np.uint64)
        _hash_windows(tokens, count, k, grams, others)
        whole = np.empty(runs, np.uint64)  # of all tokens of a run: its first and last window, and how many
        for r in range(runs):
            low, high = firsts[r], firsts[r] + lengths[r] - 1
            whole[r] = mix64(grams[low] ^ mix64(grams[high] + np.uint64(lengths[r])))
        first = np.empty(runs, np.int64)
        first_places(whole, runs, np.full(table_size(runs), -1, np.int64), first)
        seen = np.zeros(runs, np.uint8)
        if at + runs > keys.size:
            keys, owners = grown(keys, at, at + runs), grown(owners, at, at + runs)
            places, stops = grown(places, at, at + runs), grown(stops, at, at + runs)
        if told + windows > hashes.shape[0] and not bytewise:
            wider = np.empty((max(2 * hashes.shape[0], told + windows), 2), np.uint64)
            wider[:told] = hashes[:told]
            hashes = wider
        for r in range(runs):
            if seen[first[r]] == 2:
                continue
            seen[first[r]] += 1
            if not bytewise:
                for i in range(lengths[r]):
                    hashes[told + i, 0] = grams[firsts[r] + i]
                    hashes[told + i, 1] = others[firsts[r] + i]
            told += lengths[r]
            keys[at], owners[at], places[at], stops[at] = values[r], row, firsts[r], told
            at += 1
    return (
        keys[:at].copy(),
        owners[:at].copy(),
        places[:at].copy(),
        stops[:at].copy(),
        hashes[: 0 if bytewise else told].copy(),
    )


@njit(cache=True, nogil=True)
def copy_runs(data, begins, windows, k):
    """The bytes of runs of windows of k bytes, one run after another, and where each begins."""
    offsets = np.zeros(begins.size + 1, np.int64)
    for i in range(begins.size):
        offsets[i + 1] = offsets[i] + windows[i] + k - 1
    out = np.empty(offsets[-1], np.uint8)
    for i in range(begins.size):
        out[offsets[i] : offsets[i + 1]] = data[begins[i] : begins[i] + offsets[i + 1] - offsets[i]]
    return out, offsets


@njit(cache=True, nogil=True)
def hash_runs(data, offsets, k):
    """Where the windows of each run of bytes end, with a 0 before, and two hashes of each: as run_rows tells them."""
    runs = offsets.size - 1
    ends = np.zeros(runs + 1, np.int64)
    longest = 0
    for i in range(runs):
        longest = max(longest, offsets[i + 1] - offsets[i])
        ends[i + 1] = ends[i] + offsets[i + 1] - offsets[i] - k + 1
    tokens = np.empty(longest, np.uint64)
    first, second = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    hashes = np.empty((ends[runs], 2), np.uint64)
    for i in range(runs):
        count = offsets[i + 1] - offsets[i]
        for j in range(count):
            tokens[j] = mix64(np.uint64(data[offsets[i] + j]) + _SALT)
        _hash_windows(tokens, count, k, first, second)
        for j in range(count - k + 1):
            hashes[ends[i] + j, 0], hashes[ends[i] + j, 1] = first[j], second[j]
    return ends, hashes
