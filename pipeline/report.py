"""A run's books as `report.json` (facts that a second run repeats) and `timings.json` (what it cost)."""

from collections.abc import Sequence
from typing import Any

from pipeline.config import Config
from pipeline.drive import Outcome, Partition
from pipeline.plan import Plan


def build_report(
    plan: Plan, config: Config, identifier: str, partitions: Sequence[Partition], outcome: Outcome
) -> dict[str, Any]:
    """Everything the report shows, as plain JSON with no time, host or path of this machine in it."""
    books = outcome.books.data
    order = plan.graph.order
    return {
        "run": identifier,
        "name": config.model.run.name,
        "partitions": len(partitions),
        "nodes": [
            {
                "node": name,
                "stage": plan.graph.nodes[name].stage_name,
                "kind": plan.graph.nodes[name].kind,
                "inputs": [str(e) for e in plan.graph.nodes[name].inputs],
                "level": plan.placed[name][1],
                "sources": books["nodes"].get(name, {}),
            }
            for name in order
        ],
        "samples": books["samples"],
    }


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
