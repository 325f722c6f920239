"""Machine-text signals and marks: documents and MB per CPU-second, beside plain Python.

    python -m benchmarks.machine_text [--data FOLDER] [--documents N] > machine_text.json

The documents are English prose cut into about 2.6 KB. "oracle" counts the same in plain Python, to the last count.
"usual" is what short detectors of this kind do in Python, with far fewer features: the zlib ratio, the spread
of sentence lengths, type/token ratio, the share of known words by a set, a list of phrases by `in`. What the marks
are worth is another command: python -m benchmarks.train_machine_text evaluate.
"""

import argparse
import json
import os
import platform
import re
import sys
import time
import zlib
from pathlib import Path

import numba
import numpy as np
import pyarrow as pa

from benchmarks import machine_text_data as corpora
from stages.signals._machine_reference import PHRASES, REFERENCE, load_tables, unpack_costs
from stages.signals.machine_text import machine_text_signals
from stages.signals.machine_text_mark import MarkMachineText

ROUNDS = 5
ORACLE_DOCUMENTS = 60  # it takes about 10 ms a document


def usual(text, known, phrases):
    """A handful of features as one would write them in an afternoon."""
    low = text.lower()
    words = re.findall(r"\w+", low)
    sentences = [len(s.split()) for s in re.split(r"[.!?]+\s", text) if s.split()]
    data = text.encode()
    mean = sum(sentences) / max(len(sentences), 1)
    return (
        len(zlib.compress(data)) / max(len(data), 1),
        (sum((n - mean) ** 2 for n in sentences) / max(len(sentences), 1)) ** 0.5,
        len(set(words)) / max(len(words), 1),
        sum(word in known for word in words) / max(len(words), 1),
        sum(phrase in low for phrase in phrases),
    )


def seconds(run):
    began = time.process_time()
    run()
    return time.process_time() - began


def rate(best, texts):
    size = sum(len(text.encode()) for text in texts)
    return {"documents_per_s": round(len(texts) / best, 1), "mb_per_s": round(size / best / 1e6, 2)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("CORPUSMILL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--documents", type=int, default=2500)
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.stages.signals.machine_text_oracle import Oracle

    texts = [t.text for t in corpora.library_texts(arguments.data) if t.slice.startswith("en_")][
        : arguments.documents
    ]
    column, tables = pa.array(texts, pa.large_string()), load_tables()
    reference, phrases = json.loads(REFERENCE.read_text()), json.loads(PHRASES.read_text())
    known = {word for words in reference["words"].values() for word in words.split()}
    stock = [p for s in ("stock", "disclosures") for language in phrases[s].values() for p in language]
    oracle = Oracle(reference, phrases, unpack_costs(reference["trigrams"]))
    stage = MarkMachineText()
    models = stage.open({})
    batch = pa.record_batch(machine_text_signals(column, tables))
    work = {
        "signals": (texts, lambda: machine_text_signals(column, tables)),
        "mark": (texts, lambda: stage.annotate(batch, models)),
        "usual": (texts, lambda: [usual(text, known, stock) for text in texts]),
        "oracle": (texts[:ORACLE_DOCUMENTS], lambda: [oracle.measure(t) for t in texts[:ORACLE_DOCUMENTS]]),
    }
    for _, run in work.values():
        run()  # compiles
    times = {name: [] for name in work}
    for _ in range(ROUNDS):  # one after the other in each round, so that all meet the same machine
        for name, (_, run) in work.items():
            times[name].append(seconds(run))
    rates = {name: rate(min(times[name]), own) for name, (own, _) in work.items()}
    ours = rates["signals"]["documents_per_s"]
    print(
        json.dumps(
            {
                "documents": len(texts),
                "mean_bytes": round(sum(len(t.encode()) for t in texts) / len(texts)),
                **rates,
                "signals_to_usual": round(ours / rates["usual"]["documents_per_s"], 1),
                "signals_to_oracle": round(ours / rates["oracle"]["documents_per_s"], 1),
                "versions": {
                    "python": platform.python_version(),
                    **{m.__name__: m.__version__ for m in (np, numba, pa)},
                },
                "machine": platform.processor() or platform.machine(),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
