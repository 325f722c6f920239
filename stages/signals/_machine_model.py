"""Calibrated linear models over signal columns: the file, its checks, and the score.

    signal x ──▶ sign(x) sqrt|x| ──▶ standardised, clipped to +-4 ──▶ weights, bias ──▶ Platt ──▶ probability

The square root takes the length out of the tails of rare-event rates; the clip bounds what one odd number can do.
A missing signal counts as average. A model says where it applies: minimums of columns, such as enough words.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FORMAT = "corpusmill-machine-text-1"
KINDS = ("ocr_noise", "language_model", "machine_translation")  # the first of equals wins
CLIP = 4.0


class LinearModel(NamedTuple):
    """One kind of machine text: how to score it, and from which score it is marked."""

    features: tuple[str, ...]  # columns
    mean: np.ndarray  # float64 of the transformed features, as are scale, weights
    scale: np.ndarray
    weights: np.ndarray
    bias: float
    platt: tuple[float, float]  # probability = 1 / (1 + exp(-(a * z + b)))
    threshold: float  # of the probability
    needs: Mapping[str, float]  # column -> least value for which the model applies
    card: Mapping[str, Any]  # what it was trained on and how well it does


def transform(values: np.ndarray) -> np.ndarray:
    """Signed square root; nan stays.

    >>> transform(np.array([4.0, -9.0])).tolist()
    [2.0, -3.0]
    """
    rooted: np.ndarray = np.sign(values) * np.sqrt(np.abs(values))
    return rooted


def standardise(values: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Transformed features (rows, features) as float64 around 0; what is missing is 0, the average."""
    clipped: np.ndarray = np.nan_to_num(np.clip((transform(values) - mean) / scale, -CLIP, CLIP), nan=0.0)
    return clipped


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)) without overflow."""
    exp = np.exp(-np.abs(z))
    ratio: np.ndarray = np.where(z >= 0, 1.0, exp) / (1.0 + exp)
    return ratio


def score(model: LinearModel, values: np.ndarray) -> np.ndarray:
    """Calibrated probabilities, float64 (rows,), of raw features (rows, features)."""
    # a sum in one fixed order: BLAS may add in another order for another number of rows
    z = np.full(len(values), model.bias)
    for column, weight in zip(standardise(values, model.mean, model.scale).T, model.weights, strict=True):
        z += column * weight
    return sigmoid(model.platt[0] * z + model.platt[1])


def feature_matrix(columns: Mapping[str, pa.Array], names: tuple[str, ...]) -> np.ndarray:
    """float64 (rows, names) of numeric Arrow columns; null is nan."""
    arrays = [pc.cast(columns[name], pa.float64()).to_numpy(zero_copy_only=False) for name in names]
    return np.column_stack(arrays) if arrays else np.zeros((0, 0))


def applies(model: LinearModel, columns: Mapping[str, pa.Array]) -> np.ndarray:
    """Rows (bool) where every column the model needs is there and at least its minimum."""
    rows = len(next(iter(columns.values())))
    fine = np.ones(rows, bool)
    for name, least in model.needs.items():
        values = pc.cast(columns[name], pa.float64()).to_numpy(zero_copy_only=False)
        fine &= values >= least  # nan is not
    return fine


def to_json(models: Mapping[str, LinearModel]) -> str:
    """The weights file of some models; rounded to 7 digits, so that it does not depend on the last bit of a fit."""

    def numbers(values: np.ndarray) -> list[float]:
        return [float(f"{value:.7g}") for value in values.tolist()]

    kinds = {
        kind: {
            "features": list(m.features),
            "mean": numbers(m.mean),
            "scale": numbers(m.scale),
            "weights": numbers(m.weights),
            "bias": float(f"{m.bias:.7g}"),
            "platt": [float(f"{value:.7g}") for value in m.platt],
            "threshold": float(f"{m.threshold:.7g}"),
            "needs": dict(m.needs),
            "card": dict(m.card),
        }
        for kind, m in models.items()
    }
    return json.dumps({"format": FORMAT, "kinds": kinds}, ensure_ascii=False, indent=1) + "\n"


def load_models(path: Path) -> dict[str, LinearModel]:
    """Read and check a weights file.

    Raises:
        ValueError: it is not one, or a number in it is missing or not finite.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"{path}: its format is {found['format']!r}; this reader knows {FORMAT!r}")
        models = {kind: _read_model(path, kind, entry) for kind, entry in found["kinds"].items()}
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path}: not a machine-text weights file ({error!r}); make one with `corpusmill train-machine-text`"
        ) from error
    unknown = sorted(set(models) - set(KINDS))
    if unknown or not models:
        raise ValueError(f"{path}: kinds {unknown} are none of {', '.join(KINDS)}")
    return {kind: models[kind] for kind in KINDS if kind in models}


def _read_model(path: Path, kind: str, entry: Mapping[str, Any]) -> LinearModel:
    features = tuple(str(name) for name in entry["features"])
    mean, scale, weights = (np.array(entry[key], np.float64) for key in ("mean", "scale", "weights"))
    a, b = (float(value) for value in entry["platt"])
    bias, threshold = float(entry["bias"]), float(entry["threshold"])
    if any(array.shape != (len(features),) for array in (mean, scale, weights)):
        raise ValueError(f"{path}: {kind}: mean, scale and weights must have {len(features)} numbers each")
    numbers = [*mean, *scale, *weights, a, b, bias, threshold]
    if not all(map(math.isfinite, numbers)) or (scale <= 0).any():
        raise ValueError(f"{path}: {kind}: every number must be finite and every scale above 0")
    needs = {str(name): float(least) for name, least in entry["needs"].items()}
    return LinearModel(features, mean, scale, weights, bias, (a, b), threshold, needs, entry.get("card", {}))
