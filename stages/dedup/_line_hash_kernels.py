"""128-bit keys of byte spans, of code points and of numbers, for compiled loops.

A key is two 64-bit hashes of the same input with other constants. Each step multiplies two words to 128 bits and folds
the halves (as wyhash does), 16 bytes of input a step; the number of steps' bytes enters at the end.
"""

# mypy: disable-error-code="assignment, call-arg, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from stages.kernels.bits import load64
from stages.kernels.unicode import LIMIT, decode
from stages.kernels.words import mix64

DROPPED = -1  # in a table of folded code points: not hashed
BASIS = np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344)  # digits of pi, as all below
_LEFT = np.uint64(0xA4093822299F31D0), np.uint64(0x082EFA98EC4E6C89)
_RIGHT = np.uint64(0x452821E638D01377), np.uint64(0xBE5466CF34E90C6C)
_PRIME = np.uint64(0x9E3779B97F4A7C15)  # odd
_TOPS = np.uint64(0x8080808080808080)
_BASIS_A, _BASIS_B = BASIS
_LEFT_A, _LEFT_B = _LEFT
_RIGHT_A, _RIGHT_B = _RIGHT


@intrinsic
def multiply_fold(typingctx, x, y):  # noqa: ARG001 - numba's protocol
    """The two halves of the 128-bit product of two uint64, one xor the other."""

    def generate(context, builder, signature, args):  # noqa: ARG001
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))
        return builder.xor(builder.trunc(product, ir.IntType(64)), high)

    return types.uint64(types.uint64, types.uint64), generate


@njit(inline="always")
def absorb(a, b, x, y):
    """Both halves of a key with 128 more bits."""
    return (
        multiply_fold(x ^ _LEFT_A, (y ^ _RIGHT_A) + a * _PRIME),
        multiply_fold(y ^ _LEFT_B, (x ^ _RIGHT_B) + b * _PRIME),
    )


@njit(inline="always")
def finish(a, b, size):
    """The halves of a key of `size` bytes, or whatever was absorbed; the first is odd, so no key is 0."""
    return mix64(a ^ np.uint64(size)) | np.uint64(1), mix64(b + np.uint64(size) * _PRIME)


@njit(inline="always")
def hash_bytes(data, start, end):
    """(a, b, whether all is ASCII) of data[start:end]."""
    a, b = _BASIS_A, _BASIS_B
    i, seen = start, np.uint64(0)
    while i + 16 <= end:
        x, y = load64(data, i), load64(data, i + 8)
        seen |= x | y
        a, b = absorb(a, b, x, y)
        i += 16
    if i < end:
        x = y = np.uint64(0)
        if end - start >= 8:  # what was read already may come again: the size tells spans apart
            y = load64(data, end - 8)
            if end - i > 8:
                x = load64(data, i)
        else:
            for j in range(end - i):
                x |= np.uint64(data[i + j]) << np.uint64(8 * j)
        seen |= x | y
        a, b = absorb(a, b, x, y)
    a, b = finish(a, b, end - start)
    return a, b, (seen & _TOPS) == 0


@njit(inline="always")
def hash_points(data, start, end, folded):
    """(a, b, how many) of the folded code points of data[start:end], four a step; see DROPPED."""
    a, b, x, y, count = _BASIS_A, _BASIS_B, np.uint64(0), np.uint64(0), 0
    while start < end:
        point, size = decode(data, start)
        start += size
        point = np.int64(folded[point]) if point < LIMIT else point
        if point == DROPPED:
            continue
        half = np.uint64(point) << np.uint64(32 * (count & 1))
        if count & 2:
            y |= half
        else:
            x |= half
        count += 1
        if count & 3 == 0:
            a, b = absorb(a, b, x, y)
            x = y = np.uint64(0)
    if count & 3:
        a, b = absorb(a, b, x, y)
    a, b = finish(a, b, count)
    return a, b, count


@njit(inline="always")
def hash_numbers(numbers, low, high):
    """(a, b) of numbers[low:high], uint64."""
    a, b = _BASIS_A, _BASIS_B
    for k in range(low, high):
        a, b = absorb(a, b, numbers[k], np.uint64(0))
    return finish(a, b, high - low)
