"""What the report says of benchmark items, as text for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.terminal import aligned, printable

SHOWN = 5  # sources, and items; report.json and the page have more
LINE = 100  # characters of a text
_PARTS = ("only_a", "only_b", "both")


def contamination_text(report: Mapping[str, Any]) -> str:
    """What the report says of benchmark items, a paragraph for each node that found some; empty where none did."""
    sections = report.get("contamination", {})
    found = [(n["node"], sections[n["node"]]) for n in report["nodes"] if n["node"] in sections]
    return "\n\n".join(
        "\n".join(_section_lines(node, section)) for node, section in found if section["documents"]["found"]
    )


def _section_lines(node: str, section: Mapping[str, Any]) -> list[str]:
    documents = section["documents"]
    lines = [
        f"{node}: {section['items']['found']:,} benchmark items in {documents['found']:,} of "
        f"{documents['seen']:,} documents; {fates_text(documents)}"
    ]
    told = [
        f"{row['source']} {row['found']:,} of {row['seen']:,} ({100 * row['share']:.1f} %)"
        for row in section["sources"]
        if row["found"]
    ]
    more = f", and {len(told) - SHOWN} more sources" if len(told) > SHOWN else ""
    lines += [f"  by source  {', '.join(told[:SHOWN])}{more}"]
    lines += ["  below, by class: documents / items, each once in a row, at its gravest class", ""]
    lines += _tables(section)
    return [*lines, "", *_top_lines(section["top"])]


def fates_text(documents: Mapping[str, Any]) -> str:
    """How many documents had what decides, and what became of them.

    >>> fates_text({"removed": 3, "cut": 0, "decided": 4}), fates_text({"removed": 0, "cut": 0, "decided": 4})
    ('4 had what decides, 3 removed', '4 had what decides, none removed')
    """
    parts = [f"{documents[name]:,} {name}" for name in ("removed", "cut") if documents[name]]
    return f"{documents['decided']:,} had what decides, {', '.join(parts) or 'none removed'}"


def _tables(section: Mapping[str, Any]) -> list[str]:
    classes = list(section["documents"]["classes"])
    head = ("documents", "items", *(name.replace("_", " ") for name in classes))
    rows = [("definition", *head, "found by no other")]
    rows += [
        (printable(r["definition"]), *_cells(r, classes), _pair(r["alone"])) for r in section["definitions"]
    ]
    lines = aligned(rows)
    if len(section["definitions"]) > 1:
        rows = [("definitions", "only the first", "only the second", "both", "")]
        rows += [
            (f"{printable(r['a'])}, {printable(r['b'])}", *(f"{r['documents'][k]:,}" for k in _PARTS), "")
            for r in section["agreement"]
        ]
        lines += ["", *aligned(rows)]
    rows = [("benchmark", *head, "of its items")]
    for row in section["benchmarks"]:
        share = "" if not row["of"] else f"{row['of']:,} ({100 * row['items'] / row['of']:.1f} %)"
        rows.append((printable(row["benchmark"]), *_cells(row, classes), share))
    return [f"  {line}".rstrip() for line in [*lines, "", *aligned(rows)]]


def _cells(row: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    by_class = [row["classes"].get(name, {"documents": 0, "items": 0}) for name in classes]
    return [f"{row['documents']:,}", f"{row['items']:,}", *map(_pair, by_class)]


def _pair(counts: Mapping[str, int]) -> str:
    return f"{counts['documents']:,} / {counts['items']:,}"


def _top_lines(top: Sequence[Mapping[str, Any]]) -> list[str]:
    """The items that most documents have: text, and one document's passage."""
    lines = ["  leaked most"]
    for item in top[:SHOWN]:
        name = f"{printable(item['benchmark'])} {printable(item['item'])}"
        lines.append(f"    {item['documents']:,}  {name}, {item['class'].replace('_', ' ')}")
        if item["question"]:
            lines.append(f"        item      {_line(item['question'])}")
        if passage := item["passage"]:
            lines.append(f"        document  {_line(passage['passage'])}")
            lines.append(f"                  in {printable(passage['id'])}")
    return lines


def _line(text: str, most: int = LINE) -> str:
    words = " ".join(text.split())
    return printable(words if len(words) <= most else f"{words[:most]}...")
