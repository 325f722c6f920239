"""Documents with too many words of a list: whole words only, found in one pass of an Aho-Corasick automaton.

Matching whole words keeps Scunthorpe and "class" safe. What the list holds is the user's choice: lists with
the names of groups ("gay", "jew") remove what those groups write (Dodge et al. 2021 on C4's block list), so
look at `terms` in the evidence before trusting one. Scripts without spaces match anywhere: they have no words
to be whole. C4 removes a document with one bad word (`max_count: 0`); a ratio spares long documents a single
quote.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple

import ahocorasick
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import MESSAGES, TEXT
from pipeline.stage import MapStage, Marks
from stages.kernels.unicode import UNSPACED, char_classes, class_of
from stages.safety._kernels import fold_texts

BAD_WORD_COUNT = pa.field("bad_word_count", pa.int32())
EVIDENCE_TYPE = pa.struct([("count", pa.int32()), ("ratio", pa.float64()), ("terms", pa.list_(pa.string()))])
MAX_EVIDENCE_TERMS = 5


class Reason(StrEnum):
    """Why a document goes."""

    TOO_MANY_BAD_WORDS = "too_many_bad_words"


class WordCounts(NamedTuple):
    """What a batch holds of a word list; one entry a row."""

    hits: np.ndarray  # int64, occurrences
    distinct: np.ndarray  # int64, different terms
    ratio: np.ndarray  # float64, occurrences a word
    terms: Mapping[int, Sequence[str]]  # rows with any: their terms, in order of first appearance


def read_terms(paths: Sequence[Path]) -> list[str]:
    """The terms of word lists: one a line, `#` begins a comment line, empty lines are skipped.

    Raises:
        ValueError: a list is not UTF-8, or all of them together hold no term.
    """
    terms: dict[str, None] = {}
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"words: {path} is not UTF-8 ({error}); save it as UTF-8") from error
        terms.update((line.strip(), None) for line in lines if line.strip() and not line.startswith("#"))
    if not terms:
        raise ValueError(f"words: {', '.join(map(str, paths))} holds no term; write one a line")
    return list(terms)


def build_automaton(terms: Sequence[str]) -> Any:
    """An automaton over folded text. A side of a term in a script without spaces needs no word boundary.

    Terms that fold to the same letters are one term. A term of nothing but white space is left out.
    """
    folded, starts, _ = fold_texts(pa.array(terms, pa.large_string()))
    automaton = ahocorasick.Automaton()
    for i, term in enumerate(terms):
        key = folded[starts[i] : starts[i + 1] - 1]
        if not key:
            continue
        key = key[1:] if _is_unspaced(key[1]) else key
        key = key[:-1] if _is_unspaced(key[-2]) else key
        if key not in automaton:
            automaton.add_word(key, term)
    automaton.make_automaton()
    return automaton


def _is_unspaced(char: str) -> bool:
    return bool(class_of(char_classes(), ord(char)) & UNSPACED)


def count_terms(column: pa.Array, automaton: Any) -> WordCounts:
    """Occurrences of listed terms in each text: the longest at each place, not overlapping."""
    folded, starts, words = fold_texts(column)
    rows = len(column)
    hits = list(automaton.iter_long(folded))
    at = np.searchsorted(starts, np.fromiter((end for end, _ in hits), np.int64, len(hits)), "right") - 1
    terms: dict[int, dict[str, None]] = {}
    for row, (_, term) in zip(at.tolist(), hits, strict=True):
        terms.setdefault(row, {})[term] = None
    count = np.bincount(at, minlength=rows)[:rows] if rows else np.zeros(0, np.int64)
    distinct = np.zeros(rows, np.int64)
    for row, found in terms.items():
        distinct[row] = len(found)
    return WordCounts(
        count, distinct, count / np.maximum(words, 1), {row: list(t) for row, t in terms.items()}
    )


def dialogue_texts(messages: pa.Array) -> pa.Array:
    """What is said in each dialogue, turn by turn, with a ¶ between, which no term spans; null becomes empty."""
    content = pc.fill_null(pc.struct_field(pc.list_flatten(messages), "content"), "")
    lengths = pc.fill_null(pc.list_value_length(messages), 0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    lists = pa.LargeListArray.from_arrays(offsets, content.cast(pa.large_string()))
    return pc.binary_join(lists, pa.scalar("\n¶\n", pa.large_string()))


class BadWords(MapStage[Any]):
    """Count words of a list, and reject documents that hold too many."""

    reasons = Reason
    libraries = ("pyahocorasick",)
    summarize = {"bad_word_count": "sum"}

    words: Path | list[Path] = Field(
        description="word list or lists: UTF-8, one term a line, `#` begins a comment"
    )
    column: Literal["text", "messages"] = Field(
        "text", description="count in `text`, or in every turn of `messages`"
    )
    max_count: int | None = Field(0, ge=0, description="most occurrences a document may have; null = off")
    max_ratio: float | None = Field(
        None, ge=0, le=1, description="most occurrences a word; a Han or Kana character is a word; null = off"
    )
    min_distinct: int | None = Field(
        None, ge=1, description="reject only with at least this many different terms; null = off"
    )

    def reads(self) -> pa.Schema:
        return pa.schema([MESSAGES if self.column == "messages" else TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([BAD_WORD_COUNT])

    def resources(self) -> Sequence[Path]:
        return [self.words] if isinstance(self.words, Path) else self.words

    def problems(self) -> Sequence[str]:
        if not self.resources():
            return ["words: no word list is given; write the path of one"]
        if self.min_distinct is not None and self.max_count is None and self.max_ratio is None:
            return ["min_distinct: rejects nothing alone; set max_count or max_ratio too"]
        return []

    def open(self, side: Mapping[str, Path]) -> Any:  # noqa: ARG002
        return build_automaton(read_terms(self.resources()))

    def annotate(self, batch: pa.RecordBatch, resource: Any) -> Marks:
        texts = batch["text"] if self.column == "text" else dialogue_texts(batch["messages"])
        found = count_terms(texts, resource)
        bad = self._is_bad(found)
        reject = pc.if_else(pa.array(bad), Reason.TOO_MANY_BAD_WORDS.value, pa.scalar(None, pa.string()))
        shown = [
            {
                "count": found.hits[row],
                "ratio": found.ratio[row],
                "terms": found.terms[row][:MAX_EVIDENCE_TERMS],
            }
            if is_bad
            else None
            for row, is_bad in enumerate(bad.tolist())
        ]
        counts = pa.array(found.hits.astype(np.int32))
        return Marks({"bad_word_count": counts}, reject, pa.array(shown, EVIDENCE_TYPE))

    def _is_bad(self, found: WordCounts) -> np.ndarray:
        """Over either limit, with enough different terms; a document with none is never bad."""
        over = np.zeros(len(found.hits), bool)
        if self.max_count is not None:
            over |= found.hits > self.max_count
        if self.max_ratio is not None:
            over |= found.ratio > self.max_ratio
        return over & (found.distinct >= (self.min_distinct or 1))
