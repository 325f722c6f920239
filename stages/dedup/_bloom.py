"""Bloom filters in files: how large one must be, what it promises, and what it turned out to be.

A filter folder holds `filter.u64` (blocks of 512 bits, little-endian), for `repeated: true` also `repeated.u64` (the
places that at least two documents set), and `manifest.json`, which comes last.
"""

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from stages.dedup._bloom_kernels import BLOCK_BITS, MAX_BITS, WORDS, count_fills, count_held, hash_grams
from stages.kernels.buffers import text_buffers
from stages.kernels.words import Alphabet, char_alphabet, word_alphabet

FILTER, REPEATED, MANIFEST = "filter.u64", "repeated.u64", "manifest.json"
FORMAT = 1
LEAST_BLOCKS = 1024  # in fewer, the rate depends on luck
_MARGIN = 0.85  # of the promised rate is what a filter is sized for: blocks do not fill evenly
_WHOLE = 1 << 40  # words to an n-gram that is all there is
PROBES = 1 << 20

Unit = Literal["word", "char"]
Scope = Literal["document", "paragraph"]


class Size(NamedTuple):
    """Of a filter."""

    blocks: int  # of 512 bits
    bits: int  # places that a hash sets

    @property
    def bytes(self) -> int:
        """On disk and in memory."""
        return self.blocks * BLOCK_BITS // 8


class GramRules(NamedTuple):
    """What the n-grams of a text are."""

    unit: Unit
    n: int | None  # null: all of it is one
    scope: Scope

    def kernel_args(self) -> tuple[Any, ...]:
        """An alphabet's tables, n, and whether lines are taken one by one."""
        alphabet: Alphabet = word_alphabet(signs=True) if self.unit == "word" else char_alphabet(signs=True)
        return *alphabet, self.n or _WHOLE, self.scope == "paragraph"


def gram_hashes(texts: pa.Array, rules: GramRules, distinct: bool) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the n-grams of each text, ascending and each once if `distinct`; uint64, and offsets of the rows."""
    args = (*text_buffers(texts), *rules.kernel_args(), distinct)
    found: tuple[np.ndarray, np.ndarray] = hash_grams(*args)
    return found


class BloomFilter(NamedTuple):
    """A filter that has been opened."""

    words: np.ndarray  # uint64, read-only and mapped
    repeated: np.ndarray  # the same of what two documents have; no entries where that was not kept
    size: Size
    rules: GramRules
    rate: float  # of false positives


def false_positive_rate(per_block: float, bits: int) -> float:
    """The chance that a hash that was never added is held, for this mean number of hashes to a block.

    The number in a block is Poisson-distributed, and i hashes leave a place unset with probability (511/512)^(i bits).

    >>> round(false_positive_rate(51.2, 6), 4)
    0.0096
    """
    most = int(per_block + 12 * math.sqrt(per_block) + 20)
    i = np.arange(most + 1)
    logs = i * math.log(per_block) - per_block - np.array([math.lgamma(k + 1) for k in range(most + 1)])
    fill = 1 - (1 - 1 / BLOCK_BITS) ** (i * bits)
    return float((np.exp(logs) * fill**bits).sum())


@functools.cache
def filter_size(hashes: int, rate: float) -> Size:
    """The smallest filter that keeps the rate with this many different hashes.

    >>> size = filter_size(1_000_000, 0.01)
    >>> round(size.blocks * 512 / 1_000_000, 1), size.bits
    (10.3, 7)
    """
    per_hash = 4.0
    while True:
        per_block = BLOCK_BITS / per_hash
        best = min(range(1, MAX_BITS + 1), key=lambda bits: false_positive_rate(per_block, bits))
        if false_positive_rate(per_block, best) <= _MARGIN * rate:
            return Size(max(LEAST_BLOCKS, math.ceil(hashes * per_hash / BLOCK_BITS)), best)
        per_hash *= 1.01


class Measured(NamedTuple):
    """What a filter turned out to be."""

    fill: float  # share of the places that are set
    rate: float  # of false positives: mean over blocks of fill^bits, which is exact for uniform hashes
    probed_rate: float  # the same, counted with hashes that were never added
    distinct: float  # estimate of the hashes in it; infinite where a filter is full


def measure_filter(words: np.ndarray, size: Size) -> Measured:
    """Fill, rates and number of hashes of a filter."""
    fills = count_fills(words)
    share = np.arange(BLOCK_BITS + 1) / BLOCK_BITS
    with np.errstate(divide="ignore"):
        each = np.log1p(-share) / (size.bits * math.log1p(-1 / BLOCK_BITS))
    return Measured(
        fill=float((fills * share).sum() / size.blocks),
        rate=float((fills * share**size.bits).sum() / size.blocks),
        probed_rate=count_held(words, size.blocks, size.bits, _strangers(PROBES)) / PROBES,
        distinct=float(each[fills > 0] @ fills[fills > 0]),
    )


def _strangers(count: int) -> np.ndarray:
    """Hashes from a counter, which no text has but by chance (splitmix64)."""
    z = (np.arange(1, count + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(
        0x5851F42D4C957F2D
    )
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Publish a filter: its card appears whole or not at all."""
    temporary = folder / f".{MANIFEST}.tmp"
    temporary.write_bytes(
        orjson.dumps({"format": FORMAT, **facts}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    )
    temporary.replace(folder / MANIFEST)


def read_filter(folder: Path) -> BloomFilter:
    """Map a filter.

    Raises:
        ValueError: the folder holds none, or one of another format.
    """
    card = orjson.loads((folder / MANIFEST).read_bytes()) if (folder / MANIFEST).is_file() else {}
    if "blocks" not in card:
        raise ValueError(
            f"filter: {folder} holds no Bloom filter; give a build_bloom_filter node as side input"
        )
    if card["format"] != FORMAT:
        raise ValueError(
            f"filter: {folder} has format {card['format']}, but this version reads {FORMAT}; rebuild it"
        )
    size = Size(card["blocks"], card["bits_per_ngram"])
    repeated = map_words(folder / REPEATED, size) if card["repeated"] else np.zeros(0, np.uint64)
    rules = GramRules(card["unit"], card["n"], card["scope"])
    return BloomFilter(map_words(folder / FILTER, size), repeated, size, rules, card["false_positive_rate"])


def map_words(path: Path, size: Size) -> np.ndarray:
    """A filter's words, mapped read-only.

    Raises:
        ValueError: the file is not as long as the filter.
    """
    if path.stat().st_size != size.bytes:
        raise ValueError(f"filter: {path} has {path.stat().st_size} bytes, not {size.bytes}; rebuild it")
    words = np.asarray(np.memmap(path, "<u8", mode="r"))
    words.flags.writeable = False
    return words


def new_words(path: Path, size: Size) -> np.ndarray:
    """Zeros in a file, mapped."""
    return np.memmap(path, "<u8", mode="w+", shape=(size.blocks * WORDS,))
