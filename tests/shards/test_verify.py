"""Every way in which a folder can differ from its manifest is named."""

import json

import pyarrow as pa
import pytest

from shards.format import Manifest, ShardError, file_sha256
from shards.verify import check, main, verify
from tests.shards.make import small_shards


@pytest.fixture
def folder(tmp_path):
    return small_shards(tmp_path)


def edit(folder, **changes):
    data = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**data, **changes}))


def rewrite(folder, change):
    """Replace the first shard's batches and make the checksums agree, so that only the content is wrong."""
    manifest = Manifest.load(folder)
    path = folder / manifest.shards[0].file
    with pa.ipc.open_stream(path.read_bytes()) as reader:
        table = change(reader.read_all())
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    data = json.loads((folder / "manifest.json").read_text())
    data["shards"][0].update(bytes=path.stat().st_size, sha256=file_sha256(path))
    (folder / "manifest.json").write_text(json.dumps(data))


def test_whole(folder):
    assert verify(folder) == []
    assert check(str(folder)).rows == Manifest.load(folder).rows


def test_missing_shard(folder):
    (folder / "00001-shard.arrow").unlink()
    assert [p for p in verify(folder) if "00001-shard.arrow: is missing" in p]
    with pytest.raises(ShardError, match="is missing"):
        check(folder)


def test_truncated_shard(folder):
    path = folder / "00000-shard.arrow"
    path.write_bytes(path.read_bytes()[:-9])
    assert "it is cut off or was altered" in verify(folder)[0]


def test_altered_byte(folder):
    path = folder / "00000-shard.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "was altered: its sha256" in verify(folder)[0]


def test_manifest_counts(folder):
    edit(folder, rows=1, tokens=2)
    assert ["says 1 rows" in verify(folder)[0], "says 2 tokens" in verify(folder)[1]] == [True, True]


def test_other_tokenizer_beside_the_shards(folder):
    (folder / "tokenizer.json").write_text("{}")
    assert "is not the tokenizer that made the ids" in verify(folder)[0]
    (folder / "tokenizer.json").unlink()
    assert "tokenizer.json: is missing" in verify(folder)[0]


def test_ids_beyond_the_vocabulary(folder):
    data = json.loads((folder / "manifest.json").read_text())
    edit(folder, tokenizer={**data["tokenizer"], "vocab_size": 10})
    assert "is beyond the tokenizer's 10 entries" in verify(folder)[0]


def test_lost_row(folder):
    rewrite(folder, lambda table: table.slice(1))
    assert any("rows, but the manifest says" in p for p in verify(folder))


def test_boundaries_that_do_not_add_up(folder):
    def shorten(table):
        lengths = [[n[0] - 1, *n[1:]] for n in table["seq_lengths"].to_pylist()]
        return table.set_column(1, table.schema.field(1), pa.array(lengths, table.schema.field(1).type))

    rewrite(folder, shorten)
    problems = "\n".join(verify(folder))
    assert "seq_lengths do not add up" in problems
    assert "pieces do not match seq_lengths" in problems


def test_rows_longer_than_said(folder):
    edit(folder, seq_len=5)
    assert "more than seq_len 5" in verify(folder)[0]


def test_other_columns(folder):
    rewrite(folder, lambda table: table.drop_columns(["pieces"]))
    assert "but the format says" in verify(folder)[0]


def test_no_manifest(tmp_path):
    assert "has no manifest.json" in verify(tmp_path)[0]


def test_command_line(folder, capsys):
    assert main([str(folder)]) == 0
    assert ": whole (3 shards, " in capsys.readouterr().out
    (folder / "00001-shard.arrow").unlink()
    assert main([str(folder), str(folder)]) == 1
    assert capsys.readouterr().out.count("00001-shard.arrow: is missing") == 2
    assert main([]) == main(["--help"]) == 2
    assert "usage: python -m shards.verify" in capsys.readouterr().err
