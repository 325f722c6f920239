"""Thresholds on any column: one value for each reason, every type, and what a missing value means."""

import json

import pyarrow as pa
import pytest

from stages.filters.columns import TYPES, FilterColumn, Reason


def judge(params, values):
    stage = FilterColumn.model_validate_json(json.dumps({"column": "x", **params}))
    assert stage.problems() == []
    array = pa.array(values, stage.reads().field("x").type)
    marks = stage.annotate(pa.RecordBatch.from_pydict({"x": array}), stage.open({}))
    return marks.reject.to_pylist(), marks.evidence.to_pylist()


@pytest.mark.parametrize(
    ("params", "values", "reasons", "wanted"),
    [
        ({"min": 3}, [2.5, 3.0, 4.0], ["value_too_low", None, None], "at least 3"),
        ({"max": 3}, [3.5, 3.0], ["value_too_high", None], "at most 3"),
        (
            {"type": "string", "one_of": ["en", "no"]},
            ["de", "no"],
            ["value_not_listed", None],
            "one of ['en', 'no']",
        ),
        ({"type": "int32", "none_of": [1, 2]}, [2, 3], ["value_excluded", None], "none of [1, 2]"),
        (
            {"type": "string", "matches": "^a+$"},
            ["ab", "aa"],
            ["value_not_matching", None],
            "a match of ^a+$",
        ),
        (
            {"missing": "reject"},
            [None, float("nan"), 0.0],
            ["value_missing", "value_missing", None],
            "a value",
        ),
    ],
)
def test_each_reason(params, values, reasons, wanted):
    found, evidence = judge(params, values)
    assert found == reasons
    assert found[0] in set(Reason)
    assert evidence[0]["column"] == "x"
    assert evidence[0]["wanted"] == wanted
    if params != {"missing": "reject"}:
        assert evidence[0]["value"] == values[0]
    assert evidence[-1] is None


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [("int32", 1, 2), ("int64", 2**40, 2), ("float32", 0.65, 0.5), ("float64", 0.65, 0.5),
     ("bool", True, False), ("string", "é", "e"), ("large_string", "é", "e"), ("dictionary", "é", "e")],
)  # fmt: skip
def test_every_type(name, good, bad):
    assert judge({"type": name, "one_of": [good]}, [good, bad, None])[0] == [None, "value_not_listed", None]
    reasons, evidence = judge({"type": name, "none_of": [bad]}, [good, bad, None])
    assert reasons == [None, "value_excluded", None]
    assert evidence[1]["value"] == bad


def test_the_types_are_all_tested():
    assert set(TYPES) == {
        "int32",
        "int64",
        "float32",
        "float64",
        "bool",
        "string",
        "large_string",
        "dictionary",
    }


def test_a_bound_is_compared_in_the_columns_precision():
    # 0.65 and 0.9 as float32 are 0.64999998 and 0.89999998
    assert judge({"type": "float32", "min": 0.65, "max": 0.9}, [0.65, 0.9, 0.6, 0.95])[0] == [
        None, None, "value_too_low", "value_too_high"]  # fmt: skip


def test_integers_take_fractional_bounds():
    assert judge({"type": "int32", "min": 2.5}, [2, 3])[0] == ["value_too_low", None]


def test_missing_values_are_kept_by_default_by_every_check():
    assert judge({"min": 1, "max": 2, "none_of": [5.0], "one_of": [1.0]}, [None, float("nan")])[0] == [
        None,
        None,
    ]
    assert judge({"type": "string", "matches": "a"}, [None])[0] == [None]


def test_the_first_failed_check_is_the_reason():
    params = {"type": "string", "one_of": ["a"], "none_of": ["b"], "matches": "c", "missing": "reject"}
    assert judge(params, ["b", "a", None])[0] == ["value_not_listed", "value_not_matching", "value_missing"]


def test_an_empty_batch():
    assert judge({"min": 1, "missing": "reject"}, []) == ([], [])


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({}, "no check is set"),
        ({"min": 3, "max": 2}, "min: 3.0 is above max = 2.0"),
        ({"type": "string", "min": 3}, "min: type is string"),
        ({"type": "int32", "matches": "a"}, "matches: type is int32"),
        ({"type": "string", "matches": "(?<=a)b"}, "is no RE2 pattern"),
        ({"type": "int32", "one_of": ["a"]}, "one_of: 'a' is not a value of type int32"),
        ({"type": "int32", "one_of": [1.5]}, "one_of: 1.5 is not a value of type int32"),
        ({"type": "int32", "none_of": [True]}, "none_of: True is not a value of type int32"),
        ({"type": "string", "one_of": [1]}, "one_of: 1 is not a value of type string"),
        ({"type": "bool", "one_of": [1]}, "one_of: 1 is not a value of type bool"),
    ],
)
def test_params_that_cannot_work_are_named(params, match):
    stage = FilterColumn.model_validate_json(json.dumps({"column": "x", **params}))
    problems = stage.problems()
    assert len(problems) == 1
    assert match in problems[0]


def test_a_hostile_pattern_is_linear():
    assert judge({"type": "large_string", "matches": "^(a+)+$"}, ["a" * 200_000 + "!"])[0] == [
        "value_not_matching"
    ]
