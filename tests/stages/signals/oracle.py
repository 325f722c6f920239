"""The text signals in plain Python, slowly: strings, sets and Counters, no hashes and no shared code.

Only two definitions are taken from the product: which blocks are written without spaces, and the lists of
bullets and terminal marks. Everything else is said again here, from docs/signals.md.
"""

import math
import re
import unicodedata
from collections import Counter
from itertools import pairwise

from stages.kernels.unicode import UNSPACED_RANGES

WORDLIKE = "LNM"


def category(char):
    """L, N, M, P, S, Z or C; planes 2 and 3 are Han, and what lies above them counts as nothing."""
    if ord(char) >= 0x40000:
        return "C"
    return "L" if ord(char) >= 0x20000 else unicodedata.category(char)[0]


def is_unspaced(char):
    if 0x20000 <= ord(char) < 0x40000:
        return True
    return category(char) in WORDLIKE and any(a <= ord(char) <= b for a, b in UNSPACED_RANGES)


def lower(char):
    lowered = char.lower()
    return lowered if len(lowered) == 1 and ord(char) < 0x20000 else char


def pieces_of(chunk):
    """Tokens of a stretch without white space: (text, is one unspaced character with its marks)."""
    pieces = []
    for char in chunk:
        kind = category(char)
        joins = kind == "C" or kind == "M"
        if kind == "C" and not pieces:
            continue  # a control or format character begins nothing
        if pieces and joins:
            pieces[-1][0] += char
        elif is_unspaced(char):
            pieces.append([char, True])
        elif pieces and not pieces[-1][1]:
            pieces[-1][0] += char
        else:
            pieces.append([char, False])
    return pieces


def strip_symbols(piece):
    inside = [k for k, char in enumerate(piece) if category(char) in WORDLIKE]
    return piece[inside[0] : inside[-1] + 1] if inside else ""


def tokens_of(text):
    return [piece for chunk in text.split() for piece in pieces_of(chunk)]


def symbols_of(text):
    """Stretches between white space that have pieces but no word."""
    stretches = [[strip_symbols(piece) for piece, _ in pieces_of(chunk)] for chunk in text.split()]
    return sum(bool(words) and not any(words) for words in stretches)


def words_of(text):
    """(word in lower case, is spaced) in order."""
    stripped = [(strip_symbols(piece), not single) for piece, single in tokens_of(text)]
    return [("".join(map(lower, word)), spaced) for word, spaced in stripped if word]


def case_of(text):
    """How many letters are upper case, and how many lower or title case."""
    kinds = Counter(unicodedata.category(char) for char in text)
    return kinds["Lu"], kinds["Ll"] + kinds["Lt"]


def is_all_caps(word):
    upper, lower_or_title = case_of(word)
    return upper > 0 and lower_or_title == 0


def is_numeric(line):
    kinds = set(map(category, line))
    return "N" in kinds and "L" not in kinds


def ends_sentence(chunk, stops, closers):
    """Is there a stop mark among the marks at the end? A full stop behind an initial is none."""
    for k in range(len(chunk) - 1, -1, -1):
        char = chunk[k]
        if char not in stops and char not in closers:
            return False
        initial = k > 0 and unicodedata.category(chunk[k - 1]) == "Lu"
        initial = initial and (k == 1 or category(chunk[k - 2]) not in WORDLIKE)
        if char in stops and not (char == "." and initial):
            return True
    return False


def sentences_of(text, stops, closers, wide_stops):
    """Sentences that have a letter or digit; the rest at the end of the text is one."""
    ended, has_words = 0, False
    chunks = text.split()
    for k, chunk in enumerate(chunks):
        parts = re.split(f"[{wide_stops}]", chunk)
        for nth, part in enumerate(parts):
            if nth and has_words:
                ended, has_words = ended + 1, False
            has_words = has_words or any(category(char) in WORDLIKE for char in part)
        goes_on = k + 1 < len(chunks) and unicodedata.category(chunks[k + 1][0]) in ("Ll", "Lt")
        if has_words and not goes_on and ends_sentence(parts[-1], stops, closers):
            ended, has_words = ended + 1, False
    return ended + has_words


def entropy_of(words):
    """Nats; None without words."""
    total = len(words)
    return -sum(c / total * math.log(c / total) for c in Counter(words).values()) if total else None


def script_of(word):
    """What an unspaced character belongs to."""
    kana = ("HIRAGANA", "KATAKANA", "HENTAIGANA", "HALFWIDTH KATAKANA", "COMBINING KATAKANA")
    if ord(word[0]) < 0x2000:
        return "syllabic"
    return "kana" if unicodedata.name(word[0], "").startswith(kana) else "han"


def repeats(items):
    """How many items came before, and their characters."""
    seen, again = set(), []
    for item in items:
        if item in seen:
            again.append(item)
        seen.add(item)
    return len(again), again


def top_ngram_chars(words, n):
    grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    often = max(grams.values(), default=0)
    if often < 2:
        return 0
    return often * max(len("".join(gram)) for gram, count in grams.items() if count == often)


def duplicate_ngram_chars(words, n):
    """Left to right: an n-gram seen before is counted and jumped over; another is remembered."""
    seen, chars, i = set(), 0, 0
    while i + n <= len(words):
        gram = tuple(words[i : i + n])
        if gram in seen:
            chars += len("".join(gram))
            i += n
        else:
            seen.add(gram)
            i += 1
    return chars


def paragraphs_of(text):
    """Tuples of stripped lines, cut at blank lines."""
    paragraphs, current = [], []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            current.append(line.strip())
        elif current:
            paragraphs.append(tuple(current))
            current = []
    return paragraphs


def counts_of(text, stop_words, marks):
    """Every count of `_counts.COUNTS` for one text; `marks` is that module, for its lists of characters."""
    words = words_of(text)
    raw = [word for word in (strip_symbols(piece) for piece, _ in tokens_of(text)) if word]
    scripts = Counter(script_of(word) for word, is_spaced in words if not is_spaced)
    stops = {"".join(map(lower, word)) for word in stop_words}
    visible = "".join(text.split())
    names = [word for word, _ in words]
    spaced = [word for word, is_spaced in words if is_spaced]
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    paragraphs = paragraphs_of(text)
    same_lines, line_repeats = repeats(lines)
    same_paragraphs, paragraph_repeats = repeats(paragraphs)
    counts = {
        "chars": len(text),
        "words": len(words),
        "words_and_symbols": len(words) + symbols_of(text),
        "word_chars": sum(map(len, names)),
        "spaced_words": len(spaced),
        "spaced_word_chars": sum(map(len, spaced)),
        "kana_words": scripts["kana"],
        "syllabic_words": scripts["syllabic"],
        "unique_words": len(set(names)),
        "all_caps_words": sum(map(is_all_caps, raw)),
        "stop_word_uses": sum(name in stops for name in names),
        "lorem_ipsums": sum(pair == ("lorem", "ipsum") for pair in pairwise(names)),
        "sentences": sentences_of(text, marks.STOPS, marks.CLOSERS, marks.WIDE_STOPS),
        "visible_chars": len(visible),
        "upper_chars": case_of(visible)[0],
        "lower_chars": case_of(visible)[1],
        "digit_chars": sum(category(char) == "N" for char in visible),
        "max_word_chars": max(map(len, names), default=0),
        "alpha_words": sum(any(category(char) == "L" for char in word) for word in names),
        "stop_words": len(set(names) & stops),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "braces": text.count("{"),
        "newlines": text.count("\n"),
        "lines": len(lines),
        "line_chars": sum(map(len, lines)),
        "bullet_lines": sum(line[0] in marks.BULLETS for line in lines),
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in lines),
        "terminal_lines": sum(line[-1] in marks.TERMINALS for line in lines),
        "short_lines": sum(len(line) <= 30 for line in lines),
        "javascript_lines": sum("javascript" in [word for word, _ in words_of(line)] for line in lines),
        "numeric_lines": sum(is_numeric(line) for line in lines),
        "uppercase_lines": sum(case_of(line)[0] > case_of(line)[1] for line in lines),
        "duplicate_lines": same_lines,
        "duplicate_line_chars": sum(map(len, line_repeats)),
        "paragraphs": len(paragraphs),
        "duplicate_paragraphs": same_paragraphs,
        "duplicate_paragraph_chars": sum(len(line) for paragraph in paragraph_repeats for line in paragraph),
    }
    counts |= {f"top_{n}gram_chars": top_ngram_chars(names, n) for n in (2, 3, 4)}
    return counts | {f"duplicate_{n}gram_chars": duplicate_ngram_chars(names, n) for n in range(5, 11)}
