"""HTTP messages as archives keep them: the head parsed, the body unchunked and unpacked within a budget.

Crawlers often store a body decoded and leave the headers that say otherwise, so a body that does not begin
as its header promises is taken as it is; one that begins so and then breaks is an error (RFC 9110, 9112).
"""

import io
import re
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import zstandard
from fastwarc.stream_io import BrotliReader

STEP = 1 << 20
STATUS = re.compile(rb"(?:HTTP/\d(?:\.\d)?|ICY)[ \t]+(\d{3})(?![0-9])")
HEAD_END = re.compile(rb"\n\r?\n")
CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)")
UNREADABLE = frozenset({"compress", "x-compress", "sdch", "dcb", "dcz", "exi", "pack200-gzip"})


class BodyError(Exception):
    """A body that cannot be decoded."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


class Message(NamedTuple):
    """A response's head, and where its body starts."""

    status: int
    headers: Mapping[str, str]  # names in lower case; of a repeated one the first value
    body: int


def parse_response(block: bytes) -> Message | None:
    """The head of a stored HTTP response; None without a status line. No blank line means no body."""
    status = STATUS.match(block)
    if status is None:
        return None
    end = HEAD_END.search(block)
    head = block[: end.start() if end else len(block)].decode("latin-1")
    headers: dict[str, str] = {}
    for line in head.split("\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return Message(int(status[1]), headers, end.end() if end else len(block))


def media_type(content_type: str | None) -> tuple[str | None, str | None]:
    """Media type and charset of a Content-Type header, in lower case.

    >>> media_type('Text/HTML; Charset="UTF-8"')
    ('text/html', 'utf-8')
    """
    if not content_type:
        return None, None
    lower = content_type.lower()
    charset = CHARSET.search(lower)
    return lower.partition(";")[0].strip() or None, charset[1] if charset else None


def decode_body(body: bytes, headers: Mapping[str, str], limit: int, cut: bool = False) -> bytes:
    """A body without its transfer and content encodings.

    Args:
        body: as stored.
        headers: the message's.
        limit: bytes, checked while decoding.
        cut: the crawler says that it kept only the beginning, so an encoding that ends early is no error.

    Raises:
        BodyError: it breaks its encoding, uses one that nothing reads, or grows past `limit`.
    """
    transfer = [t.strip() for t in headers.get("transfer-encoding", "").lower().split(",")]
    content = [t.strip() for t in headers.get("content-encoding", "").lower().split(",")]
    if "chunked" in transfer:
        body = unchunk(body, cut)
    for coding in [t for t in reversed(content + transfer) if t and t != "chunked"][:4]:
        if coding in UNREADABLE:
            raise BodyError("bad_http_encoding", f"content encoding {coding!r} is not supported")
        body = _decode(body, coding, limit, cut)
    return body


def unchunk(body: bytes, cut: bool = False) -> bytes:
    r"""Join the chunks of a chunked body; one that does not start with a chunk comes back as it is.

    >>> unchunk(b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n")
    b'abcd'
    """
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        size = CHUNK_SIZE.match(body, at)
        if size is None:
            if not parts:
                return body
            return _stop(parts, cut, f"byte {at} of the chunked body is no chunk size")
        length = int(size[1], 16)
        if length == 0:
            break
        part = body[size.end() : size.end() + length]
        if len(part) < length:
            # "add" and a line break may also begin a page that was never chunked
            if not parts and length > len(body):
                return body
            return _stop([*parts, part], cut, f"the chunked body ends within a chunk of {length} bytes")
        parts.append(part)
        at = size.end() + length
        if body[at : at + 2] == b"\r\n":
            at += 2
        elif body[at : at + 1] == b"\n":
            at += 1
    return b"".join(parts)


def _stop(parts: list[bytes], cut: bool, detail: str) -> bytes:
    if not cut:
        raise BodyError("bad_http_encoding", detail)
    return b"".join(parts)


def _decode(body: bytes, coding: str, limit: int, cut: bool) -> bytes:
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, 31, limit, cut) if body.startswith(b"\x1f\x8b") else body
    if coding == "deflate":
        if not body or body.lstrip()[:1] == b"<":
            return body
        zlib_head = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
        return _inflate(body, 15 if zlib_head else -15, limit, cut)  # servers disagree on what deflate means
    if coding in ("br", "zstd"):
        return _read_stream(body, coding, limit, cut)
    return body  # identity, and words that are no encoding at all, such as "utf-8"


def _inflate(body: bytes, wbits: int, limit: int, cut: bool) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest = body
    while rest:
        decoder = zlib.decompressobj(wbits)
        while rest and not decoder.eof:
            try:
                out = decoder.decompress(rest, STEP)
            except zlib.error as error:
                if cut and parts:
                    return b"".join(parts)
                raise BodyError("bad_http_encoding", f"the compressed body is broken: {error}") from error
            rest = decoder.unconsumed_tail
            parts.append(out)
            size = _within(size + len(out), limit)
        if not decoder.eof and not cut:
            raise BodyError("bad_http_encoding", "the compressed body ends early")
        rest = decoder.unused_data if wbits == 31 and decoder.unused_data.startswith(b"\x1f\x8b") else b""
    return b"".join(parts)


def _read_stream(body: bytes, coding: str, limit: int, cut: bool) -> bytes:
    """Brotli and zstd, whose starts tell little: what fails and looks like markup was stored decoded."""
    parts: list[bytes] = []
    size = 0
    raw = io.BytesIO(body)
    try:
        reader = BrotliReader(raw) if coding == "br" else zstandard.ZstdDecompressor().stream_reader(raw)
        while out := reader.read(STEP):
            parts.append(out)
            size = _within(size + len(out), limit)
    except (OSError, ValueError, zstandard.ZstdError) as error:
        if body.lstrip()[:1] == b"<":
            return body
        if not (cut and parts):
            raise BodyError("bad_http_encoding", f"the {coding} body is broken: {error}") from error
    return b"".join(parts)


def _within(size: int, limit: int) -> int:
    if size > limit:
        raise BodyError("record_too_large", f"the HTTP body unpacks to more than {limit} bytes")
    return size
