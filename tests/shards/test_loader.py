"""One order for any number of ranks, exact resume, refusal of what is not for this trainer."""

import json
import pickle

import numpy as np
import pytest

from shards.format import Manifest, ShardError
from shards.gather import gather
from shards.loader import TokenShards, cu_seqlens, locate, position_ids, row_starts
from shards.tokenizer import tokenizer_info
from tests.shards.make import documents, small_shards, tokenized, tokenizer_folder, write_shards


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_shards(tmp_path_factory.mktemp("shards"))


def rows_of(loader):
    return [batch["rows"].tolist() for batch in loader]


def in_order(folder, world, batch, epochs=1, **kwargs):
    """All ranks' rows, step by step, ranks in order."""
    loaders = [TokenShards(folder, batch=batch, rank=r, world_size=world, **kwargs) for r in range(world)]
    found = []
    for _ in range(epochs):
        steps = [rows_of(loader) for loader in loaders]
        assert len({len(s) for s in steps}) == 1  # or ranks would wait for each other for ever
        found += [row for step in zip(*steps, strict=True) for rank in step for row in rank]
    return found


@pytest.mark.parametrize("world", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("batch", [1, 4])
def test_order_is_the_same_for_every_world_size(folder, world, batch):
    expected = in_order(folder, 1, 1, epochs=2, seed=17)
    assert in_order(folder, world, batch, epochs=2, seed=17) == expected
    rows = Manifest.load(folder).rows
    assert sorted(expected[:rows]) == sorted(expected[rows:]) == list(range(rows))
    assert expected[:rows] != expected[rows:]


def test_unshuffled(folder):
    assert in_order(folder, 2, 3, shuffle=False) == list(range(Manifest.load(folder).rows))


def test_drop_last(folder):
    rows = Manifest.load(folder).rows
    assert rows % 8
    found = in_order(folder, 2, 4, drop_last=True, seed=1)
    assert found == in_order(folder, 1, 1, seed=1)[: rows - rows % 8]


@pytest.mark.parametrize("world", [1, 2, 5])
def test_resume_at_every_step_with_another_world(folder, world):
    expected = in_order(folder, 1, 1, epochs=2, seed=3)
    loader, taken = TokenShards(folder, batch=8, seed=3), 0
    iterator = iter(loader)
    for batch in iterator:
        taken += len(batch["rows"])
        state = json.loads(json.dumps(loader.state_dict()))
        rest = [TokenShards(folder, batch=2, seed=3, rank=r, world_size=world) for r in range(world)]
        for one in rest:
            one.load_state_dict(state)
        if (
            taken == Manifest.load(folder).rows
        ):  # saved with the last batch: the next epoch, not an empty one (T51)
            assert state["epoch"] == 1
        steps = zip(*[rows_of(one) for one in rest], strict=True)
        found = [row for step in steps for rank in step for row in rank]
        assert found == expected[taken:][: len(found)]
        assert found
    assert loader.epoch == 1


def test_state_of_other_data_is_refused(folder, tmp_path):
    state = TokenShards(folder).state_dict()
    with pytest.raises(ShardError, match="seed is 0, but this loader's is 1"):
        TokenShards(folder, seed=1).load_state_dict(state)
    other = small_shards(tmp_path, parts=1)
    with pytest.raises(ShardError, match=r"data is .* resume with the shards"):
        TokenShards(other).load_state_dict(state)


def test_another_tokenizer_is_refused(folder):
    sha256 = tokenizer_info(folder / "tokenizer.json").sha256
    assert len(TokenShards(folder, tokenizer_sha256=sha256)) == Manifest.load(folder).rows
    with pytest.raises(ShardError, match="tokenize the documents again with the trainer's tokenizer"):
        TokenShards(folder, tokenizer_sha256="0" * 64)


def test_seq_len_and_arguments_are_checked(folder):
    with pytest.raises(ShardError, match="rows of up to 32 tokens, but seq_len is 16"):
        TokenShards(folder, seq_len=16)
    with pytest.raises(ValueError, match="rank below world_size"):
        TokenShards(folder, rank=2, world_size=2)
    with pytest.raises(IndexError, match="row 10000 of"):
        TokenShards(folder)[10_000]


def test_truncated_shard_is_refused(tmp_path):
    folder = small_shards(tmp_path)
    path = folder / "00002-shard.arrow"
    path.write_bytes(path.read_bytes()[:-100])
    loader = TokenShards(folder)
    with pytest.raises(ShardError, match="it is cut off or was altered"):
        loader[len(loader) - 1]


def test_batch_arrays(folder):
    loader = TokenShards(folder, seq_len=40, batch=5, seed=2)
    manifest = Manifest.load(folder)
    for batch in loader:
        for i, row in enumerate(batch["rows"]):
            stored = loader[int(row)]
            n = len(stored["input_ids"])
            assert batch["input_ids"].shape[1] == 40
            assert np.array_equal(batch["input_ids"][i, :n], stored["input_ids"])
            assert (batch["input_ids"][i, n:] == manifest.tokenizer.eos_id).all()
            # padding has the id of EOS, so only the position can tell it from a real one (T56)
            assert batch["attention_mask"][i].tolist() == [True] * n + [False] * (40 - n)
            assert np.array_equal(batch["labels"][i, :n], stored["input_ids"])
            assert (batch["labels"][i, n:] == -100).all()
            expected = [p for length in stored["seq_lengths"] for p in range(length)]
            assert batch["position_ids"][i, :n].tolist() == expected


def test_stored_rows_cannot_be_changed(folder):  # T46
    row = TokenShards(folder)[0]
    with pytest.raises(ValueError, match="read-only"):
        row["input_ids"][0] = 1


def test_negative_rows_and_pieces(folder):
    loader = TokenShards(folder)
    assert np.array_equal(loader[-1]["input_ids"], loader[len(loader) - 1]["input_ids"])
    assert sum(p["tokens"] for p in loader.pieces(0)) == len(loader[0]["input_ids"])


def test_pickles_for_workers(folder):
    loader = TokenShards(folder, batch=4, seed=9)
    first = next(iter(loader))
    again = pickle.loads(pickle.dumps(loader))
    assert again.state_dict() == loader.state_dict()
    assert rows_of(again)[0] != first["rows"].tolist()


def test_no_rows_at_all(tmp_path):
    tok = tokenizer_folder(tmp_path / "tok")
    folder = write_shards(tmp_path, [[tokenized(documents([]), tok)], []])
    loader = TokenShards(folder, batch=2)
    assert len(loader) == 0
    assert rows_of(loader) == []
    assert loader.epoch == 1


def test_positions_beyond_int32():  # T45
    starts = row_starts([2**31 + 5, 2**33, 0, 7])
    assert starts.dtype == np.int64
    assert locate(starts, 2**31 + 4) == (0, 2**31 + 4)
    assert locate(starts, 2**31 + 5) == (1, 0)
    assert locate(starts, 2**31 + 2**33 + 5) == (3, 0)
    with pytest.raises(OverflowError, match="beyond int32"):
        cu_seqlens(np.array([2**31 - 1, 1], np.int32))


def test_loader_of_a_corpus_beyond_int32(folder, monkeypatch):  # T45: the index alone, no data
    loader = TokenShards(folder, batch=3, seed=1)
    huge = 5 * 2**31
    monkeypatch.setattr(TokenShards, "__len__", lambda self: huge if self is loader else 0)
    block = gather([], 0, None, (), "int64", 0)
    monkeypatch.setattr(
        loader, "_gather", lambda rows, width: block._replace(arrays={"rows": rows}, lengths=rows * 0)
    )
    loader.columns = ("rows",)
    loader.position = huge - 7
    found = [batch["rows"].tolist() for batch in loader]
    assert [len(rows) for rows in found] == [3, 3, 1]
    assert all(0 <= row < huge for rows in found for row in rows)
    assert max(row for rows in found for row in rows) > 2**31


def test_helpers_on_nothing():
    assert position_ids(np.array([], np.int32)).tolist() == []
    assert cu_seqlens(np.array([], np.int32)).tolist() == [0]
    assert position_ids(np.array([0, 2])).tolist() == [0, 1]
