"""The tasks of an exchange: a later round's emission, reductions, and their merging."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import exchange
from pipeline.books import Books
from pipeline.checkpoint import unit_folder
from pipeline.components import Stars, components, distinct, large_star, read_groups, small_star, spread
from pipeline.fingerprint import address
from pipeline.graph import Node
from pipeline.io.arrow import bounded, read_batches, read_table
from pipeline.io.store import Store
from pipeline.plan import Entry
from pipeline.quarantine import Failure, Guard, Journal, isolate
from pipeline.regroup import reduce_range
from pipeline.tasks import Finish, Loaded, Run, Task, sides_of, verdicts_of
from pipeline.unit import emit_file

VERDICTS_FILE = "verdicts.arrow"
PAIRS_FILE = "pairs.arrow"


def emit(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
    """Round 1 and later of one partition: the stage sees its gathered rows again, with the verdicts so far."""
    plan, args = loaded.plan, task.args
    name, round = args["node"], args["round"]
    node = plan.graph.nodes[name]
    verdicts = verdicts_of(store, args["verdicts"], args["partition"])
    where = address(
        "emit", plan.fingerprints[name], round, args["parent"], args["sides"], exchange.table_digest(verdicts)
    )

    def run(scratch: Path, finish: Finish) -> dict[str, Any]:
        opened = loaded.opener(name, sides_of(store, plan, name, args["sides"]))
        stored = read_batches(store, f"{unit_folder(args['parent'])}/{Entry(name, 'in').file}")
        with Journal(store, where) as journal:
            guard = Guard(journal, plan.run.watchdog_s, task.hard)
            guard.node = name
            tables: list[pa.Table] = []
            failed: list[Failure] = []
            base = 0
            for batch in bounded(stored, plan.run.batch_rows, plan.run.batch_bytes):
                for item in _emitted(node, opened, round, batch, base, verdicts, guard):
                    (failed if isinstance(item, Failure) else tables).append(item)
                base += batch.num_rows
            files, emitted = {}, {}
            if any(map(len, tables)):
                file = emit_file(name, round)
                files[file], sizes = exchange.write_emitted(scratch / file, tables, plan.run.buckets)
                emitted[name] = {"buckets": sizes}
            record = {
                "node": name,
                "emitted": emitted,
                "failed": [list(f) for f in failed],
                "books": Books(0).data,
            }
            return finish(scratch, files, record)

    return where, run


def _emitted(
    node: Node, opened: Any, round: int, batch: pa.RecordBatch, base: int, verdicts: pa.Table, guard: Guard
) -> Iterator[pa.Table | Failure]:
    """What a batch that begins at row `base` of its partition emits; rows that the stage fails on are Failures.

    Such a row was gathered, so its verdict is awaited: the level that resumes it sets it aside.
    """

    def call(part: pa.RecordBatch, start: int) -> pa.Table:
        mine = exchange.rows_between(verdicts, base + start, part.num_rows)
        table = node.stage.emit(part, opened, round, mine)  # type: ignore[attr-defined]
        exchange.check_emitted(node.name, table, part.num_rows)
        return table

    for item in isolate(batch, call, guard):
        if isinstance(item, Failure):
            yield item._replace(row=base + item.row)
        else:
            start, _, table = item
            yield exchange.moved(table, base + start)


def reduce(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
    """A range of buckets of one round."""
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
            reduce_range(
                lambda: exchange.read_range(store, files, low, high),
                lambda bucket: stage.reduce(bucket, round),
                stage.order(round),
                divided,
                run_.bucket_bytes,
                run_.max_group_rows,
                type(stage).singles,
            )
        )
        if tables and stage.links(round):
            tables = [components(pa.concat_tables(tables))]
        return _finish_verdicts(scratch, finish, name, tables)

    return where, run


def resolve(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
    """Some reductions merged into one."""
    plan, args = loaded.plan, task.args
    name = args["node"]
    where = address("resolve", plan.fingerprints[name], args["round"], args["final"], args["files"])

    def run(scratch: Path, finish: Finish) -> dict[str, Any]:
        stage: Any = plan.graph.nodes[name].stage
        tables = [read_table(store, file) for file in args["files"]]
        if stage.links(args["round"]):
            resolved = components(pa.concat_tables(tables))
        else:
            resolved = stage.resolve(tables, args["round"], args["final"])
        return _finish_verdicts(scratch, finish, name, [resolved])

    return where, run


def star(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
    """One step of a range of documents towards their groups; see components.py.

    `step` is `spread` (LINKS of some files, shown to both ends), `large`, `small`, or `read`, which ends it.
    """
    plan, args = loaded.plan, task.args
    name, step = args["node"], args["step"]
    run_ = plan.run
    where = address("star", name, step, args["listing"], args["range"], run_.buckets)

    def run(scratch: Path, finish: Finish) -> dict[str, Any]:
        files = store.read_json(args["listing"])["files"]
        if step == "spread":
            tables = [read_table(store, file) for file in files]
            made = [Stars(spread(*_columns(pa.concat_tables(tables))), 0, 0)]
        else:
            divided = scratch / "divided"
            divided.mkdir()
            made = list(
                reduce_range(
                    lambda: (table for _, table in exchange.read_buckets(store, files, *args["range"])),
                    {"large": large_star, "small": small_star, "read": read_groups}[step],
                    (),
                    divided,
                    run_.bucket_bytes,
                    run_.max_group_rows,
                    once=True,
                )
            )
        if step == "read":
            return _finish_verdicts(scratch, finish, name, [distinct(pa.concat_tables(made))])
        written, emitted = {}, {}
        pairs = [stars.pairs for stars in made]
        if any(map(len, pairs)):
            written[PAIRS_FILE], sizes = exchange.write_emitted(scratch / PAIRS_FILE, pairs, run_.buckets)
            emitted[name] = {"buckets": sizes}
        seen = [sum(s.links for s in made), sum(s.digest for s in made) % 2**64]
        record = {"node": name, "emitted": emitted, "seen": seen, "books": Books(0).data}
        return finish(scratch, written, record)

    return where, run


def _columns(links: pa.Table) -> list[Any]:
    return [links[field].to_numpy() for field in ("doc", "group")]


def _finish_verdicts(scratch: Path, finish: Finish, name: str, tables: list[pa.Table]) -> dict[str, Any]:
    files = {VERDICTS_FILE: exchange.write_verdicts(scratch / VERDICTS_FILE, tables)}
    return finish(scratch, files, {"node": name, "books": Books(0).data})
