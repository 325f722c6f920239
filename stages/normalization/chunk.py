"""Very long documents cut into pieces at the best places near, losing nothing.

The pieces of a document joined are the document, to the byte: no overlap, no trimming, so that counts of
characters and spans stay true. A cut prefers the end of a paragraph, then of a line, a sentence, a word, and
falls inside a word only where there is nothing else, never inside a character as readers see it.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import ExpandStage, Expansion

CHUNK_INDEX = pa.field("chunk_index", pa.int32())  # 0-based place among the pieces of one document
CHUNK_COUNT = pa.field("chunk_count", pa.int32())  # pieces the document has, 1 if it was not cut

# End of a sentence: with a blank after it, or without in scripts that write none.
_SENTENCE = re.compile("[.!?…][\"'”’)\\]]*\\s+|[。！？；।॥۔።]+[」』”’）]*\\s*")
_BLANK = re.compile(r"\s+")
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_LINE = re.compile(r"\n\s*")
_LEVELS = (_PARAGRAPH, _LINE, _SENTENCE, _BLANK)
_JOINERS = "\u200d\ufe0e\ufe0f"  # what glues two code points into one character
MAX_CLUSTER_CHARS = 32  # longest run of marks that a cut steps back over; text that is all marks must end


class Chunks(NamedTuple):
    """Pieces of a batch of texts."""

    parents: pa.Array  # int64, ascending
    text: pa.Array  # large_string
    index: pa.Array  # int32
    count: pa.Array  # int32


def cut_points(text: str, max_chars: int) -> list[int]:
    r"""Where to cut, ascending, such that no piece is longer than `max_chars` code points.

    Pieces are made about equally long, so that none is a stub; each cut is looked for around its fair place.

    >>> cut_points("One two.\n\nThree four five.\n", 20)
    [10]
    """
    cuts: list[int] = []
    start = 0
    while len(text) - start > max_chars:
        rest = len(text) - start
        fair = -(-rest // -(-rest // max_chars))
        low = start + max(1, fair * 3 // 4)
        high = start + min(max_chars, fair + fair // 8)
        start = _best_cut(text, start, low, high)
        cuts.append(start)
    return cuts


def split_text(text: str, max_chars: int) -> Iterator[str]:
    """The pieces of a text; joined they are the text."""
    start = 0
    for cut in [*cut_points(text, max_chars), len(text)]:
        yield text[start:cut]
        start = cut


def _best_cut(text: str, start: int, low: int, high: int) -> int:
    """The last end of paragraph, else line, sentence, word, in [low, high]; else a place near `high`."""
    for pattern in _LEVELS:
        ends = [found.end() for found in pattern.finditer(text, low - 1, high)]
        if ends and not _is_inside(text, ends[-1]):
            return ends[-1]
    return _character_boundary(text, start, high)


def _character_boundary(text: str, start: int, at: int) -> int:
    """Step back from `at` to where no combining mark, joiner or second half of CR LF follows."""
    place = at
    while place > max(start + 1, at - MAX_CLUSTER_CHARS) and _is_inside(text, place):
        place -= 1
    return at if _is_inside(text, place) else place


def _is_inside(text: str, place: int) -> bool:
    if place >= len(text):
        return False
    before, after = text[place - 1], text[place]
    joined = before == "\u200d" or after in _JOINERS or unicodedata.category(after) in ("Mn", "Mc", "Me")
    return joined or (before == "\r" and after == "\n") or "\U0001f3fb" <= after <= "\U0001f3ff"


def chunk_texts(text: pa.Array, max_chars: int) -> Chunks:
    """Cut what is longer than `max_chars` code points; all else, null included, is one piece as it is."""
    lengths = pc.fill_null(pc.utf8_length(text), 0).to_numpy(zero_copy_only=False)
    long_rows = np.flatnonzero(lengths > max_chars)
    pieces = [list(split_text(text[int(row)].as_py(), max_chars)) for row in long_rows]
    counts = np.ones(len(text), np.int64)
    counts[long_rows] = [len(found) for found in pieces]
    parents = np.repeat(np.arange(len(text)), counts)
    index = np.arange(len(parents)) - np.repeat(np.cumsum(counts) - counts, counts)
    take = parents.copy()
    take[lengths[parents] > max_chars] = len(text) + np.arange(sum(map(len, pieces)))
    made = pa.array([piece for found in pieces for piece in found], text.type)
    return Chunks(
        pa.array(parents, pa.int64()),
        pa.concat_arrays([text, made]).take(pa.array(take, pa.int64())),
        pa.array(index, pa.int32()),
        pa.array(np.repeat(counts, counts), pa.int32()),
    )


class ChunkLongDocuments(ExpandStage[None]):
    """Cut documents that are too long into pieces that are documents of their own."""

    max_chars: int = Field(
        200_000,
        ge=100,
        description="code points a piece may have; shorter documents pass unchanged "
        "(tokenizers and PII recognizers slow down on longer ones, some quadratically)",
    )

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([TEXT, CHUNK_INDEX, CHUNK_COUNT])

    def expand(self, batch: pa.RecordBatch, resource: None) -> Expansion:  # noqa: ARG002
        chunks = chunk_texts(batch[TEXT.name], self.max_chars)
        columns = {TEXT.name: chunks.text, CHUNK_INDEX.name: chunks.index, CHUNK_COUNT.name: chunks.count}
        return Expansion(chunks.parents, columns)
