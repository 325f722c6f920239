"""SentencePiece BPE models as a tokenizer.json with the same ids, for an engine; sentencepiece stays the reference.

SentencePiece merges the pair whose piece has the best score, and of several the first in the text; so the splits of a
piece are merges of one rank. Models that do more than that (normalize, trim spaces, lack bytes) are left to it, and
so are documents that contain a user-defined piece.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from shards.tokenizer import proto_fields

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6  # ModelProto.SentencePiece.Type
SPACE = "▁"


class Piece(NamedTuple):
    """An entry of a model's vocabulary."""

    text: str
    score: float
    kind: int


class Model(NamedTuple):
    """What a .model file says, by the field numbers of sentencepiece_model.proto."""

    pieces: list[Piece]
    trainer: Mapping[int, Any]
    normalizer: Mapping[int, Any]


def read_model(path: Path) -> Model:
    """Parse a .model file that shards.tokenizer took for one."""
    pieces: list[Piece] = []
    specs: dict[int, dict[int, Any]] = {2: {}, 3: {}}
    for number, message in proto_fields(memoryview(path.read_bytes())):
        if isinstance(message, int):
            continue
        if number == 1:
            fields: dict[int, Any] = dict(proto_fields(message))
            (score,) = struct.unpack("<f", fields.get(2, bytes(4)))
            pieces.append(Piece(bytes(fields.get(1, b"")).decode(), score, fields.get(3, NORMAL)))
        elif number in specs:
            specs[number] = dict(proto_fields(message))
    return Model(pieces, specs[2], specs[3])


def why_not(model: Model) -> str:
    """What of a model is beyond plain BPE with bytes for what it lacks, or ''."""
    trainer, normalizer = model.trainer, model.normalizer
    reasons = {
        "it is no BPE model": trainer.get(3, 1) != 2,
        "it does not fall back to bytes": not trainer.get(35, 0) or _bytes(model) != 256,
        "its spaces end words": bool(trainer.get(24, 0)),
        "it normalizes": len(normalizer.get(2, b"")) > 0,
        "it trims spaces": bool(normalizer.get(4, 1)),
        "it keeps spaces as they are": not normalizer.get(5, 1),
        "it has unused pieces": any(
            piece.kind not in (NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE) for piece in model.pieces
        ),
        "pieces of it have the same score": _has_ties(model),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _has_ties(model: Model) -> bool:
    """Whether pieces other than runs of spaces, which are the last to be merged, share a score."""
    mergeable = [piece for piece in model.pieces if piece.kind == NORMAL and len(piece.text) > 1]
    scores = [piece.score for piece in mergeable if piece.text.strip(SPACE)]
    runs = [piece.score for piece in mergeable if not piece.text.strip(SPACE)]
    tied = len(set(runs)) < len(runs)
    return len(set(scores)) < len(scores) or (tied and max(runs) >= min(scores, default=0.0))


def _bytes(model: Model) -> int:
    return sum(piece.kind == BYTE for piece in model.pieces)


def as_json(model: Model) -> dict[str, Any]:
    """A tokenizer.json, parsed, with a model's ids; control and user-defined pieces are its special tokens."""
    steps: list[dict[str, Any]] = [{"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    if model.normalizer.get(3, 1):
        steps.insert(0, {"type": "Prepend", "prepend": SPACE})
    unknown = next(piece.text for piece in model.pieces if piece.kind == UNKNOWN)
    return {
        "version": "1.0",
        "user_defined": [piece.text for piece in model.pieces if piece.kind == USER_DEFINED],
        "added_tokens": [
            {"id": i, "content": piece.text, "special": True}
            for i, piece in enumerate(model.pieces)
            if piece.kind in (UNKNOWN, CONTROL, USER_DEFINED)
        ],
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "unk_token": unknown,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": {piece.text: i for i, piece in enumerate(model.pieces)},
            "merges": [list(pair) for pair in _merges(model)],
        },
    }


def _merges(model: Model) -> Iterator[tuple[str, str]]:
    normal = {piece.text: piece.score for piece in model.pieces if piece.kind == NORMAL}
    merges = [
        (-score, piece[:i], piece[i:])
        for piece, score in normal.items()
        for i in range(1, len(piece))
        if piece[:i] in normal and piece[i:] in normal
    ]
    # of runs of spaces with one score the leftmost grows as far as it can, so longer left halves come first
    for _, left, right in sorted(merges, key=lambda merge: (merge[0], -len(merge[1]), -len(merge[2]))):
        yield left, right
