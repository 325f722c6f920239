"""Main text by trafilatura (Barbaresi, ACL 2021): rules, then readability and jusText for a second opinion.

`deduplicate` is never on: it drops what earlier pages of the process held, so a page's text would depend on
its neighbours. The other caches of the library hold pure functions of their arguments.
"""

from typing import Literal

from trafilatura import extract

from stages.extraction._dom import parse_html

Favour = Literal["precision", "balanced", "recall", "fast"]


def extract_trafilatura(
    markup: str, favour: Favour, tables: bool = True, links: bool = False, comments: bool = True
) -> str:
    """Main text of a page, paragraphs on lines of their own; empty if it finds none.

    Args:
        markup: the page.
        favour: `fast` skips the second opinions; precision and recall move the library's thresholds.
        tables: keep the text of tables.
        links: write links as `[text](target)`.
        comments: keep readers' comments.
    """
    tree = parse_html(markup)
    if tree is None:
        return ""
    text = extract(
        tree,
        fast=favour == "fast",
        favor_precision=favour == "precision",
        favor_recall=favour == "recall",
        include_comments=comments,
        include_tables=tables,
        include_links=links,
        deduplicate=False,
        with_metadata=False,
    )
    return text or ""
