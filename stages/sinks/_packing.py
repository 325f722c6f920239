"""Documents' tokens into rows: concatenated and cut, or a document a row; every token is kept, none is added.

Arrays only: positions are counted in int64 and what a token belongs to is found by binary search.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from shards.format import PIECE_TYPE

BATCH_TOKENS = 1 << 20  # a record batch of a shard ends with the row that fills it: far from 32-bit offsets


class Docs(NamedTuple):
    """Tokens of some documents, one after the other; arrays of tokens may be views of the batch they came in."""

    names: pa.Array  # string: the documents' ids
    lengths: np.ndarray  # int64, one a document
    starts: np.ndarray  # int64, one a document: where its first token here begins in its text; -1 unknown
    ids: np.ndarray  # uint32, one a token
    ends: np.ndarray  # uint32 or int64, one a token: where it ends in its text, in code points; -1 unknown
    labels: np.ndarray | None  # int32 or int64, one a token


class Pieces(NamedTuple):
    """The stretches of tokens that lie in one row and come from one document."""

    bounds: np.ndarray  # int64, pieces + 1: positions in the run of tokens
    docs: np.ndarray  # int64: index of the document
    rows: np.ndarray  # int64: index of the row


def row_ends(lengths: np.ndarray, seq_len: int | None, packing: str) -> np.ndarray:
    """Where rows end in a run of documents, in tokens.

    Args:
        lengths: tokens of each document.
        seq_len: no row is longer; None = no limit, which only `none` knows.
        packing: "concat" = rows of exactly seq_len, and the rest in a short one; "none" = each document
            begins a row, and goes on in further rows when it is longer than seq_len.

    >>> row_ends(np.array([3, 4]), 2, "concat").tolist(), row_ends(np.array([3, 4]), 2, "none").tolist()
    ([2, 4, 6, 7], [2, 3, 5, 7])
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    if packing == "concat" and seq_len is not None:
        return np.append(np.arange(seq_len, total, seq_len), total)[: -(-total // seq_len)]
    if seq_len is None:
        whole: np.ndarray = np.unique(ends[ends > 0])
        return whole
    rows = -(-lengths // seq_len)  # of each document
    first = np.repeat(np.cumsum(rows) - rows, rows)
    within = (np.arange(int(rows.sum())) - first + 1) * seq_len
    cut: np.ndarray = np.repeat(ends - lengths, rows) + np.minimum(within, np.repeat(lengths, rows))
    return cut


def cut_pieces(lengths: np.ndarray, rows: np.ndarray) -> Pieces:
    """Cut a run of documents at the ends of documents and of rows.

    >>> cut_pieces(np.array([3, 4]), np.array([2, 7]))
    Pieces(bounds=array([0, 2, 3, 7]), docs=array([0, 0, 1]), rows=array([0, 1, 1]))
    """
    doc_ends = np.cumsum(lengths, dtype=np.int64)
    bounds = np.sort(np.concatenate([[0], doc_ends, rows]), kind="stable")  # two ascending runs: merged
    bounds = bounds[np.append(True, bounds[1:] > bounds[:-1])]
    starts = bounds[:-1]
    return Pieces(bounds, np.searchsorted(doc_ends, starts, "right"), np.searchsorted(rows, starts, "right"))


def take(held: list[Docs], tokens: int) -> list[Docs]:
    """Take the first `tokens` tokens off the held documents; nothing is copied."""
    taken: list[Docs] = []
    while tokens:
        size = len(held[0].ids)
        if size <= tokens:
            taken.append(held.pop(0))
            tokens -= size
        else:
            head, held[0] = split(held[0], tokens)
            taken.append(head)
            tokens = 0
    return taken


def gather(parts: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Tokens of several runs in one array of this type, in one pass; values are known to fit."""
    return np.concatenate(parts, dtype=dtype, casting="unsafe")


def at_places(parts: Sequence[np.ndarray], places: np.ndarray) -> np.ndarray:
    """Values at ascending places of several runs that follow each other; int64."""
    bounds = np.cumsum([0, *map(len, parts)])
    cuts = np.searchsorted(places, bounds)
    found = [
        part[places[first:last] - start]
        for part, start, first, last in zip(parts, bounds.tolist(), cuts, cuts[1:], strict=False)
    ]
    return gather(found, np.dtype(np.int64))


def split(docs: Docs, at: int) -> tuple[Docs, Docs]:
    """The first `at` tokens, and the rest; a document across the cut is in both."""
    ends = np.cumsum(docs.lengths)
    before = int(np.searchsorted(ends, at, "right"))  # documents that end at or before the cut
    begun = at - (int(ends[before - 1]) if before else 0)  # tokens of the next one before the cut
    head_docs = before + (begun > 0)
    head_lengths, tail_lengths = docs.lengths[:head_docs].copy(), docs.lengths[before:].copy()
    tail_starts = docs.starts[before:].copy()
    if begun:
        head_lengths[-1] = begun
        tail_lengths[0] -= begun
        tail_starts[0] = docs.ends[at - 1]
    labels = docs.labels
    head = Docs(
        docs.names[:head_docs],
        head_lengths,
        docs.starts[:head_docs],
        docs.ids[:at],
        docs.ends[:at],
        None if labels is None else labels[:at],
    )
    tail = Docs(
        docs.names[before:],
        tail_lengths,
        tail_starts,
        docs.ids[at:],
        docs.ends[at:],
        None if labels is None else labels[at:],
    )
    return head, tail


def to_batch(parts: Sequence[Docs], rows: np.ndarray, schema: pa.Schema) -> pa.RecordBatch:
    """Rows of a shard.

    Args:
        parts: the tokens of these rows and no others.
        rows: where each row ends.
        schema: shards.format.row_schema.
    """
    row_offsets = offsets_of(np.append(0, rows))
    lengths = np.concatenate([part.lengths for part in parts])
    pieces = cut_pieces(lengths, rows)
    names = pa.chunked_array([part.names for part in parts], pa.string()).combine_chunks()
    labels = [part.labels for part in parts if part.labels is not None]
    return assemble(
        row_offsets,
        offsets_of(np.searchsorted(pieces.rows, np.arange(len(rows) + 1))),
        np.diff(pieces.bounds),
        names.take(pa.array(pieces.docs)),
        *_spans(parts, lengths, pieces),
        gather([part.ids for part in parts], id_type(schema)),
        gather(labels, np.dtype(np.int32)) if labels else None,
        schema,
    )


def assemble(
    row_offsets: pa.Array,
    piece_offsets: pa.Array,
    sizes: np.ndarray,
    names: pa.Array,
    starts: np.ndarray,
    ends: np.ndarray,
    ids: np.ndarray,
    labels: np.ndarray | None,
    schema: pa.Schema,
) -> pa.RecordBatch:
    """A record batch of a shard.

    Args:
        row_offsets: rows + 1, in tokens.
        piece_offsets: rows + 1, in pieces.
        sizes: tokens of each piece.
        names: the document of each.
        starts: where each begins in its document's text; int64.
        ends: where it ends.
        ids: of the schema's type.
        labels: int32, or None.
        schema: shards.format.row_schema.
    """
    tokens = pa.array(sizes.astype(np.int32))
    struct = pa.StructArray.from_arrays(
        [names, pa.array(starts), pa.array(ends), tokens], fields=list(PIECE_TYPE)
    )
    columns = {
        "input_ids": pa.ListArray.from_arrays(row_offsets, ids),
        "seq_lengths": pa.ListArray.from_arrays(piece_offsets, tokens),
        "pieces": pa.ListArray.from_arrays(piece_offsets, struct),
    }
    if "labels" in schema.names:
        columns["labels"] = pa.ListArray.from_arrays(row_offsets, labels)
    return pa.record_batch(
        [columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema
    )


def id_type(schema: pa.Schema) -> np.dtype:
    """The type of the ids of a shard."""
    name: str = str(schema.field("input_ids").type.value_type)
    return np.dtype(name)


def _spans(parts: Sequence[Docs], lengths: np.ndarray, pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Where each piece begins and ends in its document's text."""
    starts = np.concatenate([part.starts for part in parts])[pieces.docs]
    first = pieces.bounds[:-1]
    inside = np.flatnonzero(
        first > (np.cumsum(lengths) - lengths)[pieces.docs]
    )  # a row cut the document here
    ends = [part.ends for part in parts]
    starts[inside] = at_places(ends, first[inside] - 1)
    return starts, at_places(ends, pieces.bounds[1:] - 1)


def offsets_of(positions: np.ndarray) -> pa.Array:
    if int(positions[-1]) > np.iinfo(np.int32).max:
        raise OverflowError(
            f"{int(positions[-1])} tokens in one batch; a document must have fewer than 2**31 tokens"
        )
    return pa.array(positions.astype(np.int32))


def pack(
    documents: Iterator[Docs],
    seq_len: int | None,
    packing: str,
    schema: pa.Schema,
    batch_tokens: int = BATCH_TOKENS,
) -> Iterator[pa.RecordBatch]:
    """Rows of a shard from a stream of documents; the same however the stream is divided.

    A batch ends with the row that brings it to `batch_tokens`; a row that is not full waits.
    """
    held: list[Docs] = []
    waiting = 0
    for docs in documents:
        held.append(docs)
        waiting += len(docs.ids)
        while waiting >= batch_tokens:
            rows = _rows_of(held, seq_len, packing)
            if packing == "concat" and seq_len is not None and waiting % seq_len:
                rows = rows[:-1]  # the last is not full yet
            last = int(np.searchsorted(rows, batch_tokens))
            if last >= len(rows):
                break
            size = int(rows[last])
            yield to_batch(take(held, size), rows[: last + 1], schema)
            waiting -= size
    if waiting:
        yield to_batch(held, _rows_of(held, seq_len, packing), schema)


def _rows_of(held: Sequence[Docs], seq_len: int | None, packing: str) -> np.ndarray:
    return row_ends(np.concatenate([docs.lengths for docs in held]), seq_len, packing)
