"""The union of texts: what is lacking, where it goes, and what can never happen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.extraction._union import union_texts, words_of

A, B, C, D = (
    "The bridge over the river is closed for repairs.",
    "The ferry goes every hour from the old mill.",
    "Tickets are sold at the baker's shop.",
    "It will open again before the winter.",
)


def join(*lines: str) -> str:
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("texts", "union", "gave"),
    [
        ([join(A, B), join(A, B)], join(A, B), [0]),
        ([join(A, C), join(A, B, C)], join(A, B, C), [0, 1]),  # in its place
        ([join(A, B), join(A, B, C, D)], join(A, B, C, D), [0, 1]),  # at the end, in order
        ([join(B, C), join(A, B, C)], join(A, B, C), [0, 1]),  # at the top
        ([A, B], join(B, A), [0, 1]),  # nothing in common: the top is as good as any place
        (["", join(A, B)], join(A, B), [1]),
        ([join(A, B), ""], join(A, B), [0]),
        (["", ""], "", []),
        ([A, A.upper() + "!"], A, [0]),  # case and punctuation are not text
        ([A, "- " + A], A, [0]),
        ([join(A, A), A], join(A, A), [0]),  # what the first text repeats stays
        ([A, join(B, B)], join(B, A), [0, 1]),  # what another repeats does not
        ([A + " " + B, join(A, B)], A + " " + B, [0]),  # broken differently
        ([join(A, B), A + " " + B], join(A, B), [0]),
        ([A, join(A, "***", "")], A, [0]),  # a line without words is never added
        ([join(A, "", D), join(A, B, D)], join(A, B, "", D), [0, 1]),  # blank lines of the first stay
        ([A, "bridge"], A, [0]),  # one word that occurs
        ([join(A, D), join(A, B, A, C)], join(A, B, C, D), [0, 1]),  # a repeated line leads not back
        ([A, "Overview"], join("Overview", A), [0, 1]),
        ([A, join(A, B), join(A, C)], join(A, C, B), [0, 1, 2]),
        (["橋は通行止めだった。", "橋は通行止めだった。\n船が出る。"], "橋は通行止めだった。\n船が出る。", [0, 1]),
    ],
)  # fmt: skip
def test_by_hand(texts, union, gave):
    found, givers = union_texts(texts)
    assert (found.strip("\n"), givers) == (union, gave)


def test_the_share_of_pairs_that_makes_a_line_held():
    words = [f"w{k}" for k in range(11)]  # ten pairs
    text = " ".join(words)
    two_off = " ".join([*words[:9], "x", "y"])  # 8 of 10 are held
    three_off = " ".join([*words[:8], "x", "y", "z"])
    assert union_texts([text, two_off])[0] == text
    assert union_texts([text, three_off])[0] == three_off + "\n" + text


LINES = st.lists(st.sampled_from([A, B, C, D, "", "--", "one", "one two", "two one three"]), max_size=8)


@given(st.lists(LINES, min_size=1, max_size=3))
def test_laws(texts):
    joined = ["\n".join(lines) for lines in texts]
    union, gave = union_texts(joined)
    out = union.split("\n")
    rest = iter(out)
    assert all(line in rest for line in joined[0].split("\n"))  # the first text, in order
    words = {word for line in out for word in words_of(line)}
    assert all(set(words_of(text)) <= words for text in joined)  # short lines are held whole or not at all
    assert set(out) <= {line for text in joined for line in text.split("\n")} | {""}  # and none made up
    assert union_texts([*joined, *joined])[0] == union  # nothing is lacking any more
    assert gave == sorted(set(gave))


def test_long_texts_take_linear_time():
    first = "\n".join(f"a{k} b{k} c{k}" for k in range(20_000))
    second = "\n".join(f"a{k} x{k} y{k}" for k in range(20_000))
    union, gave = union_texts([first, second])
    assert gave == [0, 1]
    assert union.count("\n") == 39_999
