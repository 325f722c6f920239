"""Compiled parts of best-fit packing: which row an item goes to, and tokens copied in another order."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def best_fit(sizes: np.ndarray, capacity: int) -> np.ndarray:
    """The row of each item: the fullest one with room for it, else a new one.

    Args:
        sizes: int64, 1 to `capacity`; in descending order this is best-fit decreasing.
        capacity: of a row.

    Returns:
        int64, rows numbered in the order of their first items. Of equally full rows the last used is taken.
    """
    leaves = 1
    while leaves <= capacity:
        leaves *= 2
    open_rows = np.zeros(2 * leaves, np.int32)  # a tree: how many rows have so much room left
    last = np.full(capacity + 1, -1, np.int64)  # a stack of rows for each room
    below = np.empty(sizes.size, np.int64)
    found = np.empty(sizes.size, np.int64)
    rows = 0
    for i in range(sizes.size):
        room = _least_room(open_rows, leaves, sizes[i])
        if room < 0:
            row, room = rows, capacity
            rows += 1
        else:
            row = last[room]
            last[room] = below[row]
            _count(open_rows, leaves + room, -1)
        found[i] = row
        left = room - sizes[i]
        if left > 0:
            below[row] = last[left]
            last[left] = row
            _count(open_rows, leaves + left, 1)
    return found


@njit(cache=True, nogil=True)
def _count(tree: np.ndarray, node: int, change: int) -> None:
    while node:
        tree[node] += change
        node //= 2


@njit(cache=True, nogil=True)
def _least_room(tree: np.ndarray, leaves: int, size: int) -> int:
    """The least room of at least `size` that any row has; -1 if none has."""
    node = leaves + size
    if not tree[node]:
        while node > 1 and (node % 2 or not tree[node + 1]):  # up, until something lies to the right
            node //= 2
        if node <= 1:
            return -1
        node += 1
        while node < leaves:
            node = 2 * node if tree[2 * node] else 2 * node + 1
    return node - leaves


@njit(cache=True, nogil=True)
def copy_runs(values: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Runs of an array, one after the other."""
    made = np.empty(sizes.sum(), values.dtype)
    at = 0
    for k in range(starts.size):
        made[at : at + sizes[k]] = values[starts[k] : starts[k] + sizes[k]]
        at += sizes[k]
    return made
