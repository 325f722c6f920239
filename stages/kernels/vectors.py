"""Embeddings as rows of length 1, and exact cosines, whatever BLAS library or block shape proposed the pair.

The product of two float32 is exact in float64, and each sum that decides runs here in one fixed order, so a cosine
depends on its two vectors alone. Matrix products in float32, which BLAS libraries sum in whatever order suits their
threads and blocks, only propose: what they can be wrong by is bounded by `slack`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
import pyarrow as pa
from numba import njit

BLOCK = 512  # rows that are compared at once
CHUNK = 4096  # rows that they are compared with, to a matrix product: at most 8 MB of scores


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
def cosine(x, i, norm_i, y, j, norm_j):
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
def pick_nearest(scores, x, start, others, norms, first, slack, nearest, closeness):
    """Update the nearest other row of rows start.. of x, given their scores with others first...

    Args:
        scores: about x[start + i] . others[first + j].
        x: unit rows.
        start: the row of x that scores[0] is of.
        others: unit rows; `norms` their square_norms().
        norms: see there.
        first: the other row that scores[:, 0] is of; must come in ascending order, since the first of equals stays.
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
                near = cosine(x, row, norm, others, first + j, norms[first + j])
                if near > closeness[row]:
                    closeness[row], nearest[row] = near, first + j


def slack(dim: int) -> float:
    """More than a float32 dot product of two rows of length 1 can be wrong by, in whatever order it is summed.

    The bound is dim * u / (1 - dim * u) with u = 2^-24 (Higham 2002, section 3.1); this is twice that and more.
    """
    return (dim + 8) * 2.0**-23


def unit_vectors(column: pa.Array, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a list column that have a direction, at length 1.

    A null, a list with a null, NaN or infinity in it, and one of zeros have no direction; an empty list neither.

    Args:
        column: lists of any kind and width, of numbers of any kind.
        name: of the column, for errors.

    Returns:
        float32 (found, dim), dim being 0 if there is none; int64, the row of each.

    Raises:
        ValueError: no lists of numbers, or lists of different lengths.
    """
    if pa.types.is_null(column.type):
        return np.zeros((0, 0), np.float32), np.zeros(0, np.int64)
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    number = column.type.value_type if is_list or pa.types.is_fixed_size_list(column.type) else None
    if number is None or not (pa.types.is_floating(number) or pa.types.is_integer(number)):
        raise ValueError(
            f"column {name!r} is {column.type}; write a column of lists of numbers, as embed_text makes"
        )
    valid = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    lists = column.take(pa.array(valid))
    lengths = np.asarray(lists.value_lengths().to_numpy(zero_copy_only=False), np.int64)
    rows, lengths = valid[lengths > 0], lengths[lengths > 0]
    if not len(rows):
        return np.zeros((0, 0), np.float32), np.zeros(0, np.int64)
    if lengths.min() != lengths.max():
        raise ValueError(
            f"column {name!r} has embeddings of {lengths.min()} and of {lengths.max()} values; "
            "write a column that one model made"
        )
    values = lists.flatten().to_numpy(zero_copy_only=False)
    values = values.astype(np.float32 if values.dtype == np.float16 else values.dtype, copy=False)
    unit, known = unit_rows(values.reshape(len(rows), -1))
    return (unit, rows) if known.all() else (unit[known], rows[known])


def nearest_rows(unit: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The other row that each row has the greatest cosine with, the first of equals, and that cosine.

    Args:
        unit: float32 (rows, dim), of length 1.
        others: float32 (k, dim), of length 1, k > 0.

    Returns:
        int64 and float64, by row.
    """
    nearest, closeness = np.zeros(len(unit), np.int64), np.full(len(unit), -2.0)
    norms, reach = square_norms(others), slack(unit.shape[1])
    for start in range(0, len(unit), BLOCK):
        block = unit[start : start + BLOCK]
        for first in range(0, len(others), CHUNK):
            scores = block @ others[first : first + CHUNK].T
            pick_nearest(scores, unit, start, others, norms, first, reach, nearest, closeness)
    return nearest, closeness
