"""Who of a list of embeddings falls to whom, by exact cosine."""

from typing import NamedTuple

import numpy as np

from stages.dedup._semantic_kernels import fall_to_kept, fall_within
from stages.kernels.vectors import BLOCK, CHUNK, slack, square_norms


class Verdicts(NamedTuple):
    """What becomes of rows in their order."""

    survivor: np.ndarray  # int64 by row: the survivor that it falls to, -1 for one that stays
    similarity: np.ndarray  # float64 by row: their cosine, 0 for one that stays
    kept: np.ndarray  # int64: rows that stay, ascending


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
