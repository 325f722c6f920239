"""Where markup may begin: one pass over the bytes of a batch, most of which hold none."""

import numpy as np
from numba import njit

from stages.kernels.bits import between64, trailing_zeros

_BLOCK = 64
_ONE, _NONE = np.uint64(1), np.uint64(0)
_AMPERSAND, _LESS, _SLASH, _NUMBER = (np.uint8(ord(c)) for c in "&</#")
_LIGATURE, _LIGATURE_2 = np.uint8(0xEF), np.uint8(0xAC)
_CASE, _SMALL_A, _LETTERS = np.uint8(0x20), np.uint8(ord("a")), np.uint8(26)


@njit(inline="always")
def _begins(byte: np.uint8, after: np.uint8) -> np.bool:
    letter = np.uint8((after | _CASE) - _SMALL_A) < _LETTERS
    return (
        (byte == _AMPERSAND and (letter or after == _NUMBER))
        or (byte == _LESS and (letter or after == _SLASH))
        or (byte == _LIGATURE and after == _LIGATURE_2)
    )


@njit(cache=True, nogil=True)
def markup_places(data: np.ndarray) -> np.ndarray:
    """Places (int64, ascending) of `&` before `#` or a letter, `<` before `/` or a letter, and EF AC.

    Args:
        data: uint8, UTF-8.
    """
    found = np.empty(_BLOCK, np.int64)
    count, first = 0, 0
    while first < data.size - 1:
        if count + _BLOCK > found.size:
            grown = np.empty(2 * found.size, np.int64)
            grown[:count] = found[:count]
            found = grown
        if first + _BLOCK < data.size:
            signs = between64(data, first, _AMPERSAND, _AMPERSAND) | between64(data, first, _LESS, _LESS)
            signs |= between64(data, first, _LIGATURE, _LIGATURE)
            while signs != _NONE:
                k = first + trailing_zeros(signs)
                signs &= signs - _ONE
                if _begins(data[k], data[k + 1]):
                    found[count] = k
                    count += 1
        else:
            for k in range(first, data.size - 1):
                if _begins(data[k], data[k + 1]):
                    found[count] = k
                    count += 1
        first += _BLOCK
    return found[:count]
