"""The line rules again in plain Python, one character at a time: slow, and independent of the kernels."""

import re
import unicodedata

from stages.filters._edits import CLOSERS, FULL_STOPS, STOPS
from stages.kernels.unicode import UNSPACED_RANGES

CONTROL_SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85"
PARTS = " .,;:!?"


def is_space(char):
    return char in CONTROL_SPACES or unicodedata.category(char)[0] == "Z"


def is_invisible(char):
    return not is_space(char) and unicodedata.category(char)[0] == "C"


def is_word(char):
    return unicodedata.category(char)[0] in "LNM"


def is_unspaced(char):
    point = ord(char)
    if 0x20000 <= point < 0x40000:
        return True
    return is_word(char) and any(first <= point <= last for first, last in UNSPACED_RANGES)


def strip(line):
    """Without white space and invisible characters at the ends."""
    start, end = 0, len(line)
    while start < end and (is_space(line[start]) or is_invisible(line[start])):
        start += 1
    while end > start and (is_space(line[end - 1]) or is_invisible(line[end - 1])):
        end -= 1
    return line[start:end]


def tokens_of(line):
    """What stands between white space; a character of an unspaced script by itself, with its marks."""
    tokens, current = [], ""
    for char in line:
        if is_space(char):
            tokens, current = [*tokens, current], ""
        elif is_invisible(char):
            continue
        elif unicodedata.category(char)[0] == "M" and current:
            current += char
        elif is_unspaced(char) or (current and is_unspaced(current[0])):
            tokens, current = [*tokens, current], char
        else:
            current += char
    return [token for token in [*tokens, current] if token]


def ends_sentence(chunk):
    """Does a chunk without white space end in a stop, perhaps behind closers, that is not an initial's?"""
    body = chunk.rstrip(CLOSERS)
    if not body or body[-1] not in STOPS:
        return False
    stops = len(body) - len(body.rstrip(STOPS))
    head = body[: len(body) - stops]
    for k in range(stops):
        before = (head + body[len(head) : len(head) + k])[-2:]
        upper = before[-1:] and unicodedata.category(before[-1]) == "Lu"
        initial = body[len(head) + k] == "." and upper and not (len(before) == 2 and is_word(before[0]))
        if not initial:
            return True
    return False


def sentences_of(line):
    """Stretches with a letter or digit, up to what ends a sentence or the line's end."""
    chunks = [
        c
        for c in re.split(r"\0", "".join("\0" if is_space(c) else c for c in line if not is_invisible(c)))
        if c
    ]
    count, words = 0, False
    for k, chunk in enumerate(chunks):
        pieces = re.split(f"([{re.escape(FULL_STOPS)}])", chunk)
        for piece in pieces:
            if piece and piece in FULL_STOPS:
                count, words = count + words, False
            else:
                words = words or any(map(is_word, piece))
        following = chunks[k + 1][0] if k + 1 < len(chunks) else ""
        goes_on = following != "" and unicodedata.category(following) in ("Ll", "Lt")
        if words and not goes_on and ends_sentence(pieces[-1]):
            count, words = count + 1, False
    return count + words


def without_citations(line, marks):
    """Citation markers taken out, with a blank before one that another, nothing or punctuation follows."""
    pattern = re.compile(r"\[(?:[0-9]*|" + "|".join(map(re.escape, marks)) + r")\]")
    out, at = "", 0
    for found in pattern.finditer(line):
        out += line[at : found.start()]
        at = found.end()
        if out.endswith(" ") and (at == len(line) or line[at] in PARTS):
            out = out[:-1]
    return out + line[at:]


def has(line, phrases):
    return any(
        phrase and phrase.lower() in line.lower().replace("\u00a0", " ").replace("\u2019", "'")
        for phrase in phrases
    )


def clean_page(text, rules):
    """(text, reason, cut counts) of C4Rules, by its own definition."""
    kept, cut = (
        [],
        dict.fromkeys(("long_word", "no_terminal", "few_words", "javascript", "policy", "citations"), 0),
    )
    lorem = braces = sentences = lines = 0
    for raw in (text or "").split("\n"):
        marks = rules.citation_marks
        pattern = re.compile(r"\[(?:[0-9]*|" + "|".join(map(re.escape, marks)) + r")\]")
        citations = len(pattern.findall(raw)) if rules.remove_citations else 0
        bare = pattern.sub("", raw) if rules.remove_citations else raw
        tokens = tokens_of(bare)
        if not tokens:
            cut["citations"] += citations
            continue
        lines += 1
        line = strip(bare)
        visible = "".join(c for c in line if not is_invisible(c))
        ellipsis = visible.endswith(("...", "…"))
        reason = None
        if max(map(len, tokens)) > (rules.max_word_length or 10**9):
            reason = "long_word"
        elif rules.require_terminal_mark and (ellipsis or visible[-1] not in rules.terminal_marks):
            reason = "no_terminal"
        elif len(tokens) < (rules.min_words_per_line or 0):
            reason = "few_words"
        if reason is None or rules.page_rules_read == "all_lines":
            lorem += has(bare, rules.placeholder_phrases)
            braces += "{" in bare and rules.reject_curly_braces
        if reason is None and has(bare, rules.javascript_phrases):
            reason = "javascript"
        elif reason is None and has(bare, rules.policy_phrases):
            reason = "policy"
        if reason:
            cut[reason] += 1
            continue
        sentences += sentences_of(line)
        cut["citations"] += citations
        kept.append(strip(without_citations(raw, marks)) if rules.remove_citations else line)
    if lorem:
        verdict = "lorem_ipsum"
    elif braces:
        verdict = "curly_brace"
    elif sentences < (rules.min_sentences or 0):
        verdict = "too_few_sentences"
    else:
        verdict = None if kept else "nothing_left"
    return (text if verdict else "\n".join(kept)), verdict, {"lines": lines, **cut}


def flag_of(line, rules):
    """Why RefinedwebRules cut a line that is stripped and not blank, or None; phrases are not looked at."""
    tokens = tokens_of(line)
    upper = sum(unicodedata.category(char) == "Lu" for char in line)
    if rules.max_uppercase_fraction is not None and upper > rules.max_uppercase_fraction * len(line):
        return "uppercase"
    visible = [char for char in line if not (is_space(char) or is_invisible(char))]
    if rules.cut_numeric_lines and all(
        unicodedata.category(char)[0] == "N" and not is_unspaced(char) for char in visible
    ):
        return "numeric"
    words = re.findall(r"[^\W_]+", line)
    numbers = [word for word in words if re.fullmatch(r"[0-9]+[A-Za-z]?", word)]
    names = [word for word in words if word.lower() in rules.counter_words]
    whole = numbers and names and len(numbers) + len(names) == len(words)
    if whole and len(tokens) <= rules.max_phrase_line_words:
        return "counter"
    if len(tokens) < (rules.min_words_per_line or 0):
        return "few_words"
    return None
