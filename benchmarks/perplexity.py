"""Perplexity of documents: MB a CPU-second, beside kenlm on the same model, and what a model costs.

    python -m benchmarks.perplexity [--data FOLDER] > perplexity.json

The models are of four fifths of NLTK's English prose (benchmarks/signals.py cuts it), the fifth is scored. kenlm
reads the ARPA file that we wrote. `kenlm` is its time for lines of words that are cut already, which is in ours;
`kenlm_stage` is what the stage takes with kenlm, cutting included. All run in one process, in turn; the best of five.
"""

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from importlib import metadata
from pathlib import Path

import kenlm
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.signals import load_documents
from stages.signals._kenlm import KenlmScorer, _words_of
from stages.signals._lm_arpa import arpa_parts, read_arpa
from stages.signals._lm_model import build_model, score

ROUNDS = 5
ORDERS = (3, 5)


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def cut_lines(column):
    """The words of each line that has any, as kenlm wants them."""
    words, _ = _words_of(column)
    return [line for line in pc.binary_join(words, pa.scalar(" ", pa.large_string())).to_pylist() if line]


def measure(train, column, order):
    """One order's figures."""
    start = time.process_time()
    built = build_model([train], order, 2, 10**6, 1)
    training = time.process_time() - start
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.arpa"
        path.write_text("".join(arpa_parts(built)), "utf-8")
        theirs, stage = kenlm.Model(str(path)), KenlmScorer(str(path), None)
        reading = seconds(lambda: read_arpa(path))
    lines = cut_lines(column)
    works = {
        "own": lambda: score(built.model, column),
        "kenlm": lambda: [theirs.score(line, bos=True, eos=True) for line in lines],
        "kenlm_stage": lambda: stage.score(column),
    }
    times = [{name: seconds(work) for name, work in works.items()} for _ in range(ROUNDS)]
    best = {name: min(each[name] for each in times) for name in works}
    size = pc.sum(pc.binary_length(column)).as_py()
    apart = np.abs(score(built.model, column).perplexity / stage.score(column).perplexity - 1)
    return {
        "median_perplexity": round(float(np.median(score(built.model, column).perplexity)), 1),
        "largest_relative_difference_to_kenlm": float(f"{apart.max():.1e}"),
        "ngrams": [len(n.probs) for n in built.orders],
        "training_mb_per_cpu_s": round(train.nbytes / training / 1e6, 2),
        "reading_arpa_cpu_s": round(reading, 2),
        "documents_per_cpu_s": round(len(column) / best["own"]),
        "mb_per_cpu_s": {name: round(size / took / 1e6, 1) for name, took in best.items()},
        "ratio_to_kenlm": round(best["kenlm"] / best["own"], 2),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("CORPUSMILL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder that has text/*.jsonl.gz")
    options = parser.parse_args()
    documents = load_documents(options.data, None)
    train = pa.array([text for k, text in enumerate(documents) if k % 5], pa.large_string())
    column = pa.array(documents[::5], pa.large_string())
    score(build_model([train.slice(0, 100)], 3, 2, 10**6, 1).model, column)  # compile
    report = {
        "documents": len(column),
        "by_order": {order: measure(train, column, order) for order in ORDERS},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "versions": {name: metadata.version(name) for name in ("kenlm-ex", "numba", "numpy", "pyarrow")},
        "python": platform.python_version(),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
