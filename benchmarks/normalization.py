"""Text repair: documents and MB per CPU-second, beside ftfy alone, and OpenCC through convert_chinese.

    python -m benchmarks.normalization [--data FOLDER] [--documents N] > normalization.json

Documents are pieces of up to 3,000 characters of clean text in five languages (and Markdown), already without
blanks at line ends, as extraction leaves them. "ftfy" is ftfy.fix_text with the configuration that our defaults
amount to, one document at a time: less work than ours, as it touches neither blanks nor invisible characters.
"ours_every_row" is our own repair without the prefilter. `damaged` has one line of mojibake in each document,
`blanks` a blank at the end of every line, `soft_hyphens` one in each. Runs are interleaved; the fastest of each counts.
"""

import argparse
import gzip
import json
import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path

import ftfy
import pyarrow as pa

from stages.normalization.chinese import ConvertChinese
from stages.normalization.unicode import RepairText

LANGUAGES = {
    "en": "nltk_gutenberg",
    "de": "eltec_deu_sample",
    "fr": "eltec_fra_sample",
    "ja": "aozora_ja_pd_sample",
    "zh": "poetry_zh_sample",
    "en_markdown": "rust_rfcs_sample",
}
PIECE_CHARS, MAX_PIECES = 3000, 100
ROUNDS = 5
MOJIBAKE = "schÃ¶ne GrÃ¼ÃŸe aus MÃ¼nchen"


def load_documents(folder, name, limit):
    """Pieces of at least 500 characters, cut at line ends, clean; poems are joined."""
    found, rest = [], ""
    with gzip.open(folder / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as rows:
        for row in rows:
            text = json.loads(row)["text"]
            rest = f"{rest}\n\n{text}"
            if len(rest) < PIECE_CHARS:
                continue
            pieces = [rest[i : i + PIECE_CHARS] for i in range(0, len(rest), PIECE_CHARS)][:MAX_PIECES]
            found += [piece for piece in pieces if len(piece) >= 500]
            rest = ""
            if len(found) >= limit:
                break
    stage = RepairText()
    if name == LANGUAGES["en"]:
        found = [text for text in found if text.isascii()]
    return [stage.repair(stage.repair(text)) for text in found[:limit]]


def spoil(texts, kind):
    """Texts with something to repair."""
    if kind == "damaged":
        return [f"{text}\n{MOJIBAKE}" for text in texts]
    if kind == "blanks":
        return [text.replace("\n", " \n") for text in texts]
    return [f"{text} Do\xadnau" for text in texts]


def measure(texts):
    """Documents and MB a CPU-second of the three ways, and how many documents each changed."""
    stage = RepairText()
    config = stage._ftfy_config()
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    ways = {
        "ours": lambda: stage.annotate(batch, None),
        "ours_every_row": lambda: [stage.repair(text) for text in texts],
        "ftfy": lambda: [ftfy.fix_text(text, config) for text in texts],
    }
    repaired = stage.annotate(batch, None).columns["text"].to_pylist()
    if repaired != ways["ours_every_row"]():
        sys.exit("the prefilter missed a text: the two ways differ")
    seconds = fastest(ways)
    size = sum(len(text.encode()) for text in texts) / 1e6
    row = {
        "documents": len(texts),
        "mb": round(size, 3),
        "changed": sum(map(str.__ne__, texts, repaired)),
    }
    for name, spent in seconds.items():
        row[f"{name}_documents_per_s"] = round(len(texts) / spent)
        row[f"{name}_mb_per_s"] = round(size / spent, 1)
    row["gain_over_ftfy"] = round(seconds["ftfy"] / seconds["ours"], 1)
    return row


def fastest(ways):
    """CPU seconds of the fastest of interleaved runs."""
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            begin = time.process_time()
            way()
            seconds[name] = min(seconds[name], time.process_time() - begin)
    return seconds


def measure_chinese(texts):
    stage = ConvertChinese(to="simplified")
    resource = stage.open({})
    columns = {"text": pa.array(texts, pa.large_string()), "lang": pa.array(["zh"] * len(texts))}
    batch = pa.record_batch(columns)
    stage.annotate(batch, resource)
    ways = {
        "ours": lambda: stage.annotate(batch, resource),
        "opencc": lambda: [resource.convert(text) for text in texts],
    }
    size = sum(len(text.encode()) for text in texts) / 1e6
    return {f"{name}_mb_per_s": round(size / spent, 1) for name, spent in fastest(ways).items()}


def main():
    parser = argparse.ArgumentParser()
    default = os.environ.get("CORPUSMILL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--documents", type=int, default=300)
    args = parser.parse_args()
    texts = {lang: load_documents(args.data, name, args.documents) for lang, name in LANGUAGES.items()}
    report = {
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("ftfy", "pyarrow", "google-re2", "opencc")},
        "clean": {lang: measure(found) for lang, found in texts.items()},
        **{
            kind: {lang: measure(spoil(texts[lang], kind)) for lang in ("de", "ja")}
            for kind in ("damaged", "blanks", "soft_hyphens")
        },
        "convert_chinese": measure_chinese(texts["zh"]),
    }
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
