"""One compiled pass a document for what machine-made text is known by: style, character confusions, stock phrases.

What is counted, and what a word and a gap are: `_machine_tables.py`.
"""

# mypy: disable-error-code="assignment, no-untyped-def, no-untyped-call"
# numba unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.kernels.unicode import LIMIT, decode
from stages.kernels.words import IGNORED, JOINING, SINGLE, bound_words, scan_words
from stages.signals._machine_repetition_kernels import LZ_BITS, repeat, squeeze
from stages.signals._machine_tables import (
    ALPHABET,
    APOSTROPHE,
    ATYPICAL_COST,
    BANDS,
    BASE,
    BLANK,
    BRACKET,
    DIGIT_CLASS,
    ELLIPSIS,
    EXCLAMATION,
    FIRST_DIGIT,
    GROUPS,
    HYPHEN,
    JOINS,
    KIND_SHIFT,
    LETTER_BITS,
    MARK_SHIFT,
    MAX_JUDGED,
    NAMES,
    NEWLINE,
    NOISE_BIT,
    PUNCTUATION,
    QUESTION,
    SCRIPTS,
    SPLITS,
    STOP,
    STRAY,
    UPPER_BIT,
    WIDTH,
)
from stages.signals._machine_word_kernels import find_word, is_confusable, match_phrases

_PUNCTUATION, _GROUP = NAMES.index("punctuation_0"), NAMES.index("group_0")
_JUDGED, _BAND, _STRAY = NAMES.index("judged"), NAMES.index("band_1") - 1, NAMES.index("stray")
_STOCK, _DOUBLED, _SCRIPT = NAMES.index("stock"), NAMES.index("doubled"), NAMES.index("main_script")
_WINDOWS, _BYTES = NAMES.index("windows"), NAMES.index("bytes")


@njit(cache=True, nogil=True)
def _read(data, start, end, t, starts, ends, words, hashes, flags, ids, prefix, powers, out):
    """Gaps, words, sentences and misreadings of a document into `out`.

    flags[i] says of the gap before word i: JOINS = white space only, SPLITS = it opens a bracket at its end.
    """
    # one look at the tables: each one inside the loop counts references
    chars, word_keys, word_values, costs, may_double = (
        t.chars,
        t.word_keys,
        t.word_values,
        t.costs,
        t.may_double,
    )
    confusion_starts, confusions = t.confusion_starts, t.confusions
    scripts_seen = np.zeros(SCRIPTS, np.int64)
    punctuation, groups = out[_PUNCTUATION : _PUNCTUATION + PUNCTUATION], out[_GROUP : _GROUP + GROUPS]
    spaced = letters_total = letters_squared = long_words = capitalised = upper_words = digit_words = 0
    sentences = sentence_squared = repeated_starts = contractions = in_sentence = 0
    judged_words = confusable = atypical = trigrams = trigram_cost = vowelless = digits_inside = 0
    odd_case = symbols_inside = isolated = broken = hyphen_breaks = stray = doubled = mixed = (
        script_letters
    ) = 0
    last_piece, last_known, last_latin, last_isolated = False, False, False, False
    last_hash = np.uint64(0)
    first_1, first_2, first_3 = np.uint64(0), np.uint64(0), np.uint64(0)
    at = start
    for w in range(words + 1):
        # --- the gap before word w
        stop = starts[w] if w < words else end
        count = newlines = blanks = 0
        only, last_class = 0, 0
        ended, breaks, joined_hyphen, noise = False, False, False, False
        in_stray, after_blank = False, w == 0
        i = at
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
        breaks = breaks or newlines >= 2 or w == words
        if breaks and in_sentence:
            sentences += 1
            sentence_squared += in_sentence * in_sentence
            in_sentence = 0
        if w == words:
            break
        # --- the word
        first, last = starts[w], ends[w]
        at = last
        spaces_only = blanks == count and count > 0
        flags[w] = (JOINS if spaces_only else 0) | (SPLITS if last_class == BRACKET else 0)
        follows_apostrophe = w > 0 and count == 1 and only == APOSTROPHE
        length = letters = digits = uppers = 0
        latin, begins_upper, was_lower, seen_digit_after_letter = True, False, False, False
        digit_between, turns, vowels = False, 0, 0
        script, scripts_mixed, single = 0, False, False
        prefix[0] = np.uint64(0)
        i = first
        while i < last:
            if data[i] < 0x80:
                point = np.int64(data[i])
                i += 1
            else:
                point, size = decode(data, i)
                i += size
            if point >= LIMIT:
                latin = False
                single = True
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
                script_letters += 1
                scripts_mixed = scripts_mixed or (script != 0 and script != here)
                script = here
            is_upper = (char & UPPER_BIT) != 0
            if length == 0:
                begins_upper = is_upper
            length += 1
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
            if letter == 0:
                latin = False
            elif length <= MAX_JUDGED:
                ids[length - 1] = letter
                prefix[length] = prefix[length - 1] * BASE + np.uint64(letter)
                vowels += (
                    letter == 1 or letter == 5 or letter == 9 or letter == 15 or letter == 21 or letter == 25
                )
        mixed += scripts_mixed
        opens = in_sentence == 0
        if opens:
            first_word = hashes[w]
            repeated_starts += first_word in (first_1, first_2, first_3)
            first_1, first_2, first_3 = first_word, first_1, first_2
        in_sentence += 1
        digit_words += digits > 0
        if not single and letters:
            spaced += 1
            letters_total += length
            letters_squared += length * length
            long_words += length >= 7
            capitalised += begins_upper and not opens
            upper_words += uppers == letters and letters >= 2
            contractions += follows_apostrophe
        if spaces_only and w and hashes[w] == hashes[w - 1] and letters >= 2 and not single:
            fine = False
            for k in range(may_double.size):
                fine = fine or may_double[k] == hashes[w]
            doubled += not fine
        # --- what it says of misreading
        clean = latin and letters > 0 and length <= MAX_JUDGED
        symbols_inside += clean and last_latin and count == 1 and noise
        if clean:
            digits_inside += digit_between
            odd_case += turns > 0
        value = np.int64(0)
        if clean:
            value = find_word(word_keys, word_values, prefix[length])
            groups[value >> 4] += 1
        known = (value & 15) > 0
        piece = clean and not begins_upper and not follows_apostrophe
        judged = piece and length >= 2
        isolated += last_isolated and blanks > 0
        hyphenated = joined_hyphen and blanks == count - 1
        if piece and last_piece and (hyphenated or (spaces_only and not (known and last_known))):
            whole = find_word(word_keys, word_values, last_hash * powers[length] + prefix[length])
            hyphen_breaks += hyphenated and (whole & 15) > 0
            broken += not hyphenated and (whole & 15) > 0
        if judged:
            judged_words += 1
            cost = worst = 0
            a, b = 0, min(ids[0], DIGIT_CLASS)
            for k in range(1, length + 1):
                c = min(ids[k], DIGIT_CLASS) if k < length else 0
                this = np.int64(costs[(a * ALPHABET + b) * ALPHABET + c])
                cost += this
                worst = max(worst, this)
                a, b = b, c
            trigrams += length
            trigram_cost += cost
            atypical += worst >= ATYPICAL_COST
            vowelless += vowels == 0 and length >= 4 and digits == 0
            if known:
                out[_BAND + (value & 15)] += 1
            elif length >= 3:
                confusable += is_confusable(
                    ids, length, prefix, powers, confusion_starts, confusions, word_keys, word_values
                )
        last_piece, last_known, last_latin = piece, known, clean
        last_isolated = piece and length == 1 and vowels == 0 and digits == 0 and spaces_only
        last_hash = prefix[length] if clean else np.uint64(0)
    row = (
        *(words, spaced, letters_total, letters_squared, long_words, capitalised, upper_words),
        *(digit_words, sentences, sentence_squared, repeated_starts, contractions),
    )
    for k in range(len(row)):
        out[k] = row[k]
    out[_JUDGED] = judged_words
    row_2 = (
        *(confusable, atypical, trigrams, trigram_cost),
        *(vowelless, digits_inside, odd_case, symbols_inside, isolated, broken, hyphen_breaks, stray),
    )
    for k in range(len(row_2)):
        out[_BAND + BANDS + 1 + k] = row_2[k]
    out[_DOUBLED], out[_DOUBLED + 1] = doubled, mixed
    out[_SCRIPT], out[_SCRIPT + 1] = scripts_seen.max(), script_letters


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
    hashes, flags = np.empty(0, np.uint64), np.empty(0, np.uint8)
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
            hashes, flags = np.empty(room, np.uint64), np.empty(room, np.uint8)
            starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
        words = scan_words(data, start, end, t.kinds, t.folded, t.quick, False, hashes, starts, ends)
        counts = out[row]
        _read(data, start, end, t, starts, ends, words, hashes, flags, ids, prefix, powers, counts)
        counts[_BYTES], counts[_BYTES + 1] = end - start, squeeze(data, start, end, last_seen)
        if words == 0:
            continue
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
