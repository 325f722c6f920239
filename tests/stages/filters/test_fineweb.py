"""FineWeb's rules: one short text for each reason, bounds that are inclusive, null that is off."""

import pyarrow as pa
import pytest

from stages.filters.fineweb import FinewebRules, Reason
from stages.signals.text import TextSignals, text_signals

PROSE = (
    "The keeper climbed up to his lamp that evening, and the stairs seemed long.\n"
    "A storm had covered the northern coast with snow, so nobody could see ships.\n"
    "Boats came back."
)


def judge(stage, *texts):
    batch = pa.RecordBatch.from_pydict(text_signals(pa.array(texts, pa.large_string())))
    marks = stage.annotate(batch, None)
    return marks.reject.to_pylist(), marks.evidence.to_pylist()


CASES = [
    (
        Reason.TOO_FEW_TERMINAL_LINES,
        PROSE.replace(".", ""),
        "fraction_of_lines_ending_with_terminal_punctuation",
        0,
    ),
    (Reason.TOO_MANY_SHORT_LINES, PROSE.replace(",", ".\nAnd"), "short_line_fraction", None),
    (Reason.DUPLICATE_LINE_CHARS, PROSE + "\nBoats came back.", "duplicate_line_char_fraction", 16 / 183),
    (
        Reason.TOO_MANY_NEWLINES,
        "\n\n\n\n".join(PROSE.split("\n")) + "\n" * 4,
        "newline_to_word_ratio",
        12 / 31,
    ),
]


@pytest.mark.parametrize(("reason", "text", "signal", "value"), CASES)
def test_each_reason(reason, text, signal, value):
    name = dict(zip(Reason, FinewebRules.model_fields, strict=True))[reason]
    off = dict.fromkeys(FinewebRules.model_fields)
    stage = FinewebRules(
        **off
        | {name: 0.3 if reason == Reason.TOO_MANY_SHORT_LINES else FinewebRules.model_fields[name].default}
    )
    reasons, evidence = judge(
        stage,
        text,
        PROSE
        if reason != Reason.TOO_MANY_SHORT_LINES
        else "One long line that has well over thirty characters.",
    )
    assert reasons == [reason, None]
    assert evidence[0]["signal"] == signal
    if value is not None:
        assert evidence[0]["value"] == pytest.approx(value, abs=0.01)
    assert evidence[1] is None


def test_every_reason_has_its_text():
    assert [reason for reason, *_ in CASES] == list(Reason)


def test_the_numbers_are_those_of_the_code_that_made_fineweb():
    assert [FinewebRules.model_fields[name].default for name in FinewebRules.model_fields] == [
        0.12,
        0.67,
        0.01,
        0.3,
    ]


def test_a_list_is_rejected_and_prose_is_kept():
    assert judge(FinewebRules(), "\n".join(f"Item {k}" for k in range(20)), PROSE)[0] == [
        "too_few_terminal_lines",
        None,
    ]


def test_bounds_are_inclusive_and_zero_is_one():
    off = dict.fromkeys(FinewebRules.model_fields)
    text = "One line with a full stop.\nAnother without a mark"
    assert judge(FinewebRules(**off | {"min_terminal_lines": 0.5}), text)[0] == [None]
    assert judge(FinewebRules(**off | {"min_terminal_lines": 0.51}), text)[0] == ["too_few_terminal_lines"]
    assert judge(FinewebRules(**off | {"max_newlines_per_word": 0}), text)[0] == ["too_many_newlines"]


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_document_without_lines_ends_none_well(text):
    reasons, evidence = judge(FinewebRules(), text)
    assert reasons == ["too_few_terminal_lines"]
    assert evidence[0]["value"] == 0


def test_other_scripts_and_an_empty_batch():
    assert judge(
        FinewebRules(), "我们去年夏天在海边看见了许多不同颜色的小船和渔民，他们每天清晨出发傍晚回来带着鱼虾。"
    )[0] == [None]
    assert judge(FinewebRules()) == ([], [])


def test_reads_are_what_text_signals_writes():
    written = TextSignals().writes()
    assert all(written.field(field.name) == field for field in FinewebRules().reads())
    assert FinewebRules(max_short_lines=None).reads().get_field_index("short_line_fraction") == -1


def test_nothing_to_do_is_a_problem():
    assert FinewebRules().problems() == []
    assert "every rule is off" in FinewebRules(**dict.fromkeys(FinewebRules.model_fields)).problems()[0]
