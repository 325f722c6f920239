"""Write documents as Arrow streams that `datasets.load_from_disk` opens without copying."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.stage import ShardInfo, Sink, Summary
from shards.format import write_whole
from stages.kernels.manifest import files_table
from stages.sinks._files import MANIFEST, project, rebatch, shard_info, write_manifest

FILE = "part.arrow"
EMPTY = "empty.arrow"  # load_from_disk wants one file, even where there are no rows
BATCH_ROWS, BATCH_BYTES = 1000, 64 << 20


def zero_under_nulls(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows, with zeros where numbers are null: what stages leave there must not change a file's bytes.

    >>> import numpy as np
    >>> values = pa.array(np.array([1.0, 2.0]), mask=np.array([False, True]))
    >>> batch = zero_under_nulls(pa.record_batch({"x": values}))
    >>> batch["x"].to_pylist(), np.frombuffer(batch["x"].buffers()[1], np.float64)[:2].tolist()
    ([1.0, None], [1.0, 0.0])
    """
    columns = [_zeroed(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _zeroed(column: pa.Array) -> pa.Array:
    kind = column.type
    if not column.null_count or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return column
    null = column.is_null().to_numpy(zero_copy_only=False)
    return pa.array(pc.fill_null(column, 0).to_numpy(zero_copy_only=False), kind, mask=null)


class WriteArrow(Sink[None]):
    """One Arrow stream a partition, with what `datasets.load_from_disk` needs, and manifest.json."""

    libraries: ClassVar[Sequence[str]] = ("pyarrow",)

    columns: list[str] | None = Field(None, description="columns to write, in this order; null: all")

    def problems(self) -> Sequence[str]:
        """A list of no columns."""
        return ["columns is empty; name columns, or null for all"] if self.columns == [] else []

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """One file; none for no rows."""
        chosen = (zero_under_nulls(project(batch, self.columns)) for batch in batches if batch.num_rows)
        ready = rebatch(chosen, BATCH_ROWS, BATCH_BYTES)
        first = next(ready, None)
        if first is None:
            return ShardInfo()
        rows = first.num_rows
        with pa.OSFile(str(out / FILE), "wb") as file, pa.ipc.new_stream(file, first.schema) as writer:
            writer.write_batch(first)
            for batch in ready:
                writer.write_batch(batch)
                rows += batch.num_rows
        return shard_info(out, FILE, rows, first.schema)

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """state.json and dataset_info.json, then the manifest."""
        files = [name for shard in shards for name in shard.files]
        if not files:
            with pa.OSFile(str(out / EMPTY), "wb") as file, pa.ipc.new_stream(file, pa.schema([])):
                files = [EMPTY]
        hashes = [shard.meta["sha256"] for shard in shards if shard.files]
        state: dict[str, object] = {
            "_data_files": [{"filename": name} for name in files],
            "_fingerprint": str(hashes[0])[:16] if hashes else "0" * 16,
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        }
        write_whole(out / "state.json", orjson.dumps(state, option=orjson.OPT_INDENT_2).decode())
        write_whole(out / "dataset_info.json", "{}\n")
        write_manifest(shards, out, "arrow", {})

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """The files and what is in them."""
        return [files_table(out / MANIFEST)]
