"""Spherical k-means (Dhillon and Modha 2001, "Concept decompositions"): the same bits from the same rows.

No random number: the rows come in an order of their own (by hash), the first centroids are rows of them, rows go
to their nearest centroid by exact cosines, sums are taken in the order of the rows, and the rounds are few and fixed.
"""

from typing import NamedTuple

import numpy as np

from stages.dedup._semantic_kernels import sum_members
from stages.dedup._semantic_vectors import judge
from stages.kernels.vectors import nearest_rows, unit_rows

# First centroids must not be each other's near-duplicates: the border between two of them would run through a
# cloud of near-duplicates and hide these from each other. Embeddings of some models are all alike, hence steps.
APART = (0.8, 0.9, 0.97, 0.99, 1.0)


class Fitted(NamedTuple):
    """Centroids, and how the rows that they are made of lie about them."""

    centroids: np.ndarray  # float32 (k, dim), of length 1
    sizes: np.ndarray  # int64 by centroid: rows nearest to it
    closeness: float  # mean cosine of a row and its centroid
    rounds: int


def first_centroids(unit: np.ndarray, clusters: int) -> np.ndarray:
    """The first rows no two of which are alike; what is alike is made stricter until there are enough.

    Returns:
        row numbers, `clusters` of them, or fewer if there are not so many different rows.
    """
    kept = np.zeros(0, np.int64)
    for threshold in APART:
        kept = judge(unit, threshold, clusters).kept
        if len(kept) >= clusters:
            break
    return kept[:clusters]


def fit_clusters(unit: np.ndarray, clusters: int, rounds: int) -> Fitted:
    """Move centroids to the mean direction of the rows nearest to them, `rounds` times or until none moves.

    A centroid that no row is nearest to stays where it is.

    Args:
        unit: float32 (rows, dim), of length 1, at least one row.
        clusters: wanted; there are fewer if there are not so many different rows.
        rounds: at most.
    """
    centroids = unit[first_centroids(unit, clusters)]
    labels, closeness = nearest_rows(unit, centroids)
    done = 0
    for done in range(1, rounds + 1):  # noqa: B007 - the number of rounds is told
        moved, known = unit_rows(sum_members(unit, labels, len(centroids)))
        centroids = np.where(known[:, None], moved, centroids)
        before = labels
        labels, closeness = nearest_rows(unit, centroids)
        if np.array_equal(before, labels):
            break
    sizes = np.bincount(labels, minlength=len(centroids))
    return Fitted(centroids, sizes.astype(np.int64), float(np.sum(closeness)) / len(unit), done)
