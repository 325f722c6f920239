"""Cuts take the spans with their windows, whole words, and nothing else."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.decontamination._splice import chars_before, merge_spans, split_text


@pytest.mark.parametrize(
    ("text", "spans", "window", "pieces"),
    [
        ("one two three four five", [(8, 13)], 0, ["one two", "four five"]),
        ("one two three four five", [(9, 10)], 0, ["one two", "four five"]),
        ("one two three four five", [(0, 3)], 0, ["two three four five"]),
        ("one two three four five", [(19, 23)], 0, ["one two three four"]),
        ("one two three four five", [(0, 23)], 0, []),
        ("one two three four five", [(4, 7), (8, 13)], 0, ["one", "four five"]),
        ("one two three four five", [(8, 13), (4, 7)], 0, ["one", "four five"]),
        ("one two three four five", [(4, 7), (14, 18)], 4, []),
        ("橋" * 60, [(30, 31)], 5, ["橋" * 25, "橋" * 24]),
        ("abc", [], 5, ["abc"]),
        ("", [], 5, []),
    ],
)
def test_split_text(text, spans, window, pieces):
    assert split_text(text, spans, window) == pieces


@settings(deadline=None)
@given(
    st.text(st.sampled_from("ab 橋\n"), max_size=80),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), max_size=5),
    st.integers(0, 10),
)
def test_pieces_are_pieces_of_what_lies_outside_the_windows(text, made, window):
    """T33: no character is counted twice or lost at an edge."""
    spans = [(min(a, b, len(text)), min(max(a, b), len(text))) for a, b in made]
    spans = [(a, b) for a, b in spans if a < b]
    inside = {i for a, b in spans for i in range(a - window, b + window)}
    outside = [c for i, c in enumerate(text) if i not in inside]
    pieces = split_text(text, spans, window)
    assert all(piece and piece in text and piece == piece.strip() for piece in pieces)
    kept, left = "".join("".join(pieces).split()), "".join("".join(outside).split())
    rest = iter(left)
    assert all(char in rest for char in kept)  # a subsequence: nothing inside a window comes through


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8))
def test_merged_spans_cover_the_same_and_lie_apart(made):
    spans = [(min(a, b), max(a, b)) for a, b in made if a != b]
    merged = merge_spans(*np.array(spans, np.int64).reshape(-1, 2).T)
    assert {i for a, b in merged for i in range(a, b)} == {i for a, b in spans for i in range(a, b)}
    assert all(left[1] < right[0] for left, right in itertools.pairwise(merged))


@given(st.text(max_size=30))
def test_bytes_as_code_points(text):
    places = np.cumsum([0, *(len(char.encode()) for char in text)])
    assert chars_before(text.encode())[places].tolist() == list(range(len(text) + 1))
