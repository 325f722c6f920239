"""What the characters of gaps and words say, and what is counted of that for style; compiled.

Each kernel is one pass over a document: a call for each word would count the references of its arrays. What one
pass finds of a word and the gap before it is kept for the next as the bits of `flags` (`_machine_tables.py`).
"""

# mypy: disable-error-code="assignment, no-untyped-def, no-untyped-call"
# numba unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.kernels.unicode import LIMIT, decode
from stages.kernels.words import IGNORED, JOINING, SINGLE
from stages.signals._machine_tables import (
    APOSTROPHE,
    BEGINS_UPPER,
    BLANK,
    BRACKET,
    BREAKS,
    CLEAN,
    DIGIT_INSIDE,
    ELLIPSIS,
    EXCLAMATION,
    FIRST_DIGIT,
    HAS_BLANK,
    HAS_DIGIT,
    HYPHEN,
    HYPHENATES,
    JOINS,
    KIND_SHIFT,
    LETTER_BITS,
    MARK_SHIFT,
    MAX_JUDGED,
    MIXES_SCRIPTS,
    NAMES,
    NEWLINE,
    NOISE,
    NOISE_BIT,
    ODD_CASE,
    ONE_APOSTROPHE,
    PUNCTUATION,
    QUESTION,
    SCRIPTS,
    SPACED,
    SPLITS,
    STOP,
    STRAY,
    TWO_LETTERS,
    UPPER,
    UPPER_BIT,
)

_PUNCTUATION, _STRAY = NAMES.index("punctuation_0"), NAMES.index("stray")
_SENTENCES, _CONTRACTIONS = NAMES.index("sentences"), NAMES.index("contractions")
_DOUBLED, _SCRIPT = NAMES.index("doubled"), NAMES.index("main_script")


@njit(cache=True, nogil=True)
def read_gaps(data, start, end, chars, starts, ends, words, flags, out):
    """Classes of the characters between words into `out`, flags of the gap before each word into `flags`."""
    punctuation = out[_PUNCTUATION : _PUNCTUATION + PUNCTUATION]
    stray = 0
    i = start
    for w in range(words + 1):
        stop = starts[w] if w < words else end
        count = newlines = blanks = 0
        only, last_class = 0, 0
        ended, breaks, joined_hyphen, noise = False, False, False, False
        in_stray, after_blank = False, w == 0
        while i < stop:
            if data[i] < 0x80:
                point = np.int64(data[i])
                i += 1
            else:
                point, size = decode(data, i)
                i += size
            char = np.int64(chars[point]) if point < LIMIT else 0
            mark = (char >> MARK_SHIFT) & 15
            count += 1
            punctuation[mark] += 1
            if mark in (BLANK, NEWLINE):
                newlines += mark == NEWLINE
                blanks += 1
                breaks = breaks or ended
                stray += in_stray
                in_stray, after_blank = False, True
                joined_hyphen = joined_hyphen or (count == 2 and only == HYPHEN)
            else:
                if mark in (STOP, QUESTION, EXCLAMATION, ELLIPSIS):
                    ended = True
                    breaks = breaks or point > 0x3000
                in_stray = mark == STRAY and (in_stray or after_blank)
                after_blank = False
            last_class = BLANK if mark == NEWLINE else mark
            if count == 1:
                only, noise = mark, (char & NOISE_BIT) != 0
        if w < words:
            flags[w] = (
                (JOINS if blanks == count and count > 0 else 0)
                | (SPLITS if last_class == BRACKET else 0)
                | (BREAKS if breaks or newlines >= 2 or w == 0 else 0)
                | (ONE_APOSTROPHE if w > 0 and count == 1 and only == APOSTROPHE else 0)
                | (NOISE if count == 1 and noise else 0)
                | (HYPHENATES if joined_hyphen and blanks == count - 1 else 0)
                | (HAS_BLANK if blanks > 0 else 0)
            )
            i = ends[w]
    out[_STRAY] = stray


@njit(cache=True, nogil=True)
def read_words(data, start, chars, starts, ends, words, flags, lengths, ids, out):
    """Length and flags of each word; the letter ids of a CLEAN one into `ids`, from starts[w] - start on."""
    scripts_seen = np.zeros(SCRIPTS, np.int64)
    for w in range(words):
        length = letters = digits = uppers = turns = 0
        latin, begins_upper, was_lower, seen_digit_after_letter = True, False, False, False
        digit_between, script, scripts_mixed, single = False, 0, False, False
        i, stop, first_id = starts[w], ends[w], starts[w] - start
        while i < stop:
            if data[i] < 0x80:
                point = np.int64(data[i])
                i += 1
            else:
                point, size = decode(data, i)
                i += size
            if 0xE0000 <= point < 0xE1000:  # tags and variation selectors, which scan_words() passes over
                continue
            if point >= LIMIT:
                latin, single = False, True
                length += 1
                continue
            char = np.int64(chars[point])
            kind = (char >> KIND_SHIFT) & 7
            if kind in (IGNORED, JOINING):
                continue
            letter = char & 63
            here = (char >> LETTER_BITS) & 15
            single = single or kind == SINGLE
            if here:
                scripts_seen[here] += 1
                scripts_mixed = scripts_mixed or (script != 0 and script != here)
                script = here
            is_upper = (char & UPPER_BIT) != 0
            if length == 0:
                begins_upper = is_upper
            ids[first_id + length] = letter
            length += 1
            latin = latin and letter > 0
            if letter >= FIRST_DIGIT:
                digits += 1
                seen_digit_after_letter = letters > 0
                was_lower = False
            else:
                digit_between = digit_between or (seen_digit_after_letter and letter > 0)
                letters += 1
                uppers += is_upper
                turns += is_upper and was_lower
                was_lower = not is_upper
        lengths[w] = length
        flags[w] |= (
            (BEGINS_UPPER if begins_upper else 0)
            | (UPPER if uppers == letters and letters >= 2 else 0)
            | (HAS_DIGIT if digits else 0)
            | (SPACED if letters and not single else 0)
            | (TWO_LETTERS if letters >= 2 else 0)
            | (MIXES_SCRIPTS if scripts_mixed else 0)
            | (CLEAN if latin and letters > 0 and length <= MAX_JUDGED else 0)
            | (DIGIT_INSIDE if digit_between else 0)
            | (ODD_CASE if turns else 0)
        )
    out[_SCRIPT], out[_SCRIPT + 1] = scripts_seen.max(), scripts_seen.sum()


@njit(cache=True, nogil=True)
def count_sentences(words, hashes, flags, out):
    """Count sentences, their words squared, and those that begin as one of the three before did."""
    sentences = squared = repeated_starts = in_sentence = 0
    first_1, first_2, first_3 = np.uint64(0), np.uint64(0), np.uint64(0)
    for w in range(words):
        if flags[w] & BREAKS:
            squared += in_sentence * in_sentence
            in_sentence = 0
            sentences += 1
            first_word = hashes[w]
            repeated_starts += first_word in (first_1, first_2, first_3)
            first_1, first_2, first_3 = first_word, first_1, first_2
        in_sentence += 1
    out[_SENTENCES], out[_SENTENCES + 1] = sentences, squared + in_sentence * in_sentence
    out[_SENTENCES + 2] = repeated_starts


@njit(cache=True, nogil=True)
def count_style(words, hashes, flags, lengths, may_double, out):
    """Count words by length, case, digits and scripts, and those that stand twice in a row by mistake."""
    spaced = letters = squared = long = capitalised = upper = digit = contractions = doubled = mixed = 0
    for w in range(words):
        flag, length = flags[w], np.int64(lengths[w])
        digit += (flag & HAS_DIGIT) != 0
        mixed += (flag & MIXES_SCRIPTS) != 0
        if not flag & SPACED:
            continue
        spaced += 1
        letters += length
        squared += length * length
        long += length >= 7
        capitalised += (flag & (BEGINS_UPPER | BREAKS)) == BEGINS_UPPER
        upper += (flag & UPPER) != 0
        contractions += (flag & ONE_APOSTROPHE) != 0
        if flag & JOINS and w and hashes[w] == hashes[w - 1] and flag & TWO_LETTERS:
            fine = False
            for k in range(may_double.size):
                fine = fine or may_double[k] == hashes[w]
            doubled += not fine
    row = (words, spaced, letters, squared, long, capitalised, upper, digit)
    for k in range(len(row)):
        out[k] = row[k]
    out[_CONTRACTIONS], out[_DOUBLED], out[_DOUBLED + 1] = contractions, doubled, mixed
