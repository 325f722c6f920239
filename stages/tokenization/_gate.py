"""Which engine encodes: the reference, or a fast one that has shown on a probe that it gives the same.

    tokenizer.json ──▶ on the list? ──▶ installed? ──▶ probe equal? ──▶ the fast engine
                          │ no             │ no            │ no
                          └────────────────┴───────────────┴────────▶ the reference, and why

What a run writes must not depend on the engine, so a sample of every run is encoded again by the reference, and
a difference stops the run.
"""

import functools
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import PipelineError
from pipeline.schema import TEXT
from shards.format import TokenizerInfo
from stages.tokenization._ends import Bytes, Encoded, Pieces, Spelling, byte_level_sizes, piece_sizes
from stages.tokenization._engines import Engine, EngineFailed, engine_version, open_engine
from stages.tokenization._engines_allowed import Form, form_of
from stages.tokenization._gate_probe import probe_texts
from stages.tokenization._reference import Reference

REFERENCE = "reference"


class EngineDiffers(PipelineError):
    """A fast engine gave other tokens than the reference: not one of its documents can be trusted."""


class Fast(NamedTuple):
    """A fast engine that passed the probe."""

    name: str
    engine: Engine
    spelling: Spelling
    form: Form

    def beyond(self, texts: pa.Array) -> np.ndarray:
        """Which texts are for the reference from the start: bool, one a text."""
        if self.form.nfc:
            return np.array([not is_nfc(text) for text in texts.to_pylist()], np.bool_)
        found = np.zeros(len(texts), np.bool_)
        for string in self.form.without:
            found |= pc.match_substring(texts, string).to_numpy(zero_copy_only=False)
        return found


class Choice(NamedTuple):
    """What encodes, and why, in words for a person."""

    fast: Fast | None
    why: str

    @property
    def name(self) -> str:
        """The engine's name."""
        return REFERENCE if self.fast is None else self.fast.name


def choose(wanted: str, reference: Reference, info: TokenizerInfo) -> Choice:
    """The engine to encode with.

    Args:
        wanted: "auto", "reference" or an engine's name.
        reference: what defines the tokens.
        info: the tokenizer's hash and size.

    Raises:
        ValueError: an engine is wanted by name and cannot be had.
    """
    if wanted == REFERENCE:
        return Choice(None, "as the param engine says")
    reasons: list[str] = []
    for name, fast in _candidates(wanted, reference, info):
        if isinstance(fast, Fast):
            note = f"{name} {engine_version(name)} gave the tokens of the reference for every probe"
            return Choice(fast, "; ".join([note, *reasons]))
        reasons.append(f"{name} {fast}" if name else fast)
    if wanted != "auto":
        raise ValueError(f"engine {wanted!r}: {'; '.join(reasons)}; write engine: auto or engine: reference")
    return Choice(None, "; ".join(reasons))


def _candidates(wanted: str, reference: Reference, info: TokenizerInfo) -> Iterator[tuple[str, Fast | str]]:
    """Engines in order of preference, each open or with what it lacks."""
    data = reference.source()
    form = Form(why_not=data) if isinstance(data, str) else form_of(data)
    if isinstance(data, str) or form.why_not:
        yield "", f"no fast engine is known to be right here: {form.why_not}"
        return
    for name in form.engines if wanted == "auto" else [wanted]:
        if name not in form.engines:
            yield name, "is not known to be right for a tokenizer of this form"
        elif engine_version(name) is None:
            yield name, f"is not installed (pip install {name})"
        else:
            yield name, _opened(name, data, form, reference, info)


def _opened(
    name: str, data: Mapping[str, Any], form: Form, reference: Reference, info: TokenizerInfo
) -> Fast | str:
    """The engine, or why it is not to be trusted."""
    vocab, added = data["model"]["vocab"], data.get("added_tokens") or []
    spelling: Spelling = Bytes(byte_level_sizes(vocab, added, info.vocab_size))
    if form.spaces:
        special = {token["content"] for token in added}
        sizes = piece_sizes(vocab, special, info.vocab_size)
        spelling = Pieces(sizes, form.spaces == "prefix", reference.late)
    try:
        # texts come to it as NFC leaves them, so it is not told of that
        engine = open_engine(name, {**data, "normalizer": None} if form.nfc else data)
    except EngineFailed as error:
        return f"does not take the tokenizer ({error})"
    fast = Fast(name, engine, spelling, form)
    key = (name, str(engine_version(name)), info.sha256)
    verdicts = _verdicts()
    if key not in verdicts:
        # not the object that will encode documents: its small cache must not fill with probes
        verdicts[key] = _fault(fast, reference.fresh(), data)
    return verdicts[key] or fast


@functools.cache
def _verdicts() -> dict[tuple[str, str, str], str]:
    """Engine, its version, the tokenizer's hash -> what this process found wrong with them, or ''."""
    return {}


def _fault(fast: Fast, reference: Reference, data: Mapping[str, Any]) -> str:
    """What is wrong with an engine's tokens for the probe, or ''."""
    texts = pa.array(probe_texts(data), TEXT.type)
    texts = texts.filter(pa.array(~fast.beyond(texts)))
    try:
        parts = [fast.engine.encode(texts)]
    except EngineFailed as error:
        return f"failed on the probe ({error})"
    got, wrong = fast.spelling.lay_out(parts, texts, None, None)
    at = first_difference(got, reference.encode(texts.to_pylist()))
    if at is None and wrong.any():  # the tokens are right, so what they spell is not known well enough
        at = int(np.argmax(wrong))
    return (
        ""
        if at is None
        else f"gives other tokens than the reference for the probe {texts[at].as_py()[:40]!r}"
    )


def is_nfc(text: str) -> bool:
    """Whether NFC leaves a text as it is, in every version of Unicode that knows its characters."""
    return text.isascii() or unicodedata.is_normalized("NFC", text)


def first_difference(one: Encoded, other: Encoded) -> int | None:
    """The first document whose ids or ends are not the same; None if all are."""
    if all(np.array_equal(a, b) for a, b in zip(one, other, strict=True)):
        return None
    for i in range(len(one.offsets) - 1):
        a, b = slice(*one.offsets[i : i + 2]), slice(*other.offsets[i : i + 2])
        if not np.array_equal(one.ids[a], other.ids[b]) or not np.array_equal(one.ends[a], other.ends[b]):
            return i
    raise AssertionError("the same documents, but other offsets")
