"""What a word says of misreading: is it known, made of usual letters, broken in two; compiled."""

# mypy: disable-error-code="assignment, no-untyped-def, no-untyped-call"
# numba unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.signals._machine_tables import (
    ALPHABET,
    ATYPICAL_COST,
    BANDS,
    BASE,
    BEGINS_UPPER,
    CLEAN,
    DIGIT_CLASS,
    DIGIT_INSIDE,
    FIRST_DIGIT,
    GROUPS,
    HAS_BLANK,
    HYPHENATES,
    JOINS,
    NAMES,
    NOISE,
    ODD_CASE,
    ONE_APOSTROPHE,
)
from stages.signals._machine_word_kernels import find_word, is_confusable

_GROUP, _JUDGED = NAMES.index("group_0"), NAMES.index("judged")
_BAND, _CONFUSABLE = NAMES.index("band_1") - 1, NAMES.index("confusable")
_ATYPICAL, _TRIGRAMS = NAMES.index("atypical"), NAMES.index("trigrams")
_VOWELLESS, _DIGITS_INSIDE = NAMES.index("vowelless"), NAMES.index("digits_inside")
_VOWELS = 1 << 1 | 1 << 5 | 1 << 9 | 1 << 15 | 1 << 21 | 1 << 25  # letter ids of a e i o u y


@njit(inline="always")
def _is_consonant(letter):
    """Is this letter id neither a vowel (y is one) nor a digit?"""
    return letter < FIRST_DIGIT and not (_VOWELS >> letter) & 1


@njit(inline="always")
def _trigram_id(letter):
    """The letter id by which trigrams are looked up: all digits are one."""
    return min(letter, DIGIT_CLASS)


@njit(cache=True, nogil=True)
def count_trigrams(costs, start, starts, words, flags, lengths, letters, out):
    """Count the judged words, those without a vowel or digit, and what their trigrams cost, into `out`.

    letters: ids of the letters of word w from starts[w] - start on. A blank stands before and after each word.
    """
    judged = atypical = trigrams = trigram_cost = vowelless = 0
    for w in range(words):
        length, first = np.int64(lengths[w]), starts[w] - start
        if flags[w] & (CLEAN | BEGINS_UPPER | ONE_APOSTROPHE) != CLEAN or length < 2:
            continue
        cost = worst = 0
        letter = np.int64(letters[first])
        bare = _is_consonant(letter)
        a, b = 0, _trigram_id(letter)
        for k in range(1, length + 1):
            c = 0
            if k < length:
                letter = np.int64(letters[first + k])
                bare = bare and _is_consonant(letter)
                c = _trigram_id(letter)
            this = np.int64(costs[(a * ALPHABET + b) * ALPHABET + c])
            cost += this
            worst = max(worst, this)
            a, b = b, c
        judged += 1
        trigrams += length
        trigram_cost += cost
        atypical += worst >= ATYPICAL_COST
        vowelless += bare and length >= 4
    out[_JUDGED], out[_ATYPICAL], out[_VOWELLESS] = judged, atypical, vowelless
    out[_TRIGRAMS], out[_TRIGRAMS + 1] = trigrams, trigram_cost


@njit(cache=True, nogil=True)
def count_misreadings(t, start, starts, words, flags, lengths, letters, ids, prefix, powers, out):
    """Look the CLEAN words up: function words, known words, misread and broken ones into `out`.

    ids, prefix: room for one word's letters and the hashes of its first n letters.
    """
    # one look at the tables: each one inside the loop counts references
    word_keys, word_values = t.word_keys, t.word_values
    confusion_starts, confusions = t.confusion_starts, t.confusions
    groups, bands = out[_GROUP : _GROUP + GROUPS], out[_BAND : _BAND + BANDS + 1]
    confusable = digits_inside = odd_case = symbols_inside = isolated = broken = hyphen_breaks = 0
    last_piece, last_known, last_clean, last_isolated = False, False, False, False
    last_hash = np.uint64(0)
    prefix[0] = np.uint64(0)
    for w in range(words):
        flag = flags[w]
        isolated += last_isolated and (flag & HAS_BLANK) != 0
        if not flag & CLEAN:
            last_piece, last_known, last_clean, last_isolated = False, False, False, False
            continue
        length, first = np.int64(lengths[w]), starts[w] - start
        for k in range(length):
            letter = np.int64(letters[first + k])
            ids[k] = letter
            prefix[k + 1] = prefix[k] * BASE + np.uint64(letter)
        symbols_inside += last_clean and (flag & NOISE) != 0
        digits_inside += (flag & DIGIT_INSIDE) != 0
        odd_case += (flag & ODD_CASE) != 0
        value = find_word(word_keys, word_values, prefix[length])
        groups[value >> 4] += 1
        known = (value & 15) > 0
        piece = not flag & (BEGINS_UPPER | ONE_APOSTROPHE)
        spaces_only, hyphenated = (flag & JOINS) != 0, (flag & HYPHENATES) != 0
        if piece and last_piece and (hyphenated or (spaces_only and not (known and last_known))):
            whole = find_word(word_keys, word_values, last_hash * powers[length] + prefix[length])
            hyphen_breaks += hyphenated and (whole & 15) > 0
            broken += not hyphenated and (whole & 15) > 0
        if piece and length >= 2:
            if known:
                bands[value & 15] += 1
            elif length >= 3:
                confusable += is_confusable(
                    ids, length, prefix, powers, confusion_starts, confusions, word_keys, word_values
                )
        last_piece, last_known, last_clean, last_hash = piece, known, True, prefix[length]
        last_isolated = piece and length == 1 and _is_consonant(ids[0]) and spaces_only
    out[_CONFUSABLE] = confusable
    row = (digits_inside, odd_case, symbols_inside, isolated, broken, hyphen_breaks)
    for k in range(len(row)):
        out[_DIGITS_INSIDE + k] = row[k]
