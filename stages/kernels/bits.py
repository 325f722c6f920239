"""Many bytes of text at a time in compiled kernels: unaligned loads, classes of 64 bytes as one number, mixing.

The vectors here are LLVM's, which makes them of whatever the processor has; no processor is asked for.
"""

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils

intrinsic: Any = extending.intrinsic  # calls leave the typing context out, which its annotations do not know
# For loops that pass arrays to other functions and make none: counting references there costs more than a word does.
lean_njit: Any = functools.partial(njit, cache=True, nogil=True, _nrt=False)
_BYTE, _INT32, _INT64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


@intrinsic
def load64(typingctx, data, i):  # noqa: ARG001 - numba's protocol
    """The eight bytes from data[i] on as a little-endian uint64; all of them must lie in the array."""
    if not isinstance(data, types.Array) or data.dtype != types.uint8:
        return None

    def generate(context, builder, signature, args):
        return load_vector(context, builder, signature.args[0], args[0], args[1], _INT64)

    return types.uint64(data, types.int64), generate


@intrinsic
def between64(typingctx, data, i, low, high):  # noqa: ARG001 - numba's protocol
    """Bit k is set if low <= data[i + k] <= high, for k from 0 to 63; all of these must lie in the array."""
    if not isinstance(data, types.Array) or data.dtype != types.uint8:
        return None

    def generate(context, builder, signature, args):
        many = ir.VectorType(_BYTE, 64)
        loaded = load_vector(context, builder, signature.args[0], args[0], args[1], many)
        lowest, highest = spread(builder, args[2], 64), spread(builder, args[3], 64)
        # one comparison without sign: what lies below `low` wraps around
        held = builder.icmp_unsigned("<=", builder.sub(loaded, lowest), builder.sub(highest, lowest))
        return builder.bitcast(held, _INT64)

    return types.uint64(data, types.int64, types.uint8, types.uint8), generate


@intrinsic
def trailing_zeros(typingctx, bits):  # noqa: ARG001 - numba's protocol
    """How many of the lowest bits of a uint64 are 0; 64 for 0."""

    def generate(context, builder, signature, args):  # noqa: ARG001
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


def array_place(context: Any, builder: Any, kind: Any, array: Any, i: Any, loaded: Any) -> Any:
    """A pointer to item i of an array argument, as to an LLVM type."""
    data = cgutils.create_struct_proxy(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [i]), loaded.as_pointer())


def load_vector(context: Any, builder: Any, kind: Any, array: Any, i: Any, loaded: Any) -> Any:
    """An LLVM value from item i of an array argument on, at any alignment."""
    value = builder.load(array_place(context, builder, kind, array, i, loaded))
    value.align = 1
    return value


def spread(builder: Any, value: Any, lanes: int) -> Any:
    """One LLVM value in every lane of a vector."""
    many = ir.VectorType(value.type, lanes)
    nothing, first = ir.Constant(many, ir.Undefined), ir.Constant(_INT32, 0)
    one = builder.insert_element(nothing, value, first)
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes))


@njit(inline="always")
def mix64(h):
    """A bijection on 64 bits in which every bit depends on every other (splitmix64's finisher)."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))
