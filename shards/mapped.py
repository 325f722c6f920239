"""Shards mapped into memory: where each row's ids, sequences and labels lie, and how to take many rows at once.

Nothing of a shard is turned into objects: the whole file is seen as one array of ids and one of 32-bit numbers,
and what is kept of it is where the buffers of each record batch begin in those arrays.
"""

from bisect import bisect_right
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from shards.format import MANIFEST, Manifest, ShardError, ShardFile, row_schema
from shards.index import row_starts

OPEN_SHARDS = 4096  # maps kept at once; a map holds no open file, and Linux allows 65,530 of them
FEW = 4  # rows of one shard up to which plain slices are quicker than arrays of places
COLUMNS = ("input_ids", "seq_lengths", "labels")

Opener = Callable[[ShardFile], AbstractContextManager[Path]]  # the shard's file on this machine


class Places(NamedTuple):
    """Where rows lie in one shard."""

    start: np.ndarray  # int64, first element of each row in the array of the whole file
    length: np.ndarray  # int64


class Mapped:
    """One shard. `ids` is the whole file as ids, `numbers` as int32; rows are places in them.

    Raises:
        ShardError: not an uncompressed Arrow stream with the columns, bytes and rows that the manifest says.
    """

    def __init__(self, path: Path, shard: ShardFile, manifest: Manifest) -> None:
        self.path = path
        try:
            with pa.memory_map(str(path)) as source:  # closed at once: the map lives on in its buffer
                if source.size() != shard.bytes:
                    raise ShardError(
                        f"{path}: has {source.size()} bytes, not {shard.bytes}; it is cut off or was altered"
                    )
                self.buffer = source.read_buffer()
            with pa.ipc.open_stream(self.buffer) as reader:
                _check_schema(path, reader.schema, manifest)
                batches = [batch for batch in reader if batch.num_rows]
        except (pa.ArrowInvalid, OSError) as error:
            raise ShardError(f"{path}: cannot be read ({error}); run shards.verify on the folder") from error
        rows = row_starts([batch.num_rows for batch in batches])
        if int(rows[-1]) != shard.rows:
            raise ShardError(f"{path}: has {int(rows[-1])} rows, but {MANIFEST} says {shard.rows}")
        width = np.dtype(manifest.dtype).itemsize
        self.ids = np.frombuffer(self.buffer, manifest.dtype, shard.bytes // width)
        self.numbers = np.frombuffer(self.buffer, np.int32, shard.bytes // 4)
        self.first = rows[:-1]
        names = [name for name in COLUMNS if name != "labels" or manifest.labels]
        self.offsets = {name: self._begin(batches, name, 1, 4) for name in names}
        self.values = {
            name: self._begin(batches, name, 3, width if name == "input_ids" else 4) for name in names
        }
        # the same as plain lists and bytes: single numbers are read from them ten times as quickly
        self._first: list[int] = self.first.tolist()
        self._begins = {n: (self.offsets[n].tolist(), self.values[n].tolist()) for n in names}
        self._numbers = memoryview(self.numbers.data)
        self._pieces: list[pa.Array] | None = None

    def _begin(self, batches: list[pa.RecordBatch], name: str, buffer: int, width: int) -> np.ndarray:
        """Where one buffer of a column begins, batch by batch, in elements of `width` bytes from the start."""
        found = np.zeros(len(batches), np.int64)
        for i, batch in enumerate(batches):
            one = batch.column(name).buffers()[buffer]
            at = one.address - self.buffer.address if one is not None and one.size else 0
            if not 0 <= at <= self.buffer.size or at % width:
                raise ShardError(
                    f"{self.path}: column {name} is compressed or not aligned; write it uncompressed"
                )
            found[i] = at // width
        return found

    def places(self, rows: np.ndarray, name: str) -> Places:
        """Where these rows of the shard lie, in elements of `ids` (input_ids) or `numbers` (the others)."""
        batch = np.searchsorted(self.first, rows, side="right") - 1
        at = self.offsets[name][batch] + rows - self.first[batch]
        start = self.numbers[at].astype(np.int64)
        return Places(self.values[name][batch] + start, self.numbers[at + 1] - start)

    def place(self, row: int, name: str) -> tuple[int, int]:
        """Start and end of one row."""
        batch = bisect_right(self._first, row) - 1
        offsets, values = self._begins[name]
        at, base = offsets[batch] + row - self._first[batch], values[batch]
        return base + self._numbers[at], base + self._numbers[at + 1]

    def row(self, row: int) -> dict[str, np.ndarray]:
        """One row as stored: read-only views of the map."""
        found = {}
        for name in self.offsets:
            start, end = self.place(row, name)
            found[name] = (self.ids if name == "input_ids" else self.numbers)[start:end]
        return found

    def pieces(self, row: int) -> list[dict[str, Any]]:
        """Where a row came from; the first call reads the shard's record batches again, which copies nothing."""
        if self._pieces is None:
            with pa.ipc.open_stream(self.buffer) as reader:
                self._pieces = [batch.column("pieces") for batch in reader if batch.num_rows]
        number = bisect_right(self._first, row) - 1
        found: list[dict[str, Any]] = self._pieces[number][row - self._first[number]].as_py()
        return found


def _check_schema(path: Path, schema: pa.Schema, manifest: Manifest) -> None:
    expected = row_schema(manifest.dtype, manifest.labels)
    for name in COLUMNS:
        said = expected.field(name).type if name in expected.names else None
        have = schema.field(name).type if name in schema.names else None
        if said != have and not (said is None and name == "labels"):
            raise ShardError(
                f"{path}: column {name} is {have}, but {MANIFEST} says {said}; they are not of one data set"
            )


class Rows:
    """Rows of all shards of a folder; the most recently used shards stay mapped.

    Args:
        manifest: what the folder holds.
        opener: gives the file of a shard on this machine.
        open_shards: how many shards stay mapped.
    """

    def __init__(self, manifest: Manifest, opener: Opener, open_shards: int = OPEN_SHARDS) -> None:
        self.manifest, self.opener, self.open_shards = manifest, opener, open_shards
        self.first_rows = manifest.first_rows()
        self._open: dict[int, Mapped] = {}  # in the order of use

    def __getstate__(self) -> dict[str, Any]:
        # maps are opened again in the process that gets this
        return {"manifest": self.manifest, "opener": self.opener, "open_shards": self.open_shards}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def shard(self, number: int) -> Mapped:
        """A shard, mapped."""
        found = self._open.pop(number, None)
        if found is None:
            shard = self.manifest.shards[number]
            with self.opener(shard) as path:
                found = Mapped(path, shard, self.manifest)
        self._open[number] = found
        while len(self._open) > self.open_shards:
            self._open.pop(next(iter(self._open)), None)
        return found

    def find(self, row: int) -> tuple[Mapped, int]:
        """The shard of a row, and its number there."""
        number = int(np.searchsorted(self.first_rows, row, side="right")) - 1
        return self.shard(number), int(row - self.first_rows[number])

    def groups(self, rows: np.ndarray) -> list[tuple[Mapped, np.ndarray, np.ndarray]]:
        """(shard, which of `rows` it has, their numbers there); each of `rows` comes once."""
        numbers = np.searchsorted(self.first_rows, rows, side="right") - 1
        local = rows - self.first_rows[numbers]
        order = np.argsort(numbers, kind="stable")
        bounds = [0, *(np.flatnonzero(np.diff(numbers[order])) + 1).tolist(), len(rows)]
        found = []
        for start, end in pairwise(bounds):
            if end > start:
                which = order[start:end]
                found.append((self.shard(int(numbers[which[0]])), which, local[which]))
        return found
