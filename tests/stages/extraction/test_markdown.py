"""Markdown and code: what each engine keeps of a page's structure."""

import pytest

from stages.extraction._markdown import fenced, markdown_of, table_of
from tests.stages.extraction.test_html import STORY, page, text_of

CODE = "def make_it(x):\n    if x &lt; 2:\n        return x\n\n    return make_it(x - 1)"
PLAIN_CODE = CODE.replace("&lt;", "<")
EXTRA = f"""
<h2>How it is done</h2>
<p>{STORY[0].replace("river", "<a href='https://example.org/river_(a)'>river</a>")}</p>
<pre><code>{CODE}</code></pre>
<p>{STORY[1]}</p>
<ol><li>Close the bridge for all the carts that come from the mill.</li><li>Send word to the council.</li></ol>
<p>{STORY[2]}</p>
<table><tr><th>Name of the bridge</th><th>Year</th></tr><tr><td>Old | stone bridge</td><td>1742</td></tr></table>
<p>{STORY[0]}</p>
"""


@pytest.mark.parametrize("engine", ["trafilatura", "resiliparse"])
def test_structure_is_kept(engine):
    text = text_of(page(*STORY, extra=EXTRA), engine=engine, format="markdown", include_links=True)
    lines = text.split("\n")
    assert "# The bridge" in lines
    assert "## How it is done" in lines
    assert f"```\n{PLAIN_CODE}\n```" in text
    assert "1. Close the bridge for all the carts that come from the mill." in lines
    assert "2. Send word to the council." in lines
    assert "[river](<https://example.org/river_(a)>)" in text
    rows = [
        [c.strip() for c in line.strip().strip("|").split(" | ")] for line in lines if line.startswith("|")
    ]
    assert rows[0] == ["Name of the bridge", "Year"]
    assert set("".join(rows[1])) <= set("-| ")
    assert rows[2][-1] == "1742"
    assert all(story in lines for story in STORY[1:])


def test_emphasis_and_inline_code_are_trafilaturas():
    content = page(
        *[p.replace("closed", "<b>closed</b>").replace("wait", "<code>wait()</code>") for p in STORY]
    )
    assert "**closed**" in text_of(content, engine="trafilatura", format="markdown")
    assert "was closed for repairs" in text_of(content, engine="resiliparse", format="markdown")


@pytest.mark.parametrize("engine", ["trafilatura", "resiliparse"])
def test_code_keeps_its_lines_in_plain_text_too(engine):
    assert PLAIN_CODE in text_of(page(*STORY, extra=EXTRA), engine=engine)


@pytest.mark.parametrize("engine", ["trafilatura", "resiliparse"])
def test_cells_of_a_row_stand_on_a_line_in_plain_text(engine):
    line = next(
        line for line in text_of(page(*STORY, extra=EXTRA), engine=engine).split("\n") if "1742" in line
    )
    assert "stone bridge" in line


def test_nothing_but_structure_is_new():
    plain = text_of(page(*STORY), engine="resiliparse").split()
    marked = text_of(page(*STORY), engine="resiliparse", format="markdown").split()
    assert [word for word in marked if word.strip("#")] == plain


@pytest.mark.parametrize(
    ("minimal", "markdown"),
    [
        ("", ""),
        ("text", "text"),
        ("<p>a &lt;b&gt; &amp;amp;</p>", "a <b> &amp;"),
        ("<h3>Head</h3>\n\n<p>one<br>\ntwo</p>", "### Head\n\none\n\ntwo"),
        ("<ul>\n  <li>a</li>\n  <li>b<ol>\n    <li>c</li>\n    <li>d</li>\n  </ol>\n  </li>\n  <li>e</li>\n</ul>",
         "- a\n- b\n  1. c\n  2. d\n- e"),
        ("<ol><li>a<br>more</li></ol><ol><li>b</li></ol>", "1. a\n  more\n1. b"),
        ("<pre>a &lt; b\n\n\tc  d\n</pre>", "```\na < b\n\n\tc  d\n```"),
        ("<pre>never closed", "```\nnever closed\n```"),
        ("<pre>a <a href=\"x\">b</a></pre>", "```\na b\n```"),
        ("a\t\tb\nc\t\td|e\nend", "| a | b |\n| --- | --- |\n| c | d\\|e |\n\nend"),
        ("<a href=\"/a?b&amp;c\">t</a> <a>u</a> <a href=\"\">v</a> <a href=\"x\"> </a>", "[t](/a?b&c) u v"),
        ("<a href=\"x y\">t</a>", "[t](<x y>)"),
        ("<li>alone</li></ul></a></pre>", "alone"),
        ("1 < 2 <p", "1 < 2 <p"),
    ],
)  # fmt: skip
def test_minimal_html_by_hand(minimal, markdown):
    assert markdown_of(minimal) == markdown


def test_a_fence_is_longer_than_any_in_the_code():
    assert fenced("a ```` b").split("\n")[0] == "`````"
    assert fenced("\n\n  a\n\n") == "```\n  a\n```"


def test_rows_of_any_width():
    assert table_of(["a", "b\t\tc"]) == "| a |  |\n| --- | --- |\n| b | c |"


def test_a_long_list_of_links_takes_linear_time():
    text = markdown_of("<p>" + '<a href="x">y</a> ' * 100_000)
    assert text.count("[y](x)") == 100_000
