"""Content addresses: what a piece of work must produce, as a hash.

An address covers everything that decides the bytes: stage names and versions, params, models and word lists,
the versions of libraries that a stage names, the input's bytes, and the addresses of the work before. It
never covers a file's name, a date, a number of workers or a batch size.
"""

import functools
import hashlib
import os
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import fsspec
import orjson
import xxhash

from pipeline.graph import Node
from pipeline.resources import ensure

ENGINE = 2  # bump when the engine itself makes other bytes from the same stages


def address(*parts: Any) -> str:
    """A 128-bit hash, as 32 hex digits, of plain values; dict order does not matter.

    >>> address({"a": 1, "b": 2}) == address({"b": 2, "a": 1})
    True
    """
    data = orjson.dumps([ENGINE, *parts], option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def node_fingerprint(node: Node) -> str:
    """Everything about a node that decides what it makes of its input.

    The node's name is part of it: rejected rows carry it. What its inputs hold is not; the addresses of the
    units that made them say that.
    """
    return address(
        node.name,
        node.stage_name,
        type(node.stage).version,
        node.stage.model_dump(mode="json"),
        [file_digest(str(ensure(Path(path)))) for path in node.stage.resources()],
        [[name, _library(name)] for name in type(node.stage).libraries],
        [[e.node, e.port, e.where] for e in node.inputs],
        dict(node.side),
        node.annotate_only,
    )


def _library(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def file_digest(url: str) -> str:
    """A hash of a file's bytes; for remote files, what the filesystem says changes with them (an ETag).

    Local digests are remembered by (path, size, time of change), within this process.
    """
    if "://" in url and not url.startswith("file://"):
        fs, path = fsspec.core.url_to_fs(url)
        return (
            str(fs.checksum(path))
            if fs.protocol != "memory"
            else xxhash.xxh3_128_hexdigest(fs.cat_file(path))
        )
    path = url.removeprefix("file://")
    if os.path.isdir(path):
        return address([[p.name, file_digest(str(p))] for p in sorted(Path(path).iterdir())])
    stat = os.stat(path)
    return _local_digest(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


@functools.lru_cache(maxsize=1 << 20)
def _local_digest(path: str, size: int, changed: int, inode: int) -> str:  # noqa: ARG001
    digest = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def inputs_digest(urls: Iterable[str]) -> str:
    """One hash for the bytes of several files, in order."""
    return address([file_digest(url) for url in urls])
