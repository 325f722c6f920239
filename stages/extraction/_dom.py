"""Markup to an lxml tree, the same way for each engine that wants one."""

import re

from lxml.etree import ParserError, XMLSyntaxError
from lxml.html import HtmlElement, HTMLParser, document_fromstring

# libxml2 stops at NUL, and lxml refuses to copy a text with any of these. Deleted from bytes, which takes
# half the time of a regex over str.
_CONTROLS = bytes({*range(0x20)} - {*b"\t\n\r"})
_NONCHARACTERS = (b"\xef\xbf\xbe", b"\xef\xbf\xbf")  # U+FFFE, U+FFFF
# The same characters written as references: libxml2 lets them in, and trafilatura then loses the whole page.
_BAD_REFERENCE = re.compile(
    rb"&#(?:0*(?:[1-8]|1[124-9]|2\d|3[01]|6553[45])(?!\d)|x0*(?:[1-8bcef]|1[\da-f]|fff[ef])(?![\da-f]));?",
    re.IGNORECASE,
)
# An encoding declaration would contradict the decoding done already; some doctypes cost libxml2 the body.
_PROLOGUE = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>)?\s*(?:<!doctype[^>]*>)?", re.IGNORECASE)


def parse_html(markup: str) -> HtmlElement | None:
    """A tree of the whole page without comments, or None if it holds no element at all.

    `huge_tree` matters: without it libxml2 drops, silently, whatever lies below 256 levels.
    """
    data = markup.encode("utf-8", "ignore").translate(None, _CONTROLS)
    for character in _NONCHARACTERS:
        data = data.replace(character, b"")
    data = _BAD_REFERENCE.sub(b" ", _PROLOGUE.sub(b"", data, count=1))
    if not data.strip():
        return None
    # a parser is cheap and holds an error log: a fresh one for each page keeps pages apart
    parser = HTMLParser(
        huge_tree=True,
        collect_ids=False,
        default_doctype=False,
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",
    )
    try:
        return document_fromstring(data, parser=parser)
    except (ParserError, XMLSyntaxError):  # "Document is empty": nothing but blanks, comments or a doctype
        return None
