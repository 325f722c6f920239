"""Small compiled loops: decision trees, nearest elements of a name, words that two texts share."""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

_PRIME = np.uint64(0x100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)


@njit(cache=True, nogil=True)
def tree_sums(rows, feature, threshold, left, value, root, base):
    """float64 [rows]: `base` and the value of the leaf that a row reaches in each tree."""
    out = np.full(rows.shape[0], base)
    for b in range(rows.shape[0]):
        row = rows[b]
        total = base
        for tree in root:
            node = tree
            column = feature[node]
            while column >= 0:
                node = left[node] + (row[column] > threshold[node])
                column = feature[node]
            total += value[node]
        out[b] = total
    return out


@njit(cache=True, nogil=True)
def nearest(parent, tags, code):
    """For each element, the nearest of name `code` at or above it; 0 if there is none."""
    found = np.zeros(parent.size, np.int32)
    for node in range(1, parent.size):
        found[node] = node if tags[node] == code else found[parent[node]]
    return found


@njit(cache=True, nogil=True)
def _words(data):
    """Hashes of the words: runs of ASCII letters, digits and of what is beyond ASCII; CJK by character."""
    out = np.empty(data.size, np.uint64)
    n = 0
    i = 0
    while i < data.size:
        c = data[i]
        if 0xE3 <= c <= 0xE9:  # U+3000 to U+9FFF
            value = _BASIS
            for k in range(i, min(i + 3, data.size)):
                value = (value ^ np.uint64(data[k])) * _PRIME
            out[n] = value
            n += 1
            i += 3
            continue
        value = _BASIS
        first = i
        while i < data.size:
            c = data[i]
            if not (c >= 0x80 or 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122) or 0xE3 <= c <= 0xE9:
                break
            value = (value ^ np.uint64(c)) * _PRIME
            i += 1
        if i > first:
            out[n] = value
            n += 1
        else:
            i += 1
    return np.sort(out[:n])


@njit(cache=True, nogil=True)
def shared_words(one, other):
    a, b = _words(one), _words(other)
    if a.size + b.size == 0:
        return 1.0
    common = 0
    i = 0
    j = 0
    while i < a.size and j < b.size:
        if a[i] == b[j]:
            common += 1
            i += 1
            j += 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return 2 * common / (a.size + b.size)
