"""A run's books as `report.json` (facts that a second run repeats) and `timings.json` (what it cost)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.books import COUNTERS
from pipeline.config import Config
from pipeline.drive import Outcome, Partition
from pipeline.plan import Plan

DUPLICATES = "duplicate"  # a reason that speaks of one
GROUPS = ("rejected", "marked", "failed", "sums")


def build_report(
    plan: Plan, config: Config, identifier: str, partitions: Sequence[Partition], outcome: Outcome
) -> dict[str, Any]:
    """Everything the report shows, as plain JSON with no time, host or path of this machine in it."""
    books = outcome.books.data
    nodes = [_node(plan, name, books["nodes"].get(name, {})) for name in plan.graph.order]
    return {
        "run": identifier,
        "name": config.model.run.name,
        "partitions": len(partitions),
        "sources": {n["node"]: n["total"]["kept"] for n in nodes if n["kind"] == "source"},
        "nodes": nodes,
        "samples": books["samples"],
        "duplicates": _reasons(nodes, lambda reason: DUPLICATES in reason),
        "contaminated": _reasons(nodes, lambda reason: "contaminated" in reason),
        "personal_data": _personal_data(nodes),
        "failed": {n["node"]: n["total"]["failed"] for n in nodes if n["total"]["failed"]},
    }


def _node(plan: Plan, name: str, sources: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    node = plan.graph.nodes[name]
    return {
        "node": name,
        "stage": node.stage_name,
        "kind": node.kind,
        "inputs": [str(e) for e in node.inputs],
        "level": plan.placed[name][1],
        "annotate_only": node.annotate_only,
        "total": total(sources.values()),
        "sources": sources,
    }


def total(accounts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A node's accounts of all sources, added up."""
    summed: dict[str, Any] = dict.fromkeys(COUNTERS, 0) | {group: {} for group in GROUPS}
    for account in accounts:
        for counter in COUNTERS:
            summed[counter] += account[counter]
        for group in GROUPS:
            for name, count in account[group].items():
                summed[group][name] = summed[group].get(name, 0) + count
    return summed


def _reasons(nodes: Sequence[Mapping[str, Any]], wanted: Any) -> dict[str, dict[str, int]]:
    found = {n["node"]: {r: c for r, c in n["total"]["rejected"].items() if wanted(r)} for n in nodes}
    return {node: reasons for node, reasons in found.items() if reasons}


def _personal_data(nodes: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    found = {n["node"]: {c: v for c, v in n["total"]["sums"].items() if c.startswith("pii_")} for n in nodes}
    return {node: columns for node, columns in found.items() if columns}


def build_timings(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """What the run cost; only tasks that ran are in it."""
    tasks = outcome.timings
    nodes: dict[str, float] = {}
    for task in tasks:
        for node, cpu in task.get("node_cpu_s", {}).items():
            nodes[node] = nodes.get(node, 0.0) + cpu
    return {
        "seconds": seconds,
        "executed": outcome.executed,
        "reused": outcome.reused,
        "cpu_s": sum(t["cpu_s"] for t in tasks),
        "peak_bytes": max((t["peak_bytes"] for t in tasks), default=0),
        "node_cpu_s": dict(sorted(nodes.items(), key=lambda item: -item[1])),
        "hosts": sorted({t["host"] for t in tasks}),
        "slowest": sorted(tasks, key=lambda t: -t["seconds"])[:20],
    }


def size_text(count: int) -> str:
    """Bytes as people read them.

    >>> [size_text(n) for n in (0, 999, 1500, 2_340_000)]
    ['0 B', '999 B', '1.5 kB', '2.3 MB']
    """
    value, unit = float(count), 0
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    while value >= 1000 and unit < len(units) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:.1f} {units[unit]}"


def funnel_text(report: Mapping[str, Any]) -> str:
    """The report's nodes as an aligned table: what came in, what went on, what fell and why."""
    rows = [("node", "in", "out", "bytes out", "tokens", "taken out")]
    for node in report["nodes"]:
        t = node["total"]
        out = t["written"] if node["kind"] == "sink" else t["kept"]
        size = "" if node["kind"] == "sink" else size_text(t["bytes_kept"])
        tokens = f"{t['tokens_kept']:,}" if t["tokens_kept"] else ""
        rows.append((node["node"], f"{t['in']:,}", f"{out:,}", size, tokens, _taken_out(t)))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, 5)), row[5]]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _taken_out(account: Mapping[str, Any]) -> str:
    """Reasons and errors, the most frequent first.

    >>> none = {"marked": {}, "made": 0, "edited": 0, "unread": 0}
    >>> _taken_out({"rejected": {"a": 1, "b": 3}, "failed": {"E": 1}, **none})
    'b 3, a 1; failed: E 1'
    """
    parts = [_counts(account["rejected"])]
    parts += [f"failed: {_counts(account['failed'])}"] if account["failed"] else []
    parts += [f"marked only: {_counts(account['marked'])}"] if account["marked"] else []
    parts += [f"({account[key]:,} {key})" for key in ("edited", "made", "unread") if account[key]]
    return "; ".join(part for part in parts if part)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(
        f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda i: (-i[1], i[0]))
    )
