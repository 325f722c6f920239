"""One compiled pass over the text for words and lines, then one over its words for n-grams.

Everything is counted as an integer, so that the oracle in the tests can agree to the last count; `text.py`
makes ratios of it. Lines, paragraphs and n-grams are compared by 64-bit hashes, without a look back at the
text: among 10^6 lines of one document two different ones share a hash with probability 3e-8.

Arrays are sized before the scan and never reassigned in it: growing them inside made the loop ten times
slower (reference counting of every array on every character).
"""

# mypy: disable-error-code="assignment"
# numba unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.kernels.unicode import DIGIT, LETTER, LIMIT, MARK, SPACE, UNSPACED, UPPER, WORD, decode
from stages.kernels.words import mix64 as mix
from stages.signals._counts import (
    BULLET,
    CLOSER,
    COUNTED,
    LOWER,
    STOP,
    TERMINAL,
    UNIQUE,
    WIDE_STOP,
    WIDTH,
    WORDS,
)
from stages.signals._ngram_kernels import BASE, PASSES, add, count_ngrams, mask_for, new_table, seen

SHORT_LINE_CHARS = 30  # FineWeb: a line of at most 30 characters is short
FULL_STOP, HASH_SIGN, BRACE, ELLIPSIS, NEWLINE = 0x2E, 0x23, 0x7B, 0x2026, 0x0A
SYLLABIC_END = 0x2000  # unspaced scripts below it (Thai, Lao, Khmer, Myanmar) write syllables, not words
JAVASCRIPT, LOREM, IPSUM = range(3)  # where their hashes stand in `known`

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_PARAGRAPH = np.uint64(0xD6E8FEB86659FD93)  # keeps a paragraph of one line apart from that line
_CLASS = 0xFF
PLAIN_LOWER = 1 << 20  # what plain_counts() has for a-z
_RUN = (1 << 20) - 1  # plain characters taken at once, so that three counts of them fit into one number
_NONE, _SPACED, _SINGLE = 0, 1, 2  # the token being read: none, between spaces, one unspaced character


@njit(cache=True, nogil=True)
def _line_and_word_bounds(data, start, end):
    """How many lines and words data[start:end] has at most, from its bytes.

    A word begins the text, or follows a space (control bytes and blank, or a character of lead byte 0xC2 or
    0xE0 and above), or stands at or after an unspaced character (lead byte 0xE0 and above).
    """
    lines, words = 1, 1
    for i in range(start, end):
        byte = data[i]
        lines += byte == NEWLINE
        words += (byte <= 0x20) + (byte == 0xC2) + 2 * (byte >= 0xE0)
    return lines, words


@njit(cache=True, nogil=True)
def hash_word(points):
    """The hash that the scan gives a word of these lower-cased code points."""
    h = _BASIS
    for point in points:
        h = (h ^ np.uint64(point)) * _PRIME
    return mix(h)


@njit(inline="always")
def _is_kana(point):
    return (
        0x3040 <= point <= 0x30FF
        or 0x31F0 <= point <= 0x31FF
        or 0xFF66 <= point <= 0xFF9F
        or 0x1B000 <= point <= 0x1B16F
    )


@njit(cache=True, nogil=True)
def _scan(data, start, end, kinds, lower, quick, stops, sought, known, table, mark, mask, hashes, ends, out):
    """Characters, words, lines and paragraphs of data[start:end] into `out`.

    Fills hashes[k] with the polynomial hash of the first k words and ends[k] with their length in characters.
    """
    chars = words = wordless = words_before = spaced = spaced_chars = longest = alpha = 0
    kana = syllabic = all_caps = stop_uses = lorems = sentences = 0
    visible = uppers = lowers = digits = signs = ellipses = braces = newlines = 0
    scripts = numeric = capital = line_upper = line_lower = line_digits = line_class = script_word = 0
    begin, previous, before = np.int64(0), np.int64(0), np.int64(0)
    lorem_at = -1
    stopped = pending = in_sentence = False
    lines = line_chars = bullets = trailing = terminal = short = same_lines = same_line_chars = 0
    paragraphs = same_paragraphs = same_paragraph_chars = 0
    found, prefix, word_chars = np.uint64(0), np.uint64(0), 0
    state, length, word_length, word_class, h, word_hash = _NONE, 0, 0, 0, _BASIS, _BASIS
    line_run, line_length, line_h, line_hash, first, last, dots, last_dots = 0, 0, _BASIS, _BASIS, 0, 0, 0, 0
    paragraph_chars, paragraph_hash = 0, _PARAGRAPH
    hashes[0] = np.uint64(0)
    ends[0] = 0
    i = start
    while i <= end:
        if state != _SINGLE and i < end and quick[data[i]]:  # a stretch of a plain word, quickly
            if state == _NONE:
                state, length, word_class, h = _SPACED, 0, 0, _BASIS
            if pending:
                if quick[data[i]] != PLAIN_LOWER and in_sentence:
                    sentences += 1
                pending = False
            in_sentence, stopped = True, False
            first = first if line_run else np.int64(kinds[data[i]])
            run, many = i, np.int64(0)
            while i < end and i - run < _RUN and quick[data[i]]:
                many += quick[data[i]]
                h = (h ^ np.uint64(data[i] | 0x20)) * _PRIME  # in lower case
                line_h = (line_h ^ np.uint64(data[i])) * _PRIME
                i += 1
            run = i - run
            plain_upper, plain_lower, plain_digits = many & _RUN, (many >> 20) & _RUN, many >> 40
            chars += run
            visible += run
            length += run
            word_length, word_hash = length, h
            line_run += run
            line_upper += plain_upper
            line_lower += plain_lower
            line_digits += plain_digits
            kinds_seen = UPPER if plain_upper else 0
            kinds_seen |= LOWER if plain_lower else 0
            kinds_seen |= LETTER if plain_upper + plain_lower else 0
            kinds_seen |= DIGIT if plain_digits else 0
            word_class |= kinds_seen
            line_class |= kinds_seen
            before = previous if run == 1 else np.int64(kinds[data[i - 2]])
            previous = last = np.int64(kinds[data[i - 1]])
            line_length, line_hash = line_run, line_h
            dots = last_dots = 0
            continue
        point = np.int64(NEWLINE)  # the end of the text ends its last word and line
        if i == end:
            i += 1
        else:
            chars += 1
            point, size = decode(data, i)
            i += size
        if point < LIMIT:
            kind, low = np.int64(kinds[point]), np.int64(lower[point])
        else:
            kind, low = (LETTER | UNSPACED if point < 0x40000 else 0), point
        # --- which token the character belongs to
        begins = False
        after = state
        if kind & SPACE:
            after = _NONE
        elif (kind & _CLASS) != 0 and not (kind & MARK and state != _NONE):
            if kind & UNSPACED:
                after, begins = _SINGLE, True
            else:
                after, begins = _SPACED, state != _SPACED
        if state != _NONE and (begins or after == _NONE) and word_length:
            words += 1
            mixed = mix(word_hash)
            prefix = prefix * BASE + mixed
            word_chars += word_length
            hashes[words] = prefix
            ends[words] = word_chars
            alpha += 1 if word_class & LETTER else 0
            longest = max(longest, word_length)
            all_caps += 1 if word_class & (UPPER | LOWER) == UPPER else 0
            if state == _SPACED:
                spaced += 1
                spaced_chars += word_length
            elif begin < SYLLABIC_END:
                syllabic += 1
            elif _is_kana(begin):
                kana += 1
            if (sought >> (mixed & np.uint64(63))) & np.uint64(1):
                lorems += 1 if mixed == known[IPSUM] and lorem_at == words - 1 else 0
                lorem_at = words if mixed == known[LOREM] else lorem_at
                script_word |= mixed == known[JAVASCRIPT]
                for k in range(stops.size):
                    if stops[k] == mixed:
                        found |= np.uint64(1) << np.uint64(k)
                        stop_uses += 1
        if state != _NONE and after == _NONE:  # white space ends a stretch of tokens
            wordless += 1 if words == words_before else 0
            words_before = words
        state = after
        if begins:
            length, word_length, word_class, h, begin = 0, 0, 0, _BASIS, point
        if kind & SPACE:
            pending |= stopped
            dots, previous, before, stopped = 0, 0, 0, False
            if point != NEWLINE:
                if line_run:
                    line_run += 1
                    line_h = (line_h ^ np.uint64(point)) * _PRIME
                continue
            newlines += 1
            if line_length:
                lines += 1
                line_chars += line_length
                bullets += 1 if first & BULLET else 0
                terminal += 1 if last & TERMINAL else 0
                trailing += 1 if last_dots >= 3 or last_dots < 0 else 0
                short += 1 if line_length <= SHORT_LINE_CHARS else 0
                scripts += script_word
                numeric += 1 if line_digits and line_class & LETTER == 0 else 0
                capital += 1 if line_upper > line_lower else 0
                uppers += line_upper
                lowers += line_lower
                digits += line_digits
                if seen(table, add(table, mark, mask, mix(line_hash))) > 1:
                    same_lines += 1
                    same_line_chars += line_length
                paragraph_chars += line_length
                paragraph_hash = mix(paragraph_hash * BASE + line_hash)
            if paragraph_chars and (line_length == 0 or i > end):
                paragraphs += 1
                if seen(table, add(table, mark, mask, paragraph_hash)) > 1:
                    same_paragraphs += 1
                    same_paragraph_chars += paragraph_chars
                paragraph_chars, paragraph_hash = 0, _PARAGRAPH
            line_run, line_length, line_h, first = 0, 0, _BASIS, 0
            line_upper = line_lower = line_digits = line_class = script_word = 0
            continue
        # --- a visible character: its sentence, its word and its line
        visible += 1
        if pending:
            if kind & LOWER == 0 and in_sentence:
                sentences += 1
                in_sentence = False
            pending = False
        if kind & WORD:
            in_sentence, stopped = True, False
        elif kind & STOP:
            # after an initial (J. Smith, U.S. law) a full stop ends no sentence
            stopped |= point != FULL_STOP or previous & UPPER == 0 or before & WORD != 0
        elif kind & WIDE_STOP:
            sentences += 1 if in_sentence else 0
            in_sentence = stopped = False
        elif kind & CLOSER == 0:
            stopped = False
        if state != _NONE and (length or kind & WORD):
            length += 1
            h = (h ^ np.uint64(low)) * _PRIME
            if kind & WORD:
                word_length, word_hash = length, h
                word_class |= kind
        line_class |= kind
        line_upper += (kind & UPPER) != 0
        line_lower += (kind & LOWER) != 0
        line_digits += (kind & DIGIT) != 0
        if line_run == 0:
            first = kind
        before, previous, last = previous, kind, kind
        line_run += 1
        line_h = (line_h ^ np.uint64(point)) * _PRIME
        line_length, line_hash = line_run, line_h
        last_dots = 0
        if kind & COUNTED:
            if point == FULL_STOP:
                dots += 1
                ellipses += 1 if dots % 3 == 0 else 0
                last_dots = dots
                continue
            if point == ELLIPSIS:
                ellipses += 1
                last_dots = -1
            signs += 1 if point == HASH_SIGN else 0
            braces += 1 if point == BRACE else 0
        dots = 0
    distinct = 0
    while found:
        found &= found - np.uint64(1)
        distinct += 1
    row = (
        *(chars, words, words + wordless, word_chars, spaced, spaced_chars, kana, syllabic, longest, alpha),
        *(all_caps, distinct, stop_uses, lorems, sentences + in_sentence, visible, uppers, lowers, digits),
        *(signs, ellipses, braces, newlines - 1),
        *(lines, line_chars, bullets, trailing, terminal, short, scripts, numeric, capital),
        *(same_lines, same_line_chars),
        *(paragraphs, same_paragraphs, same_paragraph_chars),
    )
    for k in range(len(row)):
        out[k] = row[k]


@njit(cache=True, nogil=True)
def count_text(data, offsets, kinds, lower, quick, stops, known):
    """All of COUNTS for each row of a text column, in time linear in its bytes.

    Args:
        data: uint8, the bytes of all texts, from text_buffers().
        offsets: int64, one more than rows, from text_buffers().
        kinds: uint16, char_kinds().
        lower: int32, lower_table().
        quick: int64, by byte: plain_counts().
        stops: uint64, hash_word() of at most 64 stop words.
        known: uint64, hash_word() of `javascript`, `lorem`, `ipsum`.

    Returns:
        counts int64, shape (rows, WIDTH); float64, sum of c ln c over the counts c of each row's words.
    """
    rows = offsets.size - 1
    out, logs = np.zeros((rows, WIDTH), np.int64), np.zeros(rows, np.float64)
    hashes, ends = np.empty(0, np.uint64), np.empty(0, np.int64)
    places, slots, runs = np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.uint8)
    table, mark = new_table(64), 1
    sought = np.uint64(0)  # low bits of the hashes of words to look at more closely
    for k in range(stops.size):
        sought |= np.uint64(1) << (stops[k] & np.uint64(63))
    for k in range(known.size):
        sought |= np.uint64(1) << (known[k] & np.uint64(63))
    for row in range(rows):
        start, end = offsets[row], offsets[row + 1]
        if start == end:
            continue
        lines, words = _line_and_word_bounds(data, start, end)
        if words >= hashes.size:
            hashes, ends = np.empty(words + 1, np.uint64), np.empty(words + 1, np.int64)
        mask = mask_for(lines + 1)  # full lines and paragraphs together, since a blank line parts paragraphs
        if mask >= table.keys.size:
            table = new_table(mask + 1)
        _scan(
            data,
            start,
            end,
            kinds,
            lower,
            quick,
            stops,
            sought,
            known,
            table,
            mark,
            mask,
            hashes,
            ends,
            out[row],
        )
        words = out[row, WORDS]
        if words > slots.size:
            places, slots = np.empty(words, np.uint32), np.empty(words, np.uint32)
            runs = np.empty(words, np.uint8)
        mask = mask_for(words)
        if mask >= table.keys.size:
            table = new_table(mask + 1)
        counts = out[row, UNIQUE:]
        logs[row] = count_ngrams(words, hashes, ends, places, slots, runs, table, mark + 1, mask, counts)
        mark += 1 + PASSES
    return out, logs
