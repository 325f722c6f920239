"""What datatrove's filters say of the documents of tests/quality/rule_documents.py, recorded for a test of ours.

    /path/to/peer/python benchmarks/peers/datatrove_verdicts.py [--data FOLDER]

Writes tests/quality/datatrove_verdicts.json: a letter for each document and filter, a digest of the documents, and
for C4 eight hex digits of the text it leaves; no text. Each filter runs twice, with its default words (spaCy's) and
with str.split's, which cost it far less; C4's words are always the latter.
"""

import argparse
import hashlib
import json
import os
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the documents are made by a test's module

import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
import datatrove.pipeline.filters.gopher_quality_filter as gopher
import datatrove.pipeline.filters.gopher_repetition_filter as repetition
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

from tests.quality.rule_documents import digest, documents

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "quality" / "datatrove_verdicts.json"
FILTERS = {
    "gopher_repetition": GopherRepetitionFilter,
    "gopher_quality": GopherQualityFilter,
    "fineweb": FineWebQualityFilter,
    "c4": C4QualityFilter,
    "c4_any_line_end": lambda: C4QualityFilter(filter_no_terminal_punct=False),
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def split_words(text, language=None):  # noqa: ARG001
    return text.split()


def verdict(rule, text):
    """(reason, text left) of one document; the reason is "kept", or "error" if the filter raises."""
    row = Document(text=text, id="1")
    try:
        said = rule.filter(row)
    except Exception as error:  # noqa: BLE001  (division by zero on texts without words)
        return f"error {type(error).__name__}", ""
    return ("kept", row.text) if said is True else (said[1], "")


def short_hash(text):
    return hashlib.sha256(text.encode()).hexdigest()[:8] if text else ""


def record(texts, names):
    found = {}
    for name in names:
        rule = FILTERS[name]()
        said = [verdict(rule, text) for text in texts]
        reasons = ["kept", *sorted({reason for reason, _ in said} - {"kept"})]
        found[name] = {
            "reasons": reasons,
            "verdicts": "".join(LETTERS[reasons.index(reason)] for reason, _ in said),
        }
        if name.startswith("c4"):
            found[name]["texts"] = ",".join(short_hash(text) for _, text in said)
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("CORPUSMILL_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder that has text/ and html/")
    options = parser.parse_args()
    found = list(documents(options.data))
    texts = [text for _, text in found]
    default_words = record(texts, FILTERS)
    for module in (fineweb, gopher, repetition):
        module.split_into_words = split_words
    split = record(texts, [name for name in FILTERS if not name.startswith("c4")])
    report = {
        "datatrove": metadata.version("datatrove"),
        "spacy": metadata.version("spacy"),
        "documents": len(texts),
        "sha256": digest(found),
        "words": {"default": default_words, "split": split},
    }
    OUT.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(f"{OUT}: {len(texts)} documents")


if __name__ == "__main__":
    main()
