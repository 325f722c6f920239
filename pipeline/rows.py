"""Batches reshaped between steps: columns laid over, missing ones filled, rows chosen by value."""

import functools
from collections.abc import Mapping

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
