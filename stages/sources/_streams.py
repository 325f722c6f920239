"""Compressed files as pieces of plain bytes, with every fault named and, where possible, passed by.

Nothing is decompressed further than the piece that is asked for, so a member that unpacks to gigabytes
costs one piece of memory. zlib, bz2 and lzma say where a member ends, which gives each WARC record its
offset; that is why they are driven here rather than through a file-like reader.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import zstandard

CHUNK = 16 << 10  # what a member leaves over is copied: 64 KiB costs 7 % more CPU (benchmarks/sources.py)
PIECE = 1 << 20
PROBE = 4 << 10
# A zstd block of 4 bytes can unpack to 128 KiB and the object API has no output limit: small bites bound it.
ZSTD_BITE = 1 << 10

Accept = Callable[[bytes], bool]


class Piece(NamedTuple):
    """Plain bytes, in order."""

    data: bytes
    offset: int  # where the member or frame they come from starts in the file as stored; -1 if unknown
    first: bool  # these are the first bytes of that member


class Fault(NamedTuple):
    """Bytes that cannot be decompressed. What comes after it is not connected to what came before."""

    reason: str
    detail: str
    offset: int  # of the member that is broken


class Codec(NamedTuple):
    """One compression format whose files are sequences of independent members."""

    name: str
    magic: bytes
    new: Callable[[], Any]
    unpack: Callable[[Any, bytes], Iterator[bytes]]
    error: tuple[type[Exception], ...]


def _unpack_zlib(decoder: Any, data: bytes) -> Iterator[bytes]:
    while data and not decoder.eof:  # at the end the tail may hold what is in unused_data too
        yield decoder.decompress(data, PIECE)
        data = decoder.unconsumed_tail


def _unpack_bounded(decoder: Any, data: bytes) -> Iterator[bytes]:
    yield decoder.decompress(data, PIECE)
    while not decoder.needs_input and not decoder.eof:
        yield decoder.decompress(b"", PIECE)


class _ZstdFrame:
    """zstandard's frame decoder, fed in small bites, with the names that zlib's has."""

    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor().decompressobj()
        self.eof = False
        self.unused_data = b""

    def bites(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), ZSTD_BITE):
            out = self._inner.decompress(data[start : start + ZSTD_BITE])
            for cut in range(0, len(out), PIECE):
                yield out[cut : cut + PIECE]
            if self._inner.eof:
                self.eof = True
                self.unused_data = self._inner.unused_data + data[start + ZSTD_BITE :]
                return


def _unpack_zstd(decoder: Any, data: bytes) -> Iterator[bytes]:
    return decoder.bites(data)  # type: ignore[no-any-return]


GZIP = Codec("gzip", b"\x1f\x8b", lambda: zlib.decompressobj(31), _unpack_zlib, (zlib.error,))
ZSTD = Codec("zstd", b"\x28\xb5\x2f\xfd", _ZstdFrame, _unpack_zstd, (zstandard.ZstdError,))
BZIP2 = Codec("bzip2", b"BZh", bz2.BZ2Decompressor, _unpack_bounded, (OSError, ValueError))
XZ = Codec("xz", b"\xfd7zXZ\x00", lzma.LZMADecompressor, _unpack_bounded, (lzma.LZMAError,))
LZ4_MAGIC = b"\x04\x22\x4d\x18"
BY_SUFFIX = {".gz": GZIP, ".zst": ZSTD, ".bz2": BZIP2, ".xz": XZ}


def codec_of_name(name: str) -> Codec | None:
    """The compression that a file's name announces.

    >>> codec_of_name("a/b.jsonl.gz").name
    'gzip'
    """
    return next((codec for ending, codec in BY_SUFFIX.items() if name.lower().endswith(ending)), None)


def codec_of_bytes(head: bytes) -> Codec | None:
    """The compression that a file's first bytes announce."""
    return next((codec for codec in BY_SUFFIX.values() if head.startswith(codec.magic)), None)


def read_pieces(raw: BinaryIO, codec: Codec | None, accept: Accept | None = None) -> Iterator[Piece | Fault]:
    """The plain bytes of a file from its current position, which must be its start.

    Args:
        raw: the file as stored; seekable where `accept` is given.
        codec: None reads it as it is.
        accept: says of a member's first bytes whether reading may go on there after a fault; None stops at
            the first fault.
    """
    if codec is None:
        return _plain(raw)
    return _members(raw, codec, accept)


def _plain(raw: BinaryIO) -> Iterator[Piece]:
    at = 0
    while data := raw.read(PIECE):
        yield Piece(data, at, at == 0)
        at += len(data)


def read_lz4(raw: BinaryIO) -> Iterator[Piece | Fault]:
    """An LZ4 frame file as one stretch without offsets; it ends at the first fault."""
    first = True
    try:
        with pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "lz4") as stream:
            while data := stream.read(PIECE):
                yield Piece(data, -1, first)
                first = False
    except OSError as error:
        yield Fault("corrupt_lz4", f"the LZ4 data cannot be read further: {error}", -1)


def _members(raw: BinaryIO, codec: Codec, accept: Accept | None) -> Iterator[Piece | Fault]:
    data, begun = b"", False
    while True:
        if begun:
            data = data.lstrip(b"\0")  # tape and tar tools pad files with zeros
        if len(data) < len(codec.magic):
            more = raw.read(CHUNK)
            if more:
                data += more
                continue
            if not data:
                return
        begun = True
        member = _Member(raw, codec, raw.tell() - len(data), data)
        yield from member.pieces()
        data = member.rest
        if member.fault is not None:
            found = find_member(raw, codec, member.offset + 1, accept) if accept is not None else None
            if found is None:
                yield member.fault
                return
            # What seemed cut off has members after it: it was damaged, and ate them as if they were its own.
            yield member.fault._replace(reason=f"corrupt_{codec.name}")
            raw.seek(found)
            data = b""


class _Member:
    """One member while it is being unpacked."""

    def __init__(self, raw: BinaryIO, codec: Codec, offset: int, data: bytes) -> None:
        self.raw, self.codec, self.offset = raw, codec, offset
        self.rest = data  # bytes after the member, once it ended well
        self.fault: Fault | None = None

    def pieces(self) -> Iterator[Piece]:
        decoder, data, first = self.codec.new(), self.rest, True
        try:
            while True:
                for out in self.codec.unpack(decoder, data):
                    if out:
                        yield Piece(out, self.offset, first)
                        first = False
                if decoder.eof:
                    self.rest = decoder.unused_data
                    return
                data = self.raw.read(CHUNK)
                if not data:
                    self._fail("truncated", "the file ends in the middle of it")
                    return
        except self.codec.error as error:
            self._fail("corrupt", str(error))

    def _fail(self, how: str, detail: str) -> None:
        name = self.codec.name
        self.fault = Fault(f"{how}_{name}", f"{name} member at byte {self.offset}: {detail}", self.offset)


def find_member(raw: BinaryIO, codec: Codec, start: int, accept: Accept) -> int | None:
    """The first place from `start` on where a member begins whose first bytes are acceptable, or None."""
    raw.seek(start)
    data, at = raw.read(PIECE), start
    while data:
        found = data.find(codec.magic)
        while found >= 0:
            if len(data) - found < PROBE:
                data += raw.read(PIECE)
            if accept(_probe(codec, data[found : found + PROBE])):
                return at + found
            found = data.find(codec.magic, found + 1)
        keep = len(codec.magic) - 1
        more = raw.read(PIECE)
        if not more:
            return None
        at += len(data) - keep
        data = data[len(data) - keep :] + more
    return None


def _probe(codec: Codec, data: bytes) -> bytes:
    out = b""
    try:
        for piece in codec.unpack(codec.new(), data):
            out += piece
            if len(out) >= PROBE:
                break
    except codec.error:
        pass
    return out
