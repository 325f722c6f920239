"""The report's part on copies of documents: what each source lost, and the whole of it as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.clusters import bin_names, dense, size_table
from pipeline.stage import Stage
from pipeline.terminal import aligned, printable

SHOWN = 5  # clusters and sources in the text; report.json and the page have more
BLOCKS = 24  # characters of the longest bar
CURVE = ("bands", "rows_per_band", "threshold")


def is_duplicate(reason: str) -> bool:
    """Whether a reason says that a document is a copy of another.

    >>> [is_duplicate(r) for r in ("near_duplicate", "duplicate_url", "too_many_duplicate_lines")]
    [True, True, False]
    """
    return reason.endswith("duplicate") or reason.startswith("duplicate_")


def curve_of(stage: Stage[Any]) -> dict[str, float]:
    """The numbers that an S-curve is drawn from, of a stage that measures similarities; those that it has.

    A stage that derives its bands says which in `shape()`: (bands, rows per band).
    """
    if "similarity" not in type(stage).measures:
        return {}
    found = {name: getattr(stage, name, None) for name in CURVE}
    if callable(shape := getattr(stage, "shape", None)):
        found["bands"], found["rows_per_band"] = shape()
    return {n: v for n, v in found.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def chance(similarity: float, params: Mapping[str, float]) -> float | None:
    """The chance that two documents share a band, 1 - (1 - s^r)^b; None for a node without bands.

    >>> round(chance(0.8, {"bands": 14, "rows_per_band": 8}), 3)
    0.924
    """
    if "bands" not in params or "rows_per_band" not in params:
        return None
    return float(1 - (1 - similarity ** params["rows_per_band"]) ** params["bands"])


def losses(nodes: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What each source lost as copies, the hardest hit first: node -> source, in, rejected, share."""
    found = {}
    for node in nodes:
        rows = []
        for source, account in node["sources"].items():
            fell = sum(n for reason, n in account["rejected"].items() if is_duplicate(reason))
            if fell:
                share = round(fell / account["in"], 6)
                rows.append({"source": source, "in": account["in"], "rejected": fell, "share": share})
        if rows:
            found[node["node"]] = sorted(rows, key=lambda row: (-row["share"], row["source"]))
    return found


def similarity_rows(node: Mapping[str, Any]) -> list[tuple[str, int, float | None]]:
    """Bins of a node's similarities between the first and the last that is not empty.

    Returns:
        name, documents, and the chance that bands find a pair from the middle of the bin.
    """
    measured = node.get("measures", {}).get("similarity")
    if not measured or not any(measured["counts"]):
        return []
    edges, counts = measured["edges"], measured["counts"]
    middles = [(a + b) / 2 for a, b in zip([0.0, *edges], [*edges, max(1.0, edges[-1])], strict=True)]
    rows = [
        (name, count, chance(min(middle, 1.0), node["params"]))
        for name, count, middle in zip(bin_names(edges, most=1.0), counts, middles, strict=True)
    ]
    used = [i for i, (_, count, _) in enumerate(rows) if count]
    return rows[used[0] : used[-1] + 1]


def measures_of(stage: Stage[Any], counted: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, Any]]:
    """A node's histograms as the report has them."""
    return {
        name: {"edges": list(edges), "counts": dense(counted.get(name, {}), edges)}
        for name, edges in type(stage).measures.items()
    }


# --- as text ----------------------------------------------------------------------------------------


def duplicates_text(report: Mapping[str, Any]) -> str:
    """What the report says of copies, a paragraph for each node that found some; empty where none did."""
    paragraphs = [
        lines
        for node in report["nodes"]
        if (lines := _node_lines(node, report["duplicates"].get(node["node"], {}), report.get("losses", {})))
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs)


def _node_lines(
    node: Mapping[str, Any], reasons: Mapping[str, Any], lost: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    if not reasons:
        return []
    clusters = node.get("clusters")
    what = ", ".join(f"{counts['documents']:,} {reason}" for reason, counts in reasons.items())
    lines = [f"{node['node']}: {what}" + (f" in {clusters['clusters']:,} clusters" if clusters else "")]
    told = [
        f"{row['source']} {row['rejected']:,} of {row['in']:,} ({100 * row['share']:.1f} %)"
        for row in lost.get(node["node"], ())
    ]
    if told:
        more = f", and {len(told) - SHOWN} more sources" if len(told) > SHOWN else ""
        lines.append(f"  lost by source  {', '.join(told[:SHOWN])}{more}")
    if clusters:
        table = size_table(clusters["sizes"])
        sizes = [f"{number:,} with {name}" for name, number, _ in table]
        lines.append(f"  clusters        {', '.join([f'{sizes[0]} documents', *sizes[1:]])}")
        top = clusters["largest"][:SHOWN]
        rows = [(f"{c['size']:,}", printable(c["survivor"])) for c in top]
        first, *others = aligned(rows, left=())
        lines += [f"  largest         {first}", *(f"{'':18}{line}" for line in others)]
    return lines + _similarity_lines(node)


def _similarity_lines(node: Mapping[str, Any]) -> list[str]:
    found = similarity_rows(node)
    if not found:
        return []
    most = max(count for _, count, _ in found)
    curved = found[0][2] is not None
    head = ("similarity", "documents", "", "found by bands") if curved else ("similarity", "documents", "")
    rows = [head]
    for name, count, found_with in found:
        bar = "#" * -(-count * BLOCKS // most)
        shown = (name, f"{count:,}", bar)
        rows.append((*shown, f"{100 * found_with:.1f} %") if found_with is not None else shown)
    return [f"  {line}" for line in aligned(rows, left=(0, 2))]
