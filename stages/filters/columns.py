"""A threshold on any column: numbers between bounds, values in or out of a list, text with a pattern."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.stage import MapStage, Marks
from stages.filters._rules import Rule, broken, crossed_bounds, pattern_problems

Value = bool | int | float | str
TYPES: Mapping[str, pa.DataType] = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "large_string": pa.large_string(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),  # `source`, and other names that repeat
}
NUMERIC = ("int32", "int64", "float32", "float64")
TEXTUAL = ("string", "large_string", "dictionary")


class Reason(StrEnum):
    """What is wrong with the value, in the order of the checks."""

    VALUE_MISSING = "value_missing"
    VALUE_TOO_LOW = "value_too_low"
    VALUE_TOO_HIGH = "value_too_high"
    VALUE_NOT_LISTED = "value_not_listed"
    VALUE_EXCLUDED = "value_excluded"
    VALUE_NOT_MATCHING = "value_not_matching"


class FilterColumn(MapStage[None]):
    """Reject documents by the value of one column, such as a classifier's score or a language.

    All checks that are set must hold; the first that fails is the reason. Null and NaN are missing: kept,
    unless `missing: reject`.
    """

    reasons = Reason
    libraries = ("pyarrow",)  # RE2, for `matches`

    column: str = Field(min_length=1, description="the column's name")
    type: Literal["int32", "int64", "float32", "float64", "bool", "string", "large_string", "dictionary"] = (
        Field(
            "float64",
            description="the column's Arrow type, as `corpusmill stages` says of the stage that writes it",
        )
    )
    min: float | None = Field(None, description="smallest number kept; null turns the check off")
    max: float | None = Field(None, description="largest number kept; null turns the check off")
    one_of: tuple[Value, ...] | None = Field(None, description="the values kept; null turns the check off")
    none_of: tuple[Value, ...] | None = Field(None, description="values rejected; null turns the check off")
    matches: str | None = Field(
        None, description="RE2 pattern that the text must contain a match of; write ^...$ for all of it"
    )
    missing: Literal["keep", "reject"] = Field("keep", description="what becomes of null and NaN")

    def reads(self) -> pa.Schema:
        """The column, with the type given."""
        return pa.schema([pa.field(self.column, TYPES[self.type])])

    def problems(self) -> Sequence[str]:
        """Nothing to check, checks that do not go with the type, a pattern that RE2 refuses."""
        return [*crossed_bounds(self), *_unset(self), *_mismatched(self), *_bad_pattern(self.matches)]

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:  # noqa: ARG002
        """The first failed check of each row, with the value."""
        values = batch.column(self.column)
        if self.type == "dictionary":
            values = values.cast(pa.string())
        return judge_values(values, self)


def judge_values(values: pa.Array, params: FilterColumn) -> Marks:
    """Run every check that is set on a column whose dictionary, if any, is decoded.

    Evidence has the column's name, its value (null if missing) and what was wanted in words.
    """
    missing = pc.is_null(values, nan_is_null=True)
    present = pc.invert(missing)
    checks = _checks(values, params)
    failed = {reason: pc.and_(present, fails) for reason, (fails, _) in checks.items()}
    wanted = {reason: text for reason, (_, text) in checks.items()}
    if params.missing == "reject":
        failed = {Reason.VALUE_MISSING: missing} | failed
        wanted[Reason.VALUE_MISSING] = "a value"
    if not failed:
        return Marks()
    cases = pa.StructArray.from_arrays(list(failed.values()), names=[str(reason) for reason in failed])
    reject = pc.case_when(cases, *(pa.scalar(str(reason)) for reason in failed))
    names = pa.array([params.column] * len(values), pa.string())
    said = pc.case_when(cases, *(pa.scalar(wanted[reason]) for reason in failed))
    evidence = pa.StructArray.from_arrays(
        [names, values, said], names=["column", "value", "wanted"], mask=pc.is_null(reject)
    )
    return Marks(reject=reject, evidence=evidence)


def _checks(values: pa.Array, params: FilterColumn) -> dict[Reason, tuple[pa.Array, str]]:
    """For each check that is set: which values fail it, and what it wanted."""
    field = pa.field(params.column, values.type)
    checks: dict[Reason, tuple[pa.Array, str]] = {}
    if params.min is not None:
        checks[Reason.VALUE_TOO_LOW] = (
            broken(values, Rule("", field, min=params.min)),
            f"at least {params.min:g}",
        )
    if params.max is not None:
        checks[Reason.VALUE_TOO_HIGH] = (
            broken(values, Rule("", field, max=params.max)),
            f"at most {params.max:g}",
        )
    if params.one_of is not None:
        listed = _is_in(values, params.one_of)
        checks[Reason.VALUE_NOT_LISTED] = pc.invert(listed), f"one of {list(params.one_of)}"
    if params.none_of is not None:
        checks[Reason.VALUE_EXCLUDED] = _is_in(values, params.none_of), f"none of {list(params.none_of)}"
    if params.matches is not None:
        found = pc.fill_null(pc.match_substring_regex(values, params.matches), False)
        checks[Reason.VALUE_NOT_MATCHING] = pc.invert(found), f"a match of {params.matches}"
    return checks


def _is_in(values: pa.Array, listed: Sequence[Value]) -> pa.Array:
    return pc.is_in(values, value_set=pa.array(listed, values.type))


def _unset(params: FilterColumn) -> list[str]:
    checks = (params.min, params.max, params.one_of, params.none_of, params.matches)
    if params.missing == "keep" and all(check is None for check in checks):
        return [
            "params: no check is set, so nothing would be filtered; set min, max, one_of, none_of or matches"
        ]
    return []


def _mismatched(params: FilterColumn) -> list[str]:
    bounds = [name for name in ("min", "max") if getattr(params, name) is not None]
    if params.type in NUMERIC:
        bounds = []
    problems = [
        f"{name}: type is {params.type}, which has no order here; use one_of or matches" for name in bounds
    ]
    if params.matches is not None and params.type not in TEXTUAL:
        problems.append(f"matches: type is {params.type}, which is no text; use min, max or one_of")
    kind: type | tuple[type, ...] = (
        str if params.type in TEXTUAL else bool if params.type == "bool" else (int, float)
    )
    if params.type.startswith("int"):
        kind = int
    for name in ("one_of", "none_of"):
        for value in getattr(params, name) or ():
            wrong_bool = isinstance(value, bool) and params.type != "bool"
            if wrong_bool or not isinstance(value, kind):
                problems.append(
                    f"{name}: {value!r} is not a value of type {params.type}; change it or the type"
                )
    return problems


def _bad_pattern(pattern: str | None) -> list[str]:
    return [] if pattern is None else pattern_problems("matches", [pattern])
