"""Best-fit rows against a slow oracle: documents stay whole, nothing is lost, and rows are as full as said."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.format import Manifest, row_schema
from shards.verify import verify
from stages.sinks import _best_fit
from stages.sinks._best_fit import pack_best_fit
from stages.sinks._packing_kernels import best_fit
from stages.sinks.token_shards import WriteTokenShards
from tests.shards.make import documents, texts, tokenized, tokenizer_folder, write_shards
from tests.stages.sinks.test_packing import SCHEMA, as_rows, make

LENGTHS = st.lists(st.integers(0, 25), max_size=30)


def oracle(sizes, capacity):
    """Rows of best-fit decreasing, by looking at all rows for each item; the last used of equally full ones."""
    left, used, rows = [], [], {}
    for turn, i in enumerate(sorted(range(len(sizes)), key=lambda i: -sizes[i])):
        fits = [row for row, room in enumerate(left) if room >= sizes[i]]
        if fits:
            row = min(fits, key=lambda row: (left[row], -used[row]))
        else:
            row = len(left)
            left.append(capacity)
            used.append(turn)
        left[row] -= sizes[i]
        used[row] = turn
        rows[i] = row
    return [rows[i] for i in range(len(sizes))]


@settings(deadline=None)
@given(st.lists(st.integers(1, 20), max_size=60), st.integers(20, 33))
def test_rows_are_best_fit(sizes, capacity):
    falling = sorted(sizes, reverse=True)
    assert best_fit(np.array(falling, np.int64), capacity).tolist() == oracle(falling, capacity)


@settings(max_examples=200, deadline=None)
@given(lengths=LENGTHS, seq_len=st.integers(1, 12), batch_tokens=st.integers(1, 40), data=st.data())
def test_documents_stay_whole(lengths, seq_len, batch_tokens, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_best_fit, "WINDOW_TOKENS", 40)
        patch.setattr(_best_fit, "WINDOW_ROWS", 3)
        whole = list(pack_best_fit(iter([make(lengths)]), seq_len, SCHEMA, batch_tokens))
        rows = as_rows(whole)
        assert all(0 < len(row) <= seq_len for row in rows)
        assert sorted(token for row in rows for token in row) == [
            (doc, token) for doc, n in enumerate(lengths) for token in range(n)
        ]
        for doc, n in enumerate(lengths):
            mine = sorted(
                [token for d, token in row if d == doc] for row in rows if any(d == doc for d, _ in row)
            )
            cuts = [*range(0, n, seq_len), n] if n else [0]
            assert mine == [list(range(a, b)) for a, b in pairwise(cuts)]
        # nothing may depend on how the documents came: record batches are equal too, not only rows
        bounds = [0, *sorted(data.draw(st.lists(st.integers(0, len(lengths)), max_size=4))), len(lengths)]
        parts = [make(lengths[a:b], a) for a, b in pairwise(bounds)]
        again = list(pack_best_fit(iter(parts), seq_len, SCHEMA, batch_tokens))
        assert len(again) == len(whole)
        assert all(a.equals(b) for a, b in zip(again, whole, strict=True))


def test_rows_come_in_the_order_of_their_first_documents():
    rows = as_rows(pack_best_fit(iter([make([3, 9, 1, 2, 6])]), 6, SCHEMA))
    firsts = [min(doc for doc, _ in row) for row in rows]
    assert firsts == sorted(firsts)
    assert len(rows) == 4  # 6 and 6 alone, 3 + 3 of the long one, 1 + 2


def test_rows_are_full():
    """On lengths as documents have them 98 % of the rooms of rows are used; one document a row would use 29 %."""
    lengths = np.minimum(np.random.default_rng(0).lognormal(5.5, 1.0, 20_000).astype(int) + 1, 900).tolist()
    made = sum(
        batch.num_rows for batch in pack_best_fit(iter([many(lengths)]), 1024, row_schema("uint16", False))
    )
    assert sum(lengths) / (made * 1024) > 0.98


def many(lengths):
    docs = make([1])
    tokens = np.zeros(sum(lengths), np.uint32)
    names = docs.names.take([0] * len(lengths))
    return docs._replace(
        names=names,
        lengths=np.array(lengths),
        starts=np.zeros(len(lengths), np.int64),
        ids=tokens,
        ends=tokens,
        labels=None,
    )


def test_through_the_sink(tmp_path):
    folder = tokenizer_folder(tmp_path / "tok")
    batch = tokenized(documents(texts(60)), folder)
    out = write_shards(tmp_path, [[batch.slice(0, 20)], [batch.slice(20)]], seq_len=64, packing="best_fit")
    assert verify(out) == []
    manifest = Manifest.load(out)
    assert (manifest.packing, manifest.tokens) == ("best_fit", sum(map(len, batch["input_ids"].to_pylist())))
    assert WriteTokenShards(packing="best_fit", seq_len=None).problems() == [
        "packing is 'best_fit', but seq_len is null; give seq_len, or packing: none"
    ]
