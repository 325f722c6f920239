"""Extraction by CPU time and by quality: each library called bare, `best`, and each engine in its stage.

    python -m benchmarks.extraction            # JSON on stdout

Bare: decoded markup to text, every engine on each page in turn (so that a slow moment of the machine meets all
alike), CPU time of the process, best of three rounds. `of_trafilatura` is the CPU time as a share of
trafilatura's with its default settings on the same pages. Stage: what charset, budgets, cleaning, metadata and
Arrow add. The pages are those of the quality floors; set CORPUSMILL_DATA to the folder that has them.
readability-lxml is measured where it is installed; decision 0005 says why it is not among the dependencies.
"""

import json
import logging
import os
import platform
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import justext
import lxml.html
import pyarrow as pa
import trafilatura
from resiliparse.extract.html2text import extract_plain_text

from stages.extraction._best import MAX_DOUBT, extract_best
from stages.extraction._best_blocks import extract_blocks
from stages.extraction._charset import decode_page
from stages.extraction.html import ExtractHtml
from tests.quality.test_extraction_quality import (
    FLOORS,
    SETS,
    Page,
    digest,
    read_pages,
    score_page,
)

ROUNDS = 3
STAGE_ENGINES = ("best", "trafilatura", "resiliparse")
PACKAGES = ("trafilatura", "justext", "resiliparse", "readability-lxml", "lxml", "numba", "pyarrow")
Extract = Callable[[str], str]


def by_trafilatura(**options: bool) -> Extract:
    return lambda markup: trafilatura.extract(markup, include_comments=False, **options) or ""


def by_justext(markup: str) -> str:
    found = justext.justext(markup, justext.get_stoplist("English"))
    return "\n".join(p.text for p in found if not p.is_boilerplate)


def by_resiliparse(markup: str) -> str:
    return str(extract_plain_text(markup, main_content=True, alt_texts=False))


def by_readability() -> Extract | None:
    try:
        document = import_module("readability").Document
    except ImportError:
        return None
    return lambda markup: str(lxml.html.fromstring(document(markup).summary()).text_content())


BARE: dict[str, Extract | None] = {
    "trafilatura": by_trafilatura(),
    "trafilatura_precision": by_trafilatura(favor_precision=True),
    "trafilatura_recall": by_trafilatura(favor_recall=True),
    "trafilatura_fast": by_trafilatura(fast=True),
    "justext": by_justext,
    "readability": by_readability(),
    "resiliparse": by_resiliparse,
    "best_blocks_alone": lambda markup: extract_blocks(markup).text,
    "best": lambda markup: extract_best(markup).text,
}


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def tolerant(extract: Extract) -> Extract:
    """Some libraries raise on odd pages; that page has no text then."""

    def run(markup: str) -> str:
        try:
            return extract(markup)
        except (ValueError, TypeError, AttributeError, IndexError, lxml.etree.LxmlError):
            return ""

    return run


def measure_bare(sets: dict[str, list[Page]]) -> dict[str, dict[str, object]]:
    """Milliseconds a page and P, R, F1 by set, of each engine on decoded pages."""
    pages = [(which, page, decode_page(page.content).text) for which in sets for page in sets[which]]
    engines = {name: tolerant(engine) for name, engine in BARE.items() if engine}
    seconds = {name: [0.0] * ROUNDS for name in engines}
    texts: dict[str, list[str]] = {name: [] for name in engines}
    for engine in engines.values():
        engine(pages[0][2])  # compile kernels, load stop lists and weights
    for turn in range(ROUNDS):
        for _, _, markup in pages:
            for name, engine in engines.items():
                start = time.process_time()
                text = engine(markup)
                seconds[name][turn] += time.process_time() - start
                if turn == 0:
                    texts[name].append(text)
    size = sum(len(page.content) for _, page, _ in pages)
    found = {}
    for name in engines:
        best = min(seconds[name])
        scores = [score_page(text, page.gold) for text, (_, page, _) in zip(texts[name], pages, strict=True)]
        by_set = {
            which: [round(sum(column) / len(here), 4) for column in zip(*here, strict=True)]
            for which in sets
            for here in [[score for score, (of, _, _) in zip(scores, pages, strict=True) if of == which]]
        }
        found[name] = {
            "cpu_ms_per_page": round(best / len(pages) * 1e3, 3),
            "pages_per_cpu_s": round(len(pages) / best, 1),
            "mb_per_cpu_s": round(size / best / 1e6, 1),
            "of_trafilatura": round(best / min(seconds["trafilatura"]), 4),
            "p_r_f1": by_set,
        }
    return found


def who_extracts(pages: list[Page]) -> dict[str, float]:
    """Share of pages by the engine whose text `best` took, and of those that two engines read."""
    found = [extract_best(decode_page(page.content).text) for page in pages]
    counts = Counter(best.extractor for best in found)
    twice = sum(best.doubt > MAX_DOUBT for best in found)
    shares = counts | Counter({"read_twice": twice})
    return {name: round(count / len(pages), 4) for name, count in shares.items()}


def measure_stage(pages: list[Page], engine: str) -> float:
    """Pages a CPU second of the whole stage, best of three."""
    stage = ExtractHtml(engine=engine)  # type: ignore[arg-type]
    resource = stage.open({})
    batch = pa.record_batch(
        {
            "content": pa.array([page.content for page in pages], pa.large_binary()),
            "media_type": pa.array(["text/html"] * len(pages), pa.string()),
            "charset": pa.nulls(len(pages), pa.string()),
        }
    )
    stage.annotate(batch.slice(0, 2), resource)
    seconds = min(cpu_seconds(lambda: stage.annotate(batch, resource)) for _ in range(ROUNDS))
    return round(len(pages) / seconds, 1)


def versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def main() -> None:
    logging.disable(logging.CRITICAL)
    base = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    paths = {which: base / "html" / f"{which}.jsonl.gz" for which in SETS}
    sets = {which: read_pages(path) for which, path in paths.items()}
    pages = [page for which in sets for page in sets[which]]
    result = {
        "pages": len(pages),
        "bytes": sum(len(page.content) for page in pages),
        "same_data_as_floors": {w: digest(p) for w, p in paths.items()}
        == json.loads(FLOORS.read_text())["data"],
        "note": "best learned from these pages; for pages of unseen sites see _best_weights.json, unseen_sites",
        "bare": measure_bare(sets),
        "best_pages_by_extractor": {which: who_extracts(sets[which]) for which in sets},
        "stage_pages_per_cpu_s": {engine: measure_stage(pages, engine) for engine in STAGE_ENGINES},
        "versions": versions(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
