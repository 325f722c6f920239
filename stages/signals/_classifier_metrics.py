"""How good a classifier is on texts it has not seen: precision, recall, ROC AUC, calibration, telling words."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from stages.kernels.fasttext import FastTextClassifier
from stages.kernels.fasttext_file import EOS, FastTextFile

TELLING_WORDS, FREQUENT = 20, 20_000
BINS = 10


def label_metrics(
    gold: np.ndarray, found: np.ndarray, names: Sequence[str]
) -> dict[str, dict[str, float | int | None]]:
    """Precision, recall and F1 of each label; null where nothing was said or nothing was to be found.

    Args:
        gold: label numbers.
        found: label numbers, -1 for none.
        names: of the labels, in order.
    """
    scores: dict[str, dict[str, float | int | None]] = {}
    for number, name in enumerate(names):
        right = int(((gold == number) & (found == number)).sum())
        said, there = int((found == number).sum()), int((gold == number).sum())
        scores[name] = {
            "precision": round(right / said, 4) if said else None,
            "recall": round(right / there, 4) if there else None,
            "f1": round(2 * right / (said + there), 4) if said + there else None,
            "documents": there,
        }
    return scores


def roc_auc(positive: np.ndarray, scores: np.ndarray) -> float | None:
    """Probability that a positive scores more than a negative, ties half; null without one of either.

    >>> roc_auc(np.array([True, False, True]), np.array([0.9, 0.5, 0.5]))
    0.75
    """
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def calibration(positive: np.ndarray, scores: np.ndarray) -> list[dict[str, float | int | None]]:
    """For each tenth of the scale: documents, their mean score, and the share that is positive.

    >>> calibration(np.array([True, False]), np.array([0.95, 0.91]))[-1]
    {'from': 0.9, 'to': 1.0, 'documents': 2, 'mean_score': 0.93, 'positive_rate': 0.5}
    """
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    table: list[dict[str, float | int | None]] = []
    for number in range(BINS):
        inside = bins == number
        count = int(inside.sum())
        table.append(
            {
                "from": number / BINS,
                "to": (number + 1) / BINS,
                "documents": count,
                "mean_score": round(float(scores[inside].mean()), 4) if count else None,
                "positive_rate": round(float(positive[inside].mean()), 4) if count else None,
            }
        )
    return table


def telling_words(model: FastTextClassifier, file: FastTextFile, number: int) -> list[str]:
    """The words, of the most frequent, that alone give label `number` the greatest probability."""
    bounds = file.entry_ends[: min(file.words, FREQUENT) + 1].tolist()
    words = [file.entries[s:e].tobytes() for s, e in itertools.pairwise(bounds)]
    words = [word for word in words if word != EOS]
    column = pa.array([word.decode("utf-8", "replace") for word in words], pa.large_string())
    scores = np.nan_to_num(model.predict(column, number).targets)
    order = np.argsort(-scores, kind="stable")[:TELLING_WORDS]
    return [column[int(place)].as_py() for place in order]


def measure_model(
    model: FastTextClassifier,
    file: FastTextFile,
    texts: Sequence[str],
    gold: Sequence[str],
    positive: int | None,
) -> Mapping[str, object]:
    """Everything above for held-out texts; label names as the model has them."""
    numbers = {name: number for number, name in enumerate(model.labels)}
    wanted = np.array([numbers.get(label, -2) for label in gold], np.int64)
    found = model.predict(pa.array(texts, pa.large_string()), 0 if positive is None else positive)
    names = [name.removeprefix("__label__") for name in model.labels]
    result: dict[str, object] = {
        "documents": len(texts),
        "accuracy": round(float((wanted == found.labels).mean()), 4) if texts else None,
        "labels": label_metrics(wanted, found.labels, names),
    }
    if positive is not None:
        scores = np.minimum(np.nan_to_num(found.targets.astype(np.float64)), 1)
        auc = roc_auc(wanted == positive, scores)
        result["roc_auc"] = None if auc is None else round(auc, 4)
        result["calibration"] = calibration(wanted == positive, scores)
    result["telling_words"] = {name: telling_words(model, file, number) for number, name in enumerate(names)}
    return result
