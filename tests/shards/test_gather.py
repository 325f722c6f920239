"""Batches made by whole-array copies equal rows taken one by one, for every shape of row and shard."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards import mapped
from shards.format import Manifest, ShardError
from shards.gather import _take_windows
from shards.loader import TokenShards
from shards.mapped import Mapped
from tests.shards.plain import make_rows, plain_shards, write_plain

SHAPES = {
    "concat": {},
    "labels": {"labels": True},
    "wide": {"dtype": "uint32"},
    "documents": {"packing": "none", "seq_len": None},
    "one batch": {"batch_rows": 1000},
    "many batches": {"batch_rows": 1},
}
ALL = ("input_ids", "attention_mask", "position_ids", "labels", "rows", "document_ids")


def by_hand(loader, rows, width):
    """One batch, row by row and token by token."""
    shape = (len(rows), width)
    want = {
        "input_ids": np.full(shape, 3),
        "labels": np.full(shape, -100),
        "position_ids": np.zeros(shape, int),
        "attention_mask": np.zeros(shape, bool),
        "document_ids": np.full(shape, -1),
        "rows": np.array(rows),
    }
    for i, row in enumerate(rows):
        stored = loader[row]
        n = len(stored["input_ids"])
        want["input_ids"][i, :n] = stored["input_ids"]
        want["labels"][i, :n] = stored.get("labels", stored["input_ids"])
        want["attention_mask"][i, :n] = True
        sizes = stored["seq_lengths"].tolist()
        want["position_ids"][i, :n] = [p for size in sizes for p in range(size)]
        want["document_ids"][i, :n] = [d for d, size in enumerate(sizes) for _ in range(size)]
    return want


@pytest.fixture(scope="module", params=sorted(SHAPES))
def shaped(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gather") / "out"
    return plain_shards(folder, (13, 0, 40, 1), **SHAPES[request.param])


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_rows_in_any_order(shaped, data):
    seq_len = None if Manifest.load(shaped).seq_len is None else data.draw(st.sampled_from([None, 24, 31]))
    loader = TokenShards(shaped, seq_len=seq_len, columns=ALL)
    rows = data.draw(st.lists(st.integers(0, len(loader) - 1), max_size=60))
    found = loader.collate(rows)
    width = seq_len or max((len(loader[row]["input_ids"]) for row in rows), default=0)
    want = by_hand(loader, rows, width)
    assert sorted(found) == sorted(want)
    for name, array in want.items():
        assert np.array_equal(found[name], array), name
        assert found[name].flags["C_CONTIGUOUS"]
        assert found[name].flags["WRITEABLE"]


def test_blocks_are_cut_apart_as_single_batches_are(shaped):
    loader = TokenShards(shaped, batch=5, seed=1, columns=ALL)
    for batch in loader:
        single = loader.collate(batch["rows"])
        for name, array in single.items():
            assert np.array_equal(batch[name], array), name


@pytest.mark.parametrize("name", ALL)
def test_each_column_alone(shaped, name):
    whole = TokenShards(shaped, columns=ALL).collate(range(20))
    alone = TokenShards(shaped, columns=(name,)).collate(range(20))
    assert list(alone) == [name]
    assert np.array_equal(alone[name], whole[name])


def test_only_so_many_shards_stay_mapped(tmp_path):
    folder = plain_shards(tmp_path / "out", (3,) * 9)
    loader = TokenShards(folder, batch=4, open_shards=2)
    whole = TokenShards(folder, batch=4)
    for mine, other in zip(loader, whole, strict=True):
        assert np.array_equal(mine["input_ids"], other["input_ids"])
        assert len(loader.store._open) <= 2
    assert len(whole.store._open) == 9


def test_few_and_many_rows_of_a_shard_are_taken_alike(shaped, monkeypatch):
    rows = list(range(0, 50, 3))
    usual = TokenShards(shaped, columns=ALL).collate(rows)
    for few in (0, 1000):
        monkeypatch.setattr("shards.gather.FEW", few)
        other = TokenShards(shaped, columns=ALL).collate(rows)
        assert all(np.array_equal(other[name], usual[name]) for name in ALL)
    assert mapped.FEW == 4


def replace_file(folder, table_of, **options):
    """Write the first shard anew from its table, with the right size in the manifest."""
    import json

    path = folder / "000000.arrow"
    with pa.ipc.open_stream(path.read_bytes()) as reader:
        table = table_of(reader.read_all())
    write = pa.ipc.IpcWriteOptions(**options)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema, options=write) as writer:
        writer.write_table(table)
    data = json.loads((folder / "manifest.json").read_text())
    data["shards"][0]["bytes"] = path.stat().st_size
    (folder / "manifest.json").write_text(json.dumps(data))


def test_compressed_shards_are_refused(tmp_path):
    folder = write_plain(tmp_path / "out", [make_rows(300)])
    replace_file(folder, lambda table: table, compression="lz4")
    with pytest.raises(ShardError, match="is compressed or not aligned; write it uncompressed"):
        TokenShards(folder)[0]


def test_columns_of_another_data_set_are_refused(tmp_path):
    folder = write_plain(tmp_path / "out", [make_rows(5)])
    wider = pa.list_(pa.uint32())
    replace_file(folder, lambda t: t.set_column(0, "input_ids", t["input_ids"].cast(wider)))
    with pytest.raises(
        ShardError, match=r"input_ids is list<.*uint32> but|input_ids is list<item: uint32>, but"
    ):
        TokenShards(folder)[0]


def test_boundaries_that_do_not_add_up_are_refused(tmp_path):
    folder = write_plain(tmp_path / "out", [make_rows(8)])
    shorter = lambda table: pa.array([[1] for _ in range(8)], table.schema.field(1).type)  # noqa: E731
    replace_file(folder, lambda table: table.set_column(1, table.schema.field(1), shorter(table)))
    with pytest.raises(ShardError, match=r"seq_lengths do not add up; run shards\.verify"):
        TokenShards(folder).collate(range(8))


def test_rows_at_the_very_end_of_a_file_are_taken_one_by_one():
    source, out = np.arange(20, dtype=np.uint16), np.full((7, 8), -1)
    starts = np.array([0, 12, 13, 19, 3, 5, 11])
    left = _take_windows(source, np.arange(7), starts, out)
    assert left.tolist() == [2, 3]  # 13 + 8 and 19 + 8 are beyond
    assert out[1].tolist() == list(range(12, 20))
    assert out[6].tolist() == list(range(11, 19))
    assert (out[left] == -1).all()


def test_a_shard_beyond_2_gib_of_values_is_addressed_in_64_bits(tmp_path):  # T45, T52
    folder = write_plain(tmp_path / "out", [make_rows(20)])
    manifest = Manifest.load(folder)
    shard = Mapped(folder / "000000.arrow", manifest.shards[0], manifest)
    shard.values["input_ids"] = shard.values["input_ids"] + 2**33  # as if the batch lay 16 GiB into the file
    starts = shard.places(np.arange(20), "input_ids").start
    assert starts.dtype == np.int64
    assert starts.min() >= 2**33
