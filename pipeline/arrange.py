"""Rows in one order through files: sorted where they are, bounds of new partitions from samples, merged where they go.

A unit puts its rows away in runs, each sorted and small enough for memory, with the rows' places in a file beside
them. One small task looks at a sample of all places and says where the new partitions begin. A unit of a new
partition takes its stretch of every run, and sorts what it took. The order is total (places, then the hash of the
id), so nothing depends on runs, batches or workers; only where partitions are cut depends on the sample, which is
taken from each unit's places as a whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.books import Books
from pipeline.checkpoint import unit_folder
from pipeline.config import RunConfig
from pipeline.errors import StageError
from pipeline.fingerprint import address
from pipeline.io.arrow import RAW, TableWriter, Written, open_table
from pipeline.io.store import Store
from pipeline.plan import Entry
from pipeline.rows import rows_at
from pipeline.tasks import Finish, Loaded, Run, Task

BOUNDS_FILE = "bounds.arrow"
RUNS_KEY = b"runs"
SAMPLES = 256  # places of a unit that the bounds are found from
HASH_BYTES = 16


def split_name(part: int) -> str:
    """The name of a new partition.

    >>> split_name(7)
    '00007'
    """
    return f"{part:05d}"


def check_places(node: str, placed: Any, rows: int) -> None:
    """Raise StageError unless `place` returned what it must."""
    if not isinstance(placed, pa.RecordBatch) or placed.num_rows != rows or not placed.num_columns:
        raise StageError(
            f"node '{node}': place() must return a record batch with a row for each of {rows} rows"
        )
    for field, column in zip(placed.schema, placed.columns, strict=True):
        if field.type != pa.uint64() or column.null_count:
            raise StageError(
                f"node '{node}': place() returned '{field.name}' as {field.type} with {column.null_count} nulls; "
                "it must be uint64 without any"
            )


def keys_of(placed: pa.RecordBatch, id_hash: pa.Array) -> np.ndarray:
    """Places and hashes as strings of bytes that sort as they do; fixed width, one a row."""
    rows, columns = placed.num_rows, placed.num_columns
    keys = np.empty((rows, 8 * columns + HASH_BYTES), np.uint8)
    for k, column in enumerate(placed.columns):
        keys[:, 8 * k : 8 * k + 8] = column.to_numpy().astype(">u8").view(np.uint8).reshape(rows, 8)
    hashes = np.frombuffer(id_hash.buffers()[1], np.uint8)[id_hash.offset * HASH_BYTES :]
    keys[:, 8 * columns :] = hashes[: rows * HASH_BYTES].reshape(rows, HASH_BYTES)
    return np.asarray(keys.reshape(-1).view(f"S{keys.shape[1]}"))


class Placing:
    """Puts a unit's rows away, sorted in runs of about `bucket_bytes`. Use once."""

    def __init__(self, node: str, scratch: Path, run: RunConfig) -> None:
        self._node, self._run = node, run
        self._rows = TableWriter(scratch / Entry(node, "in").file, options=RAW)
        self._scratch = scratch
        self._held: list[pa.RecordBatch] = []
        self._keys: list[np.ndarray] = []
        self._size = 0
        self._runs: list[np.ndarray] = []  # sorted keys of each run

    def add(self, batch: pa.RecordBatch, placed: pa.RecordBatch) -> None:
        """Take rows, with what their stage said of them."""
        self._held.append(batch)
        self._keys.append(keys_of(placed, batch.column("id_hash")))
        self._size += batch.nbytes
        if self._size > self._run.bucket_bytes:
            self._flush()

    def _flush(self) -> None:
        keys = np.concatenate(self._keys)
        order = np.argsort(keys, kind="stable")
        table = rows_at(pa.Table.from_batches(self._held).unify_dictionaries(), order)
        for batch in table.combine_chunks().to_batches(max_chunksize=self._run.batch_rows):
            self._rows.write(batch)
        self._runs.append(keys[order])
        self._held, self._keys, self._size = [], [], 0

    def close(self) -> Mapping[str, Written]:
        """Finish the files; none if there were no rows."""
        if self._held:
            self._flush()
        if not self._runs:
            return {}
        keys = np.concatenate(self._runs)
        ends = ",".join(map(str, np.cumsum([len(run) for run in self._runs]).tolist()))
        places = np.linspace(0, len(keys) - 1, min(SAMPLES, len(keys))).astype(np.int64)
        sample = np.sort(keys)[places] if len(self._runs) > 1 else keys[places]
        return {
            Entry(self._node, "in").file: self._rows.close(),
            places_file(self._node): _write_keys(
                self._scratch / places_file(self._node), keys, {RUNS_KEY: ends}
            ),
            sample_file(self._node): _write_keys(
                self._scratch / sample_file(self._node), sample, {b"rows": str(len(keys))}
            ),
        }


def places_file(node: str) -> str:
    """The file of the places of the rows that a unit put away."""
    return f"{node}.places.arrow"


def sample_file(node: str) -> str:
    """The file of a sample of them."""
    return f"{node}.sample.arrow"


def _write_keys(path: Path, keys: np.ndarray, metadata: Mapping[bytes, str]) -> Written:
    column = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(keys.dtype.itemsize), len(keys), [None, pa.py_buffer(np.ascontiguousarray(keys))]
    )
    schema = pa.schema([pa.field("place", column.type)], metadata=dict(metadata))
    writer = TableWriter(path, schema, RAW)
    writer.write(pa.record_batch([column], schema=schema))
    return writer.close()


def _read_keys(reader: Any) -> np.ndarray:
    """Keys of a file, as they lie in it."""
    table = reader.read_all()
    column = table["place"].combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    width = column.type.byte_width
    data: np.ndarray = np.frombuffer(column.buffers()[1], f"S{width}")
    return data[column.offset : column.offset + len(column)]


# --- where partitions begin -----------------------------------------------------------------------


def cut_bounds(samples: Sequence[tuple[np.ndarray, int]], parts: int) -> np.ndarray:
    """First places of all new partitions but the first, from sorted samples of units and their numbers of rows.

    >>> cut_bounds([(np.array([b"a", b"c"]), 20), (np.array([b"b", b"d"]), 20)], 2).tolist()
    [b'c']
    """
    keys = np.concatenate([keys for keys, _ in samples])
    weights = np.concatenate([np.full(len(keys), rows / len(keys)) for keys, rows in samples])
    order = np.argsort(keys, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    wanted = np.arange(1, parts) * (weights.sum() / parts)
    return np.asarray(keys[order][np.minimum(np.searchsorted(before, wanted - 1e-6), len(keys) - 1)])


def bounds(store: Store, loaded: Loaded, task: Task) -> tuple[str, Run]:
    """The bounds of a node's new partitions, and the units whose rows they take."""
    plan, args = loaded.plan, task.args
    name = args["node"]
    where = address("bounds", plan.fingerprints[name], args["listing"])

    def run(scratch: Path, finish: Finish) -> dict[str, Any]:
        units = store.read_json(args["listing"])["units"]
        samples = []
        for unit in units:
            with open_table(store, f"{unit_folder(unit)}/{sample_file(name)}") as reader:
                samples.append((_read_keys(reader).copy(), int(reader.schema.metadata[b"rows"])))
        stage: Any = plan.graph.nodes[name].stage
        parts = stage.parts() or len(units)
        written = _write_keys(scratch / BOUNDS_FILE, cut_bounds(samples, parts), {b"units": ",".join(units)})
        record = {"node": name, "parts": parts, "books": Books(0).data}
        return finish(scratch, {BOUNDS_FILE: written}, record)

    return where, run


# --- a new partition ------------------------------------------------------------------------------


def arranged_rows(store: Store, node: str, where: str, split: str) -> Iterator[pa.RecordBatch]:
    """The rows of a new partition, in order.

    Args:
        store: where units lie.
        node: the arranging node.
        where: address of its bounds.
        split: name of the partition.
    """
    with open_table(store, f"{unit_folder(where)}/{BOUNDS_FILE}") as reader:
        cuts = _read_keys(reader).copy()
        units = reader.schema.metadata[b"units"].decode().split(",")
    part = int(split)
    low = cuts[part - 1] if part else None
    high = cuts[part] if part < len(cuts) else None
    keys, tables = [], []
    for unit in units:
        for own, table in _stretches(store, node, unit, low, high):
            keys.append(own)
            tables.append(table)
    if not tables:
        return
    table = pa.concat_tables(tables).unify_dictionaries()
    order = np.argsort(np.concatenate(keys), kind="stable")
    yield from rows_at(table, order).combine_chunks().to_batches()


def _stretches(
    store: Store, node: str, unit: str, low: bytes | None, high: bytes | None
) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """What a unit's runs hold from `low` up to `high`: keys and rows."""
    with open_table(store, f"{unit_folder(unit)}/{places_file(node)}") as reader:
        keys = _read_keys(reader)
        ends = [int(end) for end in reader.schema.metadata[RUNS_KEY].decode().split(",")]
        found = []
        for start, end in zip([0, *ends], ends, strict=False):
            own = keys[start:end]
            first = 0 if low is None else int(np.searchsorted(own, low))
            last = len(own) if high is None else int(np.searchsorted(own, high))
            if last > first:
                found.append((start + first, own[first:last].copy()))
    if not found:
        return
    with open_table(store, f"{unit_folder(unit)}/{Entry(node, 'in').file}") as reader:
        rows = reader.read_all()
        for start, own in found:
            yield own, rows.slice(start, len(own))
