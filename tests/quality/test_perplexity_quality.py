"""Does perplexity tell prose from what is none? Areas under the ROC curve against spoilt text.

The model is trained on four fifths of NLTK's State of the Union, inaugural and Gutenberg texts, cut into 2,600
characters; the rest is the prose. Spoilt are: its words shuffled within each document; 2 % and 8 % of its letters replaced
by others; German, French and Spanish novels. What perplexity does not see is lists of short lines (docs/perplexity.md).

    python -m tests.quality.test_perplexity_quality            # prints scores beside floors
    python -m tests.quality.test_perplexity_quality --update   # raises floors; refuses to lower one
"""

import gzip
import hashlib
import json
import os
import random
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stages.signals._lm_model import build_model, score
from tests.support.data import real_data

FLOORS = Path(__file__).with_name("floors_perplexity.json")
PROSE = ("nltk_state_union", "nltk_inaugural", "nltk_gutenberg")
OTHER_LANGUAGES = ("eltec_deu_sample", "eltec_fra_sample", "eltec_spa_sample")
PIECE_CHARS, MAX_PIECES = 2600, 500
LETTERS = "abcdefghijklmnopqrstuvwxyz"
NOISE = 0.002  # a release of numpy may sum in another order; nothing else moves these


def pieces_of(path):
    found = []
    with gzip.open(path, "rt", encoding="utf-8") as rows:
        for row in rows:
            text = json.loads(row)["text"]
            found += [text[k : k + PIECE_CHARS] for k in range(0, len(text), PIECE_CHARS)]
    return found


def shuffled(text, rng):
    words = text.split()
    rng.shuffle(words)
    return " ".join(words)


def misread(text, rng, share=0.08):
    return "".join(rng.choice(LETTERS) if c.isalpha() and rng.random() < share else c for c in text)


def misread_a_little(text, rng):
    return misread(text, rng, 0.02)


def area(low, high):
    """How often a value of `high` is above one of `low`: the area under the ROC curve."""
    ranks = np.searchsorted(np.sort(low), high) / len(low)
    return round(float(ranks.mean()), 4)


def measure(paths):
    prose = [piece for name in PROSE for piece in pieces_of(paths[name])]
    held_out = prose[::5][:MAX_PIECES]
    train = [piece for k, piece in enumerate(prose) if k % 5]
    model = build_model([pa.array(train, pa.large_string())], 3, 2, 1_000_000, 1).model

    def perplexity(texts):
        return score(model, pa.array(texts, pa.large_string())).perplexity

    own = perplexity(held_out)
    rng = random.Random(7)
    found = {
        spoil.__name__: area(own, perplexity([spoil(text, rng) for text in held_out]))
        for spoil in (shuffled, misread, misread_a_little)
    }
    for name in OTHER_LANGUAGES:
        found[name] = area(own, perplexity(pieces_of(paths[name])[:MAX_PIECES]))
    return found


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.real_data
def test_perplexity_tells_prose_from_noise_as_well_as_it_did():
    paths = {name: real_data(f"text/{name}.jsonl.gz") for name in PROSE + OTHER_LANGUAGES}
    known = json.loads(FLOORS.read_text())
    assert {name: digest(path) for name, path in paths.items()} == known["data"], "other data: run --update"
    found = measure(paths)
    assert found.keys() == known["floors"].keys()
    fallen = {
        name: (area, known["floors"][name])
        for name, area in found.items()
        if area < known["floors"][name] - NOISE
    }
    assert not fallen


def test_the_area_by_hand():
    assert area([1.0, 2.0], [3.0, 1.5]) == 0.75


def main(update):
    base = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "text"
    paths = {name: base / f"{name}.jsonl.gz" for name in PROSE + OTHER_LANGUAGES}
    found = measure(paths)
    old = json.loads(FLOORS.read_text())["floors"] if FLOORS.exists() else {}
    for name, value in found.items():
        print(name, value, "floor", old.get(name))
        if update and value < old.get(name, 0) - NOISE:
            sys.exit(f"{name} is worse than its floor: lower a floor by hand, and say why")
    if update:
        data = {name: digest(path) for name, path in paths.items()}
        FLOORS.write_text(json.dumps({"data": data, "floors": found}, indent=2) + "\n")


if __name__ == "__main__":
    main("--update" in sys.argv)
