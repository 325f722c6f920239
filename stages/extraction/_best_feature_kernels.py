"""What each block of a page looks like, in numbers; compiled. Columns are those of _best_features.FEATURES."""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.extraction._best_tags import CLASS_WORDS, CODE, HIDDEN_BIT, N_FACTS, N_WORDS, WORD_SHIFT

WIDE = 3  # letters that a Han or kana character counts for, and words
WORDS_WIDE = 0.6
RUNNING = 80.0  # letters from which a block with few links counts as running text
MAX_LINKED = 0.35
CORE_SHARE = 0.6  # of a page's running text: an element with so much says nothing about a single block in it
NEARLY_ALL = 0.9
ENOUGH = 500.0  # letters
UNCOVERED = 3.0  # a page that hides so much more than it shows is uncovered by a script
IN_COMMENTS, IN_POPUP, HIDDEN = 1, 2, 3  # why a block is out whatever it looks like
COMMENT = np.int64(1 << WORD_SHIFT + [*CLASS_WORDS].index("comment"))
POPUP = np.int64(1 << WORD_SHIFT + [*CLASS_WORDS].index("popup"))
N_TEXT, N_NEAR, N_PLACE, N_AROUND, N_CORE = 12, 4, 14, 5, 12  # columns of each part
WIDTH = N_TEXT + 4 * N_NEAR + N_PLACE + 1 + 3 * N_AROUND + N_CORE + N_FACTS + 2 * N_WORDS
_H1, _H6 = CODE["h1"], CODE["h6"]


@njit(cache=True, nogil=True)
def _text_stats(text, i, stop, row):
    """Fill TEXT but for links; return the size in letters."""
    size = 0.0
    words = 0.0
    points = 0
    stops = 0
    digits = 0
    upper = 0
    letters = 0
    marks = 0
    lines = 1
    inside = False
    last = np.uint32(0)
    first = np.uint32(0)
    while i < stop:
        c = np.uint32(text[i])
        if c < 0x80:
            point = c
            i += 1
        elif c < 0xE0:
            point = ((c & 31) << 6) | (text[i + 1] & 63)
            i += 2
        elif c < 0xF0:
            point = ((c & 15) << 12) | ((text[i + 1] & 63) << 6) | (text[i + 2] & 63)
            i += 3
        else:
            point = (
                ((c & 7) << 18) | ((text[i + 1] & 63) << 12) | ((text[i + 2] & 63) << 6) | (text[i + 3] & 63)
            )
            i += 4
        if point == 32 or point == 9 or point == 10:
            inside = False
            lines += point == 10
            continue
        points += 1
        if first == 0:
            first = point
        wide = 0x3040 <= point <= 0x30FF or 0x3400 <= point <= 0x9FFF or 0x20000 <= point <= 0x3FFFF
        size += WIDE if wide else 1
        if wide:
            words += WORDS_WIDE
            letters += 1
        else:
            if not inside:
                words += 1.0
                inside = True
            if 97 <= point <= 122 or (point > 0xBF and not 0x2000 <= point <= 0x303F):
                letters += 1
            elif 65 <= point <= 90:
                letters += 1
                upper += 1
            elif 48 <= point <= 57:
                digits += 1
            elif point == 46 or point == 44 or point == 33 or point == 63 or point == 59 or point == 0x60C:
                stops += 1
        if (
            0x3001 <= point <= 0x3002
            or point == 0xFF0C
            or point == 0xFF01
            or point == 0xFF1F
            or point == 0x6D4
            or point == 0x61F
        ):
            stops += 1
        if (
            point == 0xA9
            or point == 124
            or point == 0xBB
            or point == 0xAB
            or point == 0x203A
            or point == 0x2192
            or point == 0x2022
            or point == 0xB7
            or point == 35
            or point == 64
            or point == 0xAE
            or point == 0x25B6
        ):
            marks += 1
        if (
            point != 34
            and point != 39
            and point != 41
            and point != 0x201D
            and point != 0x2019
            and point != 0x300D
        ):
            last = point
    row[0] = np.log1p(size)
    row[1] = np.log1p(words)
    row[3] = stops / max(words, 1.0)
    row[4] = (
        last == 46
        or last == 33
        or last == 63
        or last == 0x3002
        or last == 0xFF01
        or last == 0xFF1F
        or last == 0x2026
        or last == 0x6D4
        or last == 0x61F
        or last == 0x964
    ) + 0.5 * (last == 58 or last == 0xFF1A or last == 44 or last == 59)
    row[5] = digits / max(points, 1)
    row[6] = upper / max(letters, 1)
    row[7] = min(size / max(words, 1.0), 40.0)
    row[9] = np.log1p(lines)
    row[10] = min(marks, 8)
    row[11] = 97 <= first <= 122
    return size


@njit(cache=True, nogil=True)
def _sums(parent, values):
    """For each element, the sum of its own values and those of all below."""
    total = values.copy()
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
def _text_hashes(text, start):
    """FNV-1a of each block's text."""
    out = np.zeros(start.size - 1, np.uint64)
    for b in range(out.size):
        value = np.uint64(0xCBF29CE484222325)
        for i in range(start[b], start[b + 1]):
            value = (value ^ np.uint64(text[i])) * np.uint64(0x100000001B3)
        out[b] = value
    return out


@njit(cache=True, nogil=True)
def _core(parent, running):
    """Elements from the page down to the one that parts its running text, deepest last; and its share."""
    best = np.zeros(parent.size, np.int32)  # the child with most running text
    for node in range(1, parent.size):
        above = parent[node]
        if best[above] == 0 or running[node] > running[best[above]]:
            best[above] = node
    rank = np.zeros(parent.size, np.int32)
    rank[0] = 1
    node = 0
    depth = 1
    while best[node] and running[best[node]] > CORE_SHARE * running[node] and running[best[node]] > 0:
        node = best[node]
        depth += 1
        rank[node] = depth
    return rank, node, depth


@njit(cache=True, nogil=True)
def _aside(parent, own, running):
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
        elif own[node] & POPUP and running[node] <= CORE_SHARE * running[0]:
            aside[node] = IN_POPUP
    if comments > CORE_SHARE * running[0] and running[0] - comments < ENOUGH:
        for node in range(parent.size):
            if aside[node] == IN_COMMENTS:
                aside[node] = 0
    return aside


@njit(cache=True, nogil=True)
def _around(row, at, node, size, linked, running, blocks, tags, order):
    row[at] = np.log1p(size[node])
    row[at + 1] = linked[node] / max(size[node], 1.0)
    row[at + 2] = running[node] / max(running[0], 1.0)
    row[at + 3] = np.log1p(blocks[node])
    row[at + 4] = order[tags[node]]


@njit(cache=True, nogil=True)
def block_features(text, start, node_of, facts, link_bytes, links, parent, tags, own, look, order):
    """See page_features."""
    n = node_of.size
    m = parent.size
    rows = np.zeros((n, WIDTH), np.float32)
    sizes = np.zeros(n, np.float32)
    size = np.zeros(m, np.float64)
    linked = np.zeros(m, np.float64)
    running = np.zeros(m, np.float64)
    blocks = np.zeros(m, np.float64)
    is_running = np.zeros(n, np.bool_)
    for b in range(n):
        row = rows[b]
        sizes[b] = _text_stats(text, start[b], start[b + 1], row)
        share = min(1.0, link_bytes[b] / max(start[b + 1] - start[b], 1))
        row[2] = share
        row[8] = np.log1p(links[b])
        is_running[b] = sizes[b] >= RUNNING and share <= MAX_LINKED
        node = node_of[b]
        size[node] += sizes[b]
        linked[node] += sizes[b] * share
        blocks[node] += 1
        if is_running[b]:
            running[node] += sizes[b]
    size, linked, blocks = _sums(parent, size), _sums(parent, linked), _sums(parent, blocks)
    aside = _aside(parent, own, _sums(parent, running))
    shown = 0.0
    unshown = 0.0
    for b in range(n):
        if is_running[b] and aside[node_of[b]] == 0:
            if facts[b] & HIDDEN_BIT:
                unshown += sizes[b]
            else:
                shown += sizes[b]
    out = np.zeros(n, np.uint8)
    for b in range(n):
        out[b] = aside[node_of[b]]
        if facts[b] & HIDDEN_BIT and unshown < UNCOVERED * shown:
            out[b] = HIDDEN
    running[:] = 0
    for b in range(n):
        is_running[b] = is_running[b] and out[b] == 0
        if is_running[b]:
            running[node_of[b]] += sizes[b]
    running = _sums(parent, running)
    group = groups(look)
    alike = np.zeros(m)  # elements of a group, and what its blocks hold
    alike_size = np.zeros(m)
    alike_links = np.zeros(m)
    for node in range(m):
        alike[group[node]] += 1
        alike_size[group[node]] += size[node]
        alike_links[group[node]] += linked[node]
    same = groups(_text_hashes(text, start))
    repeats = np.zeros(n)
    for b in range(n):
        repeats[same[b]] += 1
    rank, core, core_depth = _core(parent, running)
    # from the page down: depth, branch off the core, and class words of elements that do not hold the core
    depth = np.zeros(m, np.int32)
    branch = np.zeros(m, np.int32)
    anchor = np.zeros(m, np.int32)
    words = np.zeros(m, np.int64)
    all_words = np.zeros(m, np.int64)
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
        if running[node] <= CORE_SHARE * running[0] or running[0] == 0:
            words[node] |= own[node] >> WORD_SHIFT
    total = max(size[0], 1.0)
    total_running = max(running[0], 1.0)
    before = 0.0
    before_running = 0.0
    last_running = -1
    last_heading = -1
    last_h1 = -1
    for b in range(n):
        row = rows[b]
        node = node_of[b]
        at = N_TEXT
        for shift in (-2, -1, 1, 2):
            k = b + shift
            if 0 <= k < n:
                row[at] = rows[k, 0]
                row[at + 1] = rows[k, 2]
                row[at + 2] = rows[k, 4]
                other = node_of[k]
                row[at + 3] = (tags[other] == tags[node]) + (parent[other] == parent[node])
            else:
                row[at] = -1
            at += N_NEAR
        row[at] = before_running / total_running
        own_running = sizes[b] if is_running[b] else 0.0
        row[at + 1] = (running[0] - before_running - own_running) / total_running
        close = 0.0
        near_linked = 0.0
        near_size = 1.0
        for k in range(max(0, b - 4), min(n, b + 5)):
            if k != b:
                close += sizes[k] if is_running[k] else 0.0
                near_size += sizes[k]
                near_linked += sizes[k] * rows[k, 2]
        row[at + 2] = np.log1p(close)
        row[at + 3] = near_linked / near_size
        row[at + 4] = before / total
        row[at + 5] = min(b - last_running, 30) if last_running >= 0 else 40
        if tags[node] >= _H1 and tags[node] <= _H6:
            last_heading = b
            if tags[node] == _H1:
                last_h1 = b
        row[at + 7] = min(b - last_heading, 30) if last_heading >= 0 else 40
        row[at + 8] = min(b - last_h1, 60) if last_h1 >= 0 else 80
        row[at + 9] = np.log1p(size[0])
        row[at + 10] = running[0] / total
        row[at + 11] = linked[0] / total
        row[at + 12] = np.log1p(n)
        row[at + 13] = sizes[b] / total_running
        before += sizes[b]
        before_running += own_running
        if is_running[b]:
            last_running = b
        at += N_PLACE
        row[at] = order[tags[node]]
        at += 1
        _around(row, at, parent[node], size, linked, running, blocks, tags, order)
        _around(row, at + N_AROUND, parent[parent[node]], size, linked, running, blocks, tags, order)
        _around(row, at + 2 * N_AROUND, branch[node], size, linked, running, blocks, tags, order)
        at += 3 * N_AROUND
        up = core_depth - rank[anchor[node]]
        row[at] = min(core_depth, 30)
        row[at + 1] = min(up, 10)
        row[at + 2] = running[core] / total_running
        row[at + 3] = np.log1p(children[branch[node]])
        kind = group[node]
        above = group[parent[node]]
        row[at + 4] = np.log1p(alike[kind])
        row[at + 5] = np.log1p(alike[above])
        row[at + 6] = min(depth[node], 40) - min(core_depth, 30)
        row[at + 7] = np.log1p(alike_size[kind] / alike[kind])
        row[at + 8] = alike_links[kind] / max(alike_size[kind], 1.0)
        row[at + 9] = np.log1p(alike_size[above] / alike[above])
        row[at + 10] = alike_links[above] / max(alike_size[above], 1.0)
        row[at + 11] = min(repeats[same[b]], 20)
        at += 12
        for bit in range(N_FACTS):
            row[at + bit] = facts[b] >> bit & 1
        at += N_FACTS
        inline = facts[b] >> WORD_SHIFT & ~all_words[node]  # of inline elements that hold the whole block
        near = own[node] >> WORD_SHIFT | inline
        if anchor[node] != parent[node]:
            near |= own[parent[node]] >> WORD_SHIFT
        for bit in range(N_WORDS):
            row[at + bit] = (words[node] | inline) >> bit & 1
            row[at + N_WORDS + bit] = near >> bit & 1
    next_running = -1
    place = N_TEXT + 4 * N_NEAR + 6
    for b in range(n - 1, -1, -1):
        rows[b, place] = min(next_running - b, 30) if next_running >= 0 else 40
        if is_running[b]:
            next_running = b
    return rows, sizes, out, group
