"""C4's rules: a line for each cut, a page for each reason, other scripts, hostile text, and a slow oracle."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import TEXT
from stages.filters import _edits
from stages.filters.c4 import C4Rules, Reason
from stages.signals import _counts
from stages.signals.text import count_signals
from tests.stages.filters.line_oracle import clean_page, sentences_of

PAGE = (
    "The keeper climbed up to his lamp that evening.\n"
    "A storm had covered the northern coast with snow.\n"
    "Nobody could see the ships any more!\n"
)
ONE = C4Rules(min_sentences=1)


def judge(stage, *texts):
    batch = pa.record_batch({"text": pa.array(texts, TEXT.type)})
    marks = stage.annotate(batch, stage.open({}))
    assert marks.columns["text"].type == TEXT.type
    return marks.columns["text"].to_pylist(), marks.reject.to_pylist(), marks.evidence.to_pylist()


LINES = [
    ("long_word", "A word of " + "x" * 1001 + " characters is no word."),
    ("no_terminal", "Home News Sport Weather and more"),
    ("no_terminal", "And what happened next will surprise you..."),
    ("no_terminal", "And what happened next will surprise you…"),
    ("few_words", "Read all about it."),
    ("javascript", "Please enable JavaScript to see this page."),
    ("policy", "By going on you agree to our Terms of Use."),
    ("policy", "This page uses cookies to know you better."),
]


@pytest.mark.parametrize(("count", "line"), LINES)
def test_each_line_rule(count, line):
    texts, reasons, evidence = judge(C4Rules(), PAGE + line, PAGE)
    assert texts == [PAGE.strip()] * 2
    assert reasons == [None, None]
    assert {name: n for name, n in evidence[0].items() if n} == {"lines": 4, count: 1}
    assert evidence[1] is None


def test_every_count_has_its_line():
    shown = set(judge(C4Rules(), "")[2][0]) - {"rule", "value", "limit", "lines", "citations"}
    assert {count for count, _ in LINES} == shown


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"max_word_length": None}, LINES[0][1]),
        ({"require_terminal_mark": False}, LINES[1][1]),
        ({"require_terminal_mark": False}, LINES[2][1]),
        ({"terminal_marks": ".!?…"}, LINES[1][1] + "!"),
        ({"min_words_per_line": 4}, LINES[4][1]),
        ({"min_words_per_line": None}, "Yes."),
        ({"javascript_phrases": ()}, LINES[5][1]),
        ({"policy_phrases": ("privacy",)}, LINES[6][1]),
    ],
)
def test_each_line_rule_can_be_off(params, line):
    texts, reasons, evidence = judge(C4Rules(**params), PAGE + line)
    assert texts == [PAGE + line]
    assert (reasons, evidence) == ([None], [None])


PAGES = [
    (Reason.LOREM_IPSUM, PAGE + "Lorem ipsum dolor sit amet, they say.", 1, 0),
    (Reason.CURLY_BRACE, PAGE + "A set is written as {one, two}.", 1, 0),
    (Reason.TOO_FEW_SENTENCES, "The keeper climbed up to his lamp. Then he slept", 0, 3),
    (Reason.TOO_FEW_SENTENCES, "The keeper climbed up to his lamp. Then he slept.", 2, 3),
]


@pytest.mark.parametrize(("reason", "text", "value", "limit"), PAGES)
def test_each_page_rule(reason, text, value, limit):
    texts, reasons, evidence = judge(C4Rules(), text)
    assert texts == [text]  # a rejected row keeps its text
    assert reasons == [reason]
    assert [evidence[0][k] for k in ("rule", "value", "limit")] == [reason, value, limit]


def test_nothing_left():
    assert judge(C4Rules(min_sentences=None), "Menu\nHome")[1] == ["nothing_left"]
    assert {reason for reason, *_ in PAGES} | {Reason.NOTHING_LEFT} == set(Reason)


def test_page_rules_look_at_passing_lines_or_at_all():
    for line in ("Lorem ipsum", "if (x) {"):
        assert judge(C4Rules(), PAGE + line)[1] == [None]
        assert judge(C4Rules(page_rules_read="all_lines"), PAGE + line)[1] != [None]
    off = C4Rules(page_rules_read="all_lines", placeholder_phrases=(), reject_curly_braces=False)
    assert judge(off, PAGE + "Lorem ipsum\nif (x) {")[1] == [None]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("It rained[1] on all of the days[12].", "It rained on all of the days."),
        ("It rained on all of the days. [3]", "It rained on all of the days."),
        ("It rained [citation needed] on all the days.", "It rained on all the days."),
        ("It rained on all days [1], and nights.", "It rained on all days, and nights."),
        ("Weather[edit] was bad on all days.", "Weather was bad on all days."),
        ("It rained[] on all of the days.", "It rained on all of the days."),
        (
            "It rained[a] on [x1] all [ 2] of the [Edit] days.",
            "It rained[a] on [x1] all [ 2] of the [Edit] days.",
        ),
        ("The list[[1]] of [1 days was long.", "The list[] of [1 days was long."),
    ],
)
def test_citations(before, after):
    texts, _, evidence = judge(ONE, before)
    assert texts == [after]
    assert (evidence[0] is None) == (before == after)


def test_citations_can_stay_and_have_other_names():
    line = "Es hat geregnet[1] an allen Tagen[Bearbeiten]."
    assert judge(C4Rules(min_sentences=1, remove_citations=False), line)[0] == [line]
    german = C4Rules(min_sentences=1, citation_marks=("Bearbeiten",))
    assert judge(german, line)[0] == ["Es hat geregnet an allen Tagen."]


def test_blank_lines_go_as_in_c4_or_part_paragraphs():
    text = "\nOne line of five words.\n\n\n\nMenu\n\nAnother line of five words.\n"
    assert judge(ONE, text)[0] == ["One line of five words.\nAnother line of five words."]
    kept = C4Rules(min_sentences=1, keep_blank_lines=True)
    assert judge(kept, text)[0] == ["One line of five words.\n\nAnother line of five words."]


@pytest.mark.parametrize("text", [None, "", " \n\t\n", "\ufeff\u200b\0"])
def test_nothing_to_read(text):
    texts, reasons, _ = judge(C4Rules(), text)
    assert texts == [text]
    assert reasons == ["too_few_sentences"]


def test_one_word_and_an_empty_batch():
    assert judge(C4Rules(), "word")[1] == ["too_few_sentences"]
    assert judge(C4Rules()) == ([], [], [])


@pytest.mark.parametrize(
    "text",
    [
        "我们去年夏天在海边看见了许多小船。渔民回来了！他们唱歌吗？",
        "おばあさんは川へ洗濯に行きました。桃が流れてきました。「大きい桃だ。」",
        "عندما صعد الحارس العجوز إلى مصباحه. كانت العاصفة قوية؟ نعم، كانت قوية.",
        "हम पिछली गर्मियों में समुद्र के किनारे गए। वहाँ बहुत नावें थीं। फिर हम लौटे।",
        "Мы видели корабли. Был вечер. Потом пошёл «снег».",
    ],
)
def test_other_scripts_keep_their_lines(text):
    assert judge(C4Rules(), text) == ([text], [None], [None])
    ascii_marks = C4Rules(terminal_marks=".!?\"'", min_sentences=None)
    if text[-1] not in ".!?":
        assert judge(ascii_marks, text)[1] == ["nothing_left"]  # what C4's own marks would have done


def test_phrases_in_other_scripts_and_cases():
    stage = C4Rules(min_sentences=1, policy_phrases=("политика конфиденциальности", "隐私政策"))
    text = "Это хороший текст из слов.\nЧитайте: ПОЛИТИКА Конфиденциальности нашего сайта здесь.\n请先阅读我们的隐私政策。"
    assert judge(stage, text)[0] == ["Это хороший текст из слов."]


def test_only_a_newline_ends_a_line():
    """Trap T29: `splitlines` cuts at U+2028, form feeds and others, and finds lines that no reader sees."""
    for mark in "\u2028\u2029\x0b\x0c\x1c\x85\r":
        line = f"One line of five words{mark}that ends here."
        assert judge(ONE, line)[0] == [line]
    assert judge(ONE, "One line of five words.\r\nAnother line of five words.\r\n")[0] == [
        "One line of five words.\nAnother line of five words."
    ]


def test_invisible_characters_do_not_hide_the_end_of_a_line():
    line = "\ufeffOne line of five words.\u200b\0"
    assert judge(ONE, line)[0] == ["One line of five words."]


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "[1",
        "[citation need",
        "lorem ipsu",
        "use cookie",
        ". ",
        "...",
        "a",
        "\0",
        "汉",
        "{ ",
        "\n",
        "é\u0301",
    ],
)
def test_hostile_lines_take_linear_time(unit):
    """Anything more than linear would take hours for these 2 MB, and the suite's time limit would see it."""
    stage = C4Rules(min_sentences=1, max_word_length=None, reject_curly_braces=False, placeholder_phrases=())
    text = unit * (2_000_000 // len(unit.encode())) + " This is the end now."
    texts, reasons, _ = judge(stage, text)
    assert texts[0].endswith("This is the end now.")
    assert reasons == [None]


def test_a_line_of_20_mb():
    text = "The same words again and again, and no end. " * (20_000_000 // 44)
    texts, reasons, _ = judge(C4Rules(), text, PAGE)
    assert texts == [text.strip(), PAGE.strip()]
    assert reasons == [None, None]


def test_slices_and_nulls():
    column = pa.array(["x", PAGE + "Menu", None, PAGE], TEXT.type)
    batch = pa.record_batch({"text": column}).slice(1)
    marks = C4Rules().annotate(batch, C4Rules().open({}))
    assert marks.columns["text"].to_pylist() == [PAGE.strip(), None, PAGE.strip()]
    assert marks.reject.to_pylist() == [None, "too_few_sentences", None]


def test_params_are_checked():
    assert C4Rules().problems() == []
    assert "spans lines" in C4Rules(policy_phrases=("a\nb",)).problems()[0]
    assert "blank" in C4Rules(placeholder_phrases=("",)).problems()[0]
    assert "'x' is no punctuation" in C4Rules(terminal_marks=".x").problems()[0]
    with pytest.raises(ValueError, match="page_rules_read"):
        C4Rules.model_validate_json(json.dumps({"page_rules_read": "some"}))


def test_sentences_are_those_of_text_signals():
    assert (_edits.STOPS, _edits.CLOSERS, _edits.FULL_STOPS) == (
        _counts.STOPS,
        _counts.CLOSERS,
        _counts.WIDE_STOPS,
    )
    texts = [
        "Mr. J. Smith went to the U.S. in May. He came back (in June.) It rained!",
        "It costs 3.14 dollars. Or more... or less. “Yes.” 真的。是吗？！",
        "no end", "...", "A. B. C.", "Wait!? what. Then (he said.) \"Go.\" he went.",
    ]  # fmt: skip
    counts = count_signals(pa.array(texts, TEXT.type))["sentences"].tolist()
    assert [sentences_of(text) for text in texts] == counts
    stage = C4Rules(min_sentences=10**6, min_words_per_line=None, require_terminal_mark=False)
    assert [row["value"] for row in judge(stage, *texts)[2]] == counts


WORDS = st.sampled_from(
    ["the", "Cat", "sat.", "on", "J.", "mat!", "mat...", "(he", "said.)", "“Go.”", "use cookies", "JavaScript", "[1]",
     "[edit]", "x[12].", "[citation needed]", "lorem ipsum", "{", "汉字。", "ก็", "…", "\u2028", "\t", "\0", "\ufeff",
     "e\u0301", "U.S.", "1.5", "-", "\u00a0", "privacy\u00a0policy", "ΣΑΣ", "🙂", "۔", "\U00020000", "no\r"]
)  # fmt: skip
TEXTS = st.lists(st.lists(WORDS, max_size=9).map(" ".join), max_size=7).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(
    texts=st.lists(st.one_of(TEXTS, st.none()), max_size=4),
    words=st.sampled_from([None, 2, 4]),
    terminal=st.booleans(),
    where=st.sampled_from(["passing_lines", "all_lines"]),
    citations=st.booleans(),
    sentences=st.sampled_from([None, 1, 3]),
    longest=st.sampled_from([None, 6]),
)
def test_equals_the_oracle(texts, words, terminal, where, citations, sentences, longest):
    stage = C4Rules(
        min_words_per_line=words,
        require_terminal_mark=terminal,
        page_rules_read=where,
        remove_citations=citations,
        min_sentences=sentences,
        max_word_length=longest,
    )
    found, reasons, evidence = judge(stage, *texts)
    for k, text in enumerate(texts):
        wanted, reason, cut = clean_page(text, stage)
        assert reasons[k] == reason
        assert found[k] == wanted
        if any(n for name, n in cut.items() if name != "lines") or reason:
            assert {name: evidence[k][name] for name in cut} == cut
        else:
            assert evidence[k] is None


def test_batches_do_not_matter():
    texts = [PAGE + line for _, line in LINES] + [text for _, text, *_ in PAGES]
    whole = judge(C4Rules(), *texts)
    single = [judge(C4Rules(), text) for text in texts]
    assert [list(part) for part in zip(*[(a[0], b[0], c[0]) for a, b, c in single], strict=True)] == list(
        whole
    )
    assert np.array(whole[1], object)[len(LINES) :].tolist() == [reason for reason, *_ in PAGES]
