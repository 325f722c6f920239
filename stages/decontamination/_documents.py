"""Texts without what markup puts into words, and the way back to the bytes as given.

HTML entities become what they stand for (`&#39;`, `&amp;`, `&eacute;`; escaped ones too, `&amp;#39;`), tags of tables
and of formatted text go (`<td>` parts words, `<b>` does not), and ligatures are taken apart (`ﬁ`). Items of an index
are read in the same way, so that what looks like markup in an item looks alike in its copies.
"""

import functools
import html
import re
import unicodedata
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.decontamination._markup_kernels import markup_places
from stages.kernels.buffers import text_buffers

_BLOCKS = b"td|th|tr|table|tbody|thead|tfoot|caption|br|p|div|li|ul|ol|dl|dt|dd|h[1-6]|hr|pre|blockquote"
_INLINE = b"b|i|u|s|em|strong|sub|sup|span|a|code|font|small|big|mark|tt|kbd|var|q"
_ENTITY = rb"&(?:amp;)*(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_TAG = rb"</?(?i:(%s)|(?:%s))(?:\s[^<>]{0,500})?/?>" % (_BLOCKS, _INLINE)
_LIGATURE = rb"\xef\xac[\x80-\x86]"  # U+FB00 to U+FB06
_MARKUP = re.compile(rb"%s|%s|%s" % (_TAG, _ENTITY, _LIGATURE))
_TAGS = re.compile(_TAG)


class Resolved(NamedTuple):
    """Text without markup, as pieces: copied byte by byte, or put in for something."""

    text: bytes
    at: np.ndarray  # int64 by piece: its first byte in `text`
    given: np.ndarray  # its first byte in the text as given
    whole: np.ndarray  # bytes of what it was put in for; 0: it is a copy

    def starts(self, places: np.ndarray) -> np.ndarray:
        """Where bytes of `text` come from."""
        piece = np.searchsorted(self.at, places, "right") - 1
        return np.asarray(self.given[piece] + np.where(self.whole[piece] > 0, 0, places - self.at[piece]))

    def ends(self, places: np.ndarray) -> np.ndarray:
        """Where that ends, for the last bytes of words."""
        piece = np.searchsorted(self.at, places, "right") - 1
        within = np.where(self.whole[piece] > 0, self.whole[piece], places - self.at[piece] + 1)
        return np.asarray(self.given[piece] + within)

    def places_of(self, given: np.ndarray) -> np.ndarray:
        """Where places of the text as given are in `text`; within none that something was put in for."""
        ends = self.given[1::2] + self.whole[1::2]
        change = np.append(0, np.cumsum(np.diff(self.at)[1::2] - self.whole[1::2]))
        return np.asarray(given + change[np.searchsorted(ends, given, "right")])


class Documents(NamedTuple):
    """A batch as it is searched; both offsets are one more than rows."""

    column: pa.Array  # large_string
    resolved: Resolved | None  # of all rows after each other; None: there is no markup
    offsets: np.ndarray  # int64: where rows begin in resolved.text
    given: np.ndarray  # and in all of the text as given

    def as_given(
        self, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bytes of rows, from and to, as bytes of these rows as given."""
        if self.resolved is None:
            return starts, ends
        base, before = self.offsets[rows], self.given[rows]
        return self.resolved.starts(base + starts) - before, self.resolved.ends(base + ends - 1) - before


def resolve_text(raw: bytes | np.ndarray, bounds: np.ndarray | None = None) -> Resolved | None:
    """Text (UTF-8) without its markup; None if it has none.

    Args:
        raw: the text; as bytes, or uint8.
        bounds: ascending; markup that one of these places is within is none.

    >>> found = resolve_text("a&#39;s &amp;eacute;".encode())
    >>> places = np.arange(len(found.text))
    >>> found.text.decode(), found.starts(places).tolist(), found.ends(places).tolist()
    ("a's é", [0, 1, 6, 7, 8, 8], [1, 6, 7, 8, 20, 20])
    """
    places = markup_places(np.frombuffer(raw, np.uint8)).tolist()
    if not places:
        return None
    raw = bytes(raw)
    found = [hit.span() for place in places if (hit := _MARKUP.match(raw, place))]
    if not found:
        return None
    if bounds is not None:
        found = _within(found, raw, bounds)
    hits = [(*span, value) for span in found if (value := _value_of(raw[slice(*span)])) is not None]
    starts, ends = np.array([hit[:2] for hit in hits], np.int64).reshape(-1, 2).T
    keep = starts >= np.append(0, np.maximum.accumulate(ends))[:-1]  # an entity within a tag goes with it
    if not keep.any():
        return None
    starts, ends = starts[keep], ends[keep]
    pieces = [b""] * (2 * len(starts) + 1)
    copies = zip([0, *ends.tolist()], [*starts.tolist(), len(raw)], strict=True)
    pieces[::2] = [raw[first:end] for first, end in copies]
    pieces[1::2] = [hit[2] for hit, kept in zip(hits, keep.tolist(), strict=True) if kept]
    given, whole = np.zeros((2, len(pieces)), np.int64)
    given[1::2], given[2::2] = starts, ends
    whole[1::2] = ends - starts
    sizes = np.fromiter(map(len, pieces), np.int64, len(pieces))
    return Resolved(b"".join(pieces), np.cumsum(sizes) - sizes, given, whole)


def _within(found: list[tuple[int, int]], raw: bytes, bounds: np.ndarray) -> list[tuple[int, int]]:
    """Places of markup, those across a bound shortened to what is markup before it, if anything is."""
    starts, ends = np.array(found, np.int64).T
    after = np.searchsorted(bounds, starts, "right")
    across = np.searchsorted(bounds, ends, "left") > after
    for k in np.flatnonzero(across).tolist():
        start, bound = found[k][0], int(bounds[after[k]])
        shorter = _MARKUP.match(raw, start, bound)
        found[k] = shorter.span() if shorter else (start, start)
    return [span for span in found if span[1] > span[0]]


@functools.lru_cache(1 << 12)
def _value_of(markup: bytes) -> bytes | None:
    """What stands for markup: a blank or nothing for a tag; None for a name that HTML does not know.

    An entity's is resolved however often it was escaped; a ligature's are its letters.
    """
    tag = _TAGS.match(markup)
    if tag:
        return b" " if tag[1] else b""
    text = markup.decode()
    if not text.isascii():
        return unicodedata.normalize("NFKC", text).encode()
    value = html.unescape(text)
    if value == text:
        return None
    while value != text:
        text, value = value, html.unescape(value)
    return value.encode()


def open_documents(column: pa.Array) -> Documents:
    """A batch with its markup resolved; one without any is not touched, null stays null."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column = column.cast(pa.large_string())
    data, offsets = text_buffers(column)
    given = np.asarray(offsets - offsets[0], np.int64)
    resolved = resolve_text(data[offsets[0] : offsets[-1]], given)
    if resolved is None:
        return Documents(column, None, given, given)
    offsets = resolved.places_of(given)
    new = pa.LargeStringArray.from_buffers(len(column), pa.py_buffer(offsets), pa.py_buffer(resolved.text))
    if column.null_count:
        new = pc.if_else(column.is_valid(), new, pa.scalar(None, new.type))
    return Documents(new, resolved, offsets, given)
