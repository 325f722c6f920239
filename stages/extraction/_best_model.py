"""The learned part: how likely is a block main text. Boosted trees from a JSON file, read once a process.

The file is written by `python -m benchmarks.train_best`, which says how it was trained and what it scored on
pages it had not seen; scikit-learn is needed there only.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.extraction._best_context_kernels import CONTEXT, context_features
from stages.extraction._best_features import FEATURES, Features
from stages.extraction._best_kernels import tree_sums
from stages.extraction._best_scan import Scan

WEIGHTS = Path(__file__).with_name("_best_weights.json")


class Trees(NamedTuple):
    """All trees in one array of nodes; a leaf has feature -1."""

    feature: np.ndarray  # int32 [nodes]
    threshold: np.ndarray  # float32 [nodes]; go left if value <= threshold
    left: np.ndarray  # int32 [nodes]; the right child follows the left
    value: np.ndarray  # float32 [nodes], log odds that a leaf adds
    root: np.ndarray  # int32 [trees]
    base: float  # log odds before the first tree


class Model(NamedTuple):
    """Two rounds: from the features of a block, then from those and the context that the first round gives."""

    first: Trees
    second: Trees


@cache
def load_model() -> Model:
    """The shipped trees; raises ValueError if they were trained on other features."""
    data = json.loads(WEIGHTS.read_text())
    if data["features"] != [*FEATURES, *CONTEXT]:
        raise ValueError(
            f"{WEIGHTS.name}: trained on other features; run python -m benchmarks.train_best --write"
        )
    return Model(trees_of(data["first"]), trees_of(data["second"]))


def trees_of(data: dict[str, Any]) -> Trees:
    """Trees from their JSON form."""
    return Trees(
        np.array(data["feature"], np.int32),
        np.array(data["threshold"], np.float32),
        np.array(data["left"], np.int32),
        np.array(data["value"], np.float32),
        np.array(data["root"], np.int32),
        float(data["base"]),
    )


def log_odds(rows: np.ndarray, trees: Trees) -> np.ndarray:
    """float64 [rows]: what all trees say together."""
    return np.asarray(tree_sums(rows, *trees))


def block_odds(scan: Scan, features: Features) -> np.ndarray:
    """Probability, float64 [blocks], that a block is main text; 0 for what is out."""
    model = load_model()
    first = log_odds(features.rows, model.first)
    context = context_features(first, features.sizes, features.out, scan, features.group)
    second = log_odds(np.hstack([features.rows, context]), model.second)
    return np.where(features.out > 0, 0.0, 1 / (1 + np.exp(-second)))
