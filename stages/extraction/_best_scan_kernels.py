"""One pass over the bytes of a page: blocks of text, and the elements around them; compiled.

Not a conforming HTML5 parser: it knows the optional end tags, scopes of table cells and links, and what is not
text, which is what decides where lines break and what is inside of what.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

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
from stages.extraction._best_tags import BLOCK, CODE, IGNORE, RAW_TEXT, SKIP, SKIP_BIT

MAX_DEPTH = 256
_PRIME = np.uint64(0x100000001B3)
P, LI, DT, DD, TD, TH, TR, TABLE = (CODE[name] for name in ["p", "li", "dt", "dd", "td", "th", "tr", "table"])
THEAD, TBODY, TFOOT, CAPTION = (CODE[name] for name in ["thead", "tbody", "tfoot", "caption"])
UL, OL, DL, DIV, ADDRESS, A, BR, PRE = (
    CODE[name] for name in ["ul", "ol", "dl", "div", "address", "a", "br", "pre"]
)
BODY, HTML, HR = (CODE[name] for name in ["body", "html", "hr"])


@njit(cache=True, nogil=True)
def _above(stack, top, tags, kinds, code):
    """Position on the stack of the open element that an end tag or a start tag of `code` closes, or -1.

    An inline end tag reaches to the next block; a block's to the next table cell; a table part's to its table.
    """
    if kinds[code] == SKIP:
        for k in range(top, 0, -1):
            if tags[stack[k]] == code:
                return k
        return -1
    inline = kinds[code] != BLOCK
    part = code in (TD, TH, TR, THEAD, TBODY, TFOOT)
    for k in range(top, 0, -1):
        tag = tags[stack[k]]
        if tag == code:
            return k
        if inline and kinds[tag] == BLOCK:
            return -1
        if part or code == CAPTION:
            if tag == TABLE:
                return -1
        elif code != TABLE and (tag in (TD, TH, CAPTION)):
            return -1
    return -1


@njit(cache=True, nogil=True)
def _closed_by(stack, top, tags, kinds, code):
    """Position of the element whose end tag was left out, as the start tag `code` tells, or -1."""
    for k in range(top, 0, -1):
        tag = tags[stack[k]]
        if tag == P and code != P and (code in (LI, DT, DD)):
            continue
        if tag == P:
            return k
        if kinds[tag] != BLOCK:
            continue
        if code == LI:
            if tag == LI:
                return k
            if tag in (UL, OL):
                return -1
        elif code in (DT, DD):
            if tag in (DT, DD):
                return k
            if tag == DL:
                return -1
        elif code in (TD, TH):
            if tag in (TD, TH):
                return k
            if tag in (TR, TABLE):
                return -1
        elif code == TR:
            if tag == TR:
                return k
            if tag == TABLE:
                return -1
        elif code in (TBODY, TFOOT, THEAD):
            if tag in (TBODY, THEAD, TFOOT):
                return k
            if tag == TABLE:
                return -1
        else:
            return -1
        if (code in (LI, DT, DD)) and tag != DIV and tag != ADDRESS:
            return -1
    return -1


@njit(cache=True, nogil=True)
def scan(data, kinds, facts_of, hashes, codes, steps, ends, ref_hashes, ref_numbers, ref_texts):
    n = data.size
    most = 2
    for c in data:
        most += c == 60
    out = np.empty(n + 16, np.uint8)
    start = np.zeros(most + 1, np.int64)
    node_of = np.zeros(most + 1, np.int32)
    facts = np.zeros(most + 1, np.int64)
    link_bytes = np.zeros(most + 1, np.int32)
    links = np.zeros(most + 1, np.int32)
    parent = np.zeros(most, np.int32)
    tags = np.zeros(most, np.uint8)
    own = np.zeros(most, np.int64)
    look = np.zeros(most, np.uint64)
    carried = np.zeros(most, np.int64)  # own bits and those above
    holder = np.zeros(most, np.int32)  # nearest block-level element
    stack = np.zeros(MAX_DEPTH + 1, np.int32)
    a_bit = facts_of[A]
    pre_bit = facts_of[PRE]
    top = 0
    too_deep = 0
    nodes = 1
    blocks = 0
    o = 0
    open_block = False
    space = False
    breaks = 0
    skipped = False
    in_link = False
    in_pre = False
    i = 0
    while i < n:
        c = data[i]
        is_tag = c == 60 and i + 1 < n and (is_letter(data[i + 1]) or data[i + 1] == 33 or data[i + 1] == 63)
        is_end = c == 60 and i + 2 < n and data[i + 1] == 47 and is_letter(data[i + 2])
        if c == 60 and i + 1 < n and data[i + 1] == 47 and not is_end:  # "</" before no letter is a comment
            i = markup_end(data, i + 2)
            continue
        if not is_tag and not is_end:
            if skipped:
                i += 1
                while i < n and data[i] != 60:
                    i += 1
                continue
            at = i
            while i < n and is_blank(data[i]) and not (in_pre and open_block):
                i += 1
            if i > at:
                space = open_block
                continue
            room = o + (1 if space and breaks == 0 else 0)
            blank = False
            if is_plain(data[i]):  # nearly all text; a call for each word would cost more than all else here
                after = room
                while i < n and is_plain(data[i]):
                    out[after] = data[i]
                    after += 1
                    i += 1
            else:
                i, after, blank = read_text(data, i, out, room, ref_hashes, ref_numbers, ref_texts)
            if blank and in_pre and open_block:
                if out[room] != 13:
                    out[o] = out[room] if out[room] < 128 else 32
                    o += 1
            elif blank:
                space = open_block
            elif after > room:
                if not open_block:
                    open_block = True
                    start[blocks] = o
                    node_of[blocks] = holder[stack[top]]
                    facts[blocks] = carried[stack[top]]
                facts[blocks] &= carried[stack[top]]
                if room > o:
                    out[o] = 32
                if in_link:
                    link_bytes[blocks] += after - o
                o = after
                space = False
                breaks = 0
            continue
        if is_tag and not is_letter(data[i + 1]):
            i = markup_end(data, i + 2)
            continue
        code, i = tag_code(data, i + (2 if is_end else 1), hashes, codes)
        kind = kinds[code]
        i, bits, shape = read_attributes(data, i, steps, ends)
        if kind == IGNORE:
            continue
        ends_block = kind == BLOCK and code != BR
        if code == BR and open_block:
            if breaks:
                ends_block = True
            else:
                out[o] = 10
                o += 1
                space = False
                breaks = 0 if in_pre else 1
        if ends_block and open_block:
            blocks += 1
            open_block = False
            breaks = 0
            space = False
        if code in (BR, BODY, HTML):
            continue
        if kind == RAW_TEXT:
            if not is_end:
                i = raw_end(data, i, code, hashes, codes)
            continue
        if is_end:
            if too_deep:
                too_deep -= 1
                continue
            k = _above(stack, top, tags, kinds, code)
            if k > 0:
                top = k - 1
        else:
            if code == A and in_link:
                k = _above(stack, top, tags, kinds, code)
                if k > 0:
                    top = k - 1
            elif kind == BLOCK:
                k = _closed_by(stack, top, tags, kinds, code)
                if k > 0:
                    top = k - 1
                    too_deep = 0
            if code == HR:
                continue
            if top >= MAX_DEPTH:
                too_deep += 1
                continue
            above = stack[top]
            parent[nodes] = above
            tags[nodes] = code
            own[nodes] = bits | facts_of[code]
            if kind == SKIP:
                own[nodes] |= SKIP_BIT
            look[nodes] = (shape ^ np.uint64(code) ^ (np.uint64(tags[above]) << np.uint64(8))) * _PRIME
            carried[nodes] = carried[above] | own[nodes]
            holder[nodes] = nodes if kind == BLOCK else holder[above]
            links[blocks] += code == A
            top += 1
            stack[top] = nodes
            nodes += 1
        state = carried[stack[top]]
        skipped = (state & SKIP_BIT) != 0
        in_link = (state & a_bit) != 0
        in_pre = (state & pre_bit) != 0
    if open_block:
        blocks += 1
    start[blocks] = o
    return (
        out[:o],
        start[: blocks + 1],
        node_of[:blocks],
        facts[:blocks],
        link_bytes[:blocks],
        links[:blocks],
        parent[:nodes],
        tags[:nodes],
        own[:nodes],
        look[:nodes],
    )
