"""Fit the models of `_machine_model.py`: logistic regression by Newton's method, calibration, threshold.

Everything here is deterministic: folds come from hashes of the groups, sums are taken in a fixed order.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from stages.signals._machine_model import LinearModel, sigmoid, standardise, transform

FOLDS = 5
MAX_STEPS = 50
TOLERANCE = 1e-9
NEVER = 1.01  # a threshold that no score reaches
# A mark says something only if machine texts get it much oftener than human ones: with half the texts human,
# 5 marks of 6 are then right.
MIN_RECALL_TO_FPR = 5.0


def fit_logistic(x: np.ndarray, y: np.ndarray, weight: np.ndarray, l2: float) -> tuple[np.ndarray, float]:
    """Weights and bias of least weighted log loss plus l2/2 |weights|^2; the bias is not penalised.

    Args:
        x: float64 (rows, features), standardised.
        y: 0 or 1, or targets between (rows,).
        weight: of each row, summing to the number of rows.
        l2: penalty; above 0, so that separable data has a finite answer.

    Source: iteratively reweighted least squares, Hastie, Tibshirani, Friedman, Elements of Statistical Learning,
    section 4.4.1, with halved steps where a full one would not help.
    """
    x1 = np.column_stack([x, np.ones(len(x))])
    penalty = np.full(x1.shape[1], l2)
    penalty[-1] = 1e-9
    theta = np.zeros(x1.shape[1])

    def loss(at: np.ndarray) -> float:
        z = x1 @ at
        return float((weight * (np.logaddexp(0, z) - y * z)).sum() + 0.5 * (penalty * at * at).sum())

    now = loss(theta)
    for _ in range(MAX_STEPS):
        p = sigmoid(x1 @ theta)
        gradient = x1.T @ (weight * (p - y)) + penalty * theta
        hessian = (x1 * (weight * p * (1 - p))[:, None]).T @ x1 + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while loss(theta - size * step) > now and size > 1e-6:
            size /= 2
        theta = theta - size * step
        before, now = now, loss(theta)
        if before - now <= TOLERANCE * (1 + abs(now)):
            break
    return theta[:-1], float(theta[-1])


def balanced(y: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """Row weights with which both classes weigh the same, summing to the number of rows; within one, by importance."""
    share = np.where(y > 0.5, importance / importance[y > 0.5].sum(), importance / importance[y <= 0.5].sum())
    weights: np.ndarray = share * (len(y) / 2)
    return weights


def fold_of(group: str, folds: int = FOLDS) -> int:
    """The fold of a group: texts of one prompt or book are never on both sides."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") % folds


def fit_model(
    values: np.ndarray,
    y: np.ndarray,
    groups: Sequence[str],
    features: Sequence[str],
    l2: float,
    needs: Mapping[str, float],
    importance: np.ndarray | None = None,
) -> tuple[LinearModel, np.ndarray]:
    """A model and the scores that each row got from a model that had not seen its group.

    Calibration (Platt 1999, with his smoothed targets) is fitted on those held-out scores, for equal numbers
    of human and machine texts: where machine text is rare, a probability is too high. The threshold is left at
    1 (nothing is marked): see `choose_threshold`.

    Args:
        values: raw features (rows, features), nan where undefined.
        y: 1 = this kind of machine text, 0 = human; some of each.
        groups: of each row; its texts are scored together by a model that saw none of them.
        features: names of the columns of `values`.
        l2: penalty on the weights, of a sum over rows.
        needs: minimums of columns, which go into the model.
        importance: of each row within its class; equal if not given.

    Returns:
        The model; calibrated held-out probabilities (rows,).
    """
    weight = np.ones(len(y)) if importance is None else importance
    fold = np.array([fold_of(group) for group in groups])
    held_out = np.zeros(len(y))
    for k in range(FOLDS):
        inside, outside = fold != k, fold == k
        if outside.any() and 0 < y[inside].sum() < inside.sum():
            part = _fit_uncalibrated(values[inside], y[inside], weight[inside], features, l2, needs)
            held_out[outside] = _logits(part, values[outside])
    model = _fit_uncalibrated(values, y, weight, features, l2, needs)
    positives, negatives = float(y.sum()), float(len(y) - y.sum())
    targets = np.where(y > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    slope, bias = fit_logistic(held_out[:, None], targets, balanced(y, weight), 1e-6)
    platt = (max(float(slope[0]), 1e-3), bias)  # a slope below 0 would turn the order round
    return model._replace(platt=platt), sigmoid(platt[0] * held_out + platt[1])


def _fit_uncalibrated(
    values: np.ndarray,
    y: np.ndarray,
    importance: np.ndarray,
    features: Sequence[str],
    l2: float,
    needs: Mapping[str, float],
) -> LinearModel:
    rooted = transform(values)
    seen = ~np.isnan(rooted)
    count = np.maximum(seen.sum(0), 1)
    mean = np.where(seen, rooted, 0).sum(0) / count
    scale = np.sqrt((np.where(seen, rooted - mean, 0) ** 2).sum(0) / count)
    scale = np.where(scale > 1e-9, scale, 1.0)
    weights, bias = fit_logistic(standardise(values, mean, scale), y, balanced(y, importance), l2)
    return LinearModel(tuple(features), mean, scale, weights, bias, (1.0, 0.0), 1.0, needs, {})


def _logits(model: LinearModel, values: np.ndarray) -> np.ndarray:
    logits: np.ndarray = standardise(values, model.mean, model.scale) @ model.weights + model.bias
    return logits


def choose_threshold(human_scores: Mapping[str, np.ndarray], max_fpr: float) -> float:
    """The least score, but 0.5, that at most `max_fpr` of the human texts of *every* slice reach, to 4 digits.

    Slices, because a rate over all hides a group that is always accused. A slice of fewer than 1 / max_fpr texts
    allows none of them. Above 1, nothing is marked.

    >>> choose_threshold({"a": np.array([0.1, 0.2, 0.9]), "b": np.array([0.7])}, 0.34)
    0.7001
    """
    threshold = 0.5
    for scores in human_scores.values():
        allowed = math.floor(max_fpr * len(scores))
        if allowed < len(scores):
            first_safe = float(np.sort(scores)[::-1][allowed])
            threshold = max(threshold, (math.floor(round(first_safe * 1e4, 6)) + 1) / 1e4)
    return threshold


def set_threshold(
    y: np.ndarray, held_out: np.ndarray, slices: Sequence[str], max_fpr: float, min_slice: int = 1
) -> tuple[float, str]:
    """The threshold that `max_fpr` allows, or NEVER where marks at it would say nothing; and a sentence about it.

    Args:
        y: 1 = machine, 0 = human.
        held_out: calibrated scores from models that had not seen the text's group.
        slices: of each text: no slice of human texts may be accused oftener than the others are.
        max_fpr: share of each slice that may be marked.
        min_slice: slices of fewer human texts set no threshold.
    """
    names = np.array(slices)
    human = [held_out[(y <= 0.5) & (names == name)] for name in sorted(set(slices))]
    threshold = choose_threshold({str(k): s for k, s in enumerate(human) if len(s) >= min_slice}, max_fpr)
    recall = float((held_out[y > 0.5] >= threshold).mean())
    false = float((held_out[y <= 0.5] >= threshold).mean())
    said = (
        f"held-out AUC {rank_auc(y, held_out):.3f}; at a score of {threshold:.4g} it finds {recall:.1%} of the "
        f"machine texts it was trained on and {false:.2%} of the human ones"
    )
    if recall < MIN_RECALL_TO_FPR * max(false, max_fpr):
        return NEVER, f"{said}: too little to mark a text by, so it only scores"
    return threshold, said


def rank_auc(y: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a machine text scores above a human one, ties counting half; nan without one of each.

    >>> rank_auc(np.array([0, 0, 1]), np.array([0.1, 0.5, 0.5]))
    0.75
    """
    positives, negatives = scores[y > 0.5], np.sort(scores[y <= 0.5])
    if not len(positives) or not len(negatives):
        return math.nan
    below = np.searchsorted(negatives, positives, "left")
    upto = np.searchsorted(negatives, positives, "right")
    return float((below + upto).sum() / (2 * len(positives) * len(negatives)))
