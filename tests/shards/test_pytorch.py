"""With the real DataLoader: the order of test_stream.py, tensors, and the state of what was handed out."""

import json
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="shards.pytorch is for PyTorch")

from torch.utils.data import DataLoader, IterableDataset  # noqa: E402

from shards.bert import BERT_COLUMNS, BertCollator  # noqa: E402
from shards.collate import block_diagonal_mask, document_ids, flatten  # noqa: E402
from shards.loader import TokenShards  # noqa: E402
from shards.mixture import Mixture  # noqa: E402
from shards.pytorch import PositionDataset, PositionSampler, ResumableLoader, document_mask  # noqa: E402
from tests.shards.plain import plain_shards  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # fork with threads, inside torch
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # more workers than cores
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return plain_shards(tmp_path_factory.mktemp("pytorch") / "out")


def rows_of(batches):
    return [row for batch in batches for row in np.asarray(batch["rows"]).tolist()]


def make(folder, kind="one", **params):
    if kind == "one":
        return TokenShards(folder, seed=5, **params)
    return Mixture([TokenShards(folder, seed=s) for s in (1, 2)], [2, 1], max_epochs=2, **params)


@pytest.mark.parametrize("kind", ["one", "mixture"])
@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_a_plain_dataloader_gives_the_order(folder, kind, workers):
    expected = rows_of(make(folder, kind, batch=4))
    data = make(folder, kind, batch=4)
    assert isinstance(data, IterableDataset)
    assert rows_of(DataLoader(data, batch_size=None, num_workers=workers)) == expected


@pytest.mark.parametrize("workers", [(1, 2), (3, 1)])
def test_ranks_together(folder, workers):
    streams = [
        DataLoader(make(folder, batch=3, rank=r, world_size=2), batch_size=None, num_workers=k)
        for r, k in enumerate(workers)
    ]
    found = [row for step in zip(*streams, strict=True) for batch in step for row in batch["rows"].tolist()]
    assert found == rows_of(make(folder))


def test_workers_that_stay_go_through_the_epochs(folder):
    loader = DataLoader(make(folder, batch=5), batch_size=None, num_workers=3, persistent_workers=True)
    data = make(folder, batch=5)
    assert [rows_of(loader) for _ in range(3)] == [rows_of(data) for _ in range(3)]


@pytest.mark.parametrize("kind", ["one", "mixture"])
@pytest.mark.parametrize("stop", [0, 1, 4, 9, 10, 13])
@pytest.mark.parametrize("workers", [(0, 2), (2, 0), (3, 1)])
def test_the_state_is_of_what_was_handed_out(folder, kind, stop, workers):
    data = make(folder, kind)
    expected = [row for _ in range(3) for row in rows_of(data)]
    loader, taken = ResumableLoader(make(folder, kind, batch=4), workers[0], **prefetch(workers[0])), []
    batches = (batch for _ in range(2) for batch in loader)
    for _ in range(stop):
        batch = next(batches)
        taken += batch["rows"].tolist()
        assert "state" not in batch
    state = json.loads(json.dumps(loader.state_dict()))
    batches.close()
    again = ResumableLoader(make(folder, kind, batch=2), workers[1])
    again.load_state_dict(state)
    found = [row for _ in range(2) for batch in again for row in batch["rows"].tolist()]
    assert found
    assert taken + found == expected[: len(taken) + len(found)]


def prefetch(workers):
    return {"prefetch_factor": 3} if workers else {}


def test_a_loop_that_is_left_goes_on_where_it_was_left(folder):
    loader, expected = ResumableLoader(make(folder, batch=4), 2), rows_of(make(folder))
    found = []
    for batch in loader:
        found += batch["rows"].tolist()
        if len(found) >= 12:
            break
    assert found + rows_of(loader) == expected
    assert loader.stream.epoch == 1


def test_tensors(folder):
    columns = ("input_ids", "labels", "attention_mask", "state")
    batch = next(iter(ResumableLoader(make(folder, batch=4, seq_len=24, columns=columns), 1)))
    assert list(batch) == list(columns)
    assert batch["input_ids"].dtype == batch["labels"].dtype == torch.int64
    assert batch["input_ids"].shape == (4, 24)
    assert batch["attention_mask"].dtype == torch.bool
    assert batch["state"] == {"epoch": 0, "position": 4}
    plain = next(iter(make(folder, batch=4, seq_len=24)))
    assert np.array_equal(batch["labels"].numpy(), plain["labels"])


def test_options_that_would_break_the_order_are_refused(folder):
    with pytest.raises(ValueError, match="shuffle: give it to TokenShards, which makes the batches"):
        ResumableLoader(make(folder), shuffle=True)
    with pytest.raises(ValueError, match="persistent_workers: workers begin anew"):
        ResumableLoader(make(folder), 2, persistent_workers=True)
    assert len(ResumableLoader(make(folder, batch=4))) == 10
    endless = Mixture([TokenShards(folder)], [1], max_epochs=None)
    with pytest.raises(TypeError, match="has no end"):
        len(ResumableLoader(endless))
    with pytest.raises(ValueError, match="has no end"):
        PositionDataset(endless)


@pytest.mark.parametrize("workers", [0, 2])
def test_map_style_in_the_order_of_the_stream(folder, workers):
    data = make(folder, batch=4, seq_len=24)
    items = PositionDataset(make(folder, seq_len=24), epochs=2)
    assert len(items) == 78
    loader = DataLoader(items, batch_size=4, num_workers=workers)
    assert rows_of(loader) == rows_of(data) + rows_of(data)
    first = items[0]
    assert first["input_ids"].shape == (24,)
    assert np.array_equal(first["input_ids"], next(iter(make(folder, seq_len=24)))["input_ids"][0])
    with pytest.raises(IndexError, match="item 78 of 78"):
        items[78]


def test_map_style_for_ranks(folder):
    streams = []
    for rank in range(2):
        data = make(folder, batch=3, seq_len=24, rank=rank, world_size=2)
        sampler = PositionSampler(data, epochs=2)
        loader = DataLoader(PositionDataset(data, 2), batch_sampler=sampler, num_workers=rank * 2)
        assert len(loader) == len(sampler) == 2 * data.steps()
        streams.append(loader)
    found = [row for step in zip(*streams, strict=True) for batch in step for row in batch["rows"].tolist()]
    data = make(folder)
    assert found == rows_of(data) + rows_of(data)
    resumed = make(folder, batch=4, seq_len=24)
    resumed.load_state_dict({**resumed.state_dict(), "position": 12})
    positions = [p for batch in PositionSampler(resumed, epochs=2) for p in batch]
    assert positions == list(range(12, 78))


def test_mask_of_flex_attention(folder):
    batch = next(iter(make(folder, batch=5, seq_len=30)))
    ids = torch.from_numpy(document_ids(batch))
    index = torch.arange(30)
    for causal in (True, False):
        within = document_mask(ids, causal)
        found = torch.stack([within(b, 0, index[:, None], index[None, :]) for b in range(5)]).numpy()
        mask = batch["attention_mask"]
        both = mask[:, :, None] & mask[:, None, :]  # what padding does is of no account
        assert np.array_equal(found & both, block_diagonal_mask(batch, causal)[:, 0] & both)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_transform_runs_where_batches_are_made(folder, workers):
    data = make(folder, batch=6, columns=BERT_COLUMNS)
    bert = BertCollator(data, 30, cls_id=1, sep_id=2, mask_id=4, pairs="nsp")
    expected = [bert(batch) for batch in data]
    data.set_epoch(0)
    loader = ResumableLoader(data, workers, bert)
    for mine, other in zip(loader, expected, strict=True):
        assert sorted(mine) == sorted(other)
        assert all(np.array_equal(np.asarray(mine[name]), other[name]) for name in other)
    assert loader.state_dict()["epoch"] == 1


@pytest.mark.filterwarnings("ignore::UserWarning")  # flex_attention says that it is slow when not compiled
def test_attention_is_the_same_whichever_mask_is_used(folder):
    """FlexAttention with document ids, scaled_dot_product_attention with the mask, each document by itself."""
    flex = pytest.importorskip("torch.nn.attention.flex_attention", reason="PyTorch 2.5 and later have it")
    batch = next(iter(make(folder, batch=4, seq_len=32)))
    torch.manual_seed(0)
    q, k, v = (torch.randn(4, 2, 32, 16) for _ in range(3))
    blocks = flex.create_block_mask(
        document_mask(torch.from_numpy(document_ids(batch))), 4, None, 32, 32, device="cpu"
    )
    by_ids = flex.flex_attention(q, k, v, block_mask=blocks)
    mask = torch.from_numpy(block_diagonal_mask(batch))
    by_mask = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    kept = torch.from_numpy(batch["attention_mask"])[:, None, :, None]
    assert torch.allclose(by_ids * kept, by_mask * kept, atol=1e-5)
    flat, starts = (
        by_mask.transpose(1, 2)[torch.from_numpy(batch["attention_mask"])],
        flatten(batch).cu_seqlens,
    )
    parts = [x.transpose(1, 2)[torch.from_numpy(batch["attention_mask"])] for x in (q, k, v)]
    for low, high in pairwise(starts):
        alone = [x[low:high].transpose(0, 1)[None] for x in parts]
        found = torch.nn.functional.scaled_dot_product_attention(*alone, is_causal=True)
        assert torch.allclose(flat[low:high], found[0].transpose(0, 1), atol=1e-5)
