"""Facts about a tokenizer's file that need no tokenizer: hash, full size, special ids. Standard library only.

A tokenizer.json does not say which of its tokens ends a document, so the usual names are looked for; a
SentencePiece model says it; OpenAI's rank files say nothing, so those known are listed here by hash.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from shards.format import TokenizerInfo, file_sha256

# In order: the first that the tokenizer has is taken, unless the user names one.
EOS_TOKENS = (
    "<|endoftext|>",
    "</s>",
    "<|end_of_text|>",
    "<eos>",
    "<|eos|>",
    "[EOS]",
    "<｜end▁of▁sentence｜>",
)
BOS_TOKENS = (
    "<s>",
    "<|begin_of_text|>",
    "<bos>",
    "<|bos|>",
    "[BOS]",
    "<|startoftext|>",
    "<｜begin▁of▁sentence｜>",
)
PAD_TOKENS = ("<pad>", "<|pad|>", "[PAD]", "<|padding|>", "<|finetune_right_pad_id|>")

FILE_NAMES = {
    "tokenizers": "tokenizer.json",
    "sentencepiece": "tokenizer.model",
    "tiktoken": "tokenizer.tiktoken",
}


# How a text is cut into words before merging, as OpenAI publishes it, in the spelling of tokenizer.json files.
GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class Ranks(NamedTuple):
    """What is published beside a rank file (github.com/openai/tiktoken, openai_public.py)."""

    name: str
    pattern: str
    special: Mapping[str, int]
    size: int  # one more than the largest id


RANK_FILES: Mapping[str, Ranks] = {  # sha256 of the file -> what it does not say
    "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930": Ranks(
        "r50k_base", GPT2_WORDS, {"<|endoftext|>": 50256}, 50257
    ),
    "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069": Ranks(
        "p50k_base", GPT2_WORDS, {"<|endoftext|>": 50256}, 50281
    ),
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7": Ranks(
        "cl100k_base",
        CL100K_WORDS,
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
        100277,
    ),
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d": Ranks(
        "o200k_base", O200K_WORDS, {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}, 200019
    ),
}


class _Facts(NamedTuple):
    size: int
    tokens: Mapping[str, int]  # every token by name, or those special where the file is large
    special: Mapping[str, int | None]  # what the file itself says of bos, eos, pad


def tokenizer_info(
    path: Path, bos_token: str | None = None, eos_token: str | None = None, pad_token: str | None = None
) -> TokenizerInfo:
    """Hash, kind, full size and special ids of a tokenizer.json, SentencePiece .model or .tiktoken file.

    Args:
        path: the file; its kind is told by its content.
        bos_token: the token that begins a document; None: what the file says, or the usual names.
        eos_token: the token that ends a document, likewise.
        pad_token: the padding token, likewise.

    Raises:
        ValueError: not a tokenizer, a rank file that is not known, or a named token that it does not have.
    """
    kind = tokenizer_kind(path)
    facts = {"tokenizers": _json_facts, "sentencepiece": _sentencepiece_facts, "tiktoken": _rank_facts}[kind](
        path
    )

    def find(what: str, name: str | None, usual: Sequence[str]) -> int | None:
        if name is not None:
            if name not in facts.tokens:
                raise ValueError(
                    f"{path}: has no token {name!r}; name the {what}_token that this tokenizer has"
                )
            return facts.tokens[name]
        if what in facts.special:
            return facts.special[what]
        return next((facts.tokens[token] for token in usual if token in facts.tokens), None)

    return TokenizerInfo(
        sha256=file_sha256(path),
        kind=kind,
        vocab_size=facts.size,
        bos_id=find("bos", bos_token, BOS_TOKENS),
        eos_id=find("eos", eos_token, EOS_TOKENS),
        pad_id=find("pad", pad_token, PAD_TOKENS),
        file=FILE_NAMES[kind],
    )


def tokenizer_kind(path: Path) -> str:
    """Which of the three kinds a file is, by its first bytes: a key of FILE_NAMES.

    Raises:
        ValueError: none of them.
    """
    with path.open("rb") as file:
        head = file.read(256)
    if head.lstrip()[:1] == b"{":
        return "tokenizers"
    if head[:1] == b"\x0a":  # protobuf: field 1 (a piece), length-delimited
        return "sentencepiece"
    first = head.split(b"\n", 1)[0].split()
    if len(first) == 2 and first[1].isdigit():
        return "tiktoken"
    raise ValueError(
        f"{path}: is not a tokenizer; give a tokenizer.json, a SentencePiece .model or a .tiktoken file"
    )


def _json_facts(path: Path) -> _Facts:
    try:
        data = json.loads(path.read_bytes())
        model, added = data["model"], data.get("added_tokens") or []
        vocab: Any = model["vocab"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: is not a tokenizer.json ({error!r}); give the file that `tokenizers` saves"
        ) from error
    pairs = vocab.items() if isinstance(vocab, dict) else ((piece[0], i) for i, piece in enumerate(vocab))
    tokens: dict[str, int] = dict(pairs)
    tokens.update({token["content"]: token["id"] for token in added})
    return _Facts(max(tokens.values(), default=-1) + 1, tokens, {})


def read_ranks(path: Path) -> dict[bytes, int]:
    """Token bytes -> id of a .tiktoken file."""
    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def known_ranks(path: Path) -> Ranks:
    """What is published beside a rank file.

    Raises:
        ValueError: the file is none of RANK_FILES.
    """
    known = RANK_FILES.get(file_sha256(path))
    if known is None:
        raise ValueError(
            f"{path}: is a rank file that is not known, so its word pattern is not; known are "
            f"{', '.join(ranks.name for ranks in RANK_FILES.values())}; give one of them or a tokenizer.json"
        )
    return known


def _rank_facts(path: Path) -> _Facts:
    known = known_ranks(path)
    return _Facts(known.size, known.special, {})


def proto_fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of a protobuf message: an int for varints, bytes for all else."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        width, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if at + width > len(data):
            raise IndexError("truncated")
        yield key >> 3, data[at : at + width]
        at += width


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _sentencepiece_facts(path: Path) -> _Facts:
    """ModelProto: pieces = 1 (piece = 1), trainer_spec = 2 (bos_id = 41, eos_id = 42, pad_id = 43)."""
    tokens: dict[str, int] = {}
    ids = {"bos": 1, "eos": 2, "pad": -1}  # the defaults of sentencepiece_model.proto
    names = {41: "bos", 42: "eos", 43: "pad"}
    count = 0
    try:
        for number, message in proto_fields(memoryview(path.read_bytes())):
            if number == 1 and isinstance(message, memoryview):
                name = next(
                    (v for n, v in proto_fields(message) if n == 1 and isinstance(v, memoryview)),
                    memoryview(b""),
                )
                tokens[bytes(name).decode("utf-8", "replace")] = count
                count += 1
            elif number == 2 and isinstance(message, memoryview):
                for key, value in proto_fields(message):
                    if key in names and isinstance(value, int):
                        ids[names[key]] = value - (1 << 64) if value >> 63 else value
    except (IndexError, KeyError) as error:
        raise ValueError(f"{path}: is not a SentencePiece model, or not whole ({error!r})") from error
    return _Facts(count, tokens, {name: (i if 0 <= i < count else None) for name, i in ids.items()})
