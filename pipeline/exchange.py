"""Regrouping rows by key through files, in bounded memory.

    emit: every unit writes its rows of a Global node ordered by bucket (the first bits of the key's hash),
          one record batch a bucket; the file's schema says which.
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

ROW_BITS = 32
BUCKETS_KEY = b"corpusmill.buckets"


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
    if len(table) and not 0 <= pc.min(table["row"]).as_py() <= pc.max(table["row"]).as_py() < rows:
        raise StageError(f"node '{node}': emit returned a row outside its batch of {rows}")


def moved(table: pa.Table, by: int) -> pa.Table:
    """Emitted rows of a batch with `row` counted from the start of the partition."""
    rows = pc.add(table["row"].cast(pa.int64()), by)
    return table.set_column(table.schema.get_field_index("row"), "row", rows)


def write_emitted(
    path: Path, tables: Sequence[pa.Table], buckets: int
) -> tuple[Written, list[tuple[int, int, int]]]:
    """Write a unit's emitted rows by bucket; there must be some.

    Returns:
        what was written, and (bucket, rows, bytes) for each bucket that has rows.
    """
    table = pa.concat_tables(tables).combine_chunks()
    bucket = np.minimum(
        key_prefixes(table["key"]) // np.uint64(((1 << 64) + buckets - 1) // buckets), np.uint64(buckets - 1)
    ).astype(np.uint16)
    order = np.argsort(bucket, kind="stable")
    table = table.take(pa.array(order)).combine_chunks()
    present, starts = np.unique(bucket[order], return_index=True)
    ends = [*starts[1:].tolist(), len(order)]
    numbers = ",".join(str(b) for b in present.tolist()).encode()
    table = table.replace_schema_metadata({BUCKETS_KEY: numbers})
    writer = TableWriter(path, table.schema, RAW)
    sizes = []
    for number, start, end in zip(present.tolist(), starts.tolist(), ends, strict=True):
        part = table.slice(start, end - start)
        writer.write(part.combine_chunks().to_batches()[0])
        sizes.append((int(number), end - start, int(part.nbytes)))
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
    """Rows of buckets low..high-1 of each file that has some, as they were written."""
    for name in names:
        with open_table(store, name) as reader:
            numbers = [int(b) for b in (reader.schema.metadata or {}).get(BUCKETS_KEY, b"").split(b",") if b]
            mine = [reader.get_batch(i) for i, number in enumerate(numbers) if low <= number < high]
            if mine:
                yield name, pa.Table.from_batches(mine).replace_schema_metadata(None)


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
        table = table.take(pc.sort_indices(table, sort_keys=[("doc", "ascending")]))
    writer = TableWriter(path, table.schema, RAW)
    batches = table.combine_chunks().to_batches()
    for batch in batches:
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
        table = table.take(pc.sort_indices(table, sort_keys=[("row", "ascending")]))
    return table.combine_chunks()


def _slice(batch: Any, partition: int) -> pa.Table:
    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    if "doc" not in table.schema.names:
        return table
    docs = table["doc"].combine_chunks().to_numpy() if len(table) else np.zeros(0, np.uint64)
    low, high = np.searchsorted(
        docs, np.array([partition << ROW_BITS, (partition + 1) << ROW_BITS], np.uint64)
    )
    rows = (docs[low:high] & np.uint64((1 << ROW_BITS) - 1)).astype(np.int64)
    mine = table.slice(int(low), int(high - low)).drop_columns(["doc"])
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
    rows = verdicts["row"].combine_chunks().to_numpy() if len(verdicts) else np.zeros(0, np.int64)
    low, high = np.searchsorted(rows, [start, start + count])
    part = verdicts.slice(int(low), int(high - low))
    return part.set_column(
        part.schema.get_field_index("row"), "row", pa.array(rows[low:high] - start, pa.int64())
    )
