"""Exact and URL deduplication a CPU second, step by step, beside plain Python doing the same.

    python -m benchmarks.exact_dedup            # JSON on stdout

Documents are stretches of about 2.6 KB of real English texts (set CORPUSMILL_DATA to the folder that has them),
one in ten a copy. `python` is what people write first: a dictionary from xxh3-128 of the text (or, for URLs,
parsing with urllib) to the first id. Candidates run in turn; the best of three rounds is taken.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import pyarrow as pa
import xxhash
from courlan import normalize_url

from benchmarks.minhash import documents
from pipeline.regroup import sort_groups
from stages.dedup._urls import canonical_urls
from stages.dedup.exact import ExactDedup, column_keys, content_keys, normalize
from stages.dedup.url import UrlDedup

ROUNDS = 3
COPIES = 8  # of the texts, with a number in front that makes each another
SLOW = 20_000  # URLs for the candidates in Python
NO_VERDICTS = pa.table({"row": pa.array([], pa.int64())})


def batch_of(texts: list[str]) -> pa.RecordBatch:
    rows = len(texts)
    paths = (
        "news/2024/05/{}.html",
        "shop/item?id={}&utm_source=mail",
        "wiki/Caf%c3%a9_{}",
        "blog/post-{}/",
        "a/{}#top",
    )
    urls = [
        f"http{'s' * (i % 2)}://www.site{i % 977}.example/" + paths[i % 5].format(i // 11)
        for i in range(rows)
    ]
    return pa.record_batch(
        {
            "id": pa.array([f"web/CC-MAIN-2024-10-{i % 97:05d}.warc.gz#{i}" for i in range(rows)]),
            "source": pa.array(["web"] * rows).dictionary_encode(),
            "text": pa.array(
                [texts[i - 7] if i % 10 == 9 else text for i, text in enumerate(texts)], pa.large_string()
            ),
            "url": pa.array(urls),
        }
    )


def with_dictionary(batch: pa.RecordBatch) -> int:
    first: dict[bytes, str] = {}
    lost = 0
    for text, name in zip(batch["text"].to_pylist(), batch["id"].to_pylist(), strict=True):
        lost += first.setdefault(xxhash.xxh3_128_digest(text.encode()), name) != name
    return lost


def with_urllib(urls: list[str]) -> list[str]:
    made = []
    for url in urls:
        parts = urlsplit(url)
        query = sorted((k, v) for k, v in parse_qsl(parts.query) if not k.startswith("utm_"))
        host = (parts.hostname or "").removeprefix("www.")
        made.append(host + unquote(parts.path).rstrip("/") + ("?" + urlencode(query) if query else ""))
    return made


def steps(stage: ExactDedup | UrlDedup, batch: pa.RecordBatch) -> Callable[[], int]:
    """Emit, group as the exchange does, reduce."""

    def run() -> int:
        table = stage.emit(batch, None, 0, NO_VERDICTS)
        table = table.rename_columns(["doc" if n == "row" else n for n in table.schema.names])
        table = table.set_column(1, "doc", table["doc"].cast(pa.uint64()))
        return int(stage.reduce(sort_groups(table, stage.order(0), stage.singles), 0).num_rows)

    return run


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    base = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    texts = [f"{k} {text}" for k in range(COPIES) for text in documents(base)]
    batch = batch_of(texts)
    urls = batch["url"].to_pylist()[:SLOW]
    rows, slow = batch.num_rows, len(urls)
    columns = ExactDedup(on="columns", columns=["url", "text"])
    canonical_urls(batch["url"].slice(0, 10))
    work: dict[str, tuple[int, Callable[[], object]]] = {
        "exact: keys of texts": (rows, lambda: content_keys(batch["text"])),
        "exact: normalize": (rows, lambda: normalize(batch["text"])),
        "exact: keys of two columns": (rows, lambda: column_keys([batch["url"], batch["text"]])),
        "exact: emit, sort, reduce": (rows, steps(ExactDedup(), batch)),
        "exact on columns: emit, sort, reduce": (rows, steps(columns, batch)),
        "exact: a dictionary in Python": (rows, lambda: with_dictionary(batch)),
        "url: canonical": (rows, lambda: canonical_urls(batch["url"])),
        "url: emit, sort, reduce": (rows, steps(UrlDedup(), batch)),
        "url: urllib": (slow, lambda: with_urllib(urls)),
        "url: courlan normalize_url": (slow, lambda: [normalize_url(u, strict=False) for u in urls]),
    }
    rounds = [{name: count / cpu_seconds(run) for name, (count, run) in work.items()} for _ in range(ROUNDS)]
    best = {name: max(r[name] for r in rounds) for name in work}
    megabytes = batch["text"].nbytes / 1e6 / rows
    print(
        json.dumps(
            {
                "documents": rows,
                "mean_bytes": round(megabytes * 1e6, 1),
                "rows_per_cpu_s": {name: round(value) for name, value in best.items()},
                "text_mb_per_cpu_s": {
                    name: round(value * megabytes) for name, value in best.items() if name.startswith("exact")
                },
                "versions": {name: version(name) for name in ("courlan", "numpy", "pyarrow", "xxhash")},
                "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
