"""Compiled parts of the n-gram language model: hashes of n-grams, and the score of lines."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"
# numba unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

UNK, BOS, EOS = 0, 1, 2  # numbers of <unk>, <s>, </s>
FIRST_WORD = 3

_BASE = np.uint64(0x9E3779B97F4A7C15)


@njit(inline="always")
def _mix(h):
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@njit(inline="always")
def _extend(h, token):
    """The hash of an n-gram with one more word behind it."""
    return _mix(h * _BASE + np.uint64(token) + np.uint64(1))


@njit(cache=True, nogil=True)
def _hash_at(tokens, n, places):
    hashes = np.empty(places.size, np.uint64)
    for k in range(places.size):
        h = np.uint64(0)
        for i in range(places[k], places[k] + n):
            h = _extend(h, tokens[i])
        hashes[k] = h
    return hashes


@njit(cache=True, nogil=True)
def _places_of(tokens, n):
    """Where n tokens begin with no end of a line before the last of them."""
    places = np.empty(tokens.size, np.int64)
    count, whole = 0, 0
    for i in range(tokens.size):
        if tokens[i] == BOS:
            whole = 0
        whole += 1
        if whole >= n:
            places[count] = i - n + 1
            count += 1
    return places[:count]


def hash_ngrams(
    tokens: np.ndarray, n: int, places: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """uint64 hashes of the n-grams at some places (all within lines if None), and the places.

    A hash grows with each word behind it, so equal n-grams have equal ones wherever they stand.
    """
    if places is None:
        places = _places_of(tokens, n)
    return _hash_at(tokens, n, places), places


@njit(cache=True, nogil=True)
def build_table(hashes, size):
    """An open hash table: `slots` int32 of length `size` (a power of two), -1 or an index into `hashes`."""
    slots = np.full(size, -1, np.int32)
    mask = np.uint64(size - 1)
    for k in range(hashes.size):
        slot = np.int64(hashes[k] & mask)
        while slots[slot] >= 0:
            slot = (slot + 1) & np.int64(mask)
        slots[slot] = k
    return slots


@njit(inline="always")
def _find(h, hashes, slots):
    mask = np.int64(slots.size - 1)
    slot = np.int64(h & np.uint64(mask))
    while slots[slot] >= 0:
        if hashes[slots[slot]] == h:
            return slots[slot]
        slot = (slot + 1) & mask
    return np.int32(-1)


@njit(cache=True, nogil=True)
def number_words(hashes, offsets, words, slots):
    """Lines of word hashes as lines of word numbers, BOS and EOS around each; empty lines give nothing.

    Args:
        hashes: uint64, words of all lines.
        offsets: int64, where each line's words begin; one more than lines.
        words: uint64, hashes of the vocabulary from FIRST_WORD on.
        slots: build_table(words).

    Returns:
        tokens int32; where each line's begin, int64, one more than lines.
    """
    lines = offsets.size - 1
    tokens = np.empty(hashes.size + 2 * lines, np.int32)
    starts = np.zeros(lines + 1, np.int64)
    at = 0
    for line in range(lines):
        if offsets[line] < offsets[line + 1]:
            tokens[at] = BOS
            at += 1
            for k in range(offsets[line], offsets[line + 1]):
                found = _find(hashes[k], words, slots)
                tokens[at] = found + FIRST_WORD if found >= 0 else UNK
                at += 1
            tokens[at] = EOS
            at += 1
        starts[line + 1] = at
    return tokens[:at].copy(), starts


@njit(cache=True, nogil=True)
def cut_spans(data, starts, ends):
    """The bytes from each start to its end, end to end, and int64 offsets of where each begins."""
    offsets = np.zeros(starts.size + 1, np.int64)
    for k in range(starts.size):
        offsets[k + 1] = offsets[k] + ends[k] - starts[k]
    out = np.empty(offsets[-1], np.uint8)
    for k in range(starts.size):
        out[offsets[k] : offsets[k + 1]] = data[starts[k] : ends[k]]
    return out, offsets


@njit(cache=True, nogil=True)
def fill_grams(hashes, values, size):
    """A hash table over distinct n-grams: key, value, key, value, ...; a key of 0 is an empty place.

    Args:
        hashes: uint64; that one is 0 has odds of 2**-64.
        values: uint64, what belongs to each.
        size: places, a power of two above the number of n-grams.
    """
    table = np.zeros(2 * size, np.uint64)
    mask = np.uint64(size - 1)
    for k in range(hashes.size):
        place = np.int64(hashes[k] & mask)
        while table[2 * place]:
            place = (place + 1) & np.int64(mask)
        table[2 * place] = hashes[k]
        table[2 * place + 1] = values[k]
    return table


@njit(inline="always")
def _place_of(h, table, mask):
    """Where an n-gram's key is in a table of fill_grams(), or -1."""
    place = np.int64(h & np.uint64(mask))
    key = table[2 * place]
    while key != h:
        if key == 0:
            return np.int64(-1)
        place = (place + 1) & mask
        key = table[2 * place]
    return place


@njit(cache=True, nogil=True)
def score_lines(tokens, starts, order, unigrams, table, values):
    """For each line: sum of log10 probabilities, words with the line's end, and words not in the vocabulary.

    The probability of a word is that of the longest n-gram that is known and ends in it, times the backoffs of
    the longer contexts that are known. An n-gram is looked for only if the words before its last are one that is
    known, as whatever has no context in an ARPA file has no place there.

    Args:
        tokens: int32, from number_words().
        starts: int64, from number_words().
        order: longest n-gram.
        unigrams: float32, shape (words, 2): log10 of probability and backoff.
        table: of fill_grams(), n-grams of 2 words and more.
        values: `table` seen as float32: those of place p are at 4 * p + 2 and + 3.

    Returns:
        float64, shape (lines, 3).
    """
    out = np.zeros((starts.size - 1, 3), np.float64)
    mask = np.int64(table.size // 2 - 1)
    hashes = np.zeros(order, np.uint64)  # [k]: of the k + 1 words up to here
    backoffs = np.zeros(order + 1, np.float64)  # [k]: of the k words before this one
    for line in range(starts.size - 1):
        depth = 0  # words before this one that are a known context
        total, unknown = 0.0, 0
        for i in range(starts[line], starts[line + 1]):
            token = tokens[i]
            for k in range(depth, 0, -1):
                hashes[k] = _extend(hashes[k - 1], token)
            hashes[0] = _extend(np.uint64(0), token)
            log, longest, left = np.float64(unigrams[token, 0]), 1, 0.0
            after = np.float64(unigrams[token, 1])
            for k in range(1, depth + 1):
                left += backoffs[k]
                backoffs[k] = after  # of the k words up to here; what was there has just been used
                after = 0.0
                place = _place_of(hashes[k], table, mask)
                if place >= 0:
                    log, longest, left = np.float64(values[4 * place + 2]), k + 1, 0.0
                    after = np.float64(values[4 * place + 3])
            backoffs[depth + 1] = after
            depth = min(longest, order - 1)
            if i > starts[line]:  # not <s>
                total += log + left
                unknown += token == UNK
        out[line, 0] = total
        out[line, 1] = max(starts[line + 1] - starts[line] - 1, 0)
        out[line, 2] = unknown
    return out
