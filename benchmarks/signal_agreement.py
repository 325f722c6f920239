"""Our signals beside the numbers in datatrove's filters, on the same English documents.

    python -m benchmarks.signal_agreement --peer-python /peer/bin/python [--data FOLDER] > agreement.json

Prose (NLTK's, as in benchmarks/signals.py) and web pages from WARC files (resiliparse's main content, pages with five
of Gopher's eight stop words). For each statistic and each kind of datatrove's words: the share of documents with
equal numbers, both means, the median of ours / theirs where both are above 0, and how many documents stand on
different sides of the published limit. docs/signals.md says why they differ.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pyarrow as pa
from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text

from benchmarks.signals import load_documents
from stages.signals.text import text_signals

ARCHIVES = (
    "aut/warc/example.warc.gz",
    "dolma_cc/sample-0000.warc.gz",
    "packed/aeb_dev.warc.gz",
    "resiliparse/warcfile.warc.gz",
)
PROSE = 300
MIN_CHARS, MAX_CHARS = 500, 20_000
LIMITS = {  # keep what is at least, at most: Gopher's table A1 and section A.1.1, FineWeb, C4
    "word_count": (50, 100_000),
    "mean_word_length": (3, 10),
    "hash_to_word_ratio": (None, 0.1),
    "ellipsis_to_word_ratio": (None, 0.1),
    "fraction_of_lines_starting_with_bullet": (None, 0.9),
    "fraction_of_lines_ending_with_ellipsis": (None, 0.3),
    "fraction_of_words_with_alpha": (0.8, None),
    "distinct_stop_words": (2, None),
    "duplicate_line_fraction": (None, 0.3),
    "duplicate_line_char_fraction": (None, 0.2),
    "duplicate_paragraph_fraction": (None, 0.3),
    "duplicate_paragraph_char_fraction": (None, 0.2),
    "top_2gram_char_fraction": (None, 0.2),
    "top_3gram_char_fraction": (None, 0.18),
    "top_4gram_char_fraction": (None, 0.16),
    **{f"duplicate_{n}gram_char_fraction": (None, (20 - n) / 100) for n in range(5, 11)},
    "fraction_of_lines_ending_with_terminal_punctuation": (0.12, None),
    "short_line_fraction": (None, 0.67),
    "fineweb_duplicate_line_char_fraction": (None, 0.01),
    "newline_to_word_ratio": (None, 0.3),
    "sentence_count": (None, None),
    "c4_sentence_count": (5, None),
    "javascript_line_fraction": (None, 0),
    "curly_brace_count": (None, 0),
    "lorem_ipsum_count": (None, 0),
    "max_word_length": (None, 1000),
    "c4_terminal_line_fraction": (None, None),
}
OURS = {  # theirs -> our column, where the names differ
    "fineweb_duplicate_line_char_fraction": "duplicate_line_char_fraction",
    "c4_sentence_count": "sentence_count",
    "c4_terminal_line_fraction": "fraction_of_lines_ending_with_terminal_punctuation",
}


def pages_of(path):
    """Main text of each page of an archive."""
    wanted = WarcRecordType.response
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=wanted, parse_http=True):
            if "html" in (record.http_content_type or ""):
                page = record.reader.read().decode("utf-8", "replace")
                yield extract_plain_text(page, main_content=True)[:MAX_CHARS]


def load_pages(folder):
    """English pages of some length; each text once."""
    texts = [text for name in ARCHIVES for text in pages_of(folder / "warc" / name)]
    texts = [text for text in dict.fromkeys(texts) if len(text) >= MIN_CHARS]
    stops = text_signals(pa.array(texts, pa.large_string()))["distinct_stop_words"].to_pylist()
    return [text for text, found in zip(texts, stops, strict=True) if found >= 5]


def side(value, limits):
    """Is the value kept? What is not measured is."""
    least, most = limits
    return value is None or ((least is None or value >= least) and (most is None or value <= most))


def compare(ours, theirs, limits):
    """How two lists of one statistic differ."""
    pairs = list(zip(ours, theirs, strict=True))
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    ratios = [a / b for a, b in both if a > 0 and b > 0]
    found = {
        "equal": round(sum(abs(a - b) <= 1e-9 for a, b in both) / max(len(both), 1), 3),
        "our_mean": round(statistics.fmean(a for a, _ in both), 4),
        "their_mean": round(statistics.fmean(b for _, b in both), 4),
        "ours_to_theirs": round(statistics.median(ratios), 3) if ratios else None,
    }
    if limits != (None, None):
        found["other_side"] = sum(side(a, limits) != side(b, limits) for a, b in pairs)
    return found


def run_peer(python, documents):
    script = Path(__file__).with_name("peers") / "datatrove_stats.py"
    lines = "\n".join(map(json.dumps, documents))
    done = subprocess.run([python, script], input=lines, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("CORPUSMILL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder that has text/ and warc/")
    parser.add_argument(
        "--peer-python", required=True, help="a Python that has datatrove[processing] and spacy"
    )
    options = parser.parse_args()
    prose = load_documents(options.data, None)
    corpora = {"prose": prose[:: len(prose) // PROSE][:PROSE], "web": load_pages(options.data)}
    report = {}
    for name, documents in corpora.items():
        columns = text_signals(pa.array(documents, pa.large_string()))
        theirs = run_peer(options.peer_python, documents)
        report["versions"] = theirs.pop("versions")
        report[name] = {"documents": len(documents)} | {
            key: {
                words: compare(columns[OURS.get(key, key)].to_pylist(), numbers[key], limits)
                for words, numbers in theirs.items()
                if key in numbers
            }
            for key, limits in LIMITS.items()
        }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
