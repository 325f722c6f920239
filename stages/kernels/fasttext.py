"""Labels and scores of a fastText classifier for a whole Arrow text column, in one compiled pass.

The same labels as the fastText library, and scores that differ in the sixth digit (sums are taken in another
order). Source: fastText 0.9.2 (Joulin et al. 2016, arXiv:1607.01759; Bojanowski et al. 2016, arXiv:1607.04606):
dictionary.cc, loss.cc, vector.cc. A text is one line: newlines separate words and end nothing.

What saves the time: a word's n-grams are hashed and summed up once, then the sum is looked up. A cached sum is
what would be computed again, to the last bit, so results do not depend on what a cache holds; each call borrows
one that no other call has, so threads do not meet.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stages.kernels.buffers import text_buffers
from stages.kernels.fasttext_file import EOS, FastTextFile, Quantized, decode_rows, read_fasttext
from stages.kernels.fasttext_kernels import (
    BLOCK,
    KEEP_ALL,
    LONGEST_CACHED,
    Tables,
    WordCache,
    index_words,
    predict_rows,
)
from stages.kernels.fasttext_losses import NO_LABEL, SIGMOID_MAX, SIGMOID_SIZE

DECODE_BYTES = 64 << 20  # a quantized input up to this size is decoded once; a larger one row by row
CACHE_BYTES = 32 << 20
FASTTEXT_SPACE = (0, 9, 10, 11, 12, 13, 32)


class Predictions(NamedTuple):
    """One entry for each text."""

    labels: np.ndarray  # int32: index of the best label; NO_LABEL where a text has no word
    scores: np.ndarray  # float32: its probability; up to 1.00001, as fastText has it
    targets: np.ndarray  # float32: the probability of the label asked for; NaN where it has no word


class FastTextClassifier:
    """A loaded model. Can be used by several threads at once."""

    def __init__(self, file: FastTextFile, decode_bytes: int = DECODE_BYTES) -> None:
        self.path = file.path
        self.labels = file.labels
        self.tables = make_tables(file, decode_bytes)
        self._idle: list[WordCache] = []

    def predict_spans(
        self,
        data: np.ndarray,
        starts: np.ndarray,
        ends: np.ndarray,
        target: int = NO_LABEL,
        space: np.ndarray | None = None,
    ) -> Predictions:
        """Best label of each stretch of UTF-8 bytes, and the probability of label number `target`.

        Args:
            data: uint8.
            starts: int64 positions in data, at characters.
            ends: int64, one after the last byte.
            target: NO_LABEL asks for none.
            space: bool (256,), bytes that separate words; fastText's own if None.
        """
        cache = self._idle.pop() if self._idle else make_cache(self.tables)
        try:
            found = predict_rows(
                data, starts, ends, self.tables, cache, _FASTTEXT if space is None else space, target
            )
        finally:
            self._idle.append(cache)
        return Predictions(*found)

    def predict(self, text: pa.Array, target: int = NO_LABEL, space: np.ndarray | None = None) -> Predictions:
        """Best label of each text of a (large_)string column; null is empty text."""
        data, offsets = text_buffers(text)
        return self.predict_spans(data, offsets[:-1], offsets[1:], target, space)


def load_fasttext(path: Path, decode_bytes: int = DECODE_BYTES) -> FastTextClassifier:
    """Read a supervised fastText model, .bin or .ftz.

    Raises:
        ValueError: it is no such model, or is damaged; names the file and what is wrong.
        OSError: it cannot be read.
    """
    return FastTextClassifier(read_fasttext(path), decode_bytes)


def space_table(separators: tuple[int, ...]) -> np.ndarray:
    """Bytes that separate words, as a bool table.

    >>> np.flatnonzero(space_table((9, 32))).tolist()
    [9, 32]
    """
    table = np.zeros(256, np.bool_)
    table[list(separators)] = True
    return table


_FASTTEXT = space_table(FASTTEXT_SPACE)


def make_tables(file: FastTextFile, decode_bytes: int) -> Tables:
    """A file's content with what kernels look up."""
    rows = _in_bucket_order(file)
    if isinstance(rows, Quantized) and len(rows.codes) * file.dim * 4 <= decode_bytes:
        rows = decode_rows(rows)
    none = np.zeros((0, file.dim), np.float32)
    dense, coded = (
        none,
        Quantized(np.zeros((0, 1), np.uint8), none[:, 0].copy(), 1, none[:, 0].copy(), file.dim),
    )
    if isinstance(rows, Quantized):
        coded = rows
    else:
        dense = rows
    hashes, table = index_words(file.entries, file.entry_ends, _power_of_two(2 * len(file.entry_ends)))
    steps = np.arange(SIGMOID_SIZE + 1) * 2 * SIGMOID_MAX / SIGMOID_SIZE - SIGMOID_MAX
    return Tables(
        file.word_ngrams, file.minn, file.maxn, file.bucket, file.loss,
        file.words, file.entries, file.entry_ends, hashes, table, _line_end(file),
        KEEP_ALL if file.pruned is None else len(file.pruned), *_index_kept(file),
        dense, coded.codes, coded.centroids, coded.norms, coded.width,
        file.output, *huffman_tree(file.label_counts), (1 / (1 + np.exp(-steps))).astype(np.float32),
    )  # fmt: skip


def _kept_buckets(file: FastTextFile) -> tuple[np.ndarray, np.ndarray]:
    """The n-gram buckets that were not pruned, ascending, and the row of each, counted after the words."""
    pairs = (
        np.zeros((0, 2), np.int32) if file.pruned is None else file.pruned[::-1]
    )  # the last of equals counts
    buckets, first = np.unique(pairs[:, 0], return_index=True)
    return buckets.astype(np.int64), pairs[first, 1].astype(np.int64)


def _in_bucket_order(file: FastTextFile) -> np.ndarray | Quantized:
    """The input with the rows of n-grams in the order of their buckets, if some were pruned."""
    if file.pruned is None:
        return file.rows
    order = np.concatenate([np.arange(file.words), file.words + _kept_buckets(file)[1]])
    if isinstance(file.rows, Quantized):
        return file.rows._replace(codes=file.rows.codes[order], norms=file.rows.norms[order])
    ordered: np.ndarray = file.rows[order]
    return ordered


def _index_kept(file: FastTextFile) -> tuple[np.ndarray, np.ndarray]:
    """A bit for each bucket that was kept, and how many are set before each word of 64."""
    buckets, _ = _kept_buckets(file)
    size = file.bucket // 64 + 1 if file.pruned is not None else 1
    bits = np.zeros(size * 64, np.bool_)
    bits[buckets] = True
    before = np.cumsum(bits.reshape(-1, 64).sum(axis=1))
    packed = np.packbits(bits, bitorder="little").view("<u8")
    return packed.astype(np.uint64), np.concatenate([[0], before[:-1]]).astype(np.int32)


def _line_end(file: FastTextFile) -> int:
    """The number of "</s>" in the dictionary, or -1."""
    sizes = np.diff(file.entry_ends[: file.words + 1])
    for word in np.flatnonzero(sizes == len(EOS)).tolist():
        first = file.entry_ends[word]
        if file.entries[first : first + len(EOS)].tobytes() == EOS:
            return int(word)
    return -1


def make_cache(tables: Tables) -> WordCache:
    """An empty cache of about CACHE_BYTES; the least there can be for a model without subwords."""
    dim = tables.output.shape[1]
    fitting = CACHE_BYTES // (dim * 4 + LONGEST_CACHED + 9)
    slots = max(_power_of_two(fitting + 1) // 2, 64) if tables.maxn > 0 else 1
    return WordCache(
        np.zeros(slots, np.uint32),
        np.zeros(slots, np.uint8),
        np.zeros((slots, LONGEST_CACHED), np.uint8),
        np.zeros(slots, np.int32),
        np.zeros((slots, dim), np.float32),
        np.zeros(BLOCK, np.int64),
        np.zeros(BLOCK + max(tables.word_ngrams, 0) + 2, np.int64),
    )


def huffman_tree(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(parents, left, right) of the tree over labels that are sorted by count, most frequent first.

    Nodes from 0 are the labels, the last is the root; -1 means none. Of two equally rare nodes the one made
    earlier is taken first, but an inner one before a leaf, as fastText does.

    >>> [side.tolist() for side in huffman_tree(np.array([5, 2, 1]))]
    [[4, 3, 3, 4, -1], [-1, -1, -1, 2, 3], [-1, -1, -1, 1, 0]]
    """
    size = len(counts)
    weights = np.full(2 * size - 1, 10**15, np.int64)
    weights[:size] = counts
    parents, left, right = (np.full(2 * size - 1, -1, np.int32) for _ in range(3))
    leaf, inner = size - 1, size
    for node in range(size, 2 * size - 1):
        pair = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[inner]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(inner)
                inner += 1
        left[node], right[node] = pair
        parents[pair] = node
        weights[node] = weights[pair].sum()
    return parents, left, right


def _power_of_two(least: int) -> int:
    return 1 << max(least - 1, 1).bit_length()
