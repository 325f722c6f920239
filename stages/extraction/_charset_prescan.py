"""The charset that the markup of a page declares, found as browsers find it.

Source: WHATWG HTML, "prescan a byte stream to determine its encoding". Comments are passed over, and so are
other tags with their attributes, so that a `<meta charset>` in a comment or in an attribute's value is none.
"""

import re
from collections.abc import Callable, Iterator

HEAD_BYTES = 16_384  # browsers read 1,024; scripts and comments before the meta tag push it further

_MARKUP = re.compile(rb"<(?:(!--)|(/?[a-z][^\s/>]*+)|[!/?])", re.IGNORECASE)
# Possessive: nothing is tried twice, so this is linear however tags and quotes are left open.
_ATTRIBUTE = re.compile(
    rb"[\s/]*+([^\s/>=]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>\"'][^\s>]*+)))?+"
)
_TAG_END = re.compile(rb"[\s/]*+>")
_CONTENT = re.compile(rb"charset\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s;\"'][^\s;]*+))", re.IGNORECASE)
_XML = re.compile(rb"<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([a-z0-9_:.\-]+)", re.IGNORECASE)


def declared_in_markup(content: bytes, codec_of: Callable[[str | None], str | None]) -> str | None:
    """The codec of the first label in a meta tag, else in an XML declaration, that `codec_of` knows.

    >>> declared_in_markup(b"<!-- <meta charset=a> --><meta charset='b'>", lambda label: label)
    'b'
    """
    head = content[:HEAD_BYTES]
    for label in _meta_labels(head):
        codec = codec_of(label.decode("latin-1"))
        if codec:
            return codec
    match = _XML.match(head.lstrip(b" \t\r\n"))
    return codec_of(match.group(1).decode("ascii")) if match else None


def _meta_labels(head: bytes) -> Iterator[bytes]:
    position = 0
    while match := _MARKUP.search(head, position):
        if match.group(1):
            # `<!-->` is a whole comment, so the end may overlap the beginning
            position = head.find(b"-->", match.start() + 2) + 3
            if position < 3:
                return
            continue
        if not match.group(2):
            position = head.find(b">", match.end()) + 1
            if position == 0:
                return
            continue
        attributes, position = _attributes(head, match.end())
        if match.group(2).lower() == b"meta" and _TAG_END.match(head, position):
            yield from _label_of(attributes)


def _attributes(head: bytes, position: int) -> tuple[dict[bytes, bytes], int]:
    attributes: dict[bytes, bytes] = {}
    while match := _ATTRIBUTE.match(head, position):
        name, *values = match.groups()
        attributes.setdefault(name.lower(), next((value for value in values if value is not None), b""))
        position = match.end()
    return attributes, position


def _label_of(attributes: dict[bytes, bytes]) -> Iterator[bytes]:
    if b"charset" in attributes:
        yield attributes[b"charset"]
    elif attributes.get(b"http-equiv", b"").lower() == b"content-type":
        match = _CONTENT.search(attributes.get(b"content", b""))
        if match:
            yield next(value for value in match.groups() if value is not None)
