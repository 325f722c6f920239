"""What a unit writes down while it works: counts in the books, and a fate for each document.

One method for each thing that can happen to rows, so that a count and its fate cannot part.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.books import Books, text_bytes
from pipeline.contract import evidence_json
from pipeline.graph import Node
from pipeline.io.arrow import TableWriter, Written
from pipeline.leaktrace import FOUND, told
from pipeline.lineage import FATES, FateLog
from pipeline.quarantine import Failure
from pipeline.schema import id_hashes
from pipeline.stage import Damage

FATES_FILE = "fates.arrow"


class Ledger:
    """The books and fates of one unit, all of whose documents come from one source."""

    def __init__(self, source: str, samples: int, scratch: Path) -> None:
        self.books = Books(samples)
        self._source = source
        self._writer = TableWriter(scratch / FATES_FILE, FATES)
        self._fates = FateLog(self._writer, source)

    def abandon(self) -> None:
        """The unit failed: let go of the file."""
        self._writer.abandon()

    def close(self) -> Written:
        """Finish the file of fates."""
        self._fates.flush()
        return self._writer.close()

    def _add(self, node: Node, counter: str, amount: int) -> None:
        self.books.add(node.name, self._source, counter, amount)

    # --- rows arrive --------------------------------------------------------------------------------

    def read(self, node: Node, batch: pa.RecordBatch) -> None:
        """A source gave rows."""
        self._add(node, "in", batch.num_rows)
        self._add(node, "passed", batch.num_rows)
        self._fates.add(batch.column("id"), node.name, "read")

    def damaged(self, node: Node, damage: Damage) -> None:
        """A source could not read something; it counts as one row that failed."""
        self._add(node, "in", 1)
        self.books.count(node.name, self._source, "failed", pa.array([damage.reason]))
        identifier = pa.array([f"{node.name}/{damage.file}#{damage.key}"])
        evidence = evidence_json(pa.array([{"offset": damage.offset, "detail": damage.detail}]), 1)
        self._fates.add(identifier, node.name, "failed", reason=pa.array([damage.reason]), evidence=evidence)
        sample = {"hash": id_hashes(identifier.to_pylist())[0].as_py().hex(), "id": identifier[0].as_py()}
        sample |= {"url": None, "excerpt": "", "evidence": evidence[0].as_py()}
        self.books.offer(node.name, damage.reason, sample)

    def came(self, node: Node, batch: pa.RecordBatch) -> None:
        """Rows reached a node."""
        self._add(node, "in", batch.num_rows)
        self._add(node, "bytes_in", text_bytes(batch))

    def gathered(self, node: Node, batch: pa.RecordBatch) -> None:
        """A Global node put rows away until their verdicts are known."""
        self._add(node, "gathered", batch.num_rows)

    def resumed(self, node: Node, batch: pa.RecordBatch) -> None:
        """It took them back."""
        self._add(node, "resumed", batch.num_rows)

    def arranged(self, node: Node, batch: pa.RecordBatch) -> None:
        """An arranging node took rows into this partition; where they were, another unit counted them."""
        self._add(node, "resumed", batch.num_rows)
        self._add(node, "passed", batch.num_rows)
        self._fates.add(batch.column("id"), node.name, "arranged")

    # --- what becomes of them -------------------------------------------------------------------------

    def leaked(self, node: Node, batch: pa.RecordBatch, leaks: pa.Array) -> None:
        """A stage said which benchmark items rows have; `batch` is as the stage saw it."""
        self.books.leaked(node.name, self._source, batch, leaks)
        said = told(text_of(batch), leaks)
        ids = batch.column("id").filter(said.is_valid())
        self._fates.add(ids, node.name, FOUND, evidence=said.drop_null())

    def failed(self, node: Node, row: pa.RecordBatch, failure: Failure) -> None:
        """A stage could not take a row."""
        self.books.count(node.name, self._source, "failed", pa.array([failure.error]))
        evidence = evidence_json(pa.array([{"traceback": failure.detail}]), 1)
        self.books.sample(node.name, pa.array([failure.error]), row, evidence)
        reason = pa.array([f"{node.name}.error"])
        ids = row.column("id")
        self._fates.add(ids, node.name, "failed", reason=reason, evidence=evidence, text=text_of(row))

    def marked(
        self, node: Node, batch: pa.RecordBatch, noted: pa.Array, reject: pa.Array, evidence: pa.Array | None
    ) -> None:
        """Verdicts that are noted and not carried out."""
        reasons = reject.filter(noted)
        self.books.count(node.name, self._source, "marked", reasons)
        told = None if evidence is None else pc.if_else(noted, evidence, pa.scalar(None, evidence.type))
        self.books.explain(node.name, self._source, node.stage, batch, told)
        self._fates.add(
            batch.column("id").filter(noted),
            node.name,
            "marked",
            reason=qualified(node, reasons),
            evidence=evidence_json(None if evidence is None else evidence.filter(noted), len(reasons)),
        )

    def edited(self, node: Node, batch: pa.RecordBatch, mask: pa.Array, evidence: pa.Array) -> None:
        """Rows that stay, but not as they were."""
        ids = batch.column("id").filter(mask)
        self._add(node, "edited", len(ids))
        self._fates.add(ids, node.name, "edited", evidence=evidence_json(evidence.filter(mask), len(ids)))

    def rejected(
        self,
        node: Node,
        batch: pa.RecordBatch,
        reasons: pa.Array,
        evidence: pa.Array,
        told: pa.Array | None,
    ) -> pa.Array:
        """Rows are taken out; `evidence` is JSON text, `told` the same as the stage gave it.

        Returns:
            `rejected_by`, one a row.
        """
        reasons = reasons.cast(pa.string())
        self.books.count(node.name, self._source, "rejected", reasons)
        self.books.explain(node.name, self._source, node.stage, batch, told)
        self.books.sample(node.name, reasons, batch, evidence)
        named = qualified(node, reasons)
        ids = batch.column("id")
        self._fates.add(ids, node.name, "rejected", reason=named, evidence=evidence, text=text_of(batch))
        return named

    def passed(self, node: Node, rows: int) -> None:
        """Rows that were neither rejected nor failed."""
        self._add(node, "passed", rows)

    def expanded(self, node: Node, made: int, ids: pa.Array, parents: pa.Array) -> None:
        """Rows beyond their parents' number, and the new documents among the children."""
        self._add(node, "made", made)
        self._fates.add(ids, node.name, "expanded", parent=parents)

    def kept(self, node: Node, batch: pa.RecordBatch) -> None:
        """Rows go on."""
        self._add(node, "kept", batch.num_rows)
        self._add(node, "bytes_kept", text_bytes(batch))
        if "token_count" in batch.schema.names:
            self._add(node, "tokens_kept", pc.sum(batch.column("token_count")).as_py() or 0)
        self.books.summarize(node.name, self._source, node.stage, batch)

    def unread(self, node: Node, rows: int) -> None:
        """Rows that no reader chose."""
        self._add(node, "unread", rows)

    def written(self, node: Node, batch: pa.RecordBatch) -> None:
        """A sink took rows."""
        self._add(node, "passed", batch.num_rows)
        self._add(node, "written", batch.num_rows)
        self._fates.add(batch.column("id"), node.name, "written")


def qualified(node: Node, reasons: pa.Array) -> pa.Array:
    """`<node>.<reason>` for each reason."""
    return pc.binary_join_element_wise(pa.scalar(node.name), reasons.cast(pa.string()), ".")


def text_of(batch: pa.RecordBatch) -> pa.Array | None:
    """The text column, where there is one."""
    return batch.column("text") if "text" in batch.schema.names else None
