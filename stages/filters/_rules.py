"""Bounds on columns as a table, judged by Arrow compute: the first bound that a row breaks is its reason.

A filter is a list of Rule; nothing else here or there looks at a row by itself.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from pipeline.stage import Marks

EVIDENCE_TYPE = pa.struct(
    [
        ("rule", pa.string()),  # the reason
        ("signal", pa.string()),  # the column
        ("value", pa.float64()),  # measured
        ("min", pa.float64()),  # the bound that was broken; the other is null
        ("max", pa.float64()),
    ]
)


class Rule(NamedTuple):
    """One inclusive bound: `reason` is what is wrong with a document beyond it."""

    reason: str
    column: pa.Field
    min: float | None = None
    max: float | None = None
    null_is: float | None = None  # what a null stands for; None = the rule does not apply to it


def active(rules: Iterable[Rule]) -> list[Rule]:
    """The rules that have a bound: a threshold of null turns its rule off, one of 0 does not."""
    return [rule for rule in rules if rule.min is not None or rule.max is not None]


def columns_of(rules: Iterable[Rule]) -> pa.Schema:
    """The columns that rules read, each once, in order of first use."""
    return pa.schema({rule.column.name: rule.column for rule in rules}.values())


def broken(values: pa.Array, rule: Rule) -> pa.Array:
    """Bool for each value: is it beyond the bound? NaN is no measurement, so like null it breaks nothing.

    >>> rule = Rule("too_low", pa.field("x", pa.float64()), min=2)
    >>> broken(pa.array([1.0, 2.0, None, float("nan")]), rule).to_pylist()
    [True, False, False, False]
    """
    # In the column's own precision: a float32 of 0.65 lies below the float64, but `min: 0.65` means it.
    kind = values.type if pa.types.is_floating(values.type) else pa.float64()
    low = pc.less(values, pa.scalar(rule.min, kind))  # null where there is no bound
    high = pc.greater(values, pa.scalar(rule.max, kind))
    return pc.fill_null(pc.or_kleene(low, high), False)


def first_failures(batch: pa.RecordBatch, rules: Sequence[Rule]) -> Marks:
    """Judge every row by the rules in their order.

    Returns:
        reject: the reason of the first rule broken, else null; evidence: EVIDENCE_TYPE, null on kept rows.
    """
    rules = active(rules)
    if not rules:
        return Marks()
    measured = [_values(batch, rule) for rule in rules]
    failed = pa.StructArray.from_arrays(
        [broken(values, rule) for values, rule in zip(measured, rules, strict=True)],
        names=[str(k) for k in range(len(rules))],
    )

    def chosen(options: Iterable[object], kind: pa.DataType) -> pa.Array:
        return pc.case_when(failed, *(o if isinstance(o, pa.Array) else pa.scalar(o, kind) for o in options))

    reject = chosen((rule.reason for rule in rules), pa.string())
    fields = [
        reject,
        chosen((rule.column.name for rule in rules), pa.string()),
        chosen((pc.cast(values, pa.float64()) for values in measured), pa.float64()),
        chosen((rule.min for rule in rules), pa.float64()),
        chosen((rule.max for rule in rules), pa.float64()),
    ]
    evidence = pa.StructArray.from_arrays(fields, fields=list(EVIDENCE_TYPE), mask=pc.is_null(reject))
    return Marks(reject=reject, evidence=evidence)


def _values(batch: pa.RecordBatch, rule: Rule) -> pa.Array:
    values = batch.column(rule.column.name)
    return values if rule.null_is is None else pc.fill_null(values, pa.scalar(rule.null_is, values.type))


def crossed_bounds(params: BaseModel) -> list[str]:
    """A sentence for each pair min_x, max_x of params that no value can satisfy."""
    values = {name: getattr(params, name) for name in type(params).model_fields}
    problems = []
    for name, low in values.items():
        high = values.get("max" + name.removeprefix("min")) if name.startswith("min") else None
        if low is not None and high is not None and low > high:
            problems.append(
                f"{name}: {low} is above max{name.removeprefix('min')} = {high}, so nothing would be kept; "
                "raise the maximum or lower the minimum"
            )
    return problems


def pattern_problems(where: str, patterns: Sequence[str]) -> list[str]:
    """A sentence for each pattern that RE2 refuses. RE2 has no look-around and no back-references.

    >>> pattern_problems("matches", ["a+", "(?=a)"])[0]
    "matches: '(?=a)' is no RE2 pattern: invalid perl operator: (?=; write it without look-around"
    """
    problems = []
    for pattern in patterns:
        try:
            pc.match_substring_regex(pa.array([""]), pattern)
        except pa.ArrowInvalid as error:
            cause = str(error).partition(": ")[2]
            problems.append(f"{where}: {pattern!r} is no RE2 pattern: {cause}; write it without look-around")
    return problems
