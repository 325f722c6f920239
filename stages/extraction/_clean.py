"""What no text may hold, whatever produced it, and the title of a page."""

import html
import re

# C0 and C1 controls but tab and newline, lone surrogates (a page may write &#xD800;) and noncharacters: none
# is text, and pyarrow, RE2 and fastText refuse surrogates.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_TITLE = re.compile(r"<title(?:\s[^<>]{0,500})?>([^<]{0,5000})</title", re.IGNORECASE)
MAX_TITLE_CHARS = 500


def clean_text(text: str) -> str:
    r"""Text without control characters and lone surrogates, one kind of line end, nothing blank around it.

    >>> clean_text("\ufeff a\r\nb\x00c\x85d \ud800\n")
    'a\nbc\nd'
    """
    text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
    return text.strip("\ufeff\u200b \t\n\u00a0\u3000")


def page_title(markup: str) -> str | None:
    r"""The first `<title>`, unescaped, blanks collapsed, cut at MAX_TITLE_CHARS; None if there is none.

    >>> page_title("<head><TITLE lang=en>Tea &amp;\n cake</TITLE>")
    'Tea & cake'
    """
    match = _TITLE.search(markup)
    title = " ".join(clean_text(html.unescape(match.group(1))).split()) if match else ""
    return title[:MAX_TITLE_CHARS].rstrip() or None
