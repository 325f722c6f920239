"""The graph of a run as numbers for an SVG picture: where its boxes stand, and how thick its lines are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.report import gone, lost, out_of

WIDTH, HEIGHT = 148, 46  # of a box, in pixels
GAP_X, GAP_Y = 22, 38
MARGIN = 8
THICKEST = 14.0  # line of the busiest edge
SWEEPS = 6  # passes that put boxes under those they read


class Box(NamedTuple):
    """A node's place, and the parts of its bar in pixels."""

    node: str
    stage: str
    kind: str
    x: float
    y: float
    documents: int
    kept: float
    rejected: float
    failed: float
    title: str


class Line(NamedTuple):
    """An edge: an SVG path, its thickness, and its class: rows, rejected or side."""

    path: str
    thickness: float
    kind: str
    title: str


class Picture(NamedTuple):
    """All of it."""

    width: float
    height: float
    boxes: list[Box]
    lines: list[Line]


def draw(nodes: Sequence[Mapping[str, Any]]) -> Picture:
    """Boxes in rows, each node below all that it reads.

    Args:
        nodes: of a report, in topological order.
    """
    names = {n["node"] for n in nodes}
    reads = {n["node"]: [edge.partition(".")[0] for edge in n["inputs"]] for n in nodes}
    sides = {n["node"]: list(n.get("side", {}).values()) for n in nodes}
    depth: dict[str, int] = {}
    for node in nodes:
        above = [depth[name] for name in reads[node["node"]] + sides[node["node"]] if name in names]
        depth[node["node"]] = max(above, default=-1) + 1
    rows = _ordered(depth, reads)
    widest = max((len(row) for row in rows), default=1)
    places = {}
    for at, row in enumerate(rows):
        left = MARGIN + (widest - len(row)) * (WIDTH + GAP_X) / 2
        for i, name in enumerate(row):
            places[name] = (left + i * (WIDTH + GAP_X), MARGIN + at * (HEIGHT + GAP_Y))
    most = max((_came(n) for n in nodes), default=0) or 1
    return Picture(
        2 * MARGIN + widest * (WIDTH + GAP_X) - GAP_X,
        2 * MARGIN + len(rows) * (HEIGHT + GAP_Y) - GAP_Y,
        [_box(n, *places[n["node"]], most) for n in nodes],
        [line for n in nodes for line in _lines(n, {m["node"]: m for m in nodes}, places, most)],
    )


def _ordered(depth: Mapping[str, int], reads: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Nodes by row, those of a row in the order of the places of their neighbours (barycentres)."""
    rows: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=0))]
    for name, at_depth in depth.items():
        rows[at_depth].append(name)
    readers: dict[str, list[str]] = {name: [] for name in depth}
    for name, above in reads.items():
        for upstream in above:
            readers.setdefault(upstream, []).append(name)
    for sweep in range(SWEEPS):
        near = reads if sweep % 2 == 0 else readers
        at = {name: (i + 0.5) / len(row) for row in rows for i, name in enumerate(row)}
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            row.sort(key=lambda name: _middle([at[n] for n in near[name] if n in at], at[name]))
            at |= {name: (i + 0.5) / len(row) for i, name in enumerate(row)}
    return rows


def _middle(places: Sequence[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def _came(node: Mapping[str, Any]) -> int:
    return max(int(node["total"]["in"]), out_of(node, node["total"]))


def _box(node: Mapping[str, Any], x: float, y: float, most: int) -> Box:
    account = node["total"]
    out, rejected, failed = out_of(node, account), gone(account), lost(account)
    scale = (WIDTH - 16) / most
    counts = f"{account['in']:,} in, {out:,} out, {rejected:,} rejected, {failed:,} failed"
    title = f"{node['node']} ({node['stage']}): {counts}"
    return Box(
        node["node"],
        node["stage"],
        node["kind"],
        x,
        y,
        out,
        out * scale,
        rejected * scale,
        failed * scale,
        title,
    )


def _lines(
    node: Mapping[str, Any],
    nodes: Mapping[str, Mapping[str, Any]],
    places: Mapping[str, tuple[float, float]],
    most: int,
) -> list[Line]:
    drawn = []
    edges = [(*edge.partition(".")[::2], "") for edge in node["inputs"]]
    edges += [(target, "kept", name) for name, target in node.get("side", {}).items()]
    for name, port, side in edges:
        if name not in nodes:
            continue
        rejected = port == "rejected"
        rows = gone(nodes[name]["total"]) if rejected else out_of(nodes[name], nodes[name]["total"])
        kind = "side" if side else "rejected" if rejected else "rows"
        thickness = 1.2 if kind != "rows" else max(1.0, THICKEST * min(rows, _came(node)) / most)
        (x0, y0), (x1, y1) = places[name], places[node["node"]]
        x0, x1, y0 = x0 + WIDTH / 2, x1 + WIDTH / 2, y0 + HEIGHT
        bend = (y1 - y0) / 2
        path = f"M{x0:.1f} {y0:.1f}C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1:.1f}"
        what = f"side input '{side}'" if side else f"{rows:,} documents{' rejected' if rejected else ''}"
        drawn.append(Line(path, round(thickness, 1), kind, f"{name} to {node['node']}: {what}"))
    return drawn
