"""Budgets: depth as an independent counter sees it, and pages made to be expensive."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.extraction._budget import FLAT, NEVER_EMPTY, RAW_TEXT, page_cost
from stages.extraction._kernels import name_hash
from stages.extraction.html import ExtractHtml, Reason
from tests.stages.extraction.test_html import run


@pytest.mark.parametrize(
    ("markup", "depth"),
    [
        ("", 0),
        ("no markup, 1 < 2", 0),
        ("<div><div></div></div><div></div>", 2),
        ("<DIV><Div></dIV></DIV>", 2),
        ("<ul>" + "<li>one" * 50, 1),  # authors leave </li> out
        ("<p>a<p>b<p>c<br><img src=x>", 0),
        ("<div></x></x><div>", 2),  # stray end tags hide nothing
        ("<div></p></div><div></div>", 1),
        ("<!-- <div><div> --><div>", 1),
        ("<!--><div>", 0),  # never closed: the page is a comment from here on
        ("<script>if (a<b) '<div><div>'</script><div>", 1),
        ("<style>a{}</STYLE ><div><div>", 2),
        ('<div title="<div><div>">', 1),
        ("<div title='a>b'><div>", 2),
        ("<svg><path/><path/><path/></svg>", 1),
        ("<div/><div/><div/>", 3),  # HTML5 ignores the slash there
        ("< div><div", 1),
        ("<div" * 3, 1),
    ],
)
def test_depth(markup, depth):
    assert page_cost(markup.encode()).depth == depth


def slow_depth(markup: str) -> int:
    """Depth by a stack of names and a regex: good enough where tags are plain."""
    deepest, open_names = 0, []
    for slash, name in re.findall(r"<(/?)([a-z0-9]+)>", markup):
        if slash and name in open_names:
            open_names.remove(name)
        elif not slash:
            open_names.append(name)
        deepest = max(deepest, len(open_names))
    return deepest


@given(
    st.lists(
        st.sampled_from(["<div>", "</div>", "<span>", "</span>", "<h1>", "</h1>", "<x7>", "</x7>", " text "])
    )
)
def test_depth_of_plain_tags_is_that_of_a_stack(parts):
    assert page_cost("".join(parts).encode()).depth == slow_depth("".join(parts))


@given(st.binary(max_size=300), st.sampled_from([b"<", b"<!--", b"</", b"<a b='", b"<script>"]))
def test_any_bytes_have_a_cost(noise, glue):
    cost = page_cost(noise + glue + noise)
    assert cost.bytes == 2 * len(noise) + len(glue)
    assert 0 <= cost.depth <= cost.tags


def test_names_hash_apart():
    tables = [FLAT, RAW_TEXT, NEVER_EMPTY]
    assert len({int(h) for table in tables for h in table}) == sum(map(len, tables))
    assert name_hash("div") in NEVER_EMPTY


@pytest.mark.parametrize("engine", ["best", "trafilatura", "justext", "resiliparse"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<div>" * 1_000_000, Reason.PAGE_TOO_MANY_TAGS),
        (b"<div>" * 201 + b"text", Reason.PAGE_TOO_DEEP),
        (b"x" * 50_000_000, Reason.PAGE_TOO_LARGE),
        (b"<html>" + b"<" * 150_000, Reason.PAGE_TOO_MANY_TAGS),
    ],
    ids=["a million nested tags", "deep", "50 MB", "half-open tags"],
)
def test_pages_that_cost_too_much(engine, content, reason):
    page = run([content], engine=engine)
    assert page.reject.to_pylist() == [reason]
    facts = page.evidence[0].as_py()
    assert facts["bytes"] == len(content)
    assert facts["tags"] == (None if reason == Reason.PAGE_TOO_LARGE else content.count(b"<"))


def test_budgets_are_inclusive_and_null_is_off():
    content = b"<html><body>" + b"<div>" * 10 + b"Some words to keep here." + b"</div>" * 10
    content = content.replace(b"<body>", b"<body a b>")
    exact = {"max_bytes": len(content), "max_tags": content.count(b"<"), "max_depth": 10, "max_attributes": 2}
    assert run([content], engine="resiliparse", **exact).reject.to_pylist() == [None]
    reasons = (
        Reason.PAGE_TOO_LARGE,
        Reason.PAGE_TOO_MANY_TAGS,
        Reason.PAGE_TOO_DEEP,
        Reason.PAGE_TOO_MANY_ATTRIBUTES,
    )
    for (name, value), reason in zip(exact.items(), reasons, strict=True):
        assert run([content], engine="resiliparse", **{name: value - 1}).reject.to_pylist() == [reason]
    off = dict.fromkeys(exact)
    assert run(
        [b"<div>" * 300 + b"Some words to keep here."], engine="resiliparse", **off
    ).reject.to_pylist() == [None]


@pytest.mark.parametrize("engine", ["trafilatura", "resiliparse"])
def test_text_below_256_levels_is_not_lost_when_the_budget_allows_it(engine):
    sentence = "The old bridge was closed for repairs, so we walked home along the river in the rain. "
    content = b"<html><body>" + b"<div>" * 400 + b"<p>" + sentence.encode() * 10 + b"</p>" + b"</div>" * 400
    assert sentence.strip() in run([content], engine=engine, max_depth=1000).columns["text"][0].as_py()


def test_justext_says_that_it_is_recursive():
    assert "write 200 or less" in " ".join(ExtractHtml(engine="justext", max_depth=1000).problems())
    assert "write 200 or less" in " ".join(ExtractHtml(engine="justext", max_depth=None).problems())


def test_the_deepest_page_that_the_budget_lets_through_suits_every_engine():
    table = b"<table><tr><td>" * 200 + b"The old bridge was closed for repairs." + b"</td></tr></table>" * 200
    for engine in ("best", "trafilatura", "justext", "resiliparse", "union"):
        assert run([table], engine=engine).columns["text"].null_count == 0
