"""Length limits: one text for each reason; only the columns that have a limit are read."""

import pyarrow as pa
import pytest

from pipeline.schema import CHAR_COUNT, TOKEN_COUNT, WORD_COUNT
from stages.filters.length import FilterLength, Reason

SCHEMA = pa.schema([WORD_COUNT, CHAR_COUNT, TOKEN_COUNT])


def judge(stage, words=10, chars=50, tokens=13):
    rows = [
        pa.array([value], field.type) for value, field in zip((words, chars, tokens), SCHEMA, strict=True)
    ]
    marks = stage.annotate(pa.RecordBatch.from_arrays(rows, schema=SCHEMA), None)
    return marks.reject[0].as_py(), marks.evidence[0].as_py()


@pytest.mark.parametrize(
    ("params", "reason", "signal", "value"),
    [
        ({"min_words": 11}, "too_few_words", "word_count", 10),
        ({"max_words": 9}, "too_many_words", "word_count", 10),
        ({"min_chars": 51}, "too_few_chars", "char_count", 50),
        ({"max_chars": 49}, "too_many_chars", "char_count", 50),
        ({"min_tokens": 14}, "too_few_tokens", "token_count", 13),
        ({"max_tokens": 12}, "too_many_tokens", "token_count", 13),
    ],
)
def test_each_reason(params, reason, signal, value):
    stage = FilterLength(**params)
    bound = next(iter(params.values()))
    found, evidence = judge(stage)
    assert found == reason in set(Reason)
    expected = {"rule": reason, "signal": signal, "value": value, "min": None, "max": None}
    assert evidence == expected | {"min" if "min" in next(iter(params)) else "max": bound}
    assert stage.reads().names == [signal]


def test_limits_are_inclusive():
    stage = FilterLength(min_words=10, max_words=10, min_chars=50, max_chars=50, min_tokens=13, max_tokens=13)
    assert judge(stage) == (None, None)
    assert stage.reads().equals(SCHEMA)


def test_a_null_count_is_zero():
    assert judge(FilterLength(min_tokens=1), tokens=None)[0] == "too_few_tokens"
    assert judge(FilterLength(max_tokens=1), tokens=None)[0] is None


def test_zero_is_a_limit():
    assert judge(FilterLength(max_words=0))[0] == "too_many_words"


def test_no_limit_is_a_problem_and_so_are_crossed_ones():
    assert "no limit is set" in FilterLength().problems()[0]
    assert "min_chars: 9 is above max_chars = 3" in FilterLength(min_chars=9, max_chars=3).problems()[0]
    assert FilterLength(min_words=1).problems() == []


def test_an_empty_batch():
    empty = pa.RecordBatch.from_arrays([pa.array([], f.type) for f in SCHEMA], schema=SCHEMA)
    assert len(FilterLength(min_words=1).annotate(empty, None).reject) == 0
