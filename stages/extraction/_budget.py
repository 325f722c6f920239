"""What a page may cost: bytes, tags and depth, counted before any parser sees it.

A time limit drops other pages on another machine; these three numbers depend on the bytes alone. Depth needs
one most: lxml's engines silently lose what lies below 256 levels unless told otherwise, and resiliparse took
7.5 s of CPU for 20,000 nested elements (0.04 s for 2,000). jusText is quadratic in paragraphs: 39 s for a
page of 100,000 tags, 0.4 s for 10,000. The deepest of 188 real articles nests 38 levels, the fullest has
19,252 tags; of 261 responses of a 2008 crawl the fullest has 70,535 (trafilatura: 1.2 s).
"""

from typing import NamedTuple

import numpy as np

from stages.extraction._kernels import name_hash, nesting_depth


class Cost(NamedTuple):
    """What a page weighs."""

    bytes: int
    tags: int  # every "<", so an upper bound
    depth: int  # an estimate: see nesting_depth


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
    """Bytes, tags and nesting depth of a page, in time linear in its length.

    >>> page_cost(b"<ul><li>one<li>two</ul>")
    Cost(bytes=23, tags=4, depth=1)
    """
    data = np.frombuffer(content, np.uint8)
    depth = nesting_depth(data, FLAT, RAW_TEXT, NEVER_EMPTY)
    return Cost(len(content), content.count(b"<"), int(depth))
