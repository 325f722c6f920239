"""Ids, ends, counts and rejections of `tokenize`, against the libraries themselves."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece
import tokenizers

from shards.format import file_sha256
from shards.tokenizer import tokenizer_info
from stages.tokenization._tokenizers import open_tokenizer, tokenizer_file
from stages.tokenization.tokenize import Tokenize
from tests.shards.make import documents, tokenized, tokenizer_folder, tokenizer_json
from tests.support.data import real_data

VARIED = [
    "the cat sat",
    "",
    None,
    "word",
    "日本語 🙂 naïve",
    " \n \n",
    "x" * 5000,
    "a<|endoftext|>b",
    "ends with space  ",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tokenizer_folder(tmp_path_factory.mktemp("tok"))


def test_columns_have_the_declared_types(folder):
    stage = Tokenize()
    marks = stage.annotate(documents(VARIED), stage.open({"tokenizer": folder}))
    assert {name: column.type for name, column in marks.columns.items()} == {
        f.name: f.type for f in stage.writes()
    }
    assert marks.reject is None


def test_ids_decode_to_the_text_and_end_with_eos(folder):
    batch = tokenized(documents(VARIED), folder)
    oracle = tokenizers.Tokenizer.from_str(tokenizer_json())
    eos = oracle.token_to_id("<|endoftext|>")
    for text, ids in zip(VARIED, batch["input_ids"].to_pylist(), strict=True):
        assert ids[-1] == eos
        assert eos not in ids[:-1]
        assert oracle.decode(ids[:-1], skip_special_tokens=False) == (text or "")


def test_eos_is_counted_in_lengths(folder):  # T44
    batch = tokenized(documents(VARIED), folder)
    lengths = [len(ids) for ids in batch["input_ids"].to_pylist()]
    assert batch["token_count"].to_pylist() == lengths
    assert lengths[1] == lengths[2] == 1  # empty and null: EOS alone


def test_text_that_looks_like_a_special_token_stays_text(folder):  # T54
    oracle = tokenizers.Tokenizer.from_str(tokenizer_json())
    eos = oracle.token_to_id("<|endoftext|>")
    assert oracle.encode("a<|endoftext|>b").ids.count(eos) == 1  # the library's default does what we must not
    ids = tokenized(documents(["a<|endoftext|>b"]), folder, add_eos=False)["input_ids"][0].as_py()
    assert eos not in ids
    assert oracle.decode(ids, skip_special_tokens=False) == "a<|endoftext|>b"


def test_ends_are_code_points_and_cover_the_text(folder):
    batch = tokenized(documents(VARIED), folder)
    oracle = tokenizers.Tokenizer.from_str(tokenizer_json())
    for text, ids, ends in zip(
        VARIED, batch["input_ids"].to_pylist(), batch["token_ends"].to_pylist(), strict=True
    ):
        text = text or ""
        assert len(ends) == len(ids)
        assert ends == sorted(ends)
        assert ends[-1] == len(text)
        for k in range(
            len(ids) - 1
        ):  # what stands before an end that is no split character decodes to its text
            decoded = oracle.decode(ids[: k + 1], skip_special_tokens=False)
            if "�" not in decoded:
                assert decoded == text[: ends[k]]


def test_bos_ends_at_the_start(folder):
    batch = tokenized(documents(["the cat", ""]), folder, add_bos=True, bos_token="<|endoftext|>")
    for ids, ends, text in zip(
        batch["input_ids"].to_pylist(), batch["token_ends"].to_pylist(), ["the cat", ""], strict=True
    ):
        assert (ids[0], ends[0]) == (0, 0)
        assert (ids[-1], ends[-1]) == (0, len(text))
    assert batch["token_count"][1].as_py() == 2


def test_batch_boundaries_do_not_matter(folder):
    whole = tokenized(documents(VARIED), folder)
    batch = documents(VARIED)
    parts = [tokenized(batch.slice(i, 1), folder) for i in range(batch.num_rows)]
    assert pa.Table.from_batches(parts).combine_chunks().equals(pa.Table.from_batches([whole]))


def test_empty_batch(folder):
    batch = tokenized(documents([]), folder, min_tokens=2)
    assert batch.num_rows == 0
    assert batch.schema.field("input_ids").type == pa.large_list(pa.uint32())


@pytest.mark.parametrize(
    ("text", "params", "reason"),
    [
        ("", {"min_tokens": 2}, "too_few_tokens"),
        ("the", {"min_tokens": 2}, None),
        ("x y z " * 10, {"max_tokens": 5}, "too_many_tokens"),
        ("", {"max_tokens": 1}, None),
        (None, {"min_tokens": 2}, "too_few_tokens"),
        ("", {}, None),
    ],
)
def test_reasons(folder, text, params, reason):
    stage = Tokenize(**params)
    marks = stage.annotate(documents([text, "the cat"]), stage.open({"tokenizer": folder}))
    assert (None if marks.reject is None else marks.reject[0].as_py()) == reason
    if reason:
        assert marks.evidence[0].as_py()["token_count"] == marks.columns["token_count"][0].as_py()


def test_padding_truncation_and_templates_of_the_file_are_ignored(tmp_path, folder):
    loud = tokenizers.Tokenizer.from_str(tokenizer_json())
    loud.enable_padding(length=50)
    loud.enable_truncation(4)
    loud.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|endoftext|> $A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)]
    )
    (tmp_path / "tokenizer.json").write_text(loud.to_str(), encoding="utf-8")
    batch = documents(VARIED)
    assert tokenized(batch, tmp_path)["input_ids"].equals(tokenized(batch, folder)["input_ids"])


def test_no_eos_is_a_clear_problem(tmp_path):
    bare = tokenizers.Tokenizer.from_str(tokenizer_json()).to_str().replace("<|endoftext|>", "<|quiet|>")
    path = tmp_path / "tokenizer.json"
    path.write_text(bare, encoding="utf-8")
    assert "set eos_token to one of its tokens" in Tokenize(tokenizer=str(path)).problems()[0]
    assert Tokenize(tokenizer=str(path), add_eos=False).problems() == []
    assert Tokenize(tokenizer=str(path), eos_token="<|quiet|>").problems() == []
    assert "has no token '<|loud|>'" in Tokenize(tokenizer=str(path), eos_token="<|loud|>").problems()[0]
    with pytest.raises(ValueError, match="does not say which token ends a document"):
        Tokenize().open({"tokenizer": tmp_path})


def test_other_problems(tmp_path):
    assert "min_tokens 5 is above max_tokens 2" in Tokenize(min_tokens=5, max_tokens=2).problems()[0]
    (tmp_path / "x.json").write_bytes(b"\x00\x01 no tokenizer")
    assert "is not a tokenizer" in Tokenize(tokenizer=str(tmp_path / "x.json")).problems()[0]
    with pytest.raises(ValueError, match="neither the param nor the side input"):
        tokenizer_file(None, {})
    with pytest.raises(ValueError, match=r"holds none of tokenizer\.json"):
        tokenizer_file(None, {"tokenizer": tmp_path})
    assert Tokenize().needs_side() == ("tokenizer",)
    assert Tokenize(tokenizer="cl100k").resources()[0].name == "cl100k_base.tiktoken"


def test_tokenizer_column_is_the_files_hash_and_pickling_keeps_all(folder):
    tokenizer = open_tokenizer(folder / "tokenizer.json")
    assert tokenizer.info.sha256 == file_sha256(folder / "tokenizer.json")
    again = pickle.loads(pickle.dumps(tokenizer))
    first, second = (t.encode_batch(["a<|endoftext|>b"]) for t in (tokenizer, again))
    assert np.array_equal(first.ids, second.ids)


def test_full_size_counts_added_tokens(tmp_path):  # T47
    grown = tokenizers.Tokenizer.from_str(tokenizer_json())
    grown.add_tokens([f"<extra{i}>" for i in range(70)])
    grown.add_special_tokens(["</s>"])
    (tmp_path / "tokenizer.json").write_text(grown.to_str(), encoding="utf-8")
    info = tokenizer_info(tmp_path / "tokenizer.json", eos_token="</s>")
    assert info.vocab_size == grown.get_vocab_size(with_added_tokens=True) == info.eos_id + 1


def test_long_text_without_spaces(folder):  # T53: it must end, and nothing may be lost
    text = "ab" * 250_000
    batch = tokenized(documents([text]), folder)
    ids = batch["input_ids"][0].as_py()
    assert tokenizers.Tokenizer.from_str(tokenizer_json()).decode(ids[:-1]) == text


@pytest.mark.real_data
def test_sentencepiece():
    path = real_data("tok/mistral/mistral_instruct_tokenizer_240323.model.v3")
    oracle = sentencepiece.SentencePieceProcessor(model_file=str(path))
    info = tokenizer_info(path)
    assert (info.vocab_size, info.bos_id, info.eos_id, info.pad_id) == (oracle.vocab_size(), 1, 2, None)
    batch = tokenized(documents(VARIED), path, tokenizer=str(path), add_bos=True)
    for text, ids, ends in zip(
        VARIED, batch["input_ids"].to_pylist(), batch["token_ends"].to_pylist(), strict=True
    ):
        assert ids == [1, *oracle.encode(text or ""), 2]
        assert ends[-1] == len(text or "")
        assert ends == sorted(ends)
    specials = tokenized(documents(["a</s>b<s>"]), path, tokenizer=str(path), add_eos=False)["input_ids"][
        0
    ].as_py()
    assert not {1, 2} & set(specials)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["test_model.model", "test_ja_model.model"])
def test_sentencepiece_models_that_normalize(name):
    path = real_data(f"tok/sentencepiece/{name}")
    oracle = sentencepiece.SentencePieceProcessor(model_file=str(path))
    batch = tokenized(documents(VARIED), path, tokenizer=str(path))
    for text, ids, ends in zip(
        VARIED, batch["input_ids"].to_pylist(), batch["token_ends"].to_pylist(), strict=True
    ):
        assert ids == [*oracle.encode(text or ""), oracle.eos_id()]
        assert max(ends) <= len(text or "")


@pytest.mark.real_data
def test_rank_file_gives_the_published_ids():
    path = real_data("tok/openai_tiktoken/cl100k_base.tiktoken")
    published = {  # github.com/openai/openai-cookbook, How_to_count_tokens_with_tiktoken
        "tiktoken is great!": [83, 1609, 5963, 374, 2294, 0],
        "antidisestablishmentarianism": [519, 85342, 34500, 479, 8997, 2191],
        "2 + 2 = 4": [17, 489, 220, 17, 284, 220, 19],
        "お誕生日おめでとう": [33334, 45918, 243, 21990, 9080, 33334, 62004, 16556, 78699],
    }
    batch = tokenized(documents(list(published)), path, tokenizer=str(path), add_eos=False)
    assert batch["input_ids"].to_pylist() == list(published.values())
    info = tokenizer_info(path)
    assert (info.vocab_size, info.eos_id) == (100277, 100257)


@pytest.mark.real_data
def test_gpt2_vocabulary(tmp_path):
    folder = real_data("tok/gpt2")
    model = tokenizers.models.BPE.from_file(str(folder / "encoder.json"), str(folder / "vocab.bpe"))
    gpt2 = tokenizers.Tokenizer(model)
    gpt2.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    gpt2.decoder = tokenizers.decoders.ByteLevel()
    gpt2.save(str(tmp_path / "tokenizer.json"))
    ids = tokenized(documents(["Hello world", "a<|endoftext|>"]), tmp_path)["input_ids"].to_pylist()
    assert ids[0] == [15496, 995, 50256]
    assert ids[1][-1] == 50256
