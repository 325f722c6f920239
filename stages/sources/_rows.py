"""Documents gathered into batches of bounded size, under keys that are unique in their file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.schema import ORIGIN_TYPE

ROW_BYTES = 256  # what a row costs beside its text: ids, offsets, Arrow


class Keys:
    """Makes keys unique within a file: the second "a" becomes "a~2"."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def unique(self, key: str) -> str:
        """The key itself the first time, then with a number.

        >>> keys = Keys()
        >>> [keys.unique(k) for k in ("a", "a", "a~2", "a")]
        ['a', 'a~2', 'a~2~2', 'a~3']
        """
        if key not in self._counts:
            self._counts[key] = 1
            return key
        while True:
            self._counts[key] += 1
            numbered = f"{key}~{self._counts[key]}"
            if numbered not in self._counts:
                self._counts[numbered] = 1
                return numbered


class Rows:
    """Collects rows and says when a batch is full.

    Args:
        schema: what the source writes; `origin` is filled in here, missing values are null.
        rows, size: a batch has at most so many rows, and so many bytes unless one row alone has more.
    """

    def __init__(self, schema: pa.Schema, rows: int, size: int) -> None:
        self.schema = schema
        self._rows, self._size = rows, size
        self._columns: dict[str, list[Any]] = {name: [] for name in schema.names if name != "origin"}
        self._origins: list[tuple[str, str, int]] = []
        self._held = 0

    def add(self, file: str, key: str, offset: int, values: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
        """Take a row, first giving back a batch if the row does not fit it."""
        size = ROW_BYTES + sum(len(v) for v in values.values() if isinstance(v, str | bytes))
        if self._origins and (len(self._origins) >= self._rows or self._held + size > self._size):
            yield from self.flush()
        self._held += size
        self._origins.append((file, key, offset))
        for name, column in self._columns.items():
            column.append(values.get(name))

    def flush(self) -> Iterator[pa.RecordBatch]:
        """Whatever is held, as the last batch."""
        if not self._origins:
            return
        files, keys, offsets = zip(*self._origins, strict=True)
        origin = make_origin(pa.array(files, pa.string()), pa.array(keys, pa.string()), offsets)
        arrays = [
            origin if field.name == "origin" else pa.array(self._columns[field.name], field.type)
            for field in self.schema
        ]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        self._origins, self._held = [], 0
        self._columns = {name: [] for name in self._columns}
        yield batch


def make_origin(files: pa.Array, keys: pa.Array, offsets: Sequence[int] | pa.Array) -> pa.StructArray:
    """The ORIGIN column from its parts."""
    found = offsets if isinstance(offsets, pa.Array) else pa.array(offsets, pa.int64())
    return pa.StructArray.from_arrays([files, keys, found], fields=list(ORIGIN_TYPE))
