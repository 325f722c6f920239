"""Eight bytes of text at a time in compiled kernels: unaligned loads, and which of the bytes are parts of words."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils

intrinsic: Any = extending.intrinsic  # calls leave the typing context out, which its annotations do not know
_TOPS = np.uint64(0x8080808080808080)
_LOWS = np.uint64(0x7F7F7F7F7F7F7F7F)
_BLANKS = np.uint64(0x2020202020202020)
_ONES = np.uint64(0x0101010101010101)


def _every(byte: int) -> np.uint64:
    return np.uint64(byte) * _ONES


_TO_A, _PAST_Z = _every(0x80 - ord("a")), _every(0x7F - ord("z"))
_TO_0, _PAST_9 = _every(0x80 - ord("0")), _every(0x7F - ord("9"))
_LOW_LINES = _every(ord("_"))


@intrinsic
def load64(typingctx, data, i):  # noqa: ARG001 - numba's protocol
    """The eight bytes from data[i] on as a little-endian uint64; all of them must lie in the array."""
    if not isinstance(data, types.Array) or data.dtype != types.uint8:
        return None

    def generate(context, builder, signature, args):
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        place = builder.gep(array.data, [args[1]])
        loaded = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()))
        loaded.align = 1
        return loaded

    return types.uint64(data, types.int64), generate


@intrinsic
def trailing_zeros(typingctx, bits):  # noqa: ARG001 - numba's protocol
    """How many of the lowest bits of a uint64 are 0; 64 for 0."""

    def generate(context, builder, signature, args):  # noqa: ARG001
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@njit(inline="always")
def letters_of(x):
    """The top bit of each of eight bytes that is an ASCII letter."""
    y = (x | _BLANKS) & _LOWS
    return (y + _TO_A) & ~(y + _PAST_Z) & ~x & _TOPS


@njit(inline="always")
def parts_of(x, letters, low_lines):
    """The top bit of each of eight bytes that is an ASCII letter, digit or, if asked for, `_`."""
    y = x & _LOWS
    parts = letters | ((y + _TO_0) & ~(y + _PAST_9) & ~x & _TOPS)
    if low_lines:
        z = x ^ _LOW_LINES  # a byte is 0 if it is _; only ASCII bytes can be
        parts |= ~((z & _LOWS) + _LOWS) & ~z & _TOPS
    return parts
