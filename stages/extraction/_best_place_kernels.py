"""Where a block lies on its page, in numbers; compiled. Columns are those of NEAR and PLACE in _best_features.

Compiled into `_best_feature_kernels.py`, whose cached machine code must be removed when this file is edited.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.extraction._best_tags import CODE
from stages.extraction._best_text_kernels import ENDS_SENTENCE, LINK_SHARE, N_TEXT, SIZE

SHIFTS = (-2, -1, 1, 2)  # of the neighbours that NEAR looks at
N_NEAR, N_PLACE = 4, 14
AT_PLACE = N_TEXT + len(SHIFTS) * N_NEAR
END_PLACE = AT_PLACE + N_PLACE
RUNNING_BEFORE, RUNNING_AFTER, NEAR_RUNNING, NEAR_LINKS, TEXT_BEFORE = range(AT_PLACE, AT_PLACE + 5)
TO_LAST_RUNNING, TO_NEXT_RUNNING, TO_HEADING, SINCE_H1 = range(AT_PLACE + 5, AT_PLACE + 9)
PAGE_SIZE, PAGE_RUNNING, PAGE_LINKS, PAGE_BLOCKS, SHARE = range(AT_PLACE + 9, END_PLACE)

REACH = 4  # blocks before and after that NEAR_RUNNING and NEAR_LINKS count
FAR, NONE = 30, 40  # blocks; NONE if there is nothing to count to
FAR_H1, NO_H1 = 60, 80
_H1, _H6 = CODE["h1"], CODE["h6"]


@njit(cache=True, nogil=True)
def _fill_neighbours(rows, node_of, parent, tags):
    """What the two blocks before and after are; the columns of TEXT must be filled."""
    n = node_of.size
    for b in range(n):
        row = rows[b]
        node = node_of[b]
        at = N_TEXT
        for shift in SHIFTS:
            k = b + shift
            if 0 <= k < n:
                other = node_of[k]
                row[at] = rows[k, SIZE]
                row[at + 1] = rows[k, LINK_SHARE]
                row[at + 2] = rows[k, ENDS_SENTENCE]
                row[at + 3] = (tags[other] == tags[node]) + (parent[other] == parent[node])
            else:
                row[at] = -1
            at += N_NEAR


@njit(cache=True, nogil=True)
def _fill_text_around(rows, sizes, running_sizes, size, running):
    """How much text and running text there is before, after and near; `size` and `running` are the page's."""
    n = sizes.size
    total, total_running = max(size, 1.0), max(running, 1.0)
    before = before_running = 0.0
    for b in range(n):
        row = rows[b]
        close = near_linked = 0.0
        near_size = 1.0
        for k in range(max(0, b - REACH), min(n, b + REACH + 1)):
            if k != b:
                close += running_sizes[k]
                near_size += sizes[k]
                near_linked += sizes[k] * rows[k, LINK_SHARE]
        row[RUNNING_BEFORE] = before_running / total_running
        row[RUNNING_AFTER] = (running - before_running - running_sizes[b]) / total_running
        row[NEAR_RUNNING] = np.log1p(close)
        row[NEAR_LINKS] = near_linked / near_size
        row[TEXT_BEFORE] = before / total
        row[SHARE] = sizes[b] / total_running
        before += sizes[b]
        before_running += running_sizes[b]


@njit(cache=True, nogil=True)
def _fill_distances(rows, running_sizes, node_of, tags):
    """Blocks since the last running text and headings, and to the next running text."""
    last_running = last_heading = last_h1 = next_running = -1
    for b in range(node_of.size):
        row = rows[b]
        tag = tags[node_of[b]]
        if _H1 <= tag <= _H6:
            last_heading = b
            if tag == _H1:
                last_h1 = b
        row[TO_LAST_RUNNING] = min(b - last_running, FAR) if last_running >= 0 else NONE
        row[TO_HEADING] = min(b - last_heading, FAR) if last_heading >= 0 else NONE
        row[SINCE_H1] = min(b - last_h1, FAR_H1) if last_h1 >= 0 else NO_H1
        if running_sizes[b] > 0:
            last_running = b
    for b in range(node_of.size - 1, -1, -1):
        rows[b, TO_NEXT_RUNNING] = min(next_running - b, FAR) if next_running >= 0 else NONE
        if running_sizes[b] > 0:
            next_running = b


@njit(cache=True, nogil=True)
def _fill_page(rows, size, running, linked):
    """What the page as a whole holds, the same for each block."""
    total = max(size, 1.0)
    rows[:, PAGE_SIZE] = np.log1p(size)
    rows[:, PAGE_RUNNING] = running / total
    rows[:, PAGE_LINKS] = linked / total
    rows[:, PAGE_BLOCKS] = np.log1p(rows.shape[0])


@njit(cache=True, nogil=True)
def fill_place(rows, sizes, running_sizes, node_of, parent, tags, held):
    """Fill the columns of NEAR and PLACE; those of TEXT must be filled. `held` is a Held of the page's elements."""
    size, running = held.size[0], held.running[0]
    _fill_neighbours(rows, node_of, parent, tags)
    _fill_text_around(rows, sizes, running_sizes, size, running)
    _fill_distances(rows, running_sizes, node_of, tags)
    _fill_page(rows, size, running, held.linked[0])
