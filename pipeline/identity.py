"""Document ids: given once, at the source or at a split, and never changed.

An id is `<source>/<file>#<key>`: the source node's name, the file relative to the source, the record's own key.
It depends on nothing else, so it is the same on any machine, with any number of partitions or workers. A key
that repeats within a partition gets `~2`, `~3`, ... in the order of the file.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.schema import IDENTITY, id_hashes


class Identity:
    """Gives ids to the batches of one partition of one source, in order."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._seen: dict[bytes, int] = {}

    def complete(self, batch: pa.RecordBatch, written: pa.Schema) -> pa.RecordBatch:
        """The batch with id, id_hash and source before the columns that the source wrote."""
        origin = batch.column("origin")
        ids = pc.binary_join_element_wise(
            pa.scalar(f"{self._source}/"), origin.field("file"), pa.scalar("#"), origin.field("key"), ""
        )
        hashes = id_hashes(ids.to_pylist())
        ids, hashes = self._distinct(ids, hashes)
        codes = pa.array(np.zeros(len(ids), np.int32))
        source = pa.DictionaryArray.from_arrays(codes, pa.array([self._source], pa.string()))
        arrays = [ids, hashes, source, *(batch.column(f.name) for f in written)]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([*IDENTITY, *written]))

    def _distinct(self, ids: pa.Array, hashes: pa.Array) -> tuple[pa.Array, pa.Array]:
        digests = hashes.to_pylist()
        new = set(digests)
        if len(new) == len(digests) and self._seen.keys().isdisjoint(new):
            self._seen.update(dict.fromkeys(digests, 1))
            return ids, hashes
        names = ids.to_pylist()
        for i, digest in enumerate(digests):
            count = self._seen[digest] = self._seen.get(digest, 0) + 1
            if count > 1:
                names[i] = f"{names[i]}~{count}"
        return pa.array(names, pa.string()), id_hashes(names)

    @staticmethod
    def children(batch: pa.RecordBatch, parents: pa.Array) -> tuple[pa.RecordBatch, pa.Array, pa.Array]:
        """Rows for the children of a batch: their parent's columns, with ids of their own.

        An only child keeps its parent's id; several get `#1`, `#2`, ...

        Returns:
            the rows; ids of the new documents; ids of their parents.
        """
        rows = batch.take(parents)
        index = parents.to_numpy(zero_copy_only=False)
        counts = np.bincount(index, minlength=batch.num_rows)
        several = counts[index] > 1
        if not several.any():
            nothing = pa.array([], pa.string())
            return rows, nothing, nothing
        starts = np.cumsum(counts) - counts
        number = np.arange(len(index)) - starts[index] + 1
        old = rows.column("id").to_pylist()
        pairs = zip(old, number.tolist(), several.tolist(), strict=True)
        ids = pa.array([f"{name}#{k}" if more else name for name, k, more in pairs], pa.string())
        mask = pa.array(several)
        columns = {"id": ids, "id_hash": id_hashes(ids.to_pylist())}
        arrays = [columns.get(f.name, rows.column(f.name)) for f in rows.schema]
        made = pa.RecordBatch.from_arrays(arrays, schema=rows.schema)
        return made, ids.filter(mask), rows.column("id").filter(mask)
