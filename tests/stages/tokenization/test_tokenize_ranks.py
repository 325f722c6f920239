"""Rank files: what is known of them, and the ids that their ranks mean, merged slowly here."""

import base64
import json
from itertools import pairwise

import pyarrow as pa
import pytest
import tokenizers

from pipeline.schema import TEXT
from shards.tokenizer import RANK_FILES, known_ranks, read_ranks, tokenizer_info
from stages.tokenization._ranks import byte_letters, merged_pair
from stages.tokenization._tokenizers import open_tokenizer
from tests.stages.tokenization.kinds import corpus, tokenizer_text
from tests.support.data import real_data

TEXTS = [
    *corpus()[:60],
    *(" " * n + "x" for n in range(80)),
    "a<|endoftext|>b",
    "\u180e'ſ \x0b",
    "é" * 100,
    "",
]


def rank_lines(ranks):
    return b"".join(base64.b64encode(token) + b" %d\n" % i for token, i in ranks)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """r50k_base is GPT-2's vocabulary; p50k_base adds runs of spaces; both are known by their hash alone."""
    byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    vocab = json.loads((real_data("tok/gpt2") / "encoder.json").read_text("utf-8"))
    ranks = sorted((i, bytes(byte_of[c] for c in token)) for token, i in vocab.items() if "<|" not in token)
    folder = tmp_path_factory.mktemp("ranks")
    gpt2 = [(token, i) for i, token in ranks]
    runs = [(b" " * n, 50255 + n) for n in range(2, 26)]
    (folder / "r50k").write_bytes(rank_lines(gpt2))
    (folder / "p50k").write_bytes(rank_lines([*gpt2, *runs]))
    return {
        "r50k": folder / "r50k",
        "p50k": folder / "p50k",
        "cl100k": real_data("tok/openai_tiktoken/cl100k_base.tiktoken"),
    }


def slow_ids(word, ranks):
    """tiktoken's rule: a word that is a token is that token, else the pair of the lowest rank is merged, leftmost first."""
    if word in ranks:
        return [ranks[word]]
    parts = [bytes([byte]) for byte in word]
    while len(parts) > 1:
        best, i = min((ranks.get(a + b, 1 << 30), i) for i, (a, b) in enumerate(pairwise(parts)))
        if best == 1 << 30:
            break
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return [ranks[part] for part in parts]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "size", "eos"), [("r50k", 50257, 50256), ("p50k", 50281, 50256), ("cl100k", 100277, 100257)]
)
def test_rank_files(files, name, size, eos):
    path = files[name]
    info = tokenizer_info(path)
    assert known_ranks(path).name == f"{name}_base"
    assert (info.kind, info.vocab_size, info.eos_id) == ("tiktoken", size, eos)
    ranks = read_ranks(path)
    assert max(ranks.values()) < size
    tokenizer = open_tokenizer(path)
    words = tokenizers.Tokenizer.from_str(json.dumps(tokenizer.reference.source())).pre_tokenizer
    byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    expected = [
        [
            i
            for word, _ in words.pre_tokenize_str(text)
            for i in slow_ids(bytes(byte_of[c] for c in word), ranks)
        ]
        for text in TEXTS
    ]
    encoded = tokenizer.encode(pa.array(TEXTS, TEXT.type))
    bounds = pairwise(encoded.offsets.tolist())
    assert [encoded.ids[a:b].tolist() for a, b in bounds] == expected


def test_sizes_cover_the_special_tokens():
    for ranks in RANK_FILES.values():
        assert ranks.special["<|endoftext|>"] < ranks.size
        assert max(ranks.special.values()) < ranks.size


def test_a_rank_file_that_is_not_known(tmp_path):
    path = tmp_path / "own.tiktoken"
    path.write_bytes(rank_lines([(bytes([byte]), byte) for byte in range(256)]))
    with pytest.raises(
        ValueError, match="known are r50k_base, p50k_base, cl100k_base, o200k_base; give one of them"
    ):
        tokenizer_info(path)


def test_a_rank_file_that_is_not_whole():
    ranks = {b"a": 0, b"b": 1, b"c": 2, b"abc": 3}
    with pytest.raises(ValueError, match="token 3 is not the merge of two tokens"):
        merged_pair(b"abc", ranks)
    assert merged_pair(b"abc", {**ranks, b"bc": 2, b"abc": 9}) == (b"a", b"bc")


def test_ids_that_the_library_would_change_are_refused(tmp_path):  # T47
    data = json.loads(tokenizer_text("gpt2"))
    data["added_tokens"].append({**data["added_tokens"][0], "id": 70_000, "content": "<|late|>"})
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    assert tokenizers.Tokenizer.from_file(str(path)).token_to_id("<|late|>") == 900
    with pytest.raises(
        ValueError, match=r"added token '<\|late\|>' has id 70000, but `tokenizers` gives it 900"
    ):
        open_tokenizer(path)
