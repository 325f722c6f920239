"""RefinedWeb's corrections of lines in one compiled pass, which writes the corrected text as it goes."""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.filters._line_kernels import (
    CHARS,
    DIGITS,
    FACTS,
    FIRST,
    KINDS,
    LAST,
    TOKENS,
    UPPERS,
    copy_bytes,
    scan_line,
)
from stages.filters._phrase_kernels import copy_without_phrases, find_phrases
from stages.kernels.unicode import DIGIT
from stages.kernels.words import bound_words, scan_words

COUNTS = (
    "lines",
    "uppercase",
    "numeric",
    "counter",
    "few_words",
    "phrase",
    "words",
    "flagged_words",
    "kept_lines",
)
LINES, UPPERCASE, NUMERIC, COUNTER, FEW_WORDS, PHRASE, WORDS, FLAGGED, KEPT = range(len(COUNTS))
TOO_MANY_FLAGGED_WORDS, NOTHING_LEFT = 1, 2  # verdicts
_CLASS, _NEWLINE = 0xFF, 0x0A
_MOST_COUNTER_WORDS = 64  # a line with more is no counter


@njit(cache=True, nogil=True)
def _is_number(data, start, end):
    """Digits, and perhaps one letter behind them: 3, 12k, 5M."""
    i = start
    while i < end and 0x30 <= data[i] <= 0x39:
        i += 1
    return i > start and i + 1 >= end


@njit(cache=True, nogil=True)
def _is_counter(data, start, end, alphabet, counters):
    """Is every word of data[start:end] a number or one of `counters`, and each there at least once?"""
    kinds, folded, quick = alphabet
    bound = bound_words(data, start, end, kinds, False)
    if bound > _MOST_COUNTER_WORDS:
        return False
    hashes, starts = np.empty(bound, np.uint64), np.empty(bound, np.int64)
    ends = np.empty(bound, np.int64)
    words = scan_words(data, start, end, kinds, folded, quick, False, hashes, starts, ends)
    numbers = names = 0
    for k in range(words):
        if _is_number(data, starts[k], ends[k]):
            numbers += 1
        else:
            for j in range(counters.size):
                if counters[j] == hashes[k]:
                    names += 1
                    break
    return numbers > 0 and names > 0 and numbers + names == words


@njit(cache=True, nogil=True)
def correct_lines(
    data,
    offsets,
    kinds,
    phrases,
    cites,
    alphabet,
    counters,
    upper,
    numeric,
    min_words,
    max_phrase_words,
    cut,
    most,
):
    """Apply RefinedWeb's line-wise corrections to every row of a text column.

    Args:
        data: uint8, from text_buffers().
        offsets: int64, from text_buffers().
        kinds: uint16, of LineTables.
        phrases: Phrases with the groups AT_START, AT_END, ANYWHERE.
        cites: of LineTables.
        alphabet: (kinds, folded, quick) of word_alphabet().
        counters: uint64, hashes of the words that make a counter with a number.
        upper: largest share of upper-case characters of a line that is kept.
        numeric: bool, cut lines of digits alone.
        min_words: fewest tokens of a kept line.
        max_phrase_words: most tokens of a line in which phrases are looked for.
        cut: bool, cut lines with a phrase instead of taking out the phrase.
        most: largest share of a document's words that flagged lines may have.

    Returns:
        data, offsets, counts, verdicts as in Edited.
    """
    rows = offsets.size - 1
    out = np.empty(offsets[rows] - offsets[0] if rows else 0, np.uint8)
    out_offsets = np.zeros(rows + 1, np.int64)
    counts = np.zeros((rows, len(COUNTS)), np.int64)
    verdicts = np.zeros(rows, np.int8)
    facts = np.zeros(FACTS, np.int64)
    at = 0
    for row in range(rows):
        begin, start, end, count = at, offsets[row], offsets[row + 1], counts[row]
        dropped = False  # the line before was cut: of the blank lines around it, those behind go too
        while start < end:
            stop = scan_line(data, start, end, kinds, cites, facts)
            after = min(stop + 1, end)  # behind the newline
            words = facts[TOKENS]
            if words == 0:
                if not (dropped and (at == begin or (at - begin >= 2 and out[at - 2] == _NEWLINE))):
                    at = copy_bytes(data, start, after, out, at)
                start = after
                continue
            count[LINES] += 1
            count[WORDS] += words
            first, last = facts[FIRST], facts[LAST]
            verdict = KEPT
            if facts[UPPERS] > upper * facts[CHARS]:
                verdict = UPPERCASE
            elif numeric and facts[KINDS] & _CLASS == DIGIT:
                verdict = NUMERIC
            elif (
                words <= max_phrase_words
                and facts[DIGITS]
                and _is_counter(data, first, last, alphabet, counters)
            ):
                verdict = COUNTER
            elif words < min_words:
                verdict = FEW_WORDS
            edited, removed = at, 0
            if verdict == KEPT and words <= max_phrase_words and find_phrases(data, first, last, phrases):
                edited, removed = copy_without_phrases(data, first, last, kinds, phrases, out, at)
            if removed:
                verdict = PHRASE
                count[KEPT] += 0 if cut or edited == at else 1
            count[verdict] += 1
            count[FLAGGED] += words if verdict != KEPT else 0
            if verdict == KEPT:
                at = copy_bytes(data, start, after, out, at)
                dropped = False
            elif removed and not cut and edited > at:
                at = copy_bytes(data, stop, after, out, edited)
                dropped = False
            else:
                dropped = True
            start = after
        if at > begin and out[at - 1] == _NEWLINE and data[end - 1] != _NEWLINE:
            at -= 1
        if count[FLAGGED] > most * count[WORDS]:
            verdicts[row] = TOO_MANY_FLAGGED_WORDS
        elif count[KEPT] == 0:
            verdicts[row] = NOTHING_LEFT
        if verdicts[row]:
            at = copy_bytes(data, offsets[row], end, out, begin)
        out_offsets[row + 1] = at
    return out[:at], out_offsets, counts, verdicts
