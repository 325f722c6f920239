"""How large documents are, by group and in the mixture's order; kept for each partition, read by the plan.

A document's place in its group's order is a hash of its id and the seed, so it depends on nothing else. A file of a
partition holds keys (uint64, ascending within a group) and sizes; a plan reads all files once, in bins of keys, and
then the few bins in which a quota ends.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.schema import CHAR_COUNT, ID_HASH, TOKEN_COUNT, WORD_COUNT, hash_fractions

Unit = Literal["tokens", "words", "chars", "documents"]
COLUMNS: Mapping[Unit, pa.Field] = {"tokens": TOKEN_COUNT, "words": WORD_COUNT, "chars": CHAR_COUNT}
NO_GROUP = "(none)"  # documents whose column is null
KEY_BITS = 53  # what hash_fractions gives
BIN_BITS = 14
KEYS, SIZES, GROUPS = "keys.npy", "sizes.npy", "groups.json"


class Sized(NamedTuple):
    """Documents of one batch or partition."""

    groups: pa.DictionaryArray  # string; null = NO_GROUP
    keys: np.ndarray  # uint64, below 2 ** KEY_BITS
    sizes: np.ndarray  # int64; null counts as 0


def group_values(column: pa.Array) -> pa.DictionaryArray:
    """The column as group names, null as NO_GROUP."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    names = pc.fill_null(column.cast(pa.string()), NO_GROUP)
    return names.dictionary_encode()


def keys_of(id_hash: pa.Array, seed: int) -> np.ndarray:
    """A document's place in its group's order; uint64 below 2 ** KEY_BITS."""
    return (hash_fractions(id_hash, f"{seed}/mixture") * (1 << KEY_BITS)).astype(np.uint64)


def sizes_of(batch: pa.RecordBatch, unit: Unit) -> np.ndarray:
    """The size of each document in the unit; int64, null is 0."""
    if unit == "documents":
        return np.ones(batch.num_rows, np.int64)
    return np.asarray(
        pc.fill_null(batch.column(COLUMNS[unit].name), 0).to_numpy(zero_copy_only=False), np.int64
    )


def read_sized(batch: pa.RecordBatch, by: str, unit: Unit, seed: int) -> Sized:
    """Group, key and size of each document."""
    keys = keys_of(batch.column(ID_HASH.name), seed)
    return Sized(group_values(batch.column(by)), keys, sizes_of(batch, unit))


def write_sized(parts: Iterable[Sized], out: Path) -> tuple[list[str], int]:
    """The documents of a partition as a file of keys, one of sizes, and where groups begin in them.

    Returns:
        names of the files (none if there are no documents), and the number of documents.
    """
    held = list(parts)
    rows = sum(len(part.keys) for part in held)
    if not rows:
        return [], 0
    names = pa.chunked_array([part.groups.cast(pa.string()) for part in held]).combine_chunks()
    encoded = names.dictionary_encode()
    order = np.argsort(np.array(encoded.dictionary.to_pylist(), object), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    group = rank[encoded.indices.to_numpy()]
    keys = np.concatenate([part.keys for part in held])
    sizes = np.concatenate([part.sizes for part in held])
    sort = np.lexsort((sizes, keys, group))
    np.save(out / KEYS, keys[sort])
    np.save(out / SIZES, sizes[sort])
    found = [encoded.dictionary[int(k)].as_py() for k in order]
    ends = np.cumsum(np.bincount(group, minlength=len(found))).tolist()
    (out / GROUPS).write_text(json.dumps([found, ends]), "utf-8")
    return [KEYS, SIZES, GROUPS], rows


class SizedFiles(NamedTuple):
    """One partition's files, mapped: groups' names, where each ends, and the arrays."""

    names: Sequence[str]
    ends: Sequence[int]
    keys: np.ndarray
    sizes: np.ndarray

    def groups(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Name, keys and sizes of each group."""
        starts = [0, *self.ends]
        for name, start, end in zip(self.names, starts, self.ends, strict=False):
            yield name, self.keys[start:end], self.sizes[start:end]


def open_sized(files: Sequence[Path]) -> SizedFiles:
    """The files that write_sized named, in its order."""
    keys, sizes = (np.load(path, mmap_mode="r") for path in files[:2])
    names, ends = json.loads(files[2].read_text("utf-8"))
    return SizedFiles(names, ends, keys, sizes)


class GroupSize(NamedTuple):
    """How much of a group there is, in all partitions."""

    documents: int
    size: int
    bins: np.ndarray  # int64, 2 ** BIN_BITS: the same by bin of keys


def bin_sizes(partitions: Iterable[SizedFiles]) -> dict[str, GroupSize]:
    """All groups, in the order of their names."""
    found: dict[str, GroupSize] = {}
    for partition in partitions:
        for name, keys, sizes in partition.groups():
            held = found.get(name) or GroupSize(0, 0, np.zeros(1 << BIN_BITS, np.int64))
            bins = (keys >> np.uint64(KEY_BITS - BIN_BITS)).astype(np.int64)
            np.add.at(held.bins, bins, sizes)
            found[name] = GroupSize(held.documents + len(keys), held.size + int(sizes.sum()), held.bins)
    return dict(sorted(found.items()))


def cut_key(name: str, at: int, bins: np.ndarray, partitions: Iterable[SizedFiles]) -> tuple[int, int]:
    """Where `at` is reached in a group's order.

    Args:
        name: the group.
        at: 0 to the group's size.
        bins: its sizes by bin.
        partitions: all of them.

    Returns:
        the key below which documents lie that end at or before `at`, and the size of those. Documents with
        equal keys fall on the same side.
    """
    upto = np.cumsum(bins)
    edge = int(np.searchsorted(upto, at, "right"))
    if edge == len(bins):
        return 1 << KEY_BITS, int(upto[-1])
    before = int(upto[edge] - bins[edge])
    shift = KEY_BITS - BIN_BITS
    keys, sizes = _of_keys(name, edge << shift, (edge + 1) << shift, partitions)
    order = np.argsort(keys, kind="stable")
    keys, ends = keys[order], before + np.cumsum(sizes[order])
    within = int(np.searchsorted(ends, at, "right"))  # documents of the bin that end at or before
    if within == len(keys):
        return (edge + 1) << shift, int(upto[edge])
    below = int(keys[within])
    kept = int(np.searchsorted(keys, np.uint64(below), "left"))
    return below, int(ends[kept - 1]) if kept else before


def _of_keys(
    name: str, low: int, high: int, partitions: Iterable[SizedFiles]
) -> tuple[np.ndarray, np.ndarray]:
    """Keys and sizes of a group with low <= key < high."""
    keys, sizes = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for partition in partitions:
        if name in partition.names:
            at = list(partition.names).index(name)
            start, end = ([0, *partition.ends][at], partition.ends[at])
            bounds = np.array([low, high], np.uint64)
            first, last = start + np.searchsorted(partition.keys[start:end], bounds)
            keys.append(partition.keys[first:last])
            sizes.append(partition.sizes[first:last])
    return np.concatenate(keys), np.concatenate(sizes)
