"""What the elements of a page hold, and which part of the page is its core; compiled.

Parents come before their children, so one pass up or down the numbers of the elements does for each.
Compiled into `_best_feature_kernels.py`, whose cached machine code must be removed when this file is edited.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.extraction._best_tags import CLASS_WORDS, HIDDEN_BIT, WORD_SHIFT

MOST = 0.6  # of a page's running text: an element with so much says nothing about a single block in it
NEARLY_ALL = 0.9
ENOUGH = 500.0  # letters
UNCOVERED = 3.0  # a page that hides so much more than it shows is uncovered by a script
IN_COMMENTS, IN_POPUP, HIDDEN = 1, 2, 3  # why a block is out whatever it looks like
COMMENT = np.int64(1 << WORD_SHIFT + [*CLASS_WORDS].index("comment"))
POPUP = np.int64(1 << WORD_SHIFT + [*CLASS_WORDS].index("popup"))


class Held(NamedTuple):
    """What each element holds, with all below it: float64 [nodes]."""

    size: np.ndarray  # letters
    linked: np.ndarray  # letters in links
    blocks: np.ndarray
    running: np.ndarray  # letters of running text


class Core(NamedTuple):
    """The elements from the page down to the one that parts its running text."""

    rank: np.ndarray  # int32 [nodes], place in that line from 1 up; 0 if not in it
    node: int  # the deepest
    depth: int  # its rank


class Paths(NamedTuple):
    """What lies between the page and each element: [nodes]."""

    depth: np.ndarray  # int32
    branch: np.ndarray  # int32, the element at or above that leaves the core's line, or itself if in it
    anchor: np.ndarray  # int32, the nearest at or above in the core's line
    words: np.ndarray  # int64, class words from the page down, but for elements that hold the core
    all_words: np.ndarray  # int64, with those
    children: np.ndarray  # float32, how many


class Alike(NamedTuple):
    """Groups of elements that look alike."""

    group: np.ndarray  # int32 [nodes]
    count: np.ndarray  # float64 [groups], elements
    size: np.ndarray  # float64 [groups], what they hold
    linked: np.ndarray


@njit(cache=True, nogil=True)
def sums_at(parent, node_of, values):
    """For each element, the sum of the values of the blocks in it and in all below."""
    total = np.zeros(parent.size)
    for b in range(node_of.size):
        total[node_of[b]] += values[b]
    for node in range(parent.size - 1, 0, -1):
        total[parent[node]] += total[node]
    return total


@njit(cache=True, nogil=True)
def groups(keys):
    """For each key a number, equal for equal keys, from 0 up."""
    order = np.argsort(keys, kind="mergesort")  # numba's quicksort is quadratic on equal keys
    group = np.zeros(keys.size, np.int32)
    number = -1
    for k in range(keys.size):
        if k == 0 or keys[order[k]] != keys[order[k - 1]]:
            number += 1
        group[order[k]] = number
    return group


@njit(cache=True, nogil=True)
def _asides(parent, own, running):
    """For each element, 1 if it is part of readers' comments, 2 of something that opens on demand, else 0.

    Comments can outweigh what they are about; then they are set aside still if enough is left. A class word on
    what holds nearly all of a page ("comments-open") says nothing.
    """
    aside = np.zeros(parent.size, np.uint8)
    comments = 0.0
    for node in range(1, parent.size):
        aside[node] = aside[parent[node]]
        if aside[node]:
            continue
        if own[node] & COMMENT and running[node] < NEARLY_ALL * running[0]:
            aside[node] = IN_COMMENTS
            comments += running[node]
        elif own[node] & POPUP and running[node] <= MOST * running[0]:
            aside[node] = IN_POPUP
    if comments > MOST * running[0] and running[0] - comments < ENOUGH:
        for node in range(parent.size):
            if aside[node] == IN_COMMENTS:
                aside[node] = 0
    return aside


@njit(cache=True, nogil=True)
def find_out(parent, own, node_of, facts, running_sizes):
    """uint8 [blocks]: why a block is out whatever it looks like, or 0.

    `running_sizes` has the letters of blocks of running text, 0 for others. Hidden text is out unless the page
    hides far more than it shows.
    """
    aside = _asides(parent, own, sums_at(parent, node_of, running_sizes))
    shown = unshown = 0.0
    for b in range(node_of.size):
        if aside[node_of[b]] == 0:
            if facts[b] & HIDDEN_BIT:
                unshown += running_sizes[b]
            else:
                shown += running_sizes[b]
    out = np.zeros(node_of.size, np.uint8)
    for b in range(node_of.size):
        out[b] = aside[node_of[b]]
        if facts[b] & HIDDEN_BIT and unshown < UNCOVERED * shown:
            out[b] = HIDDEN
    return out


@njit(cache=True, nogil=True)
def find_core(parent, running):
    """The Core of a page, by the running text that each element holds."""
    best = np.zeros(parent.size, np.int32)  # the child with most running text
    for node in range(1, parent.size):
        above = parent[node]
        if best[above] == 0 or running[node] > running[best[above]]:
            best[above] = node
    rank = np.zeros(parent.size, np.int32)
    rank[0] = 1
    node = 0
    depth = 1
    while best[node] and running[best[node]] > MOST * running[node] and running[best[node]] > 0:
        node = best[node]
        depth += 1
        rank[node] = depth
    return Core(rank, node, depth)


@njit(cache=True, nogil=True)
def find_paths(parent, own, running, rank):
    """The Paths of a page, by the running text that each element holds and the core's ranks."""
    m = parent.size
    depth, branch, anchor = np.zeros(m, np.int32), np.zeros(m, np.int32), np.zeros(m, np.int32)
    words, all_words = np.zeros(m, np.int64), np.zeros(m, np.int64)
    children = np.zeros(m, np.float32)
    for node in range(1, m):
        above = parent[node]
        depth[node] = depth[above] + 1
        children[above] += 1
        if rank[node]:
            branch[node] = node
            anchor[node] = node
        else:
            branch[node] = node if rank[above] else branch[above]
            anchor[node] = anchor[above]
        words[node] = words[above]
        all_words[node] = all_words[above] | own[node] >> WORD_SHIFT
        if running[node] <= MOST * running[0] or running[0] == 0:
            words[node] |= own[node] >> WORD_SHIFT
    return Paths(depth, branch, anchor, words, all_words, children)


@njit(cache=True, nogil=True)
def find_alike(look, size, linked):
    """Elements that look Alike, and what those of a group hold."""
    group = groups(look)
    count, group_size, group_linked = np.zeros(look.size), np.zeros(look.size), np.zeros(look.size)
    for node in range(look.size):
        count[group[node]] += 1
        group_size[group[node]] += size[node]
        group_linked[group[node]] += linked[node]
    return Alike(group, count, group_size, group_linked)
