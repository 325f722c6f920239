"""The elements of a page, and which of them are open where; compiled. No tree: elements know their parents.

Compiled into `_best_scan_kernels.py`, whose cached machine code must be removed when this file is edited.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.extraction._best_tags import (
    BLOCK,
    CODE,
    IGNORE,
    KIND,
    NAMES,
    RAW_TEXT,
    SKIP,
    SKIP_BIT,
    split_names,
)

MAX_DEPTH = 256
A, BR, HR, BODY, HTML = (CODE[name] for name in ["a", "br", "hr", "body", "html"])
_PRIME = np.uint64(0x100000001B3)
_PASSES, _CLOSES, _STOPS = range(3)  # what a tag does that meets an open element, from the deepest up
_CELLS = "td th caption"
_TABLE_PARTS = "td th tr thead tbody tfoot caption"
# Whose end tags may be left out: start tags, the open elements that they close, the only blocks where they stop.
_LEFT_OUT = [
    ("td th", "td th", "tr table"),
    ("tr", "tr", "table"),
    ("tbody thead tfoot", "tbody thead tfoot", "table"),
]
_ITEMS_LEFT_OUT = [("li", "li"), ("dt dd", "dt dd")]  # stop at any block but for these
_PASSED_BY_ITEMS = "p div address"


def _codes(names: str) -> list[int]:
    return [CODE[name] for name in split_names(names)]


def _at_start_tags() -> np.ndarray:
    """uint8 [start tag, open element]: elements whose end tag was left out, as a block's start tag tells.

    Any closes an open paragraph but for those of list items, and stops at the next block.
    """
    meets = np.full((len(NAMES), len(NAMES)), _STOPS, np.uint8)
    for starts, _, stops in _LEFT_OUT:
        meets[_codes(starts)] = _PASSES
        meets[np.ix_(_codes(starts), _codes(stops))] = _STOPS
    meets[:, CODE["p"]] = _CLOSES
    for starts, closed in _ITEMS_LEFT_OUT:
        meets[np.ix_(_codes(starts), _codes(_PASSED_BY_ITEMS))] = _PASSES
        meets[np.ix_(_codes(starts), _codes(closed))] = _CLOSES
    for starts, closed, _ in _LEFT_OUT:
        meets[np.ix_(_codes(starts), _codes(closed))] = _CLOSES
    meets[:, KIND != BLOCK] = _PASSES
    return meets


def _at_end_tags() -> np.ndarray:
    """uint8 [end tag, open element]: elements that an end tag closes, or at which its reach ends.

    An inline end tag reaches to the next block; a block's to the next table cell; a table part's to its table;
    that of what is skipped, anywhere.
    """
    meets = np.full((len(NAMES), len(NAMES)), _PASSES, np.uint8)
    meets[:, _codes(_CELLS)] = _STOPS
    meets[CODE["table"]] = _PASSES
    meets[_codes(_TABLE_PARTS)] = _PASSES
    meets[_codes(_TABLE_PARTS), CODE["table"]] = _STOPS
    meets[np.ix_(KIND != BLOCK, KIND == BLOCK)] = _STOPS
    meets[KIND == SKIP] = _PASSES
    np.fill_diagonal(meets, _CLOSES)
    return meets


_AT_START, _AT_END = _at_start_tags(), _at_end_tags()


class Elements(NamedTuple):
    """Elements in the order of their start tags, and where each tag of the page leaves us."""

    parent: np.ndarray  # int32 [nodes]; node 0 is the page, its own parent
    tag: np.ndarray  # uint8 [nodes]
    own: np.ndarray  # int64 [nodes], bits of tag and class words of this element alone
    look: np.ndarray  # uint64 [nodes], hash of tag, parent's tag and class: elements alike
    carried: np.ndarray  # int64 [nodes], own bits and those above
    holder: np.ndarray  # int32 [nodes], nearest block-level element
    inside: np.ndarray  # int32 [tags], deepest open element after the tag
    state: np.ndarray  # int64 [tags], carried bits that say if text after it is skipped, linked, preformatted


@njit(cache=True, nogil=True)
def _close(stack, top, tag, meets):
    """Top of the stack once the elements are closed that a tag closes; `meets` is its row of _AT_START or _AT_END."""
    for k in range(top, 0, -1):
        met = meets[tag[stack[k]]]
        if met != _PASSES:
            return k - 1 if met == _CLOSES else top
    return top


@njit(cache=True, nogil=True)
def build_elements(tags, facts_of):
    """The Elements of a page from its Tags. What is opened deeper than MAX_DEPTH belongs to the deepest."""
    codes, kinds, is_end, bits, shapes = tags.code, tags.kind, tags.is_end, tags.bits, tags.shape
    n = codes.size
    parent, tag, own = np.zeros(n, np.int32), np.zeros(n, np.uint8), np.zeros(n, np.int64)
    look, carried, holder = np.zeros(n, np.uint64), np.zeros(n, np.int64), np.zeros(n, np.int32)
    inside, states = np.empty(n, np.int32), np.empty(n, np.int64)
    stack = np.zeros(MAX_DEPTH + 1, np.int32)
    top = too_deep = 0
    nodes = 1
    # Not always that of the deepest open element: an <hr>, and a tag too deep, leave it though they may close some.
    state = np.int64(0)
    for t in range(n):
        code, kind = codes[t], kinds[t]
        if kind in (IGNORE, RAW_TEXT) or code in (BR, BODY, HTML):
            pass  # opens and closes nothing
        elif is_end[t] and too_deep:
            too_deep -= 1
        elif is_end[t]:
            top = _close(stack, top, tag, _AT_END[code])
            state = carried[stack[top]]
        else:
            if code == A and state & facts_of[A]:
                top = _close(stack, top, tag, _AT_END[code])
            elif kind == BLOCK:
                left = _close(stack, top, tag, _AT_START[code])
                too_deep = 0 if left < top else too_deep
                top = left
            if code != HR and top >= MAX_DEPTH:
                too_deep += 1
            elif code != HR:
                above = stack[top]
                parent[nodes] = above
                tag[nodes] = code
                own[nodes] = bits[t] | facts_of[code] | (SKIP_BIT if kind == SKIP else 0)
                look[nodes] = (shapes[t] ^ np.uint64(code) ^ (np.uint64(tag[above]) << np.uint64(8))) * _PRIME
                state = carried[above] | own[nodes]
                carried[nodes] = state
                holder[nodes] = nodes if kind == BLOCK else holder[above]
                top += 1
                stack[top] = nodes
                nodes += 1
        inside[t] = stack[top]
        states[t] = state
    own, look, carried, holder = own[:nodes], look[:nodes], carried[:nodes], holder[:nodes]
    return Elements(parent[:nodes], tag[:nodes], own, look, carried, holder, inside, states)
