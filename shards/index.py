"""Which shards a folder has: a list in its manifest or, for many, an Arrow file that is mapped and never read whole.

The index has one record batch, so its columns are arrays in the map: finding the shard of a row in a million of
them touches some twenty pages of the file.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa

INDEX = "index.arrow"
INDEX_SCHEMA = pa.schema(
    [
        pa.field("file", pa.large_string()),
        pa.field("rows", pa.int64()),
        pa.field("tokens", pa.int64()),
        pa.field("bytes", pa.int64()),
        pa.field("sha256", pa.binary(32)),
        pa.field("first_row", pa.int64()),
    ]
)
_AT_ONCE = 4096  # entries turned into Python objects at once, when all of them are asked for


class ShardError(Exception):
    """A folder is not a whole set of shards of a version that we read, or not for this trainer."""


@dataclass(frozen=True)
class ShardFile:
    """One Arrow stream and what it must hold."""

    file: str
    rows: int
    tokens: int
    bytes: int
    sha256: str


def row_starts(rows: np.ndarray | Sequence[int]) -> np.ndarray:
    """First row of each shard in the whole, then the number of rows; int64, as corpora pass 2**31."""
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(rows, dtype=np.int64, out=starts[1:])
    return starts


def locate(starts: np.ndarray, row: int) -> tuple[int, int]:
    """Which shard holds a row, and as which of its rows.

    >>> locate(row_starts([2, 0, 3]), 2)
    (2, 0)
    """
    shard = int(np.searchsorted(starts, row, side="right")) - 1
    return shard, int(row - starts[shard])


def digest_of(tokenizer_sha256: str, shards: Iterable[ShardFile]) -> str:
    """sha256 over the checksums of tokenizer and shards: equal digests are equal rows in equal order."""
    digest = hashlib.sha256(tokenizer_sha256.encode())
    for shard in shards:
        digest.update(b"\n" + shard.sha256.encode())
    return digest.hexdigest()


class ShardIndex(Sequence[ShardFile]):
    """The shards of an index file; an entry is read when it is asked for.

    Raises:
        ShardError: the file is not an index of token shards.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with pa.memory_map(str(path)) as source:
                reader = pa.ipc.open_file(source)
                if not reader.schema.equals(INDEX_SCHEMA) or reader.num_record_batches != 1:
                    raise ShardError(
                        f"{path}: is not an index of token shards; write the shards again or fetch them whole"
                    )
                self._batch = reader.get_batch(0)
        except (pa.ArrowInvalid, OSError) as error:
            raise ShardError(f"{path}: cannot be read ({error}); fetch the shards again") from error
        # not to_numpy(), which imports pandas where it is installed: a quarter of a second
        first_rows = self._batch.column("first_row").buffers()[1]
        self.first_rows: np.ndarray = np.frombuffer(first_rows, np.int64, len(self))

    def __reduce__(self) -> tuple[type["ShardIndex"], tuple[Path]]:
        return ShardIndex, (self.path,)  # the map is opened again in the process that gets this

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    @overload
    def __getitem__(self, at: int) -> ShardFile: ...
    @overload
    def __getitem__(self, at: slice) -> list[ShardFile]: ...
    def __getitem__(self, at: int | slice) -> ShardFile | list[ShardFile]:
        """Entries as they are asked for."""
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            taken = self._batch.slice(start, max(0, stop - start)) if step == 1 else None
            if taken is None:
                return [self[i] for i in range(start, stop, step)]
            return [_entry(row) for row in taken.to_pylist()]
        if not -len(self) <= at < len(self):
            raise IndexError(f"shard {at} of {len(self)}")
        return _entry(self._batch.slice(at % len(self), 1).to_pylist()[0])

    def __iter__(self) -> Iterator[ShardFile]:
        for start in range(0, len(self), _AT_ONCE):
            yield from self[start : start + _AT_ONCE]


def _entry(row: dict[str, object]) -> ShardFile:
    sha256 = row["sha256"]
    assert isinstance(sha256, bytes)
    rows, tokens, size = (int(str(row[name])) for name in ("rows", "tokens", "bytes"))
    return ShardFile(str(row["file"]), rows, tokens, size, sha256.hex())


def write_index(path: Path, shards: Sequence[ShardFile]) -> None:
    """Write the index of these shards; the same shards give the same bytes.

    Raises:
        ShardError: a checksum is not the hexadecimal sha256 of a file.
    """
    try:
        sums = [bytes.fromhex(shard.sha256) for shard in shards]
        columns = [
            pa.array([shard.file for shard in shards], pa.large_string()),
            *(pa.array([getattr(s, n) for s in shards], pa.int64()) for n in ("rows", "tokens", "bytes")),
            pa.array(sums, pa.binary(32)),
            pa.array(row_starts([shard.rows for shard in shards])[:-1]),
        ]
    except (ValueError, pa.ArrowInvalid) as error:
        raise ShardError(f"{path}: a shard's sha256 is not one ({error}); give file_sha256 of it") from error
    temporary = path.with_name(f".{path.name}.tmp")
    with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_file(file, INDEX_SCHEMA) as writer:
        writer.write_batch(pa.record_batch(columns, schema=INDEX_SCHEMA))
    temporary.replace(path)
