"""Best-fit packing: whole documents share rows, and only what is longer than a row is cut.

Source: Ding et al. 2024, Fewer Truncations Improve Language Modeling (arXiv:2404.10830), section 3. A document longer
than a row fills rows by itself, and its rest is packed like a short document. Rows may end short; none is padded.
Packing looks at a window of documents at a time, which depends on the documents alone.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stages.sinks._packing import BATCH_TOKENS, Docs, assemble, at_places, gather, id_type, offsets_of, take
from stages.sinks._packing_kernels import best_fit, copy_runs

WINDOW_TOKENS, WINDOW_ROWS = 1 << 22, 1024  # a window has as many tokens, and at least as many rows


def cut_documents(lengths: np.ndarray, seq_len: int) -> tuple[np.ndarray, np.ndarray]:
    """Documents as pieces of at most `seq_len` tokens: the document of each, and its size.

    >>> [array.tolist() for array in cut_documents(np.array([5, 0, 2]), 2)]
    [[0, 0, 0, 2], [2, 2, 1, 2]]
    """
    counts = -(-lengths // seq_len)
    docs = np.repeat(np.arange(len(lengths)), counts)
    last = np.cumsum(counts)[counts > 0] - 1
    sizes = np.full(len(docs), seq_len, np.int64)
    sizes[last] = lengths[counts > 0] - (counts[counts > 0] - 1) * seq_len
    return docs, sizes


def order_pieces(sizes: np.ndarray, seq_len: int) -> tuple[np.ndarray, np.ndarray]:
    """Pieces in the order of their rows, and where rows end among them.

    Rows come in the order of their first pieces, pieces of a row in their own order.

    >>> order, ends = order_pieces(np.array([3, 4, 1, 2]), 4)
    >>> order.tolist(), ends.tolist()
    ([0, 2, 1, 3], [2, 3, 4])
    """
    falling = np.argsort(-sizes, kind="stable")
    rows = np.empty(len(sizes), np.int64)
    rows[falling] = best_fit(sizes[falling], seq_len)
    _, first, rows = np.unique(rows, return_index=True, return_inverse=True)
    rows = np.argsort(np.argsort(first))[rows]
    order = np.argsort(rows, kind="stable")
    return order, np.cumsum(np.bincount(rows))


class Window(NamedTuple):
    """Some documents' tokens as they came, and their pieces in the order of rows."""

    ids: np.ndarray  # of the shard's type
    labels: np.ndarray | None  # int32
    places: np.ndarray  # int64, a piece: its first token in `ids`
    sizes: np.ndarray  # int64
    names: pa.Array
    starts: np.ndarray  # int64: where it begins in its document's text
    ends: np.ndarray
    rows: np.ndarray  # int64, a row: where its pieces end


def pack_window(held: Sequence[Docs], seq_len: int, dtype: np.dtype) -> Window:
    """Find a row for every piece of some documents."""
    lengths = np.concatenate([docs.lengths for docs in held])
    docs, sizes = cut_documents(lengths, seq_len)
    places = np.cumsum(sizes) - sizes
    starts = np.concatenate([part.starts for part in held])[docs]
    inside = np.flatnonzero(places > (np.cumsum(lengths) - lengths)[docs])
    given = [part.ends for part in held]
    starts[inside] = at_places(given, places[inside] - 1)
    ends = at_places(given, places + sizes - 1)
    names = pa.chunked_array([part.names for part in held], pa.string()).combine_chunks()
    labels = [part.labels for part in held if part.labels is not None]
    order, rows = order_pieces(sizes, seq_len)
    return Window(
        gather([part.ids for part in held], dtype),
        gather(labels, np.dtype(np.int32)) if labels else None,
        places[order],
        sizes[order],
        names.take(pa.array(docs[order])),
        starts[order],
        ends[order],
        rows,
    )


def window_rows(window: Window, first: int, last: int, schema: pa.Schema) -> pa.RecordBatch:
    """Rows first to last - 1 of a window."""
    bounds = np.append(0, window.rows)[first : last + 1]
    own = slice(int(bounds[0]), int(bounds[-1]))
    places, sizes = window.places[own], window.sizes[own]
    labels = window.labels
    return assemble(
        offsets_of(np.append(0, np.cumsum(sizes))[bounds - bounds[0]]),
        offsets_of(bounds - bounds[0]),
        sizes,
        window.names[own],
        window.starts[own],
        window.ends[own],
        copy_runs(window.ids, places, sizes),
        None if labels is None else copy_runs(labels, places, sizes),
        schema,
    )


def pack_best_fit(
    documents: Iterator[Docs],
    seq_len: int,
    schema: pa.Schema,
    batch_tokens: int = BATCH_TOKENS,
    window_tokens: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """Rows of a shard from a stream of documents; the same however the stream is divided.

    A batch ends with the row that brings it to `batch_tokens`, or with its window. A window ends with the document that
    brings it to `window_tokens`; None: as many as WINDOW_TOKENS and WINDOW_ROWS say.
    """
    for held in windows(documents, window_tokens or max(WINDOW_TOKENS, WINDOW_ROWS * seq_len)):
        window = pack_window(held, seq_len, id_type(schema))
        ends = np.cumsum(window.sizes)[window.rows - 1]  # of rows, in tokens
        first = 0
        while first < len(ends):
            done = int(ends[first - 1]) if first else 0
            last = min(int(np.searchsorted(ends, done + batch_tokens)) + 1, len(ends))
            yield window_rows(window, first, last, schema)
            first = last


def windows(documents: Iterator[Docs], tokens: int) -> Iterator[list[Docs]]:
    """Documents in windows that end with the one that brings them to `tokens`; those without tokens go with any."""
    held: list[Docs] = []
    waiting = 0
    for docs in documents:
        held.append(docs)
        waiting += len(docs.ids)
        while waiting >= tokens:
            lengths = np.concatenate([part.lengths for part in held])
            ends = np.cumsum(lengths)
            size = int(ends[np.searchsorted(ends, tokens)])
            yield take(held, size)
            waiting -= size
    if waiting:
        yield held
