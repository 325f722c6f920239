"""The text signals in plain Python, slowly: strings, sets and Counters, no hashes and no shared code.

Only two definitions are taken from the product: which blocks are written without spaces, and the lists of
bullets and terminal marks. Everything else is said again here, from docs/signals.md.
"""

import unicodedata
from collections import Counter

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


def counts_of(text, stop_words, bullets, terminals):
    """Every count of `_kernels.COUNTS` for one text."""
    words = words_of(text)
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
        "max_word_chars": max(map(len, names), default=0),
        "alpha_words": sum(any(category(char) == "L" for char in word) for word in names),
        "stop_words": len(set(names) & {"".join(map(lower, word)) for word in stop_words}),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "braces": text.count("{"),
        "newlines": text.count("\n"),
        "lines": len(lines),
        "line_chars": sum(map(len, lines)),
        "bullet_lines": sum(line[0] in bullets for line in lines),
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in lines),
        "terminal_lines": sum(line[-1] in terminals for line in lines),
        "short_lines": sum(len(line) <= 30 for line in lines),
        "duplicate_lines": same_lines,
        "duplicate_line_chars": sum(map(len, line_repeats)),
        "paragraphs": len(paragraphs),
        "duplicate_paragraphs": same_paragraphs,
        "duplicate_paragraph_chars": sum(len(line) for paragraph in paragraph_repeats for line in paragraph),
    }
    counts |= {f"top_{n}gram_chars": top_ngram_chars(names, n) for n in (2, 3, 4)}
    return counts | {f"duplicate_{n}gram_chars": duplicate_ngram_chars(names, n) for n in range(5, 11)}
