"""Deduplication of lines and of three-sentence spans a CPU second, step by step, beside plain Python and datatrove.

    python -m benchmarks.line_dedup [--peer PYTHON]         # JSON on stdout

Documents are stretches of about 2.6 KB of real English texts (set CORPUSMILL_DATA to the folder that has them),
each between a header and a footer of its site, one in ten a copy. `line_dedup` is measured as the engine runs it, in
memory: two rounds of emit, grouping and reduction, then annotate with rewritten texts. Its peers:

- `CCNet's way`: lower case, digits to 0, marks out; sha1 to 8 bytes; one set; lines seen before are left out;
- `dolma's way`: sha1 of each line as it is, one set (dolma, in Rust, has a Bloom filter there);
- datatrove's three stages, in a Python that has it (`--peer`): lines as they are, and its three sentences.

Candidates run in turn; the best of three rounds is taken. Plain Python and datatrove see fewer documents.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.minhash import documents
from pipeline.regroup import sort_groups
from pipeline.schema import id_hashes
from stages.dedup._line_units import CCNET_MARKS
from stages.dedup.line import LineDedup

ROUNDS = 3
COPIES = 6  # of the texts; what each copy adds to every line makes it another
SITES = 50
SLOW = 3000  # documents for plain Python
SLOWEST = 400  # for datatrove
PEER = Path(__file__).parent / "peers" / "datatrove_sentences.py"
NO_VERDICTS = pa.table({"row": pa.array([], pa.int64())})
_DIGIT = re.compile(r"\d")
_MARKS = re.compile(f"[{CCNET_MARKS}{''.join(map(chr, [*range(32), *range(127, 160)]))}]")


def site_pages(texts: list[str]) -> list[str]:
    """Each text as a page of one of SITES sites; one in ten is the text of an earlier one."""
    pages = []
    for i in range(len(texts)):
        site = f"www.site{i % SITES}.example"
        text = texts[i - 7] if i % 10 == 9 else texts[i]
        header = f"Home of {site}\nSign in or register to read the news\n"
        pages.append(f"{header}\n{text}\n\nCopyright by {site} and its partners\nTerms of use of {site}\n")
    return pages


def batch_of(pages: list[str]) -> pa.RecordBatch:
    ids = [f"web/CC-MAIN-2024-10-{i % 97:05d}.warc.gz#{i}" for i in range(len(pages))]
    return pa.record_batch(
        {
            "id": pa.array(ids),
            "id_hash": id_hashes(ids),
            "source": pa.array(["web"] * len(ids)).dictionary_encode(),
            "url": pa.array([f"https://www.site{i % SITES}.example/{i}" for i in range(len(ids))]),
            "text": pa.array(pages, pa.large_string()),
        }
    )


def with_sha1(pages: list[str], normal: Callable[[str], str]) -> int:
    seen: set[bytes] = set()
    left = 0
    for page in pages:
        kept = []
        for line in page.split("\n"):
            digest = hashlib.sha1(normal(line).encode(), usedforsecurity=False).digest()[:8]
            if not line.strip() or digest not in seen:
                seen.add(digest)
                kept.append(line)
        left += len("\n".join(kept))
    return left


def ccnet(line: str) -> str:
    return _MARKS.sub("", _DIGIT.sub("0", line.strip().lower()))


def run_stage(stage: LineDedup, batch: pa.RecordBatch) -> tuple[dict[str, float], dict[str, float]]:
    """CPU seconds of each step, and what came of it."""
    spent: dict[str, float] = {}
    made: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any], *args: object) -> Any:
        start = time.process_time()
        result = work(*args)
        spent[name] = time.process_time() - start
        return result

    verdicts = NO_VERDICTS
    for round in range(stage.rounds):
        emitted = timed(f"emit {round}", stage.emit, batch, None, round, verdicts)
        made[f"emitted bytes {round}"] = emitted.nbytes
        rows = emitted["row"].cast(pa.uint64())
        table = emitted.drop_columns(["row"]).append_column("doc", rows)
        groups = timed(f"group {round}", sort_groups, table, stage.order(round), stage.singles)
        said = timed(f"reduce {round}", stage.reduce, groups, round)
        order = np.argsort(said["doc"].to_numpy(), kind="stable")
        verdicts = said.take(pa.array(order)).rename_columns(
            ["row" if name == "doc" else name for name in said.schema.names]
        )
    marks = timed("annotate", stage.annotate, batch, verdicts)
    made["left share"] = marks.columns["text"].nbytes / batch["text"].nbytes
    made["rejected"] = len(marks.reject) - marks.reject.null_count
    return spent, made


def ask_peer(python: str, pages: list[str]) -> dict[str, object]:
    with TemporaryDirectory() as folder:
        given = Path(folder) / "pages.json"
        given.write_text(json.dumps(pages))
        done = subprocess.run(
            [python, str(PEER), str(given), folder], capture_output=True, text=True, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def measure(peer: str | None) -> dict[str, object]:
    base = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    texts = documents(base)
    texts = [text.replace("\n", f" {k}\n") if k else text for k in range(COPIES) for text in texts]
    pages = site_pages(texts)
    batch = batch_of(pages)
    stages = {
        "lines": LineDedup(),
        "lines, words": LineDedup(normalize="words"),
        "lines, ccnet": LineDedup(normalize="ccnet"),
        "lines of a domain": LineDedup(scope="domain", min_documents=10, keep="none"),
        "lines of a document": LineDedup(scope="document"),
        "paragraphs": LineDedup(unit="paragraph"),
        "three sentences": LineDedup(unit="sentences"),
    }
    slow = pages[:SLOW]
    plain = {"CCNet's way": ccnet, "dolma's way": str.strip}
    megabytes, slow_mb = (sum(len(p.encode()) for p in some) / 1e6 for some in (pages, slow))
    best: dict[str, dict[str, float]] = {}
    facts: dict[str, dict[str, float]] = {}
    for stage in stages.values():
        run_stage(stage, batch.slice(0, 50))  # compiled
    for _ in range(ROUNDS):
        for name, stage in stages.items():
            spent, facts[name] = run_stage(stage, batch)
            if name not in best or sum(spent.values()) < sum(best[name].values()):
                best[name] = spent
        for name, normal in plain.items():
            start = time.process_time()
            with_sha1(slow, normal)
            seconds = (time.process_time() - start) * megabytes / slow_mb
            if name not in best or seconds < best[name]["all"]:
                best[name] = {"all": seconds}
    rates = {
        name: {
            "mb_per_cpu_s": {
                **{step: round(megabytes / s, 1) for step, s in spent.items() if s},
                "whole": round(megabytes / sum(spent.values()), 1),
            },
            "documents_per_cpu_s": round(len(pages) / sum(spent.values())),
            **{what: round(value, 4) for what, value in facts.get(name, {}).items()},
        }
        for name, spent in best.items()
    }
    return {
        "documents": len(pages),
        "mean_bytes": round(megabytes * 1e6 / len(pages), 1),
        "megabytes": round(megabytes, 1),
        "results": rates,
        "datatrove": ask_peer(peer, pages[:SLOWEST]) if peer else None,
        "versions": {name: version(name) for name in ("numba", "numpy", "pyarrow")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", help="a Python that has datatrove and spaCy")
    print(json.dumps(measure(parser.parse_args().peer), indent=2))
