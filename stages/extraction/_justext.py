"""Main text by jusText (Pomikálek, Removing Boilerplate and Duplicate Content, 2011): stop words and links.

It judges each paragraph by its length, its share of stop words and its share of link text, then by its
neighbours. It needs the stop words of the page's language: with the wrong ones it finds no main text.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import justext
from justext.core import ParagraphMaker, classify_paragraphs, preprocessor
from justext.paragraph import Paragraph

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
    stoplist: frozenset[str] | Callable[[list[str]], frozenset[str]],
    tables: bool = True,
) -> str:
    """Paragraphs that are not boilerplate, on lines of their own; empty if there are none.

    Args:
        markup: the page.
        favour: which thresholds, see BY_FAVOUR.
        stoplist: from stop_words(), or a function that chooses one by the texts of all paragraphs.
        tables: keep paragraphs that lie inside a table.
    """
    tree = parse_html(markup)
    if tree is None:
        return ""
    limits = BY_FAVOUR[favour]
    paragraphs = ParagraphMaker.make_paragraphs(preprocessor(tree))
    classify_paragraphs(
        paragraphs,
        stoplist([p.text for p in paragraphs]) if callable(stoplist) else stoplist,
        limits.length_low,
        limits.length_high,
        limits.stopwords_low,
        limits.stopwords_high,
        limits.max_link_density,
        no_headings=False,
    )
    good = in_context(
        [p.cf_class for p in paragraphs],
        [p.heading for p in paragraphs],
        [len(p) for p in paragraphs],
        limits.max_heading_distance,
    )
    kept = (
        p for p, is_good in zip(paragraphs, good, strict=True) if is_good and (tables or not _in_table(p))
    )
    return "\n".join(p.text for p in kept)


def _in_table(paragraph: Paragraph) -> bool:
    return ".td" in paragraph.dom_path


def in_context(
    classes: Sequence[str], headings: Sequence[bool], lengths: Sequence[int], max_distance: int
) -> list[bool]:
    """Which paragraphs are good, given what each is by itself and its neighbours.

    The second pass of the library (`revise_paragraph_classification`) looks for neighbours anew from each
    paragraph and took 39 s for 100,000 of them; this is linear. The results are the same, including that
    the first look at headings does nothing there.

    Args:
        classes: "good", "neargood", "short" or "bad", in page order.
        headings: whether a paragraph is a heading.
        lengths: in characters.
        max_distance: characters between a heading and the good paragraph that makes it good.
    """
    revised = _revise_short(classes)
    after = _nearest(revised[::-1], ("good", "bad"))[::-1]
    before = "bad"
    for i, kind in enumerate(revised):
        if kind == "neargood":
            revised[i] = "bad" if (before, after[i]) == ("bad", "bad") else "good"
        before = revised[i]
    next_good, between = len(revised), 0
    good = [kind == "good" for kind in revised]
    for i in reversed(range(len(revised))):
        if revised[i] == "good":
            next_good, between = i, 0
            continue
        if headings[i] and classes[i] != "bad" and next_good < len(revised):
            good[i] = between <= max_distance
        between += lengths[i]
    return good


def _revise_short(classes: Sequence[str]) -> list[str]:
    """Classes without short ones: these are what stands around them."""
    settled, near = ("good", "bad"), ("good", "bad", "neargood")
    sides = [(_nearest(classes, kinds), _nearest(classes[::-1], kinds)[::-1]) for kinds in (settled, near)]
    revised = list(classes)
    for i, kind in enumerate(classes):
        if kind == "short":
            around = {sides[0][0][i], sides[0][1][i]}
            close = any(far[i] == "bad" and by[i] == "neargood" for far, by in zip(*sides, strict=True))
            revised[i] = "good" if around == {"good"} or (around != {"bad"} and close) else "bad"
    return revised


def _nearest(classes: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """For each place, the last class before it that is one of these; "bad" where there is none."""
    found = []
    last = "bad"
    for kind in classes:
        found.append(last)
        if kind in kinds:
            last = kind
    return found
