"""What no text may hold, whatever produced it."""

import html
import re

# C0 and C1 controls but tab and newline, lone surrogates (a page may write &#xD800;) and noncharacters: none
# is text, and pyarrow, RE2 and fastText refuse surrogates.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# what browsers read as no character at all; int() refuses such numbers after 4,300 digits
_HUGE_REFERENCE = re.compile("&#[0-9]{20,}+;?")


def clean_text(text: str) -> str:
    r"""Text without control characters and lone surrogates, one kind of line end, nothing blank around it.

    >>> clean_text("\ufeff a\r\nb\x00c\x85d \ud800\n")
    'a\nbc\nd'
    """
    text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
    return text.strip("\ufeff\u200b \t\n\u00a0\u3000")


def unescape(text: str) -> str:
    """`html.unescape` that takes any text.

    >>> unescape("Tea &amp; cake &#9999999999999999999999;")
    'Tea & cake �'
    """
    if "&" not in text:
        return text
    return html.unescape(_HUGE_REFERENCE.sub("\ufffd", text))


def one_line(text: str, max_chars: int) -> str | None:
    r"""Text on one line, cut at `max_chars` code points; None if nothing is left.

    >>> one_line(" Tea &\n cake ", 8)
    'Tea & ca'
    """
    return " ".join(clean_text(text).split())[:max_chars].rstrip() or None
