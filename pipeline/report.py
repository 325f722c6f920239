"""A run's books as `report.json` (facts that a second run repeats), `timings.json` (what it cost), and text."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline.books import COUNTERS
from pipeline.clusters import summary
from pipeline.config import Config
from pipeline.desk import Outcome
from pipeline.duplicates import curve_of, is_duplicate, losses, measures_of
from pipeline.exchanges import Partition
from pipeline.leakreport import contamination
from pipeline.plan import Plan
from pipeline.sums import add_counts
from pipeline.terminal import aligned

GROUPS = ("rejected", "marked", "failed", "sums", "values")
PII = "pii_"  # columns in which a stage counts personal data begin so
_FILE = re.compile(r'File "([^"]+)"')
_PLACE = re.compile(r" at 0x[0-9a-fA-F]+")


def build_report(
    plan: Plan, config: Config, identifier: str, partitions: Sequence[Partition], outcome: Outcome
) -> dict[str, Any]:
    """Everything the report shows, as plain JSON with no time, host or path of this machine in it."""
    books = outcome.books.data
    nodes = [_node(plan, name, books) for name in plan.graph.order]
    return {
        "run": identifier,
        "name": config.model.run.name,
        "partitions": len(partitions),
        "sources": {n["node"]: n["total"]["kept"] for n in nodes if n["kind"] == "source"},
        "sinks": {n["node"]: n["total"]["written"] for n in nodes if n["kind"] == "sink"},
        "nodes": nodes,
        "funnel": {n["node"]: funnel_of(nodes, n["node"]) for n in nodes if n["kind"] == "source"},
        "samples": {
            node: {reason: [_repeatable(s) for s in samples] for reason, samples in reasons.items()}
            for node, reasons in books["samples"].items()
        },
        "duplicates": _reasons(nodes, is_duplicate),
        "losses": losses(nodes),
        "contaminated": _reasons(nodes, is_contaminated),
        "contamination": _contamination(plan, nodes, books["leaks"]),
        "personal_data": _sums(nodes, lambda column: column.startswith(PII)),
        "failed": {n["node"]: n["total"]["failed"] for n in nodes if n["total"]["failed"]},
    }


def is_contaminated(reason: str) -> bool:
    """Whether a reason says that a document holds benchmark items."""
    return "contaminated" in reason


def _contamination(
    plan: Plan, nodes: Sequence[Mapping[str, Any]], leaks: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What each node that looks for benchmark items found."""
    names = [(n["node"], n["sources"]) for n in nodes if n["kind"] != "source"]
    found = {
        name: contamination(plan.graph.nodes[name].stage, sources, leaks.get(name)) for name, sources in names
    }
    return {name: section for name, section in found.items() if section is not None}


def _node(plan: Plan, name: str, books: Mapping[str, Any]) -> dict[str, Any]:
    node = plan.graph.nodes[name]
    sources = books["nodes"].get(name, {})
    return {
        "node": name,
        "stage": node.stage_name,
        "kind": node.kind,
        "inputs": [str(e) for e in node.inputs],
        "side": dict(node.side),
        "level": plan.placed[name][1],
        "annotate_only": node.annotate_only,
        "total": total(sources.values()),
        "sources": {source: sources[source] for source in sorted(sources)},
        "params": curve_of(node.stage),
        "measures": measures_of(node.stage, books["measures"].get(name, {})),
        "clusters": summary(books["clusters"].get(name, {})),
    }


def total(accounts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A node's accounts of all sources, added up."""
    summed: dict[str, Any] = dict.fromkeys(COUNTERS, 0) | {group: {} for group in GROUPS}
    for account in accounts:
        add_counts(summed, account)
    return summed


def out_of(node: Mapping[str, Any], account: Mapping[str, Any]) -> int:
    """Documents that a node gave on: what a sink wrote, what an arranging node took, what any other kept."""
    if node["kind"] == "arrange":
        return int(account["gathered"] or account["kept"])
    return int(account["written"] if node["kind"] == "sink" else account["kept"])


def gone(account: Mapping[str, Any]) -> int:
    """Documents that a node rejected."""
    return sum(account["rejected"].values())


def lost(account: Mapping[str, Any]) -> int:
    """Documents that a node failed on, and stretches of input that it could not read."""
    return sum(account["failed"].values())


def funnel_of(nodes: Sequence[Mapping[str, Any]], source: str) -> list[dict[str, Any]]:
    """The way of one source's documents to the sinks: a step for each node that they came to."""
    steps = []
    for node in nodes:
        account = node["sources"].get(source)
        if account is None:
            continue
        steps.append(
            {
                "node": node["node"],
                "in": account["in"],
                "out": out_of(node, account),
                "bytes": account["bytes_in"] if node["kind"] == "sink" else account["bytes_kept"],
                "tokens": account["tokens_kept"],
                "rejected": gone(account),
                "failed": lost(account),
            }
        )
    return steps


def _reasons(
    nodes: Sequence[Mapping[str, Any]], wanted: Callable[[str], bool]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Documents that the wanted reasons took out, or only marked, in all and by source: node -> reason -> counts."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for node in nodes:
        for source, account in node["sources"].items():
            for group in ("rejected", "marked"):
                for reason, count in account[group].items():
                    if wanted(reason):
                        reasons = found.setdefault(node["node"], {})
                        counts = reasons.setdefault(reason, {"documents": 0, "sources": {}})
                        counts["documents"] += count
                        counts["sources"][source] = counts["sources"].get(source, 0) + count
    return found


def _sums(nodes: Sequence[Mapping[str, Any]], wanted: Callable[[str], bool]) -> dict[str, dict[str, int]]:
    """Sums of the wanted columns over what each node kept."""
    found = {n["node"]: {c: v for c, v in n["total"]["sums"].items() if wanted(c)} for n in nodes}
    return {node: columns for node, columns in found.items() if columns}


def _repeatable(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample without this machine's paths and memory addresses, which a traceback brings along."""
    evidence = sample["evidence"]
    if evidence is None or "traceback" not in evidence:
        return dict(sample)
    value = json.loads(evidence)
    if "traceback" in value:
        shortened = _FILE.sub(lambda found: f'File "{_short_path(found[1])}"', str(value["traceback"]))
        value["traceback"] = _PLACE.sub("", shortened)
    return {**sample, "evidence": json.dumps(value, ensure_ascii=False)}


def _short_path(path: str) -> str:
    """The part of a module's path that is the same on every machine.

    >>> _short_path("/home/x/.venv/lib/python3.11/site-packages/lxml/html.py"), _short_path("/srv/app/pipeline/unit.py")
    ('lxml/html.py', 'pipeline/unit.py')
    """
    for folder in ("/site-packages/", "/lib/python"):
        if folder in path:
            return path.rpartition(folder)[2]
    parts = path.split("/")
    for package in ("pipeline", "stages", "shards"):
        if package in parts:
            return "/".join(parts[parts.index(package) :])
    return parts[-1]


def build_timings(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """What the run cost: `seconds` and `executed` now, all else with what reused tasks cost when they ran."""
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
        "node_cpu_s": dict(sorted(nodes.items(), key=lambda item: (-item[1], item[0]))),
        "hosts": sorted({t["host"] for t in tasks}),
        "slowest": sorted(tasks, key=lambda t: -t["seconds"])[:20],
    }


# --- as text ----------------------------------------------------------------------------------------


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
        account = node["total"]
        size = "" if node["kind"] == "sink" else size_text(account["bytes_kept"])
        tokens = f"{account['tokens_kept']:,}" if account["tokens_kept"] else ""
        out = f"{out_of(node, account):,}"
        rows.append((node["node"], f"{account['in']:,}", out, size, tokens, _taken_out(account)))
    return "\n".join(aligned(rows))


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
