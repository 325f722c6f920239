"""The fast engines behind one call: an Arrow column of texts in, flat ids and offsets out.

They give ids alone, on one thread. Their caches never change what they give; the one that grows without bound
is thrown away with its engine once the process has grown by RECYCLE_BYTES since it was made.
"""

import importlib
import json
import os
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from stages.kernels.buffers import text_buffers

RECYCLE_BYTES = 512 << 20  # a cache of this size costs nothing measurable to lose
BLIND_BYTES = 256 << 20  # of text, where the system does not say how large a process is
# What an engine may raise about a text or a tokenizer, or for want of a package that it needs.
PROBLEMS = (ValueError, TypeError, RuntimeError, OverflowError, ImportError)


class Engine(Protocol):
    """A fast tokenizer."""

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Token ids of large_string texts without nulls: ids uint32, offsets int64 from 0, texts + 1."""
        ...


class EngineFailed(Exception):
    """An engine raised or panicked; whoever called it encodes with the reference."""


def engine_version(name: str) -> str | None:
    """The installed version of an engine's package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


class Fastokens:
    """fastokens: bounded caches, takes Python strings."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        os.environ.setdefault("FASTOKENS_BPE_THREADS", "1")
        native = _load("fastokens._native")
        self._tokenizer = native.Tokenizer.from_json_str(json.dumps(data))

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """See Engine."""
        ids, offsets = guarded(self._tokenizer.encode_batch_flat, texts.to_pylist(), False, True)
        return np.frombuffer(ids, np.uint32), np.frombuffer(offsets, np.int64)


class Gigatoken:
    """gigatoken: takes Arrow's buffers as they are; always reads special tokens, so it must not know them."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        added = [token for token in data.get("added_tokens") or [] if not token["special"]]
        self._json = json.dumps({**data, "added_tokens": added})
        self._native = _load("gigatoken.gigatoken_rs")
        self._awkward = _load("awkward")
        self._tokenizer: Any = None
        self._budget = _Budget()

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """See Engine."""
        data, offsets = text_buffers(texts)
        if self._tokenizer is None or self._budget.spent(int(offsets[-1] - offsets[0])):
            self._tokenizer = None  # free the old one before the new one is made
            self._tokenizer = guarded(self._native.load_hf_json, self._json)
            self._budget = _Budget()
        try:
            encoded = guarded(self._tokenizer.encode_batch, self._strings(data, offsets), parallel=False)
        except EngineFailed:
            self._tokenizer = None  # a panic may have left it half done
            raise
        layout = encoded.layout
        return np.asarray(layout.content.data), np.asarray(layout.offsets.data)

    def _strings(self, data: np.ndarray, offsets: np.ndarray) -> Any:
        """The buffers of a column as an awkward array of strings, not copied."""
        contents = self._awkward.contents
        chars = contents.NumpyArray(data, parameters={"__array__": "char"})
        index = self._awkward.index.Index64(offsets)
        layout = contents.ListOffsetArray(index, chars, parameters={"__array__": "string"})
        return self._awkward.Array(layout)


ENGINES: Mapping[str, Callable[[Mapping[str, Any]], Engine]] = {
    "fastokens": Fastokens,
    "gigatoken": Gigatoken,
}


def open_engine(name: str, data: Mapping[str, Any]) -> Engine:
    """An engine for a parsed tokenizer.json that _engines_allowed lets it have: one that only encodes.

    Raises:
        EngineFailed: it does not take it.
    """
    nothing = dict.fromkeys(("truncation", "padding", "post_processor"))
    data = {key: value for key, value in data.items() if key != "user_defined"}
    return guarded(ENGINES[name], {**data, **nothing})  # type: ignore[no-any-return]


def guarded(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The call's result; a Rust panic, which is a BaseException of no importable class, or an error: EngineFailed."""
    try:
        return call(*args, **kwargs)
    except PROBLEMS as error:
        raise EngineFailed(f"{type(error).__name__}: {error}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise EngineFailed(f"panic: {error}") from error


def _load(module: str) -> Any:
    """Import a package that makes its threads at first use: one process a core, so one thread."""
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    return importlib.import_module(module)


class _Budget:
    """How much an engine may make the process grow."""

    def __init__(self) -> None:
        self._base = _resident_bytes()
        self._seen = 0

    def spent(self, text_bytes: int) -> bool:
        now = _resident_bytes()
        self._seen += text_bytes
        if now is None or self._base is None:
            return self._seen > BLIND_BYTES
        return now - self._base > RECYCLE_BYTES


def _resident_bytes() -> int | None:
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
