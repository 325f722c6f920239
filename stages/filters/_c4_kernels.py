"""C4's line rules and page rules in one compiled pass, which writes the kept lines as it goes."""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.filters._line_kernels import (
    BRACE,
    CITATIONS,
    DOTS,
    FACTS,
    FIRST,
    KINDS,
    LAST,
    LAST_KIND,
    LONGEST,
    SENTENCES,
    TERMINAL,
    TOKENS,
    citation_size,
    copy_bytes,
    scan_line,
)
from stages.filters._phrase_kernels import find_phrases

JAVASCRIPT, POLICY, LOREM = 1, 2, 4  # bits of the groups of phrases, in this order
COUNTS = (
    *("lines", "long_word", "no_terminal", "few_words", "javascript", "policy", "citations"),
    *("sentences", "lorem", "braces", "kept_lines"),
)
(LINES, LONG_WORD, NO_TERMINAL, FEW_WORDS, SCRIPT, POLICIES, CITES, SENTENCE_COUNT, LOREMS, BRACES, KEPT) = (
    range(len(COUNTS))
)
LOREM_IPSUM, CURLY_BRACE, TOO_FEW_SENTENCES, NOTHING_LEFT = 1, 2, 3, 4  # verdicts
_BRACKET, _NEWLINE, _BLANK = 0x5B, 0x0A, 0x20


@njit(inline="always")
def _parts(byte):
    """A blank or . , ; : ! ?"""
    return byte in (_BLANK, 0x2E, 0x2C, 0x3B, 0x3A, 0x21, 0x3F)


@njit(cache=True, nogil=True)
def _copy_without_citations(data, start, end, cites, out, at):
    """Append data[start:end] without its citation markers, nor the blank before one where it would be stray."""
    marks, mark_ends = cites
    begin, i = at, start
    while i < end:
        if data[i] == _BRACKET:
            size = citation_size(data, i, end, marks, mark_ends)
            if size:
                i += size
                if at > begin and out[at - 1] == _BLANK and (i == end or _parts(data[i])):
                    at -= 1
                continue
        out[at] = data[i]
        at += 1
        i += 1
    return at


@njit(cache=True, nogil=True)
def _line_verdict(facts, max_word, min_words, terminal):
    """The count under which a line is cut, or KEPT; the order is that of C4's code."""
    if facts[LONGEST] > max_word:
        return LONG_WORD
    if terminal and (facts[DOTS] or not facts[LAST_KIND] & TERMINAL):
        return NO_TERMINAL
    if facts[TOKENS] < min_words:
        return FEW_WORDS
    return KEPT


@njit(cache=True, nogil=True)
def clean_pages(
    data,
    offsets,
    kinds,
    phrases,
    cites,
    max_word,
    min_words,
    terminal,
    whole_page,
    blank_lines,
    min_sentences,
):
    """Apply C4's rules to every row of a text column.

    Args:
        data: uint8, from text_buffers().
        offsets: int64, from text_buffers().
        kinds: uint16, of LineTables; { has BRACE if the rule on it is on.
        phrases: Phrases with the groups JAVASCRIPT, POLICY, LOREM.
        cites: of LineTables.
        max_word: most characters of a token.
        min_words: fewest tokens of a kept line.
        terminal: bool, must a kept line end in a terminal mark.
        whole_page: bool, do the page rules look at lines that are cut, too.
        blank_lines: bool, keep one blank line where kept lines had some between them.
        min_sentences: fewest sentences in the kept lines.

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
        blank = False
        while start < end:
            start = scan_line(data, start, end, kinds, cites, facts) + 1
            if facts[TOKENS] == 0:
                count[CITES] += facts[CITATIONS]
                blank = True
                continue
            count[LINES] += 1
            verdict = _line_verdict(facts, max_word, min_words, terminal)
            if verdict == KEPT or whole_page:
                groups = find_phrases(data, facts[FIRST], facts[LAST], phrases)
                count[LOREMS] += 1 if groups & LOREM else 0
                count[BRACES] += 1 if facts[KINDS] & BRACE else 0
                if verdict == KEPT and groups & JAVASCRIPT:
                    verdict = SCRIPT
                elif verdict == KEPT and groups & POLICY:
                    verdict = POLICIES
            count[verdict] += 1
            if verdict != KEPT:
                continue
            count[SENTENCE_COUNT] += facts[SENTENCES]
            if at > begin:
                out[at] = _NEWLINE
                at += 1
                if blank and blank_lines:
                    out[at] = _NEWLINE
                    at += 1
            blank = False
            if facts[CITATIONS]:
                count[CITES] += facts[CITATIONS]
                at = _copy_without_citations(data, facts[FIRST], facts[LAST], cites, out, at)
            else:
                at = copy_bytes(data, facts[FIRST], facts[LAST], out, at)
        if count[LOREMS]:
            verdicts[row] = LOREM_IPSUM
        elif count[BRACES]:
            verdicts[row] = CURLY_BRACE
        elif count[SENTENCE_COUNT] < min_sentences:
            verdicts[row] = TOO_FEW_SENTENCES
        elif count[KEPT] == 0:
            verdicts[row] = NOTHING_LEFT
        if verdicts[row]:
            at = copy_bytes(data, offsets[row], end, out, begin)
        out_offsets[row + 1] = at
    return out[:at], out_offsets, counts, verdicts
