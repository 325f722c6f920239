"""Compiled search of texts for seeds, and what is around them compared word by word."""

# mypy: allow-untyped-defs, allow-untyped-calls

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.prefetch import prefetch
from stages.kernels.words import BASE, bound_words, scan_words

_ROOM = 1 << 16  # words; there are never more than bytes, so only longer texts need counting first
FIELDS = 7  # of a match: row, first byte, end byte, first word, words, text, first word in the text
RARE_FIELDS = 7  # of a gram: row, first byte, end byte, first word, text, first word in the text, gram


class HashSet(NamedTuple):
    """A set of uniform 64-bit hashes, for fast answers of no."""

    values: np.ndarray  # uint64, ascending, distinct
    bitmap: np.ndarray  # uint64: a Bloom filter, the bits of a value all in one entry
    bitmap_shift: int  # a value's entry is value >> this
    directory: np.ndarray  # int64: where in `values` each (shorter) prefix begins; one more at the end
    directory_shift: int


class Seeds(NamedTuple):
    """What the search needs of an index."""

    width: int  # words of a seed
    grams: HashSet
    starts: np.ndarray  # int64, one more than grams: where their places begin
    places: np.ndarray  # int64: word numbers
    words: np.ndarray  # uint64: of all texts
    text_starts: np.ndarray  # int64
    anchor_width: int
    anchors: HashSet
    shorts: HashSet
    short_texts: np.ndarray  # int64 by entry of shorts


@njit(inline="always")
def _bits_of(value):
    """Three bits of 64, from the low end of a hash; the entry comes from its high end."""
    one, six, low = np.uint64(1), np.uint64(63), np.uint64(6)
    return one << (value & six) | one << (value >> low & six) | one << (value >> np.uint64(12) & six)


@njit(inline="always")
def in_bitmap(value, known):
    """Can a value be in a set?"""
    bits = _bits_of(value)
    return known.bitmap[np.int64(value >> np.uint64(known.bitmap_shift))] & bits == bits


@njit(inline="always")
def find(value, known):
    """Index of a value in a HashSet, or -1."""
    prefix = np.int64(value >> np.uint64(known.directory_shift))
    for k in range(known.directory[prefix], known.directory[prefix + 1]):
        if known.values[k] == value:
            return k
    return -1


@njit(cache=True, nogil=True)
def set_bits(values, shift, bitmap):
    """Set the bits of every value."""
    for value in values:
        bitmap[np.int64(value >> np.uint64(shift))] |= _bits_of(value)


@njit(inline="always")
def hash_run(words, first, width):
    """Hash of a run of words, as probe_runs() makes it. Words are uniform hashes, so a polynomial of them is too."""
    h = np.uint64(0)
    for k in range(first, first + width):
        h = h * BASE + words[k]
    return h


@njit(cache=True, nogil=True)
def hash_runs(words, starts, width):
    """hash_run() at each of some words."""
    out = np.empty(starts.size, np.uint64)
    for i in range(starts.size):
        out[i] = hash_run(words, starts[i], width)
    return out


@njit(inline="always")
def probe_runs(words, count, width, known, at, hashes):
    """Runs of `width` words that can be in a set: their first words and hashes. Returns how many.

    All are asked for before the first is looked at: the set's bitmap is larger than the caches, and waiting for each
    entry in turn would cost more than all else.
    """
    if count < width or known.values.size == 0:
        return np.int64(0)
    shift = np.uint64(known.bitmap_shift)
    power = np.uint64(1)
    for _ in range(width):
        power *= BASE
    h = hash_run(words, 0, width)
    hashes[0] = h
    prefetch(known.bitmap, np.int64(h >> shift))
    for i in range(width, count):
        h = h * BASE + words[i] - words[i - width] * power
        hashes[i - width + 1] = h
        prefetch(known.bitmap, np.int64(h >> shift))
    found = np.int64(0)
    for i in range(count - width + 1):
        h = hashes[i]
        at[found], hashes[found] = i, h
        found += np.int64(in_bitmap(h, known))  # no branch: most are not in it
    return found


@njit(inline="always")
def _text_at(text_starts, place):
    """The text that a word belongs to."""
    low, high = 0, text_starts.size - 1
    while high - low > 1:
        middle = (low + high) >> 1
        if text_starts[middle] <= place:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _grown(table):
    larger = np.empty((2 * table.shape[0], table.shape[1]), np.int64)
    larger[: table.shape[0]] = table
    return larger


@njit(cache=True, nogil=True)
def _extend(row, words, count, pairs, seeds, out, found):
    """Maximal matches around pairs of (place - document word, document word), ascending; one for each match."""
    reached, diagonal = np.int64(-1), np.int64(0)
    for k in range(pairs.shape[0]):
        shift, i = pairs[k, 0], pairs[k, 1]
        if k and shift == diagonal and i < reached:
            continue
        place = i + shift
        text = _text_at(seeds.text_starts, place)
        low, high = seeds.text_starts[text], seeds.text_starts[text + 1]
        first, end = i, i + seeds.width
        while first > 0 and first + shift > low and words[first - 1] == seeds.words[first + shift - 1]:
            first -= 1
        run = i
        while run < count and run + shift < high and words[run] == seeds.words[run + shift]:
            run += 1
        if run < end:
            continue  # equal hashes of different words
        diagonal, reached = shift, run
        if found == out.shape[0]:
            out = _grown(out)
        out[found, 0], out[found, 3], out[found, 4] = row, first, run - first
        out[found, 5], out[found, 6] = text, first + shift - low
        found += 1
    return out, found


@njit(cache=True, nogil=True)
def _list_pairs(at, grams, hits, words, seeds, pairs):
    """Pairs (place - document word, document word) of the hits, those left out whose left neighbour is one too."""
    used = 0
    for k in range(hits):
        i, gram = at[k], grams[k]
        if gram < 0:
            continue
        follows = k > 0 and at[k - 1] == i - 1 and grams[k - 1] >= 0
        for s in range(seeds.starts[gram], seeds.starts[gram + 1]):
            place = seeds.places[s]
            if (
                follows
                and place > 0
                and words[i - 1] == seeds.words[place - 1]
                and _has_place(seeds, grams[k - 1], place - 1)  # it can be of another text
            ):
                continue
            if used == pairs.shape[0]:
                pairs = _grown(pairs)
            pairs[used, 0], pairs[used, 1] = place - i, i
            used += 1
    return pairs, used


@njit(inline="always")
def _has_place(seeds, gram, place):
    for s in range(seeds.starts[gram], seeds.starts[gram + 1]):  # noqa: SIM110 - numba knows no any()
        if seeds.places[s] == place:
            return True
    return False


@njit(cache=True, nogil=True)
def _sorted_pairs(pairs, used):
    """By diagonal, then document word."""
    order = np.argsort(pairs[:used, 1], kind="mergesort")
    order = order[np.argsort(pairs[:used, 0][order], kind="mergesort")]
    return pairs[:used][order]


@njit(cache=True, nogil=True)
def _match_shorts(row, words, count, at, hits, seeds, out, found):
    """SHORT texts, whole, at words where some text's first words stand."""
    for k in range(hits):
        i = at[k]
        h = hash_run(words, i, seeds.anchor_width)
        if find(h, seeds.anchors) < 0:
            continue
        for end in range(i + seeds.anchor_width, min(i + seeds.width, count + 1)):
            if end > i + seeds.anchor_width:
                h = h * BASE + words[end - 1]
            if not in_bitmap(h, seeds.shorts):
                continue
            entry = find(h, seeds.shorts)
            if entry < 0:
                continue
            text = seeds.short_texts[entry]
            low = seeds.text_starts[text]
            same = seeds.text_starts[text + 1] - low == end - i
            for w in range(end - i if same else 0):
                same = same and words[i + w] == seeds.words[low + w]
            if not same:
                continue
            if found == out.shape[0]:
                out = _grown(out)
            out[found, 0], out[found, 3], out[found, 4] = row, i, end - i
            out[found, 5], out[found, 6] = text, 0
            found += 1
    return out, found


@njit(cache=True, nogil=True)
def _place_bytes(data, start, end, kinds, folded, quick, gaps, out, first, found):
    """Bytes of the matches of one row, from the row's start."""
    bound = bound_words(data, start, end, kinds, gaps)
    words = np.empty(bound, np.uint64)
    starts, ends = np.empty(bound, np.int64), np.empty(bound, np.int64)
    scan_words(data, start, end, kinds, folded, quick, gaps, words, starts, ends)
    for k in range(first, found):
        out[k, 1] = starts[out[k, 3]] - start
        out[k, 2] = ends[out[k, 3] + out[k, 4] - 1] - start


@njit(cache=True, nogil=True)
def search_rows(data, offsets, kinds, folded, quick, gaps, seeds):
    """Every match of every row, int64 (matches, FIELDS), ascending by row; bytes count from the row's start."""
    words, at = np.empty(_ROOM, np.uint64), np.empty(_ROOM, np.int64)
    hashes, grams = np.empty(_ROOM, np.uint64), np.empty(_ROOM, np.int64)
    none = np.empty(0, np.int64)
    out, pairs = np.empty((16, FIELDS), np.int64), np.empty((16, 2), np.int64)
    found = 0
    for row in range(offsets.size - 1):
        start, end = offsets[row], offsets[row + 1]
        if end - start >= words.size:
            bound = bound_words(data, start, end, kinds, gaps) + 1
            if bound > words.size:
                words, at = np.empty(bound, np.uint64), np.empty(bound, np.int64)
                hashes, grams = np.empty(bound, np.uint64), np.empty(bound, np.int64)
        count = scan_words(data, start, end, kinds, folded, quick, gaps, words, none, none)
        before = found
        hits = probe_runs(words, count, seeds.width, seeds.grams, at, hashes)
        some = False
        for k in range(hits):
            grams[k] = find(hashes[k], seeds.grams)
            some = some or grams[k] >= 0
        if some:
            pairs, used = _list_pairs(at, grams, hits, words, seeds, pairs)
            out, found = _extend(row, words, count, _sorted_pairs(pairs, used), seeds, out, found)
        hits = probe_runs(words, count, seeds.anchor_width, seeds.anchors, at, hashes)
        if hits:
            out, found = _match_shorts(row, words, count, at, hits, seeds, out, found)
        if found > before:
            _place_bytes(data, start, end, kinds, folded, quick, gaps, out, before, found)
    return out[:found].copy()


@njit(cache=True, nogil=True)
def search_rare(data, offsets, kinds, folded, quick, gaps, seeds):
    """Every gram of every row at every place it has, int64 (hits, RARE_FIELDS); `seeds` without shorts."""
    out, found = np.empty((16, RARE_FIELDS), np.int64), 0
    for row in range(offsets.size - 1):
        start, end = offsets[row], offsets[row + 1]
        bound = bound_words(data, start, end, kinds, gaps) + 1
        words, hashes = np.empty(bound, np.uint64), np.empty(bound, np.uint64)
        at, starts, ends = np.empty(bound, np.int64), np.empty(bound, np.int64), np.empty(bound, np.int64)
        count = scan_words(data, start, end, kinds, folded, quick, gaps, words, starts, ends)
        for k in range(probe_runs(words, count, seeds.width, seeds.grams, at, hashes)):
            gram = find(hashes[k], seeds.grams)
            for s in range(
                seeds.starts[gram] if gram >= 0 else 0, seeds.starts[gram + 1] if gram >= 0 else 0
            ):
                if found == out.shape[0]:
                    out = _grown(out)
                text = _text_at(seeds.text_starts, seeds.places[s])
                out[found, 0], out[found, 1] = row, starts[at[k]] - start
                out[found, 2], out[found, 3] = ends[at[k] + seeds.width - 1] - start, at[k]
                out[found, 4], out[found, 5] = text, seeds.places[s] - seeds.text_starts[text]
                out[found, 6] = gram
                found += 1
    return out[:found].copy()


@njit(cache=True, nogil=True)
def count_rows(data, offsets, kinds, folded, quick, gaps, seeds, last, counts):
    """Add to counts, by seed, the rows that hold it; `last` is the row that held it last, -1 at first, by seed."""
    words, at = np.empty(_ROOM, np.uint64), np.empty(_ROOM, np.int64)
    hashes, none = np.empty(_ROOM, np.uint64), np.empty(0, np.int64)
    for row in range(offsets.size - 1):
        start, end = offsets[row], offsets[row + 1]
        if end - start >= words.size:
            bound = bound_words(data, start, end, kinds, gaps) + 1
            if bound > words.size:
                words, at = np.empty(bound, np.uint64), np.empty(bound, np.int64)
                hashes = np.empty(bound, np.uint64)
        count = scan_words(data, start, end, kinds, folded, quick, gaps, words, none, none)
        for k in range(probe_runs(words, count, seeds.width, seeds.grams, at, hashes)):
            gram = find(hashes[k], seeds.grams)
            if gram >= 0 and last[gram] != row:
                last[gram] = row
                counts[gram] += 1


@njit(cache=True, nogil=True)
def find_all(values, known):
    """find() of each value, int64."""
    out = np.empty(values.size, np.int64)
    for i in range(values.size):
        out[i] = find(values[i], known) if in_bitmap(values[i], known) else -1
    return out
