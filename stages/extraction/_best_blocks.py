"""Main text from blocks: which to keep, how sure that is, and how they are written."""

from typing import NamedTuple

import numpy as np

from stages.extraction._best_features import FEATURES, page_features
from stages.extraction._best_kernels import nearest
from stages.extraction._best_model import block_odds
from stages.extraction._best_scan import Scan, scan_page
from stages.extraction._best_tags import CODE
from stages.extraction._best_tree_kernels import IN_COMMENTS

KEEP = 0.5  # odds from which a block is kept; F1 is best near half of the F1 that is reached
LAYOUT_SHARE = 0.6  # a table with more of the kept text is the page's layout, not data
MIN_COMMENT_WORDS = 3
_WORDS, _LINKS = FEATURES.index("words"), FEATURES.index("link_share")
_LI, _TR, _TABLE, _TD, _TH = (CODE[name] for name in ["li", "tr", "table", "td", "th"])


class Blocks(NamedTuple):
    """The main text as the model sees it, and how doubtful it is: 1 - the F1 it expects of itself."""

    text: str
    doubt: float
    blocks: int  # that the page has, kept or not


def expected_f1(odds: np.ndarray, sizes: np.ndarray, keep: np.ndarray) -> float:
    """2 TP / (kept + gold) by letters, if each block is main text as likely as its odds say.

    >>> expected_f1(np.array([1.0, 0.5]), np.array([3.0, 2.0]), np.array([True, False]))
    0.8571428571428571
    """
    gold, kept = float((odds * sizes).sum()), float(sizes[keep].sum())
    return 2 * float((odds * sizes)[keep].sum()) / (gold + kept) if kept else 0.0


def extract_blocks(markup: str, tables: bool = True, comments: bool = False) -> Blocks:
    """Main text of a page by its blocks; empty, with full doubt, if it has none."""
    scan = scan_page(markup)
    if not len(scan.node):
        return Blocks("", 1.0, 0)
    features = page_features(scan)
    rows, sizes, out, _ = features
    odds = block_odds(scan, features)
    keep = odds > KEEP
    doubt = 1.0 - expected_f1(odds, sizes, keep)
    if comments:
        keep |= (
            (out == IN_COMMENTS) & (rows[:, _WORDS] >= np.log1p(MIN_COMMENT_WORDS)) & (rows[:, _LINKS] < KEEP)
        )
    if not tables:
        keep &= ~_in_data_table(scan, np.where(keep, sizes, 0.0))
    return Blocks(_written(scan, np.flatnonzero(keep)), doubt, len(keep))


def _in_data_table(scan: Scan, kept: np.ndarray) -> np.ndarray:
    table = nearest(scan.parent, scan.tag, _TABLE)[scan.node]
    held = np.bincount(table, kept, len(scan.parent))
    return np.asarray((table > 0) & (held[table] <= LAYOUT_SHARE * max(float(kept.sum()), 1.0)))


def _written(scan: Scan, kept: np.ndarray) -> str:
    """A line a block; `- ` before a list item, cells of a row on one line with tabs between."""
    data = scan.text.tobytes()
    starts, stops = scan.start[kept].tolist(), scan.start[kept + 1].tolist()
    nodes = scan.node[kept]
    item = nearest(scan.parent, scan.tag, _LI)[nodes].tolist()
    is_cell = np.isin(scan.tag[nodes], (_TD, _TH))
    row = np.where(is_cell, nearest(scan.parent, scan.tag, _TR)[nodes], 0).tolist()
    parts: list[bytes] = []
    for k, (i, j) in enumerate(zip(starts, stops, strict=True)):
        if k:
            parts.append(b"\t" if row[k] and row[k] == row[k - 1] else b"\n")
        if item[k] and (k == 0 or item[k] != item[k - 1]) and nodes[k] == item[k]:
            parts.append(b"- ")
        parts.append(data[i:j].strip(b"\n"))
    return b"".join(parts).decode("utf-8", "replace")
