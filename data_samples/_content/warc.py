"""WARC records and gzip members by hand, so that the bytes are ours to fix: no clock, no random ids."""

import base64
import hashlib
import struct
import uuid
import zlib
from collections.abc import Mapping
from typing import NamedTuple

DATE = "2026-03-01T00:00:00Z"


class Page(NamedTuple):
    """One answer of a server, or (kind "conversion") the text somebody made of it."""

    url: str
    body: bytes
    content_type: str | None = "text/html; charset=utf-8"
    status: str = "200 OK"
    headers: Mapping[str, str] = {}
    coding: str = ""  # "", "gzip", "chunked" or "gzip+chunked"
    date: str = DATE
    kind: str = "response"
    notes: Mapping[str, str] = {}  # makes a `metadata` record beside it


def gzip_member(data: bytes, *, stored: bool = False) -> bytes:
    """One gzip member, time 0. `stored` does not compress, so that it is the same under any zlib."""
    if stored:
        pieces = [data[i : i + 65535] for i in range(0, len(data), 65535)] or [b""]
        deflated = b"".join(
            struct.pack("<BHH", i == len(pieces) - 1, len(p), len(p) ^ 0xFFFF) + p
            for i, p in enumerate(pieces)
        )
    else:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        deflated = packer.compress(data) + packer.flush()
    head = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    return head + deflated + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def chunked(data: bytes, size: int = 1500) -> bytes:
    """HTTP chunked transfer coding, with an extension on the first chunk, as RFC 9112 allows."""
    out = []
    for i in range(0, len(data), size):
        piece = data[i : i + size]
        out.append(b"%x%s\r\n%s\r\n" % (len(piece), b";n=1" if i == 0 else b"", piece))
    return b"".join(out) + b"0\r\n\r\n"


def digest(data: bytes) -> str:
    """The digest that WARC writers give: SHA-1 in base 32."""
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()


def record(kind: str, name: str, fields: Mapping[str, str], block: bytes) -> bytes:
    """One WARC/1.1 record; its id is a UUID made from `name`."""
    head = {"WARC-Type": kind, "WARC-Record-ID": record_id(name), **fields}
    head["WARC-Block-Digest"] = digest(block)
    head["Content-Length"] = str(len(block))
    lines = "".join(f"{k}: {v}\r\n" for k, v in head.items())
    return f"WARC/1.1\r\n{lines}\r\n".encode() + block + b"\r\n\r\n"


def record_id(name: str) -> str:
    """A record id that depends on `name` alone."""
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}>"


def http_answer(page: Page) -> bytes:
    """The bytes of an HTTP/1.1 response."""
    body, headers = page.body, dict(page.headers)
    if page.content_type is not None:
        headers = {"Content-Type": page.content_type, **headers}
    if "gzip" in page.coding:
        body = gzip_member(body, stored=True)
        headers["Content-Encoding"] = "gzip"
    if "chunked" in page.coding:
        body = chunked(body)
        headers["Transfer-Encoding"] = "chunked"
    else:
        headers["Content-Length"] = str(len(body))
    head = f"HTTP/1.1 {page.status}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    return head.encode("latin-1") + b"\r\n" + body


def page_records(page: Page, name: str) -> list[bytes]:
    """The records of one page: request, response, and metadata where there are notes."""
    about = {"WARC-Target-URI": page.url, "WARC-Date": page.date}
    if page.kind == "conversion":
        return [record("conversion", name, {**about, "Content-Type": "text/plain; charset=utf-8"}, page.body)]
    host, _, path = page.url.split("//", 1)[1].partition("/")
    ask = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: sample-maker\r\n\r\n".encode()
    answer = {**about, "Content-Type": "application/http; msgtype=response"}
    block = http_answer(page)
    answer["WARC-Payload-Digest"] = digest(block.partition(b"\r\n\r\n")[2])  # as sent, codings included
    out = [
        record("request", name + "?", {**about, "Content-Type": "application/http; msgtype=request"}, ask),
        record("response", name, answer, block),
    ]
    if page.notes:
        notes = "".join(f"{k}: {v}\r\n" for k, v in page.notes.items()).encode()
        fields = {**about, "WARC-Refers-To": record_id(name), "Content-Type": "application/warc-fields"}
        out.append(record("metadata", name + "!", fields, notes))
    return out


def write_warc(filename: str, pages: list[Page]) -> bytes:
    """A whole archive: warcinfo first, then each page's records, one gzip member a record."""
    info = b"software: data_samples/assemble.py\r\nformat: WARC File Format 1.1\r\nlicence: CC0-1.0\r\n"
    fields = {"WARC-Date": DATE, "WARC-Filename": filename, "Content-Type": "application/warc-fields"}
    out = [record("warcinfo", filename, fields, info)]
    for number, page in enumerate(pages):
        out += page_records(page, f"{filename}#{number}")
    return b"".join(gzip_member(r) for r in out)
