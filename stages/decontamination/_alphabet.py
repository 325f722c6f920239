"""What is one word where benchmark items are compared: more is folded than elsewhere, so that copies are found.

Words of `words` are those of `stages/kernels/words.py` (case folded, without punctuation, a character of Han, Kana
or Thai by itself), and beyond that

- a decimal digit of any script is the ASCII digit (`٤٢`, `४२`, `４２` and `42`);
- a letter and its capital are one, also where two letters share it (`µ` and `μ`, `ſ` and `s`);
- a letter with marks is its base letter, composed or not (`é`, `e` + U+0301 and `e`; not `й` and `и` alone: both fold
  to `и`), full-width, half-width and mathematical forms are the usual ones;
- an apostrophe parts words, in whatever form (`'`, `’`, `ʼ`).

Words of `code` are written as in source code: case counts, `_` is part of a name, and every operator and bracket is
a word by itself.
"""

import functools
import unicodedata
from typing import Literal

import numpy as np
import pyarrow as pa

from stages.decontamination._index_kernels import weigh_words
from stages.kernels.buffers import text_buffers
from stages.kernels.unicode import LIMIT
from stages.kernels.words import (
    IGNORED,
    PART,
    SEPARATOR,
    SINGLE,
    Alphabet,
    HashedWords,
    hash_words,
    token_alphabet,
    word_alphabet,
)

Tokens = Literal["words", "code"]
# Half words: two characters of Han, or two operators, weigh as much as a word.
WORD_WEIGHT, SIGN_WEIGHT = 2, 1
_MARKS = range(0x0300, 0x0370)  # combining diacritical marks
# Full-width, mathematical, letters such as ℝ.
_STYLED = (range(0xFF00, 0xFFF0), range(0x1D400, 0x1D800), range(0x2100, 0x2150))
# Letters to Unicode, but they stand where an apostrophe does.
_APOSTROPHES = (*range(0x02B9, 0x02BE), 0x02C8, 0x02EE)
# Put into words, to break lines or to mark copies; not between words of scripts that have spaces.
_ZERO_WIDTH_SPACE = 0x200B
_LOW_LINE = ord("_")


@functools.cache
def benchmark_alphabet(tokens: Tokens) -> Alphabet:
    """How characters make words, as said above."""
    plain = word_alphabet() if tokens == "words" else token_alphabet()
    kinds, folded, quick = plain.kinds.copy(), plain.folded.copy(), plain.quick.copy()
    kinds[_MARKS.start : _MARKS.stop] = IGNORED
    kinds[_ZERO_WIDTH_SPACE] = IGNORED
    kinds[list(_APOSTROPHES)] = SEPARATOR
    for point in range(0x80, LIMIT):
        if kinds[point] in (PART, SINGLE):
            base = _base_of(chr(point))
            if tokens == "words":
                base = _capital_of(base)
            if kinds[base] == kinds[point]:
                folded[point] = plain.folded[base]
    if tokens == "code":
        kinds[_LOW_LINE], quick[_LOW_LINE] = PART, _LOW_LINE
    return Alphabet(kinds, folded, quick, False)


def _base_of(char: str) -> int:
    """The code point that a character is without its marks, width and style; itself if that is not one.

    >>> [chr(_base_of(c)) for c in "éＡ٣ガ한𝐛ℝ"]
    ['e', 'A', '3', 'ガ', '한', 'b', 'R']
    """
    if unicodedata.category(char) == "Nd":
        return ord("0") + unicodedata.decimal(char)
    styled = any(ord(char) in block for block in _STYLED)
    apart = unicodedata.normalize("NFKD", char) if styled else unicodedata.normalize("NFD", char)
    bases = [c for c in apart if ord(c) not in _MARKS]
    return ord(bases[0]) if len(bases) == 1 and ord(bases[0]) < LIMIT else ord(char)


def _capital_of(point: int) -> int:
    """The code point that a letter has in capitals; itself if that is not one.

    >>> [chr(_capital_of(ord(c))) for c in "\u00b5\u03bcsſß"]
    ['\u039c', '\u039c', 'S', 'S', 'ß']
    """
    capital = chr(point).upper()
    return ord(capital) if len(capital) == 1 and ord(capital) < LIMIT else point


def weighed_words(column: pa.Array, tokens: Tokens) -> tuple[HashedWords, np.ndarray]:
    """The words of a text column and their weights in half words, uint8.

    >>> weighed_words(pa.array(["two 橋"]), "words")[1].tolist()
    [2, 1]
    """
    alphabet = benchmark_alphabet(tokens)
    words = hash_words(column, alphabet, located=True)
    return words, weigh_words(text_buffers(column)[0], words.starts, alphabet.kinds)
