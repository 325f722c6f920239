"""RefinedWeb's line-wise corrections: a line for each rule, the limit on them, other scripts, and a slow oracle."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import TEXT
from stages.filters.refinedweb import COUNTER_WORDS, Reason, RefinedwebRules
from tests.stages.filters.line_oracle import flag_of, strip, tokens_of

# 62 words: three of them may be flagged before they are more than a twentieth.
PAGE = "\n".join(
    [
        "The keeper climbed up to his lamp that evening, and the stairs seemed longer than before.",
        "",
        "A storm had covered the northern coast with snow, so that nobody could see the ships any more.",
        "Fishermen who had sailed there all their lives waited inside; they drank tea and told stories,",
        "and by morning everything was quiet again as two small boats returned.",
    ]
)
FREE = RefinedwebRules(max_flagged_word_fraction=None)


def judge(stage, *texts):
    batch = pa.record_batch({"text": pa.array(texts, TEXT.type)})
    marks = stage.annotate(batch, stage.open({}))
    return marks.columns["text"].to_pylist(), marks.reject.to_pylist(), marks.evidence.to_pylist()


LINES = [
    ("uppercase", "MENU HOME news"),
    ("numeric", "1999 2000"),
    ("numeric", "٣٤"),
    ("counter", "3 likes"),
    ("counter", "1,204 Comments"),
    ("counter", "12k views · 3 shares"),
    ("counter", "Followers: 18"),
    ("few_words", "Home"),
    ("few_words", "»"),
]


@pytest.mark.parametrize(("count", "line"), LINES)
def test_each_line_rule(count, line):
    for text in (f"{line}\n{PAGE}", PAGE.replace("\n\n", f"\n\n{line}\n"), f"{PAGE}\n{line}"):
        texts, reasons, evidence = judge(RefinedwebRules(max_flagged_word_fraction=0.1), text)
        assert texts == [PAGE]
        assert reasons == [None]
        words = len(tokens_of(line))
        counted = {name: n for name, n in evidence[0].items() if n}
        assert counted == {"lines": 5, count: 1, "words": 62 + words, "flagged_words": words}


PHRASES = [
    ("Sign-in to see all of it", "to see all of it"),
    ("Sign in", ""),
    ("The keeper's last night... Read more...", "The keeper's last night..."),
    ("The keeper's last night Read More", "The keeper's last night"),
    ("You have 3 items in cart now", "You have 3 now"),
    ("items in cart items in cart", ""),
]


@pytest.mark.parametrize(("line", "left"), PHRASES)
def test_phrases_of_short_lines_are_taken_out(line, left):
    texts, _, evidence = judge(FREE, f"{PAGE}\n{line}")
    assert texts == [f"{PAGE}\n{left}" if left else PAGE]
    assert evidence[0]["phrase"] == 1
    cut = RefinedwebRules(max_flagged_word_fraction=None, on_phrase="cut")
    assert judge(cut, f"{PAGE}\n{line}")[0] == [PAGE]


@pytest.mark.parametrize(
    "line",
    [
        "Sign-ins rose again in May.",
        "Please sign in here now.",
        "Read more books this winter.",
        "They spread more...ish",
        "The gitems in carts are ours.",
        "Sign-in is what the people of this house say at their door.",  # more than ten words
    ],
)
def test_phrases_elsewhere_stay(line):
    assert judge(FREE, f"{PAGE}\n{line}") == ([f"{PAGE}\n{line}"], [None], [None])


def test_every_count_has_its_line():
    shown = set(judge(FREE, "")[2][0]) - {"rule", "value", "limit", "lines", "words", "flagged_words"}
    assert shown == {count for count, _ in LINES} | {"phrase"}


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"max_uppercase_fraction": None}, "MENU HOME"),
        ({"max_uppercase_fraction": 1}, "MENU HOME"),
        ({"cut_numeric_lines": False}, "1999 2000"),
        ({"counter_words": ()}, "3 likes"),
        ({"min_words_per_line": None}, "Home"),
        ({"start_phrases": ()}, "Sign-in to see it"),
        ({"end_phrases": ()}, "The last night Read more..."),
        ({"any_phrases": ()}, "3 items in cart"),
        ({"max_phrase_line_words": 3}, "Sign-in to see it"),
    ],
)
def test_each_rule_can_be_off(params, line):
    text = f"{PAGE}\n{line}"
    assert judge(RefinedwebRules(max_flagged_word_fraction=None, **params), text) == ([text], [None], [None])


def test_a_twentieth_of_the_words_may_be_flagged():
    text = f"{PAGE}\n3 likes\nHome"  # 3 of 65
    assert judge(RefinedwebRules(), text)[:2] == ([PAGE], [None])
    text = f"{PAGE}\n3 likes\n4 shares"  # 4 of 66
    texts, reasons, evidence = judge(RefinedwebRules(), text)
    assert (texts, reasons) == ([text], [Reason.TOO_MANY_FLAGGED_WORDS])
    assert evidence[0]["value"] == pytest.approx(4 / 66)
    assert evidence[0]["limit"] == 0.05
    exact = RefinedwebRules(max_flagged_word_fraction=4 / 66)
    assert judge(exact, text)[1] == [None]
    assert judge(RefinedwebRules(max_flagged_word_fraction=0), f"{PAGE}\nHome")[1] == [
        Reason.TOO_MANY_FLAGGED_WORDS
    ]


@pytest.mark.parametrize("text", [None, "", " \n", "Home", "Home\n1999", "SIGN IN\nREAD MORE"])
def test_nothing_left(text):
    texts, reasons, evidence = judge(FREE, text)
    assert (texts, reasons) == ([text], [Reason.NOTHING_LEFT])
    assert (evidence[0]["value"], evidence[0]["limit"]) == (0, 1)


def test_blank_lines_and_line_ends_stay_as_they_are():
    text = "\n\n  One line here. \r\n\n\n\tAnother line here.\n\n"
    assert judge(FREE, text) == ([text], [None], [None])
    assert judge(FREE, "One line here.\n\nHome\n\nAnother line here.\n")[0] == [
        "One line here.\n\nAnother line here.\n"
    ]
    assert judge(FREE, "Home\n\nOne line here.\nHome")[0] == ["One line here."]


def test_only_a_newline_ends_a_line():
    for mark in "\u2028\u2029\x0b\x0c\x85\r":
        text = f"One line here{mark}Home{mark}that ends here."
        assert judge(FREE, text)[0] == [text]


@pytest.mark.parametrize(
    "text",
    [
        "我们去年夏天在海边看见了许多小船",
        "おばあさんは川へ洗濯に行きました。",
        "عندما صعد الحارس العجوز",
        "เราเห็นเรือหลายลำ",
    ],
)
def test_other_scripts_have_no_upper_case_and_stay(text):
    assert judge(RefinedwebRules(), text) == ([text], [None], [None])


def test_phrases_of_other_languages():
    stage = RefinedwebRules(
        max_flagged_word_fraction=None,
        start_phrases=("войти",),
        end_phrases=("weiterlesen", "続きを読む"),
        any_phrases=(),
    )
    texts = judge(
        stage,
        "ВОЙТИ на этот сайт\nDie Nacht am Meer … Weiterlesen\n夜の話続きを読む\nвойтись было нельзя",
    )[0]
    assert texts == ["на этот сайт\nDie Nacht am Meer …\n夜の話\nвойтись было нельзя"]


def test_an_empty_batch_slices_and_nulls():
    assert judge(FREE) == ([], [], [])
    batch = pa.record_batch({"text": pa.array(["x", PAGE, None, PAGE + "\nHome"], TEXT.type)}).slice(1)
    assert FREE.annotate(batch, FREE.open({})).columns["text"].to_pylist() == [PAGE, None, PAGE]


@pytest.mark.parametrize(
    "unit", ["1 like ", "sign i", "read more", "A", "items in car", "1.", "\0", "汉", "\n", "\u0301"]
)
def test_hostile_lines_take_linear_time(unit):
    """Anything more than linear would take hours for these 2 MB, and the suite's time limit would see it."""
    stage = RefinedwebRules(
        max_flagged_word_fraction=None,
        max_phrase_line_words=10**9,
        min_words_per_line=None,
        max_uppercase_fraction=None,
    )
    text = unit * (2_000_000 // len(unit.encode())) + " The end is near."
    texts, reasons, _ = judge(stage, text)
    assert texts[0].endswith("The end is near.")
    assert reasons == [None]


def test_a_line_of_20_mb():
    text = "The same words again and again, and no end. " * (20_000_000 // 44)
    assert judge(RefinedwebRules(), text, "Home")[:2] == (
        [text, "Home"],
        [None, Reason.TOO_MANY_FLAGGED_WORDS],
    )


def test_params_are_checked():
    assert RefinedwebRules().problems() == []
    assert "not one word" in RefinedwebRules(counter_words=("items sold",)).problems()[0]
    assert "not one word" in RefinedwebRules(counter_words=("!",)).problems()[0]
    assert "blank" in RefinedwebRules(any_phrases=(" ",)).problems()[0]


WORDS = st.sampled_from(
    ["the", "Cat", "SAT", "MENU", "3", "12k", "1,204", "likes", "Comments", "·", "汉字", "٣", "ก็", "\u2028", "\t", "\0",
     "e\u0301", "É", "-", "\u00a0", "🙂", "\U00020000", "no\r", "1st"]
)  # fmt: skip
TEXTS = st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=7).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(
    texts=st.lists(TEXTS, max_size=4), share=st.sampled_from([None, 0.3]), words=st.sampled_from([None, 2, 3])
)
def test_equals_the_oracle(texts, share, words):
    stage = RefinedwebRules(max_flagged_word_fraction=share, min_words_per_line=words)
    found, reasons, evidence = judge(stage, *texts)
    for k, text in enumerate(texts):
        lines = [strip(line) for line in text.split("\n")]
        flags = [flag_of(line, stage) for line in lines if line]
        counts = [len(tokens_of(line)) for line in lines if line]
        flagged = sum(n for n, flag in zip(counts, flags, strict=True) if flag)
        if share is not None and flagged > share * sum(counts):
            assert reasons[k] == Reason.TOO_MANY_FLAGGED_WORDS
        elif all(flags):
            assert reasons[k] == Reason.NOTHING_LEFT
        else:
            assert reasons[k] is None
            left = [line for line, flag in zip([x for x in lines if x], flags, strict=True) if not flag]
            assert [strip(line) for line in found[k].split("\n") if strip(line)] == left
        if flagged:
            for name in set(flags) - {None}:
                assert evidence[k][name] == flags.count(name)
            assert (evidence[k]["flagged_words"], evidence[k]["words"]) == (flagged, sum(counts))
    assert len(COUNTER_WORDS) == len(set(COUNTER_WORDS))
