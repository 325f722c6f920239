"""The models that embed_text can use: what a name means, which files it needs, and how to load it.

    hashing                            built in, no file
    model2vec:FOLDER or ORG/NAME       a static model of the package model2vec
    sentence-transformers:FOLDER or ORG/NAME
    anything else                      a fastText model (.bin, .ftz), by path or catalogue name

A name like ORG/NAME is the copy in the cache of the Hugging Face hub. Nothing is fetched: what a run reads must have
been there when it started, whatever the network says today.
"""

import importlib
import os
import re
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.models import model_path
from stages.kernels.words import hash_words, word_alphabet
from stages.signals._embed_fasttext import load_fasttext_embedder
from stages.signals._embed_kernels import hash_features

HASHING, MODEL2VEC, SENTENCES = "hashing", "model2vec", "sentence-transformers"
EXTRA = {MODEL2VEC: "model2vec", SENTENCES: "sentence-transformers"}  # of corpusmill
_HUB_NAME = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_WEIGHTS = 1 + np.log(np.maximum(np.arange(4096), 1))  # of a feature that comes so often in a text


class Embedder(Protocol):
    """What embed_text needs of a model."""

    def embed(self, texts: pa.Array) -> np.ndarray:
        """A vector of any length for each text, shape (rows, dim), float; zeros where it has nothing to say.

        A text's vector must not depend on the texts beside it. Texts are large_string without nulls.
        """
        ...


class ModelName(NamedTuple):
    """What the param `model` says."""

    kind: str  # HASHING, MODEL2VEC, SENTENCES or "fasttext"
    name: str

    @property
    def path(self) -> Path | None:
        """The file or folder that it means, whether or not it is there."""
        if self.kind == HASHING:
            return None
        return model_folder(self.name) if self.kind in EXTRA else model_path(self.name)


def parse_name(model: str) -> ModelName:
    """Take the param apart.

    >>> parse_name("model2vec:minishlab/potion-base-8M")
    ModelName(kind='model2vec', name='minishlab/potion-base-8M')
    """
    kind, colon, name = model.partition(":")
    if colon and kind in EXTRA:
        return ModelName(kind, name)
    return ModelName(HASHING, "") if model == HASHING else ModelName("fasttext", model)


def hub_cache() -> Path:
    """Where the Hugging Face hub keeps what was downloaded; the environment is read at each call."""
    if os.environ.get("HF_HUB_CACHE"):
        return Path(os.environ["HF_HUB_CACHE"])
    home = os.environ.get("HF_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "huggingface") / "hub"


def model_folder(name: str) -> Path:
    """The folder that a name means: a folder as written, else the snapshot in the hub's cache."""
    found = _HUB_NAME.fullmatch(name)
    if found is None or Path(name).is_dir():
        return Path(name)
    cached = hub_cache() / f"models--{found['name'].replace('/', '--')}"
    revision = found["revision"] or "main"
    if not _COMMIT.fullmatch(revision):
        ref = cached / "refs" / revision
        revision = ref.read_text("utf-8").strip() if ref.is_file() else revision
    return cached / "snapshots" / revision


def model_files(model: ModelName) -> list[Path]:
    """The files whose bytes decide what the model says; of a folder all of them."""
    path = model.path
    if path is None:
        return []
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def name_problems(model: ModelName) -> list[str]:
    """Why a model cannot be had, before any work: it is loaded from files that are here, or not at all."""
    if model.kind not in EXTRA or (model.path is not None and model.path.is_dir()):
        return []
    if not _HUB_NAME.fullmatch(model.name):
        return [f"model {model.kind}:{model.name}: no folder {model.name}; write the folder of a saved model"]
    return [
        f"model {model.kind}:{model.name}: neither a folder nor in the hub's cache ({model.path}); runs fetch no "
        f"models from the hub, so run `hf download {model.name.partition('@')[0]}` first, or write a folder"
    ]


class HashingEmbedder:
    """Signed feature hashing of words and pairs of words (Weinberger et al. 2009, arXiv:0902.2206)."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def embed(self, texts: pa.Array) -> np.ndarray:
        """Sums over distinct words and pairs of neighbours, each 1 + ln(count), signed by its hash."""
        words = hash_words(texts, word_alphabet(signs=True))
        return np.asarray(hash_features(words.hashes, words.offsets, _WEIGHTS, self.dim))


class StaticEmbedder:
    """A model2vec model: the mean of its tokens' vectors."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def embed(self, texts: pa.Array) -> np.ndarray:
        """In this process, all of a text's tokens."""
        return np.asarray(
            self.model.encode(
                texts.to_pylist(), max_length=None, show_progress_bar=False, use_multiprocessing=False
            )
        )


class SentenceEmbedder:
    """A sentence-transformers model on the CPU."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def embed(self, texts: pa.Array) -> np.ndarray:
        """One text at a time: padding to the longest of a batch would change the last bits of the others."""
        found = self.model.encode(
            texts.to_pylist(), batch_size=1, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(found).reshape(len(texts), -1)


def load_model(model: ModelName, dim: int) -> Embedder:
    """Load a model; `dim` is that of hashing.

    Raises:
        ValueError: its package is not installed, or its files are no such model.
    """
    if model.kind == HASHING:
        return HashingEmbedder(dim)
    path = model.path
    assert path is not None
    if model.kind == MODEL2VEC:
        return StaticEmbedder(_package("model2vec", model).StaticModel.from_pretrained(str(path)))
    if model.kind == SENTENCES:
        package = _package("sentence_transformers", model)
        return SentenceEmbedder(package.SentenceTransformer(str(path), device="cpu", local_files_only=True))
    return load_fasttext_embedder(path)


def _package(name: str, model: ModelName) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"model {model.kind}:{model.name} needs the package {error.name}; "
            f"run pip install 'corpusmill[{EXTRA[model.kind]}]'"
        ) from error


def head_texts(texts: pa.Array, max_chars: int | None) -> pa.Array:
    """What a model reads of texts: large_string, the first `max_chars` code points after white space; null is empty."""
    texts = pc.fill_null(texts.cast(pa.large_string()), "")
    if max_chars is not None:
        texts = pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(texts), 0, max_chars)
    return texts
