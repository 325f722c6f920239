"""Cutting spans out of a text, with a window around each.

Source: Brown et al. 2020 (GPT-3, arXiv:2005.14165, appendix C): 200 characters removed on both sides of a match,
pieces under 200 characters dropped, documents split into more than 10 pieces dropped.
"""

from collections.abc import Sequence

import numpy as np

SNAP_CHARS = 20  # a cut moves this far outwards at most, so as not to split a word


def merge_spans(starts: np.ndarray, ends: np.ndarray) -> list[tuple[int, int]]:
    """Spans that overlap or touch become one; in any order.

    >>> merge_spans(np.array([3, 0, 20]), np.array([9, 3, 21]))
    [(0, 9), (20, 21)]
    """
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    first = np.flatnonzero(np.append(True, starts[1:] > ends[:-1])) if len(starts) else np.zeros(0, np.int64)
    last = np.append(first[1:], len(starts))[: len(first)] - 1
    return list(zip(starts[first].tolist(), ends[last].tolist(), strict=True))


def split_text(text: str, spans: Sequence[tuple[int, int]], window: int) -> list[str]:
    """What is left of a text without its spans and `window` characters around each; no empty pieces.

    A cut through a word takes all of the word, if that has an end within SNAP_CHARS characters.

    >>> split_text("one two three four five", [(8, 13)], window=1)
    ['one two', 'four five']
    """
    wide = np.array(spans, np.int64).reshape(-1, 2) + np.array([-window, window])
    pieces, at = [], 0
    for start, end in merge_spans(*np.clip(wide, 0, len(text)).T):
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


def chars_before(text: bytes) -> np.ndarray:
    """How many code points begin before each byte of UTF-8 text, and before its end.

    >>> chars_before("é橋a".encode())[[0, 2, 5, 6]].tolist()
    [0, 1, 2, 3]
    """
    data = np.frombuffer(text, np.uint8)
    return np.concatenate([[0], np.cumsum((data & 0xC0) != 0x80)])
