"""Tokenizers side by side on the same texts: how long their sequences are, what they lose, how fast they are.

Bytes per token says how much text a token carries; tokens per word (fertility) how badly a language is cut. A round
trip fails when decoding the ids does not give back the text, which a normalizer brings about as well. Sources: Rust et
al. 2021 (arXiv:2012.15613, fertility), Petrov et al. 2023 (arXiv:2305.15425, differences between languages).
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import sentencepiece
import tokenizers

from shards.tokenizer import tokenizer_kind
from stages.kernels.words import hash_words, word_alphabet
from stages.tokenization._ranks import tokenizer_from_ranks
from stages.tokenization._tokenizers import FileTokenizer, open_tokenizer

ALL = "(all)"
Decode = Callable[[Sequence[int]], str]


class Odd(NamedTuple):
    """Ids that say that text was not in the vocabulary."""

    unknown: np.ndarray
    bytes: np.ndarray  # a byte each, for characters that have no token; empty for byte-level vocabularies


class Subject(NamedTuple):
    """A tokenizer that is compared."""

    name: str
    encoder: FileTokenizer
    decode: Decode
    odd: Odd


class Score(NamedTuple):
    """One tokenizer on one group of texts."""

    tokenizer: str
    group: str
    documents: int
    bytes: int
    words: int
    tokens: int
    unknown: int  # tokens
    byte_tokens: int
    broken: int  # documents whose ids do not decode to the text
    used: int  # entries of the vocabulary that occur
    vocabulary: int
    cpu_seconds: float

    @property
    def bytes_per_token(self) -> float:
        """How much text a token carries; 0 without tokens."""
        return self.bytes / self.tokens if self.tokens else 0.0

    @property
    def tokens_per_word(self) -> float:
        """How many tokens a word takes; 0 without words."""
        return self.tokens / self.words if self.words else 0.0


def open_subject(name: str, path: Path) -> Subject:
    """Load a tokenizer for comparing.

    Raises:
        ValueError: the file is no tokenizer.
    """
    kind = tokenizer_kind(path)
    encoder = open_tokenizer(path)
    if kind == "sentencepiece":
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        pieces = range(model.get_piece_size())
        odd = Odd(np.array([model.unk_id()]), np.array([i for i in pieces if model.is_byte(i)], np.int64))
        return Subject(name, encoder, lambda ids: str(model.decode(list(ids))), odd)
    plain = tokenizer_from_ranks(path) if kind == "tiktoken" else tokenizers.Tokenizer.from_file(str(path))
    unknown = getattr(plain.model, "unk_token", None)
    number = None if unknown is None else plain.token_to_id(unknown)
    falls_back = getattr(plain.model, "byte_fallback", False)
    found = [plain.token_to_id(f"<0x{byte:02X}>") for byte in range(256)] if falls_back else []
    odd = Odd(
        np.array([] if number is None else [number], np.int64),
        np.array([i for i in found if i is not None], np.int64),
    )
    return Subject(name, encoder, lambda ids: str(plain.decode(list(ids), skip_special_tokens=False)), odd)


def score(subject: Subject, group: str, texts: Sequence[str]) -> Score:
    """Encode, time and decode some texts."""
    column = pa.array(texts, pa.large_string())
    started = time.process_time()
    encoded = subject.encoder.encode(column)
    seconds = time.process_time() - started
    bounds = zip(encoded.offsets[:-1].tolist(), encoded.offsets[1:].tolist(), strict=True)
    ids = encoded.ids.tolist()
    broken = sum(
        subject.decode(ids[start:end]) != text for text, (start, end) in zip(texts, bounds, strict=True)
    )
    words = hash_words(column, word_alphabet())
    return Score(
        subject.name,
        group,
        len(texts),
        sum(len(text.encode()) for text in texts),
        int(words.offsets[-1]),
        len(encoded.ids),
        int(np.isin(encoded.ids, subject.odd.unknown).sum()),
        int(np.isin(encoded.ids, subject.odd.bytes).sum()),
        broken,
        len(np.unique(encoded.ids)),
        subject.encoder.info.vocab_size,
        seconds,
    )


def compare(subjects: Iterable[Subject], groups: Mapping[str, Sequence[str]]) -> list[Score]:
    """Every tokenizer on every group, and on all of them together if they are several.

    Each encodes a text before its time is taken, so that none pays for its first use.
    """
    held = dict(groups)
    if len(held) > 1:
        held[ALL] = [text for texts in groups.values() for text in texts]
    scores = []
    for subject in subjects:
        first = next(iter(texts[0] for texts in held.values() if texts), "")
        subject.encoder.encode(pa.array([first], pa.large_string()))
        scores += [score(subject, group, texts) for group, texts in held.items()]
    return scores


COLUMNS = (
    "group",
    "tokenizer",
    "documents",
    "MB",
    "bytes/token",
    "tokens/word",
    "unknown %",
    "as bytes %",
    "broken",
    "used %",
    "MB/CPU-s",
)


def cells_of(score: Score) -> list[str]:
    """A row of the table, as COLUMNS says."""
    tokens = score.tokens or 1
    return [
        score.group,
        score.tokenizer,
        f"{score.documents:,}",
        f"{score.bytes / 1e6:.2f}",
        f"{score.bytes_per_token:.2f}",
        f"{score.tokens_per_word:.2f}",
        f"{100 * score.unknown / tokens:.2f}",
        f"{100 * score.byte_tokens / tokens:.2f}",
        f"{score.broken:,}",
        f"{100 * score.used / score.vocabulary:.1f}",
        f"{score.bytes / 1e6 / score.cpu_seconds:.1f}" if score.cpu_seconds else "-",
    ]


def table_of(scores: Sequence[Score]) -> str:
    """Scores as text, group by group, so that tokenizers stand below each other."""
    groups = list(dict.fromkeys(score.group for score in scores))
    rows = [list(COLUMNS)] + [cells_of(s) for group in groups for s in scores if s.group == group]
    widths = [max(len(row[k]) for row in rows) for k in range(len(COLUMNS))]
    lines = (
        "  ".join(
            cell.ljust(width) if k < 2 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines)
