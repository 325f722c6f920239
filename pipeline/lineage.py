"""The fate of every document: one small row for each thing that happened to it.

Each unit writes `fates.arrow`; together they answer `corpusmill trace` for any document id, source record or
piece of a shard. Events: read, rejected, marked (a verdict that `annotate_only` or the audit overruled),
edited, expanded (a new document; `parent` is set), failed, written.
"""

from collections.abc import Iterator
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


class FateLog:
    """Appends fates to a unit's file."""

    def __init__(self, writer: TableWriter, source: str) -> None:
        self._writer = writer
        self._source = source

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
        self._writer.write(pa.RecordBatch.from_arrays(arrays, schema=FATES))


def events_of(ids: set[str], tables: Iterator[pa.Table]) -> list[dict[str, Any]]:
    """All fates of some documents, in the order of the tables."""
    wanted = pa.array(sorted(ids), pa.string())
    found: list[dict[str, Any]] = []
    for table in tables:
        mask = pc.or_(pc.is_in(table["id"], wanted), pc.is_in(table["parent"], wanted))
        found += table.filter(mask).to_pylist()
    return found
