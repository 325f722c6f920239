"""An Arrow text column as the two numpy arrays that kernels read, without copying."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def text_buffers(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """UTF-8 bytes and row offsets of a (large_)string or (large_)binary array.

    Nulls are rows of length 0. An array of another library may keep bytes behind a null: it is copied without.

    Returns:
        data uint8 (read-only view); offsets int64 of length rows + 1, absolute positions in data.

    >>> data, offsets = text_buffers(pa.array(["ab", None, "c"], pa.large_string()))
    >>> bytes(data[offsets[0]:offsets[-1]]), offsets.tolist()
    (b'abc', [0, 2, 2, 3])
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    data, offsets = _raw_buffers(column)
    if column.null_count and np.diff(offsets)[column.is_null().to_numpy(zero_copy_only=False)].any():
        return _raw_buffers(pc.fill_null(column, pa.scalar("").cast(column.type)))
    return data, offsets


def _raw_buffers(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    wide = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    _, raw_offsets, raw_data = column.buffers()
    if len(column) == 0 or raw_offsets is None:
        return np.zeros(0, np.uint8), np.zeros(len(column) + 1, np.int64)
    kind = np.int64 if wide else np.int32
    offsets = np.frombuffer(raw_offsets, kind)[column.offset : column.offset + len(column) + 1]
    data = np.zeros(0, np.uint8) if raw_data is None else np.frombuffer(raw_data, np.uint8)
    return data, offsets.astype(np.int64, copy=False)
