"""Where tokens end in the text, from the size of each token alone, and special tokens around documents.

A byte-level token always spells the same bytes, so the number of bytes and of characters that begin in them are
facts of its id, and sums of them are the places where tokens end: the text need not be looked at. The same holds of
SentencePiece's pieces where nothing is normalized.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.kernels.buffers import text_buffers
from stages.tokenization._ends_kernels import lay_out_documents, lay_out_pieces
from stages.tokenization._ranks import byte_letters

_BYTE = re.compile("<0x([0-9A-F]{2})>")
UNKNOWN = 1 << 56  # a size in bytes that no text has: that of special tokens, which no text may give


class Encoded(NamedTuple):
    """Tokens of several texts, one after the other."""

    ids: np.ndarray  # uint32
    offsets: np.ndarray  # int64, texts + 1: where each text's tokens begin and end in `ids`
    ends: np.ndarray  # uint32, as `ids`: where each token ends in its text, in code points; never falling


def piece_sizes(vocab: Mapping[str, int], special: Collection[str], size: int) -> np.ndarray:
    """Code points of each id of a vocabulary of pieces, or 1 << 32 | byte for those that stand for a byte.

    Args:
        vocab: pieces -> id.
        special: pieces that no text may give; those for bytes may be among them.
        size: ids in all.

    >>> [hex(size) for size in piece_sizes({"▁a": 0, "<0xE9>": 1, "<s>": 2}, ["<s>"], 3)]
    ['0x2', '0x1000000e9', '0x100000000000000', '0x100000000000000']
    """
    sizes = np.full(size + 1, UNKNOWN, np.uint64)
    for piece, i in vocab.items():
        byte = _BYTE.fullmatch(piece)
        if byte or piece not in special:
            sizes[i] = 1 << 32 | int(byte[1], 16) if byte else len(piece)
    return sizes


def byte_level_sizes(vocab: Mapping[str, int], added: Sequence[Mapping[str, Any]], size: int) -> np.ndarray:
    """Bytes << 32 | code points that begin in them, for each id of a byte-level vocabulary.

    Args:
        vocab: tokens in the letters that stand for bytes -> id.
        added: `added_tokens` of a tokenizer.json, whose content is plain text.
        size: ids in all.

    Returns:
        uint64, one more than ids; UNKNOWN for special tokens, ids without a token, and the last.

    >>> [hex(size) for size in byte_level_sizes({"Ġa": 0, "Ã": 1, "©": 2}, [], 4)]
    ['0x200000002', '0x100000001', '0x100000000', '0x100000000000000', '0x100000000000000']
    """
    letters = byte_letters()
    inside = str.maketrans("", "", "".join(letters[0x80:0xC0]))  # bytes that go on with a character
    known = frozenset(letters)
    sizes = np.full(size + 1, UNKNOWN, np.uint64)
    for token, i in vocab.items():
        if known.issuperset(token):
            sizes[i] = len(token) << 32 | len(token.translate(inside))
    for entry in added:
        content = entry["content"]
        sizes[entry["id"]] = UNKNOWN if entry["special"] else len(content.encode()) << 32 | len(content)
    return sizes


Parts = Sequence[
    tuple[np.ndarray, np.ndarray]
]  # ids (uint32) and offsets (int64, from 0) of documents, in order


class Spelling(Protocol):
    """What the tokens of a vocabulary spell."""

    def lay_out(
        self, parts: Parts, texts: pa.Array, bos: int | None, eos: int | None
    ) -> tuple[Encoded, np.ndarray]:
        """Documents with specials and ends, and which of them are not what their tokens spell, by length.

        Args:
            parts: tokens of runs of documents, in order.
            texts: the documents, large_string without nulls.
            bos: id to put first, or None.
            eos: id to put last, or None.
        """
        ...


class Bytes(NamedTuple):
    """Byte-level tokens."""

    sizes: np.ndarray  # as of byte_level_sizes

    def lay_out(
        self, parts: Parts, texts: pa.Array, bos: int | None, eos: int | None
    ) -> tuple[Encoded, np.ndarray]:
        """See Spelling."""
        lengths = np.diff(text_buffers(texts)[1])

        def fill(ids: np.ndarray, offsets: np.ndarray, docs: slice, *rest: Any) -> int:
            return int(lay_out_documents(ids, offsets, self.sizes, lengths[docs], *rest))

        return _filled(fill, parts, len(texts), bos, eos)


class Pieces(NamedTuple):
    """Tokens of SentencePiece's kind: spaces are a letter of their own, single bytes stand for rare characters."""

    sizes: np.ndarray  # as of piece_sizes
    prefix: bool  # is there a space before the text that it does not have
    late: bool  # as sentencepiece says where bytes end, not as `tokenizers`

    def lay_out(
        self, parts: Parts, texts: pa.Array, bos: int | None, eos: int | None
    ) -> tuple[Encoded, np.ndarray]:
        """See Spelling."""
        lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)

        def fill(ids: np.ndarray, offsets: np.ndarray, docs: slice, *rest: Any) -> int:
            prefix = int(self.prefix)
            return int(lay_out_pieces(ids, offsets, self.sizes, lengths[docs], prefix, self.late, *rest))

        return _filled(fill, parts, len(texts), bos, eos)


def _filled(
    fill: Callable[..., int], parts: Parts, docs: int, bos: int | None, eos: int | None
) -> tuple[Encoded, np.ndarray]:
    """Room for all tokens, filled part by part."""
    extra = int(bos is not None) + int(eos is not None)
    total = sum(int(offsets[-1]) for _, offsets in parts) + docs * extra
    ids, ends = np.empty(total, np.uint32), np.empty(total, np.uint32)
    out_offsets, wrong = np.zeros(docs + 1, np.int64), np.zeros(docs, np.bool_)
    at = doc = 0
    for part_ids, part_offsets in parts:
        last = doc + len(part_offsets) - 1
        at = fill(
            part_ids, part_offsets, slice(doc, last), -1 if bos is None else bos, -1 if eos is None else eos,
            at, ids, ends, out_offsets[doc : last + 1], wrong[doc:last],
        )  # fmt: skip
        doc = last
    return Encoded(ids, out_offsets, ends), wrong


def add_specials(encoded: Encoded, chars: np.ndarray, bos: int | None, eos: int | None) -> Encoded:
    """Put special tokens around every text; BOS ends at 0, EOS at the end of the text.

    Args:
        encoded: tokens without special tokens.
        chars: length of each text in code points.
        bos: id to put first, or None.
        eos: id to put last, or None.
    """
    before, after = int(bos is not None), int(eos is not None)
    texts = len(encoded.offsets) - 1
    lengths = np.diff(encoded.offsets)
    offsets = encoded.offsets + (before + after) * np.arange(texts + 1)
    ids, ends = np.empty(offsets[-1], np.uint32), np.empty(offsets[-1], np.uint32)
    # token j of text i moves past the specials of the texts before it and its own BOS
    places = np.arange(len(encoded.ids)) + np.repeat((before + after) * np.arange(texts) + before, lengths)
    ids[places], ends[places] = encoded.ids, encoded.ends
    if bos is not None:
        ids[offsets[:-1]], ends[offsets[:-1]] = bos, 0
    if eos is not None:
        ids[offsets[1:] - 1], ends[offsets[1:] - 1] = eos, chars
    return Encoded(ids, offsets, ends)


def interleave(first: Encoded, second: Encoded, from_second: np.ndarray) -> Encoded:
    """Documents of two encodings as one, in the order of the mask that says which come from the second."""
    lengths = np.empty(len(from_second), np.int64)
    lengths[~from_second], lengths[from_second] = np.diff(first.offsets), np.diff(second.offsets)
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    ids, ends = np.empty(offsets[-1], np.uint32), np.empty(offsets[-1], np.uint32)
    tokens = np.repeat(from_second, lengths)
    ids[tokens], ends[tokens] = second.ids, second.ends
    np.logical_not(tokens, out=tokens)
    ids[tokens], ends[tokens] = first.ids, first.ends
    return Encoded(ids, offsets, ends)


def select(encoded: Encoded, docs: np.ndarray) -> Encoded:
    """Some of the documents, in the order of their numbers."""
    bounds = [(encoded.offsets[i], encoded.offsets[i + 1]) for i in docs]
    offsets = np.zeros(len(docs) + 1, np.int64)
    np.cumsum([last - first for first, last in bounds], out=offsets[1:])
    none = np.zeros(0, np.uint32)
    ids = np.concatenate([none, *(encoded.ids[first:last] for first, last in bounds)])
    ends = np.concatenate([none, *(encoded.ends[first:last] for first, last in bounds)])
    return Encoded(ids, offsets, ends)
