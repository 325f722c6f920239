"""What a page may cost: bytes, tags, depth and attributes, counted before any parser sees it.

A time limit drops other pages on another machine; these four numbers depend on the bytes alone. Depth needs
one most: lxml's engines silently lose what lies below 256 levels unless told otherwise, and resiliparse
took 7.5 s of CPU for 20,000 nested elements (0.04 s for 2,000). Attributes of one tag are compared with
each other: a tag with a million different ones kept lexbor busy for more than 200 s. The deepest of 188
real articles nests 38 levels, the fullest has 19,252 tags, and a tag at most 70 attributes; of 261
responses of a 2008 crawl the fullest has 70,535 tags (trafilatura: 1.2 s).
"""

from typing import NamedTuple

import numpy as np

from stages.extraction._kernels import measure_tags, name_hash


class Cost(NamedTuple):
    """What a page weighs."""

    bytes: int
    tags: int  # every "<", so an upper bound
    depth: int  # an estimate: see measure_tags
    attributes: int  # of the tag that has most


def _hashes(names: str) -> np.ndarray:
    return np.array([name_hash(name) for name in names.split()], np.uint64)


# Void elements, and elements whose next sibling or parent closes them (HTML, optional tags): authors leave
# their end tags out, so counting them would call any long list deep.
FLAT = _hashes(
    "area base br col embed hr img input link meta param source track wbr frame keygen html head body "
    "p li dt dd tr td th thead tbody tfoot caption colgroup option optgroup rt rp a nobr button"
)
RAW_TEXT = _hashes("script style textarea title xmp iframe noembed noframes")
NEVER_EMPTY = _hashes("div span section article ul ol table b i u em strong font center blockquote")


def page_cost(content: bytes) -> Cost:
    """Bytes, tags, nesting depth and attributes of a page, in time linear in its length.

    >>> page_cost(b"<ul class=a><li>one<li>two</ul>")
    Cost(bytes=31, tags=4, depth=1, attributes=1)
    """
    data = np.frombuffer(content, np.uint8)
    depth, attributes = measure_tags(data, FLAT, RAW_TEXT, NEVER_EMPTY)
    return Cost(len(content), int(np.count_nonzero(data == ord("<"))), int(depth), int(attributes))
