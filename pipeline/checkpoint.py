"""Commit records: a unit's folder in the store, whole or absent.

`units/<aa>/<address>/commit.json` is published last. It holds what the unit made (files with their checksums),
its books, and nothing that differs between two runs; when and where it ran stands in `timing.json`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

from pipeline.errors import CheckpointError
from pipeline.io.arrow import Written
from pipeline.io.store import Store

COMMIT = "commit.json"
TIMING = "timing.json"


def unit_folder(address: str) -> str:
    """A unit's folder, relative to the store.

    >>> unit_folder("ab12")
    'units/ab/ab12'
    """
    return f"units/{address[:2]}/{address}"


def committed(store: Store, address: str) -> dict[str, Any] | None:
    """The commit record at an address, if the work is done and its files are still there.

    A file that is missing or of another size makes the work undone; `verify` also compares checksums.
    """
    folder = unit_folder(address)
    if not store.exists(f"{folder}/{COMMIT}"):
        return None
    record: dict[str, Any] = store.read_json(f"{folder}/{COMMIT}")
    if store.local:
        for name, (_, size, _) in record["files"].items():
            path = Path(store.path(f"{folder}/{name}"))
            if not path.exists() or path.stat().st_size != size:
                return None
    return record


def commit(
    store: Store,
    address: str,
    scratch: Path,
    files: Mapping[str, Written],
    record: dict[str, Any],
    timing: object,
) -> dict[str, Any]:
    """Publish a unit's scratch files, then its commit record.

    Args:
        store: where units live.
        address: of this unit.
        scratch: the folder in which `files` lie.
        files: name (relative to scratch and to the unit's folder) -> what was written.
        record: the rest of the commit record, plain JSON.
        timing: what may differ between two runs.
    """
    folder = unit_folder(address)
    for name in files:
        store.publish(scratch / name, f"{folder}/{name}")
    record = {**record, "address": address, "files": {n: list(w) for n, w in sorted(files.items())}}
    store.write_json(f"{folder}/{TIMING}", timing)
    store.write_json(f"{folder}/{COMMIT}", record)
    return record


def timing_of(store: Store, address: str) -> dict[str, Any]:
    """What a finished unit cost when it ran; empty where that was not kept."""
    name = f"{unit_folder(address)}/{TIMING}"
    return store.read_json(name) if store.exists(name) else {}


def file_written(path: Path, rows: int = -1) -> Written:
    """Size and checksum of a finished file that did not pass through a TableWriter."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return Written(rows, path.stat().st_size, digest.hexdigest())


def verify_unit(store: Store, address: str) -> list[str]:
    """What of a unit differs from its commit record, one sentence each."""
    folder = unit_folder(address)
    if not store.exists(f"{folder}/{COMMIT}"):
        return [f"{folder}: no commit record"]
    try:
        record = store.read_json(f"{folder}/{COMMIT}")
    except CheckpointError as error:
        return [str(error)]
    problems = []
    for name, (_, size, checksum) in record["files"].items():
        file = f"{folder}/{name}"
        if not store.exists(file):
            problems.append(f"{file}: missing")
            continue
        with store.scratch() as scratch:
            found = file_written(store.fetch(file, scratch))
        if found.bytes != size:
            problems.append(f"{file}: {found.bytes} bytes, but {size} were committed")
        elif found.xxh3 != checksum:
            problems.append(f"{file}: altered since it was committed (checksum {found.xxh3}, not {checksum})")
    return problems
