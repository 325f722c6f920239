"""What becomes of rows at a node of a unit: set aside, rejected, marked, edited, made, kept; counted as it happens.

A stage says; this settles. It calls stages through a guard, so that a row they fail on is set aside alone, holds what
they return against what they declared, and hands rows on by their port.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import contract
from pipeline.graph import Node, overlay
from pipeline.identity import Identity
from pipeline.io.arrow import bounded
from pipeline.ledger import Ledger
from pipeline.plan import Plan
from pipeline.quarantine import Failure, Guard, isolate
from pipeline.rows import chosen, with_columns, with_nulls
from pipeline.schema import CONTAMINATION, EVIDENCE, REJECTED_BY, hash_fractions
from pipeline.stage import Expansion, Marks

Send = Callable[[str, str, pa.RecordBatch], None]  # node, port, rows


class Settler:
    """Settles what stages say of the rows of one unit.

    Args:
        plan: of the run.
        ledger: counts and fates of the unit.
        guard: what stages may cost.
        send: takes the rows of a node's port.
    """

    def __init__(self, plan: Plan, ledger: Ledger, guard: Guard, send: Send) -> None:
        self.plan, self.ledger, self.guard, self._send = plan, ledger, guard, send
        self.cpu: dict[str, float] = {}  # seconds of each node's own calls

    @contextmanager
    def timed(self, node: str) -> Iterator[None]:
        """Count the time of a node's own calls."""
        started = time.thread_time()
        try:
            yield
        finally:
            self.cpu[node] = self.cpu.get(node, 0.0) + time.thread_time() - started

    def isolated(
        self, node: Node, batch: pa.RecordBatch, call: Callable[[pa.RecordBatch, int], Any]
    ) -> Iterator[tuple[int, pa.RecordBatch, Any]]:
        """Results of a stage's call, without the rows it fails on; those are set aside."""
        self.guard.node = node.name
        for item in isolate(batch, call, self.guard):
            if isinstance(item, Failure):
                self.ledger.failed(node, batch.slice(item.row, 1), item)
            else:
                yield item

    def mark(
        self, node: Node, batch: pa.RecordBatch, annotate: Callable[[pa.RecordBatch, int], Marks]
    ) -> None:
        """Have rows annotated, and settle what was said of each."""

        def call(part: pa.RecordBatch, start: int) -> Marks:
            with self.timed(node.name):
                marks = annotate(part, start)
            contract.check_marks(node, marks, part.num_rows)
            return marks

        for _, part, marks in self.isolated(node, batch, call):
            self.settle(node, part, marks.columns, marks.reject, marks.evidence)

    def settle(
        self,
        node: Node,
        batch: pa.RecordBatch,
        columns: Mapping[str, pa.Array],
        reject: pa.Array | None,
        evidence: pa.Array | None,
    ) -> None:
        """Rows with their marks: kept ones go on, rejected ones go to their port, with the reason."""
        if CONTAMINATION.name in columns:
            self.ledger.leaked(node, batch, columns[CONTAMINATION.name])
        batch = with_columns(batch, columns, overlay(batch.schema, node.stage))
        if reject is None and evidence is None:
            self.ledger.passed(node, batch.num_rows)
            self.keep(node, batch)
            return
        reject = pa.nulls(batch.num_rows, pa.string()) if reject is None else reject
        noted = pc.and_(self._spared(node, batch), pc.is_valid(reject))
        if pc.any(noted).as_py():
            self.ledger.marked(node, batch, noted, reject, evidence)
        gone = pc.and_(pc.is_valid(reject), pc.invert(noted))
        edited = None if evidence is None else pc.and_(pc.is_null(reject), pc.is_valid(evidence))
        if edited is not None and pc.any(edited).as_py():
            self.ledger.edited(node, batch, edited, evidence)
        if not pc.any(gone).as_py():
            self.ledger.passed(node, batch.num_rows)
            self.keep(node, batch)
            return
        self._reject(node, batch, reject, gone, evidence)
        kept = batch.filter(pc.invert(gone))
        self.ledger.passed(node, kept.num_rows)
        self.keep(node, kept)

    def _spared(self, node: Node, batch: pa.RecordBatch) -> pa.Array:
        """Rows whose verdict is only noted: all with `annotate_only`, a share chosen by hash in an audit."""
        audit = self.plan.run.audit
        if node.annotate_only or audit is None:
            return pa.repeat(node.annotate_only, batch.num_rows)
        return pa.array(hash_fractions(batch.column("id_hash"), f"{self.plan.run.seed}/audit") < audit)

    def _reject(
        self, node: Node, batch: pa.RecordBatch, reject: pa.Array, gone: pa.Array, told: pa.Array | None
    ) -> None:
        """Take the rows of `gone` out, with what the stage told of them."""
        batch, told = batch.filter(gone), None if told is None else told.filter(gone)
        evidence = contract.evidence_json(told, batch.num_rows)
        named = self.ledger.rejected(node, batch, reject.filter(gone), evidence, told)
        schema = self.plan.graph.schemas[node.name, "rejected"]
        verdicts = {REJECTED_BY.name: named, EVIDENCE.name: evidence}
        self._send(node.name, "rejected", with_columns(batch, verdicts, schema))

    def keep(self, node: Node, batch: pa.RecordBatch) -> None:
        """Rows go on."""
        self.ledger.kept(node, batch)
        if batch.num_rows:
            self._count_unread(node, batch)
            self._send(node.name, "kept", batch)

    def _count_unread(self, node: Node, batch: pa.RecordBatch) -> None:
        """Rows that go nowhere because every reader of the node chooses by value, and none chose them."""
        edges = [e for _, e in self.plan.graph.readers(node.name) if e.port == "kept"]
        if edges and all(e.where for e in edges):
            read = functools.reduce(pc.or_, (chosen(e, batch) for e in edges))
            self.ledger.unread(node, pc.sum(pc.invert(read)).as_py() or 0)

    def expand(
        self, node: Node, batch: pa.RecordBatch, expand: Callable[[pa.RecordBatch], Expansion]
    ) -> None:
        """Have rows expanded; children go on, with ids of their own where they have siblings."""

        def call(part: pa.RecordBatch, _: int) -> Expansion:
            with self.timed(node.name):
                made = expand(part)
            contract.check_expansion(node, made, part.num_rows)
            return made

        for _, part, made in self.isolated(node, batch, call):
            if made.reject is not None and made.reject.null_count < part.num_rows:
                whole = with_nulls(part, overlay(part.schema, node.stage))
                self._reject(node, whole, made.reject, pc.is_valid(made.reject), made.evidence)
            # what is replaced is not copied: a long parent's text for each of its pieces would be quadratic
            inherited = [
                n for n in part.schema.names if n not in made.columns and n not in node.stage.drops()
            ]
            children, ids, parents = Identity.children(part.select(inherited), made.parents)
            passed = len(pc.unique(made.parents))
            children = with_columns(children, made.columns, overlay(part.schema, node.stage))
            self.ledger.passed(node, passed)
            self.ledger.expanded(node, children.num_rows - passed, ids, parents)
            for piece in bounded(iter([children]), self.plan.run.batch_rows, self.plan.run.batch_bytes):
                self.keep(node, piece)
