"""Signals of machine text: each count against an oracle that shares no code, each column by one short text."""

import json
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.signals import _machine_tables as machine
from stages.signals._machine_reference import (
    PHRASES,
    REFERENCE,
    confusion_table,
    group_names,
    letter_hash,
    load_tables,
    phrase_table,
    unpack_costs,
)
from stages.signals.machine_text import (
    GROUPS,
    MACHINE_TEXT_SIGNALS,
    MachineTextSignals,
    machine_text_signals,
    measure,
)
from tests.stages.signals.machine_text_oracle import Oracle, burstiness, split_words

PHRASE_FILE = json.loads(PHRASES.read_text(encoding="utf-8"))
REFERENCE_FILE = json.loads(REFERENCE.read_text(encoding="utf-8"))
TABLES = load_tables()
ORACLE = Oracle(REFERENCE_FILE, PHRASE_FILE, unpack_costs(REFERENCE_FILE["trigrams"]))

SCANNED = (
    "1he q uick brown fox jurnps ovcr the Iazy dog;its tai1 was lost. Tlie humm-\ning machines made thern a ll "
    'sleepv, ^ and t h e y went | home.\n\nA "new" day — perhaps (the first) — be-\n  gan… Was it w0rth it?Yes!'
)
TEXTS = [
    "",
    " \n\n ",
    "word",
    "The cat sat. The cat ate. The cat slept. The dog ran! The the end.",
    SCANNED,
    "Don't panic: it's the HTTPServer's fault, isn't it? McDonald has 3 iPhones and a 2nd l0ve.",
    "As an AI language model, I can't. I hope this helps! It is important to note that we delve into it.",
    "[untranslated] text and untranslated text; 本文由机器翻译。 Select language ▼ Powered by Google Translate",
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。作为一个人工智能，我不能。",
    "Смешанный tеxt с латинскoй буквой. Слово слово, мама мыла раму.",
    "für Straße naïve coöperate ﬁne ſuch æther ĳs ｆｕｌｌ e\u0301te\u0301 ªº µm n×m",
    "a\u00adb soft\u00adhyphen zero\u200bwidth \u200djoin 🙂🙂 👍🏽 \U00020000\U00020001x \U000e0041",
    "x" * 100 + " " + "ab" * 16 + " " + "ab" * 17 + " Ab1c d2 3e 4 a5b6c",
    '\x00\x01 nul\x00byte \x85 next\u2028line\u3000wide。 end？Then！so…on ... yes?!) "ok"',
    'no spaces|here~at^all;x,y!z?q"w',
    "the of the of the of the of the of the of the of the of",
    "١٢٣ عربي ،نص؟ हिन्दी पाठ। ไทยไม่มีช่องว่าง",
]


def signals(*texts, **params):
    return {
        k: v.to_pylist()
        for k, v in machine_text_signals(pa.array(texts, pa.large_string()), TABLES, **params).items()
    }


def compare(text):
    expected = ORACLE.measure(text)
    found = measure(pa.array([text], pa.large_string()), TABLES)
    wrong = {
        n: (int(found[n][0]), int(expected[n])) for n in machine.NAMES if int(found[n][0]) != int(expected[n])
    }
    assert not wrong, f"(kernel, oracle) {wrong} in {text!r}"
    burst = burstiness([ORACLE.word(text[a:b]) for a, b in split_words(text)])
    assert found["gap_burstiness"][0] == pytest.approx(
        np.nan if burst is None else burst, abs=1e-9, nan_ok=True
    )


@pytest.mark.parametrize("text", TEXTS)
def test_every_count_is_the_oracles(text):
    compare(text)


def test_counts_of_a_long_text_are_the_oracles():
    compare("\n".join((SCANNED + " " + TEXTS[3]) for _ in range(30)))


WORDS = ["the", "of", "The", "machine", "rnachine", "tlie", "w0rd", "don", "t", "q", "x", "naïve", "ſo", "AI", "as", "an", "model", "language",
         "untranslated", "слово", "tеxt", "猫", "は", "e\u0301", "\u00ad", "1", "42", "McX", "zzxq", "ing", "ma"]  # fmt: skip
GAPS = [" ", "  ", "\n", "\n\n", ". ", ".", ", ", ",", "'", "’", "-", "-\n", "- ", "- x", "|", " | ", "^ ", "…", "。", "! ", "?", " (", "[", '"', "\x00", "\u200b", "\u3000", ""]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(GAPS), st.sampled_from(WORDS)), max_size=60), st.sampled_from(GAPS))
def test_counts_of_made_up_text_are_the_oracles(pairs, end):
    compare("".join(gap + word for gap, word in pairs) + end)


@settings(max_examples=200, deadline=None)
@example(
    "0\U000e0000A tl\U000e0061ie la\U000e0100mp \U000e0001 the\U000e0020"
)  # tags and variation selectors
@given(st.text(max_size=60))
def test_counts_of_any_unicode_are_the_oracles(text):
    compare(text)


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("style_distinct_words", "a b a b", 0.5),
        ("style_sentence_words", "One two three. Four five! Six?", 2.0),
        ("style_repeated_starts", "The cat. A dog. The end. Go on.", 0.25),
        ("style_contractions", "It's fine", 1 / 3),
        ("style_articles", "the cat and a dog", 0.4),
        ("style_capitalised", "We saw Emma at Hartfield", 0.4),
        ("style_commas", "yes, no", 0.5),
        ("ocr_known_words", "the machine xqzzq", 2 / 3),
        ("ocr_confusable_words", "the rnachine", 0.5),  # rn was m
        ("ocr_confusable_words", "tlie machine", 0.5),  # li was h
        ("ocr_confusable_words", "the xqzzq", 0.0),  # unknown, but no usual misreading
        ("ocr_digits_in_words", "l0ng way", 0.5),
        ("ocr_odd_case_words", "loNg way", 0.5),
        ("ocr_symbols_in_words", "wo|rd here", 1 / 3),
        ("ocr_isolated_letters", "we saw q there", 0.25),
        ("ocr_isolated_letters", "I saw a Q there", 0.0),  # a word, an initial
        ("ocr_broken_words", "the machi nes of", 0.25),
        ("ocr_hyphen_breaks", "the machi-\nnes of", 0.25),
        ("ocr_vowelless_words", "the trhs", 0.5),
        ("ocr_stray_symbols", "one ^ two", 0.5),
        ("lm_stock_phrases", "I hope this helps", 0.25),
        ("mt_doubled_words", "we saw the the cat", 0.2),
        ("mt_doubled_words", "he had had enough", 0.0),
        ("mt_mixed_script_words", "tеxt text", 0.5),  # the first has a Cyrillic letter
        ("mt_foreign_letters", "abc где", 0.5),
    ],
)
def test_what_each_signal_measures(column, text, value):
    assert signals(text)[column][0] == pytest.approx(value)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("lm_disclosures", "AS AN AI, LANGUAGE MODEL"),
        ("lm_disclosures", "als KI-Sprachmodell"),
        ("lm_disclosures", "我作为一个人工智能，"),
        ("mt_marks", "[Untranslated]"),
        ("mt_marks", "This page has been automatically translated."),
        ("mt_widgets", "Select language"),
    ],
)
def test_phrases_are_found_whatever_their_case_and_punctuation(column, text):
    assert signals(text)[column] == [1]


def test_a_bracket_belongs_to_its_phrase():
    assert signals("left untranslated on purpose")["mt_marks"] == [0]


@pytest.mark.parametrize("text", [None, "", " \n", "。。。", "!!!", "\x00"])
def test_where_there_is_nothing_to_measure_ratios_are_null(text):
    found = signals(text)
    assert found["style_words"] == [0]
    assert (
        found["style_distinct_words"] == found["ocr_known_words"] == found["style_gap_burstiness"] == [None]
    )


def test_no_judged_word_no_misreading_ratio():
    found = signals("吾輩は猫である。")
    assert found["ocr_known_words"] == [None]
    assert found["style_distinct_words"] == [1.0]


def test_numbers_do_not_depend_on_the_batch():
    alone = [signals(text) for text in TEXTS]
    together = signals(*TEXTS)
    assert together == {name: [one[name][0] for one in alone] for name in together}
    sliced = pa.array(["junk", *TEXTS], pa.large_string()).slice(1)
    assert {k: v.to_pylist() for k, v in machine_text_signals(sliced, TABLES).items()} == together


def test_only_the_first_bytes_are_read_and_no_character_is_cut():
    text = "é" * 700 + " the end"
    assert signals(text, max_bytes=1001) == signals("é" * 500)


def test_the_stage_writes_what_it_declares():
    stage = MachineTextSignals()
    batch = pa.record_batch({"text": pa.array([SCANNED, None], pa.large_string())})
    columns = stage.annotate(batch, stage.open({})).columns
    assert {name: array.type for name, array in columns.items()} == {
        f.name: f.type for f in MACHINE_TEXT_SIGNALS
    }
    assert all(len(array) == 2 for array in stage.annotate(batch, stage.open({})).columns.values())
    assert all(
        len(array) == 0 for array in stage.annotate(batch.slice(0, 0), stage.open({})).columns.values()
    )


def test_time_is_linear_in_hostile_text():
    """Ten times the bytes take about ten times as long: 2 MB beside 200 KB, one line, no words alike or all alike."""
    for make in (
        lambda n: "a" * n,
        lambda n: "a " * (n // 2),
        lambda n: "\x00" * n,
        lambda n: "|^~ " * (n // 4),
        lambda n: "".join(f"{k:x} " for k in range(n // 6)),
        lambda n: "as an ai language " * (n // 18),
        lambda n: "rn" * 15 + " rnrnrnrnrn" * (n // 11),
    ):
        times = []
        for size in (200_000, 2_000_000):
            column = pa.array([make(size)], pa.large_string())
            best = []
            for _ in range(3):
                began = time.process_time()
                measure(column, TABLES)
                best.append(time.process_time() - began)
            times.append(max(min(best), 1e-3))
        assert times[1] < 60 * times[0]  # quadratic would be 100


def test_a_line_of_twenty_megabytes():
    found = signals("x" * 20_000_000, "lamp " * 4_000_000, max_bytes=262_144)
    assert found["style_words"] == [1, 52_429]


def test_groups_are_the_files():
    assert tuple(group_names(PHRASE_FILE)) == GROUPS


def test_letters_and_confusions_by_hand():
    assert letter_hash("für") == letter_hash("FUR") != letter_hash("fun")
    assert letter_hash("слово") is None
    assert letter_hash("a" * 33) is None
    starts, rows = confusion_table(["m>rn", "l>1"])
    assert rows[starts[33] : starts[34]].tolist() == [[33, 0, 12, 0]]


def test_a_phrase_without_a_word_is_refused():
    with pytest.raises(ValueError, match=r"phrase '!!' has no word"):
        phrase_table([("!!", 0)])


@pytest.mark.parametrize("content", ["{}", '{"words": {"1": "a"}, "trigrams": "eJw="}', "[]"])
def test_a_broken_reference_is_refused(tmp_path, content):
    path = tmp_path / "reference.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"not a machine-text reference"):
        load_tables(path)
