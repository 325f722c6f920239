"""Places where tokens end, from their sizes: against the bytes of the text, and special tokens around documents."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import TEXT
from stages.tokenization._ends import (
    UNKNOWN,
    Bytes,
    Encoded,
    Pieces,
    add_specials,
    byte_level_sizes,
    interleave,
    piece_sizes,
    select,
)
from stages.tokenization._ranks import byte_letters
from tests.stages.tokenization.kinds import tokenizer_text

VOCAB = {letter: byte for byte, letter in enumerate(byte_letters())}
SPELLING = Bytes(byte_level_sizes(VOCAB, [], 256))


def column(texts):
    return pa.array(texts, TEXT.type)


def arrays(lists, kind=np.uint32):
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(x) for x in lists], out=offsets[1:])
    return np.array([i for x in lists for i in x], kind), offsets


def ends_of(pieces):
    """Decode what stands before each end: the characters that have begun there."""
    done, ends = b"", []
    for piece in pieces:
        done += piece
        ends.append(sum(byte & 0xC0 != 0x80 for byte in done))
    return ends


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=6),
    st.booleans(),
    st.booleans(),
)
def test_bytes_as_tokens(texts, bos, eos):
    ids, offsets = arrays([text.encode() for text in texts])
    specials = (300 if bos else None, 301 if eos else None)
    encoded, wrong = SPELLING.lay_out([(ids, offsets)], column(texts), *specials)
    assert not wrong.any()
    expected = [
        [0] * bos + ends_of([bytes([byte]) for byte in text.encode()]) + [len(text)] * eos for text in texts
    ]
    assert [x.tolist() for x in np.split(encoded.ends, encoded.offsets[1:-1])][: len(texts)] == expected
    plain, _ = SPELLING.lay_out([(ids, offsets)], column(texts), None, None)
    slow = add_specials(plain, np.array([len(text) for text in texts], np.int64), *specials)
    for a, b in zip(encoded, slow, strict=True):
        assert np.array_equal(a, b)


def test_sizes_of_a_trained_vocabulary():
    data = json.loads(tokenizer_text("added"))
    byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    size = 1 + max(*data["model"]["vocab"].values(), *(token["id"] for token in data["added_tokens"]))
    sizes = byte_level_sizes(data["model"]["vocab"], data["added_tokens"], size)
    assert len(sizes) == size + 1
    added = {token["id"]: token for token in data["added_tokens"]}
    for token, i in data["model"]["vocab"].items():
        if i not in added:
            spelled = bytes(byte_of[letter] for letter in token)
            assert int(sizes[i]) == len(spelled) << 32 | ends_of([spelled])[0], token
    by_content = {token["content"]: int(sizes[token["id"]]) for token in added.values()}
    assert by_content["été 中"] == 9 << 32 | 5
    assert by_content["    "] == 4 << 32 | 4
    assert by_content["<|im_start|>"] == by_content["<s>"] == int(sizes[size]) == UNKNOWN


@pytest.mark.parametrize("ids", [[97], [97, 98, 99], [97, 5000], [97, 256]])
def test_tokens_that_are_not_the_text_are_told(ids):
    _, wrong = SPELLING.lay_out([arrays([[97, 98], ids])], column(["ab", "ab"]), None, 7)
    assert wrong.tolist() == [False, True]


def test_parts_follow_each_other():
    lists = [[97], [], [98, 99], [100]]
    texts = column([bytes(x).decode() for x in lists])
    whole, _ = SPELLING.lay_out([arrays(lists)], texts, 1, 2)
    parts, wrong = SPELLING.lay_out([arrays(lists[:2]), arrays([]), arrays(lists[2:])], texts, 1, 2)
    assert whole.ids.tolist() == [1, 97, 2, 1, 2, 1, 98, 99, 2, 1, 100, 2]
    assert wrong.tolist() == [False] * 4
    for a, b in zip(whole, parts, strict=True):
        assert np.array_equal(a, b)


PIECES = {"▁": 0, "▁a": 1, "b": 2, "▁▁": 3, "<s>": 4, **{f"<0x{byte:02X}>": 5 + byte for byte in range(256)}}


def byte_tokens(text):
    return [5 + byte for byte in text.encode()]


@pytest.mark.parametrize(
    ("text", "tokens", "prefix", "late", "ends"),
    [
        ("ab", [1, 2], True, False, [1, 2]),
        (
            " ab",
            [0, 1, 2],
            True,
            False,
            [1, 2, 3],
        ),  # the space that is not there ends with the first character
        (" ab", [0, 1, 2], True, True, [0, 2, 3]),  # or before it
        (" ab", [1, 2], False, False, [2, 3]),
        ("é", [0, *byte_tokens("é")], True, False, [1, 1, 1]),
        ("é", [0, *byte_tokens("é")], True, True, [0, 0, 1]),
        ("中🙂b", [*byte_tokens("中🙂"), 2], False, True, [0, 0, 1, 1, 1, 1, 2, 3]),
        ("中🙂b", [*byte_tokens("中🙂"), 2], False, False, [1, 1, 1, 2, 2, 2, 2, 3]),
        ("\n", byte_tokens("\n"), False, True, [1]),
        ("", [], True, True, []),
    ],
)
def test_pieces(text, tokens, prefix, late, ends):
    spelling = Pieces(piece_sizes(PIECES, ["<s>"], 300), prefix, late)
    encoded, wrong = spelling.lay_out([arrays([tokens])], column([text]), 4, 4)
    assert encoded.ids.tolist() == [4, *tokens, 4]
    assert encoded.ends.tolist() == [0, *ends, len(text)]
    assert not wrong.any()


@pytest.mark.parametrize(
    "tokens", [[1], [1, 2, 2], [1, 4], [1, 299], [1, 5000], [1, 2, 4], [1, 5 + 0xE4, 5 + 0xB8], []]
)
def test_pieces_that_are_not_the_text_are_told(tokens):
    spelling = Pieces(piece_sizes(PIECES, ["<s>"], 300), prefix=True, late=True)
    _, wrong = spelling.lay_out([arrays([tokens, [1, 2]])], column(["ab", "ab"]), None, None)
    assert wrong.tolist() == [True, False]


def test_no_documents():
    encoded, wrong = SPELLING.lay_out([], column([]), 1, 2)
    assert [len(x) for x in (*encoded, wrong)] == [0, 1, 0, 0]
    assert encoded.offsets.tolist() == [0]


@given(st.lists(st.tuples(st.lists(st.integers(0, 99), max_size=5), st.booleans()), max_size=8))
def test_selecting_and_interleaving_undo_each_other(rows):
    ids, offsets = arrays([tokens for tokens, _ in rows])
    whole = Encoded(ids, offsets, ids + np.uint32(1))
    second = np.array([flag for _, flag in rows], np.bool_)
    parts = [select(whole, np.flatnonzero(mask)) for mask in (~second, second)]
    for a, b in zip(interleave(*parts, second), whole, strict=True):
        assert np.array_equal(a, b)
        assert a.dtype == b.dtype
