"""Reading small files whole, each a document, within a budget."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pyarrow as pa

from pipeline.stage import Damage
from stages.sources._files import BATCH_BYTES, GroupedFiles, open_file
from stages.sources._rows import Rows
from stages.sources._streams import Fault, codec_of_name, read_pieces

KEY = "1"  # a file is one document; its name is the id


def read_whole(url: str, file: str, limit: int) -> bytes | Damage:
    """A file's bytes, decompressed by the ending of its name."""
    parts: list[bytes] = []
    size = 0
    with closing(open_file(url)) as raw:
        for piece in read_pieces(raw, codec_of_name(url)):
            if isinstance(piece, Fault):
                return Damage(file, KEY, piece.offset, piece.reason, piece.detail)
            parts.append(piece.data)
            size += len(piece.data)
            if size > limit:
                return Damage(file, KEY, 0, "record_too_large", f"the file has more than {limit} bytes")
    return b"".join(parts)


def read_documents(
    source: GroupedFiles, split: str, columns: Callable[[str, bytes], Mapping[str, Any] | Damage]
) -> Iterator[pa.RecordBatch | Damage]:
    """A group's files, sorted by path.

    Args:
        source: whose group it is.
        split: the group.
        columns: makes a row's values, or a Damage, from a file's relative name and its bytes.
    """
    rows, base = Rows(source.writes(), source.batch_rows, BATCH_BYTES), source.base()
    for url in source.files(split):
        file = source.relative(url, base)
        data = read_whole(url, file, source.max_record_bytes)
        made = data if isinstance(data, Damage) else columns(file, data)
        if isinstance(made, Damage):
            yield made
        else:
            yield from rows.add(file, KEY, 0, made)
    yield from rows.flush()
