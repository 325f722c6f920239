"""`report.json` and `timings.json` as one self-contained HTML page: nothing is fetched, no script runs.

Samples are text of the web: the template escapes everything, and the page's own policy forbids whatever an
escape that was missed could do.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from pipeline import charts
from pipeline.charts import similarity_chart
from pipeline.clusters import bin_names, size_table
from pipeline.picture import draw
from pipeline.progress import seconds_text
from pipeline.report import gone, lost, out_of, size_text
from pipeline.summaries import bar_widths, cell_text

TEMPLATES = Path(__file__).parent / "templates"
BAR = 100  # width of a bar, in the units of its picture


@functools.cache
def _environment() -> jinja2.Environment:
    """Where templates are compiled, once a process."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": lambda n: f"{n:,}",
        "size": size_text,
        "duration": seconds_text,
        "share": share,
        "readable": readable,
        "evidence": evidence,
        "cell": cell_text,
        "bar_widths": lambda table: bar_widths(table, BAR),
    }
    return environment


def render_html(report: Mapping[str, Any], timings: Mapping[str, Any]) -> str:
    """The page.

    Args:
        report: as `build_report` makes it.
        timings: as `build_timings` makes it.
    """
    nodes = report["nodes"]
    template = _environment().get_template("report.html.j2")
    return template.render(
        report=report,
        timings=timings,
        picture=draw(nodes),
        facts=facts(report, timings),
        audit=report.get("audit"),
        sources=[n["node"] for n in nodes if n["kind"] == "source"],
        table=table(report),
        copies=copies(report),
        plot=charts,
        reasons=reasons(report),
        other_sums=other_sums(report),
        cpu=bars(timings["node_cpu_s"]),
    )


def share(part: float, whole: float) -> str:
    """A share in percent.

    >>> share(1, 8), share(0, 0), share(1, 100_000)
    ('12.5 %', '0 %', '<0.1 %')
    """
    if not part or not whole:
        return "0 %"
    percent = 100 * part / whole
    return "<0.1 %" if percent < 0.1 else f"{percent:.1f} %"


def readable(name: str) -> str:
    """A name in snake case as words."""
    return name.replace("_", " ")


def evidence(text: str | None) -> list[tuple[str, str]]:
    """A sample's evidence as names and values; traceback text stays whole."""
    if not text:
        return []
    value = json.loads(text)
    if not isinstance(value, dict):
        return [("evidence", str(value))]
    return [(name, _shown(inner)) for name, inner in value.items() if inner is not None]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def facts(report: Mapping[str, Any], timings: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The head of the page: what it is, the number, and a word on it."""
    totals = [n["total"] for n in report["nodes"]]
    read = sum(report["sources"].values())
    tokens = max((t["tokens_kept"] for t in totals), default=0)
    seconds, cpu = timings["seconds"], timings["cpu_s"]
    found = [("documents read", f"{read:,}", f"from {len(report['sources'])} sources")]
    found += [("written", f"{n:,}", f"to {sink}") for sink, n in _main_sinks(report)]
    found += [("rejected", f"{sum(map(gone, totals)):,}", "each with its reason")]
    found += [("failed", f"{sum(map(lost, totals)):,}", "set aside, not lost")]
    found += [("tokens", f"{tokens:,}", "in documents kept")] if tokens else []
    found += [("time", seconds_text(seconds), _tasks_text(timings["executed"], timings["reused"]))]
    if seconds and not timings["reused"]:
        found += [("speed", f"{read / seconds:,.0f}/s", "documents, from first to last")]
    if cpu:
        found += [("CPU", seconds_text(cpu), f"{read / cpu:,.0f} documents a CPU second")]
        found += [("peak memory", size_text(timings["peak_bytes"]), "of one worker process")]
    return found


def _main_sinks(report: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Sinks that take kept rows and are not there for another node's sake."""
    sides = {target for n in report["nodes"] for target in n.get("side", {}).values()}
    return [
        (n["node"], n["total"]["written"])
        for n in report["nodes"]
        if n["kind"] == "sink"
        and n["node"] not in sides
        and not all(e.endswith(".rejected") for e in n["inputs"])
    ]


def _tasks_text(executed: int, reused: int) -> str:
    if not executed:
        return f"all {reused:,} tasks were done before"
    return f"{executed:,} tasks" + (f", {reused:,} more were done before" if reused else "")


def table(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each node: its totals, and what it gave on of each source's documents."""
    sources = [n["node"] for n in report["nodes"] if n["kind"] == "source"]
    most = max((n["total"]["in"] for n in report["nodes"]), default=0) or 1
    rows = []
    for node in report["nodes"]:
        account = node["total"]
        out = out_of(node, account)
        rows.append(
            {
                "node": node["node"],
                "stage": node["stage"],
                "kind": node["kind"],
                "in": account["in"],
                "out": out,
                "rejected": gone(account),
                "failed": lost(account),
                "bytes": account["bytes_in"] if node["kind"] == "sink" else account["bytes_kept"],
                "tokens": account["tokens_kept"],
                "bar": (out * BAR / most, gone(account) * BAR / most, lost(account) * BAR / most),
                "notes": _notes(account),
                "sources": [_cell(node, source) for source in sources],
            }
        )
    return rows


def other_sums(report: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Sums that the section on personal data does not show, by node."""
    shown = report["personal_data"]
    found = {
        n["node"]: {c: v for c, v in n["total"]["sums"].items() if c not in shown.get(n["node"], {})}
        for n in report["nodes"]
    }
    return {node: columns for node, columns in found.items() if columns}


def _cell(node: Mapping[str, Any], source: str) -> dict[str, int] | None:
    account = node["sources"].get(source)
    if account is None:
        return None
    size = account["bytes_in"] if node["kind"] == "sink" else account["bytes_kept"]
    return {"out": out_of(node, account), "bytes": size, "tokens": account["tokens_kept"]}


def _notes(account: Mapping[str, Any]) -> list[str]:
    """What else the books say of a node, a phrase each."""
    notes = [f"{account['edited']:,} edited"] if account["edited"] else []
    notes += [f"{account['made']:,} more made by division"] if account["made"] else []
    notes += [f"{account['unread']:,} read by no one"] if account["unread"] else []
    notes += [f"{sum(account['marked'].values()):,} marked only"] if account["marked"] else []
    return notes


def reasons(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every reason and error with its count and samples, by node."""
    found = []
    for node in report["nodes"]:
        account, samples = node["total"], report["samples"].get(node["node"], {})
        rows = []
        for group in ("rejected", "failed", "marked"):
            counts = sorted(account[group].items(), key=lambda item: (-item[1], item[0]))
            for reason, count in counts:
                by_source = {s: a[group].get(reason, 0) for s, a in node["sources"].items()}
                rows.append(
                    {
                        "group": group,
                        "reason": reason,
                        "count": count,
                        "sources": {s: n for s, n in by_source.items() if n},
                        "samples": samples.get(reason, []) if group != "marked" else [],
                    }
                )
        if rows:
            most = max(row["count"] for row in rows)
            for row in rows:
                row["bar"] = row["count"] * BAR / most
            found.append({"node": node["node"], "stage": node["stage"], "in": account["in"], "rows": rows})
    return found


def copies(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the section on duplicates shows of each node: sources by share lost, similarities, clusters."""
    found = []
    for node in report["nodes"]:
        clusters, measures = node["clusters"], node["measures"]
        measured = measures.get("similarity")
        shown = {
            "node": node["node"],
            "stage": node["stage"],
            "losses": report["losses"].get(node["node"], []),
            "chart": similarity_chart(measured, node["params"]) if measured else None,
            "params": node["params"],
            "clusters": clusters,
            "sizes": size_table(clusters["sizes"]) if clusters else [],
            "measures": [
                (name, histogram(m["edges"], m["counts"]))
                for name, m in measures.items()
                if name != "similarity" and not (name == "cluster_size" and clusters) and any(m["counts"])
            ],
        }
        if any(shown[key] for key in ("losses", "chart", "clusters", "measures")):
            found.append(shown)
    return found


def histogram(edges: Sequence[float], counts: Sequence[int]) -> list[tuple[str, int, float]]:
    """Bins from the first to the last that is not empty, with the widths of their bars."""
    used = [i for i, count in enumerate(counts) if count]
    rows = list(zip(bin_names(edges), counts, strict=True))[used[0] : used[-1] + 1]
    return [(name, count, count * BAR / max(counts)) for name, count in rows]


def bars(values: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Names with their values and the widths of their bars, the largest first."""
    most = max(values.values(), default=0) or 1
    return [
        (name, value, value * BAR / most)
        for name, value in sorted(values.items(), key=lambda i: (-i[1], i[0]))
    ]
