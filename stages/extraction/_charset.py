"""From bytes to text: which charset a page is in, read as browsers do, and where we leave them.

Order (WHATWG HTML, determining the character encoding): byte order mark, HTTP header, `<meta>`, XML
declaration; then bytes that are valid UTF-8, then a guess, then windows-1252. A label is mapped as browsers
map it (`latin1` is windows-1252, `gb2312` is gb18030).

One departure: a page that is valid UTF-8 with characters beyond ASCII is UTF-8 whatever it declares. Servers
that stamp `iso-8859-1` on everything are common; other text that happens to be valid UTF-8 is not.
"""

from typing import NamedTuple

from resiliparse.parse.encoding import map_encoding_to_html5

from stages.extraction._charset_guess import WIDER, guess_codec, is_iso2022_jp
from stages.extraction._charset_prescan import declared_in_markup

# A double-byte page of a few characters can be valid UTF-8 by accident (one GBK character in seven is); this
# many sequences in a row cannot.
MIN_UTF8_SEQUENCES = 8

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_DOUBLE_BYTE = frozenset({"gb18030", "cp932", "cp949", "big5hkscs", "euc_jp"})


class Decoded(NamedTuple):
    """Text and the Python codec that it was read with."""

    text: str
    codec: str


def codec_of(label: str | None) -> str | None:
    """The Python codec for a charset label, or None if browsers know no such label.

    >>> codec_of("ISO-8859-1"), codec_of(" gb2312 "), codec_of("utf8"), codec_of("klingon")
    ('cp1252', 'gb18030', 'utf-8', None)
    """
    if not label:
        return None
    codec = map_encoding_to_html5(label.strip(" \t\n\f\r"), fallback_utf8=False)
    return WIDER.get(codec, codec) if codec else None


def declared_codec(content: bytes, charset: str | None) -> str | None:
    """What HTTP header, meta tag or XML declaration say, the first of them that browsers know."""
    found = codec_of((charset or "").strip("\"' "))
    if found:
        return found
    found = declared_in_markup(content, codec_of)
    # whoever can write an ASCII meta tag is not in UTF-16 (WHATWG says the same)
    return "utf-8" if found and found.startswith("utf-16") else found


def decode_page(content: bytes, charset: str | None = None) -> Decoded:
    r"""Read a page; never fails, and says U+FFFD where bytes make no sense.

    Args:
        content: the body as stored, after HTTP transfer and content decoding.
        charset: the label in the HTTP header, if any.

    >>> decode_page("Grüße".encode("latin1"), "iso-8859-1").text
    'Grüße'
    >>> decode_page("Grüße".encode(), "iso-8859-1")
    Decoded(text='Grüße', codec='utf-8')
    """
    for mark, codec in _BOMS:
        if content.startswith(mark):
            return Decoded(content[len(mark) :].decode(codec, "replace"), codec)
    declared = declared_codec(content, charset)
    if declared == "utf-8" or declared is None:
        return _read_utf8(content, declared is not None)
    if not content.isascii() and _is_utf8(content, MIN_UTF8_SEQUENCES if declared in _DOUBLE_BYTE else 1):
        return Decoded(content.decode("utf-8"), "utf-8")
    return Decoded(content.decode(declared, "replace"), declared)


def _is_utf8(content: bytes, min_sequences: int) -> bool:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return len(text) - len(text.encode("ascii", "ignore")) >= min_sequences


def _read_utf8(content: bytes, declared: bool) -> Decoded:
    """UTF-8 if it is, or if it was declared and more of it is right than wrong; else a guess."""
    if not declared and is_iso2022_jp(content):
        return Decoded(content.decode("iso2022_jp"), "iso2022_jp")
    try:
        return Decoded(content.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        pass
    if declared:
        text = content.decode("utf-8", "replace")
        wrong = text.count("�")
        right = len(text) - len(text.encode("ascii", "ignore")) - wrong
        if right >= wrong:
            return Decoded(text, "utf-8")
    codec = guess_codec(content)
    return Decoded(content.decode(codec, "replace"), codec)
