"""Compiled loops that mark repeated items, say what a document loses by it, and write what is left."""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.dedup._line_tile_kernels import trim

_NEWLINE = 0x0A
_KEEP_FIRST, _CUT_ALL = 1, 2


@njit(cache=True, nogil=True)
def mark_items(heads, counts, firsts, code_offsets, codes, least, keep_first):
    """Which items go.

    Args:
        heads: for each item the first of its row with the same key, or -1.
        counts: at those firsts, how many there are.
        firsts: items of each row.
        code_offsets: of each row's codes.
        codes: u: every copy of a row's u-th item goes; ~u: every copy but the first.
        least: copies in one row from which they are repeats; 0: none are.
        keep_first: of those, the first stays.
    """
    act, gone = np.zeros(heads.size, np.uint8), np.zeros(heads.size, np.bool_)
    for row in range(firsts.size - 1):
        for k in range(code_offsets[row], code_offsets[row + 1]):
            code = np.int64(codes[k])
            u = firsts[row] + (code if code >= 0 else ~code)
            act[u] = max(act[u], _CUT_ALL if code >= 0 else _KEEP_FIRST)
        for u in range(firsts[row], firsts[row + 1]):
            head = heads[u]
            if head < 0:
                continue
            if head == u and least and counts[u] >= least:
                act[u] = max(act[u], _KEEP_FIRST if keep_first else _CUT_ALL)
            gone[u] = act[head] == _CUT_ALL or (act[head] == _KEEP_FIRST and head != u)
    return gone


@njit(cache=True, nogil=True)
def cover_pieces(gone, begins, lasts, keys):
    """The pieces with content that windows which go cover."""
    out = np.zeros(keys.shape[0], np.bool_)
    after = 0
    for w in range(gone.size):
        if gone[w]:
            for u in range(max(after, begins[w]), lasts[w] + 1):
                out[u] = keys[u, 0] != 0
            after = max(after, lasts[w] + 1)
    return out


@njit(cache=True, nogil=True)
def sum_rows(gone, firsts, pieces_gone, chars, piece_firsts):
    """For each row: pieces removed, characters removed, characters, and the first item that goes (-1: none)."""
    rows = firsts.size - 1
    sums, first = np.zeros((rows, 3), np.int64), np.full(rows, -1, np.int64)
    for row in range(rows):
        for u in range(piece_firsts[row], piece_firsts[row + 1]):
            sums[row, 2] += chars[u]
            if pieces_gone[u]:
                sums[row, 0] += 1
                sums[row, 1] += chars[u]
        for u in range(firsts[row], firsts[row + 1]):
            if gone[u]:
                first[row] = u
                break
    return sums, first


@njit(inline="always")
def _copy(data, start, end, out, at):
    out[at : at + end - start] = data[start:end]
    return at + end - start


@njit(cache=True, nogil=True)
def write_left(data, offsets, bounds, firsts, gone, edited):
    """The texts without the pieces that go, as bytes and offsets; rows that are not `edited` as they are.

    A piece that stays keeps its bytes and the white space behind it. But if a line loses its last pieces, the white
    space behind the last of these, in which the line ends, takes the place of that behind the last which stays.
    """
    rows = offsets.size - 1
    out, found = np.empty(offsets[rows] - offsets[0], np.uint8), np.zeros(rows + 1, np.int64)
    at = 0
    for row in range(rows):
        if not edited[row]:
            at = _copy(data, offsets[row], offsets[row + 1], out, at)
            found[row + 1] = at
            continue
        opened = -1  # where, in `out`, the content of a line ends that has not yet come to its own end
        u = firsts[row]
        while u < firsts[row + 1]:
            if not gone[u]:
                run = u + 1
                while run < firsts[row + 1] and not gone[run]:
                    run += 1
                at = _copy(data, bounds[u], bounds[run], out, at)
                ends = trim(data, bounds[run - 1], bounds[run])[1]
                opened = -1 if _has_newline(data, ends, bounds[run]) else at - (bounds[run] - ends)
                u = run
                continue
            ends = trim(data, bounds[u], bounds[u + 1])[1]
            if opened >= 0 and _has_newline(data, ends, bounds[u + 1]):
                at = _copy(data, ends, bounds[u + 1], out, opened)
                opened = -1
            u += 1
        found[row + 1] = at
    return out[:at], found


@njit(inline="always")
def _has_newline(data, start, end):
    for i in range(start, end):  # noqa: SIM110 - numba has no generators here
        if data[i] == _NEWLINE:
            return True
    return False


@njit(cache=True, nogil=True)
def gather_spans(data, starts, ends, most):
    """The first `most` bytes or less of each span, no character cut, as bytes and offsets."""
    offsets = np.zeros(starts.size + 1, np.int64)
    stops = np.empty(starts.size, np.int64)
    for k in range(starts.size):
        stop = min(ends[k], starts[k] + most)
        while stop < ends[k] and (data[stop] & 0xC0) == 0x80:
            stop -= 1
        stops[k] = stop
        offsets[k + 1] = offsets[k] + stop - starts[k]
    out = np.empty(offsets[starts.size], np.uint8)
    for k in range(starts.size):
        out[offsets[k] : offsets[k + 1]] = data[starts[k] : stops[k]]
    return out, offsets
