"""Main text by resiliparse (Bevendorff et al.): lexbor's HTML5 parser and a few rules, ten times as fast."""

from typing import Literal

from resiliparse.extract.html2text import extract_plain_text

from stages.extraction._markdown import markdown_of


def extract_resiliparse(
    markup: str,
    favour: Literal["precision", "balanced", "recall"],
    tables: bool = True,
    links: bool = False,
    comments: bool = True,
    markdown: bool = False,
) -> str:
    """Main text of a page with its line structure; empty if it finds none.

    Args:
        markup: the page.
        favour: `recall` also keeps elements with hidden class names and the data about a post.
        tables: keep the text of tables.
        links: append link targets; in markdown, `[text](target)`.
        comments: keep readers' comments, unless `favour` is precision.
        markdown: headings, lists, tables and code blocks in markdown; emphasis and inline code are lost.
    """
    text = extract_plain_text(
        markup,
        preserve_formatting="minimal_html" if markdown else True,
        main_content=True,
        alt_texts=False,
        links=links,
        comments=comments and favour != "precision",
        post_meta=favour == "recall",
        hidden_elements=favour == "recall",
        skip_elements=None if tables else ["table"],
    )
    return markdown_of(str(text)) if markdown else str(text)
