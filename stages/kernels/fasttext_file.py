"""A fastText classifier read from its file, .bin or .ftz, into numpy arrays.

Source: the format that fastText 0.9.2 writes (github.com/facebookresearch/fastText: fasttext.cc, dictionary.cc,
args.cc, densematrix.cc, quantmatrix.cc, productquantizer.cc), little-endian throughout:

    magic, version | args | dictionary: words then labels, pruned n-grams | quantized? input | quantized? output

Nothing is trusted: every count is compared with the bytes that are left before memory is taken for it.
"""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit

MAGIC, VERSIONS = 793712314, (11, 12)
HS, NS, SOFTMAX, OVA = 1, 2, 3, 4
SUPERVISED = 3
EOS = b"</s>"
SUBQUANTIZER = 256  # centroids of a subquantizer: one byte a code
_HEADER = struct.Struct("<12id")
_SIZES = struct.Struct("<iiiqq")


class Quantized(NamedTuple):
    """A product-quantized matrix: row i is norms[norm_codes[i]] times the centroids that its codes name."""

    codes: np.ndarray  # uint8 (rows, subquantizers)
    centroids: np.ndarray  # float32, flat: subquantizer after subquantizer, 256 centroids of `width` each
    width: int  # dimensions to a subquantizer; the last may have fewer
    norms: np.ndarray  # float32 (rows,), 1 where norms were not quantized
    dim: int


class FastTextFile(NamedTuple):
    """What a fastText classifier's file says."""

    path: str
    dim: int
    word_ngrams: int
    loss: int  # HS, NS, SOFTMAX or OVA
    bucket: int
    minn: int
    maxn: int
    words: int
    entries: np.ndarray  # uint8: the bytes of all words, then of all labels, one after the other
    entry_ends: np.ndarray  # int64: entry i is entries[entry_ends[i]:entry_ends[i + 1]]
    labels: list[str]  # as written, "__label__en"
    label_counts: np.ndarray  # int64: how often each occurred in training; labels are sorted by it
    pruned: np.ndarray | None  # int32 (kept, 2): n-gram bucket -> row after the words; None = all kept
    rows: np.ndarray | Quantized  # input matrix: words, then n-gram buckets
    output: np.ndarray  # float32 (labels, dim), decoded if the file has it quantized


class Cursor:
    """A place in a mapped file that refuses to read beyond its end."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.at = data, 0

    def take(self, size: int, what: str) -> np.ndarray:
        left = len(self.data) - self.at
        if size < 0 or size > left:
            raise ValueError(f"it ends within the {what}: {size} bytes wanted, {left} left")
        self.at += size
        return self.data[self.at - size : self.at]

    def unpack(self, form: struct.Struct, what: str) -> tuple[int | float, ...]:
        return form.unpack(self.take(form.size, what).tobytes())

    def integers(self, form: str, what: str) -> list[int]:
        return [int(value) for value in self.unpack(struct.Struct("<" + form), what)]

    def flag(self, what: str) -> bool:
        value = int(self.take(1, what)[0])
        if value > 1:
            raise ValueError(f"the {what} is {value}, not 0 or 1")
        return bool(value)

    def array(self, kind: type, count: int, what: str) -> np.ndarray:
        size = np.dtype(kind).itemsize
        return np.array(self.take(count * size, what)).view(kind)  # a copy of its own, aligned


def read_fasttext(path: Path) -> FastTextFile:
    """Read a supervised fastText model.

    Raises:
        ValueError: it is no such model, or is damaged; names the file and what is wrong.
        OSError: it cannot be read.
    """
    if not path.stat().st_size:
        raise ValueError(f"{path}: no fastText model: the file is empty")
    data = np.memmap(path, np.uint8, "r")
    try:
        return _parse(Cursor(data), str(path))
    except ValueError as error:
        raise ValueError(f"{path}: no fastText classifier that can be read: {error}") from error


def _parse(cursor: Cursor, path: str) -> FastTextFile:
    magic, version = cursor.integers("ii", "header")
    if magic != MAGIC:
        raise ValueError(f"it starts with {magic:#x}, not with fastText's {MAGIC:#x}")
    if version not in VERSIONS:
        raise ValueError(f"format version {version}; versions {VERSIONS} are known")
    args = [int(value) for value in cursor.unpack(_HEADER, "header")]
    dim, _, _, _, _, word_ngrams, loss, kind, bucket, minn, maxn, _, _ = args
    if kind != SUPERVISED:
        raise ValueError("it holds word vectors (cbow or skipgram); train with `supervised` for labels")
    if version == 11:
        maxn = 0  # as fastText does: subwords of classifiers came with version 12
    if dim < 1 or bucket < 0 or not 0 <= word_ngrams <= 1000 or loss not in (HS, NS, SOFTMAX, OVA):
        raise ValueError(f"impossible settings: dim {dim}, bucket {bucket}, loss {loss}")
    if bucket == 0 and (maxn > 0 or word_ngrams > 1):
        raise ValueError("it uses n-grams but has no bucket for them")
    words, entries, ends, labels, counts, pruned = _dictionary(cursor)
    quantized = cursor.flag("mark of a quantized input")
    if pruned is not None and not quantized:
        raise ValueError("its n-grams are pruned but its input is not quantized")
    rows = _quantized(cursor, "input") if quantized else read_dense(cursor, "input")
    if pruned is not None and pruned[:, 0].max(initial=-1) >= bucket:
        raise ValueError(f"it keeps an n-gram of number {pruned[:, 0].max()}, but has {bucket} buckets")
    count, width = (len(rows.codes), rows.dim) if isinstance(rows, Quantized) else rows.shape
    most = words + (bucket if pruned is None else int(pruned[:, 1].max(initial=-1)) + 1)
    if width != dim or count < (most if maxn > 0 or word_ngrams > 1 else words):
        raise ValueError(f"its input has {count} rows of {width}; the dictionary needs {most} of {dim}")
    is_output_quantized = cursor.flag("mark of a quantized output")
    found = (
        _quantized(cursor, "output") if quantized and is_output_quantized else read_dense(cursor, "output")
    )
    output = decode_rows(found) if isinstance(found, Quantized) else found
    if output.shape != (len(labels), dim):
        raise ValueError(f"its output is {output.shape}, but there are {len(labels)} labels of {dim}")
    return FastTextFile(
        path, dim, word_ngrams, loss, bucket, minn, maxn, words, entries, ends, labels, counts, pruned, rows, output
    )  # fmt: skip


def _dictionary(
    cursor: Cursor,
) -> tuple[int, np.ndarray, np.ndarray, list[str], np.ndarray, np.ndarray | None]:
    size, words, labels, _, pruned = (int(v) for v in cursor.unpack(_SIZES, "dictionary"))
    if words < 0 or labels < 1 or size != words + labels:
        raise ValueError(f"its dictionary of {size} has {words} words and {labels} labels")
    if size * 10 > len(cursor.data) - cursor.at:  # a NUL, a count and a type each
        raise ValueError(f"it ends within the dictionary of {size} entries")
    starts, ends, counts, kinds, stop = find_entries(cursor.data, cursor.at, size)
    if stop < 0:
        raise ValueError("it ends within the dictionary")
    if kinds[:words].any() or not (kinds[words:] == 1).all():
        raise ValueError("its dictionary does not have words first and labels after")
    text = [bytes(cursor.data[s:e]) for s, e in zip(starts[words:], ends[words:], strict=True)]
    data, entry_ends = pack_spans(cursor.data, starts, ends)
    cursor.at = int(stop)
    pairs = None
    if pruned >= 0:
        pairs = cursor.array(np.int32, pruned * 2, "pruned n-grams").reshape(-1, 2)
        if len(pairs) and pairs.min() < 0:
            raise ValueError("its pruned n-grams have negative numbers")
    names = [name.decode("utf-8", "replace") for name in text]
    return words, data, entry_ends, names, counts[words:], pairs


def read_dense(cursor: Cursor, what: str) -> np.ndarray:
    """A matrix as it is stored when not quantized, float32 (rows, dim)."""
    rows, dim = cursor.integers("qq", f"size of the {what}")
    if rows < 0 or dim < 1:
        raise ValueError(f"its {what} has {rows} rows of {dim}")
    return cursor.array(np.float32, rows * dim, what).reshape(rows, dim)


def _quantized(cursor: Cursor, what: str) -> Quantized:
    has_norms = cursor.flag(f"mark of quantized norms of the {what}")
    rows, dim, size = cursor.integers("qqi", f"size of the {what}")
    if rows < 0 or dim < 1 or (rows and size % rows):
        raise ValueError(f"its {what} has {rows} rows of {dim} in {size} codes")
    codes = cursor.array(np.uint8, size, what)
    centroids, parts, width = _quantizer(cursor, dim, what)
    if parts * rows != size:
        raise ValueError(f"its {what} has {size} codes for {rows} rows of {parts} parts")
    norms = np.ones(rows, np.float32)
    if has_norms:
        norm_codes = cursor.array(np.uint8, rows, f"norms of the {what}")
        norms = _quantizer(cursor, 1, f"norms of the {what}")[0][norm_codes]
    return Quantized(codes.reshape(rows, parts), centroids, width, norms, dim)


def _quantizer(cursor: Cursor, dim: int, what: str) -> tuple[np.ndarray, int, int]:
    own, parts, width, last = cursor.integers("iiii", f"quantizer of the {what}")
    if own != dim or parts < 1 or width < 1 or not 0 < last <= width or (parts - 1) * width + last != dim:
        raise ValueError(
            f"the quantizer of its {what} cuts {own} into {parts} parts of {width} and {last} (dim {dim})"
        )
    return cursor.array(np.float32, dim * SUBQUANTIZER, f"centroids of the {what}"), parts, width


def decode_rows(matrix: Quantized) -> np.ndarray:
    """A quantized matrix as float32 (rows, dim)."""
    decoded = np.empty((len(matrix.codes), matrix.dim), np.float32)
    for part, codes in enumerate(matrix.codes.T):
        first = part * matrix.width
        wide = min(matrix.width, matrix.dim - first)
        block = matrix.centroids[first * SUBQUANTIZER : (first + wide) * SUBQUANTIZER].reshape(-1, wide)
        decoded[:, first : first + wide] = block[codes] * matrix.norms[:, None]
    return decoded


@njit(cache=True, nogil=True)
def find_entries(data, at, size):
    """Bounds, counts and kinds of the dictionary's entries, and where they end; -1 if the data end before."""
    starts, ends = np.empty(size, np.int64), np.empty(size, np.int64)
    counts, kinds = np.empty(size, np.int64), np.empty(size, np.int8)
    for i in range(size):
        starts[i] = at
        while at < len(data) and data[at] != 0:
            at += 1
        ends[i] = at
        at += 1
        if at + 9 > len(data):
            return starts, ends, counts, kinds, -1
        count = np.int64(0)
        for k in range(8):
            count |= np.int64(data[at + k]) << (8 * k)
        counts[i] = count
        kinds[i] = data[at + 8]
        at += 9
    return starts, ends, counts, kinds, at


@njit(cache=True, nogil=True)
def pack_spans(data, starts, ends):
    """The bytes of some stretches one after the other, and where each ends."""
    bounds = np.zeros(len(starts) + 1, np.int64)
    for i in range(len(starts)):
        bounds[i + 1] = bounds[i] + ends[i] - starts[i]
    packed = np.empty(bounds[-1], np.uint8)
    for i in range(len(starts)):
        packed[bounds[i] : bounds[i + 1]] = data[starts[i] : ends[i]]
    return packed, bounds
