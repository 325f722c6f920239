"""JSON lines, and files that hold one JSON array of objects.

A line that cannot be used is named with its number and place, and the next line is read: nothing a file
holds stops the rest of it, except compression that breaks. What is not JSON by RFC 8259 (NaN, lone
surrogates, bytes that are no UTF-8) is refused, since no one can say what text was meant.
"""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO, NamedTuple

import orjson
import pyarrow as pa
from pydantic import Field

from pipeline.stage import Damage
from stages.sources._fields import FieldError, MappedFiles, map_record
from stages.sources._files import BATCH_BYTES, open_file
from stages.sources._rows import Keys, Rows
from stages.sources._streams import Fault, Piece, codec_of_name, read_pieces

BOM = b"\xef\xbb\xbf"
BLANK = re.compile(rb"\s*")
ARRAY_SEPARATOR = re.compile(r"[\s,]*")


class Line(NamedTuple):
    """One line of a file."""

    number: int  # from 1
    offset: int  # of its first byte in the decompressed file
    data: bytes | None  # without the line break; None when it is longer than allowed


def split_lines(pieces: Iterator[Piece | Fault], limit: int) -> Iterator[Line | Fault]:
    """Lines of a byte stream; one longer than `limit` is run over without being held."""
    held: list[bytes] = []
    size, number, offset = 0, 1, 0
    for piece in pieces:
        if isinstance(piece, Fault):
            # what is held is the beginning of a line whose end was lost: part of the fault
            yield piece
            return
        *whole, rest = piece.data.split(b"\n")
        for part in whole:
            length = size + len(part)
            fits = length <= limit
            yield Line(number, offset, (b"".join([*held, part]) if held else part) if fits else None)
            number, offset = number + 1, offset + length + 1
            held, size = [], 0
        size += len(rest)
        if size > limit:
            held = []
        elif rest:
            held.append(rest)
    if size:
        yield Line(number, offset, b"".join(held) if size <= limit else None)


def parse_object(data: bytes) -> dict[str, Any]:
    """A JSON object from its bytes.

    Raises:
        FieldError: it is not JSON, or not an object.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise FieldError("bad_json", f"not JSON: {error}") from error
    return as_object(value)


def as_object(value: Any) -> dict[str, Any]:
    """The value itself.

    Raises:
        FieldError: it is no object.
    """
    if not isinstance(value, dict):
        raise FieldError("bad_json", f"a JSON {type(value).__name__}, not an object with fields")
    return value


def array_items(data: bytes) -> Iterator[Any]:
    """The elements of a JSON array; after a broken one, a FieldError as the last item."""
    try:
        yield from orjson.loads(data)
        return
    except orjson.JSONDecodeError as error:
        fault = FieldError("bad_json", f"the array cannot be read beyond this element: {error}")
    text = data.decode("utf-8", "surrogateescape")  # bad bytes become what orjson.dumps refuses below
    decoder = json.JSONDecoder()
    at = text.index("[") + 1
    while True:
        at = ARRAY_SEPARATOR.match(text, at).end()  # type: ignore[union-attr]
        try:
            item, at = decoder.raw_decode(text, at)
            orjson.dumps(item)  # refuses what the strict reader refused: lone surrogates, wide integers
        except (ValueError, TypeError, RecursionError):
            yield fault
            return
        yield item


class ReadJsonl(MappedFiles):
    """Read JSON lines (.jsonl, .ndjson; plain, .gz, .zst, .bz2, .xz) or a .json array: one row an object."""

    suffixes = (".jsonl", ".ndjson", ".json")
    libraries = ("orjson", "zstandard")

    max_record_bytes: int = Field(
        64 << 20, ge=1, description="a longer line is counted as failed, not held in memory"
    )
    max_array_bytes: int = Field(
        1 << 30, ge=1, description="a .json file with one array is read whole; a larger one is refused"
    )

    def read(self, split: str, resource: None) -> Iterator[pa.RecordBatch | Damage]:  # noqa: ARG002
        """One file's objects, in the order stored."""
        file = self.relative(split, self.base())
        with closing(open_file(split)) as raw:
            items = self._items(raw, split)
            yield from self._rows(items, file, codec_of_name(split) is None)

    def _items(self, raw: BinaryIO, name: str) -> Iterator[tuple[int, int, Any]]:
        """(number, offset, object or what is wrong) for each record."""
        pieces = read_pieces(raw, codec_of_name(name))
        if ".json" in name.lower().rsplit("/", 1)[-1].replace(".jsonl", ""):
            pieces, is_array = peek_array(pieces)
            if is_array:
                yield from self._array(pieces)
                return
        for line in split_lines(pieces, self.max_record_bytes):
            if isinstance(line, Fault):
                yield 0, -1, FieldError(line.reason, line.detail)
                return
            if line.data is None:
                detail = f"line {line.number} has more than {self.max_record_bytes} bytes"
                yield line.number, line.offset, FieldError("record_too_large", detail)
                continue
            data = line.data.removeprefix(BOM) if line.number == 1 else line.data
            if data and not data.isspace():
                yield line.number, line.offset, data

    def _array(self, pieces: Iterator[Piece | Fault]) -> Iterator[tuple[int, int, Any]]:
        parts: list[bytes] = []
        size = 0
        for piece in pieces:
            if isinstance(piece, Fault):
                yield 0, -1, FieldError(piece.reason, piece.detail)
                break
            parts.append(piece.data)
            size += len(piece.data)
            if size > self.max_array_bytes:
                detail = f"the array has more than {self.max_array_bytes} bytes; write it as JSON lines"
                yield 0, -1, FieldError("record_too_large", detail)
                return
        for number, item in enumerate(array_items(b"".join(parts).removeprefix(BOM)), 1):
            yield number, -1, item

    def _rows(
        self, items: Iterator[tuple[int, int, Any]], file: str, stored_plain: bool
    ) -> Iterator[pa.RecordBatch | Damage]:
        rows, keys = Rows(self.writes(), self.batch_rows, BATCH_BYTES), Keys()
        for number, place, item in items:
            offset = place if stored_plain else -1
            try:
                if isinstance(item, FieldError):
                    raise item
                record = parse_object(item) if isinstance(item, bytes) else as_object(item)
                key, values = map_record(record, self)
            except FieldError as error:
                where = f"record {number}" + (f", byte {place}" if place >= 0 else "")
                name = keys.unique(str(number)) if number else f"@{offset}"
                detail = f"{where}: {error.detail}" if number else error.detail
                yield Damage(file, name, offset, error.reason, detail)
                continue
            unique = keys.unique(key if key is not None else str(number)) if self.id else str(number)
            yield from rows.add(file, unique, offset, values)
        yield from rows.flush()


def peek_array(pieces: Iterator[Piece | Fault]) -> tuple[Iterator[Piece | Fault], bool]:
    """The same pieces, and whether they begin with "["."""
    seen: list[Piece | Fault] = []
    is_array = False
    for piece in pieces:
        seen.append(piece)
        if isinstance(piece, Fault):
            break
        data = piece.data.removeprefix(BOM).lstrip()
        if data:
            is_array = data.startswith(b"[")
            break
    return _chain(seen, pieces), is_array


def _chain(seen: list[Piece | Fault], rest: Iterator[Piece | Fault]) -> Iterator[Piece | Fault]:
    yield from seen
    yield from rest
