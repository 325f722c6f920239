"""report.json: sums, funnel, groups of reasons; what is in it repeats on any machine."""

import json
from pathlib import Path

import pytest

from pipeline.api import parse
from pipeline.books import Books
from pipeline.desk import Outcome
from pipeline.report import build_timings, funnel_text, gone, lost, out_of, size_text
from pipeline.terminal import aligned
from tests.support.corpora import full_config, run_here
from tests.support.data import ROOT


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return run_here(full_config(tmp_path_factory.mktemp("report")))


@pytest.fixture(scope="module")
def report(result):
    return json.loads(Path(result.folder, "report.json").read_text("utf-8"))


def node(report, name):
    return next(n for n in report["nodes"] if n["node"] == name)


def test_a_total_is_the_sum_of_its_sources(report):
    for n in report["nodes"]:
        for counter in ("in", "kept", "written", "made", "edited", "bytes_kept"):
            assert n["total"][counter] == sum(a[counter] for a in n["sources"].values()), (n["node"], counter)
        for group in ("rejected", "failed", "sums"):
            for name, count in n["total"][group].items():
                assert count == sum(a[group].get(name, 0) for a in n["sources"].values())
    assert node(report, "length")["total"]["rejected"].keys() == {"too_short"}


def test_the_funnel_of_a_source_starts_with_it_and_loses_what_the_books_say(report):
    assert set(report["funnel"]) == {"lines", "more"} == set(report["sources"])
    for source, steps in report["funnel"].items():
        assert steps[0]["node"] == source
        assert steps[0]["out"] == report["sources"][source]
        for step in steps:
            made = node(report, step["node"])["sources"][source]["made"]
            assert step["in"] + made == step["out"] + step["rejected"] + step["failed"], step
    assert "list" not in {step["node"] for step in report["funnel"]["lines"]}


def test_duplicates_by_reason_and_source(report):
    unique = node(report, "unique")
    expected = {s: a["rejected"]["exact_duplicate"] for s, a in unique["sources"].items() if a["rejected"]}
    assert report["duplicates"] == {
        "unique": {"exact_duplicate": {"documents": sum(expected.values()), "sources": expected}}
    }
    assert sum(expected.values()) > 0
    assert report["contaminated"] == {}


def test_damaged_input_is_among_the_failures(report):
    assert report["failed"] == {"lines": {"damaged_line": 4}, "more": {"damaged_line": 2}}


def test_sinks_say_what_they_wrote(report):
    out = node(report, "out")
    assert report["sinks"]["out"] == out["total"]["written"] == out_of(out, out["total"]) > 0


def test_helpers_count_what_left_a_node(report):
    account = node(report, "length")["total"]
    assert account["in"] == account["kept"] + gone(account) + lost(account)


BOOM = """
version: 1
run: {{output: {out}, error_allowance: 1000}}
nodes:
  a: {{stage: read_lines, params: {{folder: {folder}}}}}
  b: {{stage: shout, inputs: [a], params: {{boom: cedar}}}}
  c: {{stage: write_rows, inputs: [b]}}
"""


def test_a_traceback_in_it_names_no_place_of_this_machine(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("alder\ncedar\n")
    result = run_here(parse(BOOM.format(out=tmp_path / "out", folder=tmp_path / "in")))
    text = json.dumps(result.report)
    assert "ValueError: boom on cedar" in text
    assert str(ROOT) not in text
    assert str(tmp_path) not in text
    assert result.report["failed"] == {"b": {"ValueError": 1}}


def test_nothing_read_is_a_report_too(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("")
    result = run_here(parse(BOOM.format(out=tmp_path / "out", folder=tmp_path / "in")))
    assert result.report["sources"] == {"a": 0}
    assert result.report["failed"] == {}
    assert [line.split() for line in funnel_text(result.report).split("\n")[1:]] == [
        ["a", "0", "0", "0", "B"],
        ["b", "0", "0", "0", "B"],
        ["c", "0", "0"],
    ]


def test_the_text_has_a_line_for_each_node_and_names_every_reason(report):
    lines = funnel_text(report).split("\n")
    assert [line.split()[0] for line in lines] == ["node", *(n["node"] for n in report["nodes"])]
    length = next(line for line in lines if line.startswith("length"))
    for reason, count in node(report, "length")["total"]["rejected"].items():
        assert f"{reason} {count}" in length
    assert "failed: damaged_line 4" in next(line for line in lines if line.startswith("lines"))
    assert "marked only: not_listed" in next(line for line in lines if line.startswith("known "))
    assert not [line for line in lines if line != line.rstrip()]


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_250_000, "1.2 MB"),
        (10**15, "1.0 PB"),
        (10**19, "10000.0 PB"),
    ],
)
def test_sizes(count, shown):
    assert size_text(count) == shown


def test_aligned_columns_stand_under_each_other():
    assert aligned([("a", "1", ""), ("bb", "22", "z")]) == ["a    1", "bb  22  z"]


def test_timings_of_nothing():
    timings = build_timings(Outcome(Books(0)), 0.0)
    assert (timings["cpu_s"], timings["peak_bytes"], timings["hosts"], timings["slowest"]) == (0, 0, [], [])


def test_timings_add_up_by_node():
    tasks = [
        {
            "seconds": s,
            "cpu_s": 1.0,
            "peak_bytes": 10 * s,
            "host": "h",
            "node_cpu_s": {"a": 0.5, "b": float(s)},
        }
        for s in (1, 2)
    ]
    timings = build_timings(Outcome(Books(0), timings=tasks, executed=2), 3.0)
    assert list(timings["node_cpu_s"].items()) == [("b", 3.0), ("a", 1.0)]
    assert (timings["cpu_s"], timings["peak_bytes"], timings["hosts"]) == (2.0, 20, ["h"])
    assert [t["seconds"] for t in timings["slowest"]] == [2, 1]
