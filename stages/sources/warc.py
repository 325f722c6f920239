"""Web archives: WARC 1.0 and 1.1, and ARC; compressed or not; pages, WET text, stored files.

Every record of the wanted types becomes one row or one Damage. Rows whose media type is not wanted are rows
too, without their content, so that a filter can reject them by `media_type` or `http_status` and the books
show them. What crawlers write beside pages (requests, metadata, revisits, the archive's own description) is
no document and is passed over.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, BinaryIO, Literal

import orjson
import pyarrow as pa
from pydantic import Field

from pipeline.schema import CHARSET, CONTENT, DATE, MEDIA_TYPE, METADATA, ORIGIN, TEXT, URL
from pipeline.stage import Damage
from stages.sources._files import BATCH_BYTES, FilesSource, open_file
from stages.sources._framing import Framer, Head, Record, accepts
from stages.sources._http import BodyError, decode_body, media_type, parse_response
from stages.sources._rows import Keys, Rows
from stages.sources._streams import LZ4_MAGIC, codec_of_bytes, read_lz4, read_pieces
from stages.sources._window import Window

HTTP_STATUS = pa.field("http_status", pa.int32())  # null where the record holds no HTTP response
COLUMNS = pa.schema([ORIGIN, URL, DATE, CONTENT, MEDIA_TYPE, CHARSET, HTTP_STATUS, TEXT, METADATA])
KEPT_FIELDS = (
    "warc-truncated",
    "warc-identified-payload-type",
    "warc-identified-content-language",
    "warc-payload-digest",
    "warc-refers-to",
    "warc-ip-address",
)
HTTP_URL = re.compile(r"https?:", re.IGNORECASE)

RecordType = Literal["response", "resource", "conversion", "revisit", "request", "metadata", "continuation"]


class RecordError(Exception):
    """A record that was framed well and still holds no document."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


def holds_http(head: Head) -> bool:
    """Whether a record's content is an HTTP message: so declared, or a response to an HTTP URL."""
    if head.kind not in ("response", "revisit"):
        return False
    declared = head.fields.get("content-type", "").lower()
    return declared.startswith("application/http") or HTTP_URL.match(target_url(head)) is not None


def target_url(head: Head) -> str:
    """The record's URL, without the angle brackets that old wget put around it."""
    return head.fields.get("warc-target-uri", "").strip("<>")


def record_values(
    record: Record, wanted: frozenset[str] | None, headers: list[str], limit: int
) -> dict[str, Any]:
    """The columns of one record, but for its origin.

    Args:
        record: as framed.
        wanted: media types whose content is kept; None keeps all. Unknown types are kept, for the extractor
            to look at.
        headers: HTTP headers for `metadata`, in lower case.
        limit: bytes that a body may unpack to.

    Raises:
        RecordError: no HTTP response where one must be, a body that cannot be decoded, text not in UTF-8.
    """
    head = record.head
    values: dict[str, Any] = {
        "url": target_url(head) or None,
        "date": head.fields.get("warc-date") or None,
    }
    said: Mapping[str, str] = {}
    if holds_http(head):
        message = parse_response(record.content)
        if message is None:
            sample = record.content[:40]
            raise RecordError(
                "bad_http", f"a response to {values['url']} begins with {sample!r}, no HTTP status line"
            )
        said = message.headers
        kind, charset = media_type(said.get("content-type"))
        values["http_status"] = message.status
        body = record.content[message.body :]
    else:
        kind, charset = media_type(head.fields.get("content-type"))
        body = record.content
    values["media_type"], values["charset"] = kind, charset
    if head.kind == "conversion" and (kind or "text/plain").startswith("text/"):
        values["text"] = decode_text(body)
    elif wanted is None or kind is None or kind in wanted:
        cut = bool(head.fields.get("warc-truncated"))
        try:
            values["content"] = decode_body(body, said, limit, cut)
        except BodyError as error:
            raise RecordError(error.reason, error.detail) from error
    values["metadata"] = metadata_json(head, said, headers)
    return values


def decode_text(body: bytes) -> str:
    """The text of a conversion record; WET files are UTF-8 whatever the page was.

    Raises:
        RecordError: it is not.
    """
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RecordError(
            "bad_utf8", f"the text is not UTF-8: {error.reason} at byte {error.start}"
        ) from error


def metadata_json(head: Head, said: Mapping[str, str], headers: list[str]) -> str:
    """What else the archive and the server said, as JSON."""
    found: dict[str, Any] = {"record_type": head.kind}
    found |= {name.replace("-", "_"): head.fields[name] for name in KEPT_FIELDS if head.fields.get(name)}
    kept = {name: said[name] for name in headers if name in said}
    if kept:
        found["http_headers"] = kept
    return orjson.dumps(found).decode()


def open_window(raw: BinaryIO) -> Window:
    """The plain bytes of an archive; its compression is told by its first bytes, whatever its name."""
    magic = raw.read(8)
    raw.seek(0)
    if magic.startswith(LZ4_MAGIC):
        return Window(read_lz4(raw), raw, plain=False)
    codec = codec_of_bytes(magic)
    return Window(read_pieces(raw, codec, accepts), raw, plain=codec is None)


class ReadWarc(FilesSource):
    """Read WARC, WET and ARC archives: one row for each response, resource and conversion record."""

    suffixes = (".warc", ".wet", ".arc")
    libraries = ("fastwarc", "orjson", "zstandard")

    record_types: list[RecordType] = Field(
        ["response", "resource", "conversion"],
        description="WARC record types that are documents; others are passed over without a count",
    )
    media_types: list[str] | None = Field(
        ["text/html", "application/xhtml+xml", "text/plain"],
        description="media types whose `content` is kept; other records become rows without it; null = all",
    )
    max_record_bytes: int = Field(
        64 << 20,
        ge=1,
        description="a record larger than this, or that unpacks to more, is counted as failed, not held",
    )
    metadata_headers: list[str] = Field(
        ["content-language", "last-modified", "x-robots-tag"],
        description="HTTP headers to keep in `metadata`, in lower case",
    )

    def writes(self) -> pa.Schema:
        """Origin, the page and what is known of it."""
        return COLUMNS

    def read(self, split: str, resource: None) -> Iterator[pa.RecordBatch | Damage]:  # noqa: ARG002
        """One archive's documents, in the order stored."""
        file = self.relative(split, self.base())
        with closing(open_file(split)) as raw:
            framer = Framer(open_window(raw), file, frozenset(self.record_types), self.max_record_bytes)
            yield from self._rows(framer, file)

    def _rows(self, framer: Framer, file: str) -> Iterator[pa.RecordBatch | Damage]:
        rows, keys = Rows(self.writes(), self.batch_rows, BATCH_BYTES), Keys()
        wanted = None if self.media_types is None else frozenset(self.media_types)
        for found in framer.read():
            if isinstance(found, Damage):
                yield found._replace(key=keys.unique(found.key))
                continue
            key = keys.unique(found.head.key or f"@{found.offset}")
            try:
                values = record_values(found, wanted, self.metadata_headers, self.max_record_bytes)
            except RecordError as error:
                yield Damage(file, key, found.offset, error.reason, error.detail)
                continue
            yield from rows.add(file, key, found.offset, values)
        yield from rows.flush()
