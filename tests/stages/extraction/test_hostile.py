"""Pages made to be expensive: every scan of ours is linear, every engine stays within its budget.

A pattern that backtracks takes hours on these, and a scan that starts again at each tag takes minutes; both fail
by pytest's time limit, so no clock is read here.
"""

import pytest

from stages.extraction._budget import page_cost
from stages.extraction._charset import decode_page
from stages.extraction._clean import clean_text, one_line, unescape
from stages.extraction._head import MAX_ATTRIBUTES, MAX_TAGS, read_attributes, read_head
from stages.extraction._json_ld import main_work
from stages.extraction._metadata import page_metadata
from stages.extraction.html import Reason
from tests.stages.extraction.test_html import STORY, run

ENGINES = ["best", "trafilatura", "resiliparse", "justext", "union"]
N = 1_000_000
TEXT = "".join(f"<p>{p}</p>" for p in STORY).encode()
SCRIPT = b'<script type="application/ld+json">'

SCANS = {
    "open brackets": b"<" * N,
    "open metas": b"<meta " * (N // 6),
    "open quotes": b'<meta a="' * (N // 9),
    "both quotes": b"<meta a='\"" * (N // 10),
    "equal signs": b"<meta " + b"=" * N,
    "blanks in a tag": b"<meta " + b" " * N,
    "slashes in a tag": b"<meta " + b"/" * N,
    "a long name": b"<meta " + b"a" * N,
    "many attributes": b"<meta " + b"a " * (N // 2),
    "a long attribute": b'<meta name=date content="' + b"1" * N + b'">',
    "open comments": b"<!--" * (N // 4),
    "an open comment": b"<html><!-- " + b"x" * N,
    "open scripts": b"<script>" * (N // 8),
    "open titles": b"<title>" * (N // 7),
    "open headings": b"<h1>" * (N // 4),
    "brackets in a heading": b"<h1>" + b"<" * N,
    "open drawings": b"<svg>" * (N // 5),
    "open CDATA": b"<![CDATA[" * (N // 9),
    "open JSON-LD": SCRIPT * (N // 35),
    "nested JSON": SCRIPT + b"[" * 400_000 + b"</script>",
    "nested JSON objects": SCRIPT + b'{"a":' * 80_000 + b"</script>",
    "wide JSON": SCRIPT + b"[" + b'{"@type":"Article","author":{"@id":"x"}},' * 10_000 + b"1]</script>",
    "authors": b'rel="author"' * (N // 12),
    "times": b"<time datetime=2014-01-01>" * (N // 26),
    "ampersands": b"&" * N,
    "open references": b"&#" * (N // 2),
    "a huge reference": b"<title>&#" + b"9" * N,
    "xml declarations": b"<?xml" + b" encoding" * (N // 9),
    "charsets": b'<meta http-equiv=content-type content="' + b"charset " * (N // 8) + b'">',
    "languages": b"<html" + b" lang" * (N // 5),
    "separators": b"<title>" + b" - " * 1600 + b"</title>",
    "no-break spaces": b"<title>" + b"\xa0" * N,
    "line ends": b"\r" * N,
    "controls": b"\x01" * N,
    "escapes": b"\x1b$B" * (N // 3),
    "not UTF-8": b"\xff" * N,
    "nothing": b"\0" * N,
}


@pytest.mark.parametrize("name", SCANS)
def test_every_scan_of_a_page_is_linear(name):
    content = SCANS[name]
    text = decode_page(content).text
    cost = page_cost(content)
    assert cost.bytes == len(content)
    assert cost.depth <= cost.tags
    found = page_metadata(text)
    assert all(len(value) <= 2000 for value in found if value)
    assert len(clean_text(text)) <= len(text)
    assert "\n" not in (one_line(unescape(text), 500) or "")


def test_operations_have_limits():
    attributes, end = read_attributes("a=1 " + " ".join(f"b{k}=2" for k in range(10_000)) + ">", 0)
    assert len(attributes) == MAX_ATTRIBUTES
    assert end < 400
    head = read_head("<meta name=a content=b>" * 100_000)
    assert len(head.meta["a"]) == MAX_TAGS
    assert len(read_head((SCRIPT + b"{}</script>").decode() * 1000).scripts) == 20
    assert main_work(["[" * 2000 + "]" * 2000]).headline == ""


PAGES = {
    "one line of 9 MB": b"<html><body><p>" + STORY[0].encode() * 40_000 + b"</p>",
    "nul bytes": b"<html><body>" + TEXT.replace(b" ", b"\0 ") * 50,
    "an attribute of 9.9 MB": b'<html><body><div a="' + b"x" * 9_900_000 + b'">' + TEXT,
    "an open comment": TEXT + b"<!-- " + b"x" * N,
    "an open script": TEXT + b"<script>" + b"x" * N,
    "open CDATA": TEXT + b"<![CDATA[" * 90_000,
    "nested tables": b"<table><tr><td>" * 190 + TEXT + b"</table>" * 190,
    "unclosed formatting": b"<html><body>" + b"<p><i><b><u><font>" * 40 + TEXT,
    "list items": b"<ul>" + b"<li>one item" * 12_000 + b"</ul>",
    "paragraphs": b"<html><body>" + b"<p>word " * 10_000,
    "line breaks": b"<html><body>" + b"line<br>" * 15_000,
    "links in a paragraph": b"<html><body><p>" + b"<a href=/x>word</a> " * 8_000 + b"</p>" + TEXT,
    "a long word": b"<html><body><p>" + b"x" * 2_000_000 + b"</p>" + TEXT,
    "blanks": b"<html><body><p>" + b" " * 2_000_000 + STORY[0].encode(),
    "blank lines in code": b"<html><body>" + TEXT + b"<pre>" + b"\n" * 500_000 + b"</pre>",
    "combining marks": ("<html><body><p>e" + "\u0301" * 500_000).encode(),
    "references": b"<html><body><p>" + b"&#9999999999;" * 100_000 + TEXT,
    "table rows": b"<html><body><table>" + b"<tr><td>cell text" * 8_000 + b"</table>",
    "headings": b"<html><body>" + b"<h1>Title</h1>" * 20_000,
}


@pytest.mark.parametrize("engine", ["best", "trafilatura", "resiliparse"])
@pytest.mark.parametrize("name", PAGES)
def test_every_engine_takes_what_the_budgets_let_through(name, engine):
    marks = run([PAGES[name]], engine=engine)
    text = marks.columns["text"][0].as_py() or ""
    assert marks.reject.to_pylist() in ([None], [Reason.NO_CONTENT])
    assert len(text) <= 2 * len(PAGES[name])
    assert "\0" not in text


@pytest.mark.parametrize("name", sorted(PAGES.keys() - {"one line of 9 MB"}))  # linear, but 10 s
def test_justext_takes_them_too(name):
    assert run([PAGES[name]], engine="justext").reject.to_pylist() in ([None], [Reason.NO_CONTENT])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<div>" * 1_000_000 + TEXT, Reason.PAGE_TOO_MANY_TAGS),
        (b"<div " + b" ".join(b"a%d=1" % k for k in range(1_000_000)) + b">" + TEXT, Reason.PAGE_TOO_MANY_ATTRIBUTES),
        (b"<html><body><p>" + b"x" * 100_000_000, Reason.PAGE_TOO_LARGE),
        (b"<p>" + b"<a href=/x>word</a> " * 100_000, Reason.PAGE_TOO_MANY_TAGS),
    ],
    ids=["a million nested tags", "a million attributes", "a line of 100 MB", "links"],
)  # fmt: skip
def test_what_costs_too_much_is_turned_away_before_any_engine_sees_it(engine, content, reason):
    marks = run([content], engine=engine)
    assert marks.reject.to_pylist() == [reason]
    assert marks.columns["text"].to_pylist() == [None]


def test_a_million_nested_tags_without_budgets_end_all_the_same():
    content = b"<div>" * 1_000_000 + TEXT
    marks = run([content], engine="trafilatura", max_tags=None, max_depth=None)
    assert marks.reject.to_pylist() == [Reason.NO_CONTENT]  # libxml2 gives up below its own limit


@pytest.mark.parametrize(
    ("markup", "attributes"),
    [
        (b"", 0),
        (b"<p>a=b c=d</p>", 0),
        (b"<p a>", 1),
        (b"<p a=1 b='2 3' c=\"4>5\" d>", 4),
        (b"<p a=\"1\"b='2'c>", 3),
        (b"<p a = 1>", 1),
        (b"<br/><br />", 0),
        (b"<p a/b/c>", 3),
        (b"<p a b><i c><u>", 2),
        (b"<!-- a b c d --><p a>", 1),
        (b"<p\na\tb\n>", 2),
        (b"<p " + b"a " * 1000, 1000),  # a tag that never ends
    ],
)
def test_attributes_of_the_widest_tag(markup, attributes):
    assert page_cost(markup).attributes == attributes
