"""Is extraction as good as it was? Token precision, recall and F1 against pages with gold main text.

Two sets: 58 news articles (article-extraction-benchmark) and 130 varied pages (readability's test pages). The
score of a page compares its words with the gold's as multisets, in lower case, Han and kana by character; a
set's score is the mean over its pages, so that long pages do not count more. No page is fitted to.

    python -m tests.quality.test_extraction_quality            # prints scores beside floors
    python -m tests.quality.test_extraction_quality --update   # raises floors; refuses to lower one
"""

import base64
import gzip
import hashlib
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from stages.extraction.html import ExtractHtml
from tests.support.data import real_data

FLOORS = Path(__file__).with_name("floors_extraction.json")
SETS = ("aeb_dev", "readability")
CONFIGS = {
    "trafilatura": {"engine": "trafilatura"},
    "trafilatura_recall": {"engine": "trafilatura", "favour": "recall"},
    "resiliparse": {"engine": "resiliparse"},
    "justext": {"engine": "justext"},
}
# A bug-fix release of a library moves a few paragraphs: one paragraph of ten on one page of 58 is 0.0017.
NOISE = 0.005
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+")


class Page(NamedTuple):
    id: str
    content: bytes
    gold: str


class Score(NamedTuple):
    precision: float
    recall: float
    f1: float


def read_pages(path: Path) -> list[Page]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [
        Page(
            r["id"],
            base64.b64decode(r["html_b64"]) if r.get("html_b64") else r["html"].encode(),
            r["gold_text"],
        )
        for r in rows
    ]


def score_page(text: str, gold: str) -> Score:
    """Overlap of word multisets; a page with no gold words and no text is right.

    >>> score_page("a b b c", "a b d d")
    Score(precision=0.5, recall=0.5, f1=0.5)
    """
    found, wanted = Counter(WORD.findall(text.lower())), Counter(WORD.findall(gold.lower()))
    common = (found & wanted).total()
    precision = common / found.total() if found else float(not wanted)
    recall = common / wanted.total() if wanted else 1.0
    return Score(precision, recall, 2 * precision * recall / (precision + recall) if common else 0.0)


def extract_pages(pages: list[Page], **params: object) -> list[str]:
    stage = ExtractHtml(**params)
    batch = pa.record_batch(
        {
            "content": pa.array([page.content for page in pages], pa.large_binary()),
            "media_type": pa.array(["text/html"] * len(pages), pa.string()),
            "charset": pa.nulls(len(pages), pa.string()),
        }
    )
    return [text or "" for text in stage.annotate(batch, stage.open({})).columns["text"].to_pylist()]


def score_set(pages: list[Page], **params: object) -> Score:
    texts = extract_pages(pages, **params)
    scores = [score_page(text, page.gold) for text, page in zip(texts, pages, strict=True)]
    return Score(*(round(sum(column) / len(scores), 4) for column in zip(*scores, strict=True)))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module", params=SETS)
def gold(request) -> tuple[str, list[Page]]:
    path = real_data(f"html/{request.param}.jsonl.gz")
    assert digest(path) == json.loads(FLOORS.read_text())["data"][request.param], (
        f"{path}: other data than the floors were measured on; run with --update"
    )
    return request.param, read_pages(path)


@pytest.mark.real_data
@pytest.mark.parametrize("name", CONFIGS)
def test_extraction_is_as_good_as_it_was(name, gold):
    which, pages = gold
    floor = Score(**json.loads(FLOORS.read_text())["floors"][name][which])
    found = score_set(pages, **CONFIGS[name])
    fallen = [
        f"{m} {f} < {w} - {NOISE}"
        for m, f, w in zip(Score._fields, found, floor, strict=True)
        if f < w - NOISE
    ]
    assert not fallen, f"{name} on {which}: {'; '.join(fallen)}"


@pytest.mark.real_data
@pytest.mark.parametrize("engine", ["trafilatura", "resiliparse"])
def test_hardly_any_page_is_lost(engine, gold):
    _, pages = gold
    texts = extract_pages(pages, engine=engine)
    assert sum(not text for text in texts) <= 1


def test_the_score_by_hand():
    assert score_page("one two three", "one two four four") == pytest.approx((2 / 3, 0.5, 4 / 7))
    assert score_page("", "one") == Score(0.0, 0.0, 0.0)
    assert score_page("", "") == Score(1.0, 1.0, 0.0)
    assert score_page("橋は", "橋 は") == Score(1.0, 1.0, 1.0)


def main(update: bool) -> None:
    data = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "html"
    old = json.loads(FLOORS.read_text())["floors"] if FLOORS.exists() else {}
    sets = {which: read_pages(data / f"{which}.jsonl.gz") for which in SETS}
    new = {
        name: {which: score_set(pages, **params)._asdict() for which, pages in sets.items()}
        for name, params in CONFIGS.items()
    }
    for name, by_set in new.items():
        for which, found in by_set.items():
            floor = old.get(name, {}).get(which)
            print(name, which, found, "floor", floor)
            if update and floor and any(found[m] < floor[m] - NOISE for m in found):
                sys.exit(f"{name} on {which} is worse than its floor: lower a floor by hand, and say why")
    if update:
        digests = {which: digest(data / f"{which}.jsonl.gz") for which in SETS}
        FLOORS.write_text(json.dumps({"data": digests, "floors": new}, indent=2) + "\n")


if __name__ == "__main__":
    main("--update" in sys.argv)
