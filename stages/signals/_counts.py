"""What the text scan counts, by name, and what a character is to it beyond its Unicode class."""

import functools
import unicodedata

import numpy as np

from stages.kernels.unicode import LIMIT, char_classes
from stages.signals._ngram_kernels import DUPLICATE_SIZES, TOP_SIZES

# Bits above the eight of char_classes(); LOWER is lower or title case: what keeps a word from being all capitals.
BULLET, TERMINAL, COUNTED, LOWER, STOP, CLOSER, WIDE_STOP = (1 << bit for bit in range(8, 15))

# RedPajama's bullets and dolma's `*` and `-`. No em dash: it opens dialogue in French, Spanish and Russian.
BULLETS = "•‣⁃∙·▪▫■□●○◦▶◀►–-*"
# C4's . ! ? " ' and their counterparts in other scripts, so that a rule on it does not delete a language.
TERMINALS = ".!?\"'…。！？｡．؟۔।॥။။።։׃”’»›」』"
# What ends a sentence if white space follows, directly or behind closing quotes and brackets ...
STOPS = ".!?…‼⁇⁈⁉؟۔।॥።։׃"
CLOSERS = "\"')]}”’»›」』）】〉》"
WIDE_STOPS = "。！？｡．။។"  # ... and what ends one anywhere, in scripts that put no space there
COUNTED_CHARS = ".#{…"

COUNTS = (
    *("chars", "words", "words_and_symbols", "word_chars", "spaced_words", "spaced_word_chars"),
    *("kana_words", "syllabic_words", "max_word_chars", "alpha_words", "all_caps_words"),
    *("stop_words", "stop_word_uses", "lorem_ipsums", "sentences"),
    *("visible_chars", "upper_chars", "lower_chars", "digit_chars"),
    *("hashes", "ellipses", "braces", "newlines"),
    *("lines", "line_chars", "bullet_lines", "ellipsis_lines", "terminal_lines", "short_lines"),
    *("javascript_lines", "numeric_lines", "uppercase_lines", "duplicate_lines", "duplicate_line_chars"),
    *("paragraphs", "duplicate_paragraphs", "duplicate_paragraph_chars"),
    "unique_words",
    *(f"top_{n}gram_chars" for n in TOP_SIZES),
    *(f"duplicate_{n}gram_chars" for n in DUPLICATE_SIZES),
)
WIDTH = len(COUNTS)
WORDS = COUNTS.index("words")
UNIQUE = COUNTS.index("unique_words")


@functools.cache
def char_kinds() -> np.ndarray:
    """uint16 for each code point below LIMIT: its Unicode class and what the scan asks of it beyond that."""
    kinds = char_classes().astype(np.uint16)
    for point in range(LIMIT):
        if unicodedata.category(chr(point)) in ("Ll", "Lt"):
            kinds[point] |= np.uint16(LOWER)
    marked = (
        (BULLETS, BULLET),
        (TERMINALS, TERMINAL),
        (COUNTED_CHARS, COUNTED),
        (STOPS, STOP),
        (CLOSERS, CLOSER),
        (WIDE_STOPS, WIDE_STOP),
    )
    for chars, bit in marked:
        kinds[[ord(char) for char in chars]] |= np.uint16(bit)
    return kinds


@functools.cache
def plain_counts() -> np.ndarray:
    """int64 by byte: 1 for A-Z, 1 << 20 for a-z, 1 << 40 for 0-9, else 0; in lower case all have bit 5 set."""
    counts = np.zeros(256, np.int64)
    counts[ord("A") : ord("Z") + 1] = 1
    counts[ord("a") : ord("z") + 1] = 1 << 20
    counts[ord("0") : ord("9") + 1] = 1 << 40
    return counts
