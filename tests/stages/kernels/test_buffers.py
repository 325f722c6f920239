"""The arrays that kernels read from an Arrow column: any slice, any width, and nulls as other libraries write them."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from stages.kernels.buffers import text_buffers

TYPES = [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()]


def texts_of(column):
    data, offsets = text_buffers(column)
    return [bytes(data[a:b]) for a, b in itertools.pairwise(offsets)]


def with_hidden_bytes(kind):
    """["ab", null, "e"] whose null keeps the bytes "cd"."""
    width = np.int64 if "large" in str(kind) else np.int32
    offsets = pa.py_buffer(np.array([0, 2, 4, 5], width))
    return pa.Array.from_buffers(kind, 3, [pa.py_buffer(b"\x05"), offsets, pa.py_buffer(b"abcde")])


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_every_width_and_every_slice(kind):
    values = [b"ab", None, b"", "中".encode(), b"e"]
    column = pa.array(values, kind)
    for start in range(6):
        for stop in range(start, 6):
            expected = [value or b"" for value in values[start:stop]]
            assert texts_of(column[start:stop]) == expected


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_bytes_behind_a_null_are_not_read(kind):
    column = with_hidden_bytes(kind)
    assert texts_of(column) == [b"ab", b"", b"e"]
    assert texts_of(column[1:]) == [b"", b"e"]
    assert texts_of(column[1:2]) == [b""]


@pytest.mark.parametrize("values", [[], [None], [None, None], [""]])
def test_nothing_at_all(values):
    assert texts_of(pa.array(values, pa.large_string())) == [b""] * len(values)


def test_chunks_are_one_column():
    column = pa.chunked_array([["a", None], [], ["bc"]], pa.large_string())
    assert texts_of(column) == [b"a", b"", b"bc"]


def test_nothing_is_copied():
    column = pa.array(["ab", None, "cd"], pa.large_string())
    data, offsets = text_buffers(column[1:])
    assert data.ctypes.data == column.buffers()[2].address
    assert offsets.tolist() == [2, 2, 4]
