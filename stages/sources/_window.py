"""A view of plain bytes that moves forward over a compressed file and knows where its members start."""

import os
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from stages.sources._streams import Fault, Piece, read_pieces


class Window:
    """Bytes from `at` on, as many as were asked for.

    Positions count plain bytes from the start of the file. A fault stops `need` until `clear` is called:
    bytes before and after it never meet.
    """

    def __init__(self, pieces: Iterator[Piece | Fault], raw: BinaryIO, plain: bool) -> None:
        self.buf = b""
        self.at = 0  # index in `buf` of the current position
        self.fault: Fault | None = None
        self.ended = False
        self.plain = plain  # not compressed: positions are offsets, and seeking works
        self._pieces = pieces
        self._raw = raw
        self._base = 0  # position of buf[0]
        self._starts: deque[tuple[int, int]] = deque()  # (position, stored offset) of members

    @property
    def position(self) -> int:
        """Where the window stands."""
        return self._base + self.at

    def available(self) -> int:
        """Bytes at hand."""
        return len(self.buf) - self.at

    def need(self, count: int) -> bool:
        """Have `count` bytes from `at` on in `buf`; False when the data or its good part ends before."""
        have = len(self.buf) - self.at
        if have >= count:
            return True
        if self.ended or self.fault is not None:
            return False
        parts = [self.buf[self.at :]] if have else []
        self._base += self.at
        while have < count:
            event = next(self._pieces, None)
            if event is None:
                self.ended = True
                break
            if isinstance(event, Fault):
                self.fault = event
                break
            if event.first:
                self._starts.append((self._base + have, event.offset))
            parts.append(event.data)
            have += len(event.data)
        self.buf = parts[0] if len(parts) == 1 else b"".join(parts)
        self.at = 0
        while len(self._starts) > 1 and self._starts[1][0] <= self._base:
            self._starts.popleft()
        return have >= count

    def clear(self) -> None:
        """Give up what is left before the fault, and go on after it."""
        self._base += len(self.buf)
        self.buf, self.at, self.fault = b"", 0, None

    def stored_offset(self, position: int) -> int:
        """Where to seek in the stored file to find the bytes at a position: the start of their member."""
        if self.plain:
            return position
        return next((offset for start, offset in reversed(self._starts) if start <= position), -1)

    def member_starts(self, low: int, high: int) -> list[int]:
        """Positions low < p <= high at hand where a member starts."""
        return [start for start, _ in self._starts if low < start <= high]

    def move(self, position: int) -> None:
        """Go to a position at hand."""
        self.at = position - self._base

    def index(self, position: int) -> int:
        """The index in `buf` of a position at hand."""
        return position - self._base

    def drop(self, keep: int) -> None:
        """Go to the last `keep` bytes at hand."""
        self.at = max(self.at, len(self.buf) - keep)

    def look(self, position: int, count: int) -> bytes:
        """Bytes at any position of an uncompressed file, leaving the window where it is."""
        here = self._raw.tell()
        data = b""
        if position < self._raw.seek(0, os.SEEK_END):  # some filesystems refuse to go far beyond it
            self._raw.seek(position)
            data = self._raw.read(count)
        self._raw.seek(here)
        return data

    def jump(self, position: int) -> None:
        """Go to any position of an uncompressed file."""
        self._raw.seek(position)
        self._pieces = _from(self._raw)
        self.buf, self.at, self._base, self.ended = b"", 0, position, False


def _from(raw: BinaryIO) -> Iterator[Piece | Fault]:
    for piece in read_pieces(raw, None):
        yield piece._replace(first=False) if isinstance(piece, Piece) else piece
