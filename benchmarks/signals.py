"""Text signals and the rules on them: documents and MB per CPU-second, beside plain Python and datatrove.

    python -m benchmarks.signals [--data FOLDER] [--documents N] [--peer-python /peer/bin/python] > signals.json

The documents are English prose (NLTK's Gutenberg, State of the Union and inaugural texts) cut at line ends
into about 2.6 KB. "plain" is the oracle of the tests: str.split, sets and Counters, one document at a time,
the same definitions to the last count; "split" leaves out its handling of Unicode and unspaced scripts and is
what rule filters of this kind usually do: words from str.split, n-grams as joined strings. `everything` is what
datatrove's Gopher, C4 and FineWeb filters do together: all signals, four sets of rules, and C4's edit of the
lines. datatrove itself runs in an environment of its own, on the same documents, with its default words and with
str.split's in their place, first before and then after ours; the faster of the two runs counts.
"""

import argparse
import gzip
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections import Counter
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the oracle lives with the tests

import pyarrow as pa

from stages.filters.c4 import C4Rules
from stages.filters.fineweb import FinewebRules
from stages.filters.gopher import GopherRepetition, GopherRules
from stages.signals import _counts
from stages.signals.text import STOP_WORDS, count_signals, text_signals
from tests.stages.signals.oracle import counts_of, duplicate_ngram_chars, repeats, top_ngram_chars

FILES = ("nltk_gutenberg", "nltk_state_union", "nltk_inaugural")
LANGUAGES = {
    "de": "eltec_deu_sample",
    "fr": "eltec_fra_sample",
    "es": "eltec_spa_sample",
    "en": "nltk_gutenberg",
    "ja": "aozora_ja_pd_sample",
    "zh": "poetry_zh_sample",
    "de_law": "gesetze_de_sample",
    "en_markdown": "rust_rfcs_sample",
}
DOCUMENT_BYTES = 2600
PIECE_CHARS, MAX_PIECES = 3000, 1500  # of each language, from the first ten pieces of each document
ROUNDS = 5


def load_documents(folder, limit):
    documents = []
    for name in FILES:
        with gzip.open(folder / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as rows:
            for row in rows:
                documents += cut(json.loads(row)["text"])
    return documents[:limit]


def cut(text):
    pieces, current, size = [], [], 0
    for line in text.splitlines(keepends=True):
        current.append(line)
        size += len(line.encode())
        if size >= DOCUMENT_BYTES:
            pieces.append("".join(current))
            current, size = [], 0
    return pieces


def compiled(column):
    """Verdicts of both rule sets, from the Arrow column on."""
    batch = pa.RecordBatch.from_pydict(text_signals(column))
    verdicts = [kind().annotate(batch, None).reject for kind in (GopherRules, GopherRepetition)]
    return list(zip(*(v.to_pylist() for v in verdicts), strict=True))


RULES = [(rules, rules.open({})) for rules in (GopherRules(), GopherRepetition(), FinewebRules(), C4Rules())]


def everything(column):
    """All signals, C4's edit and verdict, and the verdicts of the other three rule sets; a worker opens them once."""
    columns = text_signals(column)
    batch = pa.RecordBatch.from_pydict({"text": column, **columns})
    for rules, opened in RULES:
        rules.annotate(batch, opened)


def signals_only(column):
    return text_signals(column)


def plain(documents):
    """The oracle's counts; the thresholds on top cost nothing beside them."""
    return [counts_of(text, STOP_WORDS, _counts) for text in documents]


def split(documents):
    """Gopher's numbers as a few lines of Python would take them, for text that is ASCII and spaced."""
    return [split_numbers(text) for text in documents]


def split_numbers(text):
    words = text.split()
    lines = [line for line in text.split("\n") if line.strip()]
    paragraphs = [block for block in text.split("\n\n") if block.strip()]
    return [
        len(words),
        sum(map(len, words)) / max(len(words), 1),
        text.count("#"),
        text.count("...") + text.count("…"),
        sum(line.lstrip().startswith(("•", "-", "*")) for line in lines),
        sum(line.rstrip().endswith(("...", "…")) for line in lines),
        sum(any(char.isalpha() for char in word) for word in words),
        len({word.lower() for word in words} & set(STOP_WORDS)),
        repeats(lines)[0],
        repeats(paragraphs)[0],
        *(top_ngram_chars(words, n) for n in (2, 3, 4)),
        *(duplicate_ngram_chars(words, n) for n in range(5, 11)),
    ]


def share_in_words(column):
    counts = count_signals(column)
    return float(counts["word_chars"].sum() / counts["chars"].sum())


def rejections(folder, name):
    """What the rules say of pieces of a file, without the English stop words."""
    pieces = []
    with gzip.open(folder / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as rows:
        for row in rows:
            text = json.loads(row)["text"][: 10 * PIECE_CHARS]
            pieces += [text[k : k + PIECE_CHARS] for k in range(0, len(text), PIECE_CHARS)]
    pieces = pieces[:MAX_PIECES]
    batch = pa.RecordBatch.from_pydict(text_signals(pa.array(pieces, pa.large_string())))
    found = {"pieces": len(pieces)}
    for rules in (GopherRules(min_stop_words=None), GopherRepetition()):
        found |= Counter(rules.annotate(batch, None).reject.drop_null().to_pylist())
    return found


def run_peer(python, documents):
    """What benchmarks/peers/datatrove_chain.py says of the documents."""
    script = Path(__file__).with_name("peers") / "datatrove_chain.py"
    lines = "\n".join(map(json.dumps, documents))
    done = subprocess.run([python, script], input=lines, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def as_measured(seconds, documents):
    """CPU seconds of a peer in the form of measure()."""
    size = sum(len(text.encode()) for text in documents)
    return {
        "documents_per_cpu_s": round(len(documents) / seconds),
        "mb_per_cpu_s": round(size / seconds / 1e6, 2),
        "us_per_document": round(seconds / len(documents) * 1e6, 1),
        "documents": len(documents),
    }


def cpu_seconds(work, argument, rounds):
    """The fastest of some rounds, CPU time of this process."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work(argument)
        best = min(best, time.process_time() - start)
    return best


def measure(work, argument, documents, rounds=ROUNDS):
    return as_measured(cpu_seconds(work, argument, rounds), documents)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("CORPUSMILL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder that has text/*.jsonl.gz")
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--peer-python", help="a Python that has datatrove[processing], spacy and nltk")
    options = parser.parse_args()
    documents = load_documents(options.data, options.documents)
    column = pa.array(documents, pa.large_string())
    few = documents[:: max(len(documents) // 300, 1)]
    everything(column.slice(0, 8))  # compile, or load from the cache
    peers = [run_peer(options.peer_python, few)] if options.peer_python else []
    results = {
        "signals": measure(signals_only, column, documents),
        "signals_and_rules": measure(compiled, column, documents),
        "everything": measure(everything, column, documents),
        "split": measure(split, few, few, rounds=2),
        "plain": measure(plain, few, few, rounds=2),
    }
    if peers:
        peers.append(run_peer(options.peer_python, few))
        for words in ("default_words", "split_words"):
            seconds = min(run[words]["total"] for run in peers)
            results[f"datatrove_{words}"] = as_measured(seconds, few)
    base = results["everything"]["us_per_document"]
    ratios = {k: round(v["us_per_document"] / base, 1) for k, v in results.items()}
    reasons = Counter(reason or "kept" for verdict in compiled(column) for reason in verdict[:1])
    report = {
        "corpus": {
            "documents": len(documents),
            "bytes": sum(len(text.encode()) for text in documents),
            "sha256": hashlib.sha256("\0".join(documents).encode()).hexdigest(),
        },
        "results": results,
        "cost_relative_to_everything": ratios,
        "peers": peers or "skipped: give --peer-python",
        "gopher_rules": dict(sorted(reasons.items())),
        "share_of_chars_in_words": round(share_in_words(column), 3),
        "rejections": {language: rejections(options.data, name) for language, name in LANGUAGES.items()},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "versions": {name: metadata.version(name) for name in ("numba", "numpy", "pyarrow")},
        "machine": {"python": platform.python_version(), "cpu": platform.processor() or platform.machine()},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
