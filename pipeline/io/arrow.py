"""Arrow IPC files in a store: written with a checksum, read by memory map, cut into batches of bounded size."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import xxhash

from pipeline.errors import CheckpointError
from pipeline.io.store import Store

# lz4 makes English text 1.4 times smaller; what it costs is in docs/benchmarks.md. Exchange and verdict files stay raw
# so that a task can map them and touch only its own rows.
PACKED = pa.ipc.IpcWriteOptions(compression="lz4")
RAW = pa.ipc.IpcWriteOptions()
STORED = {"lz4": PACKED, "zstd": pa.ipc.IpcWriteOptions(compression="zstd"), "none": RAW}


class Written(NamedTuple):
    """What a commit record says of a file."""

    rows: int
    bytes: int
    xxh3: str


class _Hashing:
    """A binary file that hashes what passes through it; Arrow writes front to back, so this is the file's hash."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.digest = xxhash.xxh3_128()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.digest.update(view)
        self.size += view.nbytes
        return self._file.write(view)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


class TableWriter:
    """Writes batches of one schema to a scratch file; `close` tells what was written.

    The file opens with the first batch, whose schema it takes; without one it holds `schema` and no rows.
    """

    def __init__(self, path: Path, schema: pa.Schema | None = None, options: Any = PACKED) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        self._options = options
        self._file: _Hashing | None = None
        self._writer: Any = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows; their schema must be that of the batches before."""
        if self._writer is None:
            self._open(batch.schema)
        if batch.num_rows:
            self._writer.write_batch(batch)
            self.rows += batch.num_rows

    def _open(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._file = _Hashing(self.path)
        self._writer = pa.ipc.new_file(pa.PythonFile(self._file, mode="w"), schema, options=self._options)

    def abandon(self) -> None:
        """Let go of an unfinished file, which is not worth closing properly."""
        if self._file is not None and not self._file.closed:
            self._file.close()

    def close(self) -> Written:
        """Finish the file."""
        if self._writer is None:
            self._open(self.schema if self.schema is not None else pa.schema([]))
        assert self._file is not None
        self._writer.close()
        self._file.close()
        return Written(self.rows, self._file.size, self._file.digest.hexdigest())


@contextmanager
def open_table(store: Store, name: str) -> Iterator[Any]:
    """A RecordBatchFileReader of a stored file, mapped where the store is local.

    Raises:
        CheckpointError: the file is missing or not whole.
    """
    try:
        source = pa.memory_map(store.path(name)) if store.local else pa.BufferReader(store.read_bytes(name))
        with source, pa.ipc.open_file(source) as reader:
            yield reader
    except (pa.ArrowInvalid, OSError) as error:
        raise CheckpointError(
            f"{store.path(name)}: cannot be read back ({error}); delete it and run again"
        ) from error


def read_batches(store: Store, name: str) -> Iterator[pa.RecordBatch]:
    """Batches of a stored file, in the order written."""
    with open_table(store, name) as reader:
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i)


def read_table(store: Store, name: str) -> pa.Table:
    """A stored file as one table."""
    with open_table(store, name) as reader:
        return reader.read_all()


def bounded(batches: Iterator[pa.RecordBatch], rows: int, size: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of at most `rows` rows and about `size` bytes; one row is never divided."""
    for batch in batches:
        step = rows
        if batch.num_rows > 1 and batch.get_total_buffer_size() > size:
            per_row = max(1, batch.nbytes // batch.num_rows)
            step = max(1, min(rows, size // per_row))
        if batch.num_rows <= step:
            yield batch
        else:
            for start in range(0, batch.num_rows, step):
                yield batch.slice(start, step)
