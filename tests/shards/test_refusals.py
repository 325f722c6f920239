"""What is not for this trainer is refused when the loader is made, with what to do about it."""

import json

import pytest

from shards.format import Manifest, ShardError
from shards.loader import TokenShards
from tests.shards.plain import make_rows, write_plain


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    at = tmp_path_factory.mktemp("refusals") / "out"
    return write_plain(at, [make_rows(4)], chat_template_sha256="ab" * 32)


REFUSED = [
    (
        {"tokenizer_sha256": "00"},
        "made by tokenizer .*, but the trainer's is 00; tokenize the documents again",
    ),
    (
        {"chat_template_sha256": "00"},
        "rendered by chat template abab.*, but the trainer's is 00; render and tokenize them again",
    ),
    (
        {"vocab_size": 59_999},
        "has ids up to 59999 .*, but the model's vocab_size is 59999; enlarge the embedding",
    ),
    ({"seq_len": 23}, "rows of up to 24 tokens, but seq_len is 23; write the shards with seq_len 23"),
]


@pytest.mark.parametrize(("params", "message"), REFUSED, ids=[next(iter(p)) for p, _ in REFUSED])
def test_what_is_not_for_this_trainer(folder, params, message):
    with pytest.raises(ShardError, match=message):
        TokenShards(folder, **params)


def test_what_is(folder):
    manifest = Manifest.load(folder)
    loader = TokenShards(
        folder,
        seq_len=24,
        tokenizer_sha256=manifest.tokenizer.sha256,
        chat_template_sha256="ab" * 32,
        vocab_size=60_000,
    )
    assert len(loader) == 4


def test_no_template_is_not_any_template(tmp_path):
    plain = write_plain(tmp_path / "out", [make_rows(4)])
    with pytest.raises(ShardError, match="rendered by chat template None, but the trainer's is ab"):
        TokenShards(plain, chat_template_sha256="ab")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 3}, "format version 3 cannot be read; this package reads versions 1 and 2"),
        ({"format": "MDS"}, "is not a manifest of token shards; give the folder"),
        ({"dtype": "float32"}, "dtype 'float32' is not one of ids"),
        (
            {"dtype": "uint32"},
            "column input_ids is list<item: uint16>, but manifest.json says list<item: uint32>",
        ),
        ({"labels": True}, "column labels is None, but manifest.json says list<item: int32>"),
    ],
)
def test_manifests_that_do_not_fit(tmp_path, change, message):
    folder = write_plain(tmp_path / "out", [make_rows(4)])
    data = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**data, **change}))
    with pytest.raises(ShardError, match=message):
        TokenShards(folder)[0]
