"""What machine_text_signals compares a text with: known words, usual letter sequences, stock phrases.

Two files beside this module. `machine_text_reference.json` holds words by how common they are and the cost of
letter trigrams, both counted from texts in the public domain by `benchmarks/train_machine_text.py`;
`machine_text_phrases.json` is written by hand.
"""

import base64
import functools
import itertools
import json
import unicodedata
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stages.kernels.unicode import LIMIT, SPACE, UPPER, char_classes
from stages.kernels.words import hash_words, word_alphabet
from stages.signals import _machine_tables as machine
from stages.signals._machine_word_kernels import add_words

FOLDER = Path(__file__).parent
REFERENCE = FOLDER / "machine_text_reference.json"
PHRASES = FOLDER / "machine_text_phrases.json"

GAP_CLASSES = (
    (machine.COMMA, ",،、，"),
    (machine.STOP, ".。।۔．"),
    (machine.SEMICOLON, ";；؛"),
    (machine.COLON, ":："),
    (machine.QUESTION, "?？؟"),
    (machine.EXCLAMATION, "!！"),
    (machine.BRACKET, "()[]{}（）［］【】"),
    (machine.QUOTE, '"“”„«»‹›「」『』'),
    (machine.DASH, "–—―"),
    (machine.HYPHEN, "-‐‑"),
    (machine.APOSTROPHE, "'’‘ʼ"),
    (machine.STRAY, "^~¦¬§°■□•|\\£¢¥¶¿¡`´¨"),
    (machine.ELLIPSIS, "…"),
)
INNER_NOISE = '|~^¬¦!?"§°•;,£¢«»'  # what stands alone between two letters only by a misreading or a slip
SCRIPT_BLOCKS = (  # script, first, last; Han, Kana and Hangul are one: their texts mix them
    (1, 0x0041, 0x024F),
    (1, 0x1E00, 0x1EFF),
    (1, 0xFF21, 0xFF5A),
    (2, 0x0370, 0x03FF),
    (2, 0x1F00, 0x1FFF),
    (3, 0x0400, 0x052F),
    (4, 0x0531, 0x058F),
    (5, 0x0590, 0x05FF),
    (6, 0x0600, 0x07BF),
    (6, 0x08A0, 0x08FF),
    (6, 0xFB50, 0xFDFF),
    (6, 0xFE70, 0xFEFE),
    (7, 0x0900, 0x0DFF),
    (8, 0x0E00, 0x0FFF),
    (9, 0x10A0, 0x10FF),
    (10, 0x1100, 0x11FF),
    (10, 0x3005, 0x9FFF),
    (10, 0xAC00, 0xD7A3),
    (10, 0xF900, 0xFAFF),
    (10, 0xFF66, 0xFFDC),
    (11, 0x1200, 0x139F),
)
PHRASE_KINDS = {  # in the file -> in the kernel
    "stock": machine.STOCK,
    "disclosures": machine.DISCLOSURE,
    "translation_marks": machine.TRANSLATION,
    "translation_widgets": machine.WIDGET,
}


@functools.cache
def letter_ids() -> np.ndarray:
    """uint8 for each code point below LIMIT: a..z without diacritics 1..26, another Latin letter, a digit, or 0.

    >>> [int(letter_ids()[ord(c)]) for c in "aÉß7ж"]
    [1, 5, 27, 39, 0]
    """
    table = np.zeros(LIMIT, np.uint8)
    for _, first, last in SCRIPT_BLOCKS[:3]:
        for point in range(first, last + 1):
            base = unicodedata.normalize("NFKD", chr(point))[0].lower()
            if "a" <= base <= "z":
                table[point] = ord(base) - 96
            elif chr(point).isalpha():
                table[point] = machine.LATIN_OTHER
    table[[0xAA, 0xB5, 0xBA, 0xD7, 0xF7]] = 0  # ordinals, micro, times, divided by: no letters of words
    table[0x30:0x3A] = machine.FIRST_DIGIT + np.arange(10)
    return table


@functools.cache
def gap_classes() -> np.ndarray:
    """uint8 for each code point below LIMIT: what it is in a gap between words."""
    table = np.zeros(LIMIT, np.uint8)
    table[(char_classes() & SPACE) != 0] = machine.BLANK
    table[ord("\n")] = machine.NEWLINE
    for number, chars in GAP_CLASSES:
        table[[ord(char) for char in chars]] = number
    return table


@functools.cache
def inner_noise() -> np.ndarray:
    """For each code point below LIMIT (bool): does it mark a misreading where it stands alone inside a word?"""
    table = np.zeros(LIMIT, np.bool_)
    table[[ord(char) for char in INNER_NOISE]] = True
    return table


@functools.cache
def script_ids() -> np.ndarray:
    """uint8 for each code point below LIMIT: the script of a letter, 0 for what is none."""
    table = np.zeros(LIMIT, np.uint8)
    for script, first, last in SCRIPT_BLOCKS:
        letters = [p for p in range(first, last + 1) if unicodedata.category(chr(p))[0] == "L"]
        table[letters] = script
    table[[0xAA, 0xB5, 0xBA]] = 0
    return table


@functools.cache
def packed_chars() -> np.ndarray:
    """All of the above, one uint32 for each code point below LIMIT."""
    upper = (char_classes() & UPPER) != 0
    packed: np.ndarray = machine.pack_chars(
        word_alphabet().kinds, letter_ids(), script_ids(), upper, gap_classes(), inner_noise()
    )
    return packed


def letter_hash(word: str) -> np.uint64 | None:
    """The hash of a word's letters and digits as the kernel takes it; None if it cannot be a judged word."""
    table = letter_ids()
    ids = [int(table[ord(c)]) if ord(c) < LIMIT else 0 for c in word if not unicodedata.combining(c)]
    if not ids or 0 in ids or len(ids) > machine.MAX_JUDGED:
        return None
    h = 0
    for letter in ids:
        h = (h * int(machine.BASE) + letter) % 2**64
    return np.uint64(h)


def word_table(words: Mapping[str, int], groups: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Open-addressing keys and values (band | group << 4) of words by band and of function words by group.

    >>> keys, values = word_table({"lamp": 2}, {"the": 1})
    >>> sorted(values[values > 0].tolist())
    [2, 16]
    """
    merged = {word: words.get(word, 0) | groups.get(word, 0) << 4 for word in {**groups, **words}}
    hashed = [(h, value) for word, value in merged.items() if (h := letter_hash(word)) is not None]
    size = 64
    while size < 2 * len(hashed):
        size *= 2
    keys, values = np.zeros(size, np.uint32), np.zeros(size, np.uint8)
    # The same letters with and without diacritics are one entry: the commoner word, or the function word, stays.
    hashed.sort(key=lambda pair: ((pair[1] >> 4) == 0, pair[1] & 15 or 9, int(pair[0])))
    add_words(
        keys, values, np.array([h for h, _ in hashed], np.uint64), np.array([v for _, v in hashed], np.uint8)
    )
    return keys, values


def confusion_table(pairs: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Rows (seen, seen or 0, printed, printed or 0) by first seen letter, and where each letter's rows start.

    >>> starts, rows = confusion_table(["m>rn"])
    >>> rows.tolist()
    [[18, 14, 13, 0]]
    """
    table = letter_ids()

    def pad(letters: str) -> list[int]:
        ids = [int(table[ord(c)]) for c in letters]
        return [*ids, 0][:2]

    rows = sorted(pad(pair.split(">")[1]) + pad(pair.split(">")[0]) for pair in pairs)
    array = np.array(rows, np.int64).reshape(-1, 4)
    starts = np.searchsorted(array[:, 0], np.arange(machine.FIRST_DIGIT + 11)).astype(np.int64)
    return starts, array


def phrase_table(phrases: Sequence[tuple[str, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stock phrases (text, kind) as bits, words, starts and kinds of the kernel's Tables."""
    texts = [text for text, _ in phrases]
    hashed = hash_words(pa.array(texts, pa.large_string()), word_alphabet())
    entries = []
    for (text, kind), (low, high) in zip(phrases, itertools.pairwise(hashed.offsets), strict=True):
        words = hashed.hashes[low:high].tolist()
        if not words:
            raise ValueError(f"phrase {text!r} has no word; write at least one")
        entries.append((words[0], -len(words), words, kind | (128 if text.startswith("[") else 0)))
    entries.sort()
    bits = np.zeros(1 << 16, np.bool_)
    bits[[first & 0xFFFF for first, *_ in entries]] = True
    starts = np.cumsum([0, *(len(words) for _, _, words, _ in entries)]).astype(np.int64)
    flat = np.array([word for _, _, words, _ in entries for word in words], np.uint64)
    return bits, flat, starts, np.array([kind for *_, kind in entries], np.uint8)


def pack_costs(costs: np.ndarray) -> str:
    """Trigram costs as text for the reference file; unpack_costs() reads it."""
    return base64.b64encode(zlib.compress(costs.astype(np.uint8).tobytes(), 9)).decode()


def unpack_costs(packed: str) -> np.ndarray:
    """uint8, ALPHABET**3 trigram costs in eighths of a bit.

    >>> int(unpack_costs(pack_costs(np.full(machine.ALPHABET**3, 7)))[9])
    7
    """
    costs = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8)
    if costs.size != machine.ALPHABET**3:
        raise ValueError(f"{costs.size} trigram costs; there must be {machine.ALPHABET**3}")
    return costs


def group_names(phrases: Mapping[str, Any]) -> list[str]:
    """Kinds of function words in the order of their numbers, from 1."""
    return list(phrases["groups"])


def build_tables(reference: Mapping[str, Any], phrases: Mapping[str, Any]) -> machine.Tables:
    """The kernel's tables from the contents of the two files."""
    words = {w: int(band) for band, text in reference["words"].items() for w in text.split()}
    groups = {w: k + 1 for k, name in enumerate(phrases["groups"]) for w in phrases["groups"][name]}
    known = [
        (text, kind)
        for section, kind in PHRASE_KINDS.items()
        for language in phrases[section].values()
        for text in language
    ]
    alphabet = word_alphabet()
    starts, confusions = confusion_table(phrases["confusions"].split())
    doubles = hash_words(pa.array(phrases["may_double"], pa.large_string()), alphabet).hashes
    return machine.Tables(
        *(alphabet.kinds, alphabet.folded, alphabet.quick),
        packed_chars(),
        *word_table(words, groups),
        *(unpack_costs(reference["trigrams"]), starts, confusions),
        *phrase_table(known),
        doubles,
    )


def load_tables(reference: Path = REFERENCE, phrases: Path = PHRASES) -> machine.Tables:
    """Read both files.

    Raises:
        ValueError: one of them is not what this reader expects.
    """
    try:
        return build_tables(
            json.loads(reference.read_text(encoding="utf-8")), json.loads(phrases.read_text(encoding="utf-8"))
        )
    except (KeyError, TypeError, AttributeError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(
            f"{reference.name} or {phrases.name}: not a machine-text reference ({error!r})"
        ) from error
