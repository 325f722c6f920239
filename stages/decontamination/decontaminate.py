"""Find benchmark items in documents by their n-grams; reject such documents, cut the items out, or say so.

Source: Brown et al. 2020 (GPT-3, arXiv:2005.14165, appendix C): 13-grams, 200 characters removed on both
sides, pieces under 200 characters dropped, documents split into more than 10 pieces dropped.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import MESSAGES, TEXT
from pipeline.stage import MapStage, Marks
from stages.decontamination._index import NgramIndex, read_index
from stages.decontamination._kernels import count_matches, locate_matches
from stages.kernels.buffers import text_buffers
from stages.kernels.dialogue import dialogue_texts
from stages.kernels.words import word_alphabet

CONTAMINATED_NGRAMS = pa.field("contaminated_ngrams", pa.int32())  # matches in the text, overlapping ones all
EVIDENCE_TYPE = pa.struct(
    [
        ("benchmark", pa.string()),  # the item's source
        ("item", pa.string()),  # id of the item with most matches
        ("matched", pa.string()),  # its longest stretch in this text, at most QUOTED characters
        ("start", pa.int64()),  # of that stretch, code points
        ("end", pa.int64()),
        ("ngrams", pa.int64()),  # matches of any item
        ("items", pa.int64()),  # different items among them
        ("spans", pa.int64()),  # stretches of overlapping matches
        ("removed_chars", pa.int64()),  # by action: cut
    ]
)
QUOTED = 500
SNAP_CHARS = 20  # a cut moves this far outwards at most, so as not to split a word


class Contamination(StrEnum):
    """Why a document falls."""

    CONTAMINATED = "contaminated"
    TOO_MANY_CONTAMINATED_SPANS = "too_many_contaminated_spans"
    TOO_LITTLE_LEFT = "too_little_left"


class Matches(NamedTuple):
    """Where index entries stand in one text, ascending by start; code points."""

    grams: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def merge_spans(starts: np.ndarray, ends: np.ndarray) -> list[tuple[int, int]]:
    """Spans that overlap or touch become one; `starts` ascend.

    >>> merge_spans(np.array([0, 3, 9]), np.array([5, 9, 12]))
    [(0, 12)]
    """
    merged: list[tuple[int, int]] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def split_text(text: str, spans: Sequence[tuple[int, int]], window: int) -> list[str]:
    """What is left of a text without its spans and `window` characters around each; no empty pieces.

    A cut through a word takes all of the word, if that has an end within SNAP_CHARS characters.

    >>> split_text("one two three four five", [(8, 13)], window=1)
    ['one two', 'four five']
    """
    wide = [(max(0, start - window), min(len(text), end + window)) for start, end in spans]
    merged = merge_spans(*(np.array(side, np.int64) for side in zip(*wide, strict=True))) if wide else []
    pieces, at = [], 0
    for start, end in merged:
        pieces.append(text[at : _outwards(text, start, -1)])
        at = max(at, _outwards(text, end, 1))
    pieces.append(text[at:])
    return [piece.strip() for piece in pieces if piece.strip()]


def _outwards(text: str, at: int, step: int) -> int:
    """The nearest end of a word from `at`, left (-1) or right (1); `at` itself if there is none close by."""
    for distance in range(SNAP_CHARS + 1):
        place = at + step * distance
        if place <= 0 or place >= len(text) or text[place].isspace() or text[place - 1].isspace():
            return min(max(place, 0), len(text))
    return at


def locate(text: bytes, hits: int, index: NgramIndex) -> Matches:
    """All matches of one text, which are `hits` in number."""
    data = np.frombuffer(text, np.uint8)
    grams, starts, ends = locate_matches(data, 0, len(text), hits, *word_alphabet(), *_tables(index))
    characters = np.cumsum((data & 0xC0) != 0x80)  # up to and including each byte
    order = np.lexsort((ends, starts))
    return Matches(grams[order], characters[starts[order]] - 1, characters[ends[order] - 1])


def _tables(index: NgramIndex) -> tuple[Any, ...]:
    return index.n, index.width, index.lengths, index.grams, index.anchors


def explain(text: str, found: Matches, index: NgramIndex) -> dict[str, Any]:
    """Evidence for one text: the item with most matches (the first of equals) and its longest stretch."""
    items_of = {gram: index.items_of(gram) for gram in set(found.grams.tolist())}
    each = np.concatenate([items_of[gram] for gram in found.grams.tolist()])
    items, counts = np.unique(each, return_counts=True)
    item = int(items[np.argmax(counts)])
    own = np.array([item in items_of[gram] for gram in found.grams.tolist()])
    start, end = max(merge_spans(found.starts[own], found.ends[own]), key=lambda s: s[1] - s[0])
    return {
        "benchmark": index.benchmarks[item],
        "item": index.items[item],
        "matched": text[start:end][:QUOTED],
        "start": start,
        "end": end,
        "ngrams": len(found.grams),
        "items": len(items),
        "spans": len(merge_spans(found.starts, found.ends)),
        "removed_chars": 0,
    }


class Decontaminate(MapStage[NgramIndex]):
    """Search documents for the n-grams of a benchmark index, and act on those that have enough.

    Matching takes no notice of case, punctuation, symbols and spacing. It finds copies, not paraphrases: an
    item reworded every few words passes. `cut` joins what is left with a blank line; `mark` only writes the
    count and the evidence.
    """

    reasons = Contamination
    sides: ClassVar[Mapping[str, str]] = {"index": "a build_ngram_index node over benchmark items"}
    summarize: ClassVar[Mapping[str, Literal["sum", "values"]]] = {"contaminated_ngrams": "sum"}

    on: Literal["text", "messages"] = Field(
        "text",
        description="where to look: the text, or the contents of a dialogue's turns, joined by a blank line "
        "(spans in the evidence count in that)",
    )
    action: Literal["reject", "cut", "mark"] = Field(
        "reject", description="reject the document, cut the matches out of it, or only mark it"
    )
    min_hits: int = Field(1, ge=1, description="matching n-grams from which a document is contaminated")
    window_chars: int = Field(200, ge=0, description="cut: characters removed on both sides of a match")
    min_piece_chars: int = Field(200, ge=1, description="cut: shorter pieces are removed as well")
    max_pieces: int | None = Field(
        10, ge=1, description="cut: a document that falls into more pieces is rejected; null: never"
    )

    def reads(self) -> pa.Schema:
        """The text, or the dialogue."""
        return pa.schema([MESSAGES if self.on == "messages" else TEXT])

    def writes(self) -> pa.Schema:
        """The number of matches; the text too, where it is cut."""
        return pa.schema([CONTAMINATED_NGRAMS, *([TEXT] if self.action == "cut" else [])])

    def problems(self) -> Sequence[str]:
        """Dialogues cannot be cut."""
        if self.on == "messages" and self.action == "cut":
            return [
                "action is 'cut', which would leave half a dialogue; with on: messages, use reject or mark"
            ]
        return []

    def needs_side(self) -> Sequence[str]:
        """The index."""
        return ["index"]

    def open(self, side: Mapping[str, Path]) -> NgramIndex:
        """Map the index."""
        return read_index(side["index"])

    def annotate(self, batch: pa.RecordBatch, resource: NgramIndex) -> Marks:
        """Counts for each row; verdict and evidence for those with enough matches."""
        texts = dialogue_texts(batch["messages"]) if self.on == "messages" else batch["text"]
        data, offsets = text_buffers(texts)
        counts = count_matches(data, offsets, *word_alphabet(), *_tables(resource))
        reject: list[str | None] = [None] * batch.num_rows
        evidence: list[dict[str, Any] | None] = [None] * batch.num_rows
        cleaned: dict[int, str] = {}
        for row in np.flatnonzero(counts >= self.min_hits).tolist():
            raw = data[offsets[row] : offsets[row + 1]].tobytes()
            text, found = raw.decode(), locate(raw, int(counts[row]), resource)
            evidence[row] = said = explain(text, found, resource)
            if self.action == "reject":
                reject[row] = Contamination.CONTAMINATED
            elif self.action == "cut":
                reject[row], left = self.cut(text, merge_spans(found.starts, found.ends))
                if reject[row] is None:
                    cleaned[row] = left
                    said["removed_chars"] = len(text) - len(left)
        columns = {"contaminated_ngrams": pa.array(counts).cast(pa.int32())}
        if self.action == "cut":
            columns["text"] = _replace(texts, cleaned)
        return Marks(columns, pa.array(reject, pa.string()), pa.array(evidence, EVIDENCE_TYPE))

    def cut(self, text: str, spans: Sequence[tuple[int, int]]) -> tuple[str | None, str]:
        """A reason, or None and the text without its spans."""
        pieces = split_text(text, spans, self.window_chars)
        if self.max_pieces is not None and len(pieces) > self.max_pieces:
            return Contamination.TOO_MANY_CONTAMINATED_SPANS, ""
        left = [piece for piece in pieces if len(piece) >= self.min_piece_chars]
        return (None, "\n\n".join(left)) if left else (Contamination.TOO_LITTLE_LEFT, "")


def _replace(texts: pa.Array, new: Mapping[int, str]) -> pa.Array:
    """A text column with some rows exchanged; `new` ascends by row."""
    if not new:
        return texts
    mask = np.zeros(len(texts), bool)
    mask[list(new)] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(list(new.values()), texts.type))
