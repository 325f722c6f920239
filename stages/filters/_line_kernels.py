"""What a rule can ask of one line, measured in one compiled pass over its bytes, and edits that copy only bytes.

A line ends at a newline and nothing else. Its *tokens* are what stands between white space (a character of a
script written without spaces is a token by itself, with its marks), its *characters* those from the first to
the last visible one. Control and format characters (NUL, byte order mark, zero-width space) are invisible:
they neither begin nor end anything. All loops are linear in the bytes, whatever stands in them.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.kernels.unicode import DIGIT, LETTER, LIMIT, MARK, SPACE, UNSPACED, UPPER, WORD, decode

# What a character can be beyond its Unicode class: bits above the eight of char_classes().
TERMINAL = 1 << 8  # may end a line of prose
STOP = 1 << 9  # ends a sentence if white space or the line's end follows
FULL_STOP = 1 << 10  # ends a sentence whatever follows it: 。！？
CLOSER = 1 << 11  # may stand between a stop and the white space: quotes, brackets
BRACE = 1 << 12  # {
LOWER = 1 << 13  # a letter of lower or title case: a sentence does not begin with one

PLAIN = LETTER | LOWER  # all that a lower-case letter is

# The facts of a line, by their index.
FACTS = 12
FIRST, LAST, TOKENS, LONGEST, CHARS, UPPERS, DIGITS = range(7)  # FIRST, LAST: bytes [FIRST, LAST)
SENTENCES, KINDS, LAST_KIND, DOTS, CITATIONS = range(7, FACTS)
# KINDS: the bits of all visible characters together; LAST_KIND: of the last; DOTS: it ends in ... or …
# CITATIONS: markers passed over.

_BRACKET, _CLOSING, _DOT, _ELLIPSIS, _NEWLINE, _BLANK = 0x5B, 0x5D, 0x2E, 0x2026, 0x0A, 0x20


@njit(inline="always")
def _is_plain(byte):
    """A letter from a to z, whose kind is PLAIN and nothing more."""
    return 0x61 <= byte <= 0x7A


@njit(cache=True, nogil=True)
def citation_size(data, at, end, marks, mark_ends):
    """Bytes of the citation marker that begins with the [ at `at`: [], [12], [edit], ...; 0 if none does."""
    i = at + 1
    while i < end and 0x30 <= data[i] <= 0x39:
        i += 1
    if i < end and data[i] == _CLOSING:
        return i + 1 - at
    begin = 0
    for k in range(mark_ends.size):
        size = mark_ends[k] - begin
        if at + 1 + size < end and data[at + 1 + size] == _CLOSING:
            same = True
            for j in range(size):
                if data[at + 1 + j] != marks[begin + j]:
                    same = False
                    break
            if same:
                return size + 2
        begin = mark_ends[k]
    return 0


@njit(cache=True, nogil=True)
def scan_line(data, start, end, kinds, cites, facts):
    """Measure the line that begins at `start` into `facts`; a blank one has FIRST == LAST == start and zeros.

    Args:
        data: uint8.
        start: first byte.
        end: the text's end.
        kinds: uint16, char_classes() with TERMINAL ... BRACE added.
        cites: (marks, mark_ends): what stands in brackets as a citation; marks of size 0 = look for none.
        facts: int64, FACTS entries.

    Returns:
        The position of the newline that ends the line, or `end`.
    """
    marks, mark_ends = cites
    citing = marks.size > 0
    first, last, tokens, longest, length, chars, last_chars = start, start, 0, 0, 0, 0, 0
    uppers = digits = sentences = citations = 0
    seen = last_kind = dots = previous = before = 0
    trailing = False  # the line so far ends in an ellipsis
    inside = single = False  # a token is open; it is one character of an unspaced script
    in_sentence = stopped = pending = False  # pending: what comes next says whether a sentence ended
    i = start
    while i < end:
        byte = np.int64(data[i])
        if byte < 0x80:
            if byte == _BRACKET and citing:
                size = citation_size(data, i, end, marks, mark_ends)
                if size:
                    citations += 1
                    i += size
                    continue
            if byte == _NEWLINE:
                break
            point = byte
            i += 1
            kind = np.int64(kinds[point])
        else:
            point, size = decode(data, i)
            i += size
            kind = np.int64(kinds[point]) if point < LIMIT else (LETTER | UNSPACED if point < 0x40000 else 0)
        if kind & SPACE:
            chars += 1
            dots = 0
            if inside:
                inside = False
                longest = max(longest, length)
                pending |= stopped
                stopped = False
                previous = before = 0
            continue
        if kind == 0:  # invisible
            chars += 1 if tokens else 0
            continue
        if tokens == 0 and not inside:
            first = i - (1 if point < 0x80 else 2 if point < 0x800 else 3 if point < 0x10000 else 4)
            chars = 0
        chars += 1
        last, last_chars = i, chars
        uppers += 1 if kind & UPPER else 0
        digits += 1 if kind & DIGIT else 0
        seen |= kind
        last_kind = kind
        # --- tokens
        alone = kind & UNSPACED != 0
        if not inside or ((alone or single) and not kind & MARK):
            if inside:
                longest = max(longest, length)
            tokens += 1
            length = 0
            single = alone
        inside = True
        length += 1
        # --- sentences, as `text_signals` counts them
        if pending:
            if kind & LOWER == 0 and in_sentence:
                sentences += 1
                in_sentence = False
            pending = False
        if kind & WORD:
            in_sentence, stopped = True, False
        elif kind & STOP:
            # after an initial (J. Smith, U.S. law) a full stop ends no sentence
            stopped |= point != _DOT or previous & UPPER == 0 or before & WORD != 0
        elif kind & FULL_STOP:
            sentences += 1 if in_sentence else 0
            in_sentence = stopped = False
        elif kind & CLOSER == 0:
            stopped = False
        before, previous = previous, kind
        if point == _DOT:
            dots += 1
            trailing = dots >= 3
            continue
        dots, trailing = 0, point == _ELLIPSIS
        if kind != PLAIN or point >= 0x80:
            continue
        # Most of all text: words of a to z with one blank between them change little but counts.
        at = i
        while True:
            word = i
            while i < end and _is_plain(data[i]):
                i += 1
            length += i - word
            if not (i + 1 < end and data[i] == _BLANK and _is_plain(data[i + 1])):
                break
            longest = max(longest, length)
            tokens += 1
            length = 0
            i += 1
        chars += i - at
        last, last_chars = i, chars
    if inside:
        longest = max(longest, length)
    sentences += 1 if in_sentence else 0
    facts[FIRST], facts[LAST], facts[TOKENS], facts[LONGEST] = first, last, tokens, longest
    facts[CHARS], facts[UPPERS], facts[DIGITS] = last_chars, uppers, digits
    facts[SENTENCES] = sentences
    facts[KINDS], facts[LAST_KIND], facts[DOTS] = seen, last_kind, 1 if trailing else 0
    facts[CITATIONS] = citations
    return i


@njit(cache=True, nogil=True)
def copy_bytes(data, start, end, out, at):
    """Append data[start:end] to out at `at`; returns the new end."""
    for i in range(start, end):
        out[at + i - start] = data[i]
    return at + end - start
