"""Main text by jusText (Pomikálek, Removing Boilerplate and Duplicate Content, 2011): stop words and links.

It judges each paragraph by its length, its share of stop words and its share of link text, then by its
neighbours. It needs the stop words of the page's language: with the wrong ones it finds no main text.
"""

from typing import Literal, NamedTuple

import justext
from justext.core import (
    ParagraphMaker,
    classify_paragraphs,
    preprocessor,
    revise_paragraph_classification,
)

from stages.extraction._dom import parse_html


class Thresholds(NamedTuple):
    """jusText's own, in its order: characters, characters, share, share, share, characters."""

    length_low: int
    length_high: int
    stopwords_low: float
    stopwords_high: float
    max_link_density: float
    max_heading_distance: int


# Token F1 on 58 articles: .705, .771, .762; on 130 pages, many of which are not English and lose all with
# the English list: .507, .539, .554.
BY_FAVOUR: dict[str, Thresholds] = {
    "precision": Thresholds(70, 200, 0.30, 0.32, 0.2, 200),  # the defaults of the library
    "balanced": Thresholds(50, 140, 0.20, 0.25, 0.3, 400),
    "recall": Thresholds(30, 100, 0.10, 0.15, 0.4, 600),
}


def stop_words(language: str) -> frozenset[str]:
    """The library's list for a language by its English name.

    Raises:
        ValueError: it has no such list.
    """
    return justext.get_stoplist(language)  # type: ignore[no-any-return]


def languages() -> frozenset[str]:
    """English names of the languages that have a list."""
    return justext.get_stoplists()  # type: ignore[no-any-return]


def extract_justext(
    markup: str,
    favour: Literal["precision", "balanced", "recall"],
    stoplist: frozenset[str],
    tables: bool = True,
) -> str:
    """Paragraphs that are not boilerplate, on lines of their own; empty if there are none.

    Args:
        markup: the page.
        favour: which thresholds, see BY_FAVOUR.
        stoplist: from stop_words().
        tables: keep paragraphs that lie inside a table.
    """
    tree = parse_html(markup)
    if tree is None:
        return ""
    limits = BY_FAVOUR[favour]
    paragraphs = ParagraphMaker.make_paragraphs(preprocessor(tree))
    classify_paragraphs(
        paragraphs,
        stoplist,
        limits.length_low,
        limits.length_high,
        limits.stopwords_low,
        limits.stopwords_high,
        limits.max_link_density,
        no_headings=False,
    )
    revise_paragraph_classification(paragraphs, limits.max_heading_distance)
    kept = (p for p in paragraphs if not p.is_boilerplate and (tables or ".td" not in p.dom_path))
    return "\n".join(p.text for p in kept)
