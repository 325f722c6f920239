"""Quality rules: documents and MB per CPU-second, beside datatrove's filters on the same documents.

    python -m benchmarks.filters [--data FOLDER] [--documents N] [--peer-python PYTHON] > filters.json

The documents are English prose as in benchmarks/signals.py. Ours start from the Arrow column and end with reasons,
evidence and, where the rules edit, the new text. `chain` is all of it as a recipe has it: signals, both Gopher
rule sets, C4's rules, signals of the edited text, FineWeb's rules. datatrove runs in an interpreter of its own
(--peer-python, with datatrove installed), on every k-th document, with its default words and with str.split's; the
same number of rounds, ours and theirs in turn.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pyarrow as pa

from benchmarks.signals import cpu_seconds, load_documents
from stages.filters.boilerplate import BoilerplateRules
from stages.filters.c4 import C4Rules
from stages.filters.fineweb import FinewebRules
from stages.filters.gopher import GopherRepetition, GopherRules
from stages.filters.refinedweb import RefinedwebRules
from stages.signals.text import TextSignals

ROUNDS = 3
PEER_DOCUMENTS = 200
PEER_SCRIPT = Path(__file__).with_name("peers") / "datatrove_cost.py"


def annotate(stage):
    resource = stage.open({})

    def work(batch):
        return stage.annotate(batch, resource)

    return work


def with_signals(stage):
    """Signals and the thresholds on them, as one piece of work."""
    signals = TextSignals()

    def work(batch):
        return stage.annotate(pa.RecordBatch.from_pydict(dict(signals.annotate(batch, None).columns)), None)

    return work


def chain():
    """All rules of the FineWeb recipe, in its order."""
    signals, edit = TextSignals(), C4Rules(require_terminal_mark=False)
    resource = edit.open({})

    def work(batch):
        columns = pa.RecordBatch.from_pydict(dict(signals.annotate(batch, None).columns))
        marks = [GopherRepetition().annotate(columns, None), GopherRules().annotate(columns, None)]
        edited = edit.annotate(batch, resource)
        after = pa.record_batch({"text": edited.columns["text"]})
        columns = pa.RecordBatch.from_pydict(dict(signals.annotate(after, None).columns))
        return [*marks, edited, FinewebRules().annotate(columns, None)]

    return work


WORK = {
    "c4": annotate(C4Rules()),
    "refinedweb": annotate(RefinedwebRules()),
    "boilerplate": annotate(BoilerplateRules()),
    "gopher_quality": with_signals(GopherRules()),
    "gopher_repetition": with_signals(GopherRepetition()),
    "fineweb": with_signals(FinewebRules()),
    "chain": chain(),
}


def rate(seconds, documents):
    size = sum(len(text.encode()) for text in documents)
    return {
        "documents_per_cpu_s": round(len(documents) / seconds),
        "mb_per_cpu_s": round(size / seconds / 1e6, 2),
        "us_per_document": round(seconds / len(documents) * 1e6, 1),
    }


def peer_rates(python, documents):
    """What datatrove's filters cost in their own interpreter, by words and filter."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(documents, file)
        file.flush()
        done = subprocess.run(
            [python, str(PEER_SCRIPT), file.name],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("CORPUSMILL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder that has text/*.jsonl.gz")
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--peer-python", help="an interpreter that has datatrove, spacy and nltk")
    options = parser.parse_args()
    documents = load_documents(options.data, options.documents)
    few = documents[:: max(len(documents) // PEER_DOCUMENTS, 1)]
    batch = pa.record_batch({"text": pa.array(documents, pa.large_string())})
    for work in WORK.values():
        work(batch.slice(0, 8))  # compile, or load from the cache
    ours = dict.fromkeys(WORK, float("inf"))
    peer = {}
    for _ in range(ROUNDS):
        ours = {name: min(best, cpu_seconds(WORK[name], batch, 1)) for name, best in ours.items()}
        if options.peer_python:
            found = peer_rates(options.peer_python, few)
            versions = found.pop("versions")
            for words, filters in found.items():
                for name, seconds in filters.items():
                    best = peer.setdefault(words, {}).get(name, float("inf"))
                    peer[words][name] = min(best, seconds)
    results = {name: rate(seconds, documents) for name, seconds in ours.items()}
    report = {
        "corpus": {
            "documents": len(documents),
            "bytes": sum(len(text.encode()) for text in documents),
            "sha256": hashlib.sha256("\0".join(documents).encode()).hexdigest(),
        },
        "ours": results,
        "versions": {name: metadata.version(name) for name in ("numba", "numpy", "pyarrow")},
        "machine": {"python": platform.python_version(), "cpu": platform.processor() or platform.machine()},
    }
    if peer:
        report["datatrove"] = {
            "versions": versions,
            "documents": len(few),
            **{w: {name: rate(s, few) for name, s in filters.items()} for w, filters in peer.items()},
        }
        report["times_datatrove"] = {
            words: {
                name: round(seconds / len(few) * 1e6 / results[name]["us_per_document"], 1)
                for name, seconds in filters.items()
            }
            for words, filters in peer.items()
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
