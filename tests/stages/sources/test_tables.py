"""Parquet and Arrow: columns to documents, broken files named."""

import datetime
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError
from stages.sources.arrow import ReadArrow
from stages.sources.parquet import ReadParquet
from tests.stages.sources.support import batches, keys, run

TABLE = pa.table(
    {
        "text": ["one", None, "trois é", "four"],
        "id": ["a", "b", "a", None],
        "meta": [{"url": f"http://{i}", "n": i} for i in range(4)],
        "day": [datetime.date(2024, 1, 1)] * 4,
        "blob": [b"\xff", b"x", None, b""],
    }
)


def write_parquet(path, table, **options):
    pq.write_table(table, path, **options)


def write_file(path, table):
    with pa.ipc.new_file(str(path), table.schema) as out:
        out.write_table(table, 2)


def write_stream(path, table):
    with pa.ipc.new_stream(str(path), table.schema) as out:
        out.write_table(table, 2)


KINDS = [
    (ReadParquet, "a.parquet", write_parquet),
    (ReadArrow, "a.arrow", write_file),
    (ReadArrow, "s.arrow", write_stream),
]


@pytest.mark.parametrize(("stage", "name", "write"), KINDS)
def test_maps_columns(tmp_path, stage, name, write):
    write(tmp_path / name, TABLE)
    rows, damages = run(stage(paths=str(tmp_path / name), id="id", url="meta.url", date="day"))
    assert damages == []
    assert [r["text"] for r in rows] == ["one", None, "trois é", "four"]
    assert keys(rows) == ["a", "b", "a~2", "3"]
    assert [r["url"] for r in rows] == [f"http://{i}" for i in range(4)]
    assert rows[0]["date"] == "2024-01-01"
    assert json.loads(rows[0]["metadata"]) == {"meta": {"n": 0}, "blob": "\ufffd"}
    assert rows[0]["origin"] == {"file": name, "key": "a", "offset": -1}


@pytest.mark.parametrize(("stage", "name", "write"), KINDS)
def test_numbers_rows_over_batches(tmp_path, stage, name, write):
    table = pa.table({"text": [str(i) for i in range(1000)]})
    write(tmp_path / name, table)
    small = stage(paths=str(tmp_path / name), batch_rows=7)
    rows, _ = run(small)
    assert keys(rows) == [r["text"] for r in rows] == [str(i) for i in range(1000)]
    assert all(b.num_rows <= 7 for b in batches(small))
    assert rows == run(stage(paths=str(tmp_path / name)))[0]
    assert rows[0]["metadata"] is None


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_text_of_every_string_type(tmp_path, kind):
    values = pa.array(["a", "é", None])
    column = values.dictionary_encode() if pa.types.is_dictionary(kind) else values.cast(kind)
    write_parquet(tmp_path / "a.parquet", pa.table({"text": column}))
    rows, damages = run(ReadParquet(paths=str(tmp_path / "a.parquet")))
    assert (damages, [r["text"] for r in rows]) == ([], ["a", "é", None])


@pytest.mark.parametrize("column", ["text", "other"])
def test_strings_that_are_not_utf8_are_named(tmp_path, column):
    bad = pa.array([b"a", b"caf\xe9", b"c"]).view(pa.string())
    good = pa.array(["a", "b", "c"])
    table = pa.table({"text": bad if column == "text" else good, "other": bad if column == "other" else good})
    write_parquet(tmp_path / "a.parquet", table)
    rows, damages = run(ReadParquet(paths=str(tmp_path / "a.parquet")))
    assert keys(rows) == ["0", "2"]
    assert [(d.key, d.reason) for d in damages] == [("1", "bad_utf8")]


@pytest.mark.parametrize("data", [b"", b"PAR1", b"not parquet at all", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_corrupt_files_are_named(tmp_path, data):
    (tmp_path / "a.parquet").write_bytes(data)
    rows, damages = run(ReadParquet(paths=str(tmp_path / "a.parquet")))
    assert (rows, [d.reason for d in damages]) == ([], ["corrupt_parquet"])
    (tmp_path / "a.arrow").write_bytes(data)
    rows, damages = run(ReadArrow(paths=str(tmp_path / "a.arrow")))
    assert (rows, [d.reason for d in damages]) == ([], ["corrupt_arrow"])


def test_a_corrupt_row_group_leaves_the_others(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"{i * 7919 % 997} document {i}" for i in range(3000)]})
    write_parquet(path, table, row_group_size=1000, use_dictionary=False, compression="zstd")
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    start, size = column.data_page_offset, column.total_compressed_size
    data[start + 30 : start + size] = bytes(size - 30)
    path.write_bytes(data)
    rows, damages = run(ReadParquet(paths=str(path)))
    assert keys(rows) == [str(i) for i in (*range(1000), *range(2000, 3000))]
    assert [(d.key, d.reason) for d in damages] == [("@1000", "corrupt_parquet")]
    assert "rows 1000 to 1999" in damages[0].detail


def test_large_files_are_cut_into_row_group_ranges(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"{i} " * 20 for i in range(5000)]})
    write_parquet(path, table, row_group_size=500)
    whole = ReadParquet(paths=str(path))
    cut = ReadParquet(paths=str(path), split_bytes=path.stat().st_size // 4)
    assert len(whole.split()) == 1
    assert len(cut.split()) >= 4
    assert list(cut.split()) == sorted(cut.split())
    assert {u for s in cut.split() for u in cut.files(s)} == {str(path)}
    assert run(cut) == run(whole)


def test_no_batch_is_over_32_mb(tmp_path):
    texts = ["x" * 3_000_000] * 30 + ["y"] * 1000 + ["z" * 50_000_000]
    write_parquet(tmp_path / "a.parquet", pa.table({"text": texts}))
    found = batches(ReadParquet(paths=str(tmp_path / "a.parquet")))
    assert sum(b.num_rows for b in found) == 1031
    assert all(b.nbytes <= 32 << 20 or b.num_rows == 1 for b in found)


def test_wrong_columns_are_a_config_problem(tmp_path):
    path = str(tmp_path / "a.parquet")
    write_parquet(path, TABLE)
    assert "no column 'body'; it has text, id" in ReadParquet(paths=path, text="body").problems()[0]
    assert "'meta' is struct" in ReadParquet(paths=path, text="meta").problems()[0]
    assert list(ReadParquet(paths=path, text="id", url="meta.url").problems()) == []
    with pytest.raises(DataError, match="no column 'body'"):
        run(ReadParquet(paths=path, text="body"))


def test_no_text_column_and_an_empty_table(tmp_path):
    write_parquet(tmp_path / "a.parquet", TABLE.slice(0, 0))
    assert run(ReadParquet(paths=str(tmp_path / "a.parquet"))) == ([], [])
    write_parquet(tmp_path / "a.parquet", TABLE.select(["text", "id"]))
    rows, _ = run(ReadParquet(paths=str(tmp_path / "a.parquet"), text=None, id="id"))
    assert rows[0]["text"] is None
    assert json.loads(rows[0]["metadata"]) == {"text": "one", "id": "a"}
