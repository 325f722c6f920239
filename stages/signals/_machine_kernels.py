"""All that machine-made text is known by, a few compiled passes a document: style, misreadings, stock phrases.

What is counted, and what a word and a gap are: `_machine_tables.py`. The passes: `_machine_style_kernels.py`,
`_machine_ocr_kernels.py`, `_machine_word_kernels.py` and `_machine_repetition_kernels.py`.
"""

# mypy: disable-error-code="assignment, no-untyped-def, no-untyped-call"
# numba unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.kernels.words import bound_words, scan_words
from stages.signals._machine_ocr_kernels import count_misreadings, count_trigrams
from stages.signals._machine_repetition_kernels import LZ_BITS, repeat, squeeze
from stages.signals._machine_style_kernels import count_sentences, count_style, read_gaps, read_words
from stages.signals._machine_tables import BASE, MAX_JUDGED, NAMES, WIDTH
from stages.signals._machine_word_kernels import match_phrases

_STOCK, _WINDOWS, _BYTES = NAMES.index("stock"), NAMES.index("windows"), NAMES.index("bytes")


@njit(inline="always")
def _cut(data, start, end, max_bytes):
    """Where the first max_bytes of data[start:end] end, at the start of a character."""
    if end - start <= max_bytes:
        return end
    end = start + max_bytes
    while end > start and data[end] & 0xC0 == 0x80:
        end -= 1
    return end


@njit(cache=True, nogil=True)
def measure_text(data, offsets, t, max_bytes):
    """All of NAMES for each row of a text column, in time linear in the bytes read.

    Args:
        data: uint8, from text_buffers().
        offsets: int64, from text_buffers().
        t: Tables.
        max_bytes: no more of each text is read.

    Returns:
        int64 counts, shape (rows, WIDTH); float64 burstiness of the gaps between recurring words, nan if none.
    """
    rows = offsets.size - 1
    out = np.zeros((rows, WIDTH), np.int64)
    bursts = np.full(rows, np.nan)
    room, slots = 0, 0
    hashes, flags = np.empty(0, np.uint64), np.empty(0, np.uint16)
    lengths, letters = np.empty(0, np.int32), np.empty(0, np.uint8)
    starts, ends = np.empty(0, np.int64), np.empty(0, np.int64)
    keys, marks = np.empty(0, np.uint64), np.empty(0, np.int64)
    places, sums = np.empty(0, np.int64), np.empty((0, 3), np.int64)
    ids, prefix = np.zeros(MAX_JUDGED + 1, np.int64), np.zeros(MAX_JUDGED + 1, np.uint64)
    powers = np.ones(MAX_JUDGED + 1, np.uint64)
    for k in range(1, MAX_JUDGED + 1):
        powers[k] = powers[k - 1] * BASE
    last_seen = np.empty(1 << LZ_BITS, np.int32)
    for row in range(rows):
        start, end = offsets[row], _cut(data, offsets[row], offsets[row + 1], max_bytes)
        if start == end:
            continue
        bound = bound_words(data, start, end, t.kinds, False)
        if bound > room:
            room = bound + bound // 2
            hashes, flags = np.empty(room, np.uint64), np.empty(room, np.uint16)
            lengths = np.empty(room, np.int32)
            starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
        if end - start > letters.size:
            letters = np.empty(2 * (end - start), np.uint8)
        words = scan_words(data, start, end, t.kinds, t.folded, t.quick, False, hashes, starts, ends)
        counts = out[row]
        read_gaps(data, start, end, t.chars, starts, ends, words, flags, counts)
        counts[_BYTES], counts[_BYTES + 1] = end - start, squeeze(data, start, end, last_seen)
        if words == 0:
            continue
        read_words(data, start, t.chars, starts, ends, words, flags, lengths, letters, counts)
        count_sentences(words, hashes, flags, counts)
        count_style(words, hashes, flags, lengths, t.may_double, counts)
        count_trigrams(t.costs, start, starts, words, flags, lengths, letters, counts)
        count_misreadings(t, start, starts, words, flags, lengths, letters, ids, prefix, powers, counts)
        match_phrases(t, words, hashes, flags, counts[_STOCK : _STOCK + 4])
        need = 64
        while need < 6 * words:
            need *= 2
        if need > slots:
            slots = need
            keys, marks = np.empty(slots, np.uint64), np.zeros(slots, np.int64)
            places, sums = np.empty(slots, np.int64), np.empty((slots, 3), np.int64)
        bursts[row] = repeat(words, hashes, keys, marks, places, sums, row + 1, need - 1, counts[_WINDOWS:])
    return out, bursts
