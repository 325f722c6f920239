"""The order is the same for every split of a global batch over ranks and workers, and from any state."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.format import ShardError
from shards.loader import TokenShards
from shards.mixture import Mixture
from tests.shards.plain import plain_shards
from tests.shards.workers import FakeLoading, Info, in_workers, rows_of

ROWS = 39


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return plain_shards(tmp_path_factory.mktemp("stream") / "out")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return plain_shards(tmp_path_factory.mktemp("stream") / "other", (17, 12), seed=4)


def make(kind, folder, other, **params):
    if kind == "one":
        return TokenShards(folder, seed=5, **params)
    parts = [TokenShards(folder, seed=5), TokenShards(other, seed=6)]
    return Mixture(parts, [0.6, 0.4], max_epochs=2, **params)


def key(batch):
    parts = batch.get("component", np.zeros(len(batch["rows"]), int))
    return list(zip(parts.tolist(), batch["rows"].tolist(), strict=True))


def expected_from(kind, folder, other, epochs=3):
    loader = make(kind, folder, other)
    return [row for _ in range(epochs) for batch in loader for row in key(batch)]


def together(loaders, monkeypatch, workers):
    """One epoch of all ranks, step by step, each rank with its own number of workers."""
    streams = [in_workers(one, k, monkeypatch) for one, k in zip(loaders, workers, strict=True)]
    return [row for step in zip(*streams, strict=True) for batch in step for row in key(batch)]


@pytest.mark.parametrize("kind", ["one", "mixture"])
@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("batch", [1, 4])
def test_every_split_gives_one_order(folder, other, monkeypatch, kind, world, workers, batch):
    expected = expected_from(kind, folder, other, 1)
    loaders = [make(kind, folder, other, batch=batch, rank=r, world_size=world) for r in range(world)]
    assert together(loaders, monkeypatch, [workers] * world) == expected


def test_ranks_need_not_have_equally_many_workers(folder, other, monkeypatch):
    loaders = [make("one", folder, other, batch=2, rank=r, world_size=2) for r in range(2)]
    assert together(loaders, monkeypatch, [3, 1]) == expected_from("one", folder, other, 1)


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(["one", "mixture"]),
    first=st.tuples(st.integers(1, 4), st.integers(1, 6)),
    stop=st.integers(1, 200),
    then=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 4)),
    shown=st.booleans(),
)
def test_kill_and_resume_with_another_split(folder, other, kind, first, stop, then, shown):
    """Stop after some step in some epoch, go on with other ranks, batch and workers: the same remaining rows."""
    (world, batch), (new_world, new_batch, workers) = first, then
    expected = expected_from(kind, folder, other)
    columns = ("rows", "state") if kind == "one" else ("rows", "component", "state")
    loaders = [
        make(kind, folder, other, batch=batch, rank=r, world_size=world, columns=columns)
        for r in range(world)
    ]
    state, taken = loaders[0].state_dict(), []
    steps = (step for _ in range(2) for step in zip(*loaders, strict=True))
    for _, step in zip(range(stop), steps, strict=False):
        taken += [row for one in step for row in key(one)]
        state = loaders[0].state_dict(step[-1]["state"] if shown else None)
    state = json.loads(json.dumps(state))
    rest = [
        make(kind, folder, other, batch=new_batch, rank=r, world_size=new_world) for r in range(new_world)
    ]
    for one in rest:
        one.load_state_dict(state)
    with pytest.MonkeyPatch.context() as patch:
        found = together(rest, patch, [workers] * new_world)
    assert found
    assert taken + found == expected[: len(taken) + len(found)]


def test_persistent_workers_go_on_with_the_next_epoch(folder, monkeypatch):
    """A worker that had no part in the last step also stands at the next epoch afterwards."""
    fake = FakeLoading()
    monkeypatch.setitem(sys.modules, "torch.utils.data", fake)
    loader = TokenShards(folder, batch=5, seed=1)
    fake.info = Info(1, 7)
    assert len(list(loader)) == 1
    assert (loader.epoch, loader.position) == (1, 0)


def test_every_epoch_has_its_own_order_and_is_whole(folder):  # T51
    loader = TokenShards(folder, batch=4, seed=2)
    epochs = [tuple(rows_of(loader)) for _ in range(4)]
    assert len(set(epochs)) == 4
    assert all(sorted(epoch) == list(range(ROWS)) for epoch in epochs)
    last = TokenShards(folder, batch=4, seed=2, epoch=3)  # the last epoch is shuffled as the others are
    assert tuple(rows_of(last)) == epochs[3]
    plain = TokenShards(folder, batch=4, shuffle=False)
    assert [rows_of(plain) for _ in range(2)] == [list(range(ROWS))] * 2


@pytest.mark.parametrize("drop_last", [False, True])
def test_state_at_the_end_of_an_epoch(folder, drop_last):  # T51
    loader = TokenShards(folder, batch=4, seed=2, drop_last=drop_last, columns=("rows", "state"))
    batches = list(loader)
    assert len(batches) == loader.steps() == (9 if drop_last else 10)
    assert batches[-1]["state"] == {"epoch": 1, "position": 0}
    assert loader.state_dict() == loader.state_dict(batches[-1]["state"])
    again = TokenShards(folder, batch=4, seed=2)
    again.load_state_dict(loader.state_dict())
    assert rows_of(again) == rows_of(TokenShards(folder, batch=4, seed=2, epoch=1))


def test_loading_a_state_moves_a_running_iteration(folder):
    loader = TokenShards(folder, batch=3, seed=2)
    rows = rows_of(TokenShards(folder, seed=2))
    iterator = iter(loader)
    first, state = next(iterator), loader.state_dict()
    next(iterator)
    next(iterator)
    loader.load_state_dict(state)
    assert next(iterator)["rows"].tolist() == rows[3:6]
    loader.set_epoch(2)
    assert list(iterator) == []
    assert (loader.epoch, loader.position) == (2, 0)
    assert first["rows"].tolist() == rows[:3]


def test_drop_last_after_a_resume_with_another_step_gives_full_steps_only(folder):
    loader = TokenShards(folder, batch=4, seed=2)
    next(iter(loader))
    other = TokenShards(folder, batch=6, seed=2, drop_last=True)
    other.load_state_dict(loader.state_dict())
    assert [len(batch["rows"]) for batch in other] == [6] * 5  # of 35 left


@pytest.mark.parametrize("workers", [1, 3])
def test_drop_last_with_workers(folder, monkeypatch, workers):
    loaders = [TokenShards(folder, batch=4, seed=5, rank=r, world_size=2, drop_last=True) for r in range(2)]
    found = together(loaders, monkeypatch, [workers] * 2)
    assert found == expected_from("one", folder, None, 1)[: ROWS - ROWS % 8]


def test_columns_and_dtype(folder):
    loader = TokenShards(folder, batch=3, columns=("labels", "position_ids"), dtype="int32")
    batch = next(iter(loader))
    assert list(batch) == ["labels", "position_ids"]
    assert {array.dtype for array in batch.values()} == {np.dtype("int32")}
    with pytest.raises(ValueError, match="'ids' is not one; choose from input_ids"):
        TokenShards(folder, columns=("ids",))
    with pytest.raises(ValueError, match="dtype 'int8': is not one for batches; choose from int64, int32"):
        TokenShards(folder, dtype="int8")


def test_nothing_that_is_handed_out_shares_memory(folder):  # T46
    loader = TokenShards(folder, batch=2, seed=1, seq_len=24)
    batches = list(loader)
    before = [{name: array.copy() for name, array in batch.items()} for batch in batches]
    for i, batch in enumerate(batches):
        for name, array in batch.items():
            old = array.copy()
            array[...] = 1  # what a trainer may do
            for j, later in enumerate(batches):
                for other_name, value in later.items():
                    if (i, name) != (j, other_name):
                        assert np.array_equal(value, before[j][other_name])
            array[...] = old
    again = list(TokenShards(folder, batch=2, seed=1, seq_len=24))
    assert all(np.array_equal(a["input_ids"], b["input_ids"]) for a, b in zip(again, batches, strict=True))


def test_state_of_another_version_is_refused(folder):
    loader = TokenShards(folder)
    with pytest.raises(ShardError, match="version is 9, but this loader's is 1"):
        loader.load_state_dict({**loader.state_dict(), "version": 9})


def test_without_pytorch(folder, monkeypatch):
    """The glue says what is missing, and the loader never imports it."""
    from shards import pytorch

    monkeypatch.setattr(pytorch, "DataLoader", None)
    for kind in (pytorch.ResumableLoader, pytorch.PositionDataset, pytorch.PositionSampler):
        with pytest.raises(ImportError, match=r"shards\.pytorch needs torch; install it"):
            kind(TokenShards(folder))
    code = "import sys, shards.loader, shards.mixture, shards.collate, shards.verify; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
