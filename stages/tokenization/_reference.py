"""The libraries that define what a tokenizer's tokens are: `tokenizers` and `sentencepiece`."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sentencepiece
import tokenizers

from stages.tokenization._ends import Encoded
from stages.tokenization._engines_pieces import as_json, read_model, why_not
from stages.tokenization._ranks import tokenizer_from_ranks

# The encoder holds about 100 bytes for each token of a call until its arrays are taken out.
CALL_CHARS = 1 << 20


Source = Mapping[str, Any] | str


class _Tokens(NamedTuple):
    ids: Sequence[int]
    spans: Sequence[tuple[int, int]]


class Reference:
    """A library's own encoder."""

    def __init__(
        self,
        encode: Callable[[list[str]], Iterator[_Tokens]],
        source: Callable[[], Source],
        fresh: Callable[[], "Reference"],
        late: bool = False,
    ) -> None:
        self._encode = encode
        self.source = source  # a parsed tokenizer.json with the same ids, or why there is none
        self.fresh = fresh  # another that gives the same, whose small cache of words is empty
        self.late = late  # a byte that does not end its character ends where the character begins

    def encode(self, texts: Sequence[str]) -> Encoded:
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


def _as_plain_text(tokenizer: Any) -> Reference:
    """Settle what a tokenizer.json may say about special tokens, padding and truncation."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True  # the strings of special tokens are encoded as any other text
    tokenizer.post_processor = None  # it would add special tokens, and trim white space off the spans

    def encode(texts: list[str]) -> Iterator[_Tokens]:
        for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
            yield _Tokens(encoding.ids, encoding.offsets)

    def fresh() -> Reference:
        return reference_from_json(tokenizer.to_str())

    def source() -> Source:
        found: Source = json.loads(tokenizer.to_str())
        return found

    return Reference(encode, source, fresh)


def reference_from_json(text: str) -> Reference:
    """The reference for a tokenizer.json's content."""
    return _as_plain_text(tokenizers.Tokenizer.from_str(text))


def _json_reference(path: Path) -> Reference:
    """The library numbers added tokens on from the vocabulary, whatever ids the file gives them."""
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    for token in json.loads(path.read_bytes()).get("added_tokens") or []:
        given = tokenizer.token_to_id(token["content"])
        if given != token["id"]:
            raise ValueError(
                f"{path}: added token {token['content']!r} has id {token['id']}, but `tokenizers` gives it "
                f"{given}; number added tokens that are not in the vocabulary on from its end, without gaps"
            )
    return _as_plain_text(tokenizer)


def _ranks_reference(path: Path) -> Reference:
    return _as_plain_text(tokenizer_from_ranks(path))


def _sentencepiece_reference(path: Path) -> Reference:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def encode(texts: list[str]) -> Iterator[_Tokens]:
        for mapping in processor.encode(texts, return_type="offset_mapping"):
            yield _Tokens(mapping["ids"], mapping["offsets"])

    def source() -> Source:
        model = read_model(path)
        return why_not(model) or as_json(model)

    return Reference(encode, source, lambda: _sentencepiece_reference(path), late=True)


_KINDS: Mapping[str, Callable[[Path], Reference]] = {
    "tokenizers": _json_reference,
    "sentencepiece": _sentencepiece_reference,
    "tiktoken": _ranks_reference,
}


def open_reference(kind: str, path: Path) -> Reference:
    """The reference for a file of a kind that shards.tokenizer.tokenizer_kind tells."""
    return _KINDS[kind](path)
