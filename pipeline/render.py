"""report.json as one self-contained HTML page: no request leaves it, and what it quotes is escaped."""

from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.progress import seconds_text
from pipeline.report import size_text


def bar(total: float, passed: float, widest: float) -> Markup:
    """A bar as wide as `total` is of `widest`, its first part what passed.

    >>> bar(0, 0, 0)
    Markup('<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img"></svg>')
    """
    kept = 100 * passed / widest if widest else 0
    gone = 100 * (total - passed) / widest if widest else 0
    parts = [(0.0, kept, "var(--kept)"), (kept, gone, "var(--gone)")]
    drawn = "".join(
        f'<rect x="{x:.2f}" width="{width:.2f}" height="8" style="fill:{fill}"/>'
        for x, width, fill in parts
        if width > 0
    )
    svg = f'<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img">{drawn}</svg>'
    return Markup(svg)  # noqa: S704  (numbers and our own words alone)


def by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Entries, the most frequent first.

    >>> by_count({"a": 1, "b": 2})
    [('b', 2), ('a', 1)]
    """
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def render_html(report: Mapping[str, Any], timings: Mapping[str, Any]) -> str:
    """The page.

    Args:
        report: what `build_report` made.
        timings: what `build_timings` made.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "number": lambda n: f"{n:,}",
        "size": size_text,
        "duration": seconds_text,
        "by_count": by_count,
    }
    nodes = report["nodes"]
    return environment.get_template("report.html.j2").render(
        report=report,
        timings=timings,
        bar=bar,
        read=sum(report["sources"].values()),
        sinks=[n for n in nodes if n["kind"] == "sink"],
        tokens=max((n["total"]["tokens_kept"] for n in nodes), default=0),
        widest=max((n["total"]["in"] for n in nodes), default=0),
        longest=max(timings["node_cpu_s"].values(), default=0),
        samples=_samples(report),
        values=_values(report),
    )


def _samples(report: Mapping[str, Any]) -> list[tuple[str, str, int, list[dict[str, Any]]]]:
    """(node, reason, count, samples), nodes in their order, the most frequent reason first."""
    found = []
    for node in report["nodes"]:
        offered = report["samples"].get(node["node"], {})
        counts = node["total"]["rejected"] | node["total"]["failed"]
        found += [(node["node"], r, c, offered.get(r, [])) for r, c in by_count(counts)]
    return found


def _values(report: Mapping[str, Any]) -> list[tuple[str, str, dict[str, int]]]:
    """(node, column, documents of each value), all sources together."""
    found = []
    for node in report["nodes"]:
        columns: dict[str, dict[str, int]] = {}
        for account in node["sources"].values():
            for column, counts in account["values"].items():
                merged = columns.setdefault(column, {})
                for value, count in counts.items():
                    merged[value] = merged.get(value, 0) + count
        found += [(node["node"], column, counts) for column, counts in columns.items()]
    return found
