"""Write documents as JSON Lines, one object a line, UTF-8 as it is."""

import base64
import gzip
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

import orjson
import pyarrow as pa
import zstandard
from pydantic import Field

from pipeline.stage import ShardInfo, Sink, Summary
from stages.kernels.manifest import files_table
from stages.sinks._files import MANIFEST, project, shard_info, write_manifest

SUFFIXES = {"none": "jsonl", "gz": "jsonl.gz", "zst": "jsonl.zst"}
BLOCK = 1 << 20  # compressors get their input in these, so that their output cannot depend on batches
ROWS_AT_ONCE = 512


def json_lines(batch: pa.RecordBatch) -> Iterator[bytes]:
    r"""A line for each row; binary values as base64, non-finite numbers as null, null as null.

    >>> next(json_lines(pa.record_batch({"text": ["é"], "raw": [b"\xff"]}))).decode()
    '{"text":"é","raw":"/w=="}\n'
    """
    for start in range(0, batch.num_rows, ROWS_AT_ONCE):
        for row in batch.slice(start, ROWS_AT_ONCE).to_pylist():
            yield orjson.dumps(
                row, default=_encode, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
            )


def _encode(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


class _Blocks:
    """Hands a file its input in blocks of one size."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.held = bytearray()

    def write(self, data: bytes) -> None:
        self.held += data
        while len(self.held) >= BLOCK:
            self.file.write(bytes(self.held[:BLOCK]))
            del self.held[:BLOCK]

    def close(self) -> None:
        self.file.write(bytes(self.held))
        self.held.clear()


def _open(stack: ExitStack, path: Path, compression: str, level: int | None) -> _Blocks:
    raw: Any = stack.enter_context(path.open("wb"))
    if compression == "gz":  # no name and no time in the header: equal rows, equal bytes
        raw = gzip.GzipFile("", "wb", 6 if level is None else level, raw, mtime=0)
        stack.callback(raw.close)
    elif compression == "zst":
        compressor = zstandard.ZstdCompressor(3 if level is None else level, write_checksum=True)
        raw = stack.enter_context(compressor.stream_writer(raw, closefd=False))
    blocks = _Blocks(raw)
    stack.callback(blocks.close)
    return blocks


class WriteJsonl(Sink[None]):
    """One JSON Lines file a partition, and manifest.json with rows and checksums."""

    libraries: ClassVar[Sequence[str]] = ("orjson", "zstandard")

    compression: Literal["none", "gz", "zst"] = Field("zst", description="how files are compressed")
    level: int | None = Field(None, ge=1, le=9, description="compression level; null: 6 for gz, 3 for zst")
    columns: list[str] | None = Field(None, description="columns to write, in this order; null: all")

    def problems(self) -> Sequence[str]:
        """A list of no columns, or a level for nothing."""
        found = []
        if self.columns == []:
            found.append("columns is empty; name columns, or null for all")
        if self.compression == "none" and self.level is not None:
            found.append(f"level is {self.level}, but compression is 'none'; take one of the two out")
        return found

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """One file; none for no rows."""
        name = f"part.{SUFFIXES[self.compression]}"
        rows, schema = 0, None
        with ExitStack() as stack:
            file: _Blocks | None = None
            for batch in batches:
                if not batch.num_rows:
                    continue
                chosen = project(batch, self.columns)
                if file is None:
                    file, schema = _open(stack, out / name, self.compression, self.level), chosen.schema
                for line in json_lines(chosen):
                    file.write(line)
                rows += batch.num_rows
        return ShardInfo() if schema is None else shard_info(out, name, rows, schema)

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """The manifest."""
        write_manifest(shards, out, "jsonl", {"compression": self.compression})

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """The files and what is in them."""
        return [files_table(out / MANIFEST)]
