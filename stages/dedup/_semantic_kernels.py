"""Who falls to whom by cosine, and sums of clusters, in compiled kernels; see `stages/kernels/vectors.py`."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from stages.kernels.vectors import cosine


@njit(cache=True, nogil=True)
def fall_to_kept(scores, x, norms, rows, kept, threshold, slack, survivor, similarity):
    """Let each of some rows fall to the first of some survivors whose cosine is at least the threshold.

    `scores` is about x[rows[i]] . x[kept[j]].
    """
    limit = threshold - slack
    for i in range(rows.size):
        row = rows[i]
        for j in range(kept.size):
            if scores[i, j] >= limit:
                near = cosine(x, row, norms[row], x, kept[j], norms[kept[j]])
                if near >= threshold:
                    survivor[row], similarity[row] = kept[j], near
                    break


@njit(cache=True, nogil=True)
def fall_within(scores, x, norms, rows, threshold, slack, survivor, similarity, kept, count):
    """The same among the rows themselves, in their order; those that stay go to kept[count:].

    `scores` is about x[rows[i]] . x[rows[j]]. Returns how many are kept now.
    """
    limit = threshold - slack
    stays = np.empty(rows.size, np.int64)
    found = 0
    for i in range(rows.size):
        row = rows[i]
        for s in range(found):
            j = stays[s]
            if scores[i, j] >= limit:
                near = cosine(x, row, norms[row], x, rows[j], norms[rows[j]])
                if near >= threshold:
                    survivor[row], similarity[row] = rows[j], near
                    break
        if survivor[row] < 0:
            stays[found] = i
            kept[count + found] = row
            found += 1
    return count + found


@njit(cache=True, nogil=True)
def sum_members(x, labels, clusters):
    """The sum of each cluster's rows, in float64, in the order of the rows."""
    sums = np.zeros((clusters, x.shape[1]), np.float64)
    for i in range(x.shape[0]):
        for k in range(x.shape[1]):
            sums[labels[i], k] += x[i, k]
    return sums
