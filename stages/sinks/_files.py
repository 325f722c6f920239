"""What sinks of plain files share: the columns, batches cut by their rows alone, the manifest."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.stage import ShardInfo
from shards.format import file_sha256

MANIFEST = "manifest.json"


def missing_columns(schema: pa.Schema, columns: Sequence[str]) -> list[str]:
    """Columns that were asked for and are not there."""
    return [name for name in columns if name not in schema.names]


def project(batch: pa.RecordBatch, columns: Sequence[str] | None) -> pa.RecordBatch:
    """The chosen columns in the chosen order (None = all), dictionaries as plain values.

    Dictionaries are laid open because theirs differ from batch to batch, and a file must not.

    Raises:
        ValueError: a column is not there.
    """
    if columns is not None:
        missing = missing_columns(batch.schema, columns)
        if missing:
            raise ValueError(
                f"columns: {', '.join(map(repr, missing))} not among {', '.join(batch.schema.names)}; "
                "name columns that exist"
            )
        batch = batch.select(list(columns))
    plain = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for column in batch.columns
    ]
    fields = [pa.field(f.name, c.type, f.nullable) for f, c in zip(batch.schema, plain, strict=True)]
    return pa.record_batch(plain, schema=pa.schema(fields))


def row_bytes(batch: pa.RecordBatch) -> np.ndarray:
    """About how many bytes each row has: 8 a column, and what its strings, binaries and lists hold.

    Returns:
        int64, one a row; depends on the row alone.
    """
    sizes = np.full(batch.num_rows, 8 * batch.num_columns, np.int64)
    for column in batch.columns:
        kind = column.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            sizes += 8 * pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(
                np.int64
            )
        elif any(
            check(kind)
            for check in (
                pa.types.is_string,
                pa.types.is_large_string,
                pa.types.is_binary,
                pa.types.is_large_binary,
            )
        ):
            sizes += pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return sizes


def rebatch(batches: Iterator[pa.RecordBatch], rows: int, size: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that depend on the rows alone, not on how they came.

    A batch ends with the row that is its `rows`-th, or that brings it to `size` bytes.
    """
    held: list[pa.RecordBatch] = []
    count = filled = 0
    for batch in batches:
        sizes = np.cumsum(row_bytes(batch))
        start = 0
        while start < batch.num_rows:
            base = int(sizes[start - 1]) if start else 0
            full = int(np.searchsorted(sizes, base + size - filled)) + 1  # the row that fills it is in
            end = min(full, start + rows - count)
            if end > batch.num_rows:
                held.append(batch.slice(start))
                count, filled = count + batch.num_rows - start, filled + int(sizes[-1]) - base
                break
            held.append(batch.slice(start, end - start))
            yield _one(held)
            held, count, filled, start = [], 0, 0, end
    if held:
        yield _one(held)


def _one(held: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.concat_batches(held)


def shard_info(out: Path, name: str, rows: int, schema: pa.Schema) -> ShardInfo:
    """What commit needs to know of a finished file."""
    path = out / name
    columns = {field.name: str(field.type) for field in schema}
    meta = {"rows": rows, "bytes": path.stat().st_size, "sha256": file_sha256(path), "columns": columns}
    return ShardInfo((name,), rows, meta)


def write_manifest(shards: Sequence[ShardInfo], out: Path, format: str, extra: Mapping[str, object]) -> None:
    """manifest.json: rows, bytes and checksum of each file, in partition order."""
    files = [
        {"file": shard.files[0], **{name: shard.meta[name] for name in ("rows", "bytes", "sha256")}}
        for shard in shards
        if shard.files
    ]
    columns = next((shard.meta["columns"] for shard in shards if shard.files), {})
    manifest = {
        "format": format,
        "rows": sum(s.rows for s in shards),
        "columns": columns,
        **extra,
        "files": files,
    }
    temporary = out / f".{MANIFEST}.tmp"
    temporary.write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    temporary.replace(out / MANIFEST)
