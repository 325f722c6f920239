"""The index of benchmark items on disk: a folder of .npy files that workers map into memory, and share.

Items are stored as texts: word sequences, each equal one once. A seed is a run of `seed_words` words of a text; a
document is searched for seeds, and what is around a hit is compared word by word, so nothing is taken for a match by
its hash alone.

meta.json                   format, params, what was indexed and what cannot be found
items.arrow                 benchmark, id, question, answer of each item, by number, and whether it can be found
words, weights, outputs     by word of all texts: uint64 hash; uint8 half words; uint8 1 = a word of an output
text_starts, text_kinds     int64: a text's first word; uint8 TextKind
text_item_*, item_text_*    which items have a text, and which texts an item has (starts and numbers)
seeds_*, rare_*             hashes of runs of words, ascending, and where in `words` they stand; look-up tables
shorts_*, anchors_*         hashes of SHORT texts, whole, and of their first words
"""

import json
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from stages.decontamination._kernels import HashSet, set_bits

FORMAT = 3  # 3: texts with seeds, rather than n-grams
META, ITEMS = "meta.json", "items.arrow"
BITS_PER_HASH = 16  # of a hundred hashes that are not in a set, about one passes its bitmap
LARGEST_BITMAP = 30  # 2^30 bits: 128 MB
ITEM_SCHEMA = pa.schema(
    [("benchmark", pa.string()), ("id", pa.string()), ("question", pa.string()), ("answer", pa.string())]
)
_ARRAYS = ("words", "weights", "outputs", "text_starts", "text_kinds", "text_item_starts", "text_items")
_LOOKUPS = ("item_text_starts", "item_texts")
_SETS = ("seeds", "anchors", "shorts", "rare")


class TextKind(IntEnum):
    """What a text of an item is."""

    ITEM = 0  # the question, then the first output: a solution or an answer
    OUTPUT = 1  # the last seed_words - 1 words of the question, then a further output
    CHOICES = 2  # the same words, then the choices: with labels, and without
    PASSAGE = 3  # what a question is about
    SHORT = 4  # a whole question or passage of fewer than seed_words words
    ANSWER = 5  # for look-ups: an answer, or a solution of few words
    CHOICE = 6  # for look-ups: a choice


class Rare(NamedTuple):
    """Grams that few texts have."""

    width: int  # words
    grams: HashSet
    starts: np.ndarray  # int64, one more than grams: where their places begin
    places: np.ndarray  # int64: word numbers
    idf: np.ndarray  # float32 by gram
    sums: np.ndarray  # float64 by text: of its distinct grams


class BenchmarkIndex(NamedTuple):
    """An index, mapped."""

    seed_words: int
    min_short_words: int
    tokens: Any  # "words" or "code"
    words: np.ndarray
    weights: np.ndarray
    outputs: np.ndarray
    text_starts: np.ndarray
    text_kinds: np.ndarray
    text_item_starts: np.ndarray
    text_items: np.ndarray
    item_text_starts: np.ndarray
    item_texts: np.ndarray
    items: pa.Table
    seeds: HashSet
    seed_starts: np.ndarray
    seed_places: np.ndarray
    anchors: HashSet
    shorts: HashSet
    short_texts: np.ndarray  # int64 by entry of shorts
    rare: Rare | None
    meta: Mapping[str, Any]


def make_set(values: np.ndarray) -> HashSet:
    """Look-up tables over ascending distinct hashes.

    >>> made = make_set(np.array([5, 1 << 63], np.uint64))
    >>> made.bitmap.size * 64, made.directory.tolist()
    (1024, [0, 1, 2])
    """
    wanted = max(values.size, 1) * BITS_PER_HASH
    bits = min(max(10, (wanted - 1).bit_length()), LARGEST_BITMAP)
    bitmap = np.zeros((1 << bits) // 64, np.uint64)
    set_bits(values, 70 - bits, bitmap)
    prefix_bits = max(1, (max(values.size, 1) - 1).bit_length())
    shift = 64 - prefix_bits
    bounds = np.arange(1, 1 << prefix_bits, dtype=np.uint64) << np.uint64(shift)
    directory = np.concatenate([[0], np.searchsorted(values, bounds), [values.size]]).astype(np.int64)
    return HashSet(values, bitmap, 70 - bits, directory, shift)


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
    return HashSet(values, bitmap, 70 - bits, directory, 64 - prefix_bits)


def map_array(path: Path) -> np.ndarray:
    """A stored array, mapped read-only; an empty one is read."""
    array = np.load(path, mmap_mode="r") if path.stat().st_size > 128 else np.load(path)
    array = np.asarray(array)
    array.flags.writeable = False
    return array


def save_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Each array as a file of its name."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def save_items(path: Path, items: pa.Table) -> None:
    """Items as an Arrow file whose bytes know no batches."""
    with pa.ipc.new_file(str(path), items.schema) as writer:
        writer.write_table(items.combine_chunks())


def load_items(path: Path) -> pa.Table:
    """What save_items() wrote."""
    with pa.ipc.open_file(str(path)) as reader:
        return reader.read_all()


def save_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    """meta.json, the last file of an index."""
    whole = {"format": FORMAT, **meta}
    (folder / META).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n", "utf-8")


def read_index(folder: Path) -> BenchmarkIndex:
    """Map an index.

    Raises:
        ValueError: the folder holds none, or one of another format.
    """
    if not (folder / META).is_file():
        raise ValueError(
            f"index: {folder} holds no index of benchmark items; give a build_ngram_index node as side input"
        )
    meta = json.loads((folder / META).read_text("utf-8"))
    if meta.get("format") != FORMAT:
        raise ValueError(
            f"index: {folder} has format {meta.get('format')}, but this version reads {FORMAT}; rebuild it"
        )
    arrays = {name: map_array(folder / f"{name}.npy") for name in (*_ARRAYS, *_LOOKUPS)}
    rare = None
    if meta["rare_words"] is not None:
        parts = [map_array(folder / f"rare_{part}.npy") for part in ("starts", "places", "idf", "sums")]
        rare = Rare(meta["rare_words"], read_set(folder, "rare"), *parts)
    return BenchmarkIndex(
        seed_words=meta["seed_words"],
        min_short_words=meta["min_short_words"],
        tokens=meta["tokens"],
        **arrays,
        items=load_items(folder / ITEMS),
        seeds=read_set(folder, "seeds"),
        seed_starts=map_array(folder / "seed_starts.npy"),
        seed_places=map_array(folder / "seed_places.npy"),
        anchors=read_set(folder, "anchors"),
        shorts=read_set(folder, "shorts"),
        short_texts=map_array(folder / "short_texts.npy"),
        rare=rare,
        meta=meta,
    )
