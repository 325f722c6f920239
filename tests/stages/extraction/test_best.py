"""The block scan against hand-written pages and a real parser; hostile pages; what the best mode promises."""

import html
import re
from collections import Counter

import numpy as np
import pytest
from lxml.html import document_fromstring

from stages.extraction import _best as best
from stages.extraction._best import MAX_DOUBT, MAX_SHARED_DOUBT, BestText, extract_best
from stages.extraction._best_agreement import agreement
from stages.extraction._best_blocks import Blocks, expected_f1, extract_blocks
from stages.extraction._best_context_kernels import CONTEXT, _faded, context_features
from stages.extraction._best_element_kernels import MAX_DEPTH
from stages.extraction._best_features import FEATURES, page_features
from stages.extraction._best_model import Trees, block_odds, load_model, log_odds
from stages.extraction._best_scan import block_texts, scan_page
from stages.extraction._best_tags import CODE, FACTS, HIDDEN_BIT, NAMES
from stages.extraction._best_tree_kernels import IN_COMMENTS

SENTENCE = (
    "The bridge over the river was closed for repairs on Monday, the city said, and will open in spring."
)
MENU = "<nav><ul>" + "".join(f'<li><a href="/{k}">Section {k}</a></li>' for k in range(12)) + "</ul></nav>"
FOOTER = "<footer><p>© 2020 The Paper</p><a href=/imprint>Imprint</a> <a href=/terms>Terms</a></footer>"
PARAGRAPHS = [
    f"{SENTENCE} Paragraph {k} has {k} more words about it, which nobody counted." for k in range(8)
]
ARTICLE = (
    "<html><head><title>Bridge</title></head><body>"
    + MENU
    + "<main><article><h1>Bridge closed</h1>"
    + "".join(f"<p>{text}</p>" for text in PARAGRAPHS)
    + "</article>%s</main>"
    + FOOTER
    + "</body></html>"
)


@pytest.mark.parametrize(
    ("markup", "blocks"),
    [
        ("", []),
        ("plain text", ["plain text"]),
        ("<p>one<p>two", ["one", "two"]),
        ("<p>a <b>bold</b>\n  word</p>", ["a bold word"]),
        ("<div>a<div>b</div>c</div>", ["a", "b", "c"]),
        ("a<br>b<br><br>c", ["a\nb\n", "c"]),
        ("<ul><li>one<li>two</ul>", ["one", "two"]),
        ("<table><tr><td>a<td>b<tr><td>c</table>", ["a", "b", "c"]),
        ("<pre>a\n  b\n</pre>", ["a\n  b\n"]),
        ("a<script>if (a < b) '</p>'</script>b<style>p{}</style>", ["ab"]),
        ("a<!-- <p>no</p> -->b<!-->c<!doctype html><?php x ?>d", ["abcd"]),
        ("<!-- never ends <p>text", []),
        ("<p>a<script>never ends</p>", ["a"]),
        ("<p title='>'>a<p title=never ends", ["a"]),
        ("a < b <3 </ p>c", ["a < b <3 c"]),
        ("<TITLE>t</TITLE><P CLASS=X>up</P>", ["up"]),
        ("<select><option>no</select><svg><text>no</text></svg>yes", ["yes"]),
        ("caf&eacute; &amp; &#x41;&#66; &hellip;", ["café & AB …"]),
        ("&#150;&#x80;&#0;&#xD800;&#x110000;&#x8a;x", ["–€Šx"]),
        ("a&nbsp;\u00a0&nbsp;b", ["a b"]),
        ("&nosuch; &amp &", ["&nosuch; &amp &"]),
        ("日本<p>語", ["日本", "語"]),
        ("a\x00b\x07c", ["abc"]),
        ("<p>\ud800x", ["x"]),
    ],
)
def test_blocks_of_small_pages(markup, blocks):
    assert block_texts(scan_page(markup)) == blocks


@pytest.mark.parametrize(
    "name", ["&Aacute;", "&NotEqualTilde;", "&CounterClockwiseContourIntegral;", "&fjlig;", "&lt;"]
)
def test_references_are_those_of_the_standard(name):
    assert block_texts(scan_page(f"x{name}y")) == [f"x{html.unescape(name)}y"]


@pytest.mark.parametrize(
    "body",
    [
        "<div><p>one<p>two <span>three</span><ul><li>four<li>five <a href=x>six</a></ul>seven</div>",
        "<table><tbody><tr><td>one<p>two</td></div><td>three</table><h2>four</h2>",
        "<a href=1>one <a href=2>two</a> three <b>four<div>five</b> six</div>",
        "<dl><dt>one<dd>two<dt>three</dl><blockquote>four<br>five</blockquote>",
        "<p>one</p></p></div>two<section>three</section></section>four",
    ],
)
def test_words_stand_in_the_same_elements_as_in_a_real_parser(body):
    scan = scan_page(f"<body>{body}</body>")
    found = []
    for text, node in zip(block_texts(scan), scan.node, strict=True):
        name = next((n for n in _names_above(scan, node) if n not in ("", "body")), "body")
        found += [(word, name) for word in text.split()]
    tree = document_fromstring(f"<body>{body}</body>").find("body")
    assert tree is not None
    wanted = []
    for element in tree.iter():
        for text, holder in ((element.text, element), (element.tail, element.getparent())):
            while holder is not None and holder.tag in ("a", "b", "span", "br"):
                holder = holder.getparent()
            name = "body" if holder is None or holder.tag == "html" else holder.tag
            wanted += [(word, name) for word in (text or "").split()]
    assert sorted(found) == sorted(wanted)


def _names_above(scan, node):
    while node:
        yield NAMES[scan.tag[node]]
        node = scan.parent[node]


@pytest.mark.parametrize(
    ("markup", "hidden"),
    [
        ("<p style='display: none'>x", True),
        ("<p style='color:red;DISPLAY:none!important'>x", True),
        ("<p style='visibility : hidden'>x", True),
        ("<p hidden>x", True),
        ("<p aria-hidden=true>x", True),
        ("<p aria-hidden=false>x", False),
        ("<p style='display:block'>x", False),
        ("<p style='list-style: none'>x", False),
        ("<p title='display:none'>x", False),
        ("<p>x", False),
    ],
)
def test_what_is_hidden(markup, hidden):
    assert bool(scan_page(markup).facts[0] & HIDDEN_BIT) == hidden


def test_facts_about_a_block():
    scan = scan_page("<nav><a href=x>one two</a></nav><p>three <a href=y>four</a></p>")
    assert scan.link_bytes.tolist() == [7, 5]  # with the blank before the link
    assert scan.links.tolist() == [1, 1]
    assert scan.facts[0] & 1 << FACTS.index("nav")
    assert not scan.facts[1] & 1 << FACTS.index("nav")
    assert not scan.facts[1] & 1 << FACTS.index("a")


@pytest.mark.parametrize(
    ("attribute", "word"),
    [
        ("class=comment-list", "comment"),
        ("class='x userComments'", "comment"),
        ("id=sidebar", "aside"),
        ("class=ad", "ad"),
        ("class=adSlot", "ad"),
        ("role=navigation", "nav"),
        ("itemprop=articleBody", "body"),
        ("class=cookie-consent", "popup"),
    ],
)
def test_words_in_class_names(attribute, word):
    column = FEATURES.index(f"near_{word}")
    markup = f"<div><p>{SENTENCE}</p><p>{SENTENCE} More.</p></div><div {attribute}>few words</div>"
    assert page_features(scan_page(markup)).rows[2, column] == 1
    plain = markup.replace(attribute, "class=head7load")
    assert page_features(scan_page(plain)).rows[2, column] == 0


def test_a_word_inside_of_another_does_not_count():
    markup = f"<p>{SENTENCE}</p><p>{SENTENCE} More.</p><div class='load header-shadow gradient'>x</div>"
    assert page_features(scan_page(markup)).rows[2, FEATURES.index("near_ad")] == 0


@pytest.mark.parametrize(
    "markup",
    [
        "<div>" * 1_000_000 + "text",
        "<div>" * 300 + "text" + "</div>" * 1_000_000,
        "</div>" * 1_000_000,
        "<td></div>" * 500_000,
        "<span>" * 300 + "<p></div>" * 300_000,
        "<a href=x>" * 500_000,
        "<b><p>" * 500_000 + "</b></p>" * 500_000,
        "<" * 3_000_000,
        "&" * 3_000_000,
        "&#" * 1_500_000,
        "<!--" * 1_000_000,
        "<script>" + "</scrip" * 1_000_000,
        "<p " + "a" * 10_000_000,
        "<p class='" + "comment " * 1_000_000 + "'>x",
        "<p style='" + "display:" * 1_000_000 + "'>x",
        "x" * 10_000_000,
        "x <br> " * 1_000_000,
        "<li>" * 1_000_000 + "x",
        "<p>x" * 300_000,
        "\0" * 3_000_000,
        "<table><tr><td>" * 300_000 + "x",
        "\u00a0" * 3_000_000,
    ],
    ids=range(22),
)
def test_hostile_pages_end(markup):
    blocks = extract_blocks(markup)
    assert 0 <= blocks.doubt <= 1


def test_no_cut_of_a_page_fails():
    page = (ARTICLE % "<pre>a &amp; b</pre><!-- c --><script>d</script>").replace(
        "p>", "p class='a b' id=\"c\">", 3
    )
    for end in range(0, len(page), 7):
        extract_blocks(page[:end])
        extract_blocks(page[end:])


def test_depth_is_bounded_and_text_kept():
    scan = scan_page("<div>" * 1000 + "deep" + "</div>" * 1000 + "<p>after</p>")
    assert block_texts(scan) == ["deep", "after"]
    assert len(scan.parent) <= MAX_DEPTH + 2
    assert scan.parent[scan.node[1]] == 0  # all is closed: nothing holds the paragraph


def test_features_are_finite_and_do_not_depend_on_what_was_there_before():
    markup = ARTICLE % ""
    first = page_features(scan_page(markup))
    extract_blocks("<p>other</p>" * 50)
    again = page_features(scan_page(markup))
    assert first.rows.shape[1] == len(FEATURES)
    assert np.isfinite(first.rows).all()
    assert (first.rows == again.rows).all()


def test_an_article_is_kept_and_its_frame_is_not():
    found = extract_best(ARTICLE % "")
    assert found.extractor == "blocks"
    assert found.doubt < 0.1
    lines = found.text.split("\n")
    assert [line for line in lines if line in PARAGRAPHS] == PARAGRAPHS
    assert "Section 3" not in found.text
    assert "Imprint" not in found.text


COMMENTS = "<section class=comments>" + "".join(
    f"<div class=comment><p>I was there, and {SENTENCE} I saw it {k} times.</p></div>" for k in range(9)
)


def test_readers_comments_only_if_asked_for():
    assert "I was there" not in extract_best(ARTICLE % COMMENTS).text
    assert extract_best(ARTICLE % COMMENTS, comments=True).text.count("I was there") == 9
    features = page_features(scan_page(ARTICLE % COMMENTS))
    assert (features.out == IN_COMMENTS).sum() == 9


def test_a_class_of_the_whole_page_sets_nothing_aside():
    page = (ARTICLE % "").replace("<body>", "<body class='comments-open'><div class=comment-page>")
    assert (page_features(scan_page(page)).out == 0).all()


def test_hidden_text_goes_unless_the_page_hides_most_of_it():
    hidden = f"<div style='display:none'><p>{SENTENCE} Nobody sees this.</p></div>"
    assert "Nobody sees" not in extract_best(ARTICLE % hidden).text
    covered = (ARTICLE % "").replace("<main>", "<main style='visibility:hidden'>")
    assert PARAGRAPHS[3] in extract_best(covered).text


TABLE = "<table><tr><th>Year</th><th>Cars</th></tr><tr><td>1990</td><td>4,200</td></tr></table>"


def test_cells_of_a_row_stand_on_one_line():
    article = ARTICLE.replace("</article>", "%s</article>", 1)
    page = article % (TABLE, "")
    texts = extract_blocks(page).text
    if "1990" in texts:
        assert "1990\t4,200" in texts
    assert "1990" not in extract_blocks(page, tables=False).text
    assert PARAGRAPHS[0] in extract_blocks(page, tables=False).text


def test_a_table_that_lays_out_the_page_is_not_data():
    page = (
        f"<table><tr><td>{MENU}</td><td>" + "".join(f"<p>{p}</p>" for p in PARAGRAPHS) + "</td></tr></table>"
    )
    assert PARAGRAPHS[0] in extract_blocks(page, tables=False).text


def test_links_come_from_an_engine_that_has_them():
    page = (ARTICLE % "").replace("was closed", "<a href='https://example.org/x'>was closed</a>", 1)
    found = extract_best(page, links=True)
    assert found.extractor == "trafilatura"
    assert "(https://example.org/x)" in found.text


@pytest.mark.parametrize("markup", ["", " ", "<html></html>", "\0", "<script>x</script>"])
def test_nothing_comes_of_nothing(markup):
    assert extract_best(markup) == BestText("", "blocks", 1.0)


def test_a_page_of_few_words_is_not_lost():
    found = extract_best("<p>abc</p><p>def</p>ghi")
    assert re.findall(r"\w+", found.text) == ["abc", "def", "ghi"]


def test_where_blocks_and_resiliparse_differ_much_resiliparse_is_taken(monkeypatch):
    odd = Blocks("something else entirely", MAX_DOUBT + 0.01, 5)
    monkeypatch.setattr(best, "extract_blocks", lambda *_: odd)
    found = extract_best(ARTICLE % "")
    assert found.extractor == "resiliparse"
    assert found.doubt > 0.5
    assert PARAGRAPHS[0] in found.text
    monkeypatch.setattr(best, "extract_blocks", lambda *_: odd._replace(doubt=MAX_DOUBT))
    assert extract_best(ARTICLE % "") == BestText(odd.text, "blocks", MAX_DOUBT)
    monkeypatch.setattr(best, "extract_blocks", lambda *_: odd._replace(text="\n".join(PARAGRAPHS)))
    assert extract_best(ARTICLE % "").extractor == "blocks"


def test_a_long_page_on_which_the_two_agree_so_so_goes_to_trafilatura(monkeypatch):
    """Three words in four are shared."""
    kept = Blocks("one two three four " * 100, MAX_SHARED_DOUBT + 0.01, 5)
    monkeypatch.setattr(best, "extract_blocks", lambda *_: kept)
    monkeypatch.setattr(best, "extract_resiliparse", lambda *_: "one two three five " * 100)
    found = extract_best(ARTICLE % "")
    assert found.extractor == "trafilatura"
    assert PARAGRAPHS[3] in found.text
    assert found.doubt == pytest.approx(0.25)
    for other in (kept._replace(doubt=MAX_SHARED_DOUBT), kept._replace(text="one two three four " * 40)):
        monkeypatch.setattr(best, "extract_blocks", lambda *_, other=other: other)
        assert extract_best(ARTICLE % "").extractor == (
            "blocks" if other.doubt <= MAX_SHARED_DOUBT else "resiliparse"
        )
    monkeypatch.setattr(best, "extract_blocks", lambda *_: kept)
    monkeypatch.setattr(best, "extract_trafilatura", lambda *_: " ")
    assert extract_best(ARTICLE % "").extractor == "blocks"


def test_trafilatura_reads_what_neither_could(monkeypatch):
    monkeypatch.setattr(best, "extract_blocks", lambda *_: Blocks("", 1.0, 5))
    monkeypatch.setattr(best, "extract_resiliparse", lambda *_: " ")
    found = extract_best(ARTICLE % "")
    assert found.extractor == "trafilatura"
    assert PARAGRAPHS[0] in found.text


def test_expected_f1_by_hand():
    odds, sizes = np.array([0.9, 0.2]), np.array([10.0, 5.0])
    assert expected_f1(odds, sizes, odds > 0.5) == pytest.approx(2 * 9 / (10 + 10))
    assert expected_f1(odds, sizes, odds > 1) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the old bridge", "The old  bridge!"),
        ("a a b", "a b b c"),
        ("", ""),
        ("", "x"),
        ("橋は古い", "古い 橋"),
        ("Grüße 日本 x", "日 Grüße"),
        ("!?", "..."),
        ("ab" * 500 + " c", "c"),
    ],
)
def test_agreement_by_a_slow_oracle(one, other):
    a, b = (Counter(re.findall(r"[\u3000-\u9fff]|[A-Za-z0-9\u0080-\u2fff]+", text)) for text in (one, other))
    wanted = 2 * (a & b).total() / (a.total() + b.total()) if a or b else 1.0
    assert agreement(one, other) == pytest.approx(wanted)


def test_trees_by_hand():
    trees = Trees(
        np.array([1, -1, 0, -1, -1], np.int32),
        np.array([0.5, 0, 2.0, 0, 0], np.float32),
        np.array([1, 0, 3, 0, 0], np.int32),
        np.array([0, 10.0, 0, 20.0, 30.0], np.float32),
        np.array([0, 0], np.int32),
        1.0,
    )
    rows = np.array([[0, 0.5], [2.0, 0.6], [2.1, 0.6]], np.float32)
    assert log_odds(rows, trees).tolist() == [21.0, 41.0, 61.0]


def test_the_weights_fit_the_features():
    model = load_model()
    for trees, wide in ((model.first, len(FEATURES)), (model.second, len(FEATURES) + len(CONTEXT))):
        assert trees.feature.max() < wide
        inner = trees.feature >= 0
        assert (trees.left[inner] > np.flatnonzero(inner)).all()  # so that every walk ends
        assert trees.left.max() + 1 < len(trees.feature)


def test_context_by_a_slow_oracle():
    scan = scan_page(ARTICLE % COMMENTS)
    features = page_features(scan)
    first = log_odds(features.rows, load_model().first)
    rows = context_features(first, features.sizes, features.out, scan, features.group)
    told = np.where(features.out > 0, -6.0, first)
    kept = (features.sizes + 1e-3) / (1 + np.exp(-told))
    assert rows[:, CONTEXT.index("odds")] == pytest.approx(told, abs=1e-5)
    assert rows[1:, CONTEXT.index("odds-1")] == pytest.approx(told[:-1], abs=1e-5)
    before = [kept[:k].sum() / kept.sum() for k in range(len(kept))]
    assert rows[:, CONTEXT.index("before")] == pytest.approx(before, abs=1e-5)
    near = [sum(kept[j] * 0.85 ** abs(j - k) for j in range(len(kept))) for k in range(len(kept))]
    assert _faded(kept) == pytest.approx(near)


def test_odds_are_odds():
    scan = scan_page(ARTICLE % "")
    odds = block_odds(scan, page_features(scan))
    assert ((odds >= 0) & (odds <= 1)).all()
    assert NAMES[scan.tag[scan.node[int(odds.argmax())]]] == "p"
    assert CODE["p"] == scan.tag[scan.node[int(odds.argmax())]]
