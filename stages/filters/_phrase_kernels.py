"""Phrases in a line: which there are, and the line without them. Kernels over the automaton of `_phrases.py`."""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.filters._line_kernels import copy_bytes
from stages.filters._phrases import GROUP_SHIFT, STATE_MASK
from stages.kernels.unicode import LIMIT, UNSPACED, WORD, decode

AT_START, AT_END, ANYWHERE = range(3)  # groups of phrases for copy_without_phrases(), in this order


@njit(cache=True, nogil=True)
def find_phrases(data, start, end, phrases):
    """The groups of which a phrase is in data[start:end], one bit each; `phrases` is all of Phrases.

    Between phrases it looks at pairs of bytes only; from a possible beginning on it steps the automaton until
    that is back where it began, so every byte is stepped over once.
    """
    steps, classes, _, _, openers = phrases
    found, i = 0, start
    while i + 1 < end:
        if not openers[np.int64(data[i]) | np.int64(data[i + 1]) << 8]:
            i += 1
            continue
        state = 0
        while i < end:
            step = np.int64(steps[state + np.int64(classes[data[i]])])
            state = step & STATE_MASK
            found |= step >> GROUP_SHIFT
            i += 1
            if state == 0:
                break
    if i < end:  # a phrase of one byte
        found |= np.int64(steps[np.int64(classes[data[i]])]) >> GROUP_SHIFT
    return found


@njit(cache=True, nogil=True)
def _joins(data, i, limit, kinds):
    """Does a letter or digit of a spaced script begin at byte i, so that what ends there is no whole word?"""
    if i >= limit:
        return False
    point, _ = decode(data, i)
    kind = np.int64(kinds[point]) if point < LIMIT else 0
    return kind & WORD != 0 and kind & UNSPACED == 0


@njit(cache=True, nogil=True)
def _char_before(data, i, chars):
    """The byte at which the `chars` characters before byte i begin."""
    for _ in range(chars):
        i -= 1
        while data[i] & 0xC0 == 0x80:
            i -= 1
    return i


@njit(cache=True, nogil=True)
def _is_whole(data, begin, i, start, end, kinds):
    """Is data[begin:i] cut out of no longer word within data[start:end]?"""
    if (
        begin > start
        and _joins(data, begin, end, kinds)
        and _joins(data, _char_before(data, begin, 1), end, kinds)
    ):
        return False
    return not (_joins(data, i, end, kinds) and _joins(data, _char_before(data, i, 1), end, kinds))


@njit(cache=True, nogil=True)
def copy_without_phrases(data, start, end, kinds, phrases, out, at):
    """Append data[start:end] without the phrases in their places; returns (new end, phrases taken out).

    White space that then stands at either end goes too; a phrase inside takes the blank behind it along.
    """
    steps, classes, lengths, width, _ = phrases
    begin, removed, copied, state, i, chars = at, 0, start, 0, start, 0
    while i < end:
        size = 1
        while i + size < end and data[i + size] & 0xC0 == 0x80:
            size += 1
        step = 0
        for _ in range(size):
            step = np.int64(steps[state + np.int64(classes[data[i]])])
            state = step & STATE_MASK
            i += 1
        chars += 1
        if not step >> GROUP_SHIFT:
            continue
        found = lengths[state // width]
        for group in range(3):
            length = np.int64(found[group])
            if length == 0 or (group == AT_START and chars != length) or (group == AT_END and i != end):
                continue
            place = _char_before(data, i, length)
            if place < copied and group != AT_START:
                continue
            if _is_whole(data, place, i, start, end, kinds):
                if place > copied:
                    at = copy_bytes(data, copied, place, out, at)
                copied = i
                removed += 1
                break
    at = copy_bytes(data, copied, end, out, at)
    if not removed:
        return at, 0
    return _trimmed(out, begin, at), removed


@njit(cache=True, nogil=True)
def _trimmed(out, begin, at):
    """out[begin:at] without ASCII blanks at its ends and double ones inside; returns its new end."""
    write = begin
    for read in range(begin, at):
        blank = out[read] <= 0x20
        if blank and (write == begin or out[write - 1] <= 0x20):
            continue
        out[write] = out[read]
        write += 1
    while write > begin and out[write - 1] <= 0x20:
        write -= 1
    return write
