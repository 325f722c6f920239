"""Predicates on metadata: every operator both ways, what is missing, and kinds that do not mix."""

import json

import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline.schema import METADATA
from stages.filters.metadata import FilterMetadata, Reason

DOCUMENT = {
    "score": 4,
    "ratio": 0.5,
    "lang": "en",
    "ok": True,
    "tags": ["a", 2],
    "page": {"links": 7},
    "x.y": 1,
    "no": None,
}


def judge(where, *metadata, missing="reject"):
    stage = FilterMetadata.model_validate_json(json.dumps({"where": where, "missing": missing}))
    batch = pa.RecordBatch.from_arrays([pa.array(metadata, pa.string())], schema=pa.schema([METADATA]))
    marks = stage.annotate(batch, stage.open({}))
    return marks.reject.to_pylist(), marks.evidence.to_pylist()


def passes(field, op, value):
    reasons, _ = judge([{"field": field, "op": op, "value": value}], json.dumps(DOCUMENT))
    return {None: True, "metadata_predicate_failed": False}[reasons[0]]


@pytest.mark.parametrize(
    ("field", "op", "yes", "no"),
    [
        ("score", "==", 4, 5),
        ("score", "==", 4.0, "4"),
        ("score", "!=", "4", 4),
        ("score", "<", 5, 4),
        ("score", "<=", 4, 3.9),
        ("score", ">", 3.9, 4),
        ("score", ">=", 4, 5),
        ("lang", "<", "fr", "de"),
        ("lang", "in", ["de", "en"], ["de"]),
        ("lang", "not_in", ["de"], ["de", "en"]),
        ("lang", "contains", "n", "x"),
        ("tags", "contains", "a", "b"),
        ("tags", "contains", 2, "2"),
        ("ok", "==", True, False),
        ("score", "exists", True, False),
        ("absent", "exists", False, True),
        ("no", "exists", False, True),
        ("page.links", ">=", 7, 8),
        ("x.y", "==", 1, 2),
    ],
)
def test_operators(field, op, yes, no):
    assert passes(field, op, yes)
    assert not passes(field, op, no)


def test_kinds_do_not_mix():
    assert not passes("ok", "==", 1)
    assert not passes("score", ">=", "3")
    assert not passes("lang", ">=", 3)
    assert not passes("tags", "==", "a")
    assert not passes("score", "contains", 4)


def test_each_reason_with_its_evidence():
    where = [{"field": "score", "op": ">=", "value": 3}]
    reasons, evidence = judge(
        where, '{"score": 2.5}', '{"score": 3}', '{"other": 1}', "{}", None, '{"score": null}'
    )
    assert reasons == ["metadata_predicate_failed", None, *["metadata_missing"] * 4]
    assert set(reasons) - {None} == set(Reason)
    said = {"field": "score", "op": ">=", "wanted": "3"}
    assert evidence[0] == said | {"value": "2.5"}
    assert evidence[1] is None
    assert evidence[2] == said | {"value": None}


def test_missing_can_be_kept():
    where = [{"field": "score", "op": ">=", "value": 3}, {"field": "a.b", "op": "exists"}]
    assert judge(where[:1], "{}", None, missing="keep") == ([None, None], [None, None])
    assert judge(where, "{}", missing="keep")[0] == ["metadata_predicate_failed"]  # exists is about just that


def test_all_must_hold_and_the_first_that_fails_is_the_evidence():
    where = [{"field": "a", "op": "==", "value": 1}, {"field": "b", "op": "==", "value": "é"}]
    reasons, evidence = judge(where, '{"a": 1, "b": "é"}', '{"a": 1, "b": "e"}', '{"a": 0}')
    assert reasons == [None, "metadata_predicate_failed", "metadata_predicate_failed"]
    assert [e and e["field"] for e in evidence] == [None, "b", "a"]
    assert (evidence[1]["value"], evidence[1]["wanted"]) == ('"e"', '"é"')


@pytest.mark.parametrize("path", ["a.b.c", "a.", ".a", "a.b"])
def test_paths_through_what_is_no_object_find_nothing(path):
    assert judge([{"field": path, "op": "exists"}], '{"a": 3}')[0] == ["metadata_predicate_failed"]


@pytest.mark.parametrize("text", ["[1]", "3", "not json"])
def test_metadata_that_is_no_object_raises(text):
    with pytest.raises(ValueError, match=r"is not a JSON object|unexpected|invalid|expected"):
        judge([{"field": "a", "op": "exists"}], text)


@pytest.mark.parametrize(
    ("predicate", "match"),
    [
        ({"field": "a", "op": "in", "value": 3}, "takes a list"),
        ({"field": "a", "op": ">", "value": [3]}, "takes one value"),
        ({"field": "a", "op": ">", "value": True}, "takes a number or text"),
        ({"field": "a", "op": "exists", "value": 3}, "takes true or false"),
        ({"field": "a", "op": "=="}, "needs one"),
        ({"field": "a", "op": "~"}, "Input should be"),
        ({"field": "", "op": "exists"}, "at least 1 character"),
    ],
)
def test_predicates_that_cannot_work(predicate, match):
    with pytest.raises(ValidationError, match=match):
        judge([predicate])


def test_no_predicate_is_refused():
    with pytest.raises(ValidationError, match="at least 1 item"):
        judge([])


def test_an_empty_batch():
    assert judge([{"field": "a", "op": "exists"}]) == ([], [])
