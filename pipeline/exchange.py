"""Regrouping rows by key through files, in bounded memory.

    emit: every unit writes its rows of a Global node ordered by bucket (the first bits of the key's hash);
          the file's schema says how many rows each has.
    reduce: a task reads a range of buckets from all units' files, sorts by (key, order) and hands groups to the
          stage. A range is chosen by its measured size; a bucket that is too large alone is divided on disk by
          further bits of the key, and one key that is too large alone arrives in several groups, each headed by
          the key's first row.
    verdicts: a reduction's rows are stored sorted by document reference, so that a unit maps the file and
          takes its own slice by binary search.

A document reference is `partition << 32 | row`. Emitted files hold the row alone: they stay valid when
partitions are added before them.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.errors import StageError
from pipeline.io.arrow import RAW, TableWriter, Written, open_table
from pipeline.io.store import Store
from pipeline.regroup import KEY_TYPES, key_prefixes
from pipeline.rows import owned, rows_at

ROW_BITS = 32
BUCKETS_KEY = b"corpusmill.bucket_rows"  # "3:120,5:7": ascending


def check_emitted(node: str, table: pa.Table, rows: int) -> None:
    """An emitted table has a key of a known type and rows of its batch.

    Raises:
        StageError: it has not.
    """
    names = table.schema.names
    if "key" not in names or "row" not in names:
        raise StageError(f"node '{node}': emit must return the columns key and row, got {names}")
    if table.schema.field("key").type not in KEY_TYPES:
        raise StageError(
            f"node '{node}': key is {table.schema.field('key').type}; make it uint64 or binary(16)"
        )
    if not len(table):
        return
    least, most = pc.min_max(table["row"]).as_py().values()
    if not 0 <= least <= most < rows:
        raise StageError(f"node '{node}': emit returned a row outside its batch of {rows}")


def moved(table: pa.Table, by: int) -> pa.Table:
    """Emitted rows of a batch with `row` counted from the start of the partition, as uint32."""
    rows = pa.array(table["row"].to_numpy().astype(np.uint32) + np.uint32(by))
    return table.set_column(table.schema.get_field_index("row"), "row", rows)


def write_emitted(
    path: Path, tables: Sequence[pa.Table], buckets: int
) -> tuple[Written, list[tuple[int, int, int]]]:
    """Write a unit's emitted rows by bucket; there must be some.

    Returns:
        what was written, and (bucket, rows, bytes) for each bucket that has rows.
    """
    table = pa.concat_tables(tables)
    width = np.uint64(((1 << 64) + buckets - 1) // buckets)
    bucket = np.minimum(key_prefixes(table["key"]) // width, np.uint64(buckets - 1)).astype(np.uint16)
    table = rows_at(table, np.argsort(bucket, kind="stable"))
    sizes = []
    start = 0
    for number, rows in enumerate(np.bincount(bucket).tolist()):
        if rows:
            sizes.append((number, rows, int(table.slice(start, rows).nbytes)))
            start += rows
    told = ",".join(f"{number}:{rows}" for number, rows, _ in sizes)
    table = table.replace_schema_metadata({BUCKETS_KEY: told.encode()})
    writer = TableWriter(path, table.schema, RAW)
    for batch in table.to_batches():
        writer.write(batch)
    return writer.close(), sizes


def ranges(sizes: np.ndarray, limit: int) -> list[tuple[int, int]]:
    """Cut buckets into runs of at most `limit` bytes; empty runs are left out.

    >>> ranges(np.array([5, 5, 0, 20, 1]), limit=10)
    [(0, 3), (3, 4), (4, 5)]
    """
    cuts: list[tuple[int, int]] = []
    start, total = 0, 0
    for i, size in enumerate(sizes.tolist()):
        if size and total and total + size > limit:
            cuts.append((start, i))
            total = 0
        if size and not total:
            start = i
        total += size
        if size and i == len(sizes) - 1:
            cuts.append((start, i + 1))
            total = 0
    if total:
        last = int(np.flatnonzero(sizes)[-1]) + 1
        cuts.append((start, last))
    return cuts


def read_buckets(store: Store, names: Iterable[str], low: int, high: int) -> Iterator[tuple[str, pa.Table]]:
    """Rows of buckets low..high-1 of each file that has some, as they were written, in memory of their own.

    A table that stays mapped counts for more than its rows: the system maps a file's neighbouring pages as well.
    """
    for name in names:
        with open_table(store, name) as reader:
            told = [pair.split(":") for pair in reader.schema.metadata[BUCKETS_KEY].decode().split(",")]
            start = sum(int(rows) for bucket, rows in told if int(bucket) < low)
            count = sum(int(rows) for bucket, rows in told if low <= int(bucket) < high)
            if count:
                yield name, owned(reader.read_all().slice(start, count)).replace_schema_metadata(None)


def read_range(store: Store, files: Iterable[tuple[int, str]], low: int, high: int) -> Iterator[pa.Table]:
    """Rows of buckets low..high-1 from each (partition, emitted file), with their document reference."""
    partitions = {name: partition for partition, name in files}
    for name, table in read_buckets(store, partitions, low, high):
        rows = table["row"].to_numpy().astype(np.uint64)
        doc = pa.array(rows | np.uint64(partitions[name] << ROW_BITS))
        yield table.drop_columns(["row"]).append_column("doc", doc)


def write_verdicts(path: Path, tables: Sequence[pa.Table]) -> Written:
    """Store a reduction or resolution, sorted by document where it is about documents."""
    table = pa.concat_tables(tables)
    if "doc" in table.schema.names:
        table = rows_at(table, np.asarray(pc.sort_indices(table["doc"])))
    writer = TableWriter(path, table.schema, RAW)
    for batch in table.combine_chunks().to_batches():
        writer.write(batch)
    return writer.close()


def verdicts_for(store: Store, files: Iterable[str], partition: int) -> pa.Table:
    """What reductions said about one partition, ascending by `row`; or all of it, when broadcast."""
    parts = []
    for name in files:
        with open_table(store, name) as reader:
            parts += [_slice(reader.get_batch(i), partition) for i in range(reader.num_record_batches)]
            if not reader.num_record_batches:
                parts.append(_slice(reader.schema.empty_table().combine_chunks(), partition))
    if not parts:
        return pa.table({"row": pa.array([], pa.int64())})
    table = pa.concat_tables(parts, promote_options="default")
    if "row" in table.schema.names:
        table = rows_at(table, np.asarray(pc.sort_indices(table["row"])))
    return table.combine_chunks()


def _slice(batch: Any, partition: int) -> pa.Table:
    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    if "doc" not in table.schema.names:
        return table
    docs = table["doc"].to_numpy() if len(table) else np.zeros(0, np.uint64)
    low, high = np.searchsorted(
        docs, np.array([partition << ROW_BITS, (partition + 1) << ROW_BITS], np.uint64)
    )
    rows = (docs[low:high] & np.uint64((1 << ROW_BITS) - 1)).astype(np.int64)
    mine = owned(table.slice(int(low), int(high - low)).drop_columns(["doc"]))
    return (
        mine.add_column(0, "row", pa.array(rows, pa.int64())) if mine.num_columns else pa.table({"row": rows})
    )


def table_digest(table: pa.Table) -> str:
    """A hash of a table's values, for addresses."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return xxhash.xxh3_128_hexdigest(memoryview(sink.getvalue()))


def rows_between(verdicts: pa.Table, start: int, count: int) -> pa.Table:
    """Verdicts about rows start..start+count-1, renumbered from 0; all of a broadcast table."""
    if "row" not in verdicts.schema.names:
        return verdicts
    rows = verdicts["row"].to_numpy() if len(verdicts) else np.zeros(0, np.int64)
    low, high = np.searchsorted(rows, [start, start + count])
    part = verdicts.slice(int(low), int(high - low))
    return part.set_column(
        part.schema.get_field_index("row"), "row", pa.array(rows[low:high] - start, pa.int64())
    )
