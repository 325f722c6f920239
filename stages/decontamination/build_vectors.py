"""Keep the embeddings of benchmark items, so that documents can be compared with them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import BENCHMARK, ITEM
from pipeline.stage import ANY_TYPE, ShardInfo, Sink
from stages.kernels.vectors import unit_vectors

FORMAT = 1
META, VECTORS, ITEMS = "meta.json", "vectors.npy", "items.arrow"
NAMES = pa.schema([BENCHMARK, ITEM])


class ItemVectors(NamedTuple):
    """Items with an embedding."""

    unit: np.ndarray  # float32 (items, dim), rows of length 1, mapped
    benchmarks: list[str | None]
    items: list[str | None]


def read_vectors(folder: Path) -> ItemVectors:
    """Map the vectors of a build_item_vectors node.

    Raises:
        ValueError: the folder holds none, or those of another format.
    """
    if not (folder / META).is_file():
        raise ValueError(f"vectors: {folder} holds none; give a build_item_vectors node as side input")
    meta = json.loads((folder / META).read_text("utf-8"))
    if meta.get("format") != FORMAT:
        raise ValueError(
            f"vectors: {folder} has format {meta.get('format')}, but this version reads {FORMAT}; rebuild it"
        )
    with pa.ipc.open_file(str(folder / ITEMS)) as reader:
        items = reader.read_all()
    unit = np.load(folder / VECTORS, mmap_mode="r")
    return ItemVectors(np.asarray(unit), items["benchmark"].to_pylist(), items["item"].to_pylist())


class BuildItemVectors(Sink[None]):
    """Keep the embeddings of benchmark items; a side input of `find_similar_items`.

    Its input is `embed_text` over `read_benchmark`. An item without an embedding (no text, or none that the model
    knows) cannot be found; meta.json counts them.
    """

    column: str = Field("embedding", min_length=1, description="list column of embeddings")

    def reads(self) -> pa.Schema:
        """Names of the items, and the embeddings."""
        return pa.schema([BENCHMARK, ITEM, pa.field(self.column, ANY_TYPE)])

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """The vectors and names of one partition."""
        vectors: list[np.ndarray] = []
        names: list[pa.Table] = []
        rows = 0
        for batch in batches:
            unit, at = unit_vectors(batch[self.column], self.column)
            rows += batch.num_rows
            if len(at):
                _same_dim([*vectors[-1:], unit], self.column)
                vectors.append(unit)
                names.append(pa.table([batch[n].take(pa.array(at)) for n in NAMES.names], schema=NAMES))
        meta = {"items": rows, "with_vector": sum(map(len, vectors))}
        if not vectors:
            return ShardInfo((), rows, meta)
        np.save(out / VECTORS, np.concatenate(vectors))
        _write_names(out / ITEMS, names)
        return ShardInfo((ITEMS, VECTORS), rows, meta)

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """One matrix of all partitions.

        Raises:
            ValueError: no item has an embedding, or embeddings differ in length.
        """
        parts = [{Path(f).name.split("-")[-1]: out / f for f in s.files} for s in shards if s.files]
        total = sum(int(s.rows) for s in shards)
        if not parts:
            raise ValueError(
                f"build_item_vectors: none of {total} items has an embedding in column {self.column!r}; "
                "read embed_text over read_benchmark"
            )
        vectors = [np.load(part[VECTORS]) for part in parts]
        _same_dim(vectors, self.column)
        np.save(out / VECTORS, np.concatenate(vectors))
        _write_names(out / ITEMS, [_read_names(part[ITEMS]) for part in parts])
        meta: Mapping[str, Any] = {
            "format": FORMAT,
            "dim": int(vectors[0].shape[1]),
            "items": total,
            "without_vector": total - sum(map(len, vectors)),
        }
        (out / META).write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n", "utf-8")


def _same_dim(vectors: Sequence[np.ndarray], column: str) -> None:
    dims = sorted({v.shape[1] for v in vectors})
    if len(dims) > 1:
        raise ValueError(
            f"build_item_vectors: column {column!r} has embeddings of {dims} values; write a column that one "
            "model made"
        )


def _write_names(path: Path, tables: Sequence[pa.Table]) -> None:
    whole = pa.concat_tables(tables).combine_chunks()  # bytes know no batches
    with pa.ipc.new_file(str(path), NAMES) as writer:
        writer.write_table(whole)


def _read_names(path: Path) -> pa.Table:
    with pa.ipc.open_file(str(path)) as reader:
        return reader.read_all()
