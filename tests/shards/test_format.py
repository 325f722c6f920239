"""The manifest and the type of ids."""

import json
from dataclasses import replace

import pytest

from shards.format import Manifest, ShardError, ShardFile, TokenizerInfo, id_dtype, row_schema

MANIFEST = Manifest(
    dtype="uint32",
    seq_len=8,
    packing="concat",
    labels=False,
    rows=3_000_000_000,
    tokens=24_000_000_000,
    documents=7,
    tokenizer=TokenizerInfo("ab", "tokenizers", 70_000, eos_id=69_999, file="tokenizer.json"),
    shards=(ShardFile("a.arrow", 3_000_000_000, 24_000_000_000, 1, "cd"),),
)


def test_json_round_trip():
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert Manifest.from_json(MANIFEST.to_json()).to_json() == MANIFEST.to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "is not a manifest of token shards"),
        ({"format_version": 3}, "format version 3 cannot be read; this package reads versions 1 and 2"),
        ({"surprise": 1}, "a field is missing or unknown"),
        ({"tokenizer": {"sha256": "x"}}, "a field is missing or unknown"),
    ],
)
def test_manifests_that_are_refused(change, message):
    with pytest.raises(ShardError, match=message):
        Manifest.from_json(json.dumps({**json.loads(MANIFEST.to_json()), **change}))


def test_missing_and_broken_manifest(tmp_path):
    with pytest.raises(ShardError, match=r"has no manifest.json; the run that writes it has not finished"):
        Manifest.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ShardError, match="is not JSON"):
        Manifest.load(tmp_path)


@pytest.mark.parametrize(
    ("size", "dtype"), [(1, "uint16"), (65_536, "uint16"), (65_537, "uint32"), (200_000, "uint32")]
)
def test_id_dtype(size, dtype):
    assert id_dtype(size) == dtype
    assert str(row_schema(dtype, labels=True).field("input_ids").type.value_type) == dtype


def test_data_digest_follows_data_alone():
    assert replace(MANIFEST, run="elsewhere").data_digest() == MANIFEST.data_digest()
    other = replace(MANIFEST, shards=(replace(MANIFEST.shards[0], sha256="ef"),))
    assert other.data_digest() != MANIFEST.data_digest()
