"""A page as blocks of text, and the elements around them; compiled.

Not a conforming HTML5 parser: it knows the optional end tags, scopes of table cells and links, and what is not
text, which is what decides where lines break and what is inside of what. Tags first, then what they open and
close, then the text between them.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.extraction._best_element_kernels import BR, A, build_elements
from stages.extraction._best_markup_kernels import (
    is_blank,
    is_letter,
    is_plain,
    markup_end,
    raw_end,
    read_attributes,
    read_text,
    tag_code,
)
from stages.extraction._best_tags import BLOCK, CODE, IGNORE, RAW_TEXT, SKIP_BIT

PRE = CODE["pre"]


class Tags(NamedTuple):
    """The markup of a page in order; the first is none, stands before the page, and changes nothing.

    Comments, doctypes and their like are here with the kind of tags that are ignored.
    """

    begin: np.ndarray  # int64 [tags + 1] in the page; the last is the page's end
    end: np.ndarray  # int64 [tags], index after it, and after its content if that is raw text
    code: np.ndarray  # uint8 [tags]
    kind: np.ndarray  # uint8 [tags]
    is_end: np.ndarray  # bool [tags]
    bits: np.ndarray  # int64 [tags], of its attributes
    shape: np.ndarray  # uint64 [tags], hash of its class


@njit(cache=True, nogil=True)
def _begins_markup(c):
    """Whether a `<` before the byte c begins a tag or a comment, rather than being text."""
    return is_letter(c) or c == 33 or c == 47 or c == 63  # ! / ?


@njit(cache=True, nogil=True)
def _count_open(data):
    """How many `<` there are; a counter of 64 bits, which numba would take, is slower by half."""
    count = np.uint32(0)
    for c in data:
        count = np.uint32(count + np.uint32(c == 60))
    return np.int64(count)


@njit(cache=True, nogil=True)
def _read_tags(data, kinds, hashes, codes, steps, ends):
    """The Tags of a page."""
    n = data.size
    most = _count_open(data) + 2
    begin, end = np.empty(most, np.int64), np.empty(most, np.int64)
    code, kind, is_end = np.zeros(most, np.uint8), np.zeros(most, np.uint8), np.zeros(most, np.bool_)
    bits, shape = np.zeros(most, np.int64), np.zeros(most, np.uint64)
    begin[0] = end[0] = 0
    kind[0] = IGNORE
    t = 1
    i = 0
    while i < n:
        while i < n and data[i] != 60:
            i += 1
        if i + 1 >= n or not _begins_markup(data[i + 1]):
            i += 1
            continue
        begin[t] = i
        closes = data[i + 1] == 47
        is_end[t] = closes
        name = i + 2 if closes else i + 1
        if name < n and is_letter(data[name]):
            found, i = tag_code(data, name, hashes, codes)
            code[t] = found
            kind[t] = kinds[found]
            i, bits[t], shape[t] = read_attributes(data, i, steps, ends)
            if kinds[found] == RAW_TEXT and not closes:
                i = raw_end(data, i, found, hashes, codes)
        else:
            kind[t] = IGNORE
            i = markup_end(data, i + 2)
        end[t] = i
        t += 1
    begin[t] = n
    return Tags(begin[: t + 1], end[:t], code[:t], kind[:t], is_end[:t], bits[:t], shape[:t])


@njit(cache=True, nogil=True)
def _keep_blank(out, o, c):
    """Write a blank of preformatted text, given its first byte; return the index after."""
    if c == 13:
        return o
    out[o] = c if c < 128 else 32
    return o + 1


@njit(cache=True, nogil=True)
def _read_blocks(data, tags, elements, a_bit, pre_bit, ref_hashes, ref_numbers, ref_texts):
    """The first fields of a Scan, those of blocks.

    One function, as its loop runs once a word: a call with arrays for each would cost more than all else here.
    """
    begin, end, code, kind = tags.begin, tags.end, tags.code, tags.kind
    inside, states, carried, holder = elements.inside, elements.state, elements.carried, elements.holder
    n = code.size
    out = np.empty(data.size + 16, np.uint8)
    start, node_of, facts = np.zeros(n + 1, np.int64), np.zeros(n, np.int32), np.zeros(n, np.int64)
    link_bytes, links = np.zeros(n, np.int32), np.zeros(n, np.int32)
    blocks = o = newest = 0
    open_block = space = line_ended = False
    for t in range(n):
        node, state = inside[t], states[t]
        in_link, in_pre = (state & a_bit) != 0, (state & pre_bit) != 0
        if open_block and code[t] == BR and not line_ended:
            out[o] = 10
            o += 1
            space = False
            line_ended = not in_pre
        elif open_block and kind[t] == BLOCK:
            blocks += 1
            open_block = space = line_ended = False
        if node > newest:  # this tag has opened it
            newest = node
            links[blocks] += code[t] == A
        if state & SKIP_BIT:
            continue
        i, stop = end[t], begin[t + 1]
        while i < stop:
            if not (in_pre and open_block) and is_blank(data[i]):
                space = open_block
                i += 1
                while i < stop and is_blank(data[i]):
                    i += 1
                continue
            room = o + (1 if space and not line_ended else 0)
            after, blank = room, False
            while i < stop and is_plain(data[i]):  # nearly all text
                out[after] = data[i]
                after += 1
                i += 1
            if after == room:
                i, after, blank = read_text(data, i, out, room, ref_hashes, ref_numbers, ref_texts)
            if blank and in_pre and open_block:
                o = _keep_blank(out, o, out[room])
            elif blank:
                space = open_block
            elif after > room:
                if not open_block:
                    open_block = True
                    start[blocks], node_of[blocks], facts[blocks] = o, holder[node], carried[node]
                facts[blocks] &= carried[node]
                if room > o:
                    out[o] = 32
                if in_link:
                    link_bytes[blocks] += after - o
                o = after
                space = line_ended = False
    blocks += open_block
    start[blocks] = o
    return out[:o], start[: blocks + 1], node_of[:blocks], facts[:blocks], link_bytes[:blocks], links[:blocks]


@njit(cache=True, nogil=True)
def scan(data, kinds, facts_of, hashes, codes, steps, ends, ref_hashes, ref_numbers, ref_texts):
    """The fields of a Scan of the page `data`, by the tables of _best_tags."""
    tags = _read_tags(data, kinds, hashes, codes, steps, ends)
    elements = build_elements(tags, facts_of)
    a_bit, pre_bit = facts_of[A], facts_of[PRE]
    blocks = _read_blocks(data, tags, elements, a_bit, pre_bit, ref_hashes, ref_numbers, ref_texts)
    return (*blocks, elements.parent, elements.tag, elements.own, elements.look)
