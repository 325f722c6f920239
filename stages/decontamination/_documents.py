"""Texts with HTML entities resolved, and the way back to the bytes as given."""

import html
import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.kernels.buffers import text_buffers

_ENTITY = r"&(?:amp;)*(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_ENTITIES = re.compile(_ENTITY)
_RAW_ENTITIES = re.compile(_ENTITY.encode())


class Resolved(NamedTuple):
    """One text without entities."""

    text: bytes
    starts: np.ndarray  # int64 by byte of text: where in the given text it comes from
    ends: np.ndarray  # int64 by byte of text: where that ends


class Documents(NamedTuple):
    """A batch as it is searched."""

    column: pa.Array  # large_string
    resolved: dict[int, Resolved]  # rows that had entities


def resolve_text(text: str) -> Resolved | None:
    """A text with its entities resolved, escaped ones too (`&amp;#39;`); None if it has none.

    >>> found = resolve_text("a&#39;s &amp;eacute;")
    >>> found.text.decode(), found.starts.tolist(), found.ends.tolist()
    ("a's é", [0, 1, 6, 7, 8, 8], [1, 6, 7, 8, 20, 20])
    """
    pieces: list[bytes] = []
    starts: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    at, place = 0, 0  # code points; bytes

    def add(piece: str, size: int, whole: bool) -> None:
        nonlocal place
        own = piece.encode()
        pieces.append(own)
        steps = np.arange(len(own))
        starts.append(np.full(len(own), place) if whole else place + steps)
        ends.append(np.full(len(own), place + size) if whole else place + steps + 1)
        place += size

    for entity in _ENTITIES.finditer(text):
        value = _value_of(entity[0])
        if value == entity[0]:
            continue  # a name that HTML does not know
        plain = text[at : entity.start()]
        add(plain, len(plain.encode()), False)
        add(value, len(entity[0].encode()), True)
        at = entity.end()
    if not pieces:
        return None
    rest = text[at:]
    add(rest, len(rest.encode()), False)
    return Resolved(b"".join(pieces), np.concatenate(starts), np.concatenate(ends))


def _value_of(entity: str) -> str:
    """What an entity stands for, however often it was escaped."""
    value = html.unescape(entity)
    return value if value == entity else _value_of(value)


def open_documents(column: pa.Array) -> Documents:
    """A batch with the entities of its rows resolved; rows without any are not touched, null stays null."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column = column.cast(pa.large_string())
    data, offsets = text_buffers(column)
    places = [m.start() for m in _RAW_ENTITIES.finditer(data[offsets[0] : offsets[-1]].data)]
    if not places:
        return Documents(column, {})
    rows = np.unique(np.searchsorted(offsets, np.array(places) + offsets[0], side="right") - 1)
    texts = zip(rows.tolist(), column.take(pa.array(rows)).to_pylist(), strict=True)
    found = [
        (row, resolve_text(text)) for row, text in texts
    ]  # none where "&am" ends a row and "p;" begins one
    resolved = {row: own for row, own in found if own is not None}
    if not resolved:
        return Documents(column, {})
    mask = np.zeros(len(column), bool)
    mask[list(resolved)] = True
    new = pa.array([own.text.decode() for own in resolved.values()], pa.large_string())
    return Documents(pc.replace_with_mask(column, pa.array(mask), new), resolved)
