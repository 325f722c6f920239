"""Main text by trafilatura (Barbaresi, ACL 2021): rules, then readability and jusText for a second opinion.

`deduplicate` is never on: it drops what earlier pages of the process held, so a page's text would depend on
its neighbours. The other caches of the library hold pure functions of their arguments.
"""

import re
from typing import Literal

from lxml.html import HtmlElement
from trafilatura import extract

from stages.extraction._dom import parse_html

Favour = Literal["precision", "balanced", "recall", "fast"]

# The library drops blank lines, also inside code. A braille blank on each keeps it, and goes afterwards.
_BLANK = "\u2800"
_BLANK_LINES = re.compile(r"(?<=\n)[ \t]*(?=\n)")
_KEPT_LINES = re.compile(f"^{_BLANK}$", re.MULTILINE)


def extract_trafilatura(
    markup: str,
    favour: Favour,
    tables: bool = True,
    links: bool = False,
    comments: bool = True,
    markdown: bool = False,
) -> str:
    """Main text of a page, paragraphs on lines of their own; empty if it finds none.

    Args:
        markup: the page.
        favour: `fast` skips the second opinions; precision and recall move the library's thresholds.
        tables: keep the text of tables.
        links: write links as `[text](target)`.
        comments: keep readers' comments.
        markdown: mark headings, emphasis and code, with a blank line between blocks.
    """
    tree = parse_html(markup)
    if tree is None:
        return ""
    hold_blank_lines(tree)
    text = extract(
        tree,
        fast=favour == "fast",
        favor_precision=favour == "precision",
        favor_recall=favour == "recall",
        include_comments=comments,
        include_tables=tables,
        include_links=links,
        include_formatting=markdown,
        output_format="markdown" if markdown else "txt",
        deduplicate=False,
        with_metadata=False,
    )
    return _KEPT_LINES.sub("", text or "")


def hold_blank_lines(tree: HtmlElement) -> None:
    """Put a character on each blank line inside `<pre>`, in place."""
    for block in tree.iter("pre"):
        for node in block.iter():
            if node.text and "\n" in node.text:
                node.text = _BLANK_LINES.sub(_BLANK, node.text)
            if node is not block and node.tail and "\n" in node.tail:
                node.tail = _BLANK_LINES.sub(_BLANK, node.tail)
