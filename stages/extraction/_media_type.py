"""What a response is: a page, a plain text, or nothing for us."""

import re

HTML, PLAIN, BINARY = "text/html", "text/plain", "application/octet-stream"
_LOOKS_LIKE_HTML = re.compile(
    rb"<(?:!doctype\s|!--|html|head|body|title|meta|script|style|div|p|h1|table|a|br|font)[\s>/]?",
    re.IGNORECASE,
)
_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
)


def media_type_of(content: bytes, served: str | None) -> str:
    """What a page is: as served, unless its first bytes say that this is wrong or nothing was said.

    >>> media_type_of(b"%PDF-1.7 ...", "text/html"), media_type_of(b" <!DOCTYPE html>", None)
    ('application/pdf', 'text/html')
    """
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    said = (served or "").partition(";")[0].strip().lower()
    if said:
        return said
    head = content[:1024]
    if _LOOKS_LIKE_HTML.search(head):
        return HTML
    return BINARY if b"\0" in head else PLAIN
