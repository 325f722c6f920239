"""Shards in object storage: fetched once, checked, shared by processes, and never more than the cache may hold."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shards import format as shard_format
from shards.cache import CACHE_VARIABLE, RemoteFolder
from shards.format import Manifest, ShardError
from shards.loader import TokenShards
from tests.shards.plain import plain_shards

fsspec = pytest.importorskip("fsspec", reason="object storage is reached through fsspec")


@pytest.fixture
def folder(tmp_path):
    return plain_shards(tmp_path / "out", (6, 9, 4, 7))


def upload(folder):
    """Into fsspec's memory file system, file by file: put() of a folder depends on what other tests left there."""
    for file in folder.iterdir():
        fsspec.filesystem("memory").pipe(f"/shards-of-tests/out/{file.name}", file.read_bytes())


@pytest.fixture
def remote(folder):
    """The folder's files in fsspec's memory file system."""
    memory = fsspec.filesystem("memory")
    upload(folder)
    yield "memory://shards-of-tests/out"
    memory.rm("/shards-of-tests", recursive=True)


def same(a, b):
    for mine, other in zip(a, b, strict=True):
        assert np.array_equal(mine["input_ids"], other["input_ids"])
        assert np.array_equal(mine["rows"], other["rows"])


def cached(cache):
    return sorted(p.name for p in cache.glob("*/*.arrow") if not p.name.startswith("."))


def test_rows_are_those_of_the_local_folder(folder, remote, tmp_path):
    far = TokenShards(remote, batch=3, seed=1, cache=tmp_path / "cache")
    near = TokenShards(folder, batch=3, seed=1)
    assert far.state_dict() == near.state_dict()
    same(far, near)
    assert cached(tmp_path / "cache") == [f"00000{i}.arrow" for i in range(4)]
    assert far.pieces(8) == near.pieces(8)


def test_a_shard_is_fetched_when_its_row_is_asked_for_and_once(remote, tmp_path, monkeypatch):
    fetched = []
    real = RemoteFolder._fetch
    monkeypatch.setattr(
        RemoteFolder, "_fetch", lambda self, file, *a: fetched.append(file) or real(self, file, *a)
    )
    loader = TokenShards(remote, cache=tmp_path / "cache")
    assert fetched == []
    loader[7]
    loader[8]
    assert fetched == ["000001.arrow"]
    TokenShards(remote, cache=tmp_path / "cache")[7]
    assert fetched == ["000001.arrow"]


def test_the_index_of_many_shards_is_fetched_too(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_format, "INLINE_SHARDS", 1)
    folder = plain_shards(tmp_path / "out", (6, 9, 4))
    size = (folder / "index.arrow").stat().st_size
    far = TokenShards(f"file://{folder}", batch=2, cache=tmp_path / "cache", cache_bytes=size)
    same(far, TokenShards(folder, batch=2))
    assert "index.arrow" in cached(tmp_path / "cache")  # it never leaves: it is needed at every start


def test_the_bound_is_kept_and_the_longest_unused_leaves(folder, remote, tmp_path):
    sizes = [shard.bytes for shard in Manifest.load(folder).shards]
    cache = tmp_path / "cache"
    loader = TokenShards(remote, cache=cache, cache_bytes=sum(sizes[:3]), open_shards=1)
    firsts = [0, 6, 15, 19]
    for row in firsts[:3]:
        loader[row]
    for age, name in enumerate(["000001.arrow", "000002.arrow", "000000.arrow"]):
        os.utime(next(cache.glob(f"*/{name}")), (1000 + age, 1000 + age))
    loader[firsts[3]]
    assert "000001.arrow" not in cached(cache)
    assert {"000000.arrow", "000003.arrow"} <= set(cached(cache))
    for epoch in range(3):  # whatever leaves is fetched again
        same(
            TokenShards(remote, batch=2, seed=epoch, cache=cache, cache_bytes=1, open_shards=1),
            TokenShards(folder, batch=2, seed=epoch),
        )
    assert len(cached(cache)) == 1


def test_an_altered_shard_never_enters_the_cache(remote, tmp_path):
    with fsspec.open(f"{remote}/000001.arrow", "rb") as file:
        data = bytearray(file.read())
    data[len(data) // 2] ^= 1
    with fsspec.open(f"{remote}/000001.arrow", "wb") as file:
        file.write(bytes(data))
    loader = TokenShards(remote, cache=tmp_path / "cache")
    with pytest.raises(ShardError, match=r"what was fetched .* is not the file of"):
        loader[8]
    assert cached(tmp_path / "cache") == []
    assert not list((tmp_path / "cache").glob("*/.*.tmp"))


def test_what_a_killed_process_left_is_no_shard(remote, tmp_path):
    loader = TokenShards(remote, cache=tmp_path / "cache")
    place = loader.folder.path
    (place / ".000000.arrow.abc.tmp").write_bytes(b"half")
    (place / ".000000.arrow.lock").write_bytes(b"")  # nobody holds it
    (place / "000000.arrow").write_bytes(b"of another size")
    assert len(loader[0]["input_ids"])


def test_data_written_anew_does_not_meet_the_old_cache(remote, folder, tmp_path):
    old = TokenShards(remote, cache=tmp_path / "cache")
    list(old)
    memory = fsspec.filesystem("memory")
    memory.rm("/shards-of-tests", recursive=True)
    new = plain_shards(tmp_path / "new", (6, 9, 4, 7), seed=3)
    upload(new)
    same(TokenShards(remote, cache=tmp_path / "cache"), TokenShards(new))


def test_missing_files(remote, tmp_path):
    with pytest.raises(ShardError, match=r"memory://shards-of-tests/nowhere/manifest\.json: is not there"):
        TokenShards("memory://shards-of-tests/nowhere", cache=tmp_path)
    loader = TokenShards(remote, cache=tmp_path)
    fsspec.filesystem("memory").rm("/shards-of-tests/out/000002.arrow")
    with pytest.raises(ShardError, match=r"000002.arrow: is not there; copy the whole folder"):
        loader[16]


def test_a_file_system_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ShardError, match="needs fsspec, which is not installed"):
        TokenShards("s3://bucket/out", cache=tmp_path)


def test_the_cache_is_where_the_variable_says(remote, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "there"))
    TokenShards(remote)[0]
    assert cached(tmp_path / "there") == ["000000.arrow"]


def read_all(url, cache, seed, out):
    loader = TokenShards(url, batch=2, seed=seed, cache=cache, cache_bytes=3000, open_shards=1)
    out.put(sorted(row for batch in loader for row in batch["rows"].tolist()))


def test_several_processes_share_a_cache(folder, tmp_path):
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    arguments = [(f"file://{folder}", tmp_path / "cache", seed, out) for seed in range(3)]
    processes = [context.Process(target=read_all, args=args) for args in arguments]
    for process in processes:
        process.start()
    found = [out.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert found == [list(range(26))] * 3


def test_a_process_killed_while_it_fetches_leaves_the_lock_free(folder, tmp_path):
    code = f"""
import os, signal
from shards.cache import RemoteFolder
from shards.loader import TokenShards
RemoteFolder._fetch = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
TokenShards("file://{folder}", cache={str(tmp_path / "cache")!r})[0]
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -9
    assert len(TokenShards(f"file://{folder}", cache=tmp_path / "cache")[0]["input_ids"])
