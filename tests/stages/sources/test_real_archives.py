"""Real archives, the malformed ones too, against warcio: nothing it reads is missing, nothing else is silent."""

from collections import Counter

import pytest
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from stages.sources.warc import ReadWarc
from tests.stages.sources.support import run
from tests.support.data import real_data

WANTED = ("response", "resource", "conversion")
# warcio tolerates, or does not notice, that these records are not whole; here they are named.
DAMAGED = {
    "clipped.warc.gz": {"truncated_gzip": 1},
    "bad.arc": {"bad_content_length": 2, "bad_http": 1},
    "example-space-in-url.arc": {"truncated_record": 1},
    "example-trunc.warc": {"bad_content_length": 1},
}
# What warcio gives up on. Records were counted with zcat and grep, and their lengths compared with where the
# next record starts: the rows are the wanted records whose length is right, the damages those with a wrong one.
GIVEN_UP = {
    "badexample.arc.gz": (2, {"bad_content_length": 3}),
    "sample.warc.txt": (0, {"bad_content_length": 4}),
    "warcfile.warc.lz4": (16, {}),
    "example-bad-non-chunked.warc.gz": (1, {}),
    "example-bad.warc.gz.bad": (2, {}),
    "example-wrong-chunks.warc.gz": (1, {}),
}


def archives():
    folder = real_data("warc")
    other = ("LICENSE", "NOTICE", "README")
    return [f for f in sorted(folder.rglob("*")) if f.is_file() and not f.name.startswith(other)]


def warcio_counts(path):
    counts = Counter()
    with path.open("rb") as stream:
        for found in ArchiveIterator(stream):
            found.raw_stream.read()
            counts[found.rec_type] += 1
    return counts


@pytest.mark.real_data
def test_counts_equal_warcio():
    whole = 0
    for path in archives():
        rows, damages = run(ReadWarc(paths=str(path)))
        named = dict(Counter(d.reason for d in damages))
        assert all(d.detail and d.key for d in damages)
        try:
            counts = warcio_counts(path)
        except ArchiveLoadFailed:
            assert (len(rows), named) == GIVEN_UP[path.name], path.name
            continue
        whole += 1
        assert len(rows) + len(damages) == sum(counts[kind] for kind in WANTED), path.name
        assert named == DAMAGED.get(path.name, {}), path.name
    assert whole >= 20


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name", ["aut/warc/example.warc.gz", "dolma_cc/sample-0000.warc.gz", "packed/aeb_dev.warc.gz"]
)
def test_payloads_equal_warcio(name):
    path = real_data(f"warc/{name}")
    rows, _ = run(ReadWarc(paths=str(path), media_types=None, record_types=["response"]))
    with path.open("rb") as stream:
        for row, found in zip(
            rows, (r for r in ArchiveIterator(stream) if r.rec_type == "response"), strict=True
        ):
            assert row["url"] == found.rec_headers.get_header("WARC-Target-URI")
            assert row["content"] == found.content_stream().read(), row["url"]
            if found.http_headers is not None:
                assert row["http_status"] == int(found.http_headers.get_statuscode())


@pytest.mark.real_data
def test_arc_and_warc_of_one_crawl_hold_the_same_pages():
    """The 2008 crawl is there in both formats; the ARC has the same 299 responses."""
    warc, _ = run(ReadWarc(paths=str(real_data("warc/aut/warc/example.warc.gz"))))
    arc, _ = run(ReadWarc(paths=str(real_data("warc/aut/arc/example.arc.gz"))))
    assert len(warc) == len(arc) == 299
    same = {(r["url"], r["content"]) for r in warc} & {(r["url"], r["content"]) for r in arc}
    assert len(same) >= 290


@pytest.mark.real_data
def test_ids_are_unique_over_all_archives():
    folder = real_data("warc")
    rows, damages = run(ReadWarc(paths=f"{folder}/**/*.*"))
    ids = [(r["origin"]["file"], r["origin"]["key"]) for r in rows] + [(d.file, d.key) for d in damages]
    assert len(ids) == len(set(ids))
    assert not any(file.startswith("/") for file, _ in ids)
