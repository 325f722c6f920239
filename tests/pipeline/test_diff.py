"""Two runs side by side."""

import copy

import pytest

from pipeline.api import open_run
from pipeline.diff import COUNTED, GROUPS, diff_configs, diff_inputs, diff_reports, diff_runs, diff_text
from tests.support.corpora import full_config, run_here


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("diff")
    results = [run_here(full_config(tmp, min_length=n)) for n in (5, 12)]
    return [open_run(r.folder) for r in results]


def test_a_changed_threshold_and_what_it_did(runs):
    found = diff_runs(*runs)
    assert found["config"] == {"nodes.length.params.min_length": [5, 12]}
    assert found["inputs"] == {"only_a": 0, "only_b": 0, "changed": 0}
    assert found["versions"] == {}
    by_count = {(row["node"], row["what"]): row for row in found["counts"]}
    more = by_count["length", "rejected: too_short"]
    assert more["change"] == more["b"] - more["a"] > 0
    assert by_count["length", "kept"]["change"] == -more["change"]
    assert by_count["length", "bytes_kept"]["change"] < 0
    assert not [node for node, _ in by_count if node in ("lines", "more", "list")]


def test_the_other_way_round_is_the_same_with_the_sign_turned(runs):
    there = {(r["node"], r["what"]): (r["a"], r["b"], r["change"]) for r in diff_runs(*runs)["counts"]}
    back = {(r["node"], r["what"]): (r["b"], r["a"], -r["change"]) for r in diff_runs(*runs[::-1])["counts"]}
    assert there == back
    assert there


def test_a_run_differs_in_nothing_from_itself(runs):
    text = diff_text(runs[0], runs[0])
    assert text.count("equal") == 3
    assert diff_runs(runs[0], runs[0])["counts"] == []


def test_as_text(runs):
    lines = diff_text(*runs).split("\n")
    assert lines[0] == f"{runs[0].identifier} -> {runs[1].identifier}"
    assert "  nodes.length.params.min_length: 5 -> 12" in lines
    assert "inputs: equal" in lines
    (line,) = [line for line in lines if "rejected: too_short" in line]
    assert line.split()[0] == "length"
    assert line.split()[-1].startswith("+")


def test_the_text_leaves_out_what_the_nodes_above_have_told(runs):
    told = {tuple(line.split()[:2]) for line in diff_text(*runs).split("counts:")[1].split("\n") if line}
    everything = {(row["node"], row["what"]) for row in diff_runs(*runs)["counts"]}
    assert ("loud", "in") in everything
    assert ("loud", "kept") in told
    assert not {what for _, what in told} & {"in", "bytes_in"}


def test_a_node_that_only_one_has(runs):
    report = runs[0].read_json("report.json")
    less = copy.deepcopy(report)
    less["nodes"] = [n for n in less["nodes"] if n["node"] != "letters"]
    rows = diff_reports(report, less)
    assert {(r["node"], r["only"]) for r in rows} == {("letters", "a")}
    assert all(r["b"] == 0 and r["change"] == -r["a"] for r in rows)
    assert {r["only"] for r in diff_reports(less, report)} == {"b"}


def test_settings_that_only_one_has():
    a = {"run": {"seed": 1}, "nodes": {"x": {"params": {}}}}
    b = {"run": {"seed": 1}, "nodes": {"x": {"params": {"n": [1]}}}}
    assert diff_configs(a, b) == {
        "nodes.x.params": [{}, "(none)"],
        "nodes.x.params.n": ["(none)", [1]],
    }


def test_inputs_by_name_and_bytes():
    a = [[0, "web", "a.gz", "11"], [1, "web", "b.gz", "22"], [2, "web", "c.gz", "33"]]
    b = [[0, "web", "b.gz", "22"], [1, "web", "c.gz", "34"]]
    assert diff_inputs(a, b) == {"only_a": 1, "only_b": 0, "changed": 1}


def test_counts_by_value_are_compared():
    def report(counts):
        total = dict.fromkeys(COUNTED, 0) | {group: {} for group in GROUPS} | {"values": {"lang": counts}}
        return {"nodes": [{"node": "lang", "total": total}]}

    rows = diff_reports(report({"en": 5, "de": 2}), report({"en": 7, "fr": 1}))
    assert {r["what"]: r["change"] for r in rows} == {"lang: en": 2, "lang: de": -2, "lang: fr": 1}


def test_benchmark_items_are_compared():
    def report(found, items):
        total = dict.fromkeys(COUNTED, 0) | {group: {} for group in GROUPS} | {"values": {}}
        row = {"documents": found, "items": items}
        leaks = {
            "documents": {"seen": 90, "found": found, "decided": 1, "classes": {"input_only": found}},
            "definitions": [{"definition": "ngram_13", **row}],
            "benchmarks": [{"benchmark": "gsm8k", **row}],
        }
        return {"nodes": [{"node": "clean", "total": total}], "contamination": {"clean": leaks}}

    rows = diff_reports(report(5, 3), report(8, 3))
    assert {row["what"]: row["change"] for row in rows} == {
        "with benchmark items: documents": 3,
        "leak input_only: documents": 3,
        "found by ngram_13: documents": 3,
        "items of gsm8k: documents": 3,
    }
    (row,) = [r for r in diff_reports(report(5, 3), report(5, 4)) if r["what"] == "items of gsm8k: items"]
    assert (row["a"], row["b"]) == (3, 4)
    nothing = report(5, 3) | {"contamination": {}}  # a report of an earlier release
    assert len(diff_reports(nothing, report(5, 3))) == 7
