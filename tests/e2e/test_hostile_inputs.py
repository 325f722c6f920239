"""Archives that are broken or hostile, through the engine: each ends counted and named, and the rest is read."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from pipeline.api import open_run, parse, run
from pipeline.cluster import ClusterConfig
from pipeline.executors.local import LocalExecutor
from pipeline.io.arrow import read_table
from tests.e2e.conftest import Finished, read_jsonl

CONFIG = """
version: 1
run: {{output: {out}}}
nodes:
  crawl: {{stage: read_warc, params: {{paths: {folder}/*, max_record_bytes: 60000000}}}}
  pages: {{stage: extract_html, inputs: [crawl], params: {{engine: resiliparse}}}}
  signals: {{stage: text_signals, inputs: [pages]}}
  enough: {{stage: filter_length, inputs: [signals], params: {{min_words: {words}}}}}
  exact: {{stage: exact_dedup, inputs: [enough]}}
  out: {{stage: write_jsonl, inputs: [exact], params: {{columns: [id, url, text]}}}}
"""
PAGE = b"<html><body><article><p>%s is a page about the tide and the weather of the bay.</p></article></body></html>"


def records(*bodies, gzipped=True):
    """A WARC of responses; one gzip member a record."""
    whole = []
    for n, body in enumerate(bodies):
        http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{n:08d}-{len(body)}>\r\n"
            f"WARC-Target-URI: http://a.example/{n}/{len(body)}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
            f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
        )
        record = head.encode() + http + b"\r\n\r\n"
        whole.append(gzip.compress(record, mtime=0) if gzipped else record)
    return b"".join(whole)


def members(data):
    """Where each gzip member of an archive begins."""
    return [i for i in range(len(data)) if data[i : i + 3] == b"\x1f\x8b\x08"]


def bad_length(data):
    plain = gzip.decompress(data)
    at = plain.index(b"Content-Length: ")
    end = plain.index(b"\r\n", at)
    return plain[:at] + b"Content-Length: 999999999" + plain[end:]


def bomb():
    """A gzip record of 80 MB of zeros in 80 KB."""
    page = b"<html><body>" + b"\0" * 80_000_000
    return records(page)


def hostile():
    three = records(PAGE % b"one", PAGE % b"two", PAGE % b"three")
    middle = members(three)[1]
    return {
        "good.warc.gz": records(*(PAGE % str(i).encode() for i in range(20))),
        "one.warc.gz": records(PAGE % b"a lone record"),
        "empty.warc.gz": b"",
        "truncated.warc.gz": three[:-40],
        "corrupt.warc.gz": three[: middle + 30]
        + bytes(x ^ 0x5A for x in three[middle + 30 : middle + 60])
        + three[middle + 60 :],
        "length.warc": bad_length(three),
        "not.warc.gz": gzip.compress(b"this is no archive at all\n" * 50),
        "bomb.warc.gz": bomb(),
        "big.warc.gz": records(
            b"<html><body><p>" + b"a word or two " * 3_700_000 + b"</p></body></html>", PAGE % b"after"
        ),
        "invalid.warc.gz": records(
            b"<html><body><p>\xff\xfe\x80 \xc3\x28 this is not UTF-8 \xed\xa0\x80</p></body></html>"
        ),
        "nested.warc.gz": records(b"<div>" * 1_000_000 + b"deep", PAGE % b"beside"),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile")
    for name, data in hostile().items():
        (path / name).write_bytes(data)
    return path


def go(tmp_path, folder, words=1, **kwargs):
    config = parse(CONFIG.format(out=tmp_path / "out", folder=folder, words=words))
    return Finished(run(config, **kwargs))


@pytest.fixture(scope="module")
def done(tmp_path_factory, folder):
    return go(tmp_path_factory.mktemp("done"), folder, executor=LocalExecutor())


def fates(done, event):
    run_ = open_run(done.result.folder)
    rows = [r for _, _, f in run_.units(0) for r in read_table(run_.output, f"{f}/fates.arrow").to_pylist()]
    return [r for r in rows if r["event"] == event]


def of_file(rows):
    return Counter(r["id"].removeprefix("crawl/").split("#")[0] for r in rows)


def test_the_good_records_are_all_read(done):
    read = of_file(r for r in fates(done, "read") if r["node"] == "crawl")
    assert read["good.warc.gz"] == 20
    assert read["one.warc.gz"] == 1
    assert read["empty.warc.gz"] == 0
    assert read["truncated.warc.gz"] == 2
    assert read["corrupt.warc.gz"] == 2
    assert read["big.warc.gz"] == 2
    assert read["nested.warc.gz"] == 2


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("truncated.warc.gz", "truncated_gzip"),
        ("corrupt.warc.gz", "corrupt_gzip"),
        ("length.warc", "bad_content_length"),
        ("not.warc.gz", "not_a_warc"),
        ("bomb.warc.gz", "record_too_large"),
    ],
)
def test_what_cannot_be_read_is_named(done, file, reason):
    failed = [r for r in fates(done, "failed") if file in r["id"]]
    assert reason in {r["reason"] for r in failed}
    assert all(json.loads(r["evidence"])["detail"] for r in failed)


def test_the_rest_is_decided_by_rules(done):
    lost = {r["id"].split("#")[0].removeprefix("crawl/"): r["reason"] for r in fates(done, "rejected")}
    assert lost["big.warc.gz"] == "pages.page_too_large"
    assert lost["nested.warc.gz"].startswith("pages.page_too_")
    texts = [row["text"] for row in read_jsonl(done.result.sink("out"))]
    assert any("after is a page" in t for t in texts)
    assert any("beside is a page" in t for t in texts)
    assert any("this is not UTF-8" in t for t in texts)
    for text in texts:
        text.encode()  # no lone surrogate


def test_the_books_balance(done):
    crawl = done.nodes["crawl"]["sources"]["crawl"]
    assert crawl["in"] == crawl["kept"] + sum(crawl["failed"].values())
    assert crawl["in"] == len(fates(done, "read")) + len(
        [f for f in fates(done, "failed") if f["node"] == "crawl"]
    )


def test_nothing_survives(tmp_path, folder):
    done = go(tmp_path, folder, words=10**6, executor=LocalExecutor())
    assert read_jsonl(done.result.sink("out")) == []
    assert json.loads(
        (tmp_path / "out" / Path(done.result.folder).name / "out" / "manifest.json").read_text()
    )


@pytest.mark.dask
def test_dask_says_the_same(tmp_path, folder, done):
    again = go(tmp_path, folder, cluster=ClusterConfig(workers=2))
    assert {n: v["sources"] for n, v in again.nodes.items()} == {
        n: v["sources"] for n, v in done.nodes.items()
    }
