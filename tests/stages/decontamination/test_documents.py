"""Markup is resolved, and every byte knows where it came from."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.decontamination._documents import open_documents, resolve_text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Janet&#39;s", "Janet's"),
        ("a &amp; b", "a & b"),
        ("a &amp;amp; b", "a & b"),
        ("&amp;#39;", "'"),
        ("caf&eacute;", "café"),
        ("&#x41;&#X42;", "AB"),
        ("&lt;p&gt;", "<p>"),
        ("&nbsp;x", "\xa0x"),
        ("日&quot;本&quot;", '日"本"'),
        ("<td>a</td><TD class='x y'>b</TD>", " a  b "),
        ('H<sub>2</sub>O<br/>is <a href="u">wet</a>', "H2O is wet"),
        ("&lt;b&gt; <b>x</b>", "<b> x"),
        ("\ufb01nd the \ufb02\ufb03", "find the flffi"),
    ],
)
def test_entities(text, plain):
    assert resolve_text(text.encode()).text.decode() == plain


@pytest.mark.parametrize(
    "text",
    ["", "plain", "a & b", "AT&T", "&unknownname;", "&;", "&#;", "x &lt y", "a < b > c", "<x>", "\ufb0f"],
)
def test_what_is_none(text):
    assert resolve_text(text.encode()) is None


PIECES = st.sampled_from(
    [
        "a",
        "é",
        "橋",
        " ",
        "&",
        ";",
        "&amp;",
        "&#39;",
        "&eacute;",
        "&#x1F600;",
        "&zz;",
        "amp;",
        "&am",
        "p;",
        "<td",
        ">",
        "<td>",
        "</B>",
        "\ufb01",
    ]
)


ENTITIES = {
    "&amp;": "&",
    "&#39;": "'",
    "&amp;eacute;": "é",
    "&#x1F600;": "\U0001f600",
    "&zz;": "&zz;",
    "é": "é",
    "&": "&",
}


@given(st.lists(st.sampled_from(sorted(ENTITIES)), max_size=20))
def test_every_entity_is_resolved(pieces):
    text = " ".join(pieces)
    found = resolve_text(text.encode())
    assert (found.text.decode() if found else text) == " ".join(ENTITIES[piece] for piece in pieces)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_every_byte_knows_where_it_came_from(text):
    raw = text.encode()
    found = resolve_text(raw)
    if found is None:
        return
    places = np.arange(len(found.text))
    at, last = 0, 0
    for k, (start, end) in enumerate(zip(found.starts(places), found.ends(places), strict=True)):
        assert start >= at or start == last
        assert (
            set(raw[at:start].decode()) <= set("<>/Btd") or start == last
        )  # only tags that part no words leave none
        at, last = max(at, end), start
        if end - start == 1:
            assert raw[start] == found.text[k]
        else:
            assert (raw[start : start + 1], raw[end - 1 : end]) in {(b"&", b";"), (b"<", b">")} or raw[
                start:end
            ].decode() == "\ufb01"
    assert at <= len(raw)


ROWS = st.lists(st.none() | st.lists(PIECES, max_size=6).map("".join), max_size=12)


@given(ROWS)
def test_rows_do_not_touch_each_other(rows):
    """Also where the end of one and the beginning of the next would be markup together."""
    column = pa.array(["x", *rows], pa.string()).slice(1)
    found = open_documents(column)
    alone = [None if row is None else resolve_text(row.encode()) for row in rows]
    assert found.column.to_pylist() == [
        own.text.decode() if own else row for own, row in zip(alone, rows, strict=True)
    ]
    for row, own in enumerate(alone):
        size = len((found.column[row].as_py() or "").encode())
        first = np.arange(size)
        starts, ends = found.as_given(np.full(size, row), first, first + 1)
        assert starts.tolist() == (own.starts(first) if own else first).tolist()
        assert ends.tolist() == (own.ends(first) if own else first + 1).tolist()


def test_only_texts_with_markup_change():
    column = pa.array(["a &amp; b", None, "a & b", "", "x&#39;y"], pa.string())
    found = open_documents(column)
    assert found.column.to_pylist() == ["a & b", None, "a & b", "", "x'y"]
    assert open_documents(column.slice(2, 2)).resolved is None
    assert open_documents(column.slice(4)).column.to_pylist() == ["x'y"]
    for rows in (["a &am", "p; b <", "td> c"], [], [None], [""]):
        assert open_documents(pa.array(rows, pa.string())).column.to_pylist() == rows
    assert open_documents(pa.array(["a &amp;", "amp; b"])).column.to_pylist() == ["a &", "amp; b"]
    assert resolve_text(b'<a title="x &amp; y">z</a>').text == b"z"
