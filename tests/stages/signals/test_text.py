"""Text signals equal a slow oracle to the last count, on made-up text of many scripts and on real text.

Traps (field-notes.md T29): lines are cut at newlines only, stop words are counted once each and in any case,
an empty document divides by nothing.
"""

import gzip
import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import TEXT
from stages.signals import _counts
from stages.signals._counts import COUNTS
from stages.signals.text import (
    STOP_WORDS,
    TEXT_SIGNALS,
    TextSignals,
    count_signals,
    text_signals,
)
from tests.stages.signals.oracle import counts_of, entropy_of, words_of
from tests.support.data import real_data

PARTS = (
    *(
        "the",
        "The",
        "to",
        "Be",
        "of",
        "that",
        "cat",
        "naïve",
        "Straße",
        "ǅep",
        "x1",
        "42",
        "e\u0301",
        "İ",
        "Σς",
    ),
    *("模型", "中", "かき", "ガ", "が", "ไทย", "นี้", "ខ្មែរ", "한국어", "𠀀", "𐐀", "مرحبا", "हिन्दी", "עִבְרִית"),
    *(
        " ",
        " ",
        " ",
        "  ",
        "\n",
        "\n",
        "\n\n",
        "\r\n",
        "\t",
        "\u2028",
        "\u00a0",
        "\u3000",
        "\v",
        "\x1c",
        "\x85",
    ),
    *(
        ".",
        "..",
        "...",
        "…",
        "#",
        "{",
        "}",
        "!",
        "?",
        "。",
        "»",
        "”",
        ",",
        "-",
        "- ",
        "* ",
        "• ",
        "–",
        "—",
        "'",
    ),
    *(
        "\u200b",
        "\u200d",
        "\ufeff",
        "\x00",
        "\u0301",
        "\u3099",
        "🙂",
        "\U000e0100",
        "\U0010fffd",
        "$",
        "=",
        "_",
    ),
    *(
        "!",
        "?!",
        "。",
        "।",
        "။",
        ".)",
        "J.",
        "U.S.",
        "JavaScript",
        "lorem",
        "ipsum",
        "NASA",
        "ǄEP",
        "3.5",
        "カナ",
        "ᄀ",
    ),
    *("a b c d e ", "the same line again\n", "one. two. three. "),
)
texts = st.one_of(
    st.lists(st.sampled_from(PARTS), max_size=60).map("".join),
    st.lists(st.sampled_from("ab c\n"), max_size=80).map("".join),
    st.text(max_size=60),
)


def column(*texts):
    return pa.array(texts, pa.large_string())


def assert_equals_oracle(*documents):
    counted = count_signals(column(*documents))
    for row, text in enumerate(documents):
        expected = counts_of(text or "", STOP_WORDS, _counts)
        assert {name: int(counted[name][row]) for name in COUNTS} == expected, repr(text)


@settings(max_examples=400, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4))
def test_counts_equal_the_oracle(documents):
    assert_equals_oracle(*documents)


@settings(max_examples=100, deadline=None)
@given(texts)
def test_the_entropy_is_the_oracles(text):
    expected = entropy_of([word for word, _ in words_of(text)])
    found = text_signals(column(text))["unigram_entropy"][0].as_py()
    assert found == (expected if expected is None else pytest.approx(expected, abs=1e-12))


def test_a_word_that_comes_a_hundred_thousand_times():
    signals = text_signals(column("the " * 100_000 + "cat " * 100_000))
    assert signals["unigram_entropy"].to_pylist() == [pytest.approx(math.log(2), rel=1e-9)]
    assert signals["unique_word_fraction"].to_pylist() == [1e-5]


@pytest.mark.parametrize("text", [*PARTS, *(a + b for a in PARTS[:30] for b in PARTS[40:])])
def test_counts_equal_the_oracle_on_every_pair(text):
    assert_equals_oracle(text)


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name", ["nltk_state_union", "aozora_ja_pd_sample", "poetry_zh_sample", "gesetze_de_sample"]
)
def test_counts_equal_the_oracle_on_real_text(name):
    with gzip.open(real_data(f"text/{name}.jsonl.gz"), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for _, line in zip(range(20), lines, strict=False)]
    documents = [str(next(row[key] for key in ("text", "content") if key in row))[:20_000] for row in rows]
    assert len(documents) == 20
    assert_equals_oracle(*documents)


@pytest.mark.parametrize(
    ("text", "column_name", "expected"),
    [
        ("The cat, the dog.", "word_count", 4),
        ("- -- $ 12", "word_count", 1),
        ("中华人民", "word_count", 3),  # 2.5 words, and a part of a word is one
        ("GPT模型", "word_count", 3),
        ("こんにちは世界", "word_count", 3),
        ("สวัสดีครับ", "word_count", 2),
        ("naïve", "char_count", 5),
        ("abcd ab", "mean_word_length", 3.0),
        ("'abcd', (ab)", "mean_word_length", 3.0),
        ("中华人民 ab", "mean_word_length", None),
        ("the THE The", "distinct_stop_words", 1),
        ("Be with the cat", "distinct_stop_words", 3),
        ("a 1 2 -", "fraction_of_words_with_alpha", 0.25),
        ("- | a", "fraction_of_words_with_alpha", 1 / 3),
        ("春、夏。 ——", "fraction_of_words_with_alpha", 2 / 3),  # punctuation beside a word is no symbol
        ("# a b #c", "hash_to_word_ratio", 2 / 3),
        ("a... b… c", "ellipsis_to_word_ratio", 2 / 3),
        ("#a b...", "symbol_to_word_ratio", 1.0),
        ("a\nb\n", "newline_to_word_ratio", 1.0),
        ("- a\n* b\n\n• c\nd", "fraction_of_lines_starting_with_bullet", 0.75),
        ("— dit-il", "fraction_of_lines_starting_with_bullet", 0.0),
        ("a...  \nb…\nc. . .", "fraction_of_lines_ending_with_ellipsis", 2 / 3),
        ("a.\nb\nc。\nd»\n", "fraction_of_lines_ending_with_terminal_punctuation", 0.75),
        ("short\n" + "x" * 31, "short_line_fraction", 0.5),
        ("x" * 30, "short_line_fraction", 1.0),
        ("a\u2028b\vc", "line_count", 1),
        ("a\r\n\r\nb\nc", "paragraph_count", 2),
        ("{a}{", "curly_brace_count", 2),
        ("a (banana) b", "max_word_length", 6),
        ("One. Two! Three? Four", "sentence_count", 4),
        ('He said: "No." She (too) left. Mr. X went', "sentence_count", 4),  # Mr. is taken for an end
        ("J. Smith of the U.S. Senate paid 3.5 vs. none... so far.", "sentence_count", 1),
        ("一句。两句！三", "sentence_count", 3),
        ("?! ... —", "sentence_count", 0),
        ("a b a B", "unique_word_fraction", 0.5),
        ("a b a B", "unigram_entropy", pytest.approx(math.log(2))),
        ("one", "unigram_entropy", 0.0),
        ("the cat and THE dog", "stop_word_fraction", 0.6),
        ("NASA is in the USA", "all_caps_word_fraction", 0.4),
        ("AbCD 12", "uppercase_char_fraction", 0.75),
        ("ab 12", "digit_char_fraction", 0.5),
        ("{ab}", "curly_brace_fraction", 0.25),
        ("Lorem ipsum dolor, lorem\nipsum. ipsum lorem", "lorem_ipsum_count", 2),
        ("Please enable JavaScript!\nno", "javascript_line_fraction", 0.5),
        ("12,5 %\n3 likes\n-\n", "numeric_line_fraction", 1 / 3),
        ("SALE now\nsale\nSALE NOw\n12", "uppercase_line_fraction", 0.5),
    ],
)
def test_one_signal(text, column_name, expected):
    assert text_signals(column(text))[column_name].to_pylist() == [expected]


@pytest.mark.parametrize("text", ["", None, " \n\t ", "\u200b"])
def test_nothing_to_measure_is_null_and_not_zero(text):
    signals = {name: array[0].as_py() for name, array in text_signals(column(text)).items()}
    counts = {name for name, value in signals.items() if value is not None}
    assert {"word_count", "char_count", "distinct_stop_words", "line_count"} <= counts
    assert signals["word_count"] == 0
    assert signals["char_count"] == len(text or "")
    assert signals["mean_word_length"] is None
    assert signals["fraction_of_words_with_alpha"] is None
    assert signals["top_2gram_char_fraction"] is None
    if not (text or "").strip():
        assert {name for name in signals if "fraction" in name} & counts == set()


def test_stop_words_of_another_language():
    batch = pa.RecordBatch.from_arrays([column("Der Hund und die Katze", "的士")], schema=pa.schema([TEXT]))
    stage = TextSignals(stop_words=("DER", "und", "ist", "的"))
    assert stage.annotate(batch, None).columns["distinct_stop_words"].to_pylist() == [2, 1]
    assert stage.problems() == []


def test_all_sixty_four_stop_words_are_told_apart():
    words = tuple(f"w{k}" for k in range(64))
    counted = count_signals(column(" ".join(words), "w0 w63 w64"), words)
    assert counted["stop_words"].tolist() == [64, 2]


def test_stop_words_that_cannot_occur_are_refused():
    assert "'of course'" in TextSignals(stop_words=("of course", "the")).problems()[0]
    with pytest.raises(ValueError, match="at most 64"):
        TextSignals(stop_words=tuple(f"w{k}" for k in range(65)))


def test_columns_are_the_declared_ones():
    stage = TextSignals()
    for rows in ([], [None], ["a b", None, "c"]):
        batch = pa.RecordBatch.from_arrays([column(*rows)], schema=pa.schema([TEXT]))
        marks = stage.annotate(batch, stage.open({}))
        assert marks.reject is None
        assert {f.name: f.type for f in stage.writes()} == {n: a.type for n, a in marks.columns.items()}
        assert {len(array) for array in marks.columns.values()} == {len(rows)}
    assert set(stage.summarize) <= set(TEXT_SIGNALS.names)


@settings(max_examples=50, deadline=None)
@given(st.lists(texts, min_size=3, max_size=8))
def test_signals_do_not_depend_on_the_batch(documents):
    whole = text_signals(column(*documents))
    cut = len(documents) // 2
    parts = [text_signals(column(*documents[:cut])), text_signals(column(*documents).slice(cut))]
    for name, array in whole.items():
        assert pa.concat_arrays([part[name] for part in parts]).equals(array), name


def test_a_plain_string_column_is_the_same():
    narrow = text_signals(pa.array(["The cat\nthe cat"], pa.string()))
    wide = text_signals(column("The cat\nthe cat"))
    assert all(narrow[name].equals(wide[name]) for name in wide)


def test_a_million_words_and_a_hundred_thousand_equal_lines():
    rng = np.random.default_rng(1)
    varied = " ".join(f"w{k}" for k in rng.integers(0, 500_000, 1_000_000))
    same = "The same line again.\n" * 100_000
    signals = text_signals(column(varied, same, "short"))
    assert signals["word_count"].to_pylist() == [1_000_000, 400_000, 1]
    assert signals["duplicate_line_fraction"].to_pylist() == [0.0, 0.99999, 0.0]
    assert signals["duplicate_10gram_char_fraction"].to_pylist()[1] > 0.99


def test_one_endless_word_is_one_word():
    signals = text_signals(column("x" * 5_000_000))
    assert signals["max_word_length"].to_pylist() == [5_000_000]
    assert signals["word_count"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("unit", "times", "words"),
    [
        ("中", 7_000_000, 4_375_000),
        ("a ", 10_000_000, 10_000_000),
        ("\0", 20_000_000, 0),
        ("\u0301", 10_000_000, 1),
        ("#{..", 5_000_000, 0),
        ("\n", 20_000_000, 0),
    ],
    ids=["no spaces", "equal words", "nul bytes", "marks alone", "signs", "line ends"],
)
def test_twenty_megabytes_of_one_thing(unit, times, words):
    signals = text_signals(column(unit * times))
    assert signals["word_count"].to_pylist() == [words]
    assert signals["char_count"].to_pylist() == [len(unit) * times]
