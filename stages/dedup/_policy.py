"""Which of several like documents survives, and how a verdict about the others becomes a rejection."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.stage import Marks


def source_ranks(source: pa.Array, preferred: Sequence[str]) -> pa.Array:
    """Place of each row's source in the list, as int32; a source that is not in it comes after all that are.

    >>> source_ranks(pa.array(["web", "books"]).dictionary_encode(), ["books"]).to_pylist()
    [1, 0]
    """
    names = source.dictionary_decode() if pa.types.is_dictionary(source.type) else source
    places = pc.index_in(names, value_set=pa.array(list(preferred), names.type))
    return pc.fill_null(places, len(preferred)).cast(pa.int32())


def repeated_sources(preferred: Sequence[str]) -> list[str]:
    """What is wrong with a list of preferred sources: a name that is there twice."""
    twice = sorted({name for name in preferred if list(preferred).count(name) > 1})
    return [f"source_priority names {name!r} twice; leave one" for name in twice]


def reject_rows(rows: int, verdicts: pa.Table, reason: str, evidence: pa.StructType) -> Marks:
    """Reject each row that has a verdict, with the verdict's columns as evidence.

    Args:
        rows: in the batch.
        verdicts: `row` and the fields of `evidence`; any columns when it has no rows.
        reason: of every rejection.
        evidence: the fields to hand on.
    """
    if not verdicts.num_rows:
        return Marks(reject=pa.nulls(rows, pa.string()), evidence=pa.nulls(rows, evidence))
    place = np.full(rows, -1, np.int64)
    place[verdicts["row"].to_numpy()] = np.arange(verdicts.num_rows)
    missing = place < 0
    indices = pa.array(place, pa.int64(), mask=missing)
    fields = [evidence.field(i) for i in range(evidence.num_fields)]
    values = [_plain(verdicts[f.name]).cast(f.type).take(indices) for f in fields]
    return Marks(
        reject=pc.if_else(pa.array(missing), pa.scalar(None, pa.string()), reason),
        evidence=pa.StructArray.from_arrays(values, fields=fields, mask=pa.array(missing)),
    )


def group_starts(keys: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Where each run of equal keys begins, and the number of keys at the end.

    >>> group_starts(pa.array([3, 3, 5], pa.uint64())).tolist()
    [0, 2, 3]
    """
    keys = _plain(keys)
    if not len(keys):
        return np.zeros(1, np.int64)
    changes = np.asarray(pc.not_equal(keys[1:], keys[:-1]))
    return np.concatenate([[0], np.flatnonzero(changes) + 1, [len(keys)]]).astype(np.int64)


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
