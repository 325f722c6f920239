"""Many shards: the list is a file that is mapped, and nothing at start-up grows with it."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards import format as shard_format
from shards.format import Manifest, ShardError, ShardFile, ShardIndex, TokenizerInfo, write_folder
from shards.index import locate, row_starts, write_index
from shards.loader import TokenShards
from shards.verify import verify
from tests.shards.plain import plain_shards, write_plain


def entries(count, rows=3):
    return tuple(
        ShardFile(f"{i:07d}.arrow", rows + i % 2, 10 * rows, 100 + i, f"{i:064x}") for i in range(count)
    )


def manifest_of(shards):
    return Manifest(
        dtype="uint16",
        seq_len=8,
        packing="concat",
        labels=False,
        rows=sum(s.rows for s in shards),
        tokens=sum(s.tokens for s in shards),
        documents=1,
        tokenizer=TokenizerInfo("ab", "tokenizers", 100),
        shards=shards,
    )


@pytest.fixture
def indexed(tmp_path, monkeypatch):
    """The same rows twice: with the list in the manifest, and with an index."""
    plain = plain_shards(tmp_path / "plain", (5, 0, 9, 4, 0))
    monkeypatch.setattr(shard_format, "INLINE_SHARDS", 2)
    return plain, plain_shards(tmp_path / "indexed", (5, 0, 9, 4, 0))


def test_an_index_round_trips(tmp_path):
    shards = entries(1500)
    write_folder(tmp_path, manifest_of(shards))
    found = Manifest.load(tmp_path)
    assert found.format_version == 2
    assert isinstance(found.shards, ShardIndex)
    assert tuple(found.shards) == shards
    assert found.shards[-1] == found.shards[1499] == shards[-1]
    assert found.shards[10:13] == list(shards[10:13])
    assert found.shards[10:20:3] == list(shards[10:20:3])
    assert found.data_digest() == manifest_of(shards).data_digest()
    assert np.array_equal(found.first_rows(), manifest_of(shards).first_rows())
    assert pickle.loads(pickle.dumps(found)).shards[7] == shards[7]
    with pytest.raises(IndexError, match="shard 1500 of 1500"):
        found.shards[1500]


def test_few_shards_stay_in_the_manifest(tmp_path):
    write_folder(tmp_path, manifest_of(entries(1000)))
    assert Manifest.load(tmp_path).format_version == 1
    assert not (tmp_path / "index.arrow").exists()


def test_the_same_shards_give_the_same_index(tmp_path):
    for name in ("a", "b"):
        write_index(tmp_path / name, entries(50))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(ShardError, match="a shard's sha256 is not one"):
        write_index(tmp_path / "c", [ShardFile("x", 1, 1, 1, "no")])


def test_both_versions_read_alike(indexed):
    plain, other = (TokenShards(folder, batch=3, seed=1, columns=("rows", "labels")) for folder in indexed)
    assert (plain.manifest.format_version, other.manifest.format_version) == (1, 2)
    assert plain.state_dict() == other.state_dict()  # a state goes from one to the other
    for mine, theirs in zip(plain, other, strict=True):
        assert np.array_equal(mine["rows"], theirs["rows"])
        assert np.array_equal(mine["labels"], theirs["labels"])
    assert [plain[i]["input_ids"].tolist() for i in range(18)] == [
        other[i]["input_ids"].tolist() for i in range(18)
    ]
    assert verify(indexed[1]) == []


def test_start_up_reads_one_entry_only(tmp_path, monkeypatch):
    write_folder(tmp_path, manifest_of(entries(5000)))
    asked = []
    real = ShardIndex.__getitem__
    monkeypatch.setattr(ShardIndex, "__getitem__", lambda self, at: asked.append(at) or real(self, at))
    monkeypatch.setattr(ShardIndex, "__iter__", None)
    loader = TokenShards(tmp_path)
    assert loader.state_dict()["data"]
    assert asked == [-1]


def altered(folder, **changes):
    data = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**data, **changes}))


def test_an_index_of_another_manifest_is_refused(indexed):
    folder = indexed[1]
    altered(folder, rows=17)
    with pytest.raises(ShardError, match=r"says 5 shards with 17 rows, but .*index\.arrow has 5 with 18"):
        TokenShards(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": {"file": "index.arrow"}}, "`index` is missing or incomplete"),
        ({"index": None}, "`index` is missing or incomplete"),
        ({"surprise": 1}, "a field is missing or unknown"),
    ],
)
def test_manifests_of_version_2_that_are_refused(indexed, change, message):
    altered(indexed[1], **change)
    with pytest.raises(ShardError, match=message):
        Manifest.load(indexed[1])


def test_broken_index(indexed):
    path = indexed[1] / "index.arrow"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ShardError, match=r"index\.arrow: cannot be read"):
        Manifest.load(indexed[1])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, pa.schema([("a", pa.int8())])):
        pass
    with pytest.raises(ShardError, match="is not an index of token shards"):
        Manifest.load(indexed[1])
    path.unlink()
    with pytest.raises(ShardError, match=r"index\.arrow: cannot be read"):
        Manifest.load(indexed[1])


def test_verify_reads_the_index(indexed):
    folder = indexed[1]
    shards = list(Manifest.load(folder).shards)
    (folder / shards[2].file).unlink()
    write_index(folder / "index.arrow", [*shards[:3], replace(shards[3], sha256="0" * 64), shards[4]])
    problems = "\n".join(verify(folder))
    assert "000002.arrow: is missing" in problems
    assert "000003.arrow: was altered" in problems
    assert "index.arrow: was altered: its sha256 is not the manifest's" in problems
    assert "data_digest" in problems


def test_rows_beyond_int32_in_the_index(tmp_path):  # T45
    shards = [ShardFile(f"{i}.arrow", 2**31 + i, 2**41, 2**42, "00" * 32) for i in range(4)]
    write_index(tmp_path / "index.arrow", shards)
    index = ShardIndex(tmp_path / "index.arrow")
    assert index.first_rows.tolist() == [0, 2**31, 2**32 + 1, 3 * 2**31 + 3]
    assert index[3].tokens == 2**41
    assert locate(np.append(index.first_rows, 2**33 + 6), 2**33) == (3, 2**31 - 3)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_every_row_has_its_shard(counts):
    starts, expected = row_starts(counts), [(s, i) for s, n in enumerate(counts) for i in range(n)]
    assert [locate(starts, row) for row in range(sum(counts))] == expected


def test_an_unknown_dtype_is_refused(tmp_path):
    folder = write_plain(tmp_path / "out", [])
    altered(folder, dtype="uint8")
    with pytest.raises(ShardError, match="dtype 'uint8' is not one of ids; the format has uint16 and uint32"):
        TokenShards(folder)
