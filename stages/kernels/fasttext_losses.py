"""From a text's hidden layer to labels: softmax, the Huffman tree of hierarchical softmax, fastText's sigmoid table.

Compiled; a part of `fasttext_kernels.py`, whose cached machine code must be removed when this file is edited.
"""

import numpy as np
from numba import njit

from stages.kernels.fasttext_file import SOFTMAX

NO_LABEL = -1
SIGMOID_SIZE, SIGMOID_MAX = 512, 8


@njit(inline="always")
def log_of(x):
    """The logarithm as fastText takes it: of 0 too."""
    return np.float32(np.log(np.float64(x) + 1e-5))


@njit(inline="always")
def _dot(row, hidden, m):
    total = np.float32(0)
    for k in range(len(hidden)):
        total += m.output[row, k] * hidden[k]
    return total


@njit(inline="always")
def _branch(node, hidden, m):
    """Probability of going right at an inner node of the tree."""
    f = _dot(node - len(m.output), hidden, m)
    return np.float32(1.0 / np.float64(np.float32(1) + np.exp(-f)))


@njit(cache=True, nogil=True)
def best_leaf(hidden, m, stack, values):
    """The most probable label by the tree, and the log of its probability; the last of equals."""
    best, top = np.int64(NO_LABEL), np.float32(-1e30)
    stack[0], values[0], size = len(m.left) - 1, np.float32(0), 1
    while size:
        size -= 1
        node, score = np.int64(stack[size]), values[size]
        if score < log_of(np.float32(0)) or (best >= 0 and score < top):
            continue
        if m.left[node] < 0:
            best, top = node, score
            continue
        f = _branch(node, hidden, m)
        stack[size], values[size] = m.right[node], score + log_of(f)
        stack[size + 1], values[size + 1] = m.left[node], score + log_of(np.float32(1.0 - np.float64(f)))
        size += 2
    return best, top


@njit(cache=True, nogil=True)
def leaf_score(label, hidden, m):
    """The log of one label's probability by the tree."""
    score, node = np.float32(0), np.int64(label)
    while m.parents[node] >= 0:
        parent = np.int64(m.parents[node])
        f = _branch(parent, hidden, m)
        score += log_of(f) if m.right[parent] == node else log_of(np.float32(1.0 - np.float64(f)))
        node = parent
    return score


@njit(cache=True, nogil=True)
def fill_probabilities(hidden, m, out):
    """Softmax over the labels, or a sigmoid from fastText's table for each."""
    top = np.float32(-3e38)
    for label in range(len(out)):
        out[label] = _dot(label, hidden, m)
        top = max(top, out[label])
    if m.loss == SOFTMAX:
        total = np.float32(0)
        for label in range(len(out)):
            out[label] = np.exp(out[label] - top)
            total += out[label]
        for label in range(len(out)):
            out[label] /= total
        return
    for label in range(len(out)):
        x = out[label]
        if x < -SIGMOID_MAX:
            out[label] = 0
        elif x > SIGMOID_MAX:
            out[label] = 1
        else:
            place = (x + np.float32(SIGMOID_MAX)) * np.float32(SIGMOID_SIZE / SIGMOID_MAX / 2)
            out[label] = m.sigmoid[np.int64(place)]
