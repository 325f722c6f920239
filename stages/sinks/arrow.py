"""Write documents as Arrow streams that `datasets.load_from_disk` opens without copying."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import orjson
import pyarrow as pa
from pydantic import Field

from pipeline.stage import ShardInfo, Sink
from shards.format import write_whole
from stages.sinks._files import project, rebatch, shard_info, write_manifest

FILE = "part.arrow"
EMPTY = "empty.arrow"  # load_from_disk wants one file, even where there are no rows
BATCH_ROWS, BATCH_BYTES = 1000, 64 << 20


class WriteArrow(Sink[None]):
    """One Arrow stream a partition, with what `datasets.load_from_disk` needs, and manifest.json."""

    libraries: ClassVar[Sequence[str]] = ("pyarrow",)

    columns: list[str] | None = Field(None, description="columns to write, in this order; null: all")

    def problems(self) -> Sequence[str]:
        """A list of no columns."""
        return ["columns is empty; name columns, or null for all"] if self.columns == [] else []

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """One file; none for no rows."""
        chosen = (project(batch, self.columns) for batch in batches if batch.num_rows)
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
