"""How much of a document repeats itself: lines, paragraphs and n-grams of words, as fractions.

Rae et al. 2021 (Gopher), arXiv:2112.11446, appendix A.1.1 "Repetition removal" and table A1. Written by
`text_signals`, thresholded by `gopher_repetition`; docs/signals.md defines each number exactly.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from stages.signals._ngram_kernels import DUPLICATE_SIZES, TOP_SIZES

Counts = Mapping[str, np.ndarray]  # int64, by the names in _kernels.COUNTS
Ratio = Callable[[np.ndarray, np.ndarray], pa.Array]

LINE_FIELDS = tuple(
    pa.field(name, pa.float64())
    for name in (
        "duplicate_line_fraction",
        "duplicate_line_char_fraction",
        "duplicate_paragraph_fraction",
        "duplicate_paragraph_char_fraction",
    )
)
TOP_FIELDS = tuple(pa.field(f"top_{n}gram_char_fraction", pa.float64()) for n in TOP_SIZES)
DUPLICATE_FIELDS = tuple(pa.field(f"duplicate_{n}gram_char_fraction", pa.float64()) for n in DUPLICATE_SIZES)
REPETITION_FIELDS = (*LINE_FIELDS, *TOP_FIELDS, *DUPLICATE_FIELDS)


def ratio(part: np.ndarray, whole: np.ndarray) -> pa.Array:
    """Part / whole as float64, null where `whole` is 0: nothing to measure is not the same as 0.

    >>> ratio(np.array([1, 0]), np.array([4, 0])).to_pylist()
    [0.25, None]
    """
    undefined = whole == 0
    return pa.array(part / np.where(undefined, 1, whole), pa.float64(), mask=undefined)


def repetition_columns(counts: Counts) -> dict[str, pa.Array]:
    """REPETITION_FIELDS from the counts of a batch.

    Lines and paragraphs are null without lines; n-grams are null in a document of fewer than n words.
    """
    lines, line_chars, paragraphs = counts["lines"], counts["line_chars"], counts["paragraphs"]
    columns = {
        "duplicate_line_fraction": ratio(counts["duplicate_lines"], lines),
        "duplicate_line_char_fraction": ratio(counts["duplicate_line_chars"], line_chars),
        "duplicate_paragraph_fraction": ratio(counts["duplicate_paragraphs"], paragraphs),
        "duplicate_paragraph_char_fraction": ratio(counts["duplicate_paragraph_chars"], line_chars),
    }
    for kind, sizes in (("top", TOP_SIZES), ("duplicate", DUPLICATE_SIZES)):
        for n in sizes:
            whole = np.where(counts["words"] < n, 0, counts["word_chars"])
            # count x length of an n-gram that overlaps itself ("ha ha ha") can pass the whole text
            part = np.minimum(counts[f"{kind}_{n}gram_chars"], whole)
            columns[f"{kind}_{n}gram_char_fraction"] = ratio(part, whole)
    return columns
