"""A sample of documents' texts that a training node takes: by hash of id, bounded in bytes, the same wherever it runs.

Each partition keeps its part in a file of its own, lowest fractions first; what all parts together may hold is
decided once they are there.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.schema import TEXT, hash_fractions

SAMPLE_SCHEMA = pa.schema(
    [
        pa.field("fraction", pa.float64()),  # the document's place in the order in which texts are taken
        pa.field("size", pa.int64()),  # bytes
        TEXT,
    ]
)
BATCH_TEXTS = 1000  # texts to a batch of the file


class Cutoff(NamedTuple):
    """Up to which fraction texts are taken, and what that makes."""

    fraction: float  # -1 if there are none
    documents: int
    bytes: int


def sample_rows(batch: pa.RecordBatch, fraction: float, salt: str) -> pa.Table:
    """The rows whose id falls into the sample, with SAMPLE_SCHEMA; null and empty texts are left out."""
    fractions = hash_fractions(batch.column("id_hash"), salt)
    text = batch.column("text").cast(pa.large_string())
    sizes = pc.fill_null(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)
    keep = pa.array((fractions < fraction) & (sizes > 0))
    table = pa.table([pa.array(fractions), pa.array(sizes.astype(np.int64)), text], schema=SAMPLE_SCHEMA)
    return table.filter(keep)


def lowest(sample: pa.Table, max_bytes: int) -> pa.Table:
    """Rows in order of fraction, up to the one that brings their texts to `max_bytes` bytes."""
    order = np.argsort(sample["fraction"].to_numpy(), kind="stable")
    sizes = np.cumsum(sample["size"].to_numpy()[order])
    return sample.take(pa.array(order[: int(np.searchsorted(sizes, max_bytes)) + 1]))


class PartitionSample:
    """One partition's part of a sample as it grows; holds up to twice `max_bytes`."""

    def __init__(self, fraction: float, salt: str, max_bytes: int) -> None:
        self.fraction, self.salt, self.max_bytes = fraction, salt, max_bytes
        self._kept, self._size = SAMPLE_SCHEMA.empty_table(), 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take what falls into the sample."""
        found = sample_rows(batch, self.fraction, self.salt)
        self._kept = pa.concat_tables([self._kept, found])
        self._size += int(found["size"].to_numpy().sum())
        if self._size > 2 * self.max_bytes:
            self._kept = lowest(self._kept, self.max_bytes)
            self._size = int(self._kept["size"].to_numpy().sum())

    def table(self) -> pa.Table:
        """SAMPLE_SCHEMA, in order of fraction."""
        return lowest(self._kept, self.max_bytes)


def sample_partition(
    batches: Iterator[pa.RecordBatch], fraction: float, salt: str, max_bytes: int
) -> tuple[pa.Table, int]:
    """One partition's part of the sample, and how many rows it was drawn from; holds up to twice max_bytes."""
    sample, rows = PartitionSample(fraction, salt, max_bytes), 0
    for batch in batches:
        rows += batch.num_rows
        sample.add(batch)
    return sample.table(), rows


def write_sample(path: Path, sample: pa.Table) -> None:
    """Store a partition's part."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SAMPLE_SCHEMA) as writer:
        writer.write_table(sample, max_chunksize=BATCH_TEXTS)


def cutoff_of(files: Sequence[Path], max_bytes: int) -> Cutoff:
    """Where all parts together reach `max_bytes`."""
    parts = [_read(file, ["fraction", "size"]) for file in files]
    table = pa.concat_tables([SAMPLE_SCHEMA.empty_table().select(["fraction", "size"]), *parts])
    taken = lowest(table, max_bytes)
    if not taken.num_rows:
        return Cutoff(-1.0, 0, 0)
    size = int(taken["size"].to_numpy().sum())
    return Cutoff(taken["fraction"][-1].as_py(), taken.num_rows, size)


def sampled_texts(files: Sequence[Path], below: float, above: float = -1.0) -> Iterator[pa.Array]:
    """Texts with a fraction in (above, below], file by file, each in order of fraction; large_string."""
    for file in files:
        with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
            for i in range(reader.num_record_batches):
                batch = reader.get_batch(i)
                fraction = batch.column("fraction")
                inside = pc.and_(pc.less_equal(fraction, below), pc.greater(fraction, above))
                yield batch.column("text").filter(inside)


def publish(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def _read(file: Path, columns: list[str]) -> pa.Table:
    with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
        return reader.read_all().select(columns)
