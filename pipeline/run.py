"""What a worker does: one task, from its specification to its commit record.

Tasks are small and plain (names, addresses, numbers): data never passes through the scheduler. Kinds:

    level    one level of one partition               -> stored ports, emitted rows, sink files, fates
    emit     round 1.. of a Global node, one partition -> emitted rows
    reduce   a range of buckets of one round           -> verdicts
    resolve  some reductions merged                    -> verdicts
    bounds   where the partitions begin that an arranging node makes
    star     a range of linked documents, one step     -> links for the next step, or verdicts
    commit   a sink's files of all partitions          -> its manifest
    collect  a node's stored rows of all partitions    -> one folder, for a side input
"""

import os
import resource
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline import exchange
from pipeline.arrange import bounds
from pipeline.checkpoint import commit, committed, timing_of, unit_folder
from pipeline.errors import PipelineError
from pipeline.fingerprint import address
from pipeline.io.store import Store
from pipeline.plan import Entry, Plan
from pipeline.quarantine import Failure, Guard, Journal
from pipeline.rounds import emit, reduce, resolve, star
from pipeline.tasks import Done, Finish, Loaded, Run, Task, light, load_plan, sides_of, verdicts_of
from pipeline.unit import LevelUnit, UnitInput
from pipeline.whole import collect, commit_sink


def work(task: Task) -> Done:
    """Run one task, or find that it has been done."""
    store = Store(task.store)
    loaded = load_plan(task.store, task.plan)
    started, cpu = time.time(), time.process_time()
    address_, run = _KINDS[task.kind](store, loaded, task)
    if (record := committed(store, address_)) is not None:
        return Done(address_, True, light(record), timing_of(store, address_))
    timing = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}

    def finish(scratch: Path, files: Mapping[str, Any], record: dict[str, Any]) -> dict[str, Any]:
        timing["seconds"] = time.time() - started
        timing["cpu_s"] = time.process_time() - cpu
        timing["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        timing["node_cpu_s"] = record.pop("node_cpu_s", {})
        return commit(store, address_, scratch, files, {"kind": task.kind, **record}, timing)

    with store.scratch() as scratch, _named(task):
        record = run(scratch, finish)
    return Done(address_, False, light(record), timing)


@contextmanager
def _named(task: Task) -> Iterator[None]:
    """Say in an error which task it was."""
    try:
        yield
    except PipelineError as error:
        where = " ".join(f"{k} {task.args[k]}" for k in ("level", "node", "split") if k in task.args)
        error.add_note(f"in the {task.kind} task of {where}")
        raise


def level_address(plan: Plan, args: Mapping[str, Any], verdicts: Mapping[str, str]) -> str:
    """A level unit's address; `verdicts` holds a digest for each of its Global nodes."""
    return address(
        "level",
        plan.level_part(args["level"], args["source"]),
        args["label"] if args["level"] == 0 or not args["parents"] else "",
        args["digest"],
        args["parents"],
        args["sides"],
        args["failed"],
        dict(verdicts),
    )


def _level(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
    plan, args = loaded.plan, task.args
    verdicts = {node: verdicts_of(store, name, args["partition"]) for node, name in args["verdicts"].items()}
    digests = {node: exchange.table_digest(table) for node, table in verdicts.items()}
    where = level_address(plan, args, digests)

    def resources(node: str) -> Any:
        return loaded.opener(node, sides_of(store, plan, node, args["sides"]))

    def run(scratch: Path, finish: Finish) -> dict[str, Any]:
        stored = {
            Entry(*key.split(".")): f"{unit_folder(parent)}/{key}.arrow"
            for key, parent in args["parents"].items()
        }
        failed = {node: [Failure(*f) for f in found] for node, found in args["failed"].items()}
        given = UnitInput(
            args["level"],
            args["source"],
            args["split"],
            stored,
            verdicts,
            failed,
            resources,
            args["digest"],
        )
        with Journal(store, where) as journal:
            unit = LevelUnit(plan, given, store, scratch, Guard(journal, plan.run.watchdog_s, task.hard))
            unit.run()
            record = {
                "level": args["level"],
                "source": args["source"],
                "split": args["split"],
                "books": unit.ledger.books.data,
                "emitted": unit.emitted,
                "sinks": unit.sinks,
                "node_cpu_s": unit.settler.cpu,
            }
            return finish(scratch, unit.files, record)

    return where, run


_KINDS: Mapping[str, Callable[[Store, Loaded, Task], tuple[str, Run]]] = {
    "level": _level,
    "emit": emit,
    "reduce": reduce,
    "resolve": resolve,
    "bounds": bounds,
    "star": star,
    "commit": commit_sink,
    "collect": collect,
}
