"""What a shard says about its packing is what its rows show; windows and documents that are too long."""

from collections import defaultdict

import pyarrow as pa
import pytest

from pipeline.schema import LABELS
from shards.format import Manifest
from shards.verify import verify
from stages.sinks._tokens import Mismatch
from stages.sinks.token_shards import WriteTokenShards
from tests.shards.make import documents, run_sink, texts, tokenized, tokenizer_folder

WAYS = [
    {"packing": "concat", "seq_len": 16},
    {"packing": "best_fit", "seq_len": 16},
    {"packing": "best_fit", "seq_len": 16, "packing_window": 50},
    {"packing": "none", "seq_len": 16},
    {"packing": "none", "seq_len": None},
]
each_way = pytest.mark.parametrize("params", WAYS, ids=lambda p: "-".join(map(str, p.values())))


@pytest.fixture(scope="module")
def tok(tmp_path_factory):
    return tokenizer_folder(tmp_path_factory.mktemp("x") / "tok")


@pytest.fixture(scope="module")
def batch(tok):
    return tokenized(documents(texts(60)), tok)


def write(stage, partitions, out, tok):
    return run_sink(stage, partitions, out, stage.open({"tokenizer": tok}))


def rows_of(folder):
    """Rows of each shard."""
    found = []
    for shard in Manifest.load(folder).shards:
        with pa.ipc.open_stream((folder / shard.file).read_bytes()) as reader:
            found.append(reader.read_all().to_pylist())
    return found


@each_way
def test_facts_are_what_the_rows_show(tmp_path, tok, batch, params):
    stage = WriteTokenShards(**params)
    infos = write(stage, [[batch.slice(0, 21), batch.slice(21, 9)], [batch.slice(30)]], tmp_path / "out", tok)
    assert verify(tmp_path / "out") == []
    for info, rows in zip(infos, rows_of(tmp_path / "out"), strict=True):
        rows_with = defaultdict(set)
        for number, row in enumerate(rows):
            for piece in row["pieces"]:
                rows_with[piece["id"]].add(number)
        assert info.meta["documents_cut"] == sum(len(found) > 1 for found in rows_with.values())
        assert info.meta["pieces"] == sum(len(row["pieces"]) for row in rows)
        tokens = sum(len(row["input_ids"]) for row in rows)
        full = None if stage.seq_len is None else tokens / (len(rows) * stage.seq_len)
        assert info.meta["rows_full"] == full


@each_way
def test_facts_and_bytes_do_not_depend_on_batches(tmp_path, tok, batch, params):
    stage = WriteTokenShards(**params)
    one = write(stage, [[batch]], tmp_path / "one", tok)
    two = write(stage, [[batch.slice(i, 1) for i in range(60)]], tmp_path / "two", tok)
    assert one == two  # the checksum among them


def test_a_small_window_packs_only_what_it_holds(tmp_path, tok, batch):
    lengths = [len(ids) for ids in batch["input_ids"].to_pylist()]
    stage = WriteTokenShards(packing="best_fit", seq_len=64, packing_window=100)
    write(stage, [[batch]], tmp_path / "out", tok)
    windows, filled = [[]], 0
    for number, length in enumerate(lengths):  # the document that fills a window is its last
        windows[-1].append(f"web/f#{number}")
        filled += length
        if filled >= 100:
            windows.append([])
            filled = 0
    window_of = {name: k for k, names in enumerate(windows) for name in names}
    (rows,) = rows_of(tmp_path / "out")
    found = [{window_of[piece["id"]] for piece in row["pieces"]} for row in rows]
    assert all(len(numbers) == 1 for numbers in found)
    assert [min(numbers) for numbers in found] == sorted(min(numbers) for numbers in found)
    assert max(window_of.values()) > 5


@pytest.mark.parametrize("packing", ["best_fit", "none"])
def test_dialogues_that_fit_are_whole_with_their_labels(tmp_path, tok, batch, packing):  # T63, T64
    ids = batch["input_ids"].to_pylist()
    learnt = [[-100 if k % 3 else token for k, token in enumerate(row)] for row in ids]
    with_labels = batch.append_column(LABELS, pa.array(learnt, LABELS.type))
    seq_len = max(map(len, ids))
    stage = WriteTokenShards(packing=packing, seq_len=seq_len, too_long="error")
    (info,) = write(stage, [[with_labels]], tmp_path / "out", tok)
    assert info.meta["documents_cut"] == 0
    found = {}
    (rows,) = rows_of(tmp_path / "out")
    for row in rows:
        at = 0
        for piece in row["pieces"]:
            assert piece["id"] not in found
            own = slice(at, at + piece["tokens"])
            found[piece["id"]] = (row["input_ids"][own], row["labels"][own])
            at += piece["tokens"]
    expected = zip(batch["id"].to_pylist(), zip(ids, learnt, strict=True), strict=True)
    assert found == {name: pair for name, pair in expected if pair[0]}


@pytest.mark.parametrize("packing", ["best_fit", "none"])
def test_too_long_is_an_error_where_it_was_asked_for(tmp_path, tok, batch, packing):
    lengths = [len(ids) for ids in batch["input_ids"].to_pylist()]
    seq_len = max(lengths) - 1
    first = next(k for k, length in enumerate(lengths) if length > seq_len)
    stage = WriteTokenShards(packing=packing, seq_len=seq_len, too_long="error")
    words = (
        rf"document 'web/f#{first}': has {lengths[first]} tokens, more than seq_len {seq_len}.*filter_length"
    )
    with pytest.raises(Mismatch, match=words):
        write(stage, [[batch]], tmp_path / "out", tok)
    split = WriteTokenShards(packing=packing, seq_len=seq_len)
    (info,) = write(split, [[batch]], tmp_path / "split", tok)
    assert info.meta["documents_cut"] == sum(length > seq_len for length in lengths)


def test_options_that_mean_nothing_are_problems():
    assert "packing_window is 9, but packing is 'concat'" in WriteTokenShards(packing_window=9).problems()[0]
    assert "too_long is 'error', but packing is 'concat'" in WriteTokenShards(too_long="error").problems()[0]
    whole = WriteTokenShards(too_long="error", packing="none", seq_len=None)
    assert "seq_len None, for which no document is too long" in whole.problems()[0]
    assert WriteTokenShards(packing="best_fit", packing_window=9, too_long="error").problems() == []
