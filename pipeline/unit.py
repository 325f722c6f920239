"""One level of one partition: rows in from a source or from stored files, through the level's steps, and out.

Map, expand and sink stages are called here, and a Global stage's `emit` (round 0) and `annotate`; what they say of
rows, settle.py settles. Batches are pushed from step to step; a step with several inputs in this unit takes them one
after the other, so that what it sees does not depend on the batch size.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline import contract, exchange
from pipeline.arrange import Placing, arranged_rows, check_places
from pipeline.books import check_unit
from pipeline.checkpoint import file_written
from pipeline.errors import StageError
from pipeline.graph import Edge, Node, overlay
from pipeline.identity import Identity
from pipeline.io.arrow import STORED, TableWriter, Written, bounded, read_batches
from pipeline.io.store import Store
from pipeline.ledger import FATES_FILE, Ledger
from pipeline.plan import Entry, Plan, Step
from pipeline.quarantine import Failure, Guard
from pipeline.rows import chosen, with_nulls
from pipeline.settle import Settler
from pipeline.spool import Spool
from pipeline.stage import Damage

_ENTRIES = ("read", "verdict", "arrange")  # actions that bring rows into a unit by themselves


class UnitInput(NamedTuple):
    """What a level unit starts from."""

    level: int
    source: str
    split: str
    stored: Mapping[Entry, str]  # file in the store for each entry
    verdicts: Mapping[str, pa.Table]  # for each Global node of this level, about this partition
    failed: Mapping[
        str, Sequence[Failure]
    ]  # their rows that failed in a later round, by row of the partition
    resources: Callable[[str], Any]  # opened resource of a node
    digest: str = ""  # of the partition's input; where rows were arranged, the unit that says how


class LevelUnit:
    """Runs one unit into a scratch folder. Use once."""

    def __init__(self, plan: Plan, given: UnitInput, store: Store, scratch: Path, guard: Guard) -> None:
        self.plan, self.given, self.store, self.scratch = plan, given, store, scratch
        self.nodes = plan.graph.nodes
        self.steps = plan.steps_for(given.level, given.source)
        self.ledger = Ledger(given.source, plan.run.samples, scratch)
        self.settler = Settler(plan, self.ledger, guard, self._send)
        self.files: dict[str, Written] = {}
        self.emitted: dict[str, dict[str, Any]] = {}
        self.sinks: dict[str, dict[str, Any]] = {}
        self._edges = self._active_edges()
        self._spools: dict[tuple[str, int], Spool] = {}
        self._writers: dict[Entry, TableWriter] = {}
        self._emits: dict[str, list[pa.Table]] = {}
        self._input_schema = functools.cache(plan.graph.input_schema)

    # --- wiring ---------------------------------------------------------------------------------

    def _active_edges(self) -> dict[str, list[Edge]]:
        """Inputs of each step that this source's rows can come through."""
        reach = self.plan.graph.reach[self.given.source]
        return {
            step.node: [e for e in self.nodes[step.node].inputs if e.node in reach]
            for step in self.steps
            if step.action not in _ENTRIES
        }

    def _stores(self, entry: Entry) -> bool:
        return self.plan.stored.get(entry) == self.given.level

    def run(self) -> None:
        """Everything: feed the level, finish each step in order, close the books."""
        try:
            self._run()
        except BaseException:
            open_files: list[TableWriter | Spool | Ledger] = [self.ledger, *self._writers.values()]
            for file in [*open_files, *self._spools.values()]:
                file.abandon()
            raise

    def _run(self) -> None:
        for step in self.steps:
            if step.action == "read":
                self._read(self.nodes[step.node])
            elif step.action == "verdict":
                self._verdict(self.nodes[step.node])
            elif step.action == "arrange":
                self._arrange(self.nodes[step.node])
        for entry in self.plan.levels[self.given.level].entries:
            if entry.port != "in" and entry in self.given.stored:
                self._replay(entry)
        for step in self.steps:
            self._finish(step)
        self._close()

    def _replay(self, entry: Entry) -> None:
        for batch in self._stored_batches(entry):
            self._send(entry.node, entry.port, batch, stored=True)

    def _stored_batches(self, entry: Entry) -> Iterator[pa.RecordBatch]:
        run = self.plan.run
        return bounded(read_batches(self.store, self.given.stored[entry]), run.batch_rows, run.batch_bytes)

    def _send(self, node: str, port: str, batch: pa.RecordBatch, *, stored: bool = False) -> None:
        """Hand rows to every step of this level that reads the port, and to the file that later levels read."""
        entry = Entry(node, port)
        if not stored and self._stores(entry):
            self._writer(entry, batch.schema).write(batch)
        for step in self.steps:
            for place, edge in enumerate(self._edges.get(step.node, ())):
                if (edge.node, edge.port) == (node, port) and step.action not in _ENTRIES:
                    self._receive(step, place, edge, batch)

    def _writer(self, entry: Entry, schema: pa.Schema) -> TableWriter:
        if entry not in self._writers:
            options = STORED[self.plan.run.store_compression]
            self._writers[entry] = TableWriter(self.scratch / entry.file, schema, options)
        return self._writers[entry]

    def _receive(self, step: Step, place: int, edge: Edge, batch: pa.RecordBatch) -> None:
        if edge.where:
            batch = batch.filter(chosen(edge, batch))
        if len(self.nodes[step.node].inputs) > 1:
            batch = with_nulls(batch, self._input_schema(step.node))
        if batch.num_rows == 0:
            return
        self.ledger.came(self.nodes[step.node], batch)
        if step.action in ("write", "place") or len(self._edges[step.node]) > 1:
            path = self.scratch / f"{step.node}.{place}.spool"
            self._spools.setdefault((step.node, place), Spool(path)).add(batch)
        else:
            self._process(step, batch)

    def _finish(self, step: Step) -> None:
        """All input of a step has arrived: work through what waited."""
        waiting = [self._spools[key] for key in sorted(self._spools) if key[0] == step.node]
        if step.action == "write":
            self._write(self.nodes[step.node], waiting)
            return
        if step.action == "place":
            self._place(self.nodes[step.node], waiting)
            return
        for spool in waiting:
            for batch in spool:
                self._process(step, batch)

    def _process(self, step: Step, batch: pa.RecordBatch) -> None:
        node = self.nodes[step.node]
        {"annotate": self._annotate, "expand": self._expand, "gather": self._gather}[step.action](node, batch)

    # --- sources --------------------------------------------------------------------------------

    def _read(self, node: Node) -> None:
        identity = Identity(node.name)
        resource = self.given.resources(node.name)
        batches = iter(node.stage.read(self.given.split, resource))  # type: ignore[attr-defined]
        while True:
            with self.settler.timed(node.name):
                item = next(batches, None)
                if isinstance(item, pa.RecordBatch):
                    contract.check_columns(
                        node, dict(zip(item.schema.names, item.columns, strict=True)), item.num_rows
                    )
                    item = identity.complete(item, overlay((), node.stage))
            if item is None:
                return
            if isinstance(item, Damage):
                self.ledger.damaged(node, item)
                continue
            for batch in bounded(iter([item]), self.plan.run.batch_rows, self.plan.run.batch_bytes):
                self.ledger.read(node, batch)
                self.settler.keep(node, batch)

    # --- arranging ------------------------------------------------------------------------------

    def _place(self, node: Node, waiting: list[Spool]) -> None:
        """Put rows away in the order of an arranging node."""
        resource = self.given.resources(node.name)
        stage: Any = node.stage
        placing = Placing(node.name, self.scratch, self.plan.run)

        def call(part: pa.RecordBatch, _: int) -> pa.RecordBatch:
            with self.settler.timed(node.name):
                placed = stage.place(part, resource)
            check_places(node.name, placed, part.num_rows)
            return placed

        for batch in (batch for spool in waiting for batch in spool):
            for _, part, placed in self.settler.isolated(node, batch, call):
                placing.add(part, placed)
                self.ledger.gathered(node, part)
        self.files |= placing.close()

    def _arrange(self, node: Node) -> None:
        """Take the rows of this partition from all those that were put away."""
        run = self.plan.run
        for batch in bounded(
            arranged_rows(self.store, node.name, self.given.digest, self.given.split),
            run.batch_rows,
            run.batch_bytes,
        ):
            self.ledger.arranged(node, batch)
            self.settler.keep(node, batch)

    # --- map, expand and global -----------------------------------------------------------------

    def _annotate(self, node: Node, batch: pa.RecordBatch) -> None:
        resource = self.given.resources(node.name)
        stage: Any = node.stage
        self.settler.mark(node, batch, lambda part, _: stage.annotate(part, resource))

    def _verdict(self, node: Node) -> None:
        """A Global node's second pass over the rows it gathered."""
        verdicts = self.given.verdicts[node.name]
        base = 0
        entry = Entry(node.name, "in")
        if entry not in self.given.stored:
            return
        for batch in self._stored_batches(entry):
            self.ledger.resumed(node, batch)
            for at, run in self._sound_runs(node, batch, base):
                self._judge(node, run, at, verdicts)
            base += batch.num_rows

    def _sound_runs(
        self, node: Node, batch: pa.RecordBatch, base: int
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The batch without rows that failed in a later round, in runs of neighbours; those are set aside."""
        start = 0
        for failure in self.given.failed.get(node.name, ()):
            row = failure.row - base
            if 0 <= row < batch.num_rows:
                self.ledger.failed(node, batch.slice(row, 1), failure)
                if row > start:
                    yield base + start, batch.slice(start, row - start)
                start = row + 1
        if start < batch.num_rows:
            yield base + start, batch.slice(start)

    def _judge(self, node: Node, batch: pa.RecordBatch, at: int, verdicts: pa.Table) -> None:
        """Annotate rows of which the first is row `at` of what was gathered."""
        stage: Any = node.stage

        def annotate(part: pa.RecordBatch, start: int) -> Any:
            return stage.annotate(part, exchange.rows_between(verdicts, at + start, part.num_rows))

        self.settler.mark(node, batch, annotate)

    def _gather(self, node: Node, batch: pa.RecordBatch) -> None:
        resource = self.given.resources(node.name)

        def call(part: pa.RecordBatch, _: int) -> Any:
            with self.settler.timed(node.name):
                table = node.stage.emit(part, resource, 0, _no_verdicts())  # type: ignore[attr-defined]
            exchange.check_emitted(node.name, table, part.num_rows)
            return table

        writer = self._writer(Entry(node.name, "in"), batch.schema)
        for _, part, table in self.settler.isolated(node, batch, call):
            self._emits.setdefault(node.name, []).append(exchange.moved(table, writer.rows))
            writer.write(part)
            self.ledger.gathered(node, part)

    def _expand(self, node: Node, batch: pa.RecordBatch) -> None:
        resource = self.given.resources(node.name)
        stage: Any = node.stage
        self.settler.expand(node, batch, lambda part: stage.expand(part, resource))

    # --- sinks and the end ----------------------------------------------------------------------

    def _write(self, node: Node, waiting: list[Spool]) -> None:
        folder = self.scratch / node.name
        folder.mkdir()

        def rows() -> Iterator[pa.RecordBatch]:
            for spool in waiting:
                for batch in spool:
                    self.ledger.written(node, batch)
                    yield batch

        resource = self.given.resources(node.name)
        with self.settler.timed(node.name):
            info = node.stage.write(rows(), folder, resource)  # type: ignore[attr-defined]
        account = self.ledger.books.account(node.name, self.given.source)
        if account["written"] != account["in"]:
            raise StageError(
                f"node '{node.name}': write() took {account['written']} of {account['in']} rows; "
                "it must take them all"
            )
        for name in info.files:
            self.files[f"{node.name}/{name}"] = file_written(folder / name)
        self.sinks[node.name] = {"files": list(info.files), "rows": info.rows, "meta": dict(info.meta)}

    def _close(self) -> None:
        for entry, writer in self._writers.items():
            self.files[entry.file] = writer.close()
        for name, tables in self._emits.items():
            if not any(map(len, tables)):
                continue
            file = emit_file(name, 0)
            written, sizes = exchange.write_emitted(self.scratch / file, tables, self.plan.run.buckets)
            self.files[file] = written
            self.emitted[name] = {"buckets": sizes}
        self.files[FATES_FILE] = self.ledger.close()
        check_unit(self.ledger.books, f"level {self.given.level}, {self.given.split}")


def emit_file(node: str, round: int) -> str:
    """The file of a Global node's emitted rows."""
    return f"{node}.emit{round}.arrow"


def _no_verdicts() -> pa.Table:
    return pa.table({"row": pa.array([], pa.int64())})
