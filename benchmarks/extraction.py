"""Pages a CPU second: each engine in its stage, beside the library called bare on the same bytes.

    python -m benchmarks.extraction            # JSON on stdout

The stage adds charset, budgets, cleaning, title and Arrow to what the library does; `ratio` is stage over
bare, the two run in turn and the best of three taken. The pages are those of the quality floors; set
CORPUSMILL_DATA to the folder that has them.
"""

import json
import logging
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import justext
import pyarrow as pa
import trafilatura
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding

from stages.extraction.html import ExtractHtml
from tests.quality.test_extraction_quality import FLOORS, SETS, Page, digest, read_pages

ROUNDS = 3


def bare_trafilatura(content: bytes) -> str | None:
    return trafilatura.extract(content, include_comments=False, favor_precision=True)


def bare_justext(content: bytes) -> str:
    found = justext.justext(content, justext.get_stoplist("English"))
    return "\n".join(p.text for p in found if not p.is_boilerplate)


def bare_resiliparse(content: bytes) -> str:
    markup = bytes_to_str(content, detect_encoding(content, from_html_meta=True))
    return extract_plain_text(markup, main_content=True, alt_texts=False)


BARE: dict[str, Callable[[bytes], object]] = {
    "trafilatura": bare_trafilatura,
    "justext": bare_justext,
    "resiliparse": bare_resiliparse,
}


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(pages: list[Page], engine: str) -> dict[str, float]:
    stage = ExtractHtml(engine=engine)  # type: ignore[arg-type]
    resource = stage.open({})
    batch = pa.record_batch(
        {
            "content": pa.array([page.content for page in pages], pa.large_binary()),
            "media_type": pa.array(["text/html"] * len(pages), pa.string()),
            "charset": pa.nulls(len(pages), pa.string()),
        }
    )
    stage.annotate(batch.slice(0, 2), resource)  # compile kernels, import the rest

    def bare() -> None:
        for page in pages:
            BARE[engine](page.content)

    times = [(cpu_seconds(lambda: stage.annotate(batch, resource)), cpu_seconds(bare)) for _ in range(ROUNDS)]
    ours, theirs = (min(column) for column in zip(*times, strict=True))
    return {
        "stage_pages_per_cpu_s": round(len(pages) / ours, 1),
        "bare_pages_per_cpu_s": round(len(pages) / theirs, 1),
        "ratio": round(theirs / ours, 3),
    }


def main() -> None:
    logging.disable(logging.CRITICAL)
    base = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    paths = [base / "html" / f"{which}.jsonl.gz" for which in SETS]
    known = json.loads(FLOORS.read_text())["data"]
    pages = [page for path in paths for page in read_pages(path)]
    print(
        json.dumps(
            {
                "pages": len(pages),
                "bytes": sum(len(page.content) for page in pages),
                "same_data_as_floors": [digest(path) for path in paths] == [*known.values()],
                "engines": {engine: measure(pages, engine) for engine in BARE},
                "versions": {name: version(name) for name in (*BARE, "lxml", "pyarrow")},
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "python": platform.python_version(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
