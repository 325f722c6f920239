"""Arrow IPC files and streams, such as stored rows and `datasets` shards."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO

import pyarrow as pa
from pydantic import Field

from pipeline.stage import Damage
from stages.sources._fields import MappedFiles
from stages.sources._files import BATCH_BYTES, open_file
from stages.sources._rows import Keys
from stages.sources._tables import check_columns, documents, top_columns

FILE_MAGIC = b"ARROW1"


def open_batches(raw: BinaryIO) -> tuple[pa.Schema, Iterator[Any]]:
    """The schema of an IPC file or stream, and its batches.

    Raises:
        pa.ArrowException, OSError: it is neither.
    """
    magic = raw.read(len(FILE_MAGIC))
    raw.seek(0)
    if magic != FILE_MAGIC:
        stream = pa.ipc.open_stream(raw)
        return stream.schema, iter(stream)
    reader = pa.ipc.open_file(raw)
    return reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))


class ReadArrow(MappedFiles):
    """Read Arrow IPC, as a file or a stream: one row of it is one document."""

    suffixes = (".arrow", ".feather")
    libraries = ("orjson", "pyarrow")

    batch_rows: int = Field(65536, ge=1, description="documents in a batch, at most; 32 MB bounds it too")

    def read(self, split: str, resource: None) -> Iterator[pa.RecordBatch | Damage]:  # noqa: ARG002
        """The file's rows, in the order stored.

        Raises:
            DataError: a readable file without the columns that the params name.
        """
        file = self.relative(split, self.base())
        with closing(open_file(split)) as raw:
            at = 0
            keys = Keys()
            try:
                schema, batches = open_batches(raw)
                check_columns(schema, self, split)
                columns = top_columns(schema, self)
                for batch in batches:
                    chosen = batch if columns is None else batch.select(columns)
                    for start in range(0, chosen.num_rows, self.batch_rows):
                        part = chosen.slice(start, self.batch_rows)
                        yield from documents(part, self, file, at + start, keys, BATCH_BYTES)
                    at += batch.num_rows
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                yield Damage(file, f"@{at}", -1, "corrupt_arrow", f"no row after {at} can be read: {error}")
