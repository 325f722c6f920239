"""Nodes, ports and edges; their order; the columns that flow along them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa

from pipeline.config import Config, EdgeConfig, Problem, did_you_mean, validate
from pipeline.registry import load_class
from pipeline.schema import EVIDENCE, IDENTITY, REJECTED_BY
from pipeline.stage import ArrangeStage, ExpandStage, GlobalStage, MapStage, Sink, Source, Stage, StageRef

Kind = Literal["source", "map", "expand", "global", "arrange", "sink"]
PORTS = ("kept", "rejected")
_KINDS: tuple[tuple[type[Stage[Any]], Kind], ...] = (
    (Source, "source"),
    (MapStage, "map"),
    (ExpandStage, "expand"),
    (GlobalStage, "global"),
    (ArrangeStage, "arrange"),
    (Sink, "sink"),
)


@dataclass(frozen=True)
class Edge:
    """Rows of a node's port, perhaps only those with certain values."""

    node: str
    port: str = "kept"
    where: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def __str__(self) -> str:
        return self.node if self.port == "kept" else f"{self.node}.{self.port}"


@dataclass(frozen=True)
class Node:
    """A stage in its place."""

    name: str
    stage_name: str
    target: str
    stage: Stage[Any]
    inputs: tuple[Edge, ...] = ()
    side: Mapping[str, str] = field(default_factory=dict)
    annotate_only: bool = False
    checkpoint: bool = False
    max_source_loss: float | None = None

    @property
    def kind(self) -> Kind:
        """Which of the six kinds its stage is."""
        return kind_of(type(self.stage))


def kind_of(cls: type[Stage[Any]]) -> Kind:
    """The kind of a stage class."""
    return next(kind for base, kind in _KINDS if issubclass(cls, base))


@dataclass(frozen=True)
class Graph:
    """All nodes, in the order of the config file."""

    nodes: Mapping[str, Node]

    def upstream(self, name: str) -> list[str]:
        """Names of the nodes it reads, through inputs or sides, that exist."""
        node = self.nodes[name]
        return [n for n in (*(e.node for e in node.inputs), *node.side.values()) if n in self.nodes]

    def readers(self, name: str) -> list[tuple[Node, Edge]]:
        """Nodes that take this node's rows as input, each with its edge."""
        return [(n, e) for n in self.nodes.values() for e in n.inputs if e.node == name]

    def side_readers(self, name: str) -> list[Node]:
        """Nodes that take this node as a side input."""
        return [n for n in self.nodes.values() if name in n.side.values()]

    @cached_property
    def order(self) -> list[str]:
        """Node names, each after all it reads; ties in the config's order. Nodes of a cycle are left out."""
        done: list[str] = []
        waiting = list(self.nodes)
        while ready := [n for n in waiting if all(u in done for u in self.upstream(n))]:
            done += ready
            waiting = [n for n in waiting if n not in ready]
        return done

    @cached_property
    def reach(self) -> Mapping[str, frozenset[str]]:
        """For each source node, itself and every node that its rows can come to in their partitions.

        A node that arranges rows is the end of that, and the source of partitions of its own.
        """
        arranging = {n.name for n in self.nodes.values() if n.kind == "arrange"}
        result = {}
        for source in (n.name for n in self.nodes.values() if n.kind in ("source", "arrange")):
            reached = {source}
            for name in self.order:
                if any(e.node in reached - (arranging - {source}) for e in self.nodes[name].inputs):
                    reached.add(name)
            result[source] = frozenset(reached)
        return result

    @cached_property
    def schemas(self) -> Mapping[tuple[str, str], pa.Schema]:
        """Columns of each node's ports, as far as the graph can be followed."""
        known: dict[tuple[str, str], pa.Schema] = {}
        for name in self.order:
            node = self.nodes[name]
            if node.kind == "sink":
                continue
            base = list(IDENTITY) if node.kind == "source" else self._merged(node, known)
            kept = overlay(base, node.stage)
            known[name, "kept"] = kept
            rejected = [f for f in kept if f.name not in (REJECTED_BY.name, EVIDENCE.name)]
            known[name, "rejected"] = pa.schema([*rejected, REJECTED_BY, EVIDENCE])
        return known

    def _merged(self, node: Node, known: Mapping[tuple[str, str], pa.Schema]) -> list[pa.Field]:
        schemas = [known[e.node, e.port] for e in node.inputs if (e.node, e.port) in known]
        return union_fields(schemas)

    def input_schema(self, name: str) -> pa.Schema:
        """Columns that reach a node: those of all its inputs, null in rows of an input that lacks one."""
        return pa.schema(self._merged(self.nodes[name], self.schemas))


def union_fields(schemas: Iterable[pa.Schema]) -> list[pa.Field]:
    """Fields of any of the schemas, in the order they come; the first one's type stands."""
    found: dict[str, pa.Field] = {}
    for schema in schemas:
        for column in schema:
            found.setdefault(column.name, column)
    return list(found.values())


def overlay(base: Iterable[pa.Field], stage: Stage[Any]) -> pa.Schema:
    """A node's output columns: its input's without what it drops, and what it writes added or replaced."""
    writes = {f.name: f for f in stage.writes()}
    gone = set(stage.drops())
    old = [writes.pop(f.name, f) for f in base if f.name not in gone]
    return pa.schema([*old, *writes.values()])


def build(config: Config, registry: Mapping[str, StageRef]) -> tuple[Graph, list[Problem]]:
    """Nodes with their stages, and the problems of those that could not be made (they are left out)."""
    nodes: dict[str, Node] = {}
    problems: list[Problem] = []
    for name, node in config.model.nodes.items():
        path = ("nodes", name)
        ref = registry.get(node.stage)
        if ref is None:
            hint = did_you_mean(node.stage, registry)
            problems.append(
                Problem((*path, "stage"), f"nodes.{name}.stage: no stage is called '{node.stage}'; {hint}")
            )
            continue
        stage, faults = _make_stage(node.stage, ref, node.params, (*path, "params"))
        problems += faults
        if stage is None:
            continue
        nodes[name] = Node(
            name,
            node.stage,
            ref.target,
            stage,
            tuple(as_edge(i) for i in node.inputs),
            node.side,
            node.annotate_only,
            stage.checkpoint if node.checkpoint is None else node.checkpoint,
            node.max_source_loss,
        )
    return Graph(nodes), problems


def _make_stage(
    name: str, ref: StageRef, params: dict[str, Any], path: tuple[str | int, ...]
) -> tuple[Stage[Any] | None, list[Problem]]:
    try:
        cls = load_class(ref.target)
    except ImportError as error:
        if ref.extra is None or error.name is None:
            raise
        message = (
            f"stage '{name}' needs the package '{error.name}'; install it with: pip install '.[{ref.extra}]'"
        )
        return None, [Problem(path[:-1], message)]
    stage, problems = validate(cls, params, path)
    return stage, problems


def as_edge(value: str | EdgeConfig) -> Edge:
    """An input as the file has it: `node`, `node.port`, or a mapping with conditions."""
    if isinstance(value, str):
        node, _, port = value.partition(".")
        return Edge(node, port or "kept")
    where = tuple((k, tuple(v) if isinstance(v, list) else (v,)) for k, v in sorted(value.where.items()))
    return Edge(value.node, value.port, where)
