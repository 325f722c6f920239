"""What line rules have in common: the tables they read, the text they write back, and the evidence they leave."""

import functools
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stages.filters._line_kernels import BRACE, CLOSER, FULL_STOP, LOWER, STOP, TERMINAL
from stages.filters._phrases import Phrases
from stages.kernels.unicode import LIMIT, char_classes

# C4's . ! ? " ' and their counterparts in other scripts, so that the rule does not delete a language.
TERMINAL_MARKS = ".!?\"'。！？｡．؟۔।॥።။។։׃”’»›」』"
# How sentences end, as `text_signals` has it: before white space, directly or behind quotes and brackets ...
STOPS = ".!?…‼⁇⁈⁉؟۔।॥።։׃"
CLOSERS = "\"')]}”’»›」』）】〉》"
FULL_STOPS = "。！？｡．။។"  # ... and anywhere, in scripts that put no space there


class LineTables(NamedTuple):
    """What scan_line() reads beside the text; what `open` of a line rule returns."""

    kinds: np.ndarray  # uint16, by code point
    phrases: Phrases
    cites: tuple[np.ndarray, np.ndarray]  # bytes of the marks, end of each


class Edited(NamedTuple):
    """What a line kernel returns for a text column."""

    data: np.ndarray  # uint8, the bytes of all texts after the edit
    offsets: np.ndarray  # int64, rows + 1
    counts: np.ndarray  # int64, one row a text, one column a count
    verdicts: np.ndarray  # int8: 0 = kept, k = the k-th reason; the text of these is as it was


@functools.cache
def _sentence_kinds() -> np.ndarray:
    kinds = char_classes().astype(np.uint16)
    for point in range(LIMIT):
        if unicodedata.category(chr(point)) in ("Ll", "Lt"):
            kinds[point] |= np.uint16(LOWER)
    for chars, bit in ((STOPS, STOP), (FULL_STOPS, FULL_STOP), (CLOSERS, CLOSER)):
        kinds[[ord(char) for char in chars]] |= np.uint16(bit)
    return kinds


def line_tables(
    phrases: Phrases, terminal: str = "", brace: bool = False, cites: Sequence[str] = ()
) -> LineTables:
    """Tables for scan_line(): `terminal` marks end a line, `brace` looks for {, `cites` are citation marks.

    Marks above plane 1 are ignored: none is known.
    """
    kinds = _sentence_kinds().copy()
    kinds[[ord(char) for char in terminal if ord(char) < LIMIT]] |= np.uint16(TERMINAL)
    if brace:
        kinds[ord("{")] |= np.uint16(BRACE)
    coded = [mark.encode() for mark in cites]
    marks = np.frombuffer(b"".join(coded), np.uint8)
    return LineTables(kinds, phrases, (marks, np.cumsum([len(mark) for mark in coded], dtype=np.int64)))


def edited_column(text: pa.Array, edited: Edited) -> pa.Array:
    """The edited texts as large_string; null where `text` is."""
    valid = pa.array(text.is_valid()).buffers()[1] if text.null_count else None
    buffers = [valid, pa.py_buffer(edited.offsets), pa.py_buffer(edited.data)]
    return pa.LargeStringArray.from_buffers(len(text), buffers[1], buffers[2], valid, text.null_count)


def reasons_of(verdicts: np.ndarray, reasons: Sequence[str]) -> pa.Array:
    """The reason of each verdict, null for 0."""
    names = pa.array([None, *map(str, reasons)], pa.string())
    return names.take(pa.array(verdicts))


def cut_evidence(
    reject: pa.Array,
    values: np.ndarray,
    limits: np.ndarray,
    counts: Mapping[str, np.ndarray],
    cut: np.ndarray,
) -> pa.Array:
    """A struct for each rejected row and each row of which something was cut, null for the others.

    Args:
        reject: the reasons, string.
        values: float64, what was measured of the broken rule; NaN = nothing.
        limits: float64, its bound; NaN = none.
        counts: the fields beside `rule`, `value` and `limit`: int64 arrays by name.
        cut: bool, the rows of which something was cut.
    """
    rejected = np.asarray(reject.is_valid())
    fields = {
        "rule": reject,
        "value": pa.array(values, pa.float64(), mask=~rejected | np.isnan(values)),
        "limit": pa.array(limits, pa.float64(), mask=~rejected | np.isnan(limits)),
        **{name: pa.array(array, pa.int64()) for name, array in counts.items()},
    }
    return pa.StructArray.from_arrays(
        list(fields.values()), names=list(fields), mask=pa.array(~(rejected | cut))
    )
