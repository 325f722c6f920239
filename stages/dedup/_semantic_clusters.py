"""Trained clusters as files: centroids.npy, and clusters.json that says what they are of."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

CENTROIDS, CARD = "centroids.npy", "clusters.json"
FORMAT = "corpusmill.clusters/1"


class Clusters(NamedTuple):
    """Centroids of a column of embeddings."""

    centroids: np.ndarray  # float32 (k, dim), of length 1
    column: str
    path: Path  # for errors


def centroid_bytes(centroids: np.ndarray) -> bytes:
    """The .npy file of centroids."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(centroids, "<f4"), allow_pickle=False)
    return file.getvalue()


def card_bytes(centroids: bytes, facts: Mapping[str, object]) -> bytes:
    """The card that goes with a file of centroids."""
    card = {"format": FORMAT, "digest": hashlib.sha256(centroids).hexdigest(), **facts}
    return orjson.dumps(card, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def load_clusters(folder: Path) -> Clusters:
    """Read what train_clusters wrote.

    Raises:
        ValueError: no such folder, or its two files are not of each other; names the file.
    """
    path = folder / CENTROIDS
    for file in (path, folder / CARD):
        if not file.is_file():
            raise ValueError(
                f"side input clusters: no {file.name} in {folder}; give it a train_clusters node"
            )
    card = _read_card(folder / CARD)
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != card["digest"]:
        raise ValueError(
            f"{path} has sha256 {found}, but its card says {card['digest']}; train the clusters again"
        )
    centroids = np.load(io.BytesIO(data), allow_pickle=False)
    if centroids.ndim != 2 or centroids.dtype != np.float32 or not all(centroids.shape):
        raise ValueError(f"{path} is {centroids.dtype} {centroids.shape}, not float32 (clusters, dim)")
    return Clusters(centroids, str(card["column"]), path)


def _read_card(path: Path) -> Mapping[str, object]:
    try:
        card = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error}); train the clusters again") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT or not {"digest", "column"} <= card.keys():
        raise ValueError(
            f"{path}: no card of {FORMAT}; give `clusters` a train_clusters node of this version"
        )
    return card
