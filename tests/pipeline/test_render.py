"""The HTML page: self-contained, well-formed, safe against what it quotes, and true to the report."""

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.picture import HEIGHT, WIDTH, draw
from pipeline.render import evidence, render_html, share
from tests.support.corpora import full_config, run_here

VOID = {"meta", "br", "img", "link", "input", "hr"}
HOSTILE = '</details></style><script>alert(1)</script><img src=x onerror="alert(2)">'


class Page(HTMLParser):
    """Elements with their attributes, the text, and whether tags are closed in order."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.wrong, self.said = [], [], [], []
        self.feed(html)
        self.close()
        self.text = " ".join("".join(self.said).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.said.append(" ")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        self.said.append(" ")
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.said.append(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = Path(run_here(full_config(tmp_path_factory.mktemp("render"))).folder)
    return (
        json.loads((folder / "report.json").read_text("utf-8")),
        json.loads((folder / "timings.json").read_text("utf-8")),
        (folder / "report.html").read_text("utf-8"),
    )


def test_the_run_writes_the_page(made):
    report, timings, html = made
    assert html == render_html(report, timings)


def test_it_is_well_formed(made):
    page = Page(made[2])
    assert page.wrong == []
    assert page.open == []


def test_it_asks_for_nothing_from_outside(made):
    html = made[2]
    for tag, attributes in Page(html).elements:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            assert name not in ("src", "srcset", "action", "style"), name
            if name == "href":
                assert re.fullmatch(r"#\w+", value)
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_every_link_has_its_place(made):
    elements = Page(made[2]).elements
    ids = {a["id"] for _, a in elements if "id" in a}
    links = {a["href"][1:] for tag, a in elements if tag == "a"}
    assert links <= ids
    assert links


def test_it_shows_every_node_and_reason(made):
    report, _, html = made
    text = Page(html).text
    for node in report["nodes"]:
        assert node["node"] in text
        for reason, count in (node["total"]["rejected"] | node["total"]["failed"]).items():
            assert re.search(rf"\b{reason}\b[^0-9]*{count:,}\b", text), (reason, count)


def test_samples_with_their_evidence_are_on_it(made):
    report, _, html = made
    text = Page(html).text
    for reasons in report["samples"].values():
        for samples in reasons.values():
            for sample in samples:
                assert sample["id"] in text
    survivor = json.loads(report["samples"]["unique"]["exact_duplicate"][0]["evidence"])["survivor"]
    assert f"survivor {survivor}" in text


def test_hostile_text_stays_text(made):
    report, timings, _ = made
    report = copy.deepcopy(report)
    sample = {
        "hash": "00",
        "id": HOSTILE,
        "url": f'javascript:alert(3)"{HOSTILE}',
        "excerpt": f"{HOSTILE} {{{{ 7 * 7 }}}}",
        "evidence": json.dumps({HOSTILE: HOSTILE, "survivor": HOSTILE}),
    }
    report["name"] = HOSTILE
    report["samples"]["unique"]["exact_duplicate"] = [sample]
    report["nodes"][0]["total"]["values"] = {HOSTILE: {HOSTILE: 1}}
    html = render_html(report, timings)
    page = Page(html)
    assert page.wrong == []
    assert not [tag for tag, _ in page.elements if tag in ("script", "img")]
    assert not [a for _, a in page.elements for name in a if name.startswith("on")]
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert HOSTILE in page.text
    assert "{{ 7 * 7 }}" in page.text


def test_a_run_of_nothing(made):
    report, timings, _ = copy.deepcopy(made)
    nothing = dict.fromkeys(report["nodes"][0]["total"], 0) | {
        group: {} for group in ("rejected", "marked", "failed", "sums", "values")
    }
    for node in report["nodes"]:
        node["total"], node["sources"] = nothing, {}
    report |= {"samples": {}, "duplicates": {}, "failed": {}, "sources": {"lines": 0}, "sinks": {}}
    timings |= {
        "executed": 0,
        "reused": 3,
        "cpu_s": 0,
        "peak_bytes": 0,
        "node_cpu_s": {},
        "hosts": [],
        "slowest": [],
    }
    page = Page(render_html(report, timings))
    assert page.wrong == []
    assert "No document was rejected." in page.text
    assert "all 3 tasks were done before" in page.text


def test_an_audit_has_its_table(made):
    report, timings, _ = made
    audit = {"share": 0.25, "documents": 9, "marked": {"length": 7}, "only": {"length": 4}}
    text = Page(render_html({**report, "audit": audit}, timings)).text
    assert "Of the 25.0 % of documents that passed all rules, 9 would have been rejected" in text
    assert "length 7 4" in text


def test_personal_data_and_contamination_are_shown(made):
    report, timings, _ = copy.deepcopy(made)
    node = next(n for n in report["nodes"] if n["node"] == "length")
    node["total"]["sums"]["pii_email_address"] = 1234
    report["personal_data"] = {"length": {"pii_email_address": 1234}}
    report["contaminated"] = {"clean": {"contaminated": {"documents": 5, "sources": {"more": 5}}}}
    text = Page(render_html(report, timings)).text
    assert text.count("pii_email_address 1,234") == 1
    assert "Other sums node column sum over the documents kept length length" in text
    assert "clean contaminated 5" in text


def test_a_traceback_keeps_its_lines():
    text = json.dumps({"traceback": "a\n  b", "score": 0.123456, "none": None, "spans": [1, 2]})
    assert evidence(text) == [("traceback", "a\n  b"), ("score", "0.1235"), ("spans", "[1, 2]")]
    assert evidence(None) == evidence("") == []
    assert evidence("[1]") == [("evidence", "[1]")]


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 5, "0 %"), (1, 0, "0 %"), (1, 3, "33.3 %"), (1, 10_000, "<0.1 %"), (2, 2, "100.0 %")],
)
def test_shares(part, whole, shown):
    assert share(part, whole) == shown


# --- the picture ------------------------------------------------------------------------------------


def test_every_node_stands_below_what_it_reads(made):
    nodes = made[0]["nodes"]
    picture = draw(nodes)
    at = {box.node: box for box in picture.boxes}
    assert list(at) == [n["node"] for n in nodes]
    for node in nodes:
        for upstream in [e.partition(".")[0] for e in node["inputs"]] + list(node["side"].values()):
            assert at[upstream].y + HEIGHT < at[node["node"]].y
    places = [(box.x, box.y) for box in picture.boxes]
    assert len(set(places)) == len(places)
    assert all(0 <= x <= picture.width - WIDTH and 0 <= y <= picture.height - HEIGHT for x, y in places)


def test_bars_fit_their_boxes_and_a_line_stands_for_each_edge(made):
    nodes = made[0]["nodes"]
    picture = draw(nodes)
    assert all(
        0 <= b.kept + b.rejected + b.failed <= WIDTH - 16 + 1e-6 for b in picture.boxes if b.kind != "expand"
    )
    assert len(picture.lines) == sum(len(n["inputs"]) + len(n["side"]) for n in nodes)
    kinds = [line.kind for line in picture.lines]
    assert (kinds.count("side"), kinds.count("rejected")) == (1, 2)


def test_a_picture_of_nothing():
    assert draw([]).boxes == []
