"""One compiled pass a document for what machine-made text is known by: style, character confusions, stock phrases.

The words are those of `stages.kernels.words`: runs of letters and digits, compared in lower case, a character
each in scripts without spaces. What stands between two words is a *gap*. Everything is counted as an integer
(but for the burstiness of gaps), so that the oracle in the tests can agree to the last count.

A word is *judged* for misreadings when it is in Latin letters, begins in lower case (names are no errors), has 2
to 32 letters or digits and does not follow an apostrophe. It is compared without diacritics: `für` is `fur`.
"""

# mypy: disable-error-code="assignment, no-untyped-def, no-untyped-call"
# numba unifies int and int64; mypy cannot know

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.unicode import LIMIT, decode
from stages.kernels.words import IGNORED, JOINING, SINGLE, bound_words, mix64, scan_words

WINDOW_WORDS = 50  # of the moving type/token ratio
NEAR_WORDS = 200  # an n-gram is repeated if it stood within this many words before
MIN_RECURRENCES = 3  # a word must occur so often for its gaps to have a spread
LZ_BITS, LZ_REACH, LZ_MIN, LZ_COST = 12, 2048, 4, 3  # the match finder of a byte-oriented LZ77
MAX_JUDGED = 32
ATYPICAL_COST = 104  # in eighths of a bit: a trigram rarer than 2**-13 after its first two letters
LATIN_OTHER, FIRST_DIGIT, DIGIT_CLASS = 27, 32, 28  # ids of letters: 1..26 are a..z
ALPHABET = 32
SCRIPTS = 16

# classes of what stands in gaps
COMMA, STOP, SEMICOLON, COLON, QUESTION, EXCLAMATION, BRACKET, QUOTE = range(1, 9)
DASH, HYPHEN, APOSTROPHE, STRAY, ELLIPSIS, BLANK, NEWLINE = range(9, 16)
PUNCTUATION = 16

STOCK, DISCLOSURE, TRANSLATION, WIDGET = range(4)  # kinds of phrases
GROUPS = 16  # kinds of function words, 0 = none
BANDS = 4  # 1 = the commonest words ... 4 = the rest of the list, 0 = unknown
JOINS, SPLITS = 1, 2  # what a gap says of the words at its sides

NAMES = (
    *("words", "spaced_words", "letters", "letters_squared", "long_words", "capitalised", "upper_words"),
    *("digit_words", "sentences", "sentence_words_squared", "repeated_starts", "contractions"),
    *(f"punctuation_{k}" for k in range(PUNCTUATION)),
    *(f"group_{k}" for k in range(GROUPS)),
    *("judged", "band_1", "band_2", "band_3", "band_4", "confusable", "atypical", "trigrams", "trigram_cost"),
    *("vowelless", "digits_inside", "odd_case", "symbols_inside", "isolated", "broken", "hyphen_breaks"),
    *("stray", "stock", "disclosures", "translations", "widgets", "doubled", "mixed_script", "main_script"),
    *("script_letters", "windows", "distinct_in_windows", "repeated_2", "repeated_3", "repeated_4"),
    *("bytes", "squeezed_bytes"),
)
WIDTH = len(NAMES)
_PUNCTUATION, _GROUP = NAMES.index("punctuation_0"), NAMES.index("group_0")
_JUDGED, _BAND, _STRAY = NAMES.index("judged"), NAMES.index("band_1") - 1, NAMES.index("stray")
_STOCK, _DOUBLED, _SCRIPT = NAMES.index("stock"), NAMES.index("doubled"), NAMES.index("main_script")
_WINDOWS, _BYTES = NAMES.index("windows"), NAMES.index("bytes")

BASE = np.uint64(0x9E3779B97F4A7C15)  # of the polynomial over letters: substitutions cost a multiplication
_NGRAM = np.uint64(0xD6E8FEB86659FD93)


_SCRIPT_BITS, _UPPER, _KIND, _MARK, _NOISE = 6, 1 << 10, 11, 14, 1 << 18  # places in a packed character


def pack_chars(kinds, letters, scripts, upper, marks, noise):
    """uint32 by code point: letter id, script, upper case?, kind in words, class in gaps, noise inside a word?"""
    packed = (
        letters.astype(np.uint32) | (scripts.astype(np.uint32) << _SCRIPT_BITS) | np.where(upper, _UPPER, 0)
    )
    packed |= (
        (kinds.astype(np.uint32) << _KIND) | (marks.astype(np.uint32) << _MARK) | np.where(noise, _NOISE, 0)
    )
    return packed.astype(np.uint32)


class Tables(NamedTuple):
    """What the pass knows before it reads: built once by `_machine_reference.py`."""

    kinds: np.ndarray  # uint8, folded int32, quick uint8: word_alphabet()
    folded: np.ndarray
    quick: np.ndarray
    chars: np.ndarray  # uint32 by code point: pack_chars(), one look for all that is asked of a character
    word_keys: np.ndarray  # uint32, open addressing, 0 = free
    word_values: np.ndarray  # uint8: band | group << 4
    costs: np.ndarray  # uint8, ALPHABET**3: eighths of a bit
    confusion_starts: np.ndarray  # int64, by first letter id: rows of `confusions`
    confusions: np.ndarray  # int64, (n, 4): what is seen (1 or 2 letters, 0 = none), what it may have been
    phrase_bits: np.ndarray  # bool, 2**16: low bits of the first word's hash
    phrase_words: np.ndarray  # uint64: hashes of all phrases' words, longest first for the same first word
    phrase_starts: np.ndarray  # int64, one more than phrases; phrases in order of their first word's hash
    phrase_kinds: np.ndarray  # uint8; 128 = only after an opening bracket
    may_double: np.ndarray  # uint64: hashes of words that people do write twice


@njit(inline="always")
def find_word(keys, values, h):
    """The value of a hashed letter string in the word table, 0 if it is not there.

    A key is 32 bits of the hash and the slot 16 or more others: a strange string passes for a word with
    probability below 1e-5, and the table stays in the processor's cache.
    """
    h = mix64(h)
    key = np.uint32(h >> np.uint64(32)) | np.uint32(1)
    mask = np.uint64(keys.size - 1)
    slot = h & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return np.int64(values[slot])
        slot = (slot + np.uint64(1)) & mask
    return np.int64(0)


@njit(cache=True, nogil=True)
def add_words(keys, values, hashes, new_values):
    """Put hashed letter strings into the table; the first value given for a string stays."""
    mask = np.uint64(keys.size - 1)
    for k in range(hashes.size):
        h = mix64(hashes[k])
        key = np.uint32(h >> np.uint64(32)) | np.uint32(1)
        slot = h & mask
        while keys[slot] != 0 and keys[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        if keys[slot] == 0:
            keys[slot] = key
            values[slot] = new_values[k]


@njit(cache=True, nogil=True)
def _is_confusable(ids, length, prefix, powers, starts, confusions, keys, values):
    """Would one usual misreading, undone, make this unknown word a known one?"""
    for i in range(length):
        seen = ids[i]
        for k in range(starts[seen], starts[seen + 1]):
            j = i + 1
            if confusions[k, 1]:
                if j >= length or ids[j] != confusions[k, 1]:
                    continue
                j += 1
            h = prefix[i] * BASE + np.uint64(confusions[k, 2])
            if confusions[k, 3]:
                h = h * BASE + np.uint64(confusions[k, 3])
            rest = prefix[length] - prefix[j] * powers[length - j]
            if find_word(keys, values, h * powers[length - j] + rest) & 15:
                return True
    return False


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
            mark = (char >> _MARK) & 15
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
                only, noise = mark, (char & _NOISE) != 0
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
            kind = (char >> _KIND) & 7
            if kind in (IGNORED, JOINING):
                continue
            letter = char & 63
            here = (char >> _SCRIPT_BITS) & 15
            single = single or kind == SINGLE
            if here:
                scripts_seen[here] += 1
                script_letters += 1
                scripts_mixed = scripts_mixed or (script != 0 and script != here)
                script = here
            is_upper = (char & _UPPER) != 0
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
                confusable += _is_confusable(
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


@njit(cache=True, nogil=True)
def _match_phrases(t, words, hashes, flags, found):
    """Count the stock phrases by kind: the longest at each word, none overlapping another."""
    w = 0
    phrases = t.phrase_kinds.size
    while w < words:
        h = hashes[w]
        step = 1
        if t.phrase_bits[h & np.uint64(0xFFFF)]:
            low, high = 0, phrases
            while low < high:
                middle = (low + high) // 2
                if t.phrase_words[t.phrase_starts[middle]] < h:
                    low = middle + 1
                else:
                    high = middle
            while low < phrases and t.phrase_words[t.phrase_starts[low]] == h:
                first, size = t.phrase_starts[low], t.phrase_starts[low + 1] - t.phrase_starts[low]
                same = w + size <= words
                k = 1
                while same and k < size:
                    same = hashes[w + k] == t.phrase_words[first + k]
                    k += 1
                kind = np.int64(t.phrase_kinds[low])
                if same and (kind < 128 or flags[w] & SPLITS):
                    found[kind & 127] += 1
                    step = size
                    break
                low += 1
        w += step


@njit(inline="always")
def _slot(keys, marks, mark, mask, h):
    slot = np.int64(h & np.uint64(mask))
    while marks[slot] == mark and keys[slot] != h:
        slot = (slot + 1) & mask
    return slot


@njit(cache=True, nogil=True)
def _repeat(words, hashes, keys, marks, places, sums, mark, mask, out):
    """Distinct words in windows, n-grams seen shortly before; returns the mean burstiness of words' gaps.

    Burstiness (Goh and Barabasi 2008) of a word's gaps is (s - m) / (s + m): -1 regular, 0 random, 1 in bursts.
    """
    window = min(WINDOW_WORDS, words)
    windows = words - window + 1
    distinct = 0
    repeated = np.zeros(5, np.int64)
    power = np.uint64(0)
    for n in range(1, 5):
        power = np.uint64(1)
        for _ in range(n):
            power *= _NGRAM
        h = np.uint64(0)
        for w in range(words):
            h = h * _NGRAM + hashes[w]
            if w >= n:
                h -= hashes[w - n] * power
            if w < n - 1:
                continue
            key = mix64(h + np.uint64(n))
            slot = _slot(keys, marks, mark, mask, key)
            last = np.int64(-1)
            if marks[slot] == mark:
                last = places[slot]
            else:
                keys[slot], marks[slot] = key, mark
                if n == 1:
                    sums[slot, 0], sums[slot, 1], sums[slot, 2] = 0, 0, 0
            places[slot] = w
            if last >= 0 and w - last <= NEAR_WORDS:
                repeated[n] += 1
            if n == 1:
                low = max(last + 1, w - window + 1)
                distinct += max(min(w, words - window) - low + 1, 0)
                if last >= 0:
                    sums[slot, 0] += 1
                    sums[slot, 1] += w - last
                    sums[slot, 2] += (w - last) * (w - last)
        if n == 1:
            burstiness = _burstiness(words, hashes, keys, marks, sums, mark, mask)
    out[0], out[1] = windows, distinct
    for n in range(2, 5):
        out[n] = repeated[n]
    return burstiness


@njit(cache=True, nogil=True)
def _burstiness(words, hashes, keys, marks, sums, mark, mask):
    total, types = 0.0, 0
    for w in range(words):
        slot = _slot(keys, marks, mark, mask, mix64(hashes[w] + np.uint64(1)))
        n = sums[slot, 0]
        if n < MIN_RECURRENCES:
            continue
        sums[slot, 0] = 0  # each word once
        mean = sums[slot, 1] / n
        spread = np.sqrt(max(sums[slot, 2] / n - mean * mean, 0.0))
        total += (spread - mean) / (spread + mean)
        types += 1
    return total / types if types else np.nan


@njit(cache=True, nogil=True)
def _squeeze(data, start, end, last_seen):
    """About how many bytes a fast LZ77 would make of data[start:end]: literals, and LZ_COST for each match."""
    last_seen[:] = -1
    size = 0
    i = start
    while i < end:
        if i + LZ_MIN > end:
            size += end - i
            break
        four = (
            np.uint32(data[i])
            | (np.uint32(data[i + 1]) << np.uint32(8))
            | (np.uint32(data[i + 2]) << np.uint32(16))
            | (np.uint32(data[i + 3]) << np.uint32(24))
        )
        slot = (np.uint64(four) * np.uint64(2654435761) & np.uint64(0xFFFFFFFF)) >> np.uint64(32 - LZ_BITS)
        before = start + np.int64(last_seen[slot])
        last_seen[slot] = i - start
        run = 0
        if before >= start and i - before <= LZ_REACH:
            while i + run < end and data[before + run] == data[i + run]:
                run += 1
        if run >= LZ_MIN:
            size += LZ_COST
            i += run
        else:
            size += 1
            i += 1
    return size


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
        counts[_BYTES], counts[_BYTES + 1] = end - start, _squeeze(data, start, end, last_seen)
        if words == 0:
            continue
        _match_phrases(t, words, hashes, flags, counts[_STOCK : _STOCK + 4])
        need = 64
        while need < 6 * words:
            need *= 2
        if need > slots:
            slots = need
            keys, marks = np.empty(slots, np.uint64), np.zeros(slots, np.int64)
            places, sums = np.empty(slots, np.int64), np.empty((slots, 3), np.int64)
        bursts[row] = _repeat(words, hashes, keys, marks, places, sums, row + 1, need - 1, counts[_WINDOWS:])
    return out, bursts
