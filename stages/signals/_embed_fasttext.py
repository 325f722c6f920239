"""Vectors of texts from fastText models: classifiers (`supervised`), and word vectors (`cbow`, `skipgram`).

As the library's get_sentence_vector has them: a classifier gives the mean of its rows for words, subwords and word
n-grams, which is its hidden layer; word vectors are taken at length 1 and their mean is given. A newline is white
space. Source: fastText 0.9.2, fasttext.cc and dictionary.cc.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.kernels.fasttext import DECODE_BYTES, FASTTEXT_SPACE, make_cache, make_tables, space_table
from stages.kernels.fasttext_file import (
    MAGIC,
    NS,
    SUPERVISED,
    VERSIONS,
    Cursor,
    FastTextFile,
    find_entries,
    pack_spans,
    read_dense,
    read_fasttext,
)
from stages.kernels.fasttext_spans import text_heads
from stages.signals._embed_kernels import embed_spans, embed_words

_HEADER_WORDS = 14  # magic, version and the first twelve settings, int32 each
_SPACE = space_table(FASTTEXT_SPACE)


class FastTextEmbedder:
    """A loaded model. Can be used by several threads at once."""

    def __init__(self, file: FastTextFile, has_labels: bool) -> None:
        self.tables = make_tables(file, DECODE_BYTES)
        self.kernel = embed_spans if has_labels else embed_words

    def embed(self, texts: pa.Array) -> np.ndarray:
        """Sums or means of rows."""
        cache = make_cache(self.tables)
        return np.asarray(self.kernel(*text_heads(texts, None), self.tables, cache, _SPACE))


def load_fasttext_embedder(path: Path) -> FastTextEmbedder:
    """Read a model of any kind.

    Raises:
        ValueError: it is no fastText model, or is damaged; names the file and what is wrong.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = np.frombuffer(file.read(4 * _HEADER_WORDS), np.uint8)
    head = head[: len(head) // 4 * 4].view("<i4")
    if len(head) < _HEADER_WORDS or head[0] != MAGIC or head[1] not in VERSIONS or head[9] == SUPERVISED:
        return FastTextEmbedder(read_fasttext(path), True)  # which says what is wrong, if something is
    try:
        return FastTextEmbedder(_read_vectors(Cursor(np.memmap(path, np.uint8, "r")), str(path)), False)
    except ValueError as error:
        raise ValueError(f"{path}: no fastText word vectors that can be read: {error}") from error


def _read_vectors(cursor: Cursor, path: str) -> FastTextFile:
    """The dictionary and the input matrix; the output, which is for training, is left where it is."""
    settings = cursor.integers("14i", "header")
    cursor.take(8, "header")
    dim, bucket, minn, maxn = settings[2], settings[10], settings[11], settings[12]
    size, words, labels = cursor.integers("iii", "dictionary")
    cursor.take(16, "dictionary")
    if dim < 1 or bucket < 0 or labels != 0 or not 0 < words == size:
        raise ValueError(
            f"impossible settings: dim {dim}, bucket {bucket}, {words} words of {size}, {labels} labels"
        )
    if size * 10 > len(cursor.data) - cursor.at:  # a NUL, a count and a type each
        raise ValueError(f"it ends within the dictionary of {size} entries")
    starts, ends, _, _, stop = find_entries(cursor.data, cursor.at, size)
    if stop < 0:
        raise ValueError("it ends within the dictionary")
    entries, entry_ends = pack_spans(cursor.data, starts, ends)
    cursor.at = int(stop)
    if cursor.flag("mark of a quantized input"):
        raise ValueError("its vectors are quantized, which fastText does to classifiers only")
    rows = read_dense(cursor, "input")
    wanted = words + (bucket if maxn > 0 else 0)
    if rows.shape[1] != dim or len(rows) < wanted:
        raise ValueError(
            f"its input has {len(rows)} rows of {rows.shape[1]}; the dictionary needs {wanted} of {dim}"
        )
    return FastTextFile(
        path=path, dim=dim, word_ngrams=1, loss=NS, bucket=bucket, minn=minn, maxn=maxn, words=words,
        entries=entries, entry_ends=entry_ends, labels=[], label_counts=np.ones(1, np.int64), pruned=None,
        rows=rows, output=np.zeros((1, dim), np.float32),
    )  # fmt: skip
