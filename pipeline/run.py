"""What a worker does: one task, from its specification to its commit record.

Tasks are small and plain (names, addresses, numbers): data never passes through the scheduler. Kinds:

    level    one level of one partition               -> stored ports, emitted rows, sink files, fates
    emit     round 1.. of a Global node, one partition -> emitted rows
    reduce   a range of buckets of one round           -> verdicts
    resolve  some reductions merged                    -> verdicts
    commit   a sink's files of all partitions          -> its manifest
    collect  a node's stored rows of all partitions    -> one folder, for a side input
"""

import functools
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline import exchange
from pipeline.books import Books
from pipeline.checkpoint import commit, committed, file_written, timing_of, unit_folder
from pipeline.config import Config, PipelineConfig
from pipeline.errors import PipelineError, StageError
from pipeline.fingerprint import address
from pipeline.graph import build
from pipeline.io.arrow import bounded, read_batches, read_table
from pipeline.io.store import Store
from pipeline.plan import Entry, Plan
from pipeline.quarantine import Failure, Guard, Journal, isolate
from pipeline.resources import Opener
from pipeline.stage import ShardInfo, StageRef
from pipeline.unit import LevelUnit, UnitInput, emit_file


class Task(NamedTuple):
    """A piece of work, as the scheduler sees it."""

    kind: str
    store: str  # root of the store
    plan: str  # name of the plan's file in the store
    args: Mapping[str, Any]  # plain JSON
    hard: bool = False  # whether the process may be ended when it is stuck


class Done(NamedTuple):
    """What the driver learns of a task."""

    address: str
    reused: bool
    record: dict[str, Any]
    timing: dict[str, Any]


class Loaded(NamedTuple):
    """A plan as a worker holds it."""

    plan: Plan
    opener: Opener


def save_plan(plan: Plan, config: Config, store: Store) -> str:
    """Put a plan where workers find it; the name is its content."""
    targets = {n.stage_name: n.target for n in plan.graph.nodes.values()}
    value = {"data": config.data, "targets": targets, "fingerprints": dict(plan.fingerprints)}
    name = f"plans/{address(value)}.json"
    store.write_json(name, value)
    return name


@functools.lru_cache(maxsize=4)
def load_plan(root: str, name: str) -> Loaded:
    """The plan that `save_plan` stored, built again in this process."""
    saved = Store(root).read_json(name)
    model = PipelineConfig.model_validate_json(_json(saved["data"]))
    registry = {stage: StageRef(target) for stage, target in saved["targets"].items()}
    graph, problems = build(Config(model, saved["data"], {}, name), registry)
    if problems:
        raise StageError(f"{name}: this worker cannot build the plan: {problems[0].message}")
    plan = Plan(graph, model.run)
    plan.__dict__["fingerprints"] = saved["fingerprints"]  # computed by the driver, which has read the files
    return Loaded(plan, Opener(graph, name))


def _json(value: Any) -> bytes:
    import orjson

    return orjson.dumps(value)


def work(task: Task) -> Done:
    """Run one task, or find that it has been done."""
    store = Store(task.store)
    loaded = load_plan(task.store, task.plan)
    started, cpu = time.time(), time.process_time()
    address_, run = _KINDS[task.kind](store, loaded, task)
    if (record := committed(store, address_)) is not None:
        return Done(address_, True, _light(record), timing_of(store, address_))
    timing = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}

    def finish(scratch: Path, files: Mapping[str, Any], record: dict[str, Any]) -> dict[str, Any]:
        timing["seconds"] = time.time() - started
        timing["cpu_s"] = time.process_time() - cpu
        timing["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        timing["node_cpu_s"] = record.pop("node_cpu_s", {})
        return commit(store, address_, scratch, files, {"kind": task.kind, **record}, timing)

    with store.scratch() as scratch, _named(task):
        record = run(scratch, finish)
    return Done(address_, False, _light(record), timing)


@contextmanager
def _named(task: Task) -> Iterator[None]:
    """Say in an error which task it was."""
    try:
        yield
    except PipelineError as error:
        where = " ".join(f"{k} {task.args[k]}" for k in ("level", "node", "split") if k in task.args)
        error.add_note(f"in the {task.kind} task of {where}")
        raise


def _light(record: dict[str, Any]) -> dict[str, Any]:
    """A commit record without what the driver has no use for."""
    return {k: v for k, v in record.items() if k != "files"} | {
        "rows": {f: w[0] for f, w in record["files"].items()}
    }


Finish = Callable[[Path, Mapping[str, Any], dict[str, Any]], dict[str, Any]]
Run = Callable[[Path, Finish], dict[str, Any]]


def _sides(store: Store, plan: Plan, node: str, folders: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Local folders of a node's side inputs."""
    found = []
    for side, target in sorted(plan.graph.nodes[node].side.items()):
        folder = folders[target]
        if store.local:
            found.append((side, store.path(folder)))
            continue
        local = Path(_side_cache(), folder)
        for name in store.listdir(folder):
            store.fetch(f"{folder}/{name}", local)
        found.append((side, str(local)))
    return tuple(found)


@functools.cache
def _side_cache() -> str:
    import tempfile

    return tempfile.mkdtemp(prefix="corpusmill-sides-")


def _verdicts(store: Store, listing: str, partition: int) -> pa.Table:
    return exchange.verdicts_for(store, store.read_json(listing)["files"], partition)


# --- level ------------------------------------------------------------------------------------------


def level_address(plan: Plan, args: Mapping[str, Any], verdicts: Mapping[str, str]) -> str:
    """A level unit's address; `verdicts` holds a digest for each of its Global nodes."""
    return address(
        "level",
        plan.level_part(args["level"], args["source"]),
        args["split"] if args["level"] == 0 or not args["parents"] else "",
        args["digest"],
        args["parents"],
        args["sides"],
        dict(verdicts),
    )


def _level(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
    plan, args = loaded.plan, task.args
    verdicts = {node: _verdicts(store, name, args["partition"]) for node, name in args["verdicts"].items()}
    digests = {node: exchange.table_digest(table) for node, table in verdicts.items()}
    where = level_address(plan, args, digests)

    def resources(node: str) -> Any:
        return loaded.opener(node, _sides(store, plan, node, args["sides"]))

    def run(scratch: Path, finish: Finish) -> dict[str, Any]:
        stored = {
            Entry(*key.split(".")): f"{unit_folder(parent)}/{key}.arrow"
            for key, parent in args["parents"].items()
        }
        given = UnitInput(args["level"], args["source"], args["split"], stored, verdicts, resources)
        journal = Journal(store, where)
        unit = LevelUnit(plan, given, store, scratch, Guard(journal, plan.run.watchdog_s, task.hard))
        unit.run()
        record = finish(
            scratch,
            unit.files,
            {
                "level": args["level"],
                "source": args["source"],
                "split": args["split"],
                "books": unit.books.data,
                "emitted": unit.emitted,
                "sinks": unit.sinks,
                "node_cpu_s": unit.cpu,
            },
        )
        journal.close()
        return record

    return where, run


# --- exchanges --------------------------------------------------------------------------------------


def _emit(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
    plan, args = loaded.plan, task.args
    name, round = args["node"], args["round"]
    node = plan.graph.nodes[name]
    verdicts = _verdicts(store, args["verdicts"], args["partition"])
    where = address(
        "emit", plan.fingerprints[name], round, args["parent"], args["sides"], exchange.table_digest(verdicts)
    )

    def run(scratch: Path, finish: Finish) -> dict[str, Any]:
        opened = loaded.opener(name, _sides(store, plan, name, args["sides"]))
        journal = Journal(store, where)
        guard = Guard(journal, plan.run.watchdog_s, task.hard)
        guard.node = name
        tables: list[pa.Table] = []
        base = 0
        stored = read_batches(store, f"{unit_folder(args['parent'])}/{Entry(name, 'in').file}")
        for batch in bounded(stored, plan.run.batch_rows, plan.run.batch_bytes):

            def call(part: pa.RecordBatch, start: int, base: int = base) -> pa.Table:
                mine = exchange.rows_between(verdicts, base + start, part.num_rows)
                return node.stage.emit(part, opened, round, mine)  # type: ignore[attr-defined]

            for item in isolate(batch, call, guard):
                if isinstance(item, Failure):
                    what = f"node '{name}': emit failed in round {round} on a row that it took in round 0"
                    raise StageError(f"{what}:\n{item.detail}")
                start, part, table = item
                exchange.check_emitted(name, table, len(part))
                tables.append(exchange.moved(table, base + start))
            base += batch.num_rows
        files, emitted = {}, {}
        if any(map(len, tables)):
            file = emit_file(name, round)
            files[file], sizes = exchange.write_emitted(scratch / file, tables, plan.run.buckets)
            emitted[name] = {"buckets": sizes}
        record = finish(scratch, files, {"node": name, "emitted": emitted, "books": Books(0).data})
        journal.close()
        return record

    return where, run


def _reduce(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
    plan, args = loaded.plan, task.args
    name, round, (low, high) = args["node"], args["round"], args["range"]
    node = plan.graph.nodes[name]
    run_ = plan.run
    where = address(
        "reduce",
        plan.fingerprints[name],
        round,
        low,
        high,
        args["listing"],
        run_.max_group_rows,
        run_.buckets,
    )

    def run(scratch: Path, finish: Finish) -> dict[str, Any]:
        files = [(p, f) for p, f in store.read_json(args["listing"])["emitted"]]
        divided = scratch / "divided"
        divided.mkdir()
        stage: Any = node.stage
        tables = list(
            exchange.reduce_range(
                lambda: exchange.read_range(store, files, low, high),
                lambda bucket: stage.reduce(bucket, round),
                stage.order(round),
                divided,
                run_.bucket_bytes,
                run_.max_group_rows,
            )
        )
        return _finish_verdicts(scratch, finish, name, tables)

    return where, run


def _resolve(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
    plan, args = loaded.plan, task.args
    name = args["node"]
    where = address("resolve", plan.fingerprints[name], args["round"], args["final"], args["files"])

    def run(scratch: Path, finish: Finish) -> dict[str, Any]:
        stage: Any = plan.graph.nodes[name].stage
        tables = [read_table(store, file) for file in args["files"]]
        resolved = stage.resolve(tables, args["round"], args["final"])
        return _finish_verdicts(scratch, finish, name, [resolved])

    return where, run


VERDICTS_FILE = "verdicts.arrow"


def _finish_verdicts(scratch: Path, finish: Finish, name: str, tables: list[pa.Table]) -> dict[str, Any]:
    files = {VERDICTS_FILE: exchange.write_verdicts(scratch / VERDICTS_FILE, tables)}
    return finish(scratch, files, {"node": name, "books": Books(0).data})


# --- whole nodes ------------------------------------------------------------------------------------


def published(partition: int, file: str) -> str:
    """The name of a partition's file beside those of all others.

    >>> published(3, "shard.arrow")
    '00003-shard.arrow'
    """
    return f"{partition:05d}-{file}"


def _commit(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
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
        opened = loaded.opener(name, _sides(store, plan, name, args["sides"]))
        plan.graph.nodes[name].stage.commit(shards, out, opened)  # type: ignore[attr-defined]
        made = sorted(p for p in out.rglob("*") if p.is_file())
        files = {str(p.relative_to(scratch)): file_written(p) for p in made}
        return finish(scratch, files, {"node": name, "books": Books(0).data})

    return where, run


def _collect(store: Store, _: Loaded, task: Task) -> tuple[str, Run]:
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


_KINDS: Mapping[str, Callable[[Store, Loaded, Task], tuple[str, Run]]] = {
    "level": _level,
    "emit": _emit,
    "reduce": _reduce,
    "resolve": _resolve,
    "commit": _commit,
    "collect": _collect,
}
