"""One function for each rule that a graph must keep. Each returns every breach, not the first."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pipeline import models
from pipeline.config import Config, Problem, did_you_mean
from pipeline.graph import PORTS, Edge, Graph, Node, as_edge
from pipeline.stage import ANY_TYPE

Check = Callable[[Graph, frozenset[str]], Iterator[Problem]]


def run_checks(graph: Graph, config: Config) -> list[Problem]:
    """All breaches of all rules. Rules about columns wait until the shape of the graph is right."""
    named = frozenset(config.model.nodes)
    unbuilt = named - set(graph.nodes)  # nodes with problems of their own; who reads what is then unknown
    shape = list(inputs_exist(config, graph))
    for check in SHAPE:
        if not (unbuilt and check is everything_is_read):
            shape += check(graph, named)
    if shape or unbuilt:
        return shape
    return [p for check in CONTENT for p in check(graph, named)]


def _at(node: Node, *rest: str | int) -> tuple[str | int, ...]:
    return ("nodes", node.name, *rest)


def inputs_exist(config: Config, graph: Graph) -> Iterator[Problem]:
    """Every input names a node and a port, also those of a node whose stage could not be made."""
    named = set(config.model.nodes)
    for name, node in config.model.nodes.items():
        for i, edge in enumerate(map(as_edge, node.inputs)):
            place = ("nodes", name, "inputs", i)
            if edge.node not in named:
                hint = did_you_mean(edge.node, named - {name})
                yield Problem(place, f"node '{name}' reads '{edge.node}', which does not exist; {hint}")
            elif edge.port not in PORTS:
                ports = ", ".join(PORTS)
                yield Problem(
                    place, f"node '{name}' reads port '{edge.port}' of '{edge.node}'; ports are {ports}"
                )
            elif edge.node in graph.nodes and graph.nodes[edge.node].kind == "sink":
                yield Problem(
                    place,
                    f"node '{name}' reads '{edge.node}', which is a sink and has no rows to read; "
                    "read one of its inputs, or name it under side:",
                )


def inputs_fit_kind(graph: Graph, _: frozenset[str]) -> Iterator[Problem]:
    """Sources read no node; everything else reads at least one, and none twice."""
    for node in graph.nodes.values():
        if node.kind == "source" and node.inputs:
            yield Problem(
                _at(node), f"node '{node.name}' ({node.stage_name}) is a source and takes no inputs"
            )
        if node.kind != "source" and not node.inputs:
            yield Problem(
                _at(node), f"node '{node.name}' ({node.stage_name}) has no inputs; add inputs: [...]"
            )
        for edge in {e for e in node.inputs if node.inputs.count(e) > 1}:
            yield Problem(_at(node, "inputs"), f"node '{node.name}' reads '{edge}' twice; name it once")


def sides_fit(graph: Graph, named: frozenset[str]) -> Iterator[Problem]:
    """Side inputs name nodes, are known to the stage, and none that it needs is missing."""
    for node in graph.nodes.values():
        for side, target in node.side.items():
            place = _at(node, "side", side)
            if side not in node.stage.sides:
                hint = did_you_mean(side, node.stage.sides)
                yield Problem(
                    place, f"node '{node.name}' ({node.stage_name}) takes no side input '{side}'; {hint}"
                )
            if target not in named:
                hint = did_you_mean(target, named - {node.name})
                yield Problem(place, f"node '{node.name}' reads '{target}', which does not exist; {hint}")
        for side in node.stage.needs_side():
            if side not in node.side:
                meaning = node.stage.sides.get(side, "")
                yield Problem(
                    _at(node),
                    f"node '{node.name}' ({node.stage_name}) needs the side input '{side}' ({meaning}); "
                    f"add side: {{{side}: <node>}}",
                )


def no_cycle(graph: Graph, _: frozenset[str]) -> Iterator[Problem]:
    """No node reads itself, however far round."""
    reported: set[str] = set()
    for start in graph.nodes:
        if start in graph.order or start in reported:
            continue
        path = [start]
        while (back := next(u for u in graph.upstream(path[-1]) if u not in graph.order)) not in path:
            path.append(back)
        ring = path[path.index(back) :]
        if not reported & set(ring):
            first = ring.index(min(ring))
            ring = ring[first:] + ring[:first]
            shown = [ring[0], *reversed(ring[1:]), ring[0]]
            yield Problem(("nodes", ring[0]), "the graph has a cycle: " + " -> ".join(shown))
        reported |= set(path)


def everything_is_read(graph: Graph, _: frozenset[str]) -> Iterator[Problem]:
    """Every node but a sink has a reader."""
    for node in graph.nodes.values():
        if node.kind != "sink" and not graph.readers(node.name) and not graph.side_readers(node.name):
            yield Problem(
                _at(node), f"node '{node.name}' is read by nobody; add a sink after it or remove it"
            )


def names_are_plain(graph: Graph, _: frozenset[str]) -> Iterator[Problem]:
    """A node's name can be part of a file name and of an edge."""
    for node in graph.nodes.values():
        if not node.name.replace("_", "").replace("-", "").isalnum():
            yield Problem(_at(node), f"node '{node.name}': a name is letters, digits, '_' and '-'")


def columns_exist(graph: Graph, _: frozenset[str]) -> Iterator[Problem]:
    """Every column that a node reads is written before it, with that type, on every input."""
    for node in graph.nodes.values():
        if node.kind == "source":
            continue
        have = graph.input_schema(node.name)
        for field in node.stage.reads():
            index = have.get_field_index(field.name)
            who = f"node '{node.name}' ({node.stage_name}) reads column '{field.name}'"
            lacking = [str(e) for e in node.inputs if field.name not in graph.schemas[e.node, e.port].names]
            if index < 0:
                yield Problem(
                    _at(node),
                    f"{who}, which no node before it writes; {did_you_mean(field.name, have.names)}",
                )
            elif lacking:
                yield Problem(
                    _at(node),
                    f"{who}, which its input '{lacking[0]}' lacks; every input of a union must have what is read",
                )
            elif field.type not in (ANY_TYPE, have.field(index).type):
                yield Problem(_at(node), f"{who} as {field.type}, but it is {have.field(index).type}")


def unions_agree(graph: Graph, _: frozenset[str]) -> Iterator[Problem]:
    """A column that several inputs of a node have is of one type."""
    for node in graph.nodes.values():
        have = graph.input_schema(node.name)
        for edge in node.inputs[1:]:
            for field in graph.schemas[edge.node, edge.port]:
                first = have.field(field.name).type
                if field.type != first:
                    yield Problem(
                        _at(node, "inputs"),
                        f"node '{node.name}': its inputs have column '{field.name}' as {first} and, from '{edge}', "
                        f"as {field.type}; make them agree",
                    )


def where_columns_exist(graph: Graph, _: frozenset[str]) -> Iterator[Problem]:
    """A condition on an edge is about a column that is there."""
    for node in graph.nodes.values():
        for i, edge in enumerate(node.inputs):
            have = graph.schemas[edge.node, edge.port].names
            for column, _values in edge.where:
                if column not in have:
                    yield Problem(
                        _at(node, "inputs", i),
                        f"node '{node.name}' chooses rows of '{edge}' by column '{column}', "
                        f"which it does not have; {did_you_mean(column, have)}",
                    )


def resources_exist(graph: Graph, _: frozenset[str]) -> Iterator[Problem]:
    """Files that stages load are there, or can be fetched."""
    for node in graph.nodes.values():
        for path in node.stage.resources():
            if not Path(path).exists() and models.name_of(path) is None:
                yield Problem(_at(node, "params"), f"node '{node.name}' ({node.stage_name}): no file {path}")


def stages_agree(graph: Graph, _: frozenset[str]) -> Iterator[Problem]:
    """What the stages themselves find wrong with their params."""
    for node in graph.nodes.values():
        for message in node.stage.problems():
            yield Problem(_at(node, "params"), f"node '{node.name}' ({node.stage_name}): {message}")


def warnings(graph: Graph) -> list[Problem]:
    """What runs but may surprise: conditions of a node's readers that overlap or leave rows unread."""
    found = []
    for node in graph.nodes.values():
        edges = [(r, e) for r, e in graph.readers(node.name) if e.port == "kept"]
        conditional = [(r, e) for r, e in edges if e.where]
        if not conditional:
            continue
        if len(conditional) == len(edges):
            found.append(
                Problem(
                    _at(node),
                    f"node '{node.name}': every reader chooses by value; rows that none chooses go unread "
                    "(they are counted)",
                )
            )
        found += [
            Problem(_at(a), f"nodes '{a.name}' and '{b.name}' may both read the same rows of '{node.name}'")
            for k, (a, ea) in enumerate(conditional)
            for b, eb in conditional[k + 1 :]
            if _overlap(ea, eb)
        ]
    return found


def _overlap(a: Edge, b: Edge) -> bool:
    mine: Mapping[str, tuple[object, ...]] = dict(a.where)
    return all(set(mine[c]) & set(v) for c, v in b.where if c in mine)


SHAPE: tuple[Check, ...] = (
    names_are_plain,
    inputs_fit_kind,
    sides_fit,
    no_cycle,
    everything_is_read,
)
CONTENT: tuple[Check, ...] = (columns_exist, unions_agree, where_columns_exist, resources_exist, stages_agree)
