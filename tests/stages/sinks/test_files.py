"""JSON Lines, Parquet and Arrow: the same rows out, equal bytes for equal rows, a manifest that is true."""

import gzip
import hashlib
import io
import json
import math

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.schema import SOURCE, TEXT
from stages.sinks._files import rebatch
from stages.sinks.arrow import WriteArrow
from stages.sinks.jsonl import WriteJsonl, json_lines
from stages.sinks.parquet import WriteParquet
from tests.shards.make import documents, run_sink, texts

ODD = [
    "plain",
    "",
    None,
    "日本語 🙂 naïve",
    'quote " and \\ and \u2028 and \x00',
    "line\nbreak",
    "x" * 100_000,
]


def batch_of(found):
    batch = documents(found)
    codes = pa.array([i % 2 for i in range(len(found))], pa.int32())
    source = pa.DictionaryArray.from_arrays(codes, pa.array(["web", "books", "unused"]))
    batch = batch.append_column(SOURCE, source)
    batch = batch.append_column("score", pa.array([float(i) for i in range(len(found))], pa.float32()))
    lists = pa.array([[i, i + 1] for i in range(len(found))], pa.large_list(pa.uint32()))
    return batch.append_column("input_ids", lists)


def read_jsonl(path):
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    return data


def read(path):
    if ".jsonl" in path.name:
        return [orjson.loads(line) for line in read_jsonl(path).splitlines()]
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return pa.ipc.open_stream(path.read_bytes()).read_all().to_pylist()


SINKS = [
    WriteJsonl(compression="none"),
    WriteJsonl(compression="gz"),
    WriteJsonl(),
    WriteParquet(),
    WriteParquet(compression="none", row_group_rows=3),
    WriteArrow(),
]
each_sink = pytest.mark.parametrize(
    "stage", SINKS, ids=lambda s: f"{type(s).__name__}-{getattr(s, 'compression', '')}"
)


def run(tmp_path, stage, partitions, name="out"):
    run_sink(stage, partitions, tmp_path / name, None)
    return tmp_path / name, json.loads((tmp_path / name / "manifest.json").read_text())


@each_sink
def test_rows_come_back_and_the_manifest_is_true(tmp_path, stage):
    batch = batch_of(ODD)
    folder, manifest = run(tmp_path, stage, [[batch.slice(0, 3)], [], [batch.slice(3)]])
    rows = [row for file in manifest["files"] for row in read(folder / file["file"])]
    kept = [{k: v for k, v in row.items() if k != "id_hash"} for row in rows]
    assert kept == [{k: v for k, v in row.items() if k != "id_hash"} for row in batch.to_pylist()]
    assert manifest["rows"] == len(ODD)
    assert [file["rows"] for file in manifest["files"]] == [3, 4]
    for file in manifest["files"]:
        data = (folder / file["file"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


@each_sink
def test_bytes_do_not_depend_on_batches(tmp_path, stage):
    found = [*ODD, *texts(200)]
    batch = batch_of(found)
    parts = [batch.slice(a, b - a) for a, b in [(0, 0), (0, 5), (5, 6), (6, 150), (150, len(found))]]
    # another batch may carry another dictionary for the same values
    source = pa.DictionaryArray.from_arrays(
        pa.array([1 - i % 2 for i in range(5)], pa.int32()), ["books", "web"]
    )
    parts[1] = parts[1].set_column(parts[1].schema.get_field_index("source"), SOURCE, source)
    one, _ = run(tmp_path, stage, [[batch]], "one")
    two, _ = run(tmp_path, stage, [parts], "two")
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {p.name: p.read_bytes() for p in two.iterdir()}


@each_sink
def test_chosen_columns_in_their_order(tmp_path, stage):
    stage = stage.model_copy(update={"columns": ["text", "id"]})
    folder, manifest = run(tmp_path, stage, [[batch_of(["a", "b"])]])
    assert [list(row) for row in read(folder / manifest["files"][0]["file"])] == [["text", "id"]] * 2
    assert list(manifest["columns"]) == ["text", "id"]
    with pytest.raises(ValueError, match="'txt' not among id, id_hash, text"):
        run(tmp_path, stage.model_copy(update={"columns": ["txt"]}), [[batch_of(["a"])]], "bad")
    assert "columns is empty" in type(stage)(columns=[]).problems()[0]


@each_sink
@pytest.mark.parametrize("partitions", [[], [[]], [[batch_of([])], []]], ids=["none", "one", "batches"])
def test_no_rows(tmp_path, stage, partitions):
    folder, manifest = run(tmp_path, stage, partitions)
    assert (manifest["rows"], manifest["files"]) == (0, [])
    assert (folder / "manifest.json").exists()


def test_utf8_is_not_escaped(tmp_path):  # T29
    folder, manifest = run(tmp_path, WriteJsonl(compression="none"), [[batch_of(["日本語 é 🙂"])]])
    assert "日本語 é 🙂".encode() in (folder / manifest["files"][0]["file"]).read_bytes()


def test_binary_is_base64_and_non_finite_is_null():
    batch = pa.record_batch(
        {
            "raw": [b"\xff\x00", None],
            "nested": pa.array([[b"\x01"], []], pa.list_(pa.binary())),
            "f": [math.nan, math.inf],
            "t": pa.array([0, None], pa.timestamp("us")),
            "d": pa.array([None, None], pa.decimal128(5, 2)),
        }
    )
    first, second = (json.loads(line) for line in json_lines(batch))
    assert first == {"raw": "/wA=", "nested": ["AQ=="], "f": None, "t": "1970-01-01T00:00:00", "d": None}
    assert second["raw"] is None


def test_gzip_header_holds_no_time_and_no_name(tmp_path):
    folder, manifest = run(tmp_path, WriteJsonl(compression="gz"), [[batch_of(["a"])]])
    header = (folder / manifest["files"][0]["file"]).read_bytes()[:10]
    assert header[3] == 0
    assert header[4:8] == bytes(4)


def test_gzip_level_for_nothing():
    assert "level is 3" in WriteJsonl(compression="none", level=3).problems()[0]


def test_arrow_opens_in_datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    folder, _ = run(
        tmp_path, WriteArrow(columns=["id", "text", "source"]), [[batch_of(ODD)], [batch_of(["more"])]]
    )
    assert datasets.load_from_disk(str(folder))["text"][:] == [*ODD, "more"]
    empty, _ = run(tmp_path, WriteArrow(), [], "empty")
    assert len(datasets.load_from_disk(str(empty))) == 0


@pytest.mark.parametrize(("rows", "size"), [(1, 10**9), (7, 10**9), (1000, 1), (1000, 500), (5, 2000)])
def test_rebatch_depends_on_rows_alone(rows, size):
    batch = batch_of(texts(60))
    one = list(rebatch(iter([batch]), rows, size))
    many = list(rebatch((batch.slice(i, 1) for i in range(60)), rows, size))
    assert [b.num_rows for b in one] == [b.num_rows for b in many]
    assert sum(b.num_rows for b in one) == 60
    assert max(b.num_rows for b in one) <= rows
    assert pa.Table.from_batches(one).equals(pa.Table.from_batches(many))
    assert pa.Table.from_batches(one)["text"].to_pylist() == batch["text"].to_pylist()


def test_parquet_row_groups(tmp_path):
    folder, manifest = run(tmp_path, WriteParquet(row_group_rows=4), [[batch_of(texts(10))]])
    file = pq.ParquetFile(folder / manifest["files"][0]["file"])
    assert [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)] == [4, 4, 2]
    assert file.schema_arrow.field("text").type == TEXT.type
