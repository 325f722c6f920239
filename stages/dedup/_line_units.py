"""Texts cut into what line deduplication compares: lines, paragraphs, or runs of sentences; each with a key."""

import functools
import unicodedata
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.dedup._line_hash_kernels import DROPPED
from stages.dedup._line_kernels import group_items, hash_pieces, roll_windows, salt_keys
from stages.dedup._line_tile_kernels import (
    CLOSER,
    FULL_STOP,
    LOWER,
    STOP,
    join_lines,
    tile_lines,
    tile_sentences,
)
from stages.kernels.buffers import text_buffers
from stages.kernels.hosts import normal_host, raw_hosts
from stages.kernels.unicode import LIMIT, char_classes, lower_table
from stages.kernels.words import hash_words, word_alphabet

Unit = Literal["line", "paragraph", "sentences"]
Form = Literal["exact", "words", "ccnet"]

# Marks that end a sentence where white space follows; marks that end one anywhere; what may stand behind either.
STOPS = ".!?…‼⁇⁈⁉؟۔॥།։׃።"
FULL_STOPS = "。！？｡．।"
CLOSERS = "\"')]}”’»›」』）】〉》"

# What CCNet (Wenzek et al. 2020) takes out before it hashes a paragraph, beside control characters.
CCNET_MARKS = "，。、„”“«»１」「《》´∶：？！（）；–—．～’…━〈〉【】％►"
_NO_TABLE, _NO_WORDS = np.empty(0, np.int32), np.empty(0, np.uint64)
_NO_OFFSETS = np.empty(0, np.int64)


class Pieces(NamedTuple):
    """The pieces of a text column, which tile its bytes."""

    data: np.ndarray  # uint8
    offsets: np.ndarray  # int64, rows + 1: of the texts in data
    bounds: np.ndarray  # int64, pieces + 1
    firsts: np.ndarray  # int64, rows + 1: the first piece of each row
    keys: np.ndarray  # uint64 (pieces, 2); 0 where there is nothing to compare
    chars: np.ndarray  # int64: characters between the white space at both ends


class Items(NamedTuple):
    """What is compared: the pieces themselves, or runs of them."""

    firsts: np.ndarray  # int64, rows + 1: the first item of each row
    keys: np.ndarray  # uint64 (items, 2)
    heads: np.ndarray  # int64: the first item of the row with the same key; -1: not compared
    counts: np.ndarray  # int32: at heads, how many of the row's items have the key
    begins: np.ndarray  # int64: the first piece of each item
    lasts: np.ndarray  # int64: the last

    @property
    def rows(self) -> np.ndarray:
        """The row of each item."""
        return np.repeat(np.arange(len(self.firsts) - 1), np.diff(self.firsts))


def cut_pieces(texts: pa.Array, unit: Unit, form: Form = "exact") -> Pieces:
    r"""Cut texts and hash the pieces.

    Args:
        texts: (large_)string; a null has no piece.
        unit: line (ends at \n only), paragraph (ends with blank lines) or sentences (single ones).
        form: what makes two pieces equal: `exact` their bytes but for white space at the ends; `words` their
            words, as `minhash_dedup` sees them; `ccnet` lower case, digits as 0, without CCNet's punctuation.

    >>> cut_pieces(pa.array(["One. \n\nTwo"]), "line").bounds.tolist()
    [0, 6, 7, 10]
    """
    data, offsets = text_buffers(texts)
    if unit == "sentences":
        bounds, firsts = tile_sentences(data, offsets, sentence_kinds(), halting_bytes())
    else:
        lines = int(np.count_nonzero(data[offsets[0] : offsets[-1]] == ord("\n"))) + len(texts)
        bounds, firsts = tile_lines(data, offsets, lines)
        if unit == "paragraph":
            bounds, firsts = join_lines(data, bounds, firsts)
    words, word_offsets = _NO_WORDS, _NO_OFFSETS
    if form == "words" and len(bounds) > 1:
        column = pa.LargeStringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(data))
        words, word_offsets = hash_words(column, word_alphabet(True))[:2]
    folded = ccnet_table() if form == "ccnet" else _NO_TABLE
    keys, chars = hash_pieces(data, bounds, folded, words, word_offsets)
    return Pieces(data, offsets, bounds, firsts, keys, chars)


def items_of(pieces: Pieces, span: int, min_chars: int, hosts: pa.Array | None = None) -> Items:
    """What a column's rows compare, and what they repeat by themselves.

    Args:
        pieces: of the column.
        span: pieces in a run; 1: the pieces themselves. A row of fewer has one run.
        min_chars: items of fewer characters are not compared.
        hosts: strings, one a row: items are equal only within one; those of a null are not compared.
    """
    if span == 1:
        keys, chars, firsts = pieces.keys, pieces.chars, pieces.firsts
        begins = lasts = np.arange(len(keys))
    else:
        keys, chars, firsts, begins, lasts = roll_windows(pieces.keys, pieces.chars, pieces.firsts, span)
    if hosts is not None:
        keys = keys.copy()
        data, offsets = text_buffers(hosts)
        salts = hash_pieces(data, offsets, _NO_TABLE, _NO_WORDS, _NO_OFFSETS)[0]
        salt_keys(keys, firsts, salts, np.asarray(hosts.is_valid()))
    heads, counts = group_items(keys, chars, firsts, min_chars)
    return Items(firsts, keys, heads, counts, begins, lasts)


def hosts_of(urls: pa.Array) -> pa.Array:
    """The host of each URL in its one form, without `www.`; null where there is none.

    >>> hosts_of(pa.array(["https://WWW.A.com/x", "a.com", "/x", None])).to_pylist()
    ['a.com', 'a.com', None, None]
    """
    hosts = pc.fill_null(raw_hosts(urls), "").dictionary_encode()
    names = [normal_host(host).removeprefix("www.") or None for host in hosts.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(hosts.indices)


@functools.cache
def sentence_kinds() -> np.ndarray:
    """uint16 by code point: the classes of char_classes(), and what ends a sentence or begins none."""
    kinds = char_classes().astype(np.uint16)
    for point in range(LIMIT):
        if unicodedata.category(chr(point)) in ("Ll", "Lt"):
            kinds[point] |= np.uint16(LOWER)
    for marks, bit in ((STOPS, STOP), (FULL_STOPS, FULL_STOP), (CLOSERS, CLOSER)):
        kinds[[ord(mark) for mark in marks]] |= np.uint16(bit)
    return kinds


@functools.cache
def halting_bytes() -> np.ndarray:
    """uint8 by byte: 1 for newlines, for stops, and where a character beyond ASCII begins."""
    halts = np.zeros(256, np.uint8)
    halts[[ord("\n"), *(ord(mark) for mark in STOPS if mark.isascii()), *range(0xC0, 0x100)]] = 1
    return halts


@functools.cache
def ccnet_table() -> np.ndarray:
    """int32 by code point: what `ccnet` hashes it as."""
    table = lower_table().copy()
    table[0x03C2] = 0x03C3  # final sigma, which lower() sets by its place
    for point in range(LIMIT):
        if unicodedata.category(chr(point)) == "Nd":
            table[point] = ord("0")
    dropped = [*range(0x20), *range(0x7F, 0xA0), *(ord(m) for m in CCNET_MARKS if not m.isdigit())]
    table[dropped] = DROPPED
    return table
