"""Is extraction as good as it was? Token precision, recall and F1 against pages with gold main text.

Two sets: 58 news articles (article-extraction-benchmark) and 130 varied pages (readability's test pages). The
score of a page compares its words with the gold's as multisets, in lower case, Han and kana by character; a
set's score is the mean over its pages, so that long pages do not count more.

`best` learned from these very pages, so its figures here say that it works, not how good it is: for that see
`unseen_sites` in stages/extraction/_best_weights.json (0.007 and 0.014 lower), which is tested here too.

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
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from stages.extraction._best import MAX_DOUBT, extract_best
from stages.extraction._best_model import WEIGHTS
from stages.extraction._charset import decode_page
from stages.extraction.html import ExtractHtml
from tests.support.data import real_data

FLOORS = Path(__file__).with_name("floors_extraction.json")
SETS = ("aeb_dev", "readability")
CONFIGS = {
    "best": {"engine": "best"},
    "trafilatura": {"engine": "trafilatura"},
    "trafilatura_balanced": {"engine": "trafilatura", "favour": "balanced"},
    "trafilatura_recall": {"engine": "trafilatura", "favour": "recall"},
    "trafilatura_fast": {"engine": "trafilatura", "favour": "fast"},
    "union": {"engine": "union"},
    "resiliparse": {"engine": "resiliparse"},
    "justext": {"engine": "justext"},
}
SINGLE = tuple(name for name in CONFIGS if name != "best")
# F1 of readability-lxml 0.9 by benchmarks/extraction.py; decision 0005 says why it is not run here.
READABILITY = {"aeb_dev": 0.9533, "readability": 0.9702}
# What decides the cost of `best`: trafilatura takes ten times as long as resiliparse, that twice as long as blocks.
MAX_READ_TWICE = 0.45
MAX_BY_TRAFILATURA = 0.05
# A bug-fix release of a library moves a few paragraphs: one paragraph of ten on one page of 58 is 0.0017.
NOISE = 0.005
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+")


class Page(NamedTuple):
    id: str
    content: bytes
    gold: str
    url: str | None = None


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
            r["url"],
        )
        for r in rows
    ]


def read_help(language: str) -> list[dict[str, str]]:
    with gzip.open(real_data(f"html/libreoffice_help_{language}.jsonl.gz"), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


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


def score_texts(texts: Sequence[str], pages: list[Page]) -> Score:
    scores = [score_page(text, page.gold) for text, page in zip(texts, pages, strict=True)]
    return Score(*(round(sum(column) / len(scores), 4) for column in zip(*scores, strict=True)))


def score_set(pages: list[Page], **params: object) -> Score:
    return score_texts(extract_pages(pages, **params), pages)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module", params=SETS)
def gold(request) -> tuple[str, list[Page]]:
    path = real_data(f"html/{request.param}.jsonl.gz")
    assert digest(path) == json.loads(FLOORS.read_text())["data"][request.param], (
        f"{path}: other data than the floors were measured on; run with --update"
    )
    return request.param, read_pages(path)


@pytest.fixture(scope="module")
def scores(gold) -> dict[str, Score]:
    """Each engine on one set, run here and now."""
    _, pages = gold
    return {name: score_set(pages, **params) for name, params in CONFIGS.items()}


def best_single(which: str, scores: dict[str, Score]) -> float:
    """What `best` must reach: the highest F1 of any other extractor, less the noise."""
    return round(max(READABILITY[which], *(scores[name].f1 for name in SINGLE)) - NOISE, 4)


@pytest.mark.real_data
@pytest.mark.parametrize("name", CONFIGS)
def test_extraction_is_as_good_as_it_was(name, gold, scores):
    which, _ = gold
    floor = Score(**json.loads(FLOORS.read_text())["floors"][name][which])
    fallen = [
        f"{m} {f} < {w} - {NOISE}"
        for m, f, w in zip(Score._fields, scores[name], floor, strict=True)
        if f < w - NOISE
    ]
    assert not fallen, f"{name} on {which}: {'; '.join(fallen)}"


@pytest.mark.real_data
def test_best_is_as_good_as_the_best_single_extractor(gold, scores):
    which, _ = gold
    assert scores["best"].f1 >= best_single(which, scores), scores


@pytest.mark.real_data
def test_best_on_sites_it_has_not_seen_is_as_good_as_the_best_single_extractor(gold, scores):
    """The weights' own record of cross-validation by site, on the same pages."""
    which, _ = gold
    record = json.loads(WEIGHTS.read_text())["provenance"]
    assert record["data"] == json.loads(FLOORS.read_text())["data"]
    assert record["unseen_sites"][f"best {which}"] >= best_single(which, scores)


@pytest.mark.real_data
def test_few_pages_go_to_a_dearer_engine(gold):
    _, pages = gold
    found = [extract_best(decode_page(page.content).text) for page in pages]
    twice = sum(best.doubt > MAX_DOUBT for best in found)
    assert twice <= MAX_READ_TWICE * len(pages)
    assert sum(best.extractor == "trafilatura" for best in found) <= MAX_BY_TRAFILATURA * len(pages)


@pytest.mark.real_data
@pytest.mark.parametrize("language", ["de", "ja", "ru", "zh-cn"])
def test_translations_of_a_page_give_texts_of_one_shape(language):
    """LibreOffice's help has the same pages in several languages: the same blocks should be kept."""
    english = {row["id"].split("/", 1)[1]: row for row in read_help("en-us")}
    ratios = []
    for row in read_help(language):
        twin = english.get(row["id"].split("/", 1)[1])
        if twin:
            ours, theirs = (len(extract_best(r["html"]).text.split("\n")) for r in (row, twin))
            ratios.append(min(ours, theirs) / max(ours, theirs))
    assert len(ratios) >= 16
    assert sum(ratios) / len(ratios) > 0.75


@pytest.mark.real_data
@pytest.mark.parametrize("engine", ["best", "trafilatura", "resiliparse"])
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
