"""Reject every document but one of those with the same text, or the same values in any columns."""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pydantic import Field

from pipeline import schema
from pipeline.schema import CONTENT, MESSAGES, TEXT
from pipeline.stage import ANY_TYPE, Marks
from stages.dedup._policy import CLUSTER_SIZES, SurvivorPolicy, group_starts, reject_rows
from stages.dedup._space_kernels import fold_spaces
from stages.kernels.buffers import text_buffers

CANONICAL = {field.name: field for field in vars(schema).values() if isinstance(field, pa.Field)}
EVIDENCE_TYPE = pa.struct([("survivor", pa.string()), ("cluster_size", pa.int64())])


class ExactReason(StrEnum):
    """Why a document falls."""

    EXACT_DUPLICATE = "exact_duplicate"


def normalize(texts: pa.Array) -> pa.Array:
    r"""NFC, lower case, each run of white space as one blank, none at the ends; punctuation stays.

    White space is Unicode's class Z and the control characters that str.isspace() counts. Nulls stay null.

    >>> normalize(pa.array(["\tCLICK\u00a0 here! "]))[0].as_py()
    'click here!'
    """
    data, offsets = fold_spaces(*text_buffers(pc.utf8_lower(pc.utf8_normalize(texts, form="NFC"))))
    valid = pa.py_buffer(np.packbits(np.asarray(texts.is_valid()), bitorder="little"))
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(data), valid)


def content_keys(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """xxh3-128 of each value of a (large_)string or binary column that is not null or empty.

    Returns:
        keys binary(16), and the rows they are of.
    """
    data, offsets = text_buffers(column)
    rows = np.flatnonzero(offsets[1:] > offsets[:-1])
    return _digests(data, offsets[rows], offsets[rows + 1]), rows


def _digests(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    view, digest = memoryview(data.data), xxhash.xxh3_128_digest
    bounds = zip(starts.tolist(), ends.tolist(), strict=True)
    return pa.array([digest(view[start:end]) for start, end in bounds], pa.binary(16))


def column_keys(columns: Sequence[pa.Array]) -> tuple[pa.Array, np.ndarray]:
    """xxh3-128 of the values of some columns, of any types, for each row in which one of them is not null.

    A value takes 16 bytes of what is hashed, whatever its length, so `ab`, `c` is not `a`, `bc`; a null is none of
    the values. Numbers are equal as numbers of their column are (0.0 and -0.0, and all NaN), lists and structs as
    their canonical JSON is.

    Returns:
        keys binary(16), and the rows they are of.

    >>> keys, rows = column_keys([pa.array(["a", None, "a"]), pa.array([1, None, 1])])
    >>> keys[0] == keys[1], rows.tolist()
    (True, [0, 2])
    """
    known = np.logical_or.reduce([np.asarray(c.is_valid()) for c in columns])
    rows = np.flatnonzero(known)
    prints = np.concatenate([_value_prints(c) for c in columns], axis=1)[rows]
    data = np.ascontiguousarray(prints).reshape(-1)
    ends = np.arange(1, len(rows) + 1) * prints.shape[1]
    return _digests(data, ends - prints.shape[1], ends), rows


def _value_prints(column: pa.Array) -> np.ndarray:
    """16 bytes for each value, equal for equal values and zeros for null; uint8, shape (rows, 16)."""
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    prints = np.zeros((len(column), 16), np.uint8)
    known = np.asarray(column.is_valid())
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        words = np.zeros((len(column), 2), np.uint64)
        words[:, 0], words[:, 1] = _number_bits(column), known
        prints[:] = words.view(np.uint8)
        prints[~known] = 0
    elif known.any():
        data, offsets = text_buffers(_value_bytes(column))
        at = np.flatnonzero(known)
        keys = _digests(data, offsets[at], offsets[at + 1])
        prints[at] = np.frombuffer(keys.buffers()[1], np.uint8).reshape(-1, 16)
    return prints


def _number_bits(column: pa.Array) -> np.ndarray:
    """64 bits of each number; anything for null."""
    if not pa.types.is_floating(column.type):
        wide = pa.uint64() if pa.types.is_uint64(column.type) else pa.int64()
        return np.asarray(pc.fill_null(column.cast(wide), 0)).view(np.uint64)
    values = np.asarray(pc.fill_null(column.cast(pa.float64()), 0.0)) + 0.0  # -0.0 + 0.0 is 0.0
    return np.where(np.isnan(values), math.nan, values).view(np.uint64)


def _value_bytes(column: pa.Array) -> pa.Array:
    """Texts and bytes as they are, all else as canonical JSON; (large_)string or (large_)binary."""
    kind = column.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return column.cast(pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return column
    if pa.types.is_fixed_size_binary(kind):
        return column.cast(pa.binary())
    values = column.to_pylist()
    return pa.array([None if v is None else canonical_json(v) for v in values], pa.large_binary())


def canonical_json(value: Any) -> bytes:
    """A value of a column as JSON with sorted keys; bytes in hexadecimal, what JSON does not know as text.

    >>> canonical_json({"b": [1, None], "a": b"x"})
    b'{"a":"78","b":[1,null]}'
    """
    return orjson.dumps(value, default=_plain_value, option=orjson.OPT_SORT_KEYS)


def _plain_value(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def dialogue_bytes(messages: pa.Array) -> pa.Array:
    """A dialogue's turns as canonical JSON; empty for a dialogue without turns."""
    return pa.array(
        [orjson.dumps(turns) if turns else b"" for turns in messages.to_pylist()], pa.large_binary()
    )


def name_losers(bucket: pa.Table) -> pa.Table:
    """Every document after the first of its key: `doc`, the first's id as `survivor`, `cluster_size`.

    A key that arrives in pieces of the run's `max_group_rows` has one survivor; its size is that of the piece.
    """
    starts = group_starts(bucket["key"])
    sizes = np.diff(starts)
    first = np.repeat(starts[:-1], sizes)
    lost = np.flatnonzero(first != np.arange(bucket.num_rows))
    return pa.table(
        {
            "doc": bucket["doc"].take(pa.array(lost)),
            "survivor": bucket["id"].take(pa.array(first[lost])),
            "cluster_size": np.repeat(sizes, sizes)[lost].astype(np.int64),
        }
    )


class ExactDedup(SurvivorPolicy[None]):
    """Of all documents with the same text (or raw page, dialogue, values of some columns), keep one.

    The one kept follows from `source_priority`, `quality`, `prefer` and in the end the smallest id, so it depends
    on nothing but the documents. Empty and missing texts are equal to nothing and pass untouched, and so does a
    row of which all `columns` are null; a null there is equal to a null, and is not the empty text. Different
    texts have the same 128-bit key with probability n^2 / 2^129: 1e-19 for 10^10 documents. `cluster_size` in the
    evidence counts all copies, the survivor included; of a text with more than the run's `max_group_rows` copies,
    those of one piece.
    """

    version = 2
    reasons = ExactReason
    singles: ClassVar[bool] = False
    libraries: ClassVar[Sequence[str]] = ("pyarrow",)  # its Unicode tables, in `normalized`
    measures = {"cluster_size": CLUSTER_SIZES}

    on: Literal["text", "normalized", "content", "messages", "columns"] = Field(
        "text",
        description="what must be equal: the text to the byte; the text after NFC, lower case and white "
        "space folding; the raw page; the dialogue's turns; the values of `columns`",
    )
    columns: list[str] = Field(
        default=[], description="for `on: columns`: these, of any type, must all be equal"
    )

    def reads(self) -> pa.Schema:
        """What must be equal, and what the survivor policy looks at."""
        wanted = list(self.policy_reads())
        if self.on == "columns":
            wanted += [TEXT] if self._by_length else []
            wanted += [CANONICAL.get(name, pa.field(name, ANY_TYPE)) for name in self.columns]
        else:
            wanted.append({"content": CONTENT, "messages": MESSAGES}.get(self.on, TEXT))
        return pa.schema({field.name: field for field in wanted}.values())

    def problems(self) -> Sequence[str]:
        """Columns that are missing, named twice or not looked at; a source named twice."""
        found = list(super().problems())
        if self.on == "columns" and not self.columns:
            found.append("columns is empty; name those that must be equal, such as [url, title]")
        if self.on != "columns" and self.columns:
            found.append(
                f"columns is {self.columns}, but on is {self.on!r}; write on: columns, or leave them out"
            )
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        return [*found, *(f"columns names {name!r} twice; leave one" for name in twice)]

    def order(self, round: int) -> Sequence[str]:  # noqa: ARG002
        """The survivor comes first."""
        return self.policy_order

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:  # noqa: ARG002
        """One row for each document that has something to compare."""
        keys, rows, measured = self._keys(batch)
        at = pa.array(rows, pa.int64())
        texts = measured.take(at) if self._by_length else at  # not looked at otherwise
        policy = self.policy_columns(batch, at, texts)
        return pa.table({"key": keys, "row": at.cast(pa.int32()), **policy})

    @property
    def _by_length(self) -> bool:
        return self.prefer in ("longest", "shortest")

    def _keys(self, batch: pa.RecordBatch) -> tuple[pa.Array, np.ndarray, pa.Array]:
        """Keys, the rows they are of, and the column whose lengths count (all rows of it)."""
        if self.on == "columns":
            measured = batch["text"] if self._by_length else None
            return *column_keys([batch[name] for name in self.columns]), measured
        if self.on == "messages":
            measured = dialogue_bytes(batch["messages"])
            return *content_keys(measured), measured
        measured = batch["content" if self.on == "content" else "text"]
        return *content_keys(normalize(measured) if self.on == "normalized" else measured), measured

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:  # noqa: ARG002
        """Every document after the first of its key, with the id of that first."""
        return name_losers(bucket)

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        """Reject what has a survivor."""
        return reject_rows(batch.num_rows, verdicts, ExactReason.EXACT_DUPLICATE, EVIDENCE_TYPE)
