"""Ask for memory before it is needed, in compiled kernels that look up in tables larger than the caches."""

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

intrinsic: Any = extending.intrinsic  # calls leave the typing context out, which its annotations do not know
_READ, _LOCALITY, _DATA = 0, 1, 1  # arguments of LLVM's prefetch: to read, keep in the outer caches, no code


@intrinsic
def prefetch(typingctx, data, i):  # noqa: ARG001 - numba's protocol
    """Begin to load the cache line of data[i]; no effect on any result, wherever i points."""
    if not isinstance(data, types.Array):
        return None

    def generate(context, builder, signature, args):
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        place = builder.bitcast(builder.gep(array.data, [args[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", (place.type,), kind)
        builder.call(fetch, [place, *(number(value) for value in (_READ, _LOCALITY, _DATA))])
        return context.get_dummy_value()

    return types.void(data, types.int64), generate
