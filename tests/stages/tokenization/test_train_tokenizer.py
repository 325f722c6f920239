"""Training is a function of the documents: not of their order, partitions, processes or batches."""

import json
import subprocess
import sys

import pyarrow as pa
import pytest
import tokenizers

from pipeline.schema import hash_fractions
from stages.tokenization.tokenize import Tokenize
from stages.tokenization.train_tokenizer import TrainTokenizer, train_bpe
from tests.shards.make import WORDS, documents, run_sink, texts, tokenized

PARAMS = {"vocab_size": 350, "min_frequency": 1}


def trained(tmp_path, name, partitions, **params):
    run_sink(TrainTokenizer(**{**PARAMS, **params}), partitions, tmp_path / name, None)
    assert sorted(p.name for p in (tmp_path / name).iterdir()) == ["manifest.json", "tokenizer.json"]
    return (tmp_path / name / "tokenizer.json").read_bytes()


def test_partitions_order_and_batches_do_not_matter(tmp_path):
    batch = documents(texts(60))
    one = trained(tmp_path, "one", [[batch]])
    backwards = batch.take(pa.array(range(59, -1, -1)))
    assert (
        trained(tmp_path, "two", [[backwards.slice(0, 7), backwards.slice(7, 20)], [backwards.slice(27)], []])
        == one
    )
    facts = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert facts["documents"] == sum(bool(t) for t in texts(60))
    assert facts["vocab_size"] == 350


def test_another_process_trains_the_same_bytes():
    # hash maps are seeded by process, so one process proves little
    code = (
        "import sys; from tests.shards.make import texts;"
        "from stages.tokenization.train_tokenizer import train_bpe;"
        "sys.stdout.buffer.write(train_bpe(iter([texts(60)]), 350, ['<|endoftext|>'], 1).encode())"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(3)
    }
    assert found == {train_bpe(iter([texts(60)]), 350, ["<|endoftext|>"], 1).encode()}


def test_sample_is_chosen_by_id(tmp_path):
    batch = documents(texts(200))
    trained(tmp_path, "out", [[batch.slice(0, 90)], [batch.slice(90)]], sample_fraction=0.3, seed=5)
    facts = json.loads((tmp_path / "out" / "manifest.json").read_text())
    chosen = hash_fractions(batch["id_hash"], "5/train_tokenizer") < 0.3
    expected = [t for t, c in zip(texts(200), chosen, strict=True) if c and t]
    assert 20 < len(expected) < 100
    assert (facts["documents"], facts["bytes"]) == (len(expected), sum(len(t.encode()) for t in expected))


def test_max_bytes_takes_the_same_documents_from_any_partitions(tmp_path):
    batch = documents(texts(200))
    one = trained(tmp_path, "one", [[batch]], max_bytes=2000)
    batches = [batch.slice(i, 10) for i in range(0, 200, 10)]
    assert trained(tmp_path, "two", [batches[:3], batches[3:]], max_bytes=2000) == one
    facts = json.loads((tmp_path / "two" / "manifest.json").read_text())
    longest = max(len(t.encode()) for t in texts(200))
    assert 2000 <= facts["bytes"] < 2000 + longest


def test_result_tokenizes_and_its_eos_is_found(tmp_path):
    trained(tmp_path, "tok", [[documents(texts(60))]], special_tokens=["<pad>", "<|endoftext|>"])
    ids = tokenized(documents(["the cat sat"]), tmp_path / "tok")["input_ids"][0].as_py()
    assert ids[-1] == 1
    assert (
        tokenizers.Tokenizer.from_file(str(tmp_path / "tok" / "tokenizer.json")).decode(ids) == "the cat sat"
    )


@pytest.mark.parametrize("partitions", [[], [[]], [[documents([])]], [[documents([None, ""])]]])
def test_no_text_gives_the_bytes_alone(tmp_path, partitions):
    trained(tmp_path, "tok", partitions)
    stage = Tokenize()
    assert stage.open({"tokenizer": tmp_path / "tok"}).info.vocab_size == 257
    ids = tokenized(documents(["日"]), tmp_path / "tok", add_eos=False)["input_ids"][0].as_py()
    assert len(ids) == 3


def test_commit_again_after_a_kill(tmp_path):
    stage = TrainTokenizer(**PARAMS)
    infos = run_sink(stage, [[documents(texts(20))]], tmp_path / "out", None)
    before = (tmp_path / "out" / "tokenizer.json").read_bytes()
    stage.commit(infos, tmp_path / "out", None)
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == before


def test_problems():
    assert (
        "has no room for 256 bytes" in TrainTokenizer(vocab_size=257, special_tokens=["a", "b"]).problems()[0]
    )
    assert "names a token twice" in TrainTokenizer(special_tokens=["a", "a"]).problems()[0]
    assert TrainTokenizer().problems() == []


def test_words_are_learnt():
    plain = tokenizers.Tokenizer.from_str(train_bpe(iter([[" ".join(WORDS)] * 9]), 500, ["<|endoftext|>"], 2))
    assert len(plain.encode(" and").ids) == 1
