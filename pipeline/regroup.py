"""Groups of rows of one key, made of pieces that may be larger than memory.

Pieces that fit are sorted by (key, order). A bucket that is too large is divided on disk by further bits of its keys. A
key that is too large alone, or has more rows than a reduction may see, arrives in several groups, each headed by the
key's first row; how they are cut depends on the rows alone, not on what fits.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.io.arrow import RAW, TableWriter
from pipeline.rows import ascending_rows, rows_at, whole

FANOUT_BITS = 4  # a bucket that is too large is divided in 16
KEY_TYPES = (pa.uint64(), pa.binary(16))

Reduce = Callable[[pa.Table], pa.Table]


def key_prefixes(keys: pa.Array | pa.ChunkedArray) -> np.ndarray:
    r"""The first 64 bits of each key as a number; equal order with the keys themselves.

    >>> key_prefixes(pa.array([b"\0" * 7 + b"\1" + b"x" * 8], pa.binary(16))).tolist()
    [1]
    """
    if isinstance(keys, pa.ChunkedArray):
        keys = whole(keys)
    if keys.type == pa.uint64():
        return np.asarray(keys.to_numpy(zero_copy_only=False), np.uint64)
    raw = np.frombuffer(keys.buffers()[1], np.uint8)[keys.offset * 16 : (keys.offset + len(keys)) * 16]
    return raw.reshape(-1, 16)[:, :8].copy().view(">u8").reshape(-1).astype(np.uint64)


def key_suffixes(keys: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The last 64 bits of each binary(16) key as a number; zeros for keys that have no more than 64."""
    if isinstance(keys, pa.ChunkedArray):
        keys = whole(keys)
    if keys.type == pa.uint64():
        return np.zeros(len(keys), np.uint64)
    raw = np.frombuffer(keys.buffers()[1], np.uint8)[keys.offset * 16 : (keys.offset + len(keys)) * 16]
    return raw.reshape(-1, 16)[:, 8:].copy().view(">u8").reshape(-1).astype(np.uint64)


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
            table = pa.concat_tables(held).combine_chunks()
            held.clear()
            table = sort_groups(table, order, singles)
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
        keys = whole(piece["key"])
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
    places = np.arange(len(prefixes)) if singles else _shared(prefixes)
    sorting = table.select(["key", *order, "doc"])
    ascending = ascending_rows(sorting if singles else rows_at(sorting, places))
    return rows_at(table, places[ascending])


def _shared(numbers: np.ndarray) -> np.ndarray:
    """Places of the numbers that are there more than once, equal ones together."""
    places = np.argsort(numbers)
    ascending = numbers[places]
    repeated = np.zeros(len(numbers) + 1, bool)
    repeated[1:-1] = ascending[1:] == ascending[:-1]
    return places[repeated[1:] | repeated[:-1]]


def split_hot(table: pa.Table, max_group: int) -> Iterator[pa.Table]:
    """A sorted table as one, or, when a key has too many rows, with those rows in further pieces.

    Each further piece begins with the key's first row.
    """
    keys = whole(table["key"])
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
    same = [np.asarray(pc.equal(c[1:], c[:-1])) for c in (whole(table["key"]), whole(table["doc"]))]
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
