"""Two runs side by side: where their configs and inputs part, and what that did to every node and reason."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.api import OpenRun
from pipeline.clusters import bin_names

ABSENT = "(none)"
COUNTED = ("in", "kept", "written", "made", "edited", "bytes_in", "bytes_kept", "tokens_kept")
TOLD_ABOVE = ("in", "bytes_in")  # what a node took in is what the nodes above it gave on
GROUPS = ("rejected", "marked", "failed", "sums")
_LEAKS = {"found": "with benchmark items", "decided": "with what decides"}


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


def diff_configs(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Settings that differ: dotted path -> [in a, in b], "(none)" where it is not set."""
    left, right = dict(flat(a)), dict(flat(b))
    pairs = {path: [left.get(path, ABSENT), right.get(path, ABSENT)] for path in [*left, *right]}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def diff_reports(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Counts that differ between two reports: node, what, a, b and change, nodes in the order of `a`.

    A node that only one of them has counts as nought in the other, and its `only` says who has it.
    """
    left, right = (_by_node(report) for report in (a, b))
    found = []
    for node in dict.fromkeys([*left, *right]):
        one, two = left.get(node, {}), right.get(node, {})
        only = "a" if node not in right else "b" if node not in left else None
        for what in dict.fromkeys([*one, *two]):
            before, after = one.get(what, 0), two.get(what, 0)
            if before != after:
                found.append(
                    {
                        "node": node,
                        "what": what,
                        "a": before,
                        "b": after,
                        "change": after - before,
                        "only": only,
                    }
                )
    return found


def _by_node(report: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    leaks, tables = report.get("contamination", {}), report.get("summaries", {})  # of old, there are none
    found = {}
    for node in report["nodes"]:
        name = node["node"]
        found[name] = counts_of(node) | leaks_of(leaks.get(name)) | told_by(tables.get(name, ()))
    return found


def told_by(tables: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The whole numbers in the tables that a sink told.

    >>> mixture = {"title": "mixture", "columns": ["source", "taken", "epochs"], "rows": [["web", 7, 1.5]]}
    >>> told_by([mixture, {"title": "trained", "columns": ["documents"], "rows": [[8]]}])
    {'mixture: web: taken': 7, 'trained: documents': 8}
    """
    counts = {}
    for table in tables:
        for row in table["rows"]:
            title = f"{table['title']}: {row[0]}" if isinstance(row[0], str) else table["title"]
            for column, cell in zip(table["columns"], row, strict=True):
                if isinstance(cell, int) and cell:
                    counts[f"{title}: {column}"] = cell
    return counts


def leaks_of(section: Mapping[str, Any] | None) -> dict[str, int]:
    """What a report counts of the benchmark items that a node found: documents, and items of each benchmark.

    >>> part = {"documents": 3, "items": 2}
    >>> leaks_of(
    ...     {
    ...         "documents": {"found": 3, "decided": 0, "classes": {"input_only": 3}},
    ...         "definitions": [{"definition": "ngram_13", **part}],
    ...         "benchmarks": [{"benchmark": "gsm8k", **part}],
    ...     }
    ... )["found by ngram_13: items"]
    2
    """
    if not section:
        return {}
    documents = section["documents"]
    counts = {f"{what}: documents": documents[name] for name, what in _LEAKS.items()}
    counts |= {f"leak {name}: documents": n for name, n in documents["classes"].items()}
    for group, name, title in (
        ("definitions", "definition", "found by"),
        ("benchmarks", "benchmark", "items of"),
    ):
        for row in section[group]:
            counts |= {f"{title} {row[name]}: {what}": row[what] for what in ("documents", "items")}
    return {name: n for name, n in counts.items() if n}


def counts_of(node: Mapping[str, Any]) -> dict[str, int]:
    """What a report counts of a node, by one name each, such as `kept` and `rejected: near_duplicate`."""
    total = node["total"]
    counts = {name: total[name] for name in COUNTED}
    for group in GROUPS:
        counts |= {f"{group}: {name}": n for name, n in total[group].items()}
    for column, values in total["values"].items():
        counts |= {f"{column}: {value}": n for value, n in values.items()}
    return {name: n for name, n in (counts | _copies(node)).items() if n}


def _copies(node: Mapping[str, Any]) -> dict[str, int]:
    """Clusters and histograms; a report of an earlier release has none."""
    clusters = node.get("clusters")
    counts = (
        {"clusters": clusters["clusters"], "largest cluster": clusters["sizes"][-1][0]} if clusters else {}
    )
    for name, measured in node.get("measures", {}).items():
        bins = bin_names(measured["edges"], most=1.0 if name == "similarity" else None)
        counts |= {f"{name}: {b}": n for b, n in zip(bins, measured["counts"], strict=True)}
    return counts


def diff_inputs(a: Sequence[Sequence[Any]], b: Sequence[Sequence[Any]]) -> dict[str, int]:
    """How the partitions of two manifests differ: only in a, only in b, other bytes under the same name."""
    left, right = ({(source, split): digest for _, source, split, digest in p} for p in (a, b))
    shared = left.keys() & right.keys()
    return {
        "only_a": len(left.keys() - shared),
        "only_b": len(right.keys() - shared),
        "changed": sum(left[key] != right[key] for key in shared),
    }


def _read_partitions(run: OpenRun) -> list[Sequence[Any]]:
    """Partitions that were read, not those that nodes made of them."""
    return [partition for partition in run.manifest["partitions"] if partition[1] not in run.arranging]


def diff_runs(first: OpenRun, second: OpenRun) -> dict[str, Any]:
    """All that differs between two finished runs, as plain JSON."""
    return {
        "a": first.identifier,
        "b": second.identifier,
        "config": diff_configs(first.manifest["config"], second.manifest["config"]),
        "inputs": diff_inputs(*map(_read_partitions, (first, second))),
        "versions": diff_configs(first.manifest["versions"], second.manifest["versions"]),
        "counts": diff_reports(first.read_json("report.json"), second.read_json("report.json")),
    }


def diff_text(first: OpenRun, second: OpenRun) -> str:
    """The comparison for a person."""
    found = diff_runs(first, second)
    lines = [f"{found['a']} -> {found['b']}", "", *_settings("config", found["config"])]
    if found["versions"]:
        lines += ["", *_settings("versions", found["versions"])]
    inputs = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in found["inputs"].items() if n)
    lines += ["", f"inputs: {inputs} (partitions)" if inputs else "inputs: equal", "", "counts:"]
    told = [row for row in found["counts"] if row["what"] not in TOLD_ABOVE]
    return "\n".join([*lines, *(_count_lines(told) or ["  equal"])])


def _settings(title: str, changes: Mapping[str, Sequence[Any]]) -> list[str]:
    return [f"{title}:", *([f"  {path}: {a} -> {b}" for path, (a, b) in changes.items()] or ["  equal"])]


def _count_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line a count, aligned."""
    widths = [max((len(row[column]) for row in rows), default=0) for column in ("node", "what")]
    lines = []
    for row in rows:
        name = f"{row['node']:<{widths[0]}}  {row['what']:<{widths[1]}}"
        only = f"  (only {row['only']} has the node)" if row["only"] else ""
        lines.append(f"  {name}  {row['a']:>12,} -> {row['b']:>12,}  {row['change']:>+12,}{only}")
    return lines
