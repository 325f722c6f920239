"""Columnar files to documents, column by column: rows are touched one by one only for `metadata`."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import DataError
from pipeline.stage import Damage
from stages.sources._fields import MappedFiles, take_out, to_json
from stages.sources._rows import Keys, make_origin


def find_column(table: pa.RecordBatch, path: str) -> pa.Array | None:
    """A column by name, or a nested one by its dotted path; None when there is none."""
    if path in table.schema.names:
        return table.column(path)
    first, *rest = path.split(".")
    if not rest or first not in table.schema.names:
        return None
    found = table.column(first)
    for name in rest:
        if not pa.types.is_struct(found.type) or found.type.get_field_index(name) < 0:
            return None
        found = pc.struct_field(found, name)
    return found


def top_columns(schema: pa.Schema, fields: MappedFiles) -> list[str] | None:
    """The top-level columns that must be read; None for all."""
    if fields.keep_metadata:
        return None
    paths = [p for p in (fields.text, fields.id, fields.url, fields.date) if p is not None]
    return sorted({p if p in schema.names else p.split(".")[0] for p in paths} & set(schema.names))


def check_columns(schema: pa.Schema, fields: MappedFiles, where: str) -> None:
    """Whether a file has the columns that the params name.

    Raises:
        DataError: it has not, or its text is no text.
    """
    empty = pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], names=schema.names)
    for param in ("text", "id", "url", "date"):
        path = getattr(fields, param)
        if path is None:
            continue
        column = find_column(empty, path)
        if column is None:
            has = ", ".join(schema.names[:12])
            raise DataError(f"{where}: {param}: no column '{path}'; it has {has}")
        if param == "text" and not _is_textual(column.type):
            raise DataError(
                f"{where}: text: column '{path}' is {column.type}, not text; name a string column"
            )


def _is_textual(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _is_textual(kind.value_type)
    binary = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    return is_string(kind) or bool(binary or types.is_null(kind))


def documents(
    table: pa.RecordBatch, fields: MappedFiles, file: str, start: int, keys: Keys, size: int
) -> Iterator[pa.RecordBatch | Damage]:
    """The documents of a batch of rows, in batches of at most `size` bytes.

    Args:
        table: rows as stored, with the columns that `check_columns` found.
        fields: which column is what.
        file: for `origin.file`.
        start: number of the first row in its file, from 0; it is the key where there is no id.
        keys: of the file; used only where an id column is.
        size: bytes of a batch, unless one row alone has more.
    """
    bad = bad_text_rows(table, fields)
    for row in bad:
        yield Damage(file, str(start + row), -1, "bad_utf8", f"row {start + row}: a string is not UTF-8")
    numbers = pa.array(np.arange(start, start + table.num_rows, dtype=np.int64))
    if bad:
        kept = pa.array(np.delete(np.arange(table.num_rows), bad))
        table, numbers = table.take(kept), numbers.take(kept)
    text = _text(table, fields)
    count = table.num_rows
    key = numbers.cast(pa.string()) if fields.id is None else _own_keys(table, fields.id, numbers, keys)
    files = pa.repeat(pa.scalar(file, pa.string()), count)
    origin = make_origin(files, key, pa.repeat(pa.scalar(-1, pa.int64()), count))
    arrays = [origin, text, _string(table, fields.url), _string(table, fields.date), _metadata(table, fields)]
    yield from halve(pa.RecordBatch.from_arrays(arrays, schema=fields.writes()), size)


def bad_text_rows(table: pa.RecordBatch, fields: MappedFiles) -> list[int]:
    """Rows with a string that is not UTF-8: Parquet readers do not look, and Python then stumbles."""
    names = [name for name in table.schema.names if name != fields.text]
    columns = [table.column(name) for name in names if is_string(table.schema.field(name).type)]
    text = find_column(table, fields.text) if fields.text is not None else None
    if text is not None and not pa.types.is_null(text.type):
        columns.append(text)
    found: set[int] = set()
    for column in columns:
        found.update(_undecodable(column))
    return sorted(found)


def is_string(kind: pa.DataType) -> bool:
    """Whether Arrow promises UTF-8 for a type."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _undecodable(column: pa.Array) -> list[int]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    stored = pc.cast(column, pa.large_binary())  # the same bytes, not looked at; the cast back looks
    try:
        stored.cast(pa.large_string())
    except pa.ArrowInvalid:
        return [row for row, value in enumerate(stored) if value.is_valid and not _decodes(value.as_py())]
    return []


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(table: pa.RecordBatch, fields: MappedFiles) -> pa.Array:
    column = find_column(table, fields.text) if fields.text is not None else None
    if column is None:
        return pa.nulls(table.num_rows, pa.large_string())
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pc.cast(column, pa.large_string())


def _string(table: pa.RecordBatch, path: str | None) -> pa.Array:
    column = find_column(table, path) if path is not None else None
    if column is None or pa.types.is_nested(column.type):
        return pa.nulls(table.num_rows, pa.string())
    return pc.cast(column, pa.string())


def _own_keys(table: pa.RecordBatch, path: str, numbers: pa.Array, keys: Keys) -> pa.Array:
    own = pc.coalesce(_string(table, path), numbers.cast(pa.string()))
    return pa.array([keys.unique(key) for key in own.to_pylist()], pa.string())


def _metadata(table: pa.RecordBatch, fields: MappedFiles) -> pa.Array:
    """All columns that have no place of their own, as JSON; null when there are none."""
    used = [
        p
        for p in (fields.text, fields.id, fields.url, fields.date)
        if p is not None and fields.text is not None
    ]
    rest = [name for name in table.schema.names if name not in used]
    if not fields.keep_metadata or not rest:
        return pa.nulls(table.num_rows, pa.string())
    nested = [path for path in used if path not in table.schema.names]
    rows = table.select(rest).to_pylist()
    for row in rows:
        for path in nested:
            take_out(row, path)
    return pa.array([to_json(row) for row in rows], pa.string())


def halve(batch: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of at most `size` bytes; a row is never divided."""
    if batch.num_rows <= 1 or batch.nbytes <= size:
        if batch.num_rows:
            yield batch
        return
    middle = batch.num_rows // 2
    yield from halve(batch.slice(0, middle), size)
    yield from halve(batch.slice(middle), size)
