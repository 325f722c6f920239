"""Embeddings of a column as rows of length 1, their nearest centroids, and who falls to whom.

Everything that decides is an exact cosine (`_semantic_kernels.py`). Matrix products in float32, which BLAS libraries
sum in whatever order suits their threads and blocks, only propose: what they can be wrong by is bounded.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stages.dedup._semantic_kernels import (
    fall_to_kept,
    fall_within,
    pick_nearest,
    square_norms,
    unit_rows,
)

BLOCK = 512  # rows that are compared with survivors at once
CHUNK = 4096  # survivors or centroids to a matrix product: at most 8 MB of scores


class Verdicts(NamedTuple):
    """What becomes of rows in their order."""

    survivor: np.ndarray  # int64 by row: the survivor that it falls to, -1 for one that stays
    similarity: np.ndarray  # float64 by row: their cosine, 0 for one that stays
    kept: np.ndarray  # int64: rows that stay, ascending


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


def nearest_centroids(unit: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The centroid that each row has the greatest cosine with, the first of equals, and that cosine.

    Args:
        unit: float32 (rows, dim), of length 1.
        centroids: float32 (k, dim), of length 1, k > 0.

    Returns:
        int64 and float64, by row.
    """
    nearest, closeness = np.zeros(len(unit), np.int64), np.full(len(unit), -2.0)
    norms, reach = square_norms(centroids), slack(unit.shape[1])
    for start in range(0, len(unit), BLOCK):
        block = unit[start : start + BLOCK]
        for first in range(0, len(centroids), CHUNK):
            scores = block @ centroids[first : first + CHUNK].T
            pick_nearest(scores, unit, start, centroids, norms, first, reach, nearest, closeness)
    return nearest, closeness


def judge(unit: np.ndarray, threshold: float, most: int | None = None) -> Verdicts:
    """Each row in turn falls to the first row before it that stays and has a cosine of `threshold` or more.

    The work is rows x survivors, the memory BLOCK x CHUNK.

    Args:
        unit: float32 (rows, dim), of length 1, the preferred first.
        threshold: least cosine.
        most: stop when so many stay (`kept` may have up to BLOCK more); None = go on.
    """
    rows = len(unit)
    survivor, similarity = np.full(rows, -1, np.int64), np.zeros(rows, np.float64)
    kept, count = np.empty(rows, np.int64), 0
    norms, reach = square_norms(unit), slack(unit.shape[1])
    for start in range(0, rows, BLOCK):
        left = np.arange(start, min(start + BLOCK, rows))
        for at in range(0, count, CHUNK):
            part = kept[at : min(at + CHUNK, count)]
            scores = unit[left] @ unit[part].T
            fall_to_kept(scores, unit, norms, left, part, threshold, reach, survivor, similarity)
            left = left[survivor[left] < 0]
        scores = unit[left] @ unit[left].T
        count = fall_within(scores, unit, norms, left, threshold, reach, survivor, similarity, kept, count)
        if most is not None and count >= most:
            break
    return Verdicts(survivor, similarity, kept[:count])
