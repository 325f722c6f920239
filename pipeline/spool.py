"""Batches waiting inside a unit: in memory while they are few, in a scratch file beyond that."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pipeline.io.arrow import RAW, TableWriter

MEMORY_BYTES = 64 << 20


class Spool:
    """A queue of batches of one schema, read once or more after it is full."""

    def __init__(self, path: Path, memory: int = MEMORY_BYTES) -> None:
        self._path = path
        self._memory = memory
        self._held: list[pa.RecordBatch] = []
        self._size = 0
        self._writer: TableWriter | None = None
        self._closed = False

    def add(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        if self._writer is not None:
            self._writer.write(batch)
            return
        self._held.append(batch)
        self._size += batch.nbytes
        if self._size > self._memory:
            self._writer = TableWriter(self._path, batch.schema, RAW)
            for earlier in self._held:
                self._writer.write(earlier)
            self._held = []

    def abandon(self) -> None:
        """Let go of the file; the spool cannot be read any more."""
        if self._writer is not None:
            self._writer.abandon()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        if self._writer is None:
            yield from self._held
            return
        if not self._closed:
            self._writer.close()
            self._closed = True
        with pa.memory_map(str(self._path)) as source, pa.ipc.open_file(source) as reader:
            for i in range(reader.num_record_batches):
                yield reader.get_batch(i)
