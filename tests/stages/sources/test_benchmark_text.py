"""What is taken off questions, and out of them."""

import pytest

from stages.sources._benchmark_text import (
    PREFIXES,
    SUFFIXES,
    boxed,
    common_prefix,
    strip_before,
    strip_ends,
    strip_labels,
    unpack_options,
    without_notes,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Q: a\nA: b\n\nQ: c\nA:", "c\nA:"),
        ("Question: a\nAnswer: b\n\n  Question: c", "c"),
        ("No marker. Q: inside a line", "No marker. Q: inside a line"),
        ("", ""),
        ("Q:", ""),
        ("问题：甲\n答案：乙\n问题：丙", "丙"),
    ],
)
def test_few_shot_examples_are_cut_off(text, wanted):
    assert strip_before(text, ["Q:", "Question:", "问题："]) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Question: Why?\nAnswer:", "Why?"),
        ("Q: Why?\nA:", "Why?"),
        ("What follows from DNA:", "What follows from DNA:"),
        ("题目：为什么？\n答案：", "为什么？"),
        ("A questionnaire", "A questionnaire"),
        ("  ", ""),
    ],
)
def test_labels_around_a_question(text, wanted):
    assert strip_ends(text, PREFIXES, SUFFIXES) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Q\nOptions:\n(A) x\n(B) y", ("Q", ["x", "y"], ["A", "B"])),
        ("Q\nChoices:\nA. x\nB. y z\nC. w", ("Q", ["x", "y z", "w"], ["A", "B", "C"])),
        ("Q\nA) x\nmore of x\nB) y", ("Q", ["x\nmore of x", "y"], ["A", "B"])),
        ("Q\n1. x\n2. y", ("Q", ["x", "y"], ["1", "2"])),
        ("Q\nOptions:\n- Yes\n- No", ("Q", ["Yes", "No"], ["A", "B"])),
        ("问\nA. 甲\nB、乙", ("问", ["甲", "乙"], ["A", "B"])),
        ("A. is a letter\nB. too\nWhich?\nA. x\nB. y", ("A. is a letter\nB. too\nWhich?", ["x", "y"], ["A", "B"])),
        ("Q\n- Yes\n- No", None),
        ("Q\nA. only one", None),
        ("Q\nB. x\nC. y", None),
        ("A. x\nB. y", None),
        ("What is 1. and 2.?", None),
        ("", None),
    ],
)  # fmt: skip
def test_choices_in_a_question(text, wanted):
    found = unpack_options(text)
    assert (found if wanted is None else tuple(found)) == wanted


def test_labels_of_choices():
    assert strip_labels(["(A) x", "(B) y"]) == ["x", "y"]
    assert strip_labels(["A)24", "B)120"]) == ["24", "120"]
    for other in (["(A) x", "y"], ["(B) x", "(A) y"], ["(A)", "(B)"], ["A. x"], []):
        assert strip_labels(other) == other


LONG = "the lamp in the third window of the tower went out at midnight"


@pytest.mark.parametrize(
    ("questions", "prefix"),
    [
        ([f"Say which lamp is meant. {i} {LONG}" for i in "abcde"], "Say which lamp is meant. "),
        ([f"Say which lamp is meant: {i} {LONG}" for i in "abcde"], "Say which lamp is meant: "),
        ([f"Say which lamp it is:\n{i} {LONG}" for i in "abcde"], "Say which lamp it is:\n"),
        ([f"请说明是哪一盏灯。{i}{LONG}" for i in "甲乙丙丁戊"], ""),  # no words between spaces: left on
        ([f"Say which lamp {i} {LONG}" for i in "abcde"], ""),  # no end of a sentence
        ([f"Which? {i} {LONG}" for i in "abcde"], ""),  # too short to be an instruction
        ([f"Say which lamp is meant. {i} {LONG}" for i in "abcd"], ""),  # too few items
        (
            [*(f"Say which lamp is meant. {i} {LONG}" for i in "abcde"), "Say which lamp is meant. This?"],
            "",
        ),  # too little left
        (["Say which lamp is meant. " + LONG] * 6, "Say which lamp is meant. "),
    ],
)
def test_what_all_questions_begin_with(questions, prefix):
    assert common_prefix(questions) == prefix


def test_solutions():
    assert without_notes("a <<1+1=2>>2 and <<2*2=4>>4") == "a 2 and 4"
    assert boxed(r"\boxed{1} then \boxed{\{2, \frac{3}{4}\}} done") == r"\{2, \frac{3}{4}\}"
    assert boxed("none") is None
    assert boxed(r"\boxed{never closed") is None
