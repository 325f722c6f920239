"""Compiled halves of building an index."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from stages.decontamination._kernels import hash_run
from stages.kernels.unicode import LIMIT, decode
from stages.kernels.words import BASE, SINGLE, mix64

WORD_WEIGHT, SIGN_WEIGHT = (
    2,
    1,
)  # half words: two characters of Han, or two operators, weigh as much as a word


@njit(cache=True, nogil=True)
def weigh_words(data, starts, kinds):
    """Half words of the words at some bytes, uint8."""
    weights = np.empty(starts.size, np.uint8)
    for i in range(starts.size):
        point, _ = decode(data, starts[i])
        single = kinds[point] == SINGLE if point < LIMIT else point < 0x40000
        weights[i] = SIGN_WEIGHT if single else WORD_WEIGHT
    return weights


@njit(cache=True, nogil=True)
def text_keys(words, outputs, starts, kinds):
    """128 bits for each text, of its words, what they are and its kind."""
    keys = np.empty((kinds.size, 2), np.uint64)
    for text in range(kinds.size):
        for half in range(2):
            h = mix64(np.uint64(kinds[text]) + np.uint64(1 + 977 * half))
            for k in range(starts[text], starts[text + 1]):
                h = mix64(h ^ words[k] ^ np.uint64(outputs[k])) * BASE
            keys[text, half] = h
    return keys


@njit(cache=True, nogil=True)
def spread_of(values, texts):
    """For ascending values with ascending texts: (first entry, texts, most places in one text) of each value."""
    firsts = np.empty(values.size, np.int64)
    several, most = np.empty(values.size, np.int64), np.empty(values.size, np.int64)
    count, within = 0, 0
    for i in range(values.size):
        if i == 0 or values[i] != values[i - 1]:
            firsts[count], several[count], most[count], within = i, 1, 1, 1
            count += 1
            continue
        within = within + 1 if texts[i] == texts[i - 1] else 1
        several[count - 1] += texts[i] != texts[i - 1]
        most[count - 1] = max(most[count - 1], within)
    return firsts[:count].copy(), several[:count].copy(), most[:count].copy()


@njit(cache=True, nogil=True)
def hash_texts(words, starts, texts):
    """hash_run() of some texts, whole."""
    out = np.empty(texts.size, np.uint64)
    for i in range(texts.size):
        low = starts[texts[i]]
        out[i] = hash_run(words, low, starts[texts[i] + 1] - low)
    return out
