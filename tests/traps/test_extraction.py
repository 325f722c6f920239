"""T28 and T29 for pages: a page's text is a function of its bytes, for every engine. README.md has the table."""

import gc
import random

import pyarrow as pa
import pytest

from stages.extraction.html import ExtractHtml
from tests.stages.extraction.test_html import STORY, page

SHARED = (
    "The harbour office is open on weekdays from nine to five, and on market days until late in the night."
)
CONFIGS = {
    "best": {},
    "trafilatura": {"engine": "trafilatura"},
    "fast": {"engine": "trafilatura", "favour": "fast"},
    "recall": {"engine": "trafilatura", "favour": "recall"},
    "markdown": {"engine": "trafilatura", "format": "markdown"},
    "resiliparse": {"engine": "resiliparse"},
    "justext": {"engine": "justext"},
    "union": {"engine": "union", "engines": ["resiliparse", "trafilatura", "justext"]},
    "htmldate": {"engine": "resiliparse", "dates": "htmldate", "metadata": True},
}
GERMAN = (
    "Die alte Brücke über den Fluss war wegen einer Reparatur gesperrt, und so mussten alle zu Fuß gehen."
)
DIRTY = b"<html><body><p>caf\xe9 \x00 &#1; <b>not closed <i>" + STORY[0].encode()
# The same paragraphs on many pages are what a deduplicating extractor learns and drops; the others are what could
# leave something behind in a parser, a cache or a choice of language.
PAGES = [
    *(page(SHARED, *STORY, f"This is page number {k} of all the pages that we have here.") for k in range(5)),
    page(GERMAN, GERMAN + " Niemand wusste, wie lange das dauern würde, und es regnete den ganzen Tag."),
    page(SHARED * 3, title="Опубликовано"),
    b"<html><body><span class=post-date>March 12, 2014</span>" + page(*STORY),
    DIRTY,
    b"",
    b"<table><tr><td>" * 50 + page(SHARED) + b"</table>",
]


@pytest.fixture(scope="module", params=CONFIGS)
def extract(request):
    stage = ExtractHtml(**CONFIGS[request.param])
    resource = stage.open({})

    def rows(contents):
        batch = pa.record_batch(
            {
                "content": pa.array(contents, pa.large_binary()),
                "media_type": pa.array(["text/html"] * len(contents), pa.string()),
                "charset": pa.nulls(len(contents), pa.string()),
            }
        )
        marks = stage.annotate(batch, resource)
        columns = [marks.columns[name].to_pylist() for name in sorted(marks.columns)]
        return list(zip(*columns, marks.reject.to_pylist(), strict=True))

    return rows


def test_shared_paragraphs_are_not_learnt_away(extract):
    assert all(any(SHARED in str(value) for value in row) for row in extract(PAGES[:5]))


def test_order_repetition_and_batches_do_not_matter(extract):
    expected = extract(PAGES)
    for seed, size in ((1, 1), (2, 3), (3, 4), (4, len(PAGES))):
        order = list(range(len(PAGES))) * 2
        random.Random(seed).shuffle(order)
        found = [
            row
            for begin in range(0, len(order), size)
            for row in extract([PAGES[k] for k in order[begin : begin + size]])
        ]
        assert found == [expected[k] for k in order], f"batches of {size}"


def test_another_stage_opened_later_finds_the_same(extract):
    expected = extract(PAGES)
    ExtractHtml(engine="justext", language="German").open({})
    assert extract(PAGES) == expected


def test_nothing_piles_up_from_page_to_page(extract):
    """Trees that refer to themselves, caches and logs made workers grow until they were recycled."""
    extract(PAGES)  # fills the libraries' caches of pure functions, which are bounded
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(3):
        extract(PAGES)
    gc.collect()
    assert len(gc.get_objects()) - before < 100
