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
def score_lines(tokens, starts, order, grams, slots, probs, backoffs):
    """For each line: sum of log10 probabilities, words with the line's end, and words not in the vocabulary.

    The probability of a word is that of the longest n-gram that is known and ends in it, times the backoffs of
    the longer contexts that are known.

    Args:
        tokens: int32, from number_words().
        starts: int64, from number_words().
        order: longest n-gram.
        grams: uint64 hashes of all n-grams of all orders.
        slots: build_table(grams).
        probs: float32, log10, as grams.
        backoffs: float32, log10, as grams.

    Returns:
        float64, shape (lines, 3).
    """
    out = np.zeros((starts.size - 1, 3), np.float64)
    for line in range(starts.size - 1):
        first, total = starts[line], 0.0
        for i in range(first + 1, starts[line + 1]):
            left = max(first, i - order + 1)
            for begin in range(left, i + 1):
                context = np.uint64(0)
                for k in range(begin, i):
                    context = _extend(context, tokens[k])
                found = _find(_extend(context, tokens[i]), grams, slots)
                if found >= 0:
                    total += probs[found]
                    break
                if begin < i:
                    known = _find(context, grams, slots)
                    if known >= 0:
                        total += backoffs[known]
            out[line, 2] += tokens[i] == UNK
        out[line, 0] = total
        out[line, 1] = max(starts[line + 1] - first - 1, 0)
    return out
