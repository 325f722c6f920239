"""Bounds, masks and shifted targets equal what a loop over documents gives."""

import numpy as np
import pytest

from shards.collate import (
    batch_cu_seqlens,
    block_diagonal_mask,
    document_ids,
    document_starts,
    flatten,
    shifted,
)
from shards.loader import TokenShards
from tests.shards.plain import make_rows, write_plain


@pytest.fixture(scope="module", params=[False, True], ids=["ids", "labels"])
def data(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("collate") / "out"
    write_plain(folder, [make_rows(20, 5)], labels=request.param)
    return TokenShards(folder, seq_len=28, batch=6, seed=1)


def documents_of(data, batch):
    """(row, start, end) of every document."""
    found = []
    for i, row in enumerate(batch["rows"]):
        at = 0
        for size in data[int(row)]["seq_lengths"].tolist():
            found.append((i, at, at + size))
            at += size
    return found


def test_bounds_of_a_batch(data):
    for batch in data:
        sizes = [end - start for _, start, end in documents_of(data, batch)]
        bounds, longest = batch_cu_seqlens(batch)
        assert bounds.dtype == np.int32
        assert np.diff(bounds).tolist() == sizes
        assert longest == max(sizes)
        assert document_starts(batch).sum() == len(sizes)


def test_flat_batches(data):
    for batch in data:
        flat = flatten(batch)
        stored = [data[int(row)] for row in batch["rows"]]
        ids = np.concatenate([row["input_ids"] for row in stored])
        assert np.array_equal(flat.arrays["input_ids"][0], ids)
        labels = np.concatenate([row.get("labels", row["input_ids"]) for row in stored]).astype(np.int64)
        labels[flat.cu_seqlens[:-1]] = -100
        assert np.array_equal(flat.arrays["labels"][0], labels)
        assert flat.arrays["attention_mask"].all()
        assert "rows" not in flat.arrays
        assert flat.cu_seqlens[-1] == len(ids)
        assert (batch["labels"][:, 0] != -100).any() or "labels" in stored[0]  # the batch itself is as it was


def test_masks(data):
    for batch in data:
        length = batch["input_ids"].shape[1]
        want = np.zeros((len(batch["rows"]), length, length), bool)
        ids = np.full(batch["input_ids"].shape, -1)
        for i, start, end in documents_of(data, batch):
            want[i, start:end, start:end] = True
            ids[i, start:end] = ids[i].max() + 1
        want |= np.eye(length, dtype=bool)
        assert np.array_equal(block_diagonal_mask(batch, causal=False)[:, 0], want)
        assert np.array_equal(block_diagonal_mask(batch)[:, 0], want & np.tri(length, dtype=bool))
        assert np.array_equal(document_ids(batch), ids)
        alone = TokenShards(data.folder.name, seq_len=28, columns=("document_ids",))
        assert np.array_equal(alone.collate(batch["rows"])["document_ids"], ids)


def test_shifted_targets(data):
    batch = next(iter(data))
    before = {name: array.copy() for name, array in batch.items()}
    within, across = shifted(batch), shifted(batch, across_documents=True)
    assert np.array_equal(across["targets"], batch["labels"][:, 1:])
    want = batch["labels"][:, 1:].copy()
    for i, start, _ in documents_of(data, batch):
        if start:
            want[i, start - 1] = -100
    assert np.array_equal(within["targets"], want)
    assert within["input_ids"].shape == within["targets"].shape
    within["targets"][...] = 0
    within["input_ids"][...] = 0
    assert all(np.array_equal(batch[name], before[name]) for name in batch)


def test_empty_batches_and_missing_columns(data):
    empty = data.collate([])
    assert batch_cu_seqlens(empty)[0].tolist() == [0]
    assert flatten(empty).arrays["input_ids"].shape == (1, 0)
    assert block_diagonal_mask(empty).shape == (0, 1, 28, 28)
    with pytest.raises(KeyError, match="the batch has no position_ids; name it in `columns`"):
        document_ids({"attention_mask": np.ones((1, 2), bool)})
