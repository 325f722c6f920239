"""The fate of every document: one small row for each thing that happened to it.

Each unit writes `fates.arrow`; together they answer `corpusmill trace` for any document id, source record or
piece of a shard. Events: read, found (benchmark items in it), rejected, marked (a verdict that `annotate_only` or
the audit overruled), edited, expanded (a new document; `parent` is set), arranged (it came into another partition),
failed, written.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.books import EXCERPT_CHARS
from pipeline.io.arrow import TableWriter

FATES = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("node", pa.string()),
        ("event", pa.string()),
        ("reason", pa.string()),
        ("evidence", pa.large_string()),  # JSON
        ("parent", pa.string()),
        ("excerpt", pa.large_string()),
    ]
)
HELD_BYTES = 1 << 20  # of fates that wait to be written together


class FateLog:
    """Appends fates to a unit's file; `flush` before it is closed."""

    def __init__(self, writer: TableWriter, source: str) -> None:
        self._writer = writer
        self._source = source
        self._held: list[pa.RecordBatch] = []
        self._size = 0

    def add(
        self,
        ids: pa.Array,
        node: str,
        event: str,
        *,
        reason: pa.Array | None = None,
        evidence: pa.Array | None = None,
        parent: pa.Array | None = None,
        text: pa.Array | None = None,
    ) -> None:
        """One event for each id."""
        rows = len(ids)
        if rows == 0:
            return
        excerpt = None if text is None else pc.utf8_slice_codeunits(text, 0, EXCERPT_CHARS)
        values = {
            "id": ids,
            "source": pa.repeat(self._source, rows),
            "node": pa.repeat(node, rows),
            "event": pa.repeat(event, rows),
            "reason": reason,
            "evidence": evidence,
            "parent": parent,
            "excerpt": excerpt,
        }
        arrays = [
            pa.nulls(rows, f.type) if values[f.name] is None else values[f.name].cast(f.type) for f in FATES
        ]
        self._held.append(pa.RecordBatch.from_arrays(arrays, schema=FATES))
        self._size += self._held[-1].nbytes
        if self._size >= HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held: a file of many small batches costs more to write than what is in them."""
        if self._held:
            self._writer.write(pa.concat_batches(self._held))
            self._held, self._size = [], 0


def audit_overlap(tables: Iterator[pa.Table], nodes: Iterable[str]) -> dict[str, Any]:
    """What each rule alone would remove, from the documents that an audit let through.

    Args:
        tables: fates of all units.
        nodes: those whose marks come from the audit.

    Returns:
        `documents` that any node marked; `marked`: how many each would have rejected; `only`: those that no
        other node would have.
    """
    wanted = pa.array(sorted(nodes), pa.string())
    by_document: dict[str, set[str]] = {}
    for table in tables:
        mask = pc.and_(pc.equal(table["event"], "marked"), pc.is_in(table["node"], wanted))
        found = table.filter(mask).select(["id", "node"]).to_pydict()
        for name, node in zip(found["id"], found["node"], strict=True):
            by_document.setdefault(name, set()).add(node)
    counts = Counter(node for marks in by_document.values() for node in marks)
    alone = Counter(next(iter(marks)) for marks in by_document.values() if len(marks) == 1)
    return {
        "documents": len(by_document),
        "marked": dict(sorted(counts.items())),
        "only": dict(sorted(alone.items())),
    }
