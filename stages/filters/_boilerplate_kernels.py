"""How much of a document is placeholder, source code or policy text, line by line, in one compiled pass."""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.filters._line_kernels import (
    BRACE,
    FACTS,
    FIRST,
    KINDS,
    LAST,
    LAST_KIND,
    TERMINAL,
    TOKENS,
    scan_line,
)
from stages.filters._phrase_kernels import find_phrases

PLACEHOLDER, POLICY, CODE = 1, 2, 4  # bits of the groups of phrases, in this order
COUNTS = ("lines", "words", "placeholder_lines", "code_lines", "policy_words")


@njit(cache=True, nogil=True)
def count_boilerplate(data, offsets, kinds, phrases, cites):
    """COUNTS for each row of a text column, int64, shape (rows, len(COUNTS)).

    A line is code if its last character is TERMINAL (here: of ; { }) and it has a BRACE (here: of { } = < >) or
    a phrase of the group CODE.
    """
    rows = offsets.size - 1
    counts = np.zeros((rows, len(COUNTS)), np.int64)
    facts = np.zeros(FACTS, np.int64)
    for row in range(rows):
        start, end, count = offsets[row], offsets[row + 1], counts[row]
        while start < end:
            start = scan_line(data, start, end, kinds, cites, facts) + 1
            if facts[TOKENS] == 0:
                continue
            groups = find_phrases(data, facts[FIRST], facts[LAST], phrases)
            count[0] += 1
            count[1] += facts[TOKENS]
            count[2] += 1 if groups & PLACEHOLDER else 0
            if facts[LAST_KIND] & TERMINAL and (facts[KINDS] & BRACE or groups & CODE):
                count[3] += 1
            count[4] += facts[TOKENS] if groups & POLICY else 0
    return counts
