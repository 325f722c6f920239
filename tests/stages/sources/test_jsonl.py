"""JSON lines and arrays: every line is a row, or is named, or is blank."""

import bz2
import gzip
import json
import lzma

import orjson
import pytest
import zstandard

from stages.sources.jsonl import ReadJsonl
from tests.stages.sources.support import batches, keys, run


def read(folder, data, name="a.jsonl", **params):
    (folder / name).write_bytes(data)
    return run(ReadJsonl(paths=str(folder / name), **params))


def lines(*records):
    return b"".join(orjson.dumps(r) + b"\n" for r in records)


def test_maps_fields_and_keeps_the_rest(tmp_path):
    record = {
        "text": "Straße\n日本",
        "meta": {"url": "http://x", "n": 1},
        "when": "2024",
        "key": 7,
        "tags": ["a"],
    }
    rows, damages = read(tmp_path, lines(record), id="key", url="meta.url", date="when")
    assert damages == []
    row = rows[0]
    assert (row["text"], row["url"], row["date"]) == ("Straße\n日本", "http://x", "2024")
    assert row["origin"] == {"file": "a.jsonl", "key": "7", "offset": 0}
    assert json.loads(row["metadata"]) == {"meta": {"n": 1}, "tags": ["a"]}
    assert read(tmp_path, lines(record), keep_metadata=False)[0][0]["metadata"] is None


def test_dialogues_stay_whole_in_metadata(tmp_path):
    record = {"id": "d1", "messages": [{"role": "user", "content": "hi"}]}
    rows, damages = read(tmp_path, lines(record), text=None, id="id")
    assert damages == []
    assert (rows[0]["text"], rows[0]["origin"]["key"]) == (None, "d1")
    assert json.loads(rows[0]["metadata"]) == record


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.jsonl.gz", gzip.compress),
        ("a.jsonl.zst", zstandard.ZstdCompressor().compress),
        ("a.jsonl.bz2", bz2.compress),
        ("a.jsonl.xz", lzma.compress),
    ],
)
def test_reads_all_members_of_compressed_files(tmp_path, name, pack):
    first, second = lines({"text": "one"}), lines({"text": "two"}, {"text": "three"})
    rows, damages = read(tmp_path, pack(first + second[:5]) + pack(second[5:]), name)
    assert (damages, [r["text"] for r in rows]) == ([], ["one", "two", "three"])
    assert {r["origin"]["offset"] for r in rows} == {-1}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "broken', "bad_json"),
        (b'{"text": "lone \\ud800"}', "bad_json"),
        (b'{"text": "caf\xe9"}', "bad_json"),
        (b'{"text": NaN}', "bad_json"),
        (b'["text"]', "bad_json"),
        (b"null", "bad_json"),
        (b"[" * 100_000, "bad_json"),
        (b'{"text": 3}', "bad_text"),
        (b'{"text": ["a"]}', "bad_text"),
        (b'{"body": "a"}', "missing_text"),
        (b'{"text": "' + b"x" * 5000 + b'"}', "record_too_large"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_read(tmp_path, line, reason):
    good = lines({"text": "a"})
    rows, damages = read(
        tmp_path, good + line + b"\n" + good, max_record_bytes=4000 if b"xxx" in line else 1 << 20
    )
    assert keys(rows) == ["1", "3"]
    assert [(d.key, d.offset, d.reason) for d in damages] == [("2", len(good), reason)]
    assert "record 2" in damages[0].detail
    assert rows[1]["origin"]["offset"] == len(good) + len(line) + 1


def test_what_is_no_fault(tmp_path):
    data = b'\xef\xbb\xbf{"text": "bom"}\r\n\n   \n{"text": null}\n{"text": "nul \\u0000"}\n{"text": ""}'
    rows, damages = read(tmp_path, data)
    assert damages == []
    assert [r["text"] for r in rows] == ["bom", None, "nul \0", ""]
    assert keys(rows) == ["1", "4", "5", "6"]


def test_repeated_ids_are_numbered(tmp_path):
    rows, _ = read(tmp_path, lines(*({"text": "t", "id": i} for i in ("a", "a", None, "b", "a"))), id="id")
    assert keys(rows) == ["a", "a~2", "3", "b", "a~3"]


def test_empty_file(tmp_path):
    assert read(tmp_path, b"") == ([], [])
    assert read(tmp_path, b"", "a.jsonl.gz") == ([], [])


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_compression_that_breaks_ends_the_file_with_a_name(tmp_path, name):
    data = lines(*({"text": f"{i * 7919 % 1000} {i}"} for i in range(50_000)))
    packed = (
        gzip.compress(data)
        if name.endswith("gz")
        else zstandard.ZstdCompressor(write_checksum=True).compress(data)
    )
    rows, damages = read(tmp_path, packed[: len(packed) // 2], name)
    assert 0 < len(rows) < 50_000
    assert [d.reason for d in damages] == [f"truncated_{'gzip' if name.endswith('gz') else 'zstd'}"]
    bad = bytearray(packed)
    bad[len(bad) // 2 : len(bad) // 2 + 50] = bytes(50)
    rows, damages = read(tmp_path, bytes(bad), name)
    assert [d.reason.partition("_")[0] for d in damages if d.key == "@-1"] == ["corrupt"]


def test_lines_across_pieces_are_whole(tmp_path):
    records = [{"text": "é" * (i * 9973 % 400_000)} for i in range(12)]
    rows, damages = read(tmp_path, lines(*records))
    assert (damages, [r["text"] for r in rows]) == ([], [r["text"] for r in records])
    data = lines(*records)
    for row in rows:
        assert data[row["origin"]["offset"] :].startswith(b'{"text":"')


def test_a_giant_line_is_a_batch_alone(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "a"}, {"text": "b" * (40 << 20)}, {"text": "c"}))
    assert [b.num_rows for b in batches(ReadJsonl(paths=str(tmp_path / "a.jsonl")))] == [1, 1, 1]


def test_json_array(tmp_path):
    records = [{"instruction": "Say é", "output": "é"}, {"instruction": "b", "output": "c"}]
    data = json.dumps(records, indent=2).encode()
    rows, damages = read(tmp_path, b" \n" + data, "alpaca.json", text="output")
    assert (damages, [r["text"] for r in rows], keys(rows)) == ([], ["é", "c"], ["1", "2"])
    rows, damages = read(tmp_path, data[:-30], "alpaca.json", text="output")
    assert (keys(rows), [d.reason for d in damages]) == (["1"], ["bad_json"])
    bad = data.replace(b'"b"', b'"\xff"')
    rows, damages = read(tmp_path, bad, "alpaca.json", text="output")
    assert (keys(rows), [d.reason for d in damages]) == (["1"], ["bad_json"])
    rows, damages = read(tmp_path, data, "alpaca.json", max_array_bytes=20)
    assert (rows, [d.reason for d in damages]) == ([], ["record_too_large"])


def test_json_file_of_lines(tmp_path):
    rows, damages = read(tmp_path, lines({"text": "a"}, {"text": "b"}), "a.json")
    assert (damages, keys(rows)) == ([], ["1", "2"])


def test_reading_twice_is_equal_and_batch_size_is_no_matter(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(lines(*({"text": str(i), "n": i} for i in range(100))) + b"{\n")
    path = str(tmp_path / "a.jsonl")
    assert (
        run(ReadJsonl(paths=path)) == run(ReadJsonl(paths=path)) == run(ReadJsonl(paths=path, batch_rows=3))
    )
