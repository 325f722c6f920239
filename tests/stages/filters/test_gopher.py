"""Gopher's rules: one short text for each reason, thresholds that are inclusive, null that is off."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import TEXT
from stages.filters.gopher import GopherRepetition, GopherRules, QualityReason, RepetitionReason
from stages.signals.text import TEXT_SIGNALS, TextSignals, text_signals

# 56 words, some of them stop words; next to nothing repeats.
CLEAN = (
    "When the old keeper climbed up to his lamp that evening, a storm had already covered most of our "
    "northern coast with snow.\nNobody could see ships, and fishermen who have sailed there all their lives "
    "waited inside, drinking tea and telling stories.\n\nBy morning everything was quiet again; gulls "
    "returned first, then two small boats."
)


def judge(stage, *texts):
    columns = text_signals(pa.array(texts, pa.large_string()))
    marks = stage.annotate(pa.RecordBatch.from_pydict(columns), stage.open({}))
    return marks.reject.to_pylist(), marks.evidence.to_pylist()


def off(kind, **params):
    """The stage with all rules off but those given."""
    return kind(**dict.fromkeys(kind.model_fields) | params)


def numbered(n):
    return " ".join(f"word{k}" for k in range(n))


QUALITY = [
    (QualityReason.TOO_FEW_WORDS, "The cat sat with that dog.", "word_count", 6),
    (QualityReason.TOO_MANY_WORDS, numbered(100_001), "word_count", 100_001),
    (QualityReason.MEAN_WORD_TOO_SHORT, "a be to of " * 15, "mean_word_length", 1.75),
    (QualityReason.MEAN_WORD_TOO_LONG, "the of " + "internationalisation " * 50, "mean_word_length",
     1005 / 52),
    (QualityReason.TOO_MANY_HASHES, CLEAN + " #one #two #three #four #five #six #seven", "hash_to_word_ratio",
     7 / 63),
    (QualityReason.TOO_MANY_ELLIPSES, CLEAN + " one... two… three... four... five... six... seven...",
     "ellipsis_to_word_ratio", 7 / 63),
    (QualityReason.TOO_MANY_BULLET_LINES, "\n".join(f"- {line}" for line in CLEAN.split()),
     "fraction_of_lines_starting_with_bullet", 1.0),
    (QualityReason.TOO_MANY_ELLIPSIS_LINES, CLEAN.replace(".", "..."),
     "fraction_of_lines_ending_with_ellipsis", 1.0),
    (QualityReason.TOO_FEW_ALPHA_WORDS, CLEAN + " 1234" * 20, "fraction_of_words_with_alpha", 56 / 76),
    (QualityReason.TOO_FEW_STOP_WORDS, numbered(60) + " the the The", "distinct_stop_words", 1),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "text", "signal", "value"), QUALITY)
def test_each_quality_reason(reason, text, signal, value):
    reasons, evidence = judge(GopherRules(), text)
    assert reasons == [reason]
    assert evidence[0]["rule"] == reason
    assert evidence[0]["signal"] == signal
    assert evidence[0]["value"] == pytest.approx(value)
    assert [evidence[0][bound] is None for bound in ("min", "max")].count(True) == 1


def test_every_quality_reason_has_its_text():
    assert [reason for reason, *_ in QUALITY] == list(QualityReason)


def repeated_ngrams(n):
    """A phrase of n words that comes twice, among unique words that are just too few to hide it."""
    phrase = " ".join(f"phrase{chr(97 + k)}" for k in range(n))
    rest = " ".join(f"unique{chr(97 + k)}" for k in range(8 * n))
    return f"{phrase} {rest} {phrase} end"


LINES = "\n".join(f"This is the line of number {k}, which has words." for k in range(10))
REPETITION = [
    ("duplicate_line_fraction", RepetitionReason.DUPLICATE_LINES, LINES + "\na" * 6, 5 / 16),
    ("duplicate_paragraph_fraction", RepetitionReason.DUPLICATE_PARAGRAPHS, LINES + "\n\nab" * 3, 2 / 4),
    ("duplicate_line_char_fraction", RepetitionReason.DUPLICATE_LINE_CHARS,
     "a\nb\nc\n" + "x" * 40 + "\n" + "x" * 40, 40 / 83),
    ("duplicate_paragraph_char_fraction", RepetitionReason.DUPLICATE_PARAGRAPH_CHARS,
     "a\n\nb\n\nc\n\n" + "x" * 40 + "\n\n" + "x" * 40, 40 / 83),
    ("top_2gram_char_fraction", RepetitionReason.TOP_2GRAM, "cat dog " + "x" * 12 + " cat dog", 12 / 24),
    ("top_3gram_char_fraction", RepetitionReason.TOP_3GRAM, "cat dog cow " + "x" * 12 + " cat dog cow",
     18 / 30),
    ("top_4gram_char_fraction", RepetitionReason.TOP_4GRAM, "cat dog cow hen x cat dog cow hen", 24 / 25),
    *((f"duplicate_{n}gram_char_fraction", f"too_many_duplicate_{n}grams", repeated_ngrams(n), None)
      for n in range(5, 11)),
]  # fmt: skip


@pytest.mark.parametrize(("signal", "reason", "text", "value"), REPETITION)
def test_each_repetition_reason(signal, reason, text, value):
    limit = 0.05 if value is None else GopherRepetition.model_fields[f"max_{signal}"].default
    stage = off(GopherRepetition, **{f"max_{signal}": limit})
    reasons, evidence = judge(stage, text, CLEAN)
    assert reasons == [reason, None]
    assert evidence[0]["signal"] == signal
    assert evidence[0]["max"] == limit
    if value is not None:
        assert evidence[0]["value"] == pytest.approx(value)


def test_every_repetition_reason_has_its_text():
    assert [reason for _, reason, *_ in REPETITION] == list(RepetitionReason)


def test_defaults_are_the_papers_table_a1():
    limits = [GopherRepetition.model_fields[name].default for name in GopherRepetition.model_fields]
    assert limits == [0.30, 0.30, 0.20, 0.20, 0.20, 0.18, 0.16, 0.15, 0.14, 0.13, 0.12, 0.11, 0.10]


def test_each_repetition_rule_reads_its_own_column():
    for rule in GopherRepetition().rules():
        n = "".join(c for c in rule.column.name if c.isdigit())
        assert n == "".join(c for c in rule.reason if c.isdigit())
        assert f"max_{rule.column.name}" in GopherRepetition.model_fields


def test_defaults_reject_real_repetition():
    reasons, _ = judge(GopherRepetition(), "Buy now and save!\n" * 30, "spam ham eggs " * 40)
    assert reasons == ["too_many_duplicate_lines", "top_2gram_too_frequent"]


@pytest.mark.parametrize("kind", [GopherRules, GopherRepetition])
def test_clean_text_is_kept_without_evidence(kind):
    assert judge(kind(), CLEAN) == ([None], [None])


def test_thresholds_are_inclusive():
    text = numbered(50) + " the of"
    for params in ({"min_words": 52}, {"max_words": 52}, {"min_stop_words": 2}):
        assert judge(off(GopherRules, **params), text)[0] == [None]
    assert judge(off(GopherRules, min_words=53), text)[0] == ["too_few_words"]
    assert judge(off(GopherRules, max_hash_to_word_ratio=0.1), "#a " + numbered(9))[0] == [None]


def test_zero_is_a_threshold_and_null_is_off():
    text = CLEAN + " #1"
    assert judge(off(GopherRules, max_hash_to_word_ratio=0), text)[0] == ["too_many_hashes"]
    batch = pa.RecordBatch.from_pydict(text_signals(pa.array([text], pa.large_string())))
    everything_off = off(GopherRules)
    assert everything_off.annotate(batch, None).reject is None
    assert everything_off.reads().names == []


@pytest.mark.parametrize("text", ["", None, " \n "])
def test_empty_text_has_too_few_words_and_breaks_nothing_else(text):
    assert judge(GopherRules(), text)[0] == ["too_few_words"]
    assert judge(GopherRepetition(), text) == ([None], [None])
    assert judge(off(GopherRules, min_mean_word_length=3, min_alpha_words=0.8), text)[0] == [None]


def test_a_null_word_count_counts_as_none():
    batch = pa.RecordBatch.from_pydict({"word_count": pa.array([None, 60], pa.int32())})
    marks = off(GopherRules, min_words=50).annotate(batch, None)
    assert marks.reject.to_pylist() == ["too_few_words", None]
    assert marks.evidence[0].as_py()["value"] == 0


def test_other_scripts():
    chinese = (
        "我们去年夏天在海边看见了许多不同颜色的小船和渔民"
        "他们每天清晨出发傍晚回来带着鱼虾唱着老歌孩子们站在沙滩上向父亲挥手"
    )
    # 58 characters make about 37 words; the default list of stop words is English
    assert judge(GopherRules(), chinese)[0] == ["too_few_words"]
    assert judge(GopherRules(min_words=30), chinese)[0] == ["too_few_stop_words"]
    assert judge(GopherRules(min_words=30, min_stop_words=None), chinese)[0] == [None]
    assert judge(GopherRules(), "Привет мир")[0] == ["too_few_words"]


def test_the_first_rule_in_order_is_the_reason():
    text = "# # # a 1 2"
    assert judge(GopherRules(), text)[0] == ["too_few_words"]
    assert judge(GopherRules(min_words=None), text)[0] == ["mean_word_too_short"]
    assert judge(GopherRules(min_words=None, min_mean_word_length=None), text)[0] == ["too_many_hashes"]


def test_reads_are_what_text_signals_writes():
    written = {field.name: field.type for field in TextSignals().writes()}
    for kind in (GopherRules, GopherRepetition):
        assert {f.name: written.get(f.name) for f in kind().reads()} == {
            f.name: f.type for f in kind().reads()
        }
    assert GopherRules(min_stop_words=None).reads().get_field_index("distinct_stop_words") == -1


@pytest.mark.parametrize("kind", [GopherRules, GopherRepetition])
def test_an_empty_batch(kind):
    batch = pa.RecordBatch.from_arrays([pa.array([], f.type) for f in TEXT_SIGNALS], schema=TEXT_SIGNALS)
    marks = kind().annotate(batch, None)
    assert (len(marks.reject), len(marks.evidence)) == (0, 0)


def test_bounds_that_keep_nothing_are_named():
    assert "min_words: 10 is above max_words = 5" in GopherRules(min_words=10, max_words=5).problems()[0]
    assert GopherRules().problems() == []


def test_params_are_checked():
    with pytest.raises(ValueError, match="max_bullet_lines"):
        GopherRules.model_validate_json(json.dumps({"max_bullet_lines": 90}))
    with pytest.raises(ValueError, match="max_dup_lines"):
        GopherRepetition.model_validate_json(json.dumps({"max_dup_lines": 0.3}))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from(["the", "of", "#x", "...", "word1", "12", "-", "longerword\n", "\n"]), max_size=80
        ),
        max_size=6,
    )
)
def test_verdicts_equal_a_loop_over_rows(rows):
    """The engine of rules against a plain loop, on the same signals."""
    texts = [" ".join(words) for words in rows]
    columns = text_signals(pa.array(texts, pa.large_string()))
    stage = GopherRules(min_words=5)
    found, evidence = judge(stage, *texts)
    for row in range(len(texts)):
        expected = None
        for rule in stage.rules():
            value = columns[rule.column.name][row].as_py()
            if value is not None and (
                (rule.min is not None and value < rule.min) or (rule.max is not None and value > rule.max)
            ):
                expected = (rule.reason, value)
                break
        assert found[row] == (expected and expected[0])
        assert (evidence[row] and evidence[row]["value"]) == (expected and expected[1])


def test_signals_and_rules_fit_together_on_a_batch():
    batch = pa.RecordBatch.from_arrays(
        [pa.array([CLEAN, None, "x"], pa.large_string())], schema=pa.schema([TEXT])
    )
    signals = TextSignals().annotate(batch, None).columns
    whole = pa.RecordBatch.from_pydict({"text": batch.column("text"), **signals})
    assert GopherRules().annotate(whole.slice(1), None).reject.to_pylist() == [
        "too_few_words",
        "too_few_words",
    ]
