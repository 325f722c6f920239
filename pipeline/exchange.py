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

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.errors import StageError
from pipeline.io.arrow import RAW, TableWriter, Written, open_table
from pipeline.io.store import Store

ROW_BITS = 32
FANOUT_BITS = 4  # a bucket that is too large is divided in 16
BUCKETS_KEY = b"corpusmill.buckets"
KEY_TYPES = (pa.uint64(), pa.binary(16))

Reduce = Callable[[pa.Table], pa.Table]


def key_prefixes(keys: pa.Array | pa.ChunkedArray) -> np.ndarray:
    r"""The first 64 bits of each key as a number; equal order with the keys themselves.

    >>> key_prefixes(pa.array([b"\0" * 7 + b"\1" + b"x" * 8], pa.binary(16))).tolist()
    [1]
    """
    if isinstance(keys, pa.ChunkedArray):
        keys = keys.combine_chunks()
    if keys.type == pa.uint64():
        return np.asarray(keys.to_numpy(zero_copy_only=False), np.uint64)
    raw = np.frombuffer(keys.buffers()[1], np.uint8)[keys.offset * 16 : (keys.offset + len(keys)) * 16]
    return raw.reshape(-1, 16)[:, :8].copy().view(">u8").reshape(-1).astype(np.uint64)


def key_suffixes(keys: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The last 64 bits of each binary(16) key as a number; zeros for keys that have no more than 64."""
    if isinstance(keys, pa.ChunkedArray):
        keys = keys.combine_chunks()
    if keys.type == pa.uint64():
        return np.zeros(len(keys), np.uint64)
    raw = np.frombuffer(keys.buffers()[1], np.uint8)[keys.offset * 16 : (keys.offset + len(keys)) * 16]
    return raw.reshape(-1, 16)[:, 8:].copy().view(">u8").reshape(-1).astype(np.uint64)


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


def reduce_range(
    pieces: Callable[[], Iterator[pa.Table]],
    reduce: Reduce,
    order: Sequence[str],
    scratch: Path,
    limit: int,
    max_group: int,
    singles: bool = True,
    once: bool = False,
    depth: int = 0,
) -> Iterator[pa.Table]:
    """Hand every group among the pieces to `reduce`, holding about `limit` bytes at a time.

    Args:
        pieces: gives the rows, any number of times.
        reduce: the stage's reduction.
        order: columns that sort the rows of a key.
        scratch: an empty folder for divided buckets.
        limit: bytes of rows to hold at once.
        max_group: rows of one key that `reduce` may see together.
        singles: whether keys of one row are wanted.
        once: rows are a key and a `doc` and nothing more, and equal ones count once.
        depth: how often these pieces have been divided already.
    """
    held: list[pa.Table] = []
    size = 0
    for piece in pieces():
        held.append(piece)
        size += piece.nbytes
        if size > limit:
            break
    if size <= limit:
        if held:
            table = sort_groups(pa.concat_tables(held), order, singles)
            for group in split_hot(_distinct(table) if once else table, max_group):
                yield reduce(group)
        return
    del held
    for part in _divide(pieces(), scratch, depth):
        if _one_key(part):
            yield from (reduce(group) for group in split_mapped(_mapped(part), order, max_group, once))
        else:
            folder = scratch / f"{depth}-{part.stem}"
            folder.mkdir()
            yield from reduce_range(
                _again(part), reduce, order, folder, limit, max_group, singles, once, depth + 1
            )
        part.unlink()


def _mapped(part: Path) -> pa.Table:
    """A divided bucket as a table whose columns lie in the file."""
    with pa.memory_map(str(part)) as source, pa.ipc.open_file(source) as reader:
        return reader.read_all()


def _again(part: Path) -> Callable[[], Iterator[pa.Table]]:
    def pieces() -> Iterator[pa.Table]:
        with pa.memory_map(str(part)) as source, pa.ipc.open_file(source) as reader:
            for i in range(reader.num_record_batches):
                yield pa.Table.from_batches([reader.get_batch(i)])

    return pieces


def _one_key(part: Path) -> bool:
    """Whether all rows of a divided bucket have one key, so that dividing it further leads nowhere."""
    first: Any = None
    for piece in _again(part)():
        keys = piece["key"].combine_chunks()
        first = keys[0] if first is None else first
        if not pc.all(pc.equal(keys, first)).as_py():
            return False
    return True


def _divide(pieces: Iterator[pa.Table], scratch: Path, depth: int) -> list[Path]:
    """Spill rows into files by the next FANOUT_BITS bits of their key, in the order of the keys.

    Keys whose first 64 bits are equal are told apart by a hash of their other half.
    """
    shift = 64 - FANOUT_BITS * (depth + 1)
    writers: dict[int, TableWriter] = {}
    for piece in pieces:
        numbers = key_prefixes(piece["key"]) if shift >= 0 else key_suffixes(piece["key"])
        part = (numbers >> np.uint64(shift % 64)) & np.uint64((1 << FANOUT_BITS) - 1)
        for number in np.unique(part).tolist():
            path = scratch / f"{number:02d}.arrow"
            writer = writers.setdefault(number, TableWriter(path, options=RAW))
            for batch in piece.filter(pa.array(part == number)).combine_chunks().to_batches():
                writer.write(batch)
    for writer in writers.values():
        writer.close()
    return [writers[number].path for number in sorted(writers)]


def sort_groups(table: pa.Table, order: Sequence[str], singles: bool = True) -> pa.Table:
    """Rows of each key together, in a total order that does not depend on how they arrived.

    Args:
        table: rows with `key`, `doc` and the columns of `order`.
        order: what sorts the rows of a key, before `doc`.
        singles: False leaves out rows whose key no other row has; a few may stay.
    """
    prefixes = key_prefixes(table["key"])
    if not singles:
        by_prefix = np.argsort(prefixes)
        ascending = prefixes[by_prefix]
        same = ascending[1:] == ascending[:-1]
        shared = np.concatenate([same, [False]]) | np.concatenate([[False], same]) if len(same) else same
        table = table.take(pa.array(by_prefix[shared] if len(same) else by_prefix[:0]))
        prefixes = ascending[shared] if len(same) else prefixes[:0]
    keys = [(name, "ascending") for name in ("key", *order, "doc")]
    if not len(order) and table.schema.field("key").type == pa.uint64():
        docs = np.asarray(table["doc"].to_numpy(), np.uint64)
        return table.take(pa.array(np.lexsort((docs, prefixes)))).combine_chunks()
    return table.take(pc.sort_indices(table, sort_keys=keys)).combine_chunks()


def split_hot(table: pa.Table, max_group: int) -> Iterator[pa.Table]:
    """A sorted table as one, or, when a key has too many rows, with those rows in further pieces.

    Each further piece begins with the key's first row.
    """
    keys = table["key"].combine_chunks()
    if len(keys) <= max_group:
        yield table
        return
    starts = np.flatnonzero(np.concatenate([[True], np.asarray(pc.not_equal(keys[1:], keys[:-1]))]))
    sizes = np.diff(np.append(starts, len(keys)))
    hot = np.flatnonzero(sizes > max_group)
    if not len(hot):
        yield table
        return
    rank = np.arange(len(keys)) - np.repeat(starts, sizes)
    yield table.filter(pa.array(rank < max_group))
    for group in hot.tolist():
        leader = table.slice(int(starts[group]), 1)
        for at in range(max_group, int(sizes[group]), max_group - 1):
            count = min(max_group - 1, int(sizes[group]) - at)
            yield pa.concat_tables([leader, table.slice(int(starts[group]) + at, count)]).combine_chunks()


def _distinct(table: pa.Table) -> pa.Table:
    """A sorted table without rows whose key and document are those of the row before."""
    if not len(table):
        return table
    same = [
        np.asarray(pc.equal(c[1:], c[:-1]))
        for c in (table["key"].combine_chunks(), table["doc"].combine_chunks())
    ]
    return table.filter(pa.array(np.concatenate([[True], ~(same[0] & same[1])])))


def split_mapped(
    table: pa.Table, order: Sequence[str], max_group: int, once: bool = False
) -> Iterator[pa.Table]:
    """The same groups for a table of one key that fills more than memory: only what sorts it is held whole."""
    sorting = table.select([*order, "doc"])
    indices = pc.sort_indices(sorting, sort_keys=[(name, "ascending") for name in sorting.schema.names])
    if once:
        docs = table["doc"].take(indices).combine_chunks()
        fresh = np.concatenate([[True], np.asarray(pc.not_equal(docs[1:], docs[:-1]))])
        indices = indices.filter(pa.array(fresh))
    yield table.take(indices[:max_group]).combine_chunks()
    for at in range(max_group, len(indices), max_group - 1):
        mine = pa.concat_arrays([indices[:1], indices[at : at + max_group - 1]])
        yield table.take(mine).combine_chunks()


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
