"""Language identification and a quality classifier: the compiled reader of fastText models beside the library.

    python -m benchmarks.language [--data FOLDER] > language.json

Both read the same texts with the same model, interleaved, CPU time of this process, the fastest of some rounds. The
library gets a list of strings, its fastest way; the compiled reader an Arrow column. Labels are compared too.
"""

import argparse
import gzip
import hashlib
import json
import os
import platform
import tempfile
import time
from importlib import metadata
from pathlib import Path

import fasttext
import numpy as np
import pyarrow as pa

from pipeline.models import fetch
from stages.kernels.fasttext import load_fasttext
from stages.signals.language import identify_languages, load_model
from stages.signals.paragraph_languages import label_lines, share_letters, text_lines
from stages.signals.train_classifier import Settings, train_classifier

SETS = {
    "English": ("nltk_gutenberg", "nltk_state_union", "rust_rfcs_sample"),
    "German, French, Spanish": (
        "eltec_deu_sample",
        "eltec_fra_sample",
        "eltec_spa_sample",
        "gesetze_de_sample",
    ),
    "Japanese, Chinese": ("aozora_ja_pd_sample", "poetry_zh_sample"),
}
DOCUMENT_CHARS, MOST, ROUNDS = 2600, 3000, 5


def load_texts(folder, names):
    """Pieces of about 2,600 characters, on one line, as the library wants them."""
    texts = []
    for name in names:
        with gzip.open(folder / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as rows:
            for row in rows:
                text = json.loads(row)["text"].replace("\n", " ")[:100_000]
                texts += [text[k : k + DOCUMENT_CHARS].strip() for k in range(0, len(text), DOCUMENT_CHARS)]
    return [text for text in texts if text][:MOST]


def interleaved(works):
    """CPU seconds of each, the fastest of ROUNDS, taken in turns."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - start)
    return best


def speeds(seconds, documents, size):
    return {
        name: {"documents_per_cpu_s": round(documents / s), "mb_per_cpu_s": round(size / s / 1e6, 1)}
        for name, s in seconds.items()
    }


def compare(model_path, texts):
    library, ours = fasttext.load_model(str(model_path)), load_fasttext(model_path)
    column = pa.array(texts, pa.large_string())
    found = ours.predict(column)
    labels, scores = library.predict(texts)
    seconds = interleaved(
        {"compiled": lambda: ours.predict(column), "library": lambda: library.predict(texts)}
    )
    return {
        **speeds(seconds, len(texts), column.nbytes),
        "times_as_fast": round(seconds["library"] / seconds["compiled"], 1),
        "equal_labels": float(
            np.mean([ours.labels[n] == label[0] for n, label in zip(found.labels, labels, strict=True)])
        ),
        "largest_difference_of_scores": float(np.abs(found.scores - [float(s[0]) for s in scores]).max()),
        "documents": len(texts),
    }


def paragraphs(model_path, texts):
    """The whole of identify_paragraph_languages, on lines of 200 characters."""
    loaded = load_model(model_path)
    cut = ["\n".join(text[k : k + 200] for k in range(0, len(text), 200)) for text in texts]
    column = pa.array(cut, pa.large_string())

    def work():
        lines = text_lines(column)
        return share_letters(lines, label_lines(lines, loaded, 40, 0.5), len(cut), loaded.codes)

    work()
    whole = lambda: identify_languages(column, loaded, None)  # noqa: E731
    return speeds(interleaved({"by_line": work, "document": whole}), len(cut), column.nbytes)


def quality_model(folder, texts):
    """A classifier with word bigrams of a size that is in use: English prose against everything else."""
    pairs = [(label, text[:1500]) for label, group in texts.items() for text in group[:600]]
    path = folder / "quality.bin"
    path.write_bytes(train_classifier(pairs, Settings(dim=100, bucket=500_000, epochs=3), None).model)
    return path


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("CORPUSMILL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder that has text/*.jsonl.gz")
    options = parser.parse_args()
    texts = {name: load_texts(options.data, files) for name, files in SETS.items()}
    model = fetch("lid176")
    results = {
        name: {
            "whole": compare(model, group),
            "first 1,000 characters": compare(model, [text[:1000] for text in group]),
            "paragraphs": paragraphs(model, group),
        }
        for name, group in texts.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"prose": texts["English"], "other": texts["German, French, Spanish"]}
        results["quality classifier, bigrams, dim 100, English"] = compare(
            quality_model(Path(folder), kinds), texts["English"]
        )
    digest = hashlib.sha256("\0".join(text for group in texts.values() for text in group).encode())
    report = {
        "corpus": {"sha256": digest.hexdigest(), "documents": sum(map(len, texts.values()))},
        "results": results,
        "versions": {n: metadata.version(n) for n in ("fasttext-community", "numba", "numpy", "pyarrow")},
        "machine": {"python": platform.python_version(), "cpu": platform.processor() or platform.machine()},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
