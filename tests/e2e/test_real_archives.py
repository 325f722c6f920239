"""configs/web.yaml on real archives and pages, the malformed ones too; only paths are set."""

import base64
import gzip
import json
from collections import Counter

import pytest
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from pipeline.api import open_run
from pipeline.io.arrow import read_table
from shards.verify import verify
from tests.e2e.conftest import run_config
from tests.support.data import real_data

pytestmark = [pytest.mark.dask, pytest.mark.real_data, pytest.mark.timeout(900)]
WANTED = ("response", "resource", "conversion")
NOT_ARCHIVES = ("LICENSE", "NOTICE", "README")


def archives():
    return [
        f for f in sorted(real_data("warc").rglob("*")) if f.is_file() and not f.name.startswith(NOT_ARCHIVES)
    ]


def write_pages(folder):
    """The labelled pages as a folder of HTML files; returns how many."""
    count = 0
    for name in ("aeb_dev", "readability"):
        (folder / name).mkdir()
        with gzip.open(real_data(f"html/{name}.jsonl.gz")) as lines:
            for line in lines:
                page = json.loads(line)
                raw = base64.b64decode(page["html_b64"]) if page.get("html_b64") else page["html"].encode()
                (folder / name / f"{count:04d}.html").write_bytes(raw)
                count += 1
    return count


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    pages = write_pages(folder)
    done = run_config(
        "web.yaml",
        tmp_path_factory.mktemp("real"),
        "nodes.crawl.params.paths=" + json.dumps([str(f) for f in archives()]),
        f"nodes.folder.params.paths={folder}/**/*.html",
    )
    return done, pages


def warcio_count(path):
    """Records in scope, or None where warcio gives up."""
    counts = Counter()
    try:
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream):
                record.raw_stream.read()
                counts[record.rec_type] += 1
    except ArchiveLoadFailed:
        return None
    return sum(counts[kind] for kind in WANTED)


def test_every_record_of_every_archive_is_accounted_for(real):
    done, _ = real
    run = open_run(done.result.folder)
    found = Counter()
    for _, _, folder in run.units(level=0):
        for fate in read_table(run.output, f"{folder}/fates.arrow").to_pylist():
            if fate["node"] == "crawl" and fate["event"] in ("read", "failed"):
                found[fate["id"].removeprefix("crawl/").split("#")[0]] += 1
    base = real_data("warc")
    whole = {str(f.relative_to(base)): count for f in archives() if (count := warcio_count(f)) is not None}
    assert len(whole) >= 20
    assert {name: found[name] for name in whole} == whole
    assert sum(found.values()) == done.total("crawl", "in")


def test_what_cannot_be_read_is_named(real):
    done, _ = real
    failed = {}
    for account in done.nodes["crawl"]["sources"].values():
        failed |= account["failed"]
    assert failed["truncated_gzip"] == 1
    assert failed["bad_content_length"] >= 3
    run = open_run(done.result.folder)
    details = [
        json.loads(fate["evidence"])["detail"]
        for _, _, folder in run.units(level=0)
        for fate in read_table(run.output, f"{folder}/fates.arrow").to_pylist()
        if fate["event"] == "failed" and fate["node"] == "crawl"
    ]
    assert len(details) == sum(failed.values())
    assert all(details)


def test_pages_come_through(real):
    done, pages = real
    assert done.total("folder", "in") == pages >= 180
    assert done.total("pages", "kept") > 300
    assert done.total("tokens", "tokens_kept") > 100_000
    assert verify(done.result.sink("shards")) == []


def test_copies_across_containers_are_found(real):
    """The same pages stand in a WARC and in the folder: one of each goes."""
    done, _ = real
    assert done.rejected("exact")["exact_duplicate"] >= 30
