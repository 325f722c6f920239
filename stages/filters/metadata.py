"""Predicates on the JSON that a source gave with each document, such as "score of at least 3"."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

import orjson
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.schema import METADATA
from pipeline.stage import MapStage, Marks

Scalar = bool | int | float | str
Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not_in", "contains", "exists"]
EVIDENCE_TYPE = pa.struct(
    [
        ("field", pa.string()),
        ("op", pa.string()),
        ("value", pa.string()),  # JSON text of what the document has; null if it has none
        ("wanted", pa.string()),  # JSON text of what the predicate says
    ]
)


class Reason(StrEnum):
    """Why a document goes."""

    METADATA_MISSING = "metadata_missing"
    METADATA_PREDICATE_FAILED = "metadata_predicate_failed"


class Predicate(BaseModel):
    """One condition that a document's metadata must meet: `{field: score, op: ">=", value: 3}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    field: str = Field(min_length=1, description="a key, or a path of keys with dots between: `page.score`")
    op: Operator = Field(description="how the field's value must relate to `value`")
    value: Scalar | tuple[Scalar, ...] = Field(
        True,
        description="a list for in and not_in; true or false for exists; a number or text for the others",
    )

    @model_validator(mode="after")
    def _value_suits_op(self) -> "Predicate":
        if self.op in ("in", "not_in") and not isinstance(self.value, tuple):
            raise ValueError(
                f"value: op {self.op!r} takes a list, not {self.value!r}; write [{self.value!r}]"
            )
        if self.op not in ("in", "not_in") and isinstance(self.value, tuple):
            raise ValueError(f"value: op {self.op!r} takes one value, not a list; use in or not_in")
        if self.op == "exists" and not isinstance(self.value, bool):
            raise ValueError(f"value: op 'exists' takes true or false, not {self.value!r}")
        if self.op in _ORDERS and isinstance(self.value, bool):
            raise ValueError(f"value: op {self.op!r} takes a number or text, not {self.value!r}")
        if "value" not in self.model_fields_set and self.op != "exists":
            raise ValueError(f"value: op {self.op!r} needs one; write what the field is compared with")
        return self


def look_up(metadata: Mapping[str, Any], field: str) -> Any:
    """The value at a dotted path; None where there is none. A key that has dots itself is found too.

    >>> [look_up({"page": {"score": 4}, "a.b": 1}, field) for field in ("page.score", "a.b", "x.y")]
    [4, 1, None]
    """
    if field in metadata:
        return metadata[field]
    head, _, rest = field.partition(".")
    inner = metadata.get(head)
    return look_up(inner, rest) if rest and isinstance(inner, dict) else None


def _kind(value: Any) -> type:
    """Numbers are one kind and booleans another, so that `true` is not 1."""
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def _equal(value: Any, wanted: Any) -> bool:
    return _kind(value) is _kind(wanted) and bool(value == wanted)


_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda value, wanted: value < wanted,
    "<=": lambda value, wanted: value <= wanted,
    ">": lambda value, wanted: value > wanted,
    ">=": lambda value, wanted: value >= wanted,
}


def holds(value: Any, predicate: Predicate) -> bool:
    """Is the predicate true of a value that is there? Values of different kinds are unequal and unordered.

    >>> predicate = Predicate(field="score", op=">=", value=3)
    >>> holds(4, predicate), holds("4", predicate)
    (True, False)
    """
    op, wanted = predicate.op, predicate.value
    if op in _ORDERS:
        return _kind(value) is _kind(wanted) and _ORDERS[op](value, wanted)
    if isinstance(wanted, tuple):
        return any(_equal(value, one) for one in wanted) is (op == "in")
    if op == "contains":
        if isinstance(value, str):
            return isinstance(wanted, str) and wanted in value
        return isinstance(value, list) and any(_equal(one, wanted) for one in value)
    return op == "exists" or _equal(value, wanted) is (op == "==")


def judge_metadata(
    metadata: str | None, where: Sequence[Predicate], missing: str
) -> tuple[Reason, dict[str, str | None]] | None:
    """The first predicate that a document fails, as (reason, evidence), or None if it meets all.

    Raises:
        ValueError: the metadata is not a JSON object.
    """
    fields = {} if metadata is None else orjson.loads(metadata)
    if not isinstance(fields, dict):
        raise ValueError(f"metadata: {str(metadata)[:80]!r} is not a JSON object; the source must write one")
    for predicate in where:
        value = look_up(fields, predicate.field)
        if predicate.op == "exists":
            fails = Reason.METADATA_PREDICATE_FAILED if (value is not None) is not predicate.value else None
        elif value is None:
            fails = Reason.METADATA_MISSING if missing == "reject" else None
        else:
            fails = None if holds(value, predicate) else Reason.METADATA_PREDICATE_FAILED
        if fails:
            said = None if value is None else orjson.dumps(value).decode()
            wanted = orjson.dumps(predicate.value).decode()
            return fails, {"field": predicate.field, "op": predicate.op, "value": said, "wanted": wanted}
    return None


class FilterMetadata(MapStage[None]):
    """Reject documents whose metadata fails a predicate; all must hold, the first that fails is the evidence.

    A field that is absent or null is missing; `exists` asks just that. Numbers compare with numbers and text
    with text: "3" is not 3.
    """

    reasons = Reason
    libraries = ("orjson",)

    where: tuple[Predicate, ...] = Field(
        min_length=1, description='conditions: {field: score, op: ">=", value: 3}'
    )
    missing: Literal["reject", "keep"] = Field(
        "reject", description="what becomes of a document without the field that a predicate needs"
    )

    def reads(self) -> pa.Schema:
        """The metadata."""
        return pa.schema([METADATA])

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:  # noqa: ARG002
        """The first failed predicate of each row, with the value found and the one wanted."""
        texts = batch.column(METADATA.name).to_pylist()
        found = [judge_metadata(text, self.where, self.missing) for text in texts]
        reject = pa.array([None if one is None else str(one[0]) for one in found], pa.string())
        evidence = pa.array([None if one is None else one[1] for one in found], EVIDENCE_TYPE)
        return Marks(reject=reject, evidence=evidence)
