"""Parquet files, row group by row group; a large file becomes several partitions."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from pipeline.errors import DataError
from pipeline.stage import Damage
from stages.sources._fields import MappedFiles
from stages.sources._files import BATCH_BYTES, open_file
from stages.sources._rows import Keys
from stages.sources._tables import check_columns, documents, top_columns

READ_BYTES = BATCH_BYTES // 2  # estimated from the footer's totals, so it leaves room for uneven rows
RANGE = "#row-groups="  # between a file and the row groups of a split: "a.parquet#row-groups=0-7"


def cut_row_groups(sizes: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Runs of row groups (first, last) of about `limit` bytes each.

    >>> cut_row_groups([4, 4, 4, 9], 8)
    [(0, 1), (2, 2), (3, 3)]
    """
    runs: list[tuple[int, int]] = []
    first, held = 0, 0
    for i, size in enumerate(sizes):
        if i > first and held + size > limit:
            runs.append((first, i - 1))
            first, held = i, 0
        held += size
    return [*runs, (first, len(sizes) - 1)] if sizes else []


@contextmanager
def open_parquet(url: str) -> Iterator[Any]:
    """The file's reader, its footer read.

    Raises:
        pa.ArrowException, OSError: it is not Parquet.
        DataError: it cannot be opened.
    """
    with closing(open_file(url)) as raw:
        # Arrow reads a local file faster itself than through Python
        source = raw if "://" in url else pa.OSFile(url)
        with source, pq.ParquetFile(source) as reader:
            yield reader


class ReadParquet(MappedFiles):
    """Read Parquet: one row of the file is one document."""

    suffixes = (".parquet",)
    libraries = ("orjson", "pyarrow")

    batch_rows: int = Field(65536, ge=1, description="documents in a batch, at most; 32 MB bounds it too")
    split_bytes: int | None = Field(
        1 << 30, ge=1, description="cut a larger file into partitions of whole row groups; null = one a file"
    )

    def split(self) -> Sequence[str]:
        """One partition for each file, or for each run of row groups of a large one."""
        found: list[str] = []
        for file in self.located():
            found += self._splits(file.url, file.size)
        return found

    def _splits(self, url: str, size: int) -> list[str]:
        if self.split_bytes is None or size <= self.split_bytes:
            return [url]
        try:
            with open_parquet(url) as reader:
                meta = reader.metadata
                sizes = [stored_bytes(meta.row_group(i)) for i in range(meta.num_row_groups)]
        except (pa.ArrowException, OSError):
            return [url]  # reading will say what is wrong with it
        runs = cut_row_groups(sizes, self.split_bytes)
        # With the number's width fixed, names sort as the rows do.
        return [f"{url}{RANGE}{a:06d}-{b:06d}" for a, b in runs] if len(runs) > 1 else [url]

    def files(self, split: str) -> Sequence[str]:
        """The one file, whole: a run of row groups has no checksum of its own."""
        return [split.rpartition(RANGE)[0] or split]

    def problems(self) -> Sequence[str]:
        """Also columns that the first file does not have."""
        found = list(super().problems())
        if found:
            return found
        first = self.located()[0].url
        try:
            with open_parquet(first) as reader:
                check_columns(reader.schema_arrow, self, first)
        except DataError as error:
            found.append(str(error))
        except (pa.ArrowException, OSError):
            pass  # one bad file is counted in the run
        return found

    def read(self, split: str, resource: None) -> Iterator[pa.RecordBatch | Damage]:  # noqa: ARG002
        """The rows of the split, in the order stored.

        Raises:
            DataError: a readable file without the columns that the params name.
        """
        url = self.files(split)[0]
        file = self.relative(url, self.base())
        with ExitStack() as stack:
            try:
                reader = stack.enter_context(open_parquet(url))
            except (pa.ArrowException, OSError) as error:
                yield Damage(file, "@-1", -1, "corrupt_parquet", f"the footer cannot be read: {error}")
                return
            check_columns(reader.schema_arrow, self, url)
            yield from self._row_groups(reader, file, *chosen(split, reader.metadata.num_row_groups))

    def _row_groups(self, reader: Any, file: str, first: int, last: int) -> Iterator[pa.RecordBatch | Damage]:
        meta, keys = reader.metadata, Keys()
        columns = top_columns(reader.schema_arrow, self)
        start = sum(meta.row_group(i).num_rows for i in range(first))
        for group in range(first, last + 1):
            info = meta.row_group(group)
            rows = max(1, min(self.batch_rows, READ_BYTES * info.num_rows // max(1, info.total_byte_size)))
            at = start
            try:
                for batch in reader.iter_batches(
                    rows, row_groups=[group], columns=columns, use_threads=False
                ):
                    yield from documents(batch, self, file, at, keys, BATCH_BYTES)
                    at += batch.num_rows
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                detail = (
                    f"rows {at} to {start + info.num_rows - 1} of row group {group} cannot be read: {error}"
                )
                yield Damage(file, f"@{at}", -1, "corrupt_parquet", detail)
            start += info.num_rows


def stored_bytes(group: Any) -> int:
    """Compressed bytes of a row group."""
    return sum(int(group.column(i).total_compressed_size) for i in range(group.num_columns))


def chosen(split: str, groups: int) -> tuple[int, int]:
    """The first and last row group of a split.

    >>> chosen("a.parquet#row-groups=000002-000005", 9), chosen("a.parquet", 9)
    ((2, 5), (0, 8))
    """
    name, _, span = split.rpartition(RANGE)
    if not name:
        return 0, groups - 1
    first, _, last = span.partition("-")
    return int(first), int(last)
