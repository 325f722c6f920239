"""Files that appear whole or not at all, on a disk and in an object store."""

import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.errors import CheckpointError
from pipeline.io.arrow import TableWriter, bounded, read_batches, read_table
from pipeline.io.store import Store


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    return Store(str(tmp_path / "s")) if request.param == "disk" else Store(f"memory://{uuid.uuid4().hex}/s")


def test_bytes_json_and_listing(store):
    store.write_bytes("a/b.bin", b"xyz")
    store.write_json("a/c.json", {"b": 1, "a": [1, None]})
    assert store.read_bytes("a/b.bin") == b"xyz"
    assert store.read_bytes("a/c.json") == b'{"a":[1,null],"b":1}'
    assert store.listdir("a") == ["b.bin", "c.json"]
    assert store.listdir("nothing") == []
    assert store.exists("a/b.bin")
    assert not store.exists("a/x")
    store.remove("a/b.bin")
    store.remove("a/b.bin")
    assert store.listdir("a") == ["c.json"]


def test_publish_link_and_fetch(store, tmp_path):
    with store.scratch() as scratch:
        (scratch / "f").write_bytes(b"data")
        store.publish(scratch / "f", "units/1/f")
    store.link("units/1/f", "run/out/f")
    store.link("units/1/f", "run/out/f")
    assert store.listdir("run/out") == ["f"]
    assert store.fetch("run/out/f", tmp_path / "cache").read_bytes() == b"data"


def test_tables(store):
    table = pa.table({"x": list(range(10)), "t": [str(i) * 100 for i in range(10)]})
    with store.scratch() as scratch:
        writer = TableWriter(scratch / "t")
        for batch in table.to_batches(max_chunksize=4):
            writer.write(batch)
        written = writer.close()
        store.publish(scratch / "t", "t.arrow")
    assert written.rows == 10
    assert read_table(store, "t.arrow").equals(table)
    sizes = [b.num_rows for b in bounded(read_batches(store, "t.arrow"), rows=3, size=1 << 20)]
    assert sizes == [3, 1, 3, 1, 2]
    assert all(b.num_rows == 1 for b in bounded(read_batches(store, "t.arrow"), rows=100, size=50))


def test_a_file_that_is_not_whole_is_named(store):
    store.write_bytes("t.arrow", b"ARROW1\0\0 and then nothing")
    with pytest.raises(CheckpointError, match=r"t\.arrow: cannot be read back .*delete it and run again"):
        read_table(store, "t.arrow")
    store.write_bytes("c.json", b'{"a":')
    with pytest.raises(CheckpointError, match=r"c\.json: is not JSON .*delete it and run again"):
        store.read_json("c.json")


def test_scratch_of_the_dead_is_swept_and_of_the_living_is_not(tmp_path):
    store = Store(str(tmp_path / "s"))
    code = (
        "import os, sys; from pipeline.io.store import Store; s = Store(sys.argv[1]);"
        "c = s.scratch(); print(c.__enter__(), flush=True); os._exit(9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, store.root], capture_output=True, text=True, check=False
    )
    left = done.stdout.strip()
    assert Path(left).is_dir()
    with store.scratch() as mine:
        store.sweep()
        assert mine.is_dir()
    assert not Path(left).is_dir()
