"""White space folded, straight on UTF-8 bytes."""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

PLAIN, SPACE, LEAD = 0, 1, 2  # LEAD: the first byte of a character that may be white space
_KINDS = np.zeros(256, np.uint8)
_KINDS[[0x20, *range(0x09, 0x0E), *range(0x1C, 0x20)]] = SPACE
_KINDS[[0xC2, 0xE1, 0xE2, 0xE3]] = LEAD


@njit(cache=True, nogil=True)
def _space_bytes(data, i, end):
    """Bytes of the white space beyond ASCII at i (Unicode's class Z and 85); 0 if another character stands there."""
    byte = data[i]
    if byte == 0xC2:
        return 2 if i + 1 < end and (data[i + 1] == 0x85 or data[i + 1] == 0xA0) else 0
    if not 0xE1 <= byte <= 0xE3 or i + 2 >= end:
        return 0
    second, third = data[i + 1], data[i + 2]
    if byte == 0xE1:
        return 3 if second == 0x9A and third == 0x80 else 0
    if byte == 0xE3:
        return 3 if second == 0x80 and third == 0x80 else 0
    if second == 0x80:  # 2000 to 200A, 2028, 2029, 202F
        return 3 if third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF else 0
    return 3 if second == 0x81 and third == 0x9F else 0


@njit(cache=True, nogil=True)
def fold_spaces(data, offsets):
    """Each run of white space as one blank, none at the ends of a row. Returns bytes and offsets."""
    rows = offsets.size - 1
    out, found = np.empty(offsets[rows] - offsets[0], np.uint8), np.zeros(rows + 1, np.int64)
    at = 0
    for row in range(rows):
        i, end = offsets[row], offsets[row + 1]
        first, space = at, np.int64(SPACE)
        while i < end:  # no branch on what is white space: the next word's length cannot be foretold
            byte, before = data[i], space
            space = np.int64(_KINDS[byte])
            if space == LEAD:
                size = _space_bytes(data, i, end)
                space = np.int64(size > 0)
                i += max(size, 1) - 1
            out[at] = np.uint8(0x20) if space else byte
            at += 1 - (space & before)
            i += 1
        at -= at > first and space
        found[row + 1] = at
    return out[:at].copy(), found
