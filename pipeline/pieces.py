"""What a row of a shard, or one token of it, came from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.api import OpenRun
from pipeline.errors import DataError
from pipeline.terminal import printable


@dataclass(frozen=True)
class Piece:
    """A stretch of a shard's row and the text it came from; start and end are code points, or -1."""

    id: str
    start: int
    end: int
    tokens: tuple[int, int]  # from, to, in the row


def row_ids(run: OpenRun, name: str) -> Iterator[set[str]]:
    """The documents of each row of a shard; nothing for a file that says nothing of documents."""
    for batch in _shard_batches(run, name):
        if "pieces" in batch.schema.names:
            column = batch.column("pieces")
            yield from (({p["id"] for p in row} if row else set()) for row in column.to_pylist())
        elif "id" in batch.schema.names:
            yield from ({value} for value in batch.column("id").to_pylist())


def _shard_batches(run: OpenRun, name: str) -> Iterator[pa.RecordBatch]:
    """Batches of an Arrow file, in stream or in file format."""
    store = run.output
    with (
        pa.memory_map(store.path(name)) if store.local else pa.BufferReader(store.read_bytes(name)) as source
    ):
        try:
            reader: Any = pa.ipc.open_stream(source)
        except pa.ArrowInvalid:
            source.seek(0)
            reader = pa.ipc.open_file(source)
            yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
            return
        yield from reader


def pieces_of(run: OpenRun, file: str, row: int, token: int | None = None) -> list[Piece]:
    """What a shard's row, or one token of it, came from.

    Raises:
        DataError: no such file, row or token, or the file does not say.
    """
    name = _shard_file(run, file)
    before = 0
    for batch in _shard_batches(run, name):
        if row < before + batch.num_rows:
            return _pieces(batch, row - before, token, f"{file}:{row}")
        before += batch.num_rows
    raise DataError(f"{file}: has {before} rows, counted from 0, so there is no row {row}")


def _pieces(batch: pa.RecordBatch, row: int, token: int | None, where: str) -> list[Piece]:
    if "pieces" not in batch.schema.names:
        if "id" in batch.schema.names and token is None:
            return [Piece(batch.column("id")[row].as_py(), -1, -1, (0, 0))]
        raise DataError(f"{where}: the file has no column 'pieces', which says what its tokens came from")
    found, start = [], 0
    for piece in batch.column("pieces")[row].as_py() or []:
        end = start + piece["tokens"]
        if token is None or start <= token < end:
            found.append(Piece(piece["id"], piece["start"], piece["end"], (start, end)))
        start = end
    if not found and token is not None:
        raise DataError(f"{where}: has {start} tokens, counted from 0, so there is no token {token}")
    return found


def _shard_file(run: OpenRun, file: str) -> str:
    """A shard's name in the output: as written below the run's folder, or a full path, or its own name."""
    store = run.output
    folder = f"{store.root}/{run.identifier}/"
    tail = file.removeprefix(folder).rpartition(f"{run.identifier}/")[2]
    names = [tail, *(f"{sink}/{tail}" for sink in run.manifest["sinks"])]
    found = [f"{run.identifier}/{n}" for n in names if store.exists(f"{run.identifier}/{n}")]
    if not found:
        sinks = ", ".join(f"{sink}/" for sink in run.manifest["sinks"])
        raise DataError(f"{file}: is not below the run's folder {folder}; its sinks are {sinks or 'none'}")
    return found[0]


def piece_line(piece: Piece) -> str:
    """A piece of a row as a person reads it."""
    span = f"characters {piece.start}-{piece.end}" if piece.start >= 0 else "span not recorded"
    return f"{piece.tokens[1] - piece.tokens[0]} tokens from {printable(piece.id)}, {span}"
