"""The n-gram index on disk: a folder of .npy files that workers map into memory, and share.

meta.json            format, n, short items, what was indexed and what was not
items.arrow          benchmark and id of each item, by number
grams.npy            uint64 ascending: hashes of n-grams, and of whole items shorter than n words
gram_starts.npy      int64: where each gram's items begin in gram_items.npy
gram_items.npy       int32: numbers of the items that have the gram
anchors.npy          uint64 ascending: hashes of the first min_words words of each short item
*_bitmap.npy, *_directory.npy    for fast look-ups in grams and anchors
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from stages.decontamination._kernels import HashSet, set_bits

FORMAT = 2  # 2: words are hashed eight bytes at a time
META = "meta.json"
BITS_PER_GRAM = 16  # of 16 n-grams that are not in the index, at most one passes the bitmap
LARGEST_BITMAP = 30  # 2^30 bits: 128 MB


class NgramIndex(NamedTuple):
    """An index, mapped."""

    n: int
    width: int  # words of an anchor
    lengths: np.ndarray  # int64: lengths of short items
    grams: HashSet
    anchors: HashSet
    gram_starts: np.ndarray
    gram_items: np.ndarray
    benchmarks: list[str]  # by item number
    items: list[str]

    def items_of(self, gram: int) -> np.ndarray:
        """Numbers of the items that have a gram, ascending."""
        return self.gram_items[self.gram_starts[gram] : self.gram_starts[gram + 1]]


def make_set(values: np.ndarray) -> HashSet:
    """Look-up tables over ascending distinct hashes.

    >>> made = make_set(np.array([5, 1 << 63], np.uint64))
    >>> made.bitmap.size * 64, made.directory.tolist()
    (1024, [0, 1, 2])
    """
    wanted = max(values.size, 1) * BITS_PER_GRAM
    bits = min(max(10, (wanted - 1).bit_length()), LARGEST_BITMAP)
    bitmap = np.zeros((1 << bits) // 64, np.uint64)
    set_bits(values, 64 - bits, bitmap)
    prefix_bits = max(1, (max(values.size, 1) - 1).bit_length())
    shift = 64 - prefix_bits
    bounds = np.arange(1, 1 << prefix_bits, dtype=np.uint64) << np.uint64(shift)
    directory = np.concatenate([[0], np.searchsorted(values, bounds), [values.size]]).astype(np.int64)
    return HashSet(values, bitmap, 64 - bits, directory, shift)


def write_set(folder: Path, name: str, values: np.ndarray) -> None:
    """Store a set's three arrays."""
    made = make_set(values)
    np.save(folder / f"{name}.npy", made.values)
    np.save(folder / f"{name}_bitmap.npy", made.bitmap)
    np.save(folder / f"{name}_directory.npy", made.directory)


def read_set(folder: Path, name: str) -> HashSet:
    """Map a set's three arrays; what is to be shifted follows from their sizes."""
    values, bitmap, directory = (
        map_array(folder / f"{part}.npy") for part in (name, f"{name}_bitmap", f"{name}_directory")
    )
    bits, prefix_bits = (bitmap.size * 64).bit_length() - 1, (directory.size - 1).bit_length() - 1
    return HashSet(values, bitmap, 64 - bits, directory, 64 - prefix_bits)


def map_array(path: Path) -> np.ndarray:
    """A stored array, mapped read-only; an empty one is read."""
    array = np.load(path, mmap_mode="r") if path.stat().st_size > 128 else np.load(path)
    array = np.asarray(array)
    array.flags.writeable = False
    return array


def write_index(
    folder: Path, grams: np.ndarray, anchors: np.ndarray, items: pa.Table, meta: Mapping[str, Any]
) -> None:
    """Write a whole index.

    Args:
        folder: to write into.
        grams: uint64, shape (k, 2): hash and item number, in any order, repeats allowed.
        anchors: uint64, shape (k, 2): hash of a short item's first words, and the item's length in words.
        items: `benchmark` and `id` (string) by item number.
        meta: goes into meta.json.
    """
    pairs = np.unique(grams, axis=0) if len(grams) else grams
    values, starts = np.unique(pairs[:, 0], return_index=True)
    write_set(folder, "grams", values)
    np.save(folder / "gram_starts.npy", np.append(starts, len(pairs)).astype(np.int64))
    np.save(folder / "gram_items.npy", pairs[:, 1].astype(np.int32))
    write_set(folder, "anchors", np.unique(anchors[:, 0]))
    with pa.ipc.new_file(str(folder / "items.arrow"), items.schema) as writer:
        writer.write_table(items.combine_chunks())
    lengths = np.unique(anchors[:, 1]).tolist()
    whole = {"format": FORMAT, **meta, "grams": int(values.size), "short_lengths": lengths}
    (folder / META).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n", "utf-8")


def read_index(folder: Path) -> NgramIndex:
    """Map an index.

    Raises:
        ValueError: the folder holds none, or one of another format.
    """
    if not (folder / META).is_file():
        raise ValueError(
            f"index: {folder} holds no n-gram index; give a build_ngram_index node as side input"
        )
    meta = json.loads((folder / META).read_text("utf-8"))
    if meta.get("format") != FORMAT:
        raise ValueError(
            f"index: {folder} has format {meta.get('format')}, but this version reads {FORMAT}; rebuild it"
        )
    with pa.ipc.open_file(str(folder / "items.arrow")) as reader:
        items = reader.read_all()
    return NgramIndex(
        meta["n"],
        meta["min_words"],
        np.array(meta["short_lengths"], np.int64),
        read_set(folder, "grams"),
        read_set(folder, "anchors"),
        map_array(folder / "gram_starts.npy"),
        map_array(folder / "gram_items.npy"),
        items["benchmark"].to_pylist(),
        items["id"].to_pylist(),
    )
