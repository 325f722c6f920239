"""Repetition signals: worked examples, one for each definition in docs/signals.md."""

import numpy as np
import pyarrow as pa
import pytest

from stages.signals.repetition import REPETITION_FIELDS, ratio
from stages.signals.text import text_signals


def signal(text, name):
    return text_signals(pa.array([text], pa.large_string()))[name][0].as_py()


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        # 4 lines, 2 of which came before; their 4 characters of 2 + 2 + 2 + 4
        ("ab\nab\n\nab\nabcd", "duplicate_line_fraction", 2 / 4),
        ("ab\nab\n\nab\nabcd", "duplicate_line_char_fraction", 4 / 10),
        (
            "ab\n  ab\t\r\nAB",
            "duplicate_line_fraction",
            1 / 3,
        ),  # white space around does not tell lines apart
        ("ab cd\nab  cd", "duplicate_line_fraction", 0.0),  # within, it does
        # 3 paragraphs of 4, 4 and 2 characters
        ("ab\ncd\n\nab\ncd\n \nab", "duplicate_paragraph_fraction", 1 / 3),
        ("ab\ncd\n\nab\ncd\n \nab", "duplicate_paragraph_char_fraction", 4 / 10),
        ("ab\n\n\n\nab", "duplicate_paragraph_fraction", 1 / 2),
        ("abc\nd\n\nab\ncd", "duplicate_paragraph_fraction", 0.0),
        # "of the" twice (5 characters each) in 18 characters of words
        ("of the x of the yyyyyyy", "top_2gram_char_fraction", 10 / 18),
        ("Of, the x of the yyyyyyy", "top_2gram_char_fraction", 10 / 18),  # case and punctuation do not count
        ("a b c d", "top_2gram_char_fraction", 0.0),  # what occurs once is not frequent
        (
            "ha ha ha yyyyyyyyyy",
            "top_2gram_char_fraction",
            8 / 16,
        ),  # count times length: overlaps count twice
        ("ha ha ha ha ha ha", "top_4gram_char_fraction", 1.0),  # 3 overlapping of 8 characters in 12: capped
        ("a b cc dd a b x cc dd", "top_2gram_char_fraction", 8 / 13),  # ties: the longest
        ("a b c x a b c", "top_3gram_char_fraction", 6 / 7),
        ("a b c d x a b c d", "top_4gram_char_fraction", 8 / 9),
        # the second "a b c d e" repeats; after it the scan goes on at "f"
        ("a b c d e a b c d e f", "duplicate_5gram_char_fraction", 5 / 11),
        ("a b c d e f a b c d e f", "duplicate_5gram_char_fraction", 5 / 12),
        ("a b c d e f a b c d e f", "duplicate_6gram_char_fraction", 6 / 12),
        ("a b c d e f a b c d e f", "duplicate_7gram_char_fraction", 0.0),
        ("a a a a a a a", "duplicate_5gram_char_fraction", 5 / 7),
        ("一二三四五 一二三四五", "duplicate_5gram_char_fraction", 0.5),
    ],
)
def test_worked_example(text, name, expected):
    assert signal(text, name) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", range(2, 11))
def test_ngrams_are_null_below_n_words(n):
    name = f"top_{n}gram_char_fraction" if n < 5 else f"duplicate_{n}gram_char_fraction"
    assert signal("a " * (n - 1), name) is None
    assert signal("a " * n, name) == 0.0


def test_distinct_lines_do_not_repeat():
    text = "\n".join(f"line number {k}" for k in range(10_000))
    assert signal(text, "duplicate_line_fraction") == 0.0
    assert signal(text, "duplicate_paragraph_fraction") == 0.0


def test_every_declared_fraction_lies_in_zero_to_one():
    columns = text_signals(
        pa.array(["ha " * 50, "the same\n" * 50, "The quick brown fox."], pa.large_string())
    )
    for field in REPETITION_FIELDS:
        assert all(value is None or 0 <= value <= 1 for value in columns[field.name].to_pylist()), field.name


def test_a_ratio_of_nothing_is_null():
    assert ratio(np.array([3, 0, 0]), np.array([4, 5, 0])).to_pylist() == [0.75, 0.0, None]
