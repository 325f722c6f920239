"""Make the word list, the trigram costs and the default weights of machine-text marks, from real data.

    python -m benchmarks.train_machine_text reference [--data FOLDER]   # stages/signals/machine_text_reference.json
    python -m benchmarks.train_machine_text weights [--data FOLDER]     # stages/signals/machine_text_weights.json
    python -m benchmarks.train_machine_text evaluate [--data FOLDER]    # what the weights are worth, as JSON

Words and trigrams are counted over texts in the public domain or under a permissive licence (books, speeches, laws,
RFCs, the Declaration of Human Rights, mail released as CC0), in their training part only, so that the tests' texts are
strangers to the list. Word lists hold facts about the texts, none of their sentences.
"""

import argparse
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from benchmarks import machine_text_data as corpora
from stages.signals import _machine_tables as machine
from stages.signals._machine_fit import fit_model, rank_auc, set_threshold
from stages.signals._machine_model import (
    KINDS,
    LinearModel,
    applies,
    feature_matrix,
    load_models,
    score,
    to_json,
)
from stages.signals._machine_reference import REFERENCE, letter_ids, load_tables, pack_costs
from stages.signals.machine_text import machine_text_signals
from stages.signals.machine_text_mark import DEFAULT_WEIGHTS, MarkMachineText
from stages.signals.train_machine_text import default_features

WORD = re.compile(r"[^\W_]+")
BAND_ENDS = (200, 2000, 8000)  # rank in its language: the last words of bands 1, 2, 3
LIST_SIZES = {"en": 20000, "de": 9000, "fr": 7000, "es": 7000}
MIN_COUNT = 3
ONE_LETTER = set("aioyeuàéèó")
LANGUAGE_SHARE = 0.75  # of the trigram counts; the rest is all languages of the Declaration in Latin letters


def training_texts(data: Path) -> dict[str, list[str]]:
    """Human texts of the training part by language, whole sources mixed."""
    found: dict[str, list[str]] = {language: [] for language in LIST_SIZES}
    for text in corpora.library_texts(data, 60_000) + corpora.mail_texts(data):
        language = text.slice[:2] if text.slice[:3] in ("en_", "de_", "fr_", "es_") else None
        if text.slice == "mail":
            language = "en"
        if language and not text.test:
            found[language].append(text.text)
    return found


def count_words(texts: Iterable[str]) -> Counter[str]:
    """Words in lower case that begin in lower case somewhere: names are no part of the list."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(w for w in WORD.findall(unicodedata.normalize("NFC", text)) if w[0].islower())
    return Counter({w: n for w, n in counts.items() if w.isalpha() and w.islower()})


def word_bands(by_language: dict[str, Counter[str]]) -> dict[str, str]:
    """Words by band, each in the band of the language where it is commonest."""
    best: dict[str, int] = {}
    for language, counts in sorted(by_language.items()):
        ranked = sorted(((-n, w) for w, n in counts.items() if n >= MIN_COUNT))[: LIST_SIZES[language]]
        for rank, (_, word) in enumerate(ranked):
            if len(word) > 1 or word in ONE_LETTER:
                band = 1 + sum(rank >= end for end in BAND_ENDS)
                best[word] = min(band, best.get(word, 9))
    bands: dict[str, list[str]] = {str(band): [] for band in range(1, 5)}
    for word in sorted(best):
        bands[str(best[word])].append(word)
    return {band: " ".join(words) for band, words in bands.items()}


def count_trigrams(words: Counter[str]) -> np.ndarray:
    """Trigrams of letter ids over words with a blank before and after, each word by its square root of count."""
    table = letter_ids()
    counts = np.zeros((machine.ALPHABET,) * 3)
    for word, n in words.items():
        ids = [min(int(table[ord(c)]), machine.DIGIT_CLASS) for c in word if ord(c) < len(table)]
        ids = [0, *(i for i in ids if i), 0]
        for a, b, c in zip(ids, ids[1:], ids[2:], strict=False):
            counts[a, b, c] += np.sqrt(n)
    return counts


def trigram_costs(mixed: np.ndarray) -> np.ndarray:
    """Eighths of a bit of the third letter after the first two, smoothed by the last two, then the last one."""
    one = mixed.sum((0, 1)) + 0.5
    one /= one.sum()
    two = mixed.sum(0) + 4 * one
    two /= two.sum(1, keepdims=True)
    scaled = mixed * 2e6 / mixed.sum()  # so that smoothing does not depend on how much was read
    three = scaled + 2 * two[None]
    three /= three.sum(2, keepdims=True)
    return np.clip(np.round(-np.log2(three) * 8), 0, 255).astype(np.uint8).reshape(-1)


def make_reference(data: Path) -> dict[str, object]:
    """The contents of machine_text_reference.json."""
    counted = {language: count_words(texts) for language, texts in training_texts(data).items()}
    rest = count_words(t.text for t in corpora.declaration_texts(data) if not t.test)
    mixed = np.zeros((machine.ALPHABET,) * 3)
    for words in counted.values():
        grams = count_trigrams(words)
        mixed += LANGUAGE_SHARE / len(counted) * grams / grams.sum()
    grams = count_trigrams(rest)
    mixed += (1 - LANGUAGE_SHARE) * grams / grams.sum()
    return {
        "about": "Words by how common they are in their language (1: the first 200, 2: 2,000, 3: 8,000, 4: the "
        "rest) and the cost of letter trigrams; made by `python -m benchmarks.train_machine_text reference` from "
        "texts in the public domain, CC0, MIT or Apache-2.0.",
        "languages": {language: LIST_SIZES[language] for language in counted},
        "words": word_bands(counted),
        "trigrams": pack_costs(trigram_costs(mixed)),
    }


# --- default weights ---------------------------------------------------------------------------------

TRAIN_RATES = (0.01, 0.02, 0.04, 0.08, 0.12)
TEST_RATES = (0.01, 0.03, 0.08)
OCR_NEEDS = {
    "style_words": 40.0,
    "ocr_judged_words": 0.3,
    "ocr_known_words": 0.6,  # at 0.4 and 0.5, Picard, Walloon and Luxembourgish were taken for misread French
    "style_top_200_words": 0.25,
}
LM_NEEDS = {"style_words": 40.0, "style_function_words": 0.25}
OCR_L2, LM_L2 = 10.0, 30.0
MAX_FPR = 0.01
# Human texts of other kinds than the machine half's weigh a tenth: with more, the fit learns to tell an
# encyclopedia from a novel (recall 27 %, and 11 % of the human halves accused, with as much as the matched ones).
OTHERS_WEIGHT = 0.1
UNSPACED = ("ja", "zh")
MIN_SLICE = 100  # texts of a slice that may set a threshold


class Signals(NamedTuple):
    """Texts and what the stage measured on them."""

    texts: list[corpora.Text]
    columns: dict[str, pa.Array]

    def rows(self, wanted: np.ndarray) -> "Signals":
        """Some of them."""
        at = np.flatnonzero(wanted)
        return Signals(
            [self.texts[i] for i in at], {k: v.take(pa.array(at)) for k, v in self.columns.items()}
        )

    def judged(self, needs: Mapping[str, float]) -> "Signals":
        """Those that a model with these needs applies to."""
        nothing = np.zeros(0)
        return self.rows(
            applies(LinearModel((), nothing, nothing, nothing, 0.0, (1.0, 0.0), 1.0, needs, {}), self.columns)
        )

    def values(self, kind: str) -> np.ndarray:
        """The features of a kind."""
        return feature_matrix(self.columns, tuple(default_features(kind)))

    def labels(self) -> np.ndarray:
        """1 = machine."""
        return np.array([float(t.label != "human") for t in self.texts])


def signals_of(texts: Sequence[corpora.Text], tables: machine.Tables) -> Signals:
    column = pa.array([t.text for t in texts], pa.large_string())
    return Signals(list(texts), machine_text_signals(column, tables))


def library(data: Path, sizes: Sequence[int]) -> list[corpora.Text]:
    """Books, speeches, laws, RFCs and mail in pieces of several lengths."""
    return [t for size in sizes for t in corpora.library_texts(data, size)] + corpora.mail_texts(data)


def fit_ocr(data: Path, tables: machine.Tables) -> LinearModel:
    clean = [t for t in library(data, (600, 2600)) + corpora.declaration_texts(data) if not t.test]
    clean = [t for t in clean if not t.slice.startswith(UNSPACED)]
    read = list(clean)
    for k, rate in enumerate(TRAIN_RATES):
        read += corpora.noisy(clean[k :: len(TRAIN_RATES)], rate, 100 + k, corpora.TRAIN_CONFUSIONS)
    return fit(signals_of(read, tables).judged(OCR_NEEDS), "ocr_noise", OCR_L2, OCR_NEEDS)


def fit_language_model(data: Path, tables: machine.Tables, source: str | None = None) -> LinearModel:
    """Matched halves, and other human texts at OTHERS_WEIGHT; of one source alone if asked for, then all of it."""
    pairs = [t for t in corpora.machine_pairs(data) if (t.slice.startswith(source) if source else not t.test)]
    others = [t for t in library(data, (900, 2600)) if not t.test and t.slice.startswith(("en_", "mail"))]
    return fit(signals_of(pairs + others, tables).judged(LM_NEEDS), "language_model", LM_L2, LM_NEEDS)


def fit(seen: Signals, kind: str, l2: float, needs: Mapping[str, float]) -> LinearModel:
    """A calibrated model with the threshold that MAX_FPR allows on every human slice, held out by group."""
    y, slices = seen.labels(), np.array([t.slice for t in seen.texts])
    importance = np.ones(len(y))
    if kind == "language_model":
        matched = np.char.endswith(slices, "/human")
        others = (y == 0) & ~matched
        importance[others] = OTHERS_WEIGHT * matched.sum() / others.sum()
    groups = [t.group for t in seen.texts]
    model, held_out = fit_model(seen.values(kind), y, groups, default_features(kind), l2, needs, importance)
    names = [t.slice for t in seen.texts]
    threshold, summary = set_threshold(y, held_out, names, MAX_FPR, MIN_SLICE)
    card = {
        "summary": summary,
        "trained_on": "python -m benchmarks.train_machine_text weights",
        "texts": {"human": int((y == 0).sum()), kind: int(y.sum())},
        "max_fpr_of_a_slice": MAX_FPR,
    }
    return model._replace(threshold=threshold, card=card)


# --- what they are worth -------------------------------------------------------------------------------


def human_tests(data: Path) -> list[corpora.Text]:
    """Human texts that nothing was fitted to, by slice; also the same cut to a paragraph."""
    texts = [t for t in library(data, (2600,)) if t.test]
    for source in (corpora.web_texts, corpora.declaration_texts, corpora.sentence_texts):
        texts += [t for t in source(data) if t.test]
    texts += [t for t in corpora.machine_pairs(data) if t.test and t.label == "human"]
    short = [t._replace(text=t.text[:350].rsplit(" ", 1)[0], slice="short_350_chars") for t in texts[::3]]
    return texts + short


def marks_of(seen: Signals, models: Mapping[str, LinearModel]) -> list[str | None]:
    """What the stage marks with its default params."""
    return (
        MarkMachineText().annotate(pa.record_batch(seen.columns), models).columns["machine_text"].to_pylist()
    )


def evaluate(data: Path, models: Mapping[str, LinearModel]) -> dict[str, Any]:
    """False positives by slice, recall by kind and source, AUC and recall at 1 % false positives; cross-domain."""
    tables = load_tables()
    human = signals_of(human_tests(data), tables)
    return {
        "false_positives": false_positives(human, models),
        "ocr_noise": evaluate_ocr(data, tables, human, models),
        "language_model": evaluate_language_model(data, tables, models),
        "cross_domain": cross_domain(data, tables),
    }


def false_positives(human: Signals, models: Mapping[str, LinearModel]) -> dict[str, Any]:
    """Of each slice's texts: how many, how many could be judged, the share marked as each kind."""
    marks = np.array(marks_of(human, models), object)
    slices = np.array(
        [t.slice if "/" not in t.slice else "matched_" + t.slice.split("/")[0] for t in human.texts]
    )
    found = {}
    for name in ("all", *sorted(set(slices))):
        own = marks if name == "all" else marks[slices == name]
        judged = own[own != None]  # noqa: E711
        found[name] = {"texts": len(own), "judged": len(judged)} | {
            kind: round(float((judged == kind).mean()), 4) for kind in KINDS if len(judged)
        }
    return found


def at_one_percent(human: np.ndarray, machine: np.ndarray) -> dict[str, float]:
    """AUC, and recall at the score that 1 % of these human texts pass."""
    y = np.r_[np.zeros(len(human)), np.ones(len(machine))]
    limit = np.sort(human)[::-1][int(0.01 * len(human))]
    return {
        "auc": round(rank_auc(y, np.r_[human, machine]), 4),
        "recall_at_1_percent": round(float((machine > limit).mean()), 4),
    }


def evaluate_ocr(
    data: Path, tables: machine.Tables, human: Signals, models: Mapping[str, LinearModel]
) -> dict[str, Any]:
    model = models["ocr_noise"]
    clean = [t for t in library(data, (2600,)) + corpora.web_texts(data) if t.test]
    clean = [t for t in clean if t.slice.startswith(("en_", "de_", "fr_", "es_", "mail", "web_"))]
    scores = score(model, human.judged(model.needs).values("ocr_noise"))
    found = {}
    for rate in TEST_RATES:
        noise = signals_of(corpora.noisy(clean, rate, 7, corpora.TEST_CONFUSIONS), tables)
        judged = noise.judged(model.needs)
        own = score(model, judged.values("ocr_noise"))
        found[f"{rate:.0%}"] = {
            "texts": len(noise.texts),
            "judged": len(judged.texts),
            **at_one_percent(scores, own),
            "recall": round(float((own >= model.threshold).mean()), 4),
        }
    return found


def evaluate_language_model(
    data: Path, tables: machine.Tables, models: Mapping[str, LinearModel]
) -> dict[str, Any]:
    """Each model's texts against the human half of the same source, on prompts that nothing was fitted to."""
    model = models["language_model"]
    tests = signals_of([t for t in corpora.machine_pairs(data) if t.test], tables).judged(model.needs)
    return by_model(tests, model)


def by_model(tests: Signals, model: LinearModel) -> dict[str, Any]:
    slices, scores = np.array([t.slice for t in tests.texts]), score(model, tests.values("language_model"))
    found = {}
    for source in sorted({s.split("/")[0] for s in slices}):
        human = scores[slices == f"{source}/human"]
        machine = np.char.startswith(slices, f"{source}/") & (slices != f"{source}/human")
        for name in (source, *sorted(set(slices[machine]))):
            own = scores[machine if name == source else slices == name]
            found[name] = {
                "human": len(human),
                "machine": len(own),
                **at_one_percent(human, own),
                "recall": round(float((own >= model.threshold).mean()), 4),
            }
    return found


def cross_domain(data: Path, tables: machine.Tables) -> dict[str, Any]:
    """Fitted to all of one source, tested on all of the other."""
    pairs = signals_of(corpora.machine_pairs(data), tables).judged(LM_NEEDS)
    slices = np.array([t.slice for t in pairs.texts])
    found = {}
    for source, other in (("squad", "pubmed"), ("pubmed", "squad")):
        model = fit_language_model(data, tables, source)
        tests = pairs.rows(np.char.startswith(slices, other))
        found[f"{source} to {other}"] = by_model(tests, model)[other]
    return found


def make_weights(data: Path) -> dict[str, LinearModel]:
    tables = load_tables()
    return {"ocr_noise": fit_ocr(data, tables), "language_model": fit_language_model(data, tables)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["reference", "weights", "evaluate"])
    default = os.environ.get("CORPUSMILL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=default)
    arguments = parser.parse_args()
    if arguments.what == "reference":
        made = make_reference(arguments.data)
        REFERENCE.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(json.dumps({"file": REFERENCE.name, "bytes": REFERENCE.stat().st_size}))
    elif arguments.what == "weights":
        models = make_weights(arguments.data)
        DEFAULT_WEIGHTS.write_text(to_json(models), encoding="utf-8")
        print(
            json.dumps(
                {kind: dict(m.card) | {"threshold": m.threshold} for kind, m in models.items()}, indent=1
            )
        )
    else:
        print(json.dumps(evaluate(arguments.data, load_models(DEFAULT_WEIGHTS)), indent=1))


if __name__ == "__main__":
    main()
