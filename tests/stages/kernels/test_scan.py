"""The scanner reads 64 bytes at a time where it can: what it finds must not depend on where these blocks lie."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit

from stages.kernels.bits import between64
from stages.kernels.buffers import text_buffers
from stages.kernels.words import Alphabet, hash_words, token_alphabet, word_alphabet
from tests.stages.kernels.test_words import oracle, oracle_hash, oracle_kind

PIECES = st.one_of(
    st.sampled_from(
        [
            " ",
            ", ",
            "\n",
            "_",
            "'",
            "-",
            ".",
            "$",
            "5",
            " 5",
            ".5",
            "- 5",
            "é",
            "\u0301",
            "\u00ad",
            "橋",
            "🎉",
        ]
    ),
    st.text("abcxyzABCXYZ0189", min_size=1, max_size=12),
    st.integers(1, 200).map(lambda size: ("internationalISATION" * 10)[:size]),
    st.integers(1, 130).map(lambda size: " " * size),
)
TEXTS = st.lists(PIECES, max_size=60).map("".join)


def tokens(text: str) -> list[tuple[str, int, int]]:
    """Words as they are written, and every mark by itself."""
    found: list[tuple[str, int, int]] = []
    at, word, kind = 0, False, ""
    for char in text:
        begin, at, before = at, at + len(char.encode()), kind
        kind = oracle_kind(char, False)
        if kind == "gap" and unicodedata.category(char)[0] not in "ZC":
            kind = "single"
        if kind == "ignored":
            kind = before
        elif word and (kind == "mark" or kind == before == "part"):
            found[-1] = (found[-1][0] + char, found[-1][1], at)
            kind = before
        elif kind in ("part", "single"):
            found.append((char, begin, at))
            word = True
        else:
            word = word and kind == "mark"
    return found


def expected(text: str, alphabet: Alphabet) -> list[tuple[int, int, int]]:
    """Hash, first byte, end byte of every word."""
    words = (
        tokens(text)
        if alphabet is token_alphabet()
        else oracle(text, signs=alphabet is word_alphabet(signs=True))
    )
    return [(oracle_hash(word), start, end) for word, start, end in words]


def found(column: pa.Array, alphabet: Alphabet) -> list[list[tuple[int, int, int]]]:
    """The same by the scanner, for each row."""
    words, base = hash_words(column, alphabet, located=True), text_buffers(column)[1]
    rows = []
    for row in range(len(column)):
        span = slice(words.offsets[row], words.offsets[row + 1])
        places = (words.starts[span] - base[row], words.ends[span] - base[row])
        rows.append(
            list(zip(words.hashes[span].tolist(), *(place.tolist() for place in places), strict=True))
        )
    return rows


ALPHABETS = st.sampled_from([word_alphabet(), word_alphabet(signs=True), token_alphabet()])


@settings(deadline=None, max_examples=400)
@given(st.lists(TEXTS, max_size=5), ALPHABETS, st.integers(0, 70), st.booleans())
@example(["x" * 64, "x" * 63 + " y", "x" * 64 + "'" + "y" * 64], token_alphabet(), 0, True)
@example([" " * 63 + "a\u0301b", " " * 63 + "'\u0301b", " " * 60 + "wordé"], token_alphabet(), 0, True)
@example(
    [" " * 63 + "-5", " " * 62 + "- 5", " " * 63 + "- 5 " + " " * 90], word_alphabet(signs=True), 0, True
)
@example(["a" * 130 + "é" + "B" * 130, "A_" * 70 + "\u00ad" + "_Z" * 70], word_alphabet(signs=True), 3, True)
def test_words_do_not_depend_on_blocks(texts, alphabet, shift, followed):
    column = pa.array(["é" * (shift // 2) + "-" * (shift % 2), *texts, "end 5 " * 20 if followed else ""])
    rows = found(column.slice(1, len(texts)), alphabet)
    assert rows == [expected(text, alphabet) for text in texts]


@pytest.mark.parametrize("size", [0, 1, 7, 8, 63, 64, 65, 71, 72, 73, 127, 128, 129, 200])
@pytest.mark.parametrize("text", ["x", "ab ", "The Internationals, ", "é", "a-5 ", "Aa_9'"])
def test_a_text_may_end_anywhere_in_its_buffer(size, text):
    raw = (text * 200).encode()[:size].decode(errors="ignore").encode()
    column = pa.StringArray.from_buffers(
        1, pa.py_buffer(np.array([0, len(raw)], np.int32)), pa.py_buffer(raw)
    )
    for alphabet in (word_alphabet(), word_alphabet(signs=True), token_alphabet()):
        assert found(column, alphabet) == [expected(raw.decode(), alphabet)]


@njit
def one_range(data, i, low, high):
    return between64(data, i, np.uint8(low), np.uint8(high))


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=64, max_size=70), st.integers(0, 255), st.integers(0, 255), st.integers(0, 6))
def test_between64_is_one_bit_for_each_byte_in_a_range(raw, low, high, i):
    low, high = sorted((low, high))
    i = min(i, len(raw) - 64)
    bits = one_range(np.frombuffer(raw, np.uint8), i, low, high)
    assert [bits >> k & 1 for k in range(64)] == [low <= byte <= high for byte in raw[i : i + 64]]
