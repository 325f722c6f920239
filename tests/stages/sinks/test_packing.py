"""Rows and pieces against a slow oracle that walks token by token."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.format import row_schema
from stages.sinks._packing import Docs, cut_pieces, pack, row_ends, split
from stages.sinks._tokens import read_docs

LENGTHS = st.lists(st.integers(0, 12), max_size=12)


def make(lengths, first=0):
    """Token t of document d is 100 * d + t, and every token covers two code points."""
    lengths = np.array(lengths, np.int64)
    within = np.concatenate([np.arange(n) for n in lengths] or [np.zeros(0)]).astype(np.int64)
    docs = np.repeat(np.arange(first, first + len(lengths)), lengths)
    names = pa.array([f"d{first + i}" for i in range(len(lengths))], pa.string())
    labels = -within.astype(np.int32)
    ids = (docs * 100 + within).astype(np.uint32)
    return Docs(names, lengths, np.zeros(len(lengths), np.int64), ids, 2 * (within + 1), labels)


def oracle(lengths, seq_len, packing):
    """Rows as lists of (document, token)."""
    rows, row = [], []
    for doc, n in enumerate(lengths):
        for token in range(n):
            row.append((doc, token))
            if len(row) == seq_len:
                rows.append(row)
                row = []
        if packing == "none" and row:
            rows.append(row)
            row = []
    return [*rows, row] if row else rows


def as_rows(batches):
    """The same from the written batches, which must agree with their own pieces."""
    rows = []
    for batch in batches:
        for row in batch.to_pylist():
            tokens = [(i // 100, i % 100) for i in row["input_ids"]]
            at = 0
            assert row["labels"] == [-t for _, t in tokens]
            assert row["seq_lengths"] == [p["tokens"] for p in row["pieces"]]
            for piece in row["pieces"]:
                part = tokens[at : at + piece["tokens"]]
                assert {f"d{doc}" for doc, _ in part} == {piece["id"]}
                assert (piece["start"], piece["end"]) == (2 * part[0][1], 2 * (part[-1][1] + 1))
                at += piece["tokens"]
            assert at == len(tokens)
            rows.append(tokens)
    return rows


SCHEMA = row_schema("uint16", labels=True)


@settings(max_examples=200, deadline=None)
@given(
    LENGTHS,
    st.one_of(st.none(), st.integers(1, 9)),
    st.sampled_from(["concat", "none"]),
    st.integers(1, 30),
    st.data(),
)
def test_rows_pieces_and_boundaries(lengths, seq_len, packing, batch_tokens, data):
    if packing == "concat" and seq_len is None:
        seq_len = 4
    whole = list(pack(iter([make(lengths)]), seq_len, packing, SCHEMA, batch_tokens))
    assert as_rows(whole) == oracle(lengths, seq_len, packing)
    # nothing may depend on how the documents came: record batches are equal too, not only rows
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lengths)), max_size=4)))
    bounds = [0, *cuts, len(lengths)]
    parts = [make(lengths[a:b], a) for a, b in pairwise(bounds)]
    again = list(pack(iter(parts), seq_len, packing, SCHEMA, batch_tokens))
    assert len(again) == len(whole)
    assert all(a.equals(b) for a, b in zip(again, whole, strict=True))


@given(LENGTHS, st.data())
def test_split_keeps_every_token(lengths, data):
    docs = make(lengths)
    at = data.draw(st.integers(0, len(docs.ids)))
    head, tail = split(docs, at)
    assert len(head.ids) == at == head.lengths.sum()
    assert tail.lengths.sum() == len(tail.ids) == len(docs.ids) - at
    assert np.array_equal(np.concatenate([head.ids, tail.ids]), docs.ids)


def test_documents_beyond_int32():  # T45: positions alone, no tokens
    lengths = np.array([2**31 + 5, 10, 2**32], np.int64)
    rows = row_ends(lengths, 2**30, "concat")
    assert rows[-1] == lengths.sum()
    assert len(rows) == 7
    pieces = cut_pieces(lengths, rows)
    assert np.diff(pieces.bounds).sum() == lengths.sum()
    assert np.array_equal(np.bincount(pieces.docs, np.diff(pieces.bounds)).astype(np.int64), lengths)
    assert row_ends(lengths, 2**30, "none").tolist()[2:4] == [2**31 + 5, 2**31 + 15]


def test_a_batch_of_more_tokens_than_int32_is_refused():
    many = np.broadcast_to(np.uint32(0), 2**31)  # takes no memory
    docs = make([1])._replace(lengths=np.array([2**31]), ids=many, ends=many)
    with pytest.raises(OverflowError, match="fewer than 2"):
        next(pack(iter([docs]), None, "none", SCHEMA, 1))


def test_list_columns_beyond_int32(tmp_path):  # T52: 8 GiB of ids in a sparse file, and the row after them
    tokens = 2**31 + 3
    path = tmp_path / "ids"
    with path.open("wb") as file:
        file.truncate(4 * (tokens + 4))
    values = np.memmap(path, np.uint32, "r+")
    values[tokens:] = [7, 8, 9, 10]
    lists = pa.LargeListArray.from_arrays(pa.array([0, tokens, tokens + 4], pa.int64()), pa.array(values))
    batch = pa.record_batch({"id": ["a", "b"], "input_ids": lists, "token_ends": lists}).slice(1)
    docs = read_docs(batch)
    assert docs.ids.tolist() == [7, 8, 9, 10]
    assert docs.lengths.tolist() == [4]
    assert docs.names.to_pylist() == ["b"]
