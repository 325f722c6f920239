"""What the report says of copies: measures, clusters, losses; equal however a run is cut, and equal to a slow count."""

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from pipeline import charts
from pipeline.api import open_run
from pipeline.charts import similarity_chart
from pipeline.clusters import dense
from pipeline.diff import diff_reports
from pipeline.duplicates import chance, curve_of, duplicates_text, is_duplicate, losses, similarity_rows
from pipeline.render import render_html
from tests.support.copies import SIMILARITIES, Copies, copies_run
from tests.support.corpora import WORDS, rows
from tests.support.toy import Measure

HOSTILE = '</details><script>alert(1)</script><img src=x onerror="alert(2)">\x1b[2J'


def texts(seed, count):
    numbers = random.Random(seed)
    return [
        f"k{min(int(numbers.expovariate(0.2)), 30)} {' '.join(numbers.choices(WORDS, k=6))}"
        for _ in range(count)
    ]


LINES, MORE = texts(1, 90), texts(2, 40)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return copies_run(tmp_path_factory.mktemp("copies"), LINES, MORE, files=3)


@pytest.fixture(scope="module")
def near(result):
    return next(n for n in result.report["nodes"] if n["node"] == "near")


@pytest.fixture(scope="module")
def fell(result):
    found = rows(result.sink("why"))
    return [{**row, **json.loads(row["evidence"])} for row in found]


def test_measures_are_those_of_the_rejected_rows(near, fell):
    measured = near["measures"]
    assert measured["similarity"]["edges"] == list(SIMILARITIES)
    expected = Counter(sum(row["similarity"] >= edge for edge in SIMILARITIES) for row in fell)
    assert measured["similarity"]["counts"] == [expected[i] for i in range(len(SIMILARITIES) + 1)]
    assert sum(measured["cluster_size"]["counts"]) == len(fell) == near["total"]["rejected"]["near_duplicate"]
    assert measured["cluster_size"]["counts"][0] == 0


def test_clusters_are_those_of_the_rejected_rows(near, fell):
    by_survivor = Counter(row["survivor"] for row in fell)
    sizes = Counter(count + 1 for count in by_survivor.values())
    clusters = near["clusters"]
    assert clusters["sizes"] == [[size, n, n * (size - 1)] for size, n in sorted(sizes.items())]
    assert (clusters["clusters"], clusters["documents"]) == (len(by_survivor), len(fell))
    expected = sorted(by_survivor, key=lambda s: (-by_survivor[s], s))[:20]
    assert [(c["survivor"], c["size"]) for c in clusters["largest"]] == [
        (s, by_survivor[s] + 1) for s in expected
    ]
    for cluster in clusters["largest"]:
        mine = {row["id"]: row for row in fell if row["survivor"] == cluster["survivor"]}
        assert sum(cluster["sources"].values()) == len(mine)
        assert len(cluster["samples"]) == min(len(mine), 2)  # run.samples
        for sample in cluster["samples"]:
            assert sample["similarity"] == mine[sample["id"]]["similarity"]
            assert sample["excerpt"] == mine[sample["id"]]["text"]


def test_losses_name_the_hardest_hit_source_first(result, near):
    found = result.report["losses"]["near"]
    assert {row["source"] for row in found} == {"lines", "more"}
    assert [row["share"] for row in found] == sorted((row["share"] for row in found), reverse=True)
    for row in found:
        account = near["sources"][row["source"]]
        assert row["rejected"] == account["rejected"]["near_duplicate"]
        assert row["share"] == round(row["rejected"] / account["in"], 6)


def test_a_source_that_is_wiped_out_stands_first():
    def node(rejected):
        sources = {s: {"in": 10, "rejected": r} for s, r in rejected.items()}
        return {"node": "near", "sources": sources}

    found = losses(
        [node({"a": {"near_duplicate": 1, "other": 9}, "b": {"duplicate_url": 10}, "c": {"too_short": 3}})]
    )
    assert [(row["source"], row["share"]) for row in found["near"]] == [("b", 1.0), ("a", 0.1)]
    assert losses([node({"c": {"too_short": 3}})]) == {}


@pytest.mark.parametrize(
    "settings",
    ["batch_rows: 3", "batch_rows: 1, buckets: 4", "batch_bytes: 200"],
    ids=["rows", "buckets", "bytes"],
)
def test_batches_do_not_count(tmp_path, result, settings):
    other = copies_run(tmp_path, LINES, MORE, files=3, run_=settings)
    for key in ("nodes", "losses", "duplicates", "samples"):
        assert other.report[key] == result.report[key], key


def test_what_is_only_marked_is_explained_too(tmp_path, near):
    report = copies_run(tmp_path, LINES, MORE, files=3, node="annotate_only: true").report
    marked = next(n for n in report["nodes"] if n["node"] == "near")
    assert marked["total"]["rejected"] == {}
    assert marked["clusters"] == near["clusters"]
    assert marked["measures"] == near["measures"]
    assert report["losses"] == {}


def test_an_audit_counts_each_row_once(tmp_path, near):
    report = copies_run(tmp_path, LINES, MORE, files=3, run_="audit: 0.5").report
    audited = next(n for n in report["nodes"] if n["node"] == "near")
    assert audited["total"]["marked"]
    assert audited["total"]["rejected"]
    assert audited["clusters"] == near["clusters"]


def test_a_stage_without_measures_has_none(result):
    for node in result.report["nodes"]:
        if node["node"] != "near":
            assert (node["params"], node["measures"], node["clusters"]) == ({}, {}, {})
    assert curve_of(Measure(min_length=1)) == {}


def test_the_curve_has_its_numbers(near):
    assert near["params"] == {"bands": 14, "rows_per_band": 8, "threshold": 0.1}
    assert chance(0.8, near["params"]) == pytest.approx(1 - (1 - 0.8**8) ** 14)
    assert chance(0.8, {"threshold": 0.8}) is None


def test_bands_that_a_stage_derives():
    class Derived(Copies):
        bands: int | None = None
        rows_per_band: int | None = None

        def shape(self):
            return 20, 5

    assert curve_of(Derived()) == {"bands": 20, "rows_per_band": 5, "threshold": 0.1}


@pytest.mark.parametrize(
    ("reason", "copy"),
    [
        ("exact_duplicate", True),
        ("duplicate_url", True),
        ("too_many_duplicate_lines", False),
        ("duplicated", False),
    ],
)
def test_reasons(reason, copy):
    assert is_duplicate(reason) == copy


# --- as text ----------------------------------------------------------------------------------------


def test_the_text_tells_it_in_lines(result, near):
    text = duplicates_text(result.report)
    lines = text.split("\n")
    clusters = near["clusters"]
    assert lines[0] == f"near: {clusters['documents']} near_duplicate in {clusters['clusters']} clusters"
    first = result.report["losses"]["near"][0]
    assert (
        f"{first['source']} {first['rejected']} of {first['in']} ({100 * first['share']:.1f} %)" in lines[1]
    )
    assert clusters["largest"][0]["survivor"] in text
    shown = [
        int(m[1]) for line in lines if (m := re.match(r"  (?:below )?[\d.]+(?: to [\d.]+)? +(\d+)  #*", line))
    ]
    assert sum(shown) == clusters["documents"]
    assert not [line for line in lines if line != line.rstrip()]


def test_no_copies_no_text(tmp_path):
    report = copies_run(tmp_path, ["a", "b"], ["c"]).report
    assert duplicates_text(report) == ""
    assert "No document was found to be a copy of another." in render_html(report, TIMINGS)


def test_ids_in_the_text_are_harmless(result):
    report = json.loads(json.dumps(result.report))
    next(n for n in report["nodes"] if n["node"] == "near")["clusters"]["largest"][0]["survivor"] = HOSTILE
    assert "\x1b" not in duplicates_text(report)


def test_a_report_of_an_earlier_release_is_printed(result):
    report = json.loads(json.dumps(result.report))
    del report["losses"]
    for node in report["nodes"]:
        del node["params"], node["measures"], node["clusters"]
    assert duplicates_text(report).startswith("near: ")


def test_rows_of_similarities_leave_out_empty_ends():
    counts = dense({"2": 3, "4": 5}, SIMILARITIES)
    node = {"measures": {"similarity": {"edges": SIMILARITIES, "counts": counts}}, "params": {}}
    assert similarity_rows(node) == [
        ("0.6 to 0.7", 3, None),
        ("0.7 to 0.8", 0, None),
        ("0.8 to 0.9", 5, None),
    ]
    assert similarity_rows({"measures": {}, "params": {}}) == []


# --- on the page ------------------------------------------------------------------------------------

TIMINGS = {
    "seconds": 0.0,
    "executed": 0,
    "reused": 1,
    "cpu_s": 0.0,
    "peak_bytes": 0,
    "node_cpu_s": {},
    "hosts": [],
    "slowest": [],
}


def test_the_page_shows_curve_sizes_and_clusters(result, near):
    html = Path(result.folder, "report.html").read_text("utf-8")
    section = html.partition('<section id="duplicates">')[2].partition("</section>")[0]
    assert section.count('<path class="curve"') == 1
    for count in filter(None, near["measures"]["similarity"]["counts"]):
        assert f": {count} documents</title>" in section
    for cluster in near["clusters"]["largest"]:
        assert cluster["survivor"] in section
        assert all(sample["excerpt"] in section for sample in cluster["samples"])
    assert re.findall(r'<th scope="row">(lines|more)</th>', section) == [
        row["source"] for row in result.report["losses"]["near"]
    ]


def test_hostile_clusters_stay_text(result):
    report = json.loads(json.dumps(result.report))
    cluster = next(n for n in report["nodes"] if n["node"] == "near")["clusters"]["largest"][0]
    cluster["survivor"] = cluster["samples"][0]["id"] = cluster["samples"][0]["excerpt"] = HOSTILE
    cluster["sources"] = {HOSTILE: 1}
    html = render_html(report, TIMINGS)
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;") >= 4


def chart_of(counts, params):
    return similarity_chart({"edges": list(SIMILARITIES), "counts": counts}, params)


def test_a_chart_keeps_within_its_picture():
    params = {"bands": 14, "rows_per_band": 8, "threshold": 0.75}
    chart = chart_of([0, 0, 0, 1, 7, 3, 4], params)
    assert [bar.title.partition(":")[0] for bar in chart.bars] == [
        "0.7 to 0.8",
        "0.8 to 0.9",
        "0.9 to 1",
        "1",
    ]
    floor = charts.HEIGHT - charts.BOTTOM
    for bar in chart.bars:
        assert charts.LEFT <= bar.x < bar.x + bar.width <= charts.WIDTH
        assert bar.y + bar.height == pytest.approx(floor)
        assert bar.y >= charts.TOP - 1e-9
    assert max(bar.height for bar in chart.bars) == floor - charts.TOP
    assert chart.most == 7
    points = [tuple(map(float, p.split())) for p in chart.curve[1:].split(" L")]
    assert all(charts.LEFT <= x <= charts.WIDTH - charts.RIGHT for x, _ in points)
    heights = [y for _, y in points]
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] == charts.TOP
    at = dict(zip(("0.45", "1"), (chart.ticks[0][0], chart.ticks[-1][0]), strict=True))
    assert (chart.ticks[0][1], chart.ticks[-1][1]) == ("0.45", "1")
    assert at["0.45"] < chart.threshold < at["1"]


def test_charts_of_little():
    assert chart_of([0] * 7, {}) is None
    only_ones = chart_of([0] * 6 + [9], {})
    assert (only_ones.curve, only_ones.threshold, len(only_ones.bars)) == ("", None, 1)
    below = chart_of([5] + [0] * 6, {"threshold": 0.9})
    assert below.ticks[0][1] == "0"


# --- two runs ---------------------------------------------------------------------------------------


def test_a_comparison_of_runs_names_clusters_and_similarities(tmp_path, result):
    other = copies_run(tmp_path, LINES, MORE[:10], files=3)
    found = {r["what"]: r for r in diff_reports(result.report, other.report) if r["node"] == "near"}
    assert found["clusters"]["a"] > found["clusters"]["b"] > 0
    assert found["largest cluster"]["change"] < 0
    changed = [r["change"] for what, r in found.items() if what.startswith("similarity: ")]
    assert sum(changed) == found["rejected: near_duplicate"]["change"]
    assert open_run(other.folder).read_json("report.json")["losses"] == other.report["losses"]
