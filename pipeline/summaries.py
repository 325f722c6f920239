"""Tables that sinks tell of what they wrote: checked, kept in the report, as text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import StageError
from pipeline.stage import Summary
from pipeline.terminal import aligned, printable

Cell = str | int | float


def told(node: str, tables: Sequence[Summary]) -> list[dict[str, Any]]:
    """A sink's tables as plain JSON.

    Raises:
        StageError: a row has more or fewer cells than there are columns, a cell is no text and no finite number, or
            the column to be drawn is not there.
    """
    for table in tables:
        where = f"node '{node}': summary '{table.title}'"
        for row in table.rows:
            if len(row) != len(table.columns):
                raise StageError(f"{where}: a row has {len(row)} cells for {len(table.columns)} columns")
            for cell in row:
                if isinstance(cell, bool) or not isinstance(cell, str | int | float):
                    raise StageError(f"{where}: {cell!r} is no text and no number")
                if isinstance(cell, float) and not math.isfinite(cell):
                    raise StageError(f"{where}: {cell!r} is not finite")
        if table.bar is not None and table.bar not in table.columns:
            raise StageError(f"{where}: draws '{table.bar}', which is not among its columns")
    return [
        {
            "title": t.title,
            "columns": list(t.columns),
            "rows": [list(row) for row in t.rows],
            "bar": t.bar,
        }
        for t in tables
    ]


def cell_text(cell: Cell) -> str:
    """A cell for a person.

    >>> [cell_text(c) for c in ("web", 12345, 1.5, 1234.5678, 0.000123)]
    ['web', '12,345', '1.50', '1,234.57', '0.000123']
    """
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.2f}" if abs(cell) >= 1 else f"{cell:.3g}"


def bar_widths(table: Mapping[str, Any], most: float) -> list[float] | None:
    """Widths of the bars of a table's rows, the longest `most`; None where none are asked for."""
    if table["bar"] is None:
        return None
    at = table["columns"].index(table["bar"])
    values = [max(0.0, float(row[at])) if not isinstance(row[at], str) else 0.0 for row in table["rows"]]
    longest = max(values, default=0) or 1
    return [value * most / longest for value in values]


def summaries_text(report: Mapping[str, Any]) -> str:
    """Every table under its node's name; empty where no sink told one."""
    blocks = []
    summaries = report.get("summaries", {})  # a report of an earlier release has none
    for node in (n["node"] for n in report["nodes"] if n["node"] in summaries):
        for table in summaries[node]:
            rows = [[printable(cell_text(cell)) for cell in row] for row in table["rows"]]
            lines = aligned([[*table["columns"], ""], *([*row, ""] for row in rows)])
            blocks.append("\n".join([f"{node}: {table['title']}", *(f"  {line}" for line in lines)]))
    return "\n\n".join(blocks)
