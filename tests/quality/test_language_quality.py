"""Are languages found as well as they were? Accuracy on labelled texts, and agreement with reading all of a text.

PUD: 3,000 single sentences in 6 languages. UDHR: the first kilobytes of a declaration in each language that
lid.176 knows by the code of its file (dialects, macrolanguages and close neighbours are in it, so 1 is out of
reach). Prose: pieces of books, laws and speeches of about 5,000 characters.

    python -m tests.quality.test_language_quality            # prints scores beside floors
    python -m tests.quality.test_language_quality --update   # writes floors; refuses to lower one
"""

import functools
import gzip
import hashlib
import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.models import fetch
from stages.kernels.fasttext_spans import text_lines
from stages.signals._language_codes import language_code
from stages.signals.language import identify_languages, load_model
from stages.signals.paragraph_languages import IdentifyParagraphLanguages, label_lines, share_letters
from tests.support.data import real_data

FLOORS = Path(__file__).with_name("floors_language.json")
PROSE = {"nltk_gutenberg": "en", "eltec_deu_sample": "de", "eltec_fra_sample": "fr", "eltec_spa_sample": "es"}
FILES = {
    "pud": ("lang/pud_dev.jsonl.gz",),
    "udhr": ("lang/udhr2.zip",),
    "prose": tuple(f"text/{name}.jsonl.gz" for name in PROSE),
}
HEAD = 1000  # what identify_language reads unless told otherwise
PIECE = 5000
Labelled = list[tuple[str, str]]


@functools.cache
def model():
    return load_model(fetch("lid176"))


def pud(paths) -> Labelled:
    with gzip.open(paths[0], "rt", encoding="utf-8") as file:
        return [(row["lang"], row["text"]) for row in map(json.loads, file)]


def udhr(paths) -> Labelled:
    known, rows = set(model().codes), []
    with zipfile.ZipFile(paths[0]) as archive:
        for name in sorted(archive.namelist()):
            code = language_code(Path(name).stem.split("_")[0])
            if name.endswith(".txt") and code in known:
                rows.append((code, archive.read(name).decode("utf-8", "replace")))
    return rows


def prose(paths) -> Labelled:
    rows = []
    for path in paths:
        language = PROSE[Path(path).name.removesuffix(".jsonl.gz")]
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                text = json.loads(line)["text"][:100_000]
                rows += [(language, text[k : k + PIECE]) for k in range(0, len(text), PIECE)]
    return rows


READERS = {"pud": pud, "udhr": udhr, "prose": prose}


def measure(name, paths) -> dict[str, float]:
    gold, texts = zip(*READERS[name](paths), strict=True)
    column = pa.array(texts, pa.large_string())
    head, whole = (identify_languages(column, model(), chars)[0].to_pylist() for chars in (HEAD, None))
    lines = text_lines(column)
    stage = IdentifyParagraphLanguages()
    labels = label_lines(lines, model(), stage.min_letters, stage.min_score)
    main = share_letters(lines, labels, len(texts), model().codes).main
    decided = [model().codes[label] if label >= 0 else None for label in main]
    pairs = list(zip(decided, gold, strict=True))
    return {
        "accuracy": share(a == b for a, b in zip(head, gold, strict=True)),
        "accuracy_of_whole_text": share(a == b for a, b in zip(whole, gold, strict=True)),
        "agreement_with_whole_text": share(a == b for a, b in zip(head, whole, strict=True)),
        "main_language_decided": share(a is not None for a, _ in pairs),
        "main_language_right": share(a == b for a, b in pairs if a is not None),
    }


def share(values) -> float:
    return round(float(np.mean(list(values))), 4)


def digest(paths) -> str:
    return hashlib.sha256(b"".join(Path(path).read_bytes() for path in paths)).hexdigest()


@pytest.mark.real_data
@pytest.mark.parametrize("name", FILES)
def test_as_good_as_before(name):
    pinned, paths = json.loads(FLOORS.read_text()), [real_data(file) for file in FILES[name]]
    assert digest(paths) == pinned["data"][name], "the data changed: measure again with --update"
    scores = measure(name, paths)
    assert scores.keys() == pinned["floors"][name].keys()
    assert {what: value for what, value in scores.items() if value < pinned["floors"][name][what]} == {}


def main() -> None:
    base = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    paths = {name: [base / file for file in files] for name, files in FILES.items()}
    now = {name: measure(name, found) for name, found in paths.items()}
    old = json.loads(FLOORS.read_text())["floors"] if FLOORS.exists() else {}
    lowered = []
    for name, scores in now.items():
        for what, value in scores.items():
            floor = old.get(name, {}).get(what)
            print(f"{name:8} {what:28} {value:.4f}  floor {floor}")
            if floor is not None and value < floor:
                lowered.append(f"{name} {what}")
    if "--update" in sys.argv:
        if lowered:
            sys.exit(f"not written, these would fall: {', '.join(lowered)}")
        pinned = {"data": {name: digest(found) for name, found in paths.items()}, "floors": now}
        FLOORS.write_text(json.dumps(pinned, indent=2) + "\n")


if __name__ == "__main__":
    main()
