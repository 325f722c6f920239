"""The automaton of phrases against a search with `in`, and its sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.filters._phrases import MAX_GROUPS, build_phrases, found_groups, phrase_problems

ALPHABET = "abA é\u00c9汉字ж\u0416'"
PHRASE = st.text(ALPHABET, min_size=1, max_size=5)


def folded(text):
    return text.lower().replace("\u00a0", " ").replace("\u2019", "'")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(PHRASE, max_size=3), min_size=1, max_size=MAX_GROUPS),
    st.text(ALPHABET + "\u00a0\u2019", max_size=30),
)
def test_finds_what_a_search_finds(groups, text):
    found = found_groups(build_phrases(*groups), text.encode())
    wanted = {k for k, group in enumerate(groups) if any(folded(phrase) in folded(text) for phrase in group)}
    assert found == wanted


def test_lengths_are_of_the_longest_phrase_that_ends():
    phrases = build_phrases(["art", "in cart"], [])
    state = 0
    for byte in b"in CART":
        state = int(phrases.steps[state + int(phrases.classes[byte])]) & 0xFFFFFF
    assert phrases.lengths[state // phrases.width].tolist() == [7, 0]


def test_no_phrases_find_nothing():
    for phrases in (build_phrases(), build_phrases([], []), build_phrases([""])):
        assert found_groups(phrases, b"anything") == set()


def test_states_grow_with_the_phrases_not_faster():
    alike = ["a" * n for n in range(1, 60)] + ["ab" * n for n in range(1, 30)]
    phrases = build_phrases(alike)
    assert len(phrases.lengths) <= sum(map(len, alike))
    assert phrases.steps.dtype == np.int32


@pytest.mark.parametrize(("phrase", "said"), [("", "blank"), ("\t", "blank"), ("a\nb", "spans lines")])
def test_problems(phrase, said):
    assert said in phrase_problems("x", [phrase])[0]
