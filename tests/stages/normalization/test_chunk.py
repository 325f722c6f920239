"""Cutting long documents: the pieces joined are the document, none is too long, and where cuts fall."""

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.normalization.chunk import ChunkLongDocuments, cut_points, split_text

# letters, blanks, ends of sentences in three scripts, marks, joiners, emoji with skin tone, CR LF
ALPHABET = "ab .!?\n\r\t。、।ก็é\u0301\u200d\ufe0f👍🏽한\u00a0"


def expand(texts, max_chars):
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    stage = ChunkLongDocuments(max_chars=max_chars)
    expansion = stage.expand(batch, None)
    assert all(expansion.columns[f.name].type == f.type for f in stage.writes())
    assert expansion.parents.type == pa.int64()
    assert expansion.reject is None
    return expansion


@given(st.text(ALPHABET, max_size=600), st.integers(1, 80))
@settings(max_examples=300, deadline=None)
def test_pieces_joined_are_the_text_and_none_is_too_long(text, max_chars):
    pieces = list(split_text(text, max_chars))
    assert "".join(pieces) == text
    assert all(1 <= len(piece) <= max_chars for piece in pieces) or text == ""


@given(st.lists(st.one_of(st.none(), st.text(ALPHABET, max_size=400)), max_size=8))
@settings(deadline=None)
def test_a_batch_is_what_its_rows_are_alone(texts):
    texts = [t * 2 if t else t for t in texts]
    expansion = expand(texts, 100)
    parents = expansion.parents.to_pylist()
    assert parents == sorted(parents)
    for row, text in enumerate(texts):
        mine = [i for i, parent in enumerate(parents) if parent == row]
        pieces = [expansion.columns["text"][i].as_py() for i in mine]
        assert pieces == ([text] if text is None or len(text) <= 100 else list(split_text(text, 100)))
        assert [expansion.columns["chunk_index"][i].as_py() for i in mine] == list(range(len(mine)))
        assert {expansion.columns["chunk_count"][i].as_py() for i in mine} == {len(mine)}


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("word " * 12 + "\n\n" + "word\n" * 10, "\n\n"),  # a paragraph over a line
        ("word " * 11 + "\n" + "Go. " * 14, "\n"),  # a line over a sentence
        ("word " * 12 + "end. " + "word " * 10, "end. "),  # a sentence over a word
        ("word " * 24, "word "),
        ("『橋。』" + "川" * 45 + "雨。」" + "川" * 48, "。」"),
        ("नदी " * 11 + "गए। " + "नदी " * 12, "। "),
    ],
)
def test_where_a_cut_falls(text, ends):
    first = text[: cut_points(text, 80)[0]]
    assert first.endswith(ends)
    assert len(first) > 30


def test_unbroken_text_is_cut_between_characters_as_readers_see_them():
    for unit in ("e\u0301", "👩\u200d🚀", "👍🏽", "ก็", "❤\ufe0f", "\r\n"):
        for size in (101, 102, 103):
            for piece in split_text("x" + unit * 200, size):
                assert not unicodedata.category(piece[0]).startswith("M"), (unit, size)
                assert piece[0] not in "\u200d\n🏽"
                assert not piece.endswith("\u200d")


def test_text_that_is_all_marks_ends():
    text = "\u0301" * 1000
    assert "".join(split_text(text, 100)) == text


def test_pieces_are_about_equally_long():
    lengths = [len(piece) for piece in split_text("word " * 202, 1000)]  # 1,010 characters: no stub of 10
    assert len(lengths) == 2
    assert min(lengths) > 400


def test_the_limit_is_inclusive():
    assert list(split_text("x" * 100, 100)) == ["x" * 100]
    assert len(list(split_text("x" * 101, 100))) == 2


def test_short_null_and_empty_rows_are_their_own_only_child():
    expansion = expand(["short", None, ""], 100)
    assert expansion.parents.to_pylist() == [0, 1, 2]
    assert expansion.columns["text"].to_pylist() == ["short", None, ""]
    assert expansion.columns["chunk_index"].to_pylist() == [0, 0, 0]
    assert expansion.columns["chunk_count"].to_pylist() == [1, 1, 1]


def test_an_empty_batch_and_a_slice():
    assert len(expand([], 100).parents) == 0
    batch = pa.record_batch({"text": pa.array(["a" * 300, "b" * 150, "c"], pa.large_string())}).slice(1)
    expansion = ChunkLongDocuments(max_chars=100).expand(batch, None)
    assert expansion.parents.to_pylist() == [0, 0, 1]
    assert "".join(expansion.columns["text"].to_pylist()) == "b" * 150 + "c"


def test_a_huge_document():
    text = "One line of a very long book, and it goes on.\n" * 100_000
    pieces = list(split_text(text, 200_000))
    assert "".join(pieces) == text
    assert len(pieces) <= 25
    assert all(piece.endswith(".\n") for piece in pieces)


def test_lengths_count_code_points_not_bytes():
    assert len(list(split_text("橋" * 100, 100))) == 1


def test_a_limit_that_makes_no_sense():
    with pytest.raises(ValidationError):
        ChunkLongDocuments(max_chars=0)
