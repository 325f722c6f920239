"""Scores of KenLM binaries, such as those that CCNet published, by the kenlm package (the extra `lm`).

With a SentencePiece model a document is prepared and scored as CCNet does it (its text_normalizer.normalize and
perplexity.DocLM): small letters without accents, 0 for every digit, ASCII for some typographic marks, no control
characters; line feeds are such, so a document is one line. Without one, lines and words are those of our own models.
"""

import functools
import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.signals._lm_model import Scores, lines_of, scores_of, spellings_of, words_of

try:
    import kenlm
except ImportError as error:
    raise ImportError(
        "perplexity: a KenLM binary needs the package kenlm; run pip install 'corpusmill[lm]'"
    ) from error

# Which marks become which is what the published models have seen; ‘ and ‹ › stay as they are.
_MARKS = {
    '"': "„”“«»」「《》",
    "'": "´’",
    ",": "，、",
    ".": "。",
    ":": "∶：",
    "?": "？",
    "!": "！",
    "(": "（",
    ")": "）",
    ";": "；",
    "-": "–━►",
    " - ": "—",
    ". ": "．",
    "~": "～",
    "...": "…",
    "<": "〈",
    ">": "〉",
    "[": "【",
    "]": "】",
    "%": "％",
}


@functools.cache
def _ccnet_table() -> dict[int, str | None]:
    """For str.translate: what becomes of marks, accents, digits and control characters."""
    table: dict[int, str | None] = {}
    for point in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(point))
        if category == "Nd":
            table[point] = "0"
        elif category in ("Mn", "Cc"):
            table[point] = None
    return table | {ord(mark): plain for plain, marks in _MARKS.items() for mark in marks}


def ccnet_text(text: str) -> str:
    """A document as CCNet prepares it.

    >>> ccnet_text("Élan “vital”, 1907…")
    'elan "vital", 0000...'
    """
    return unicodedata.normalize("NFD", text.strip().lower()).translate(_ccnet_table())


class KenlmScorer:
    """A KenLM model of any format that the package reads."""

    cuts: tuple[float, float] | None = None

    def __init__(self, path: str, sentencepiece: str | None) -> None:
        try:
            self.model = kenlm.Model(path)
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{path}: no KenLM model that can be read: {error}") from error
        self.pieces = None
        if sentencepiece is not None:
            from sentencepiece import SentencePieceProcessor

            try:
                self.pieces = SentencePieceProcessor(model_file=sentencepiece)
            except (OSError, RuntimeError) as error:
                raise ValueError(f"{sentencepiece}: no SentencePiece model: {error}") from error

    def score(self, text: pa.Array) -> Scores:
        """Perplexity over lines (of pieces: over the document), their ends included."""
        tokens, rows = self._pieces_of(text) if self.pieces is not None else _words_of(text)
        sizes = pc.list_value_length(tokens).to_numpy(zero_copy_only=False)
        lines = pc.binary_join(tokens, pa.scalar(" ", pa.large_string())).to_pylist()
        logs = [
            self.model.score(line) if size else 0.0 for line, size in zip(lines, sizes.tolist(), strict=True)
        ]
        distinct = tokens.flatten().dictionary_encode()
        known = np.fromiter((word in self.model for word in distinct.dictionary.to_pylist()), bool)
        unknown = ~known[distinct.indices.to_numpy()] if len(distinct) else np.zeros(0, bool)
        sums = (
            np.bincount(rows, logs, len(text)),
            np.bincount(rows, sizes + (sizes > 0), len(text)),
            np.bincount(np.repeat(rows, sizes), unknown, len(text)),
            np.bincount(rows, sizes > 0, len(text)),
        )
        return scores_of(*sums)

    def _pieces_of(self, text: pa.Array) -> tuple[pa.Array, np.ndarray]:
        """Pieces of each document, and int64 numbers of rows."""
        prepared = [ccnet_text(document or "") for document in text.to_pylist()]
        assert self.pieces is not None
        pieces = self.pieces.encode(prepared, out_type=str, num_threads=1)
        return pa.array(pieces, pa.large_list(pa.large_string())), np.arange(len(text))


def _words_of(text: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Words of each line, spelt as in an ARPA file of ours, and the rows that lines are of."""
    lines, rows = lines_of(text)
    found = words_of(lines)
    words = spellings_of(lines, found.starts, found.ends)
    return pa.LargeListArray.from_arrays(pa.array(found.offsets), words), rows
