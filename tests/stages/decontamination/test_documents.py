"""HTML entities are resolved, and every byte knows where it came from."""

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
    ],
)
def test_entities(text, plain):
    assert resolve_text(text).text.decode() == plain


@pytest.mark.parametrize("text", ["", "plain", "a & b", "AT&T", "&unknownname;", "&;", "&#;", "x &lt y"])
def test_what_is_none(text):
    assert resolve_text(text) is None


PIECES = st.sampled_from(
    ["a", "é", "橋", " ", "&", ";", "&amp;", "&#39;", "&eacute;", "&#x1F600;", "&zz;", "amp;"]
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
    found = resolve_text(text)
    assert (found.text.decode() if found else text) == " ".join(ENTITIES[piece] for piece in pieces)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_every_byte_knows_where_it_came_from(text):
    found = resolve_text(text)
    if found is None:
        return
    raw = text.encode()
    assert len(found.starts) == len(found.ends) == len(found.text)
    at = 0
    for k, (start, end) in enumerate(zip(found.starts.tolist(), found.ends.tolist(), strict=True)):
        assert start in (at, found.starts[k - 1] if k else 0)
        at = max(at, end)
        if end - start == 1:
            assert raw[start] == found.text[k]
        else:
            assert raw[start : start + 1] == b"&"
            assert raw[end - 1 : end] == b";"
    assert at <= len(raw)


def test_only_rows_with_entities_change():
    column = pa.array(["a &amp; b", None, "a & b", "", "x&#39;y"], pa.string())
    found = open_documents(column)
    assert found.column.to_pylist() == ["a & b", None, "a & b", "", "x'y"]
    assert sorted(found.resolved) == [0, 4]
    assert open_documents(column.slice(2, 2)).resolved == {}
    assert open_documents(column.slice(4)).column.to_pylist() == ["x'y"]
