"""Cosines that decide: exact to the last bit, whatever BLAS library or block shape proposed the pair.

The product of two float32 is exact in float64, and each sum here runs in one fixed order, so a cosine depends on its
two vectors alone. Matrix products only say which pairs are worth it: see `slack` in `_semantic_vectors.py`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit


@njit(inline="always")
def exact_dot(x, i, y, j):
    """The dot product of x[i] and y[j], summed in float64 in eight running sums."""
    dim = x.shape[1]
    a = b = c = d = e = f = g = h = 0.0
    whole = dim - dim % 8
    for k in range(0, whole, 8):
        a += np.float64(x[i, k]) * np.float64(y[j, k])
        b += np.float64(x[i, k + 1]) * np.float64(y[j, k + 1])
        c += np.float64(x[i, k + 2]) * np.float64(y[j, k + 2])
        d += np.float64(x[i, k + 3]) * np.float64(y[j, k + 3])
        e += np.float64(x[i, k + 4]) * np.float64(y[j, k + 4])
        f += np.float64(x[i, k + 5]) * np.float64(y[j, k + 5])
        g += np.float64(x[i, k + 6]) * np.float64(y[j, k + 6])
        h += np.float64(x[i, k + 7]) * np.float64(y[j, k + 7])
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for k in range(whole, dim):
        total += np.float64(x[i, k]) * np.float64(y[j, k])
    return total


@njit(cache=True, nogil=True)
def square_norms(x):
    """The dot product of each row with itself."""
    norms = np.empty(x.shape[0], np.float64)
    for i in range(x.shape[0]):
        norms[i] = exact_dot(x, i, x, i)
    return norms


@njit(inline="always")
def _cosine(x, i, norm_i, y, j, norm_j):
    """Equal vectors have exactly 1, since sqrt(s * s) is s."""
    return min(exact_dot(x, i, y, j) / np.sqrt(norm_i * norm_j), 1.0)


@njit(cache=True, nogil=True)
def unit_rows(values):
    """Rows of length 1 in float32, and which rows have a direction: not all zero, every value finite.

    A row without a direction is zero.
    """
    rows, dim = values.shape
    out, known = np.zeros((rows, dim), np.float32), np.zeros(rows, np.bool_)
    for i in range(rows):
        largest, finite = 0.0, True
        for k in range(dim):
            value = np.float64(values[i, k])
            finite = finite and np.isfinite(value)
            largest = max(largest, abs(value))
        if not finite or largest == 0:
            continue
        total = 0.0
        for k in range(dim):
            scaled = np.float64(values[i, k]) / largest  # 1e300 squared would be infinite
            total += scaled * scaled
        norm = np.sqrt(total)
        for k in range(dim):
            out[i, k] = np.float64(values[i, k]) / largest / norm
        known[i] = True
    return out, known


@njit(cache=True, nogil=True)
def pick_nearest(scores, x, start, centroids, norms, first, slack, nearest, closeness):
    """Update the nearest centroid of rows start.. of x, given their scores with centroids first...

    Args:
        scores: about x[start + i] . centroids[first + j].
        x: unit rows.
        start: the row of x that scores[0] is of.
        centroids: unit rows; `norms` their square_norms().
        norms: see there.
        first: the centroid that scores[:, 0] is of; must come in ascending order, since the first of equals stays.
        slack: how far a score can be from the exact cosine.
        nearest: int64 by row of x, written to.
        closeness: float64 by row of x, the exact cosine with `nearest`; below -1 before the first call.
    """
    for i in range(scores.shape[0]):
        top = scores[i, 0]
        for j in range(1, scores.shape[1]):
            top = max(top, scores[i, j])
        row = start + i
        if top < closeness[row] - slack:
            continue
        norm = exact_dot(x, row, x, row)
        for j in range(scores.shape[1]):
            if scores[i, j] >= top - 2 * slack:
                cosine = _cosine(x, row, norm, centroids, first + j, norms[first + j])
                if cosine > closeness[row]:
                    closeness[row], nearest[row] = cosine, first + j


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
                cosine = _cosine(x, row, norms[row], x, kept[j], norms[kept[j]])
                if cosine >= threshold:
                    survivor[row], similarity[row] = kept[j], cosine
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
                cosine = _cosine(x, row, norms[row], x, rows[j], norms[rows[j]])
                if cosine >= threshold:
                    survivor[row], similarity[row] = rows[j], cosine
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
