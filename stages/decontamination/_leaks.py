"""The leaks of a batch: every item found in a document, by every definition, as a column and as evidence."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.schema import CONTAMINATION, LEAK_TYPE
from stages.decontamination._classes import CLASSES, INPUT_ONLY, OUTPUT_ONLY, Classes
from stages.decontamination._measures import INPUT, OUTPUT, Found
from stages.decontamination._splice import chars_before, merge_spans
from stages.decontamination._stretches import runs

PARTS = ("input", "output", "joint")
QUOTED = 500  # characters of a stretch that are shown


class Leaks(NamedTuple):
    """Finds of all definitions, ascending by row, place, item and definition; places are code points."""

    row: np.ndarray
    item: np.ndarray
    definition: np.ndarray  # its number
    kind: np.ndarray  # the class's number
    part: np.ndarray
    score: np.ndarray
    start: np.ndarray
    end: np.ndarray
    decides: np.ndarray  # bool
    spans_at: np.ndarray  # where the spans of each begin; one more at the end
    span_starts: np.ndarray
    span_ends: np.ndarray


def gather(finds: Sequence[tuple[Found, Classes]], decides: Sequence[Sequence[bool]]) -> Leaks:
    """All definitions' finds together; places are still bytes.

    Args:
        finds: for each definition.
        decides: for each definition, whether it decides with each of CLASSES.
    """
    columns: list[list[np.ndarray]] = []
    spans: list[list[np.ndarray]] = []
    before = 0
    for number, (found, classes) in enumerate(finds):
        size = len(found.row)
        kind = classes.kinds
        part = np.where(kind == INPUT_ONLY, INPUT, np.where(kind == OUTPUT_ONLY, OUTPUT, found.part))
        deciding = np.array(decides[number], bool)[kind]
        columns.append(
            [
                found.row,
                found.item,
                np.full(size, number),
                kind,
                part,
                found.score,
                found.start,
                found.end,
                deciding,
            ]
        )
        spans.append([found.owner + before, found.starts, found.ends])
        spans.append([classes.owner + before, classes.starts, classes.ends])
        before += size
    row, item, definition, *rest = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    owner, starts, ends = (np.concatenate(parts).astype(np.int64) for parts in zip(*spans, strict=True))
    order = np.lexsort((definition, item, rest[3], row))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    by_owner = np.argsort(place[owner], kind="stable")
    at = np.searchsorted(place[owner][by_owner], np.arange(len(order) + 1))
    ordered = [column[order] for column in (row, item, definition, *rest)]
    return Leaks(*[*ordered, at, starts[by_owner], ends[by_owner]])


def in_characters(leaks: Leaks, rows: np.ndarray, texts: Sequence[str]) -> Leaks:
    """The same with places in code points; `texts` are those of `rows`, which have the leaks, ascending."""
    start, end, span_starts, span_ends = (
        column.copy() for column in (leaks.start, leaks.end, leaks.span_starts, leaks.span_ends)
    )
    bounds = np.append(np.searchsorted(leaks.row, rows), len(leaks.row))
    for text, low, high in zip(texts, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        first, last = leaks.spans_at[[low, high]].tolist()
        before = chars_before(text.encode())
        for column, own in ((start, slice(low, high)), (end, slice(low, high))):
            column[own] = before[column[own]]
        for column, own in ((span_starts, slice(first, last)), (span_ends, slice(first, last))):
            column[own] = before[column[own]]
    return leaks._replace(start=start, end=end, span_starts=span_starts, span_ends=span_ends)


def write_column(
    leaks: Leaks, rows: np.ndarray, texts: Sequence[str], size: int, names: pa.Array, items: pa.Table
) -> pa.Array:
    """The CONTAMINATION column.

    Args:
        leaks: places in code points.
        rows: rows that have leaks, ascending.
        texts: theirs.
        size: rows of the batch.
        names: of the definitions.
        items: of the index.
    """
    which = np.searchsorted(rows, leaks.row)
    quotes = [
        texts[k][start : min(end, start + QUOTED)]
        for k, start, end in zip(which.tolist(), leaks.start.tolist(), leaks.end.tolist(), strict=True)
    ]
    fields = {
        "benchmark": _taken(items["benchmark"], leaks.item),
        "item": _taken(items["id"], leaks.item),
        "definition": _taken(names, leaks.definition),
        "class": _taken(pa.array(CLASSES), leaks.kind),
        "part": _taken(pa.array(PARTS), leaks.part),
        "score": pa.array(leaks.score, pa.float64()),
        "start": pa.array(leaks.start, pa.int64()),
        "end": pa.array(leaks.end, pa.int64()),
        "matched": pa.array(quotes, pa.string()),
        "decides": pa.array(leaks.decides),
    }
    leaked = pa.StructArray.from_arrays(
        [fields[field.name].cast(field.type) for field in LEAK_TYPE], fields=list(LEAK_TYPE)
    )
    counts = np.bincount(leaks.row, minlength=size)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, leaked, type=CONTAMINATION.type, mask=pa.array(counts == 0))


def _taken(values: pa.Array | pa.ChunkedArray, places: np.ndarray) -> pa.Array:
    found = values.take(pa.array(places))
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


class Verdict(NamedTuple):
    """What a document's deciding leaks come to."""

    kind: int  # the worst class
    items: int
    leaks: int
    spans: list[tuple[int, int]]  # code points, ascending and apart
    worst: int  # number of the most telling leak


def weigh(leaks: Leaks, low: int, high: int) -> Verdict | None:
    """The deciding leaks of one row, leaks[low:high]; None if there are none.

    The most telling one has the worst class; of equals the longest stretch, the first definition, item and place.
    """
    own = low + np.flatnonzero(leaks.decides[low:high])
    if not len(own):
        return None
    length = leaks.end[own] - leaks.start[own]
    order = np.lexsort((leaks.start[own], leaks.item[own], leaks.definition[own], -length, leaks.kind[own]))
    counts = leaks.spans_at[own + 1] - leaks.spans_at[own]
    owner, within = runs(counts)
    spans = leaks.spans_at[own][owner] + within
    return Verdict(
        int(leaks.kind[own].min()),
        len(np.unique(leaks.item[own])),
        len(own),
        merge_spans(leaks.span_starts[spans], leaks.span_ends[spans]),
        int(own[order[0]]),
    )
