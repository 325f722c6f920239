"""A page as blocks of text and the elements around them. No tree, no recursion, linear in the page's length.

The scan never fails, and holds at most MAX_DEPTH open elements: what is deeper belongs to the deepest.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from stages.extraction._best_scan_kernels import scan
from stages.extraction._best_tags import (
    FACT_OF,
    KIND,
    REFERENCE_BYTES,
    REFERENCE_HASHES,
    REFERENCE_NUMBERS,
    TAG_CODES,
    TAG_HASHES,
    WORD_ENDS,
    WORD_STEPS,
)


class Scan(NamedTuple):
    """Blocks in page order, and elements in the order of their start tags (so parents come first).

    A block is a run of text that no block-level tag interrupts, blanks collapsed (kept in `<pre>`), references
    decoded; one `<br>` is a line end in it, two end it.
    """

    text: np.ndarray  # uint8 [bytes], the text of all blocks, one after another
    start: np.ndarray  # int64 [blocks + 1] in `text`
    node: np.ndarray  # int32 [blocks], the nearest block-level element
    facts: np.ndarray  # int64 [blocks], bits of it and of inline elements that hold the whole block
    link_bytes: np.ndarray  # int32 [blocks], bytes of text inside links, with the blank before
    links: np.ndarray  # int32 [blocks]
    parent: np.ndarray  # int32 [nodes]; node 0 is the page, its own parent
    tag: np.ndarray  # uint8 [nodes]
    own: np.ndarray  # int64 [nodes], bits of tag and class words of this element alone
    look: np.ndarray  # uint64 [nodes], hash of tag, parent's tag and class: elements alike


def scan_page(markup: str) -> Scan:
    """Blocks and elements of a decoded page."""
    data = np.frombuffer(markup.encode("utf-8", "ignore"), np.uint8)
    words = (WORD_STEPS, WORD_ENDS)
    references = (REFERENCE_HASHES, REFERENCE_NUMBERS, REFERENCE_BYTES)
    return Scan(*scan(data, KIND, FACT_OF, TAG_HASHES, TAG_CODES, *words, *references))


def block_texts(scan: Scan) -> list[str]:
    """The text of each block."""
    data = scan.text.tobytes()
    bounds = scan.start.tolist()
    return [data[i:j].decode("utf-8", "replace") for i, j in pairwise(bounds)]
