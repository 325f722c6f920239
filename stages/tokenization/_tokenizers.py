"""Tokenizers of three file formats behind one small interface: texts in, flat numpy arrays out.

Whatever the file says, a document is encoded as plain text: the strings of special tokens in it do not become
special tokens, nothing is padded, nothing is cut off, and nothing is put before or after it but what is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.models import model_path
from shards.format import TokenizerInfo
from shards.tokenizer import FILE_NAMES, tokenizer_info
from stages.kernels.buffers import text_buffers
from stages.tokenization._ends import Encoded, add_specials, interleave, select
from stages.tokenization._engines import EngineFailed
from stages.tokenization._gate import Choice, EngineDiffers, Fast, choose, first_difference
from stages.tokenization._reference import Reference, open_reference

CALL_BYTES = 8 << 20  # of text for a call of a fast engine; a text is never divided


class FileTokenizer:
    """A tokenizer loaded from a file; pickles as the name of its file."""

    def __init__(self, path: Path, info: TokenizerInfo, engine: str = "auto") -> None:
        self.path, self.info, self.engine = path, info, engine
        self.reference: Reference = open_reference(info.kind, path)
        self.choice: Choice = choose(engine, self.reference, info)

    def __reduce__(self) -> tuple[type["FileTokenizer"], tuple[Path, TokenizerInfo, str]]:
        return type(self), (self.path, self.info, self.engine)

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """Token ids of each text, without special tokens, by the reference."""
        return self.reference.encode(texts)

    def encode(self, texts: pa.Array, bos: int | None = None, eos: int | None = None) -> Encoded:
        """Token ids of each text of a large_string array without nulls, with special tokens around each.

        What the fast engine fails on, and every text that its tokens do not spell by their length, is encoded by
        the reference.
        """
        fast = self.choice.fast
        if fast is None:
            return self._by_reference(texts, bos, eos)
        rest = fast.beyond(texts)
        some = texts.filter(pa.array(~rest)) if rest.any() else texts
        encoded, wrong = fast.spelling.lay_out(self._parts(fast, some), some, bos, eos)
        if not wrong.any() and not rest.any():
            return encoded
        encoded = select(encoded, np.flatnonzero(~wrong))
        rest[~rest] = wrong
        return interleave(encoded, self._by_reference(texts.filter(pa.array(rest)), bos, eos), rest)

    def _parts(self, fast: Fast, texts: pa.Array) -> list[tuple[np.ndarray, np.ndarray]]:
        """Ids and offsets of runs of texts."""
        parts = []
        _, offsets = text_buffers(texts)
        for first, last in _runs(offsets):
            run = texts.slice(first, last - first)
            try:
                parts.append(fast.engine.encode(run))
            except EngineFailed:
                encoded = self.reference.encode(run.to_pylist())
                parts.append((encoded.ids, encoded.offsets))
        return parts

    def _by_reference(self, texts: pa.Array, bos: int | None, eos: int | None) -> Encoded:
        chars = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
        return add_specials(self.reference.encode(texts.to_pylist()), chars, bos, eos)

    def check(
        self, texts: pa.Array, ids: pa.Array, encoded: Encoded, specials: tuple[int | None, int | None]
    ) -> None:
        """Encode texts again by the reference.

        Args:
            texts: large_string without nulls.
            ids: their documents' ids, for the error.
            encoded: their tokens, special ones included.
            specials: ids of BOS and EOS around them.

        Raises:
            EngineDiffers: the tokens of a text are others.
        """
        at = first_difference(encoded, self._by_reference(texts, *specials))
        if at is not None:
            raise EngineDiffers(
                f"tokenize: document {ids[at].as_py()!r}: the engine {self.choice.name} gives other tokens than the "
                "reference, so none of its documents can be trusted; write engine: reference"
            )


def _runs(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and last row (exclusive) of runs of about CALL_BYTES."""
    first, rows = 0, len(offsets) - 1
    while first < rows:
        last = int(np.searchsorted(offsets, offsets[first] + CALL_BYTES, "right")) - 1
        last = min(max(last, first + 1), rows)
        yield first, last
        first = last


def open_tokenizer(
    path: Path, bos_token: str | None = None, eos_token: str | None = None, engine: str = "auto"
) -> FileTokenizer:
    """Load a tokenizer.json, SentencePiece .model or known .tiktoken file.

    Raises:
        ValueError: it is none of them, lacks a named token, or an engine is asked for that cannot encode with it.
    """
    return FileTokenizer(path, tokenizer_info(path, bos_token=bos_token, eos_token=eos_token), engine)


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
