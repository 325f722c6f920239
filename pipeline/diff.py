"""Two runs side by side: where their configs part, and what that did to each node."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.api import OpenRun


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of plain data by their dotted path.

    >>> list(flat({"a": {"b": 1}, "c": [2]}))
    [('a.b', 1), ('c', [2])]
    """
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def config_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """One line for each value that differs."""
    left, right = dict(flat(a)), dict(flat(b))
    return [
        f"{path}: {left.get(path, '(none)')} -> {right.get(path, '(none)')}"
        for path in dict.fromkeys([*left, *right])
        if left.get(path, "(none)") != right.get(path, "(none)")
    ]


def report_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Counts of each node that differ: node, what, both values and the difference."""
    found = []
    left, right = ({n["node"]: _counts(n["total"]) for n in r["nodes"]} for r in (a, b))
    for node in dict.fromkeys([*left, *right]):
        one, two = left.get(node, {}), right.get(node, {})
        for what in dict.fromkeys([*one, *two]):
            before, after = one.get(what, 0), two.get(what, 0)
            if before != after:
                found.append({"node": node, "what": what, "a": before, "b": after, "change": after - before})
    return found


def _counts(total: Mapping[str, Any]) -> dict[str, int]:
    counts = {k: total[k] for k in ("in", "kept", "written", "made", "edited", "bytes_kept", "tokens_kept")}
    for group in ("rejected", "marked", "failed"):
        counts |= {f"{group}: {reason}": n for reason, n in total[group].items()}
    return {k: n for k, n in counts.items() if n}


def diff_text(first: OpenRun, second: OpenRun) -> str:
    """The comparison as text."""
    lines = [f"{first.identifier} -> {second.identifier}", "", "config:"]
    lines += [
        f"  {line}" for line in config_changes(first.manifest["config"], second.manifest["config"])
    ] or ["  equal"]
    inputs = [{(s, name): d for _, s, name, d in r.manifest["partitions"]} for r in (first, second)]
    changed = sum(inputs[0].get(key) != inputs[1].get(key) for key in {*inputs[0], *inputs[1]})
    lines += ["", f"inputs: {changed} partitions differ" if changed else "inputs: equal", "", "counts:"]
    rows = report_changes(first.read_json("report.json"), second.read_json("report.json"))
    widths = [max((len(str(r[c])) for r in rows), default=0) for c in ("node", "what")]
    for r in rows:
        name = f"{r['node']:<{widths[0]}}  {r['what']:<{widths[1]}}"
        lines.append(f"  {name}  {r['a']:>12,} -> {r['b']:>12,}  {r['change']:>+12,}")
    return "\n".join(lines if rows else [*lines, "  equal"])
