"""Main text by resiliparse (Bevendorff et al.): lexbor's HTML5 parser and a few rules, ten times as fast."""

from typing import Literal

from resiliparse.extract.html2text import extract_plain_text


def extract_resiliparse(
    markup: str,
    favour: Literal["precision", "balanced", "recall"],
    tables: bool = True,
    links: bool = False,
    comments: bool = True,
) -> str:
    """Main text of a page with its line structure; empty if it finds none.

    Args:
        markup: the page.
        favour: `recall` also keeps elements with hidden class names and the data about a post.
        tables: keep the text of tables.
        links: append link targets.
        comments: keep readers' comments, unless `favour` is precision.
    """
    text = extract_plain_text(
        markup,
        main_content=True,
        alt_texts=False,
        links=links,
        comments=comments and favour != "precision",
        post_meta=favour == "recall",
        hidden_elements=favour == "recall",
        skip_elements=None if tables else ["table"],
    )
    return str(text)
