"""Training is a function of the documents: not of their order, partitions, processes or batches."""

import json
import shutil
import subprocess
import sys

import pyarrow as pa
import pytest
import sentencepiece
import tokenizers

from pipeline.schema import ID_HASH, SOURCE, hash_fractions, id_hashes
from stages.tokenization._trainers import LINE_BYTES, Settings, lines_of, train
from stages.tokenization.tokenize import Tokenize
from stages.tokenization.train_tokenizer import TrainTokenizer
from tests.shards.make import WORDS, documents, run_sink, texts, tokenized

PARAMS = {"vocab_size": 350, "min_frequency": 1}


def trained(tmp_path, name, partitions, **params):
    run_sink(TrainTokenizer(**{**PARAMS, **params}), partitions, tmp_path / name, None)
    manifest, file = sorted(p.name for p in (tmp_path / name).iterdir())
    sentence = params.get("model") in ("bpe", "unigram")
    assert (manifest, file) == ("manifest.json", "tokenizer.model" if sentence else "tokenizer.json")
    return (tmp_path / name / file).read_bytes()


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


def learnt(words, **settings):
    """The tokenizer's file, trained on these texts."""
    batch = pa.array(words, pa.large_string())
    return train(lambda: iter([batch]), Settings(**{"vocab_size": 400, "min_frequency": 1} | settings))


MODELS = ["byte_bpe", "bpe", "unigram", "wordpiece"]
MIXED = [t for t in texts(60) if t] + [
    "日本語のテキスト 123\n新しい行",
    "naïve café  x  y\tz 2024",
    "Ὀδυσσεύς",
] * 3


@pytest.mark.parametrize("model", MODELS)
def test_another_process_trains_the_same_bytes(model):
    # hash maps are seeded by process, so one process proves little
    code = (
        "import sys; from tests.stages.tokenization.test_train_tokenizer import MIXED, learnt;"
        f"sys.stdout.buffer.write(learnt(MIXED, model={model!r}))"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)
    }
    assert found == {learnt(MIXED, model=model)}


def encoded(tmp_path, texts, **params):
    """Ids, decoded texts and the folder, by a tokenizer trained on MIXED."""
    shutil.rmtree(tmp_path / "tok", ignore_errors=True)
    trained(tmp_path, "tok", [[documents(MIXED)]], **params)
    tokenizer = Tokenize(add_eos=False).open({"tokenizer": tmp_path / "tok"})
    found = tokenizer.encode_batch(texts)
    cuts = zip(found.offsets[:-1], found.offsets[1:], strict=True)
    return [found.ids[start:end].tolist() for start, end in cuts]


def decoded(tmp_path, ids):
    model = tmp_path / "tok" / "tokenizer.model"
    if model.exists():
        return sentencepiece.SentencePieceProcessor(model_file=str(model)).decode(ids)
    return tokenizers.Tokenizer.from_file(str(tmp_path / "tok" / "tokenizer.json")).decode(ids)


@pytest.mark.parametrize("model", ["byte_bpe", "bpe", "unigram"])
@pytest.mark.parametrize("text", [*MIXED[-3:], "  two  spaces ", "\n\n", "🙂 unseen Ж", " x"])
def test_texts_come_back(tmp_path, model, text):
    (ids,) = encoded(tmp_path, [text], model=model)
    assert decoded(tmp_path, ids) == text


@pytest.mark.parametrize(
    ("params", "pieces"),
    [
        ({}, ["Ġ", "123", "45"]),
        ({"digits": "single"}, ["Ġ", "1", "2", "3", "4", "5"]),
        ({"digits": "triple"}, ["Ġ", "123", "45"]),
        ({"words": "llama3"}, ["Ġ", "123", "45"]),
        ({"model": "wordpiece", "digits": "single"}, ["1", "2", "3", "4", "5"]),
        ({"model": "bpe", "digits": "single"}, ["▁", "1", "2", "3", "4", "5"]),
        ({"model": "unigram", "digits": "single"}, ["▁", "1", "2", "3", "4", "5"]),
    ],
)
def test_digits(tmp_path, params, pieces):
    words = ["12345 123 45 6789 678 9", " 12345", "1 2 3 4 5 6 7 8 9 0"] * 20
    trained(tmp_path, "tok", [[documents(words)]], **params)
    tokenizer = Tokenize(add_eos=False).open({"tokenizer": tmp_path / "tok"})
    ids = tokenizer.encode_batch([" 12345"]).ids.tolist()
    if params.get("model") in ("bpe", "unigram"):
        processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tok" / "tokenizer.model"))
        found = [piece for piece in processor.id_to_piece(ids) if piece != "▁"]
    else:
        plain = tokenizers.Tokenizer.from_file(str(tmp_path / "tok" / "tokenizer.json"))
        found = [plain.id_to_token(i) for i in ids]
    if params.get("digits") == "single":
        assert [piece for piece in found if piece.strip("Ġ▁")] == [p for p in pieces if p.strip("Ġ▁")]
    elif not params:
        assert found == ["Ġ12345"]
    else:
        assert all(len(piece.strip("Ġ")) <= 3 for piece in found)


def test_wordpiece_is_berts(tmp_path):
    (ids,) = encoded(tmp_path, ["the cat"], model="wordpiece", vocab_size=400)
    data = json.loads((tmp_path / "tok" / "tokenizer.json").read_text("utf-8"))
    assert [t["content"] for t in data["added_tokens"]][:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert not any(t["content"].startswith("##") for t in data["added_tokens"])
    assert decoded(tmp_path, ids) == "the cat"
    (unknown,) = encoded(tmp_path, ["Ж"], model="wordpiece")
    assert unknown == [1]


def test_normalization_and_case(tmp_path):
    fancy, plain = encoded(tmp_path, ["ﬁne Ａ", "fine a"], normalize="nfkc", lowercase=True)
    assert fancy == plain
    fancy, plain = encoded(tmp_path, ["ﬁne Ａ", "fine A"], model="unigram", normalize="nfkc")
    assert fancy == plain


def test_a_space_before_the_text(tmp_path):
    first, later = encoded(tmp_path, ["the", " the"], prefix_space=True)
    assert first == later
    first, later = encoded(tmp_path, ["the", " the"])
    assert first != later
    first, later = encoded(tmp_path, ["the", " the"], model="bpe")
    assert first != later  # SentencePiece puts one more before a text that has one


def test_runs_of_spaces(tmp_path):
    code = ["if x:\n        return y\n        pass"] * 50
    for runs in (True, False):
        trained(tmp_path, f"runs-{runs}", [[documents(code)]], model="bpe", space_runs=runs)
        model = sentencepiece.SentencePieceProcessor(
            model_file=str(tmp_path / f"runs-{runs}" / "tokenizer.model")
        )
        spaces = list(model.encode("        ", out_type=str))
        assert (len(spaces) <= 2) == runs


def by_source(sizes):
    batches = []
    for name, count in sizes.items():
        batch = documents([f"{name} {name}{k} text" for k in range(count)])
        source = pa.array([name] * count).dictionary_encode().cast(SOURCE.type)
        ids = id_hashes([f"{name}/{k}" for k in range(count)])
        index = batch.schema.get_field_index
        batch = batch.set_column(index("id_hash"), ID_HASH, ids)
        batches.append(
            batch.set_column(index("source"), SOURCE, source)
            if "source" in batch.schema.names
            else batch.append_column(SOURCE, source)
        )
    return batches


def test_sources_give_their_shares(tmp_path):
    params = {"weights": {"web": 1, "books": 3}, "max_bytes": 4000}
    batches = by_source({"web": 500, "books": 500, "spam": 50})
    one = trained(tmp_path, "one", [batches], **params)
    facts = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert {name: round(each["bytes"], -2) for name, each in facts["sources"].items()} == {
        "web": 1000,
        "books": 3000,
    }
    assert "spam" not in one.decode()
    assert (
        trained(tmp_path, "two", [[batches[1].slice(9)], [batches[0], batches[1].slice(0, 9)]], **params)
        == one
    )


def test_a_source_without_text_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="source 'wiki' has a weight, but no text in the sample"):
        trained(tmp_path, "one", [by_source({"web": 5})], weights={"web": 1, "wiki": 1})


def test_models_that_need_text_say_so(tmp_path):
    with pytest.raises(ValueError, match="the sample has no text, and model unigram needs some"):
        trained(tmp_path, "one", [[documents([None, ""])]], model="unigram")


def test_long_lines_are_cut_and_none_is_lost():
    lines = list(lines_of([pa.array(["é" * 100_000 + "\n\nb", "c"], pa.large_string())]))
    assert "".join(lines) == "é" * 100_000 + "bc"
    assert max(len(line.encode()) for line in lines) <= LINE_BYTES


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


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        (
            {"model": "unigram", "words": "llama3"},
            "words is set, but model unigram does not know it; leave it out, or take byte_bpe",
        ),
        (
            {"model": "wordpiece", "prefix_space": True},
            "prefix_space is set, but model wordpiece does not know it",
        ),
        ({"model": "bpe", "digits": "triple"}, "digits triple goes with model byte_bpe, not bpe"),
        (
            {"model": "bpe", "normalize": "nfc"},
            "normalize nfc goes with model byte_bpe, not bpe; give nfkc or none",
        ),
        ({"weights": {"a": -1, "b": 1}}, "give 0 or more to each source"),
        ({"weights": {"a": 0}}, "more than 0 to one"),
        ({"model": "bpe", "vocab_size": 259, "special_tokens": ["<x>"]}, "give at least 260"),
    ],
)
def test_params_that_cannot_be_meant(params, problem):
    (found,) = TrainTokenizer(**params).problems()
    assert problem in found


def test_words_are_learnt():
    file = learnt([" ".join(WORDS)] * 9, vocab_size=500, min_frequency=2)
    assert len(tokenizers.Tokenizer.from_str(file.decode()).encode(" and").ids) == 1
