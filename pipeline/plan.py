"""From a graph to levels: what runs together in one task for each partition, and where a run must wait.

A node's level is the number of cuts before it. A cut is either a *barrier*, where every partition must have
come so far (a Global stage, a `side:` input), or a *checkpoint*, where a costly output is stored so that a
later change does not redo it. All nodes of a level run in one task for each partition, in memory; what only a
later level reads is stored. A Global node takes part in two levels: the one before it *gathers* its input
(stores it, emits to the exchange), its own begins with that stored input and the verdicts. So does a node that
arranges rows: the one before it *places* them (stores them sorted), its own begins in new partitions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from pipeline.config import RunConfig
from pipeline.fingerprint import address, node_fingerprint
from pipeline.graph import Edge, Graph, Node
from pipeline.stage import NoReason

Action = Literal["read", "annotate", "expand", "gather", "verdict", "place", "arrange", "write"]
_BEFORE: Mapping[str, Action] = {"global": "gather", "arrange": "place"}  # in the level before a node's own
_ACTIONS: Mapping[str, Action] = {
    "source": "read",
    "map": "annotate",
    "expand": "expand",
    "global": "verdict",
    "arrange": "arrange",
    "sink": "write",
}


class Step(NamedTuple):
    """What one node does in a level."""

    node: str
    action: Action


class Entry(NamedTuple):
    """Stored rows that a level begins with: a port of an earlier level, or a Global node's gathered input."""

    node: str
    port: str  # "kept", "rejected", or "in" for gathered input

    @property
    def file(self) -> str:
        """Its file in the unit's folder."""
        return f"{self.node}.{self.port}.arrow"


@dataclass(frozen=True)
class Level:
    """Steps that share a task, in topological order."""

    index: int
    steps: tuple[Step, ...]
    stores: tuple[Entry, ...]
    entries: tuple[Entry, ...]
    why: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A graph cut into levels."""

    graph: Graph
    run: RunConfig

    @cached_property
    def placed(self) -> Mapping[str, tuple[int, int]]:
        """For each node, the levels at which it takes its input and at which it gives its output."""
        levels: dict[str, tuple[int, int]] = {}
        for name in self.graph.order:
            node = self.graph.nodes[name]
            cuts = [self._after(levels, e.node) for e in node.inputs]
            cuts += [levels[side][1] + 1 for side in node.side.values()]
            start = max(cuts, default=0)
            levels[name] = (start, start + 1 if node.kind in _BEFORE else start)
        return levels

    def _after(self, levels: Mapping[str, tuple[int, int]], name: str) -> int:
        return levels[name][1] + self.graph.nodes[name].checkpoint

    @cached_property
    def stored(self) -> Mapping[Entry, int]:
        """Rows that outlive their level, each with the level that stores them."""
        found: dict[Entry, int] = {}
        for node in self.graph.nodes.values():
            start, end = self.placed[node.name]
            if node.kind in _BEFORE:
                found[Entry(node.name, "in")] = start
            for reader, edge in self.graph.readers(node.name):
                if self.placed[reader.name][0] > end:
                    found[Entry(node.name, edge.port)] = end
            if node.kind != "sink" and self.graph.side_readers(node.name):
                found[Entry(node.name, "kept")] = end
            if node.checkpoint and node.kind != "sink":
                found[Entry(node.name, "kept")] = end
            if self.run.keep_rejected and rejects(node):
                found[Entry(node.name, "rejected")] = end
        return found

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """All levels, first to last."""
        count = 1 + max(end for _, end in self.placed.values())
        return tuple(self._level(index) for index in range(count))

    def _level(self, index: int) -> Level:
        steps: list[Step] = []
        entries: dict[Entry, None] = {}
        for name in self.graph.order:
            node = self.graph.nodes[name]
            start, end = self.placed[name]
            if end == index:
                steps.append(Step(name, _ACTIONS[node.kind]))
            if node.kind == "global" and end == index:
                entries[Entry(name, "in")] = None
            if start == index:
                if node.kind in _BEFORE:
                    steps.append(Step(name, _BEFORE[node.kind]))
                entries |= dict.fromkeys(self.entry(e) for e in node.inputs if self.placed[e.node][1] < index)
        stores = tuple(entry for entry, level in self.stored.items() if level == index)
        return Level(index, tuple(steps), stores, tuple(entries), tuple(self._why(index)))

    def _why(self, index: int) -> list[str]:
        if index == 0:
            return ["the sources are read"]
        reasons = []
        for name in self.graph.order:
            node = self.graph.nodes[name]
            start, end = self.placed[name]
            if node.kind == "global" and end == index:
                rounds = type(node.stage).rounds  # type: ignore[attr-defined]
                often = "an exchange" if rounds == 1 else f"{rounds} exchanges"
                reasons.append(f"{name} ({node.stage_name}) compares all documents: {often}")
            if node.kind == "arrange" and end == index:
                reasons.append(f"{name} ({node.stage_name}) puts all documents in one order")
            if start != index:
                continue
            reasons += [
                f"{name} needs all of '{target}' as its side input '{side}'"
                for side, target in node.side.items()
                if self.placed[target][1] + 1 == index
            ]
            reasons += [
                f"{e.node} is a checkpoint: its output is stored, and a change behind it does not redo it"
                for e in node.inputs
                if self.graph.nodes[e.node].checkpoint and self.placed[e.node][1] + 1 == index
            ]
        return list(dict.fromkeys(reasons))

    @staticmethod
    def entry(edge: Edge) -> Entry:
        """Where an edge's rows are stored, if they are."""
        return Entry(edge.node, edge.port)

    def steps_for(self, level: int, source: str) -> tuple[Step, ...]:
        """Those steps of a level that a source's rows can reach, or the rows that a node arranged."""
        reach = self.graph.reach[source]
        return tuple(
            step
            for step in self.levels[level].steps
            if step.node in reach
            and not (step.action == "arrange" and step.node != source)
            and not (step.action == "place" and step.node == source)
        )

    @cached_property
    def fingerprints(self) -> Mapping[str, str]:
        """Each node's own fingerprint; reads the files that stages load."""
        return {name: node_fingerprint(node) for name, node in self.graph.nodes.items()}

    def settings(self) -> list[object]:
        """Run settings that can change bytes."""
        audit = [self.run.audit, self.run.seed] if self.run.audit else None
        return [audit, self.run.keep_rejected, self.run.samples]

    def level_part(self, level: int, source: str) -> str:
        """What a unit's address says about its steps: their fingerprints, and what the unit must store."""
        reach = self.graph.reach[source]
        return address(
            [[s.action, self.fingerprints[s.node]] for s in self.steps_for(level, source)],
            sorted(e.file for e in self.levels[level].stores if e.node in reach),
            self.settings(),
            self.run.buckets,
        )


def rejects(node: Node) -> bool:
    """Whether a node has reasons to reject for."""
    return node.kind not in ("source", "sink") and type(node.stage).reasons is not NoReason


def describe(plan: Plan) -> str:
    """The levels as text: what runs together, what is stored, and why each cut is there."""
    lines = []
    for level in plan.levels:
        lines.append(f"level {level.index}: because " + "; ".join(level.why))
        for step in level.steps:
            node = plan.graph.nodes[step.node]
            inputs = ", ".join(str(e) for e in node.inputs)
            before = step.action in _BEFORE.values()
            verb = f"{step.action} for " if before else ""
            arrow = f" <- {inputs}" if inputs and step.action not in ("verdict", "arrange") else ""
            lines.append(f"    {verb}{step.node} ({node.stage_name}){arrow}")
            if not before:
                lines += [f"        {line}" for line in node.stage.describe()]
        kept = [e for e in level.stores if e.port != "rejected"]
        if kept:
            lines.append("    stores " + ", ".join(f"{e.node}.{e.port}" for e in kept))
    return "\n".join(lines)
