"""Compiled loops over runs of words."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

_JOINED_AT_MOST = 64  # runs before one that are tried when runs are joined over skipped words


@njit(cache=True, nogil=True)
def find_run(words, run):
    """Where a run of words begins in `words`, int64."""
    places = np.empty(words.size, np.int64)
    count = 0
    for i in range(words.size - run.size + 1 if run.size else 0):
        k = 0
        while k < run.size and words[i + k] == run[k]:
            k += 1
        if k == run.size:
            places[count] = i
            count += 1
    return places[:count].copy()


@njit(cache=True, nogil=True)
def mark_words(words, wanted, marks):
    """Mark every occurrence of a run of words."""
    for i in range(words.size - wanted.size + 1 if wanted.size else 0):
        k = 0
        while k < wanted.size and words[i + k] == wanted[k]:
            k += 1
        if k == wanted.size:
            marks[i : i + k] = True


@njit(cache=True, nogil=True)
def chain_runs(part, first, text_first, words, weight, skip):
    """For each stretch, the one before it in its heaviest chain, or -1."""
    before = np.full(part.size, -1, np.int64)
    total = weight.copy()
    for k in range(part.size):
        j = k - 1
        while j >= 0 and k - j <= _JOINED_AT_MOST and part[j] == part[k]:
            gap = first[k] - first[j] - words[j]
            text_gap = text_first[k] - text_first[j] - words[j]
            if 0 <= gap <= skip and 0 <= text_gap <= skip and total[j] + weight[k] > total[k]:
                total[k] = total[j] + weight[k]
                before[k] = j
            j -= 1
    return before
