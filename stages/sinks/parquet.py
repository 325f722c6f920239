"""Write documents as Parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from pipeline.stage import ShardInfo, Sink, Summary
from stages.kernels.manifest import files_table
from stages.sinks._files import MANIFEST, project, rebatch, shard_info, write_manifest

FILE = "part.parquet"


class WriteParquet(Sink[None]):
    """One Parquet file a partition, and manifest.json with rows and checksums.

    Row groups are cut by rows and bytes alone: a file depends on its rows, not on the batches they came in.
    """

    libraries: ClassVar[Sequence[str]] = ("pyarrow",)

    compression: Literal["none", "snappy", "gzip", "zstd"] = Field(
        "zstd", description="how pages are compressed"
    )
    columns: list[str] | None = Field(None, description="columns to write, in this order; null: all")
    row_group_rows: int = Field(10_000, ge=1, description="rows of a row group at most")
    row_group_bytes: int = Field(
        128 << 20, ge=1, description="a row group ends with the row that brings it to this size"
    )

    def problems(self) -> Sequence[str]:
        """A list of no columns."""
        return ["columns is empty; name columns, or null for all"] if self.columns == [] else []

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """One file; none for no rows."""
        chosen = (project(batch, self.columns) for batch in batches if batch.num_rows)
        writer: pq.ParquetWriter | None = None
        rows = 0
        try:
            for group in rebatch(chosen, self.row_group_rows, self.row_group_bytes):
                if writer is None:
                    writer = pq.ParquetWriter(str(out / FILE), group.schema, compression=self.compression)
                writer.write_batch(group, row_group_size=max(1, group.num_rows))
                rows += group.num_rows
        finally:
            if writer is not None:
                writer.close()
        return ShardInfo() if writer is None else shard_info(out, FILE, rows, writer.schema)

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """The manifest."""
        write_manifest(shards, out, "parquet", {"compression": self.compression})

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """The files and what is in them."""
        return [files_table(out / MANIFEST)]
