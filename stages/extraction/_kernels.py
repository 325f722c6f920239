"""Compiled scans of raw page bytes."""

import numpy as np
from numba import njit

_PRIME = np.uint64(0x100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)
_SLOTS = 1024  # open elements are counted by name, hashed into this many slots


def name_hash(name: str) -> int:
    """FNV-1a of a lower-case element name, as the scan computes it."""
    value = int(_BASIS)
    for byte in name.encode():
        value = ((value ^ byte) * int(_PRIME)) & 0xFFFFFFFFFFFFFFFF
    return value


@njit(cache=True, nogil=True)
def _is_end(c):
    return c == 62 or c == 47 or c == 32 or (9 <= c <= 13)  # > / space


@njit(cache=True, nogil=True)
def _read_name(data, i):
    """(hash, next index) of the lower-cased name at i, which ends at space, `/` or `>`."""
    value = _BASIS
    n = data.size
    while i < n and not _is_end(data[i]):
        c = data[i]
        if 65 <= c <= 90:
            c = c + np.uint8(32)
        value = (value ^ np.uint64(c)) * _PRIME
        i += 1
    return value, i


@njit(cache=True, nogil=True)
def _tag_end(data, i):
    """(index after the tag's `>`, ends in `/>`, attributes); quoted attribute values may hold a `>`."""
    n = data.size
    attributes = 0
    between = True  # whether what comes next begins an attribute
    while i < n and data[i] != 62:
        blank = data[i] == 32 or data[i] == 47 or 9 <= data[i] <= 13
        attributes += between and not blank and data[i] != 61
        between = blank
        if data[i] == 61:  # =
            i += 1
            while i < n and (data[i] == 32 or 9 <= data[i] <= 13):
                i += 1
            if i < n and (data[i] == 34 or data[i] == 39):
                quote = data[i]
                i += 1
                while i < n and data[i] != quote:
                    i += 1
                i += 1
                between = True  # `a="1"b="2"` are two
        else:
            i += 1
    return i + 1, i < n and data[i - 1] == 47, attributes


@njit(cache=True, nogil=True)
def _comment_end(data, i):
    n = data.size
    while i + 2 < n:
        if data[i] == 45 and data[i + 1] == 45 and data[i + 2] == 62:
            return i + 3
        i += 1
    return n


@njit(cache=True, nogil=True)
def _raw_text_end(data, i, name):
    """Index of the `</name` that ends a script or style, else the end of the page."""
    n = data.size
    while i + 2 < n:
        if data[i] == 60 and data[i + 1] == 47:
            found, _ = _read_name(data, i + 2)
            if found == name:
                return i
        i += 1
    return n


@njit(inline="always")
def _has(names, name):
    """Is it among them; a loop allocates nothing, unlike np.any(names == name)."""
    for other in names:  # noqa: SIM110
        if other == name:
            return True
    return False


@njit(cache=True, nogil=True)
def measure_tags(data, flat, raw_text, never_empty):
    """How deep elements nest, by counting open tags, and the most attributes of one tag; one pass, no tree.

    A close tag counts only if its name is open, so stray ones cannot hide depth.

    Args:
        data: uint8, the page.
        flat: uint64 hashes of names that never nest: void elements, and those that a parser closes itself.
        raw_text: uint64 hashes of names whose content is not markup.
        never_empty: uint64 hashes of names that HTML5 leaves open even when written `<div/>`.
    """
    open_tags = np.zeros(_SLOTS, np.int64)
    depth = 0
    deepest = 0
    most = 0
    n = data.size
    i = 0
    while i < n:
        if data[i] != 60:
            i += 1
            continue
        i += 1
        if i + 2 < n and data[i] == 33 and data[i + 1] == 45 and data[i + 2] == 45:
            i = _comment_end(data, i + 3)
            continue
        closing = i < n and data[i] == 47
        if closing:
            i += 1
        if i >= n or not (65 <= data[i] <= 90 or 97 <= data[i] <= 122):
            continue
        name, i = _read_name(data, i)
        i, empty, attributes = _tag_end(data, i)
        most = max(most, attributes)
        if _has(flat, name):
            continue
        slot = name % np.uint64(_SLOTS)
        if closing:
            if open_tags[slot] > 0:
                open_tags[slot] -= 1
                depth -= 1
        elif _has(raw_text, name):
            i = _raw_text_end(data, i, name)
        elif not empty or _has(never_empty, name):
            open_tags[slot] += 1
            depth += 1
            deepest = max(deepest, depth)
    return deepest, most
