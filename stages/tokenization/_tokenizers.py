"""Tokenizers of three file formats behind one small interface: texts in, flat numpy arrays out.

Whatever the file says, a document is encoded as plain text: the strings of special tokens in it do not become
special tokens, nothing is padded, nothing is cut off, and nothing is put before or after it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import sentencepiece
import tokenizers

from pipeline.models import model_path
from shards.format import TokenizerInfo
from shards.tokenizer import FILE_NAMES, tokenizer_info
from stages.tokenization._ranks import tokenizer_from_ranks

# The encoder holds about 100 bytes for each token of a call until its arrays are taken out.
CALL_CHARS = 1 << 20


class Encoded(NamedTuple):
    """Tokens of several texts, one after the other."""

    ids: np.ndarray  # uint32
    offsets: np.ndarray  # int64, texts + 1: where each text's tokens begin and end in `ids`
    ends: np.ndarray  # uint32, as `ids`: where each token ends in its text, in code points; never falling


class Tokenizer(Protocol):
    """What `tokenize` needs of a tokenizer."""

    @property
    def info(self) -> TokenizerInfo:
        """Its file's hash, its full size and its special ids."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """Token ids of each text, without special tokens."""
        ...


class _Tokens(NamedTuple):
    ids: Sequence[int]
    spans: Sequence[tuple[int, int]]


class FileTokenizer:
    """A tokenizer loaded from a file; pickles as the name of its file."""

    def __init__(self, path: Path, info: TokenizerInfo) -> None:
        self.path, self.info = path, info
        self._encode = _ENCODERS[info.kind](path)

    def __reduce__(self) -> tuple[type["FileTokenizer"], tuple[Path, TokenizerInfo]]:
        return type(self), (self.path, self.info)

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """Token ids of each text, without special tokens."""
        ids: list[np.ndarray] = [np.zeros(0, np.uint32)]
        ends: list[np.ndarray] = [np.zeros(0, np.uint32)]
        lengths: list[int] = []
        for call in _calls(texts):
            for tokens in self._encode(call):
                ids.append(np.array(tokens.ids, np.uint32))
                # A token that is part of a character ends where the character ends, so ends may stand still;
                # normalizers that reorder characters could make them fall, which no span survives.
                spans = np.fromiter(map(itemgetter(1), tokens.spans), np.uint32, len(tokens.ids))
                ends.append(np.maximum.accumulate(spans))
                lengths.append(len(tokens.ids))
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return Encoded(np.concatenate(ids), offsets, np.concatenate(ends))


def _calls(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in runs of about CALL_CHARS characters; a text is never divided."""
    call: list[str] = []
    size = 0
    for text in texts:
        call.append(text)
        size += len(text)
        if size >= CALL_CHARS:
            yield call
            call, size = [], 0
    if call:
        yield call


_Encode = Callable[[list[str]], Iterator[_Tokens]]


def _as_plain_text(tokenizer: Any) -> _Encode:
    """Settle what a tokenizer.json may say about special tokens, padding and truncation."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True  # the strings of special tokens are encoded as any other text
    tokenizer.post_processor = None  # it would add special tokens, and trim white space off the spans

    def encode(texts: list[str]) -> Iterator[_Tokens]:
        for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
            yield _Tokens(encoding.ids, encoding.offsets)

    return encode


def _json_encoder(path: Path) -> _Encode:
    return _as_plain_text(tokenizers.Tokenizer.from_file(str(path)))


def _ranks_encoder(path: Path) -> _Encode:
    return _as_plain_text(tokenizer_from_ranks(path))


def _sentencepiece_encoder(path: Path) -> _Encode:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def encode(texts: list[str]) -> Iterator[_Tokens]:
        for mapping in processor.encode(texts, return_type="offset_mapping"):
            yield _Tokens(mapping["ids"], mapping["offsets"])

    return encode


_ENCODERS: Mapping[str, Callable[[Path], _Encode]] = {
    "tokenizers": _json_encoder,
    "sentencepiece": _sentencepiece_encoder,
    "tiktoken": _ranks_encoder,
}


def open_tokenizer(path: Path, bos_token: str | None = None, eos_token: str | None = None) -> FileTokenizer:
    """Load a tokenizer.json, SentencePiece .model or known .tiktoken file.

    Raises:
        ValueError: it is none of them, or lacks a named token.
    """
    return FileTokenizer(path, tokenizer_info(path, bos_token=bos_token, eos_token=eos_token))


def tokenizer_file(tokenizer: str | None, side: Mapping[str, Path]) -> Path:
    """The file that the param `tokenizer` or the side input `tokenizer` means.

    Raises:
        ValueError: neither is given, or the side's folder holds no tokenizer.
    """
    if tokenizer is not None:
        return model_path(tokenizer)
    if "tokenizer" not in side:
        raise ValueError("tokenizer: neither the param nor the side input is given; give one of them")
    for name in FILE_NAMES.values():
        if (side["tokenizer"] / name).is_file():
            return side["tokenizer"] / name
    raise ValueError(f"side tokenizer: {side['tokenizer']} holds none of {', '.join(FILE_NAMES.values())}")
