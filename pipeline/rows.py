"""Rows reshaped: columns laid over, missing ones filled, rows chosen by value or put in another order."""

import functools
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.graph import Edge


def chosen(edge: Edge, batch: pa.RecordBatch) -> pa.Array:
    """Which rows an edge's conditions choose; a null in the column matches a null in the list."""
    masks = [
        pc.is_in(batch.column(column), pa.array(list(values), batch.column(column).type))
        for column, values in edge.where
    ]
    return functools.reduce(pc.and_, masks)


def with_columns(batch: pa.RecordBatch, columns: Mapping[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    """The batch with columns added or replaced, in the order of `schema`, which may leave some out."""
    arrays = [columns[f.name] if f.name in columns else batch.column(f.name) for f in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def with_nulls(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch as `schema` says, with nulls in columns it lacks."""
    names = batch.schema.names
    arrays = [batch.column(f.name) if f.name in names else pa.nulls(batch.num_rows, f.type) for f in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def whole(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """A column in one piece, without copying what is one already; in several if its strings are too long for one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def owned(table: pa.Table) -> pa.Table:
    """The same rows, not mapped from a file any more: a concatenation is a copy, even of one piece alone."""
    columns = [pa.concat_arrays(column.chunks) if len(column) else column for column in table.columns]
    return pa.table(columns, schema=table.schema)


def rows_at(table: pa.Table, places: np.ndarray) -> pa.Table:
    """The rows at these places, each column in one piece unless its strings are too long for that."""
    columns = [_taken(whole(column), places) for column in table.columns]
    return pa.table(columns, schema=table.schema)


def ascending_rows(table: pa.Table) -> np.ndarray:
    """Places of the rows as its columns sort them, the first before all others; equal rows stay in order."""
    if all(_is_number(column.type) and not column.null_count for column in table.columns):
        return np.lexsort([column.to_numpy() for column in reversed(table.columns)])
    return np.asarray(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.column_names]))


def _taken(column: pa.Array | pa.ChunkedArray, places: np.ndarray) -> pa.Array | pa.ChunkedArray:
    """Values at these places. Numbers, and lists of them, take the ways that are several times Arrow's own."""
    if isinstance(column, pa.Array) and not column.null_count:
        kind = column.type
        if _is_number(kind):
            return pa.array(column.to_numpy()[places], kind)
        if pa.types.is_large_list(kind) and _is_number(kind.value_type) and not column.values.null_count:
            return _taken_lists(column, places)
    return column.take(pa.array(places))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _taken_lists(lists: pa.Array, places: np.ndarray) -> pa.Array:
    """Lists of numbers as strings of their bytes, which Arrow copies whole."""
    values, kind = lists.values, lists.type.value_type
    width = kind.bit_width // 8
    ends = (lists.offsets.to_numpy() + values.offset) * width
    parts = [None, pa.py_buffer(ends), values.buffers()[1]]
    taken = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(lists), parts).take(pa.array(places))
    _, offsets, data = taken.buffers()
    ends = np.frombuffer(offsets, np.int64)[taken.offset : taken.offset + len(taken) + 1] // width
    numbers = pa.Array.from_buffers(kind, int(ends[-1]), [None, data])
    return pa.LargeListArray.from_arrays(pa.array(ends), numbers).cast(lists.type)
