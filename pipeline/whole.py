"""Tasks about a node as a whole: a sink's manifest, and stored rows gathered into one folder."""

import os
from pathlib import Path
from typing import Any

from pipeline.books import Books
from pipeline.checkpoint import file_written, unit_folder
from pipeline.errors import DataError
from pipeline.fingerprint import address
from pipeline.io.store import Store
from pipeline.plan import Entry
from pipeline.stage import ShardInfo
from pipeline.summaries import told
from pipeline.tasks import Finish, Loaded, Run, Task, sides_of


def published(partition: int, file: str) -> str:
    """The name of a partition's file beside those of all others.

    >>> published(3, "shard.arrow")
    '00003-shard.arrow'
    """
    return f"{partition:05d}-{file}"


def commit_sink(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
    """All partitions' files of a sink side by side, and its manifest."""
    plan, args = loaded.plan, task.args
    name = args["node"]
    units: list[tuple[int, str]] = store.read_json(args["listing"])["units"]
    where = address("commit", plan.fingerprints[name], args["listing"], args["sides"])

    def run(scratch: Path, finish: Finish) -> dict[str, Any]:
        out = scratch / "out"
        out.mkdir()
        shards, rows = [], {}
        for partition, unit in units:
            sink = store.read_json(f"{unit_folder(unit)}/commit.json")["sinks"][name]
            for file in sink["files"]:
                _bring(store, f"{unit_folder(unit)}/{name}/{file}", out / published(partition, file))
                rows[published(partition, file)] = sink["rows"]
            shards.append(
                ShardInfo([published(partition, f) for f in sink["files"]], sink["rows"], sink["meta"], unit)
            )
        opened = loaded.opener(name, sides_of(store, plan, name, args["sides"]))
        stage: Any = plan.graph.nodes[name].stage
        try:
            stage.commit(shards, out, opened)
        except ValueError as error:  # what only all documents together could show to be wrong
            raise DataError(f"node '{name}': {error}") from error
        made = sorted(p for p in out.rglob("*") if p.is_file())
        files = {str(p.relative_to(scratch)): file_written(p) for p in made}
        tables = told(name, stage.summary(shards, out))
        return finish(scratch, files, {"node": name, "books": Books(0).data, "summaries": tables})

    return where, run


def collect(store: Store, _: Loaded, task: Task) -> tuple[str, Run]:
    """A node's stored rows of all partitions in one folder."""
    args = task.args
    units: list[tuple[int, str]] = store.read_json(args["listing"])["units"]
    where = address("collect", args["node"], args["listing"])

    def run(scratch: Path, finish: Finish) -> dict[str, Any]:
        file = Entry(args["node"], "kept").file
        (scratch / "out").mkdir()
        files = {}
        for partition, unit in units:
            name = f"out/{published(partition, file)}"
            _bring(store, f"{unit_folder(unit)}/{file}", scratch / name)
            files[name] = file_written(scratch / name)
        return finish(scratch, files, {"node": args["node"], "books": Books(0).data})

    return where, run


def _bring(store: Store, name: str, target: Path) -> None:
    """A stored file under a scratch name: a second link to the same bytes where the store is local."""
    if store.local:
        try:
            os.link(store.path(name), target)
        except OSError:
            target.write_bytes(store.read_bytes(name))
    else:
        store.fs.get_file(store.path(name), str(target))
