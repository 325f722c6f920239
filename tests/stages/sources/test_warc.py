"""Archives whole and broken: every wanted record is a row or is named."""

import gzip
import io
import tracemalloc
import zlib

import brotli
import fsspec
import orjson
import pytest
import zstandard
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from stages.sources.warc import ReadWarc
from tests.stages.sources.support import batches, http, keys, members, page, read_bytes, record, run


def reasons(damages):
    return [(d.key, d.reason) for d in damages]


@pytest.mark.parametrize("name", ["a.warc.gz", "a.warc", "a.warc.zst", "a.warc.bz2", "a.warc.xz"])
def test_reads_records_in_every_compression(tmp_path, name):
    import bz2
    import lzma

    pack = {
        "gz": gzip.compress,
        "zst": zstandard.ZstdCompressor().compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "warc": bytes,
    }[name.rsplit(".", 1)[-1]]
    records = [page("one"), record("req", b"GET / HTTP/1.1\r\n\r\n", "request"), page("two", 70_000)]
    rows, damages = read_bytes(tmp_path, b"".join(pack(r) for r in records), name)
    assert damages == []
    assert keys(rows) == ["one", "two"]
    first = rows[0]
    assert first["content"].startswith(b"<html><p>one</p>")
    assert (first["media_type"], first["charset"], first["http_status"]) == ("text/html", "utf-8", 200)
    assert first["url"] == "http://example.org/one"
    assert first["date"] == "2024-05-01T10:00:00Z"
    assert first["text"] is None
    assert first["origin"]["file"] == name


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # warcio leaves its spool files open
def test_reads_what_warcio_writes(tmp_path):
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    head = StatusAndHeaders(
        "200 OK", [("Content-Type", "text/html"), ("Content-Language", "de")], protocol="HTTP/1.0"
    )
    writer.write_record(
        writer.create_warc_record(
            "http://a.de/", "response", payload=io.BytesIO(b"<p>Hallo"), http_headers=head
        )
    )
    writer.write_record(
        writer.create_warc_record(
            "http://a.de/", "conversion", payload=io.BytesIO("Grüße".encode()), warc_content_type="text/plain"
        )
    )
    rows, damages = read_bytes(tmp_path, out.getvalue())
    assert damages == []
    assert rows[0]["content"] == b"<p>Hallo"
    assert orjson.loads(rows[0]["metadata"])["http_headers"] == {"content-language": "de"}
    assert (rows[1]["text"], rows[1]["content"], rows[1]["http_status"]) == ("Grüße", None, None)


def test_offsets_lead_to_the_records(tmp_path):
    records = [page(f"p{i}", 50 * i) for i in range(20)]
    for name, data in {"a.warc.gz": members(*records), "a.warc": b"".join(records)}.items():
        rows, _ = read_bytes(tmp_path, data, name)
        for row in rows:
            rest = data[row["origin"]["offset"] :]
            plain = zlib.decompressobj(31).decompress(rest) if name.endswith("gz") else rest
            assert plain.startswith(b"WARC/1.0\r\n")
            assert f"<urn:uuid:{row['origin']['key']}>".encode() in plain[:200]
    assert len(rows) == 20


def test_repeated_and_missing_ids_get_unique_keys(tmp_path):
    nameless = page("x").replace(b"WARC-Record-ID: <urn:uuid:x>\r\n", b"")
    rows, _ = read_bytes(tmp_path, members(page("a"), page("a"), nameless, page("a")))
    offset = rows[2]["origin"]["offset"]
    assert keys(rows) == ["a", "a~2", f"@{offset}", "a~3"]


def test_unwanted_media_types_are_rows_without_content(tmp_path):
    image = record("img", http(b"\x89PNG", "Content-Type: image/png", "404 Not Found"))
    untyped = record("raw", http(b"<p>?", "Server: x"))
    data = members(image, untyped)
    rows, damages = read_bytes(tmp_path, data)
    assert damages == []
    assert [(r["media_type"], r["http_status"], r["content"]) for r in rows] == [
        ("image/png", 404, None),
        (None, 200, b"<p>?"),
    ]
    rows, _ = read_bytes(tmp_path, data, media_types=None)
    assert rows[0]["content"] == b"\x89PNG"


def test_record_types_choose_what_is_a_document(tmp_path):
    data = members(
        page("a"), record("b", b"text", "conversion"), record("c", b"<p>c", "resource", mime="text/html")
    )
    assert keys(read_bytes(tmp_path, data)[0]) == ["a", "b", "c"]
    assert keys(read_bytes(tmp_path, data, record_types=["conversion"])[0]) == ["b"]


def test_records_without_http_keep_their_own_type(tmp_path):
    dns = record("d", b"20240501\r\nexample.org 1.2.3.4", mime="text/dns").replace(b"http://", b"dns:")
    rows, damages = read_bytes(tmp_path, members(dns))
    assert damages == []
    assert (rows[0]["media_type"], rows[0]["http_status"], rows[0]["content"]) == ("text/dns", None, None)


# --- bodies -----------------------------------------------------------------------------------------


def chunked(body: bytes, size: int = 7) -> bytes:
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


RAW_DEFLATE = zlib.compressobj(wbits=-15)
BODY = b"<html>" + b"hello " * 50
DEFLATED = RAW_DEFLATE.compress(BODY) + RAW_DEFLATE.flush()


@pytest.mark.parametrize(
    ("headers", "stored"),
    [
        ("Transfer-Encoding: chunked", chunked(BODY)),
        ("Transfer-Encoding: chunked\r\nContent-Encoding: gzip", chunked(gzip.compress(BODY))),
        ("Transfer-Encoding: gzip, chunked", chunked(gzip.compress(BODY))),
        ("Content-Encoding: x-gzip", gzip.compress(BODY[:20]) + gzip.compress(BODY[20:])),
        ("Content-Encoding: deflate", zlib.compress(BODY)),
        ("Content-Encoding: deflate", DEFLATED),
        ("Content-Encoding: br", brotli.compress(BODY)),
        ("Content-Encoding: zstd", zstandard.ZstdCompressor().compress(BODY)),
        ("Content-Encoding: deflate, gzip", gzip.compress(zlib.compress(BODY))),
        # stored decoded, headers left as they were
        ("Transfer-Encoding: chunked", BODY),
        ("Content-Encoding: gzip", BODY),
        ("Content-Encoding: br", BODY),
        ("Content-Encoding: deflate", BODY),
        ("Content-Encoding: utf-8", BODY),
    ],
)
def test_decodes_bodies(tmp_path, headers, stored):
    rows, damages = read_bytes(
        tmp_path, members(record("a", http(stored, f"Content-Type: text/html\r\n{headers}")))
    )
    assert damages == []
    assert rows[0]["content"] == BODY


@pytest.mark.parametrize(
    ("headers", "stored"),
    [
        ("Transfer-Encoding: chunked", chunked(BODY)[:-40]),
        ("Transfer-Encoding: chunked", chunked(BODY, 100)[:150] + b"zzzz" + chunked(BODY, 100)[150:]),
        ("Content-Encoding: gzip", gzip.compress(BODY)[:-12]),
        ("Content-Encoding: gzip", gzip.compress(BODY)[:15] + b"\xff\xff\xff\xff" + gzip.compress(BODY)[19:]),
        ("Content-Encoding: br", brotli.compress(BODY)[:-6]),
        ("Content-Encoding: compress", b"\x1f\x9d"),
    ],
)
def test_broken_bodies_are_named(tmp_path, headers, stored):
    bad = record("bad", http(stored, f"Content-Type: text/html\r\n{headers}"))
    rows, damages = read_bytes(tmp_path, members(page("a"), bad, page("b")))
    assert keys(rows) == ["a", "b"]
    assert reasons(damages) == [("bad", "bad_http_encoding")]


def test_a_body_that_the_crawler_cut_is_kept(tmp_path):
    data = record(
        "a",
        http(gzip.compress(BODY)[:-8], "Content-Type: text/html\r\nContent-Encoding: gzip"),
        extra="WARC-Truncated: length",
    )
    rows, damages = read_bytes(tmp_path, members(data))
    assert damages == []
    assert rows[0]["content"] == BODY
    assert orjson.loads(rows[0]["metadata"])["warc_truncated"] == "length"


def test_bad_http_is_named(tmp_path):
    rows, damages = read_bytes(
        tmp_path, members(record("a", b"<html>no head</html>"), record("b", b""), page("c"))
    )
    assert keys(rows) == ["c"]
    assert reasons(damages) == [("a", "bad_http"), ("b", "bad_http")]


def test_conversion_that_is_not_utf8_is_named(tmp_path):
    rows, damages = read_bytes(
        tmp_path, members(record("a", b"caf\xe9", "conversion"), record("b", b"ok", "conversion"))
    )
    assert [r["text"] for r in rows] == ["ok"]
    assert reasons(damages) == [("a", "bad_utf8")]


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_an_empty_file_has_no_rows(tmp_path, name):
    assert read_bytes(tmp_path, b"", name) == ([], [])


def test_a_file_of_one_record(tmp_path):
    rows, damages = read_bytes(tmp_path, page("only"), "a.warc")
    assert (keys(rows), damages) == (["only"], [])


@pytest.mark.parametrize("data", [b"hello world\n" * 1000, gzip.compress(b"\0\1" * 5000), b"\n\nx", b"WARC"])
def test_not_a_warc(tmp_path, data):
    rows, damages = read_bytes(tmp_path, data)
    assert (rows, [d.reason for d in damages]) == ([], ["not_a_warc"])


@pytest.mark.parametrize("cut", [1, 4, 9, 100, 200])
def test_truncated_gzip_tail(tmp_path, cut):
    data = members(page("a"), page("b"), page("c"))
    rows, damages = read_bytes(tmp_path, data[:-cut])
    assert keys(rows) == ["a", "b"]
    assert [d.reason for d in damages] == ["truncated_gzip"]
    assert damages[0].offset == len(members(page("a"), page("b")))


def test_truncated_plain_file(tmp_path):
    for cut in (20, 300, 500):
        rows, damages = read_bytes(tmp_path, (page("a") + page("b"))[:-cut], "a.warc")
        assert keys(rows) == ["a"]
        assert [d.reason for d in damages] == ["truncated_record"]


def test_truncated_zstd(tmp_path):
    pack = zstandard.ZstdCompressor().compress
    rows, damages = read_bytes(tmp_path, (pack(page("a")) + pack(page("b")))[:-20], "a.warc.zst")
    assert keys(rows) == ["a"]
    assert [d.reason for d in damages] == ["truncated_zstd"]


def test_every_corrupt_byte_of_a_member_costs_that_member_only(tmp_path):
    parts = [members(page("a")), members(page("b", 20)), members(page("c")), members(page("d"))]
    start = len(parts[0])
    for at in range(0, len(parts[1]), 5):
        data = bytearray(b"".join(parts))
        data[start + at] ^= 0xFF
        rows, damages = read_bytes(tmp_path, bytes(data))
        # gzip's own header has bytes (time, system) that change nothing
        assert (keys(rows), len(damages)) in ((["a", "c", "d"], 1), (["a", "b", "c", "d"], 0)), at
        if damages:
            assert damages[0].reason == "corrupt_gzip"
            assert damages[0].offset == start


def test_garbage_between_members(tmp_path):
    data = members(page("a")) + b"garbage \x1f\x8b\x08 more" * 9 + members(page("b"))
    rows, damages = read_bytes(tmp_path, data)
    assert keys(rows) == ["a", "b"]
    assert [d.reason for d in damages] == ["corrupt_gzip"]


def test_zero_padding_is_no_fault(tmp_path):
    rows, damages = read_bytes(tmp_path, members(page("a")) + bytes(100_000))
    assert (keys(rows), damages) == (["a"], [])


def test_a_member_that_is_no_record(tmp_path):
    rows, damages = read_bytes(tmp_path, members(page("a"), b"something else", page("b")))
    assert keys(rows) == ["a", "b"]
    assert [d.reason for d in damages] == ["bad_record_head"]


def test_one_gzip_member_for_the_whole_archive(tmp_path):
    rows, damages = read_bytes(tmp_path, gzip.compress(page("a") + page("b", 200_000) + page("c")))
    assert (keys(rows), damages) == (["a", "b", "c"], [])


LENGTHS = [3, 100, 100_000, 10**15, -5, "", "abc", "12abc", "9" * 30]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kind", ["plain", "members", "one member"])
def test_bad_content_length(tmp_path, length, kind):
    bad = record("bad", http(b"<p>" + b"y" * 500), length=length)
    records = [page("a"), bad, page("b"), page("c")]
    data = members(*records) if kind == "members" else b"".join(records)
    data = gzip.compress(data) if kind == "one member" else data
    rows, damages = read_bytes(tmp_path, data)
    assert keys(rows) == ["a", "b", "c"]
    assert reasons(damages) == [("bad", "bad_content_length")]


def test_bad_content_length_in_the_last_record(tmp_path):
    bad = record("bad", http(b"<p>" + b"y" * 500), length=5000)
    rows, damages = read_bytes(tmp_path, members(page("a"), bad))
    assert (keys(rows), reasons(damages)) == (["a"], [("bad", "bad_content_length")])


@pytest.mark.parametrize("kind", ["plain", "members", "one member"])
def test_a_record_over_the_limit_is_named_and_passed(tmp_path, kind):
    records = [page("a"), page("big", 3_000_000), record("r", b"z" * 2_000_000, "request"), page("b")]
    data = members(*records) if kind == "members" else b"".join(records)
    data = gzip.compress(data) if kind == "one member" else data
    rows, damages = read_bytes(tmp_path, data, max_record_bytes=1_000_000)
    assert keys(rows) == ["a", "b"]
    assert reasons(damages) == [("big", "record_too_large")]


def test_bombs_are_cut_off_in_bounded_memory(tmp_path):
    bomb = gzip.compress(bytes(200_000_000))
    assert len(bomb) * 900 < 200_000_000
    inner = record("http", http(bomb, "Content-Type: text/html\r\nContent-Encoding: gzip"))
    outer = record("warc", http(bytes(100_000_000)))
    data = members(page("a"), inner, outer, page("b"))
    del outer
    (tmp_path / "a.warc.gz").write_bytes(data)
    stage = ReadWarc(paths=str(tmp_path / "a.warc.gz"), max_record_bytes=4 << 20)
    tracemalloc.start()
    rows, damages = run(stage)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert keys(rows) == ["a", "b"]
    assert reasons(damages) == [("http", "record_too_large"), ("warc", "record_too_large")]
    assert peak < 40 << 20


def test_a_large_page_is_a_batch_alone(tmp_path):
    big = record("big", http(b"<p>" + b"x" * 50_000_000))
    (tmp_path / "a.warc").write_bytes(page("a") + page("b") + big + page("c"))
    sizes = [(b.num_rows, b.nbytes) for b in batches(ReadWarc(paths=str(tmp_path / "a.warc")))]
    assert [rows for rows, _ in sizes] == [2, 1, 1]
    assert sizes[1][1] > 50_000_000


def test_batches_are_bounded_and_do_not_change_the_rows(tmp_path):
    (tmp_path / "a.warc").write_bytes(b"".join(page(f"p{i}") for i in range(50)))
    small = ReadWarc(paths=str(tmp_path / "a.warc"), batch_rows=7)
    large = ReadWarc(paths=str(tmp_path / "a.warc"))
    assert [b.num_rows for b in batches(small)] == [7] * 7 + [1]
    assert run(small) == run(large)
    assert run(large) == run(large)


def test_broken_input_never_raises_or_loops(tmp_path):
    """Every prefix, and every doubling of a stretch, of a small archive ends in rows and damages."""
    whole = members(page("a", 10), record("b", b"x", "conversion"))
    plain = page("a", 10) + record("b", b"x", "conversion")
    for data in (whole, plain):
        for at in range(0, len(data), 3):
            for broken in (data[:at], data[:at] + data[at // 2 :], data[at:]):
                rows, damages = read_bytes(tmp_path, broken)
                assert len(keys(rows)) == len(set(keys(rows)))
                assert rows or damages or not broken.strip(b"\r\n")


ARC = (
    b"filedesc://x.arc 0.0.0.0 20080430204825 text/plain 77\n1 0 Test\n"
    b"URL IP-address Archive-date Content-type Archive-length\n" + b"." * 11 + b"\n\n"
)


def arc(url: str, content: bytes, length: object = None) -> bytes:
    declared = len(content) if length is None else length
    return f"{url} 1.2.3.4 20080430204825 text/html {declared}\n".encode() + content + b"\n"


@pytest.mark.parametrize("pack", [b"".join, lambda parts: members(*parts)])
def test_arc(tmp_path, pack):
    parts = [
        ARC,
        arc("http://a.org/x y", http(b"<p>a")),
        arc("http://b.org/", http(b"<p>b"), 3),
        arc("http://c.org/", http(b"<p>c")),
    ]
    rows, damages = read_bytes(tmp_path, pack(parts), "x.arc")
    assert [(r["url"], r["content"], r["date"]) for r in rows] == [
        ("http://a.org/x y", b"<p>a", "2008-04-30T20:48:25Z"),
        ("http://c.org/", b"<p>c", "2008-04-30T20:48:25Z"),
    ]
    assert [d.reason for d in damages] == ["bad_content_length"]
    assert len(set(keys(rows))) == 2


def test_reads_from_memory_filesystem():
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/crawl-test/seg1/a.warc.gz", members(page("a")))
    fs.pipe_file("/crawl-test/seg2/b.warc.gz", members(page("b"))[:-4])
    stage = ReadWarc(paths="memory://crawl-test/*/*.warc.gz")
    try:
        rows, damages = run(stage)
        assert list(stage.problems()) == []
        assert [r["origin"]["file"] for r in rows] == ["seg1/a.warc.gz"]
        assert [(d.file, d.reason) for d in damages] == [("seg2/b.warc.gz", "truncated_gzip")]
        assert stage.files(stage.split()[0]) == [stage.split()[0]]
    finally:
        fs.rm("/crawl-test", recursive=True)
