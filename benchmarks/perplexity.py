"""Perplexity of documents: MB a CPU-second, beside kenlm on the same model, and what training a model costs.

    python -m benchmarks.perplexity [--data FOLDER] > perplexity.json

The model is of four fifths of NLTK's English prose (benchmarks/signals.py cuts it), the fifth is scored. kenlm reads the
ARPA file that we wrote; it is given lines of words that are cut already, which is left out of its time and is in
ours. Both run in one process, in turn; the best of five.
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

from benchmarks.signals import load_documents
from stages.kernels.words import hash_words, word_alphabet
from stages.signals._lm_model import arpa_parts, build_model, lines_of, number_words, score

ROUNDS = 5


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def cut_lines(model, spellings, column):
    """The words of each line that has any, as kenlm wants them."""
    lines, _ = lines_of(column)
    words = hash_words(lines, word_alphabet())
    tokens, starts = number_words(words.hashes, words.offsets, model.words, model.word_slots)
    bounds = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    return [" ".join(spellings[t] for t in tokens[a + 1 : b - 1]) for a, b in bounds if b > a]


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
    build_model([train.slice(0, 100)], 3, 2, 10**6, 1)  # compile
    start = time.process_time()
    built = build_model([train], 3, 2, 10**6, 1)
    training = time.process_time() - start
    with tempfile.NamedTemporaryFile("w", suffix=".arpa", encoding="utf-8") as file:
        file.writelines(arpa_parts(built))
        file.flush()
        theirs = kenlm.Model(file.name)
    lines = cut_lines(built.model, built.spellings, column)
    score(built.model, column)
    times = [
        (
            seconds(lambda: score(built.model, column)),
            seconds(lambda: [theirs.score(line, bos=True, eos=True) for line in lines]),
        )
        for _ in range(ROUNDS)
    ]
    own, peer = (min(each) for each in zip(*times, strict=True))
    size = sum(len(text.encode()) for text in documents[::5])
    report = {
        "documents": len(column),
        "median_perplexity": round(float(np.median(score(built.model, column).perplexity)), 1),
        "ngrams": [len(n.probs) for n in built.orders],
        "training_mb_per_cpu_s": round(train.nbytes / training / 1e6, 2),
        "mb_per_cpu_s": round(size / own / 1e6, 1),
        "documents_per_cpu_s": round(len(column) / own),
        "kenlm_mb_per_cpu_s": round(size / peer / 1e6, 1),
        "ratio_to_kenlm": round(peer / own, 2),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "versions": {name: metadata.version(name) for name in ("kenlm-ex", "numba", "numpy", "pyarrow")},
        "python": platform.python_version(),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
