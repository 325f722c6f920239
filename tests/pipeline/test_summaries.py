"""Tables that sinks tell: held against their form, in the report, on the page, in the terminal, in a diff."""

import json
from pathlib import Path

import pytest

from pipeline.api import open_run
from pipeline.diff import diff_runs
from pipeline.errors import StageError
from pipeline.render import BAR, render_html
from pipeline.stage import Summary
from pipeline.summaries import bar_widths, summaries_text, told
from tests.support.corpora import full_config, run_here


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("summaries")
    return [run_here(full_config(tmp, min_length=n)) for n in (5, 12, 12)]


def test_the_report_has_them(runs):
    report = runs[0].report
    assert set(report["summaries"]) == set(report["sinks"])
    for node, (table,) in report["summaries"].items():
        assert table["title"] == "files <of rows>"
        assert sum(row[1] for row in table["rows"]) == report["sinks"][node]


def test_a_run_that_was_done_before_says_the_same(runs):
    assert runs[2].executed == 0
    assert runs[2].report["summaries"] == runs[1].report["summaries"]


def test_the_page_shows_them(runs):
    html = (Path(runs[0].folder) / "report.html").read_text("utf-8")
    assert "files &lt;of rows&gt;" in html
    assert "files <of rows>" not in html
    assert 'href="#outputs"' in html
    timings = json.loads((Path(runs[0].folder) / "timings.json").read_text("utf-8"))
    nodes = [n["node"] for n in runs[0].report["nodes"]]
    shown = [html.index(f'<h3>{n} <span class="quiet">files') for n in nodes if n in runs[0].report["sinks"]]
    assert shown == sorted(shown)
    old = {k: v for k, v in runs[0].report.items() if k != "summaries"}  # of an earlier release
    for report in (old, runs[0].report | {"summaries": {}}):
        assert "#outputs" not in render_html(report, timings)


def test_as_text(runs):
    report = {
        "nodes": [{"node": "read"}, {"node": "mix"}],
        "summaries": {
            "mix": told(
                "mix",
                [Summary("mixture", ["source", "taken", "epochs"], [["w\x1b", 1234, 1.5], ["b", 5, 0.25]])],
            )
        },
    }
    assert summaries_text(report).split("\n") == [
        "mix: mixture",
        "  source  taken  epochs",
        "  w\\x1b   1,234    1.50",
        "  b           5    0.25",
    ]
    assert summaries_text({"nodes": []}) == ""
    assert len(summaries_text(runs[0].report).split("\n\n")) == len(runs[0].report["summaries"])


def test_a_diff_compares_their_whole_numbers(runs):
    rows = diff_runs(*(open_run(r.folder) for r in runs[:2]))["counts"]
    changed = [row for row in rows if row["what"].startswith("files <of rows>: ")]
    assert {row["what"].rsplit(": ")[-1] for row in changed} == {"rows", "letters"}
    assert all(row["change"] == row["b"] - row["a"] for row in changed)


@pytest.mark.parametrize(
    ("rows", "bar", "message"),
    [
        ([["a"]], None, "a row has 1 cells for 2 columns"),
        ([["a", None]], None, "None is no text and no number"),
        ([["a", True]], None, "True is no text and no number"),
        ([["a", float("nan")]], None, "nan is not finite"),
        ([["a", 1]], "c", "draws 'c', which is not among its columns"),
    ],
)
def test_a_table_of_another_form_is_the_stages_fault(rows, bar, message):
    with pytest.raises(StageError, match=rf"^node 'out': summary 'facts': {message}"):
        told("out", [Summary("facts", ["a", "b"], rows, bar)])


def test_the_longest_bar_is_the_whole_width():
    (table,) = told("x", [Summary("t", ["a", "b"], [["p", 1], ["q", 4], ["r", "none"], ["s", -1]], "b")])
    assert bar_widths(table, BAR) == [BAR / 4, BAR, 0, 0]
    assert bar_widths(table | {"bar": None}, BAR) is None
    assert bar_widths(table | {"rows": []}, BAR) == []
