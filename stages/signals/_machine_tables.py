"""What the machine-text kernels count, by name, and the tables that they read.

The words are those of `stages.kernels.words`: runs of letters and digits, compared in lower case, a character
each in scripts without spaces. What stands between two words is a *gap*. Everything is counted as an integer
(but for the burstiness of gaps), so that the oracle in the tests can agree to the last count.

A word is *judged* for misreadings when it is in Latin letters, begins in lower case (names are no errors), has 2
to 32 letters or digits and does not follow an apostrophe. It is compared without diacritics: `für` is `fur`.
"""

from typing import NamedTuple

import numpy as np

MAX_JUDGED = 32
ATYPICAL_COST = 104  # in eighths of a bit: a trigram rarer than 2**-13 after its first two letters
LATIN_OTHER, FIRST_DIGIT, DIGIT_CLASS = 27, 32, 28  # ids of letters: 1..26 are a..z
ALPHABET = 32
SCRIPTS = 16

# classes of what stands in gaps
COMMA, STOP, SEMICOLON, COLON, QUESTION, EXCLAMATION, BRACKET, QUOTE = range(1, 9)
DASH, HYPHEN, APOSTROPHE, STRAY, ELLIPSIS, BLANK, NEWLINE = range(9, 16)
PUNCTUATION = 16

STOCK, DISCLOSURE, TRANSLATION, WIDGET = range(4)  # kinds of phrases
GROUPS = 16  # kinds of function words, 0 = none
BANDS = 4  # 1 = the commonest words ... 4 = the rest of the list, 0 = unknown

# flags of a word: first what the gap before it says
JOINS = 1 << 0  # white space only
SPLITS = 1 << 1  # it opens a bracket at its end
BREAKS = 1 << 2  # a sentence begins after it
ONE_APOSTROPHE = 1 << 3  # nothing else, and a word before it
NOISE = 1 << 4  # one character that stands alone between two letters only by a misreading or a slip
HYPHENATES = 1 << 5  # a hyphen, then white space
HAS_BLANK = 1 << 6
# then what its characters say
BEGINS_UPPER, UPPER, HAS_DIGIT, TWO_LETTERS, MIXES_SCRIPTS = (1 << k for k in range(7, 12))
SPACED = 1 << 12  # has a letter, and none of a script without spaces
CLEAN = 1 << 13  # Latin letters and digits, a letter among them, MAX_JUDGED at most: may be looked up
DIGIT_INSIDE, ODD_CASE = 1 << 14, 1 << 15  # a digit between letters; upper case after lower

NAMES = (
    *("words", "spaced_words", "letters", "letters_squared", "long_words", "capitalised", "upper_words"),
    *("digit_words", "sentences", "sentence_words_squared", "repeated_starts", "contractions"),
    *(f"punctuation_{k}" for k in range(PUNCTUATION)),
    *(f"group_{k}" for k in range(GROUPS)),
    *("judged", "band_1", "band_2", "band_3", "band_4", "confusable", "atypical", "trigrams", "trigram_cost"),
    *("vowelless", "digits_inside", "odd_case", "symbols_inside", "isolated", "broken", "hyphen_breaks"),
    *("stray", "stock", "disclosures", "translations", "widgets", "doubled", "mixed_script", "main_script"),
    *("script_letters", "windows", "distinct_in_windows", "repeated_2", "repeated_3", "repeated_4"),
    *("bytes", "squeezed_bytes"),
)
WIDTH = len(NAMES)

BASE = np.uint64(0x9E3779B97F4A7C15)  # of the polynomial over letters: substitutions cost a multiplication

# places in a packed character; the letter id has the lowest bits
LETTER_BITS, UPPER_BIT, KIND_SHIFT, MARK_SHIFT, NOISE_BIT = 6, 1 << 10, 11, 14, 1 << 18


def pack_chars(
    kinds: np.ndarray,
    letters: np.ndarray,
    scripts: np.ndarray,
    upper: np.ndarray,
    marks: np.ndarray,
    noise: np.ndarray,
) -> np.ndarray:
    """uint32 by code point: letter id, script, upper case?, kind in words, class in gaps, noise inside a word?"""
    packed = letters.astype(np.uint32) | (scripts.astype(np.uint32) << LETTER_BITS)
    packed |= (kinds.astype(np.uint32) << KIND_SHIFT) | (marks.astype(np.uint32) << MARK_SHIFT)
    packed |= (np.where(upper, UPPER_BIT, 0) | np.where(noise, NOISE_BIT, 0)).astype(np.uint32)
    return packed


class Tables(NamedTuple):
    """What the pass knows before it reads: built once by `_machine_reference.py`."""

    kinds: np.ndarray  # uint8, folded int32, quick uint8: word_alphabet()
    folded: np.ndarray
    quick: np.ndarray
    chars: np.ndarray  # uint32 by code point: pack_chars(), one look for all that is asked of a character
    word_keys: np.ndarray  # uint32, open addressing, 0 = free
    word_values: np.ndarray  # uint8: band | group << 4
    costs: np.ndarray  # uint8, ALPHABET**3: eighths of a bit
    confusion_starts: np.ndarray  # int64, by first letter id: rows of `confusions`
    confusions: np.ndarray  # int64, (n, 4): what is seen (1 or 2 letters, 0 = none), what it may have been
    phrase_bits: np.ndarray  # bool, 2**16: low bits of the first word's hash
    phrase_words: np.ndarray  # uint64: hashes of all phrases' words, longest first for the same first word
    phrase_starts: np.ndarray  # int64, one more than phrases; phrases in order of their first word's hash
    phrase_kinds: np.ndarray  # uint8; 128 = only after an opening bracket
    may_double: np.ndarray  # uint64: hashes of words that people do write twice
