"""Spellings that are one word where benchmark items are compared, and those that are not."""

import pyarrow as pa
import pytest

from stages.decontamination._alphabet import benchmark_alphabet, weighed_words
from stages.kernels.words import hash_words


def words_of(text: str, tokens: str = "words") -> list[int]:
    return hash_words(pa.array([text], pa.large_string()), benchmark_alphabet(tokens)).hashes.tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Café", "cafe"),
        ("cafe\u0301 noir", "CAFÉ NOIR"),
        ("ＡＢＣ １２３", "abc 123"),
        ("٤٢ apples", "42 apples"),
        ("४२ apples", "42 apples"),
        ("ｶﾅ", "カナ"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("10 \u00b5F", "10 \u03bcf"),
        ("10 \u00b5F", "10 \u00b5F".upper()),
        ("ſtrange \u03d1", "STRANGE \u03b8"),
        ("Janet\u02bcs 𝐝𝐮𝐜𝐤𝐬 in ℝ", "janet's ducks in r"),
        ("rock—paper–scissors", "rock-paper-scissors"),
        ("Janet\u2019s", "Janet's"),
        ("a\u00a0b\u202fc", "a b c"),
        ("co\u00adoperate", "cooperate"),
        ("Ångström", "Angstrom"),
        ("a - b c d", "a b c d"),
    ],
)
def test_spellings_of_one_text(text, other):
    assert words_of(text) == words_of(other)


@pytest.mark.parametrize(
    ("text", "other"), [("48", "75"), ("ガ", "カ"), ("한", "하"), ("a b", "ab"), ("ж", "з"), ("क", "कि")]
)
def test_texts_that_stay_different(text, other):
    assert words_of(text) != words_of(other)


def test_words_of_code():
    assert words_of("x_1+=y[i]", "code") == words_of("x_1 += y [ i ]", "code")
    assert len(words_of("x_1+=y[i]", "code")) == 7
    assert words_of("Name", "code") != words_of("name", "code")
    assert words_of("\u03bc", "code") != words_of("\u039c", "code")
    assert words_of("a_b", "code") != words_of("a b", "code")
    assert words_of("a + b", "code") != words_of("a - b", "code")
    assert words_of("longer_name_than_eight(x)", "code")[0] != words_of("longer(x)", "code")[0]


def test_weights_are_half_words():
    column = pa.array(["two 橋 words", None, "", "𠀀é"], pa.large_string())
    words, weights = weighed_words(column, "words")
    assert words.offsets.tolist() == [0, 3, 3, 3, 5]
    assert weights.tolist() == [2, 1, 2, 1, 2]
    assert weighed_words(pa.array(["f(x)"], pa.large_string()), "code")[1].tolist() == [2, 1, 2, 1]
