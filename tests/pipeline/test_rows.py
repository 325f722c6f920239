"""Rows reshaped: what the quick ways do is what Arrow does."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.rows import ascending_rows, owned, rows_at

LISTS = [[1, 2], [], [5], [7, 8, 9]]
TABLE = pa.table(
    {
        "key": pa.array([3, 1, 3, 2], pa.uint64()),
        "score": [0.5, -1.0, 0.5, float("inf")],
        "known": [1, None, 3, 4],
        "name": ["b", None, "a", "c"],
        "digest": pa.array([bytes([n]) * 16 for n in range(4)], pa.binary(16)),
        "set": pa.array(LISTS, pa.large_list(pa.uint64())),
        "small": pa.array(LISTS, pa.large_list(pa.uint16())),
        "gaps": pa.array([[1], None, [None, 2], []], pa.large_list(pa.uint64())),
    }
)
PIECES = pa.concat_tables([TABLE, TABLE.slice(2), TABLE]).slice(1)


@pytest.mark.parametrize("table", [TABLE, TABLE.slice(1, 2), PIECES, TABLE.slice(0, 0)])
@pytest.mark.parametrize("order", ["backwards", "twice", "none"])
def test_rows_at_places_are_those_that_arrow_takes(table, order):
    every = np.arange(table.num_rows)
    places = {"backwards": every[::-1].copy(), "twice": np.repeat(every, 2), "none": every[:0]}[order]
    taken = rows_at(table, places)
    assert taken.equals(table.take(pa.array(places)))
    taken.validate(full=True)


@pytest.mark.parametrize("names", [["key", "score"], ["key", "name"], ["known"], ["name", "key"]])
def test_rows_ascend_as_arrow_sorts_them(names):
    table = PIECES.select(names)
    places = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in names])
    assert ascending_rows(table).tolist() == places.to_pylist()


def test_owned_rows_do_not_lie_in_the_file_they_were_read_from(tmp_path):
    path = str(tmp_path / "t.arrow")
    with pa.ipc.new_file(path, TABLE.schema) as writer:
        writer.write_table(TABLE)
    with pa.memory_map(path) as source:
        mapped = pa.ipc.open_file(source).read_all()
        begin = mapped["key"].chunk(0).buffers()[1].address - 4096
        mine = owned(mapped.slice(1, 2))
        assert mine.equals(mapped.slice(1, 2))
        for column in mine.columns:
            for buffer in column.chunk(0).buffers():
                assert buffer is None or not begin <= buffer.address < begin + source.size() + 4096
