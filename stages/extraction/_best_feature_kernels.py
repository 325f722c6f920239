"""What each block of a page looks like, in numbers; compiled. Columns are those of _best_features.FEATURES.

One part of the columns after another, each by a loop of its own over the blocks: a call for each block would
cost more than what it does.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.extraction._best_place_kernels import END_PLACE, fill_place
from stages.extraction._best_tags import N_FACTS, N_WORDS, WORD_SHIFT
from stages.extraction._best_text_kernels import fill_text, text_hashes
from stages.extraction._best_tree_kernels import (
    Held,
    find_alike,
    find_core,
    find_out,
    find_paths,
    groups,
    sums_at,
)

RUNNING = 80.0  # letters from which a block with few links counts as running text
MAX_LINKED = 0.35
N_AROUND, N_CORE = 5, 12
TAG = END_PLACE
AT_AROUND = TAG + 1
AT_CORE = AT_AROUND + 3 * N_AROUND
CORE_DEPTH, UP_TO_CORE, CORE_SHARE, BRANCH_CHILDREN, ALIKE, ALIKE_PARENT = range(AT_CORE, AT_CORE + 6)
DEPTH, ALIKE_SIZE, ALIKE_LINKS, ALIKE_PARENT_SIZE, ALIKE_PARENT_LINKS, SAME_TEXT = range(
    AT_CORE + 6, AT_CORE + N_CORE
)
AT_FACTS = AT_CORE + N_CORE
AT_WORDS = AT_FACTS + N_FACTS
WIDTH = AT_WORDS + 2 * N_WORDS
MAX_DEPTH, MAX_CORE_DEPTH, MAX_UP, MAX_SAME = 40, 30, 10, 20


@njit(cache=True, nogil=True)
def _fill_around(rows, at, elements, held, tags, order):
    """AROUND, from column `at`: what an element holds that is in some relation to a block, for each block."""
    page_running = max(held.running[0], 1.0)
    for b in range(elements.size):
        row = rows[b]
        node = elements[b]
        row[at] = np.log1p(held.size[node])
        row[at + 1] = held.linked[node] / max(held.size[node], 1.0)
        row[at + 2] = held.running[node] / page_running
        row[at + 3] = np.log1p(held.blocks[node])
        row[at + 4] = order[tags[node]]


@njit(cache=True, nogil=True)
def _fill_core(rows, node_of, core, paths, core_share):
    """Where a block lies with respect to the core; `core_share` is that of the page's running text."""
    for b in range(node_of.size):
        row = rows[b]
        node = node_of[b]
        row[CORE_DEPTH] = min(core.depth, MAX_CORE_DEPTH)
        row[UP_TO_CORE] = min(core.depth - core.rank[paths.anchor[node]], MAX_UP)
        row[CORE_SHARE] = core_share
        row[BRANCH_CHILDREN] = np.log1p(paths.children[paths.branch[node]])
        row[DEPTH] = min(paths.depth[node], MAX_DEPTH) - min(core.depth, MAX_CORE_DEPTH)


@njit(cache=True, nogil=True)
def _fill_alike(rows, node_of, parent, alike, same):
    """What elements hold that look like the block's or its parent; `same` are groups of blocks by their text."""
    repeats = np.bincount(same, minlength=1)
    for b in range(node_of.size):
        row = rows[b]
        kind = alike.group[node_of[b]]
        above = alike.group[parent[node_of[b]]]
        row[ALIKE] = np.log1p(alike.count[kind])
        row[ALIKE_PARENT] = np.log1p(alike.count[above])
        row[ALIKE_SIZE] = np.log1p(alike.size[kind] / alike.count[kind])
        row[ALIKE_LINKS] = alike.linked[kind] / max(alike.size[kind], 1.0)
        row[ALIKE_PARENT_SIZE] = np.log1p(alike.size[above] / alike.count[above])
        row[ALIKE_PARENT_LINKS] = alike.linked[above] / max(alike.size[above], 1.0)
        row[SAME_TEXT] = min(repeats[same[b]], MAX_SAME)


@njit(cache=True, nogil=True)
def _fill_bits(rows, node_of, facts, parent, own, paths):
    """Facts above a block; class words above it but for the core's, and those of its element or its parent."""
    for b in range(node_of.size):
        row = rows[b]
        node = node_of[b]
        above = parent[node]
        inline = facts[b] >> WORD_SHIFT & ~paths.all_words[node]  # of inline elements that hold all of it
        words = paths.words[node] | inline
        near = own[node] >> WORD_SHIFT | inline
        if paths.anchor[node] != above:
            near |= own[above] >> WORD_SHIFT
        for bit in range(N_FACTS):
            row[AT_FACTS + bit] = facts[b] >> bit & 1
        for bit in range(N_WORDS):
            row[AT_WORDS + bit] = words >> bit & 1
            row[AT_WORDS + N_WORDS + bit] = near >> bit & 1


@njit(cache=True, nogil=True)
def block_features(text, start, node_of, facts, link_bytes, links, parent, tags, own, look, order):
    """See page_features."""
    rows = np.zeros((node_of.size, WIDTH), np.float32)
    sizes, shares = fill_text(rows, text, start, link_bytes, links)
    is_running = (sizes >= RUNNING) & (shares <= MAX_LINKED)
    out = find_out(parent, own, node_of, facts, np.where(is_running, sizes, 0.0))
    running_sizes = np.where(is_running & (out == 0), sizes, 0.0)
    held = Held(
        sums_at(parent, node_of, sizes),
        sums_at(parent, node_of, sizes * shares),
        sums_at(parent, node_of, np.ones(node_of.size)),
        sums_at(parent, node_of, running_sizes),
    )
    alike = find_alike(look, held.size, held.linked)
    core = find_core(parent, held.running)
    paths = find_paths(parent, own, held.running, core.rank)
    above = parent[node_of]
    fill_place(rows, sizes, running_sizes, node_of, parent, tags, held)
    rows[:, TAG] = order[tags[node_of]]
    _fill_around(rows, AT_AROUND, above, held, tags, order)
    _fill_around(rows, AT_AROUND + N_AROUND, parent[above], held, tags, order)
    _fill_around(rows, AT_AROUND + 2 * N_AROUND, paths.branch[node_of], held, tags, order)
    _fill_core(rows, node_of, core, paths, held.running[core.node] / max(held.running[0], 1.0))
    _fill_alike(rows, node_of, parent, alike, groups(text_hashes(text, start)))
    _fill_bits(rows, node_of, facts, parent, own, paths)
    return rows, sizes, out, alike.group
