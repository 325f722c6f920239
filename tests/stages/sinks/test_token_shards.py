"""Every token in is a token out, in its document and its place; every reader sees the same."""

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest
import tokenizers

from pipeline.schema import CHAT_TEMPLATE, LABELS
from shards.format import Manifest
from shards.loader import TokenShards
from shards.verify import verify
from stages.sinks._tokens import Mismatch
from stages.sinks.token_shards import WriteTokenShards
from tests.shards.make import (
    documents,
    run_sink,
    small_shards,
    texts,
    tokenized,
    tokenizer_folder,
    tokenizer_json,
    write_shards,
)


@pytest.fixture(scope="module")
def tok(tmp_path_factory):
    return tokenizer_folder(tmp_path_factory.mktemp("x") / "tok")


def arrow_rows(folder: Path) -> list[dict]:
    rows = []
    for shard in Manifest.load(folder).shards:
        with pa.memory_map(str(folder / shard.file)) as source, pa.ipc.open_stream(source) as reader:
            rows += reader.read_all().to_pylist()
    return rows


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    "params", [{"seq_len": 16}, {"seq_len": 16, "packing": "none"}, {"seq_len": None, "packing": "none"}]
)
def test_every_document_comes_back_from_its_pieces(tmp_path, tok, params):
    found = [*texts(50), "日本語 🙂 " * 30, "a<|endoftext|>b"]
    batch = tokenized(documents(found), tok)
    folder = write_shards(tmp_path, [[batch.slice(0, 20)], [batch.slice(20)]], **params)
    assert verify(folder) == []
    decoder = tokenizers.Tokenizer.from_str(tokenizer_json())
    ids, spans = defaultdict(list), defaultdict(list)
    for row in arrow_rows(folder):
        at = 0
        for piece in row["pieces"]:
            ids[piece["id"]] += row["input_ids"][at : at + piece["tokens"]]
            spans[piece["id"]].append((piece["start"], piece["end"]))
            at += piece["tokens"]
    assert len(ids) == len(found)
    for i, text in enumerate(found):
        name = f"web/f#{i}"
        assert decoder.decode(ids[name][:-1], skip_special_tokens=False) == text
        assert spans[name][0][0] == 0
        assert spans[name][-1][1] == len(text)
        assert all(a[1] == b[0] for a, b in zip(spans[name], spans[name][1:], strict=False))
    manifest = Manifest.load(folder)
    assert manifest.tokens == sum(batch["token_count"].to_pylist()) == sum(map(len, ids.values()))
    assert manifest.documents == len(found)


def test_no_row_is_short_but_the_last_of_a_partition(tmp_path):
    folder = small_shards(tmp_path, seq_len=32)
    for shard in Manifest.load(folder).shards:
        rows = pa.ipc.open_stream((folder / shard.file).read_bytes()).read_all()["input_ids"].to_pylist()
        assert {len(row) for row in rows[:-1]} == {32}


def test_bytes_do_not_depend_on_batches(tmp_path, tok):
    batch = tokenized(documents(texts(60)), tok)
    one = write_shards(tmp_path, [[batch]], "one", seq_len=16)
    parts = [batch.slice(0, 0), batch.slice(0, 13), batch.slice(13, 0), batch.slice(13, 1), batch.slice(14)]
    assert bytes_of(write_shards(tmp_path, [parts], "two", seq_len=16)) == bytes_of(one)


def told_of(tmp_path, tok, name, partitions, **params):
    """The summary's rows as {column: cell}, by table."""
    stage = WriteTokenShards(**params)
    infos = run_sink(stage, partitions, tmp_path / name, stage.open({"tokenizer": tok}))
    tables = stage.summary(infos, tmp_path / name)
    return {t.title: dict(zip(t.columns, t.rows[0], strict=True)) for t in tables}


@pytest.mark.parametrize("packing", ["concat", "none", "best_fit"])
def test_the_report_says_how_full_rows_are(tmp_path, tok, packing):
    batch = tokenized(documents(texts(50)), tok)
    told = told_of(
        tmp_path, tok, "out", [[batch.slice(0, 20)], [batch.slice(20)]], seq_len=16, packing=packing
    )
    rows = arrow_rows(tmp_path / "out")
    pieces = defaultdict(int)
    for row in rows:
        for piece in row["pieces"]:
            pieces[piece["id"]] += 1
    tokens = sum(len(row["input_ids"]) for row in rows)
    assert told == {
        "rows": {
            "packing": packing,
            "documents": 50,
            "of them cut": sum(count > 1 for count in pieces.values()),
            "tokens": tokens,
            "rows": len(rows),
            "documents a row": sum(pieces.values()) / len(rows),
            "filled of 16, %": 100 * tokens / (16 * len(rows)),
        }
    }
    nothing = told_of(tmp_path, tok, "empty", [[]], seq_len=None, packing="none")
    assert set(nothing["rows"].values()) == {"none", 0}


def test_the_report_says_how_much_is_learnt(tmp_path, tok):
    batch = tokenized(documents(["the cat sat on a mat " * 8, "naïve café", "lines"]), tok)
    ids = batch["input_ids"].to_pylist()
    labels = [[*[-100] * (len(ids[0]) - 3), *ids[0][-3:]], ids[1], [-100] * len(ids[2])]
    batch = batch.append_column("labels", pa.array(labels, LABELS.type))
    told = told_of(tmp_path, tok, "out", [[batch]], seq_len=16, packing="none", too_long="split")
    rows = arrow_rows(tmp_path / "out")
    learnt = [sum(label != -100 for label in row["labels"]) for row in rows]
    assert told["learning"] == {
        "labels": "labels",
        "tokens learnt": 3 + len(ids[1]),
        "of all, %": 100 * sum(learnt) / sum(map(len, ids)),
        "rows where nothing is learnt": learnt.count(0),
    }
    assert learnt.count(0) > 1


def test_all_readers_see_the_same_tokens(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    import datasets

    folder = small_shards(tmp_path)
    expected = [row["input_ids"] for row in arrow_rows(folder)]
    files = [str(folder / shard.file) for shard in Manifest.load(folder).shards]
    assert [
        row["input_ids"].tolist() for row in map(TokenShards(folder).__getitem__, range(len(expected)))
    ] == expected
    disk = datasets.load_from_disk(str(folder))
    assert disk["input_ids"][:] == expected
    assert disk[0] == arrow_rows(folder)[0]
    assert [ids for f in files for ids in datasets.Dataset.from_file(f)["input_ids"]] == expected
    loaded = datasets.load_dataset(
        "arrow", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded["input_ids"][:] == expected
    streamed = datasets.load_dataset("arrow", data_files=files, split="train", streaming=True)
    assert [row["input_ids"] for row in streamed] == expected


def test_shards_are_mapped_not_read(tmp_path):
    folder = small_shards(tmp_path)
    before = pa.total_allocated_bytes()
    loader = TokenShards(folder)
    for i in range(len(loader)):
        assert not loader[i]["input_ids"].flags.owndata
    assert pa.total_allocated_bytes() == before


@pytest.mark.parametrize("empty", [[], [[]], [[], []], "batch"])
def test_no_documents(tmp_path, tok, monkeypatch, empty):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    partitions = [[tokenized(documents([]), tok)]] if empty == "batch" else empty
    folder = write_shards(tmp_path, partitions)
    assert verify(folder) == []
    manifest = Manifest.load(folder)
    assert (manifest.rows, manifest.tokens, manifest.documents) == (0, 0, 0)
    assert len(datasets.load_from_disk(str(folder))) == 0
    assert len(datasets.Dataset.from_file(str(folder / manifest.shards[0].file))) == 0


def test_documents_without_tokens_are_counted(tmp_path, tok):
    folder = write_shards(tmp_path, [[tokenized(documents(["", None, ""]), tok, add_eos=False)]])
    assert verify(folder) == []
    assert (Manifest.load(folder).documents, Manifest.load(folder).rows) == (3, 0)


def big_tokenizer(folder: Path, added: int) -> Path:
    """A vocabulary of exactly 65536 entries and `added` tokens on top of it."""
    data = json.loads(tokenizer_json())
    data["model"]["vocab"].update({f"filler{i}": i for i in range(len(data["model"]["vocab"]), 65_536)})
    data["added_tokens"] += [
        {**data["added_tokens"][0], "id": 65_536 + i, "content": f"<|added{i}|>"} for i in range(added)
    ]
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("added", "dtype"), [(0, "uint16"), (1, "uint32")])
def test_dtype_counts_added_tokens(tmp_path, added, dtype):  # T47: 65536 would wrap to 0
    tok = big_tokenizer(tmp_path / "tok", added)
    eos = "<|added0|>" if added else "<|endoftext|>"
    stage = WriteTokenShards(seq_len=8, eos_token=eos)
    batch = tokenized(documents(["the cat", "sat"]), tok, eos_token=eos)
    run_sink(stage, [[batch]], tmp_path / "out", stage.open({"tokenizer": tok}))
    manifest = Manifest.load(tmp_path / "out")
    assert (manifest.dtype, manifest.tokenizer.vocab_size) == (dtype, 65_536 + added)
    assert manifest.tokenizer.eos_id == (65_536 if added else 0)
    last = arrow_rows(tmp_path / "out")[-1]["input_ids"][-1]
    assert last == manifest.tokenizer.eos_id
    assert verify(tmp_path / "out") == []


def test_ids_beyond_the_tokenizer_are_refused(tmp_path, tok):
    batch = tokenized(documents(["the cat"]), tok)
    ids = pa.array([[1, 70_000, 3]], batch.schema.field("input_ids").type)
    batch = batch.set_column(batch.schema.get_field_index("input_ids"), "input_ids", ids).drop_columns(
        ["token_ends"]
    )
    with pytest.raises(Mismatch, match="id 70000, beyond the 315"):
        write_shards(tmp_path, [[batch]])


def test_another_tokenizer_is_refused(tmp_path, tok):
    other = tmp_path / "other"
    other.mkdir()
    (other / "tokenizer.json").write_text(
        tokenizer_json().replace("<|endoftext|>", "<|end_of_text|>"), encoding="utf-8"
    )
    with pytest.raises(Mismatch, match=r"rows come from tokenizer .* give write_token_shards the tokenizer"):
        write_shards(tmp_path, [[tokenized(documents(["a"]), tok)], [tokenized(documents(["b"]), other)]])


def test_ends_that_do_not_fit_are_refused(tmp_path, tok):
    batch = tokenized(documents(["the cat"]), tok)
    ends = pa.array([[1]], batch.schema.field("token_ends").type)
    batch = batch.set_column(batch.schema.get_field_index("token_ends"), "token_ends", ends)
    with pytest.raises(Mismatch, match=r"document 'web/f#0': has \d+ input_ids, but 1 token_ends"):
        write_shards(tmp_path, [[batch]])


def dialogues(tok: Path, templates: list[str | None]) -> pa.RecordBatch:
    """Rendered dialogues: labels, no places in a text; null labels mean that all is learnt."""
    batch = tokenized(documents(["the cat sat", "on a mat", "and"]), tok).drop_columns(["token_ends"])
    ids = batch["input_ids"].to_pylist()
    labels = [[-100, *ids[0][1:]], None, ids[2]]
    batch = batch.append_column(LABELS, pa.array(labels, LABELS.type))
    return batch.append_column(
        CHAT_TEMPLATE, pa.array(templates, pa.string()).dictionary_encode().cast(CHAT_TEMPLATE.type)
    )


def test_labels_and_chat_template(tmp_path, tok):
    batch = dialogues(tok, ["t1", None, "t1"])
    folder = write_shards(tmp_path, [[batch.slice(0, 1), batch.slice(1)], []], seq_len=8)
    assert verify(folder) == []
    manifest = Manifest.load(folder)
    assert (manifest.labels, manifest.chat_template_sha256) == (True, "t1")
    rows = arrow_rows(folder)
    ids = [i for row in rows for i in row["input_ids"]]
    assert ids == [i for doc in batch["input_ids"].to_pylist() for i in doc]
    assert [i for row in rows for i in row["labels"]] == [-100, *ids[1:]]
    assert {(p["start"], p["end"]) for row in rows for p in row["pieces"]} == {(-1, -1)}
    collated = TokenShards(folder, seq_len=8, batch=1, shuffle=False)
    assert next(iter(collated))["labels"][0, 0] == -100


def test_two_chat_templates_are_refused(tmp_path, tok):
    with pytest.raises(Mismatch, match="of several chat templates"):
        write_shards(tmp_path, [[dialogues(tok, ["t1", "t2", None])]])


def test_problems(tmp_path):
    assert "seq_len is null" in WriteTokenShards(seq_len=None).problems()[0]
    (tmp_path / "x").write_text("no")
    assert "is not a tokenizer" in WriteTokenShards(tokenizer=str(tmp_path / "x")).problems()[0]
    with pytest.raises(ValueError, match="does not exist; give the tokenizer that made input_ids"):
        WriteTokenShards().open({"tokenizer": tmp_path})


KILLED = """
import os, signal, sys
from pathlib import Path
import shards.format, stages.sinks.token_shards as module
from tests.shards.make import *
def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)
setattr(module, sys.argv[2], die)
small_shards(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("name", ["pack", "write_folder"])
def test_killed_before_the_end_leaves_no_data_set(tmp_path, name):
    work = tmp_path / "killed"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(work), name], env={**os.environ}, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "has no manifest.json" in verify(work / "out")[0]
    again, whole = tmp_path / "again", tmp_path / "whole"
    again.mkdir()
    whole.mkdir()
    assert bytes_of(small_shards(again)) == bytes_of(small_shards(whole))


def test_commit_twice_is_the_same(tmp_path, tok):
    stage = WriteTokenShards(seq_len=16)
    opened = stage.open({"tokenizer": tok})
    infos = run_sink(stage, [[tokenized(documents(texts(9)), tok)]], tmp_path / "out", opened)
    before = bytes_of(tmp_path / "out")
    stage.commit(infos, tmp_path / "out", opened)
    assert bytes_of(tmp_path / "out") == before


def test_meta_survives_json(tmp_path, tok):
    stage = WriteTokenShards()
    info = stage.write(iter([tokenized(documents(["a"]), tok)]), tmp_path, stage.open({"tokenizer": tok}))
    assert json.loads(json.dumps(info.meta)) == info.meta
