"""The counts of `_machine_kernels.py` again, slowly, from str, re and unicodedata: nothing of the kernel is used.

Words, letters, confusions and phrases are worked out on Python strings; only the contents of the two reference
files are shared, and the names of the counts.
"""

import itertools
import re
import unicodedata
from collections import defaultdict

UNSPACED = [(0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3040, 0x30FF),
            (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F)]  # fmt: skip
PUNCTUATION = [",،、，", ".。।۔．", ";；؛", ":：", "?？؟", "!！", "()[]{}（）［］【】", "\"“”„«»‹›「」『』", "–—―", "-‐‑", "'’‘ʼ", "^~¦¬§°■□•|\\£¢¥¶¿¡`´¨", "…"]  # fmt: skip
INNER = '|~^¬¦!?"§°•;,£¢«»'
SCRIPTS = [(1, 0x41, 0x24F), (1, 0x1E00, 0x1EFF), (1, 0xFF21, 0xFF5A), (2, 0x370, 0x3FF), (2, 0x1F00, 0x1FFF), (3, 0x400, 0x52F),
           (4, 0x531, 0x58F), (5, 0x590, 0x5FF), (6, 0x600, 0x7BF), (6, 0x8A0, 0x8FF), (6, 0xFB50, 0xFDFF), (6, 0xFE70, 0xFEFE),
           (7, 0x900, 0xDFF), (8, 0xE00, 0xFFF), (9, 0x10A0, 0x10FF), (10, 0x1100, 0x11FF), (10, 0x3005, 0x9FFF),
           (10, 0xAC00, 0xD7A3), (10, 0xF900, 0xFAFF), (10, 0xFF66, 0xFFDC), (11, 0x1200, 0x139F)]  # fmt: skip
CONTROL_SPACE = {*range(0x09, 0x0E), 0x1C, 0x1D, 0x1E, 0x1F, 0x85}
VOWELS = set("aeiouy")


def char_kind(c):
    """blank to the words: separator, ignored, mark, letter (part of a word) or single (a word by itself)."""
    point, category = ord(c), unicodedata.category(c)
    if point >= 0x20000:
        return "single" if point < 0x40000 else "ignored" if 0xE0000 <= point < 0xE1000 else "separator"
    if 0xFE00 <= point <= 0xFE0F or (category == "Cf" and point != 0x200B):
        return "ignored"
    if category[0] == "M":
        return "mark"
    if category[0] in "LN":
        return "single" if any(a <= point <= b for a, b in UNSPACED) else "letter"
    return "separator"


def fold(c):
    low = c.lower()
    return "σ" if c == "ς" else low if len(low) == 1 else c


def split_words(text):
    """[(start, end)] of words; what is passed over at the end of a word lies in the gap behind it."""
    words, start, end, state = [], 0, 0, None
    for i, c in enumerate(text):
        kind = char_kind(c)
        if kind == "ignored":
            continue
        if kind == "mark":
            if state:
                end = i + 1
            continue
        if kind == "letter" and state == "letter":
            end = i + 1
            continue
        if state:
            words.append((start, end))
        state = None if kind == "separator" else kind
        start, end = i, i + 1
    if state:
        words.append((start, end))
    return words


def is_blank(c):
    return unicodedata.category(c)[0] == "Z" or ord(c) in CONTROL_SPACE


def gap_class(c):
    if ord(c) >= 0x20000:
        return 0
    if c == "\n":
        return 15
    if is_blank(c):
        return 14
    return next((k for k, chars in enumerate(PUNCTUATION, 1) if c in chars), 0)


def latin(c):
    """The letter without diacritics, a digit, `?` for another Latin letter, None for what is neither."""
    point = ord(c)
    if "0" <= c <= "9":
        return c
    if c in "ªµº×÷" or not any(s == 1 and a <= point <= b for s, a, b in SCRIPTS):
        return None
    base = unicodedata.normalize("NFKD", c)[0].lower()
    return base if "a" <= base <= "z" else "?" if c.isalpha() else None


def bare(word):
    """Latin letters of a word for comparison, or None."""
    letters = [latin(c) for c in word if not unicodedata.combining(c)]
    return None if None in letters or not letters or len(letters) > 32 else "".join(letters)


def script_of(c):
    if unicodedata.category(c)[0] != "L" or c in "ªµº" or ord(c) >= 0x20000:
        return 0
    return next((s for s, a, b in reversed(SCRIPTS) if a <= ord(c) <= b), 0)


class Oracle:
    def __init__(self, reference, phrases, costs):
        self.groups, self.bands = {}, {}
        for k, words in enumerate(phrases["groups"].values(), 1):
            for word in words:
                self.groups.setdefault(bare(word), k)
        entries = []
        functions = {w: k for k, ws in enumerate(phrases["groups"].values(), 1) for w in ws}
        banded = {w: int(b) for b, text in reference["words"].items() for w in text.split()}
        for word in {**functions, **banded}:
            if bare(word):
                entries.append(
                    (
                        word not in functions,
                        banded.get(word, 0) or 9,
                        bare(word),
                        banded.get(word, 0),
                        functions.get(word, 0),
                    )
                )
        self.known = {}
        for _, _, key, band, group in sorted(entries, key=lambda e: e[:2]):
            self.known.setdefault(key, (band, group))
        self.undo = defaultdict(set)
        for pair in phrases["confusions"].split():
            printed, read = pair.split(">")
            self.undo[read].add(printed)
        self.phrases = defaultdict(list)
        for kind, section in enumerate(("stock", "disclosures", "translation_marks", "translation_widgets")):
            for texts in phrases[section].values():
                for text in texts:
                    words = tuple(self.word(text[a:b]) for a, b in split_words(text))
                    self.phrases[words[0]].append((words, text.startswith("["), kind))
        for found in self.phrases.values():
            found.sort(key=lambda p: -len(p[0]))
        self.doubles = {self.word(w) for w in phrases["may_double"]}
        self.costs = costs

    @staticmethod
    def word(raw):
        return "".join(fold(c) for c in raw if char_kind(c) != "ignored")

    def is_known(self, letters):
        return self.known.get(letters, (0, 0))[0] > 0

    def is_confusable(self, letters):
        for i in range(len(letters)):
            for n in (1, 2):
                seen = letters[i : i + n]
                if len(seen) == n and any(
                    self.is_known(letters[:i] + p + letters[i + n :]) for p in self.undo.get(seen, ())
                ):
                    return True
        return False

    def cost_of(self, letters):
        def number(c):
            return 28 if c.isdigit() else 27 if c == "?" else ord(c) - 96

        ids = [0, *map(number, letters), 0]
        return [
            int(self.costs[(a * 32 + b) * 32 + c]) for a, b, c in zip(ids, ids[1:], ids[2:], strict=False)
        ]

    def measure(self, text):
        out = defaultdict(int)
        if not text:
            return out
        out["bytes"] = len(text.encode())
        out["squeezed_bytes"] = squeeze(text.encode())
        spans = split_words(text)
        words = [self.word(text[a:b]) for a, b in spans]
        gaps = [
            text[a:b]
            for a, b in zip([0, *(b for _, b in spans)], [*(a for a, _ in spans), len(text)], strict=True)
        ]
        for gap in gaps:
            for c in gap:
                out[f"punctuation_{gap_class(c)}"] += 1
        out["words"] = len(words)
        out["stray"] = sum(self.strays(gap, k == 0) for k, gap in enumerate(gaps))
        openers = self.sentences(words, gaps, out)
        self.styles(text, spans, words, gaps, openers, out)
        self.misreadings(text, spans, gaps, out)
        self.find_phrases(words, gaps, out)
        repeats(words, out)
        return out

    @staticmethod
    def strays(gap, first):
        line = "".join("s" if gap_class(c) == 12 else " " if gap_class(c) in (14, 15) else "x" for c in gap)
        return len(re.findall(r"(?<=\s)s+(?=\s)", (" " if first else "x") + line))

    @staticmethod
    def breaks(gap, last):
        blank_after_end = re.search(
            r"e[^b]*b",
            "".join(
                "e" if gap_class(c) in (2, 5, 6, 13) else "b" if gap_class(c) in (14, 15) else "x"
                for c in gap
            ),
        )
        wide_end = any(gap_class(c) in (2, 5, 6, 13) and ord(c) > 0x3000 for c in gap)
        return bool(blank_after_end or wide_end or gap.count("\n") >= 2 or last)

    def sentences(self, words, gaps, out):
        openers, length, firsts = set(), 0, []
        for k, gap in enumerate(gaps):
            if self.breaks(gap, k == len(words)) and length:
                out["sentences"] += 1
                out["sentence_words_squared"] += length * length
                length = 0
            if k < len(words):
                if length == 0:
                    out["repeated_starts"] += words[k] in firsts[-3:]
                    firsts.append(words[k])
                    openers.add(k)
                length += 1
        return openers

    def styles(self, text, spans, words, gaps, openers, out):
        scripts = defaultdict(int)
        for k, (a, b) in enumerate(spans):
            raw = [c for c in text[a:b] if char_kind(c) not in ("ignored", "mark")]
            found = [script_of(c) for c in raw if script_of(c)]
            for s in found:
                scripts[s] += 1
            out["mixed_script"] += len(set(found)) > 1
            digits = sum("0" <= c <= "9" for c in raw if ord(c) < 0x20000)
            out["digit_words"] += digits > 0
            others = [c for c in raw if not "0" <= c <= "9" and ord(c) < 0x20000]
            uppers = sum(unicodedata.category(c) == "Lu" for c in others)
            spaced = bool(others) and all(char_kind(c) != "single" for c in raw)
            if spaced:
                out["spaced_words"] += 1
                out["letters"] += len(raw)
                out["letters_squared"] += len(raw) ** 2
                out["long_words"] += len(raw) >= 7
                out["capitalised"] += unicodedata.category(raw[0]) == "Lu" and k not in openers
                out["upper_words"] += uppers == len(others) >= 2
                out["contractions"] += k > 0 and len(gaps[k]) == 1 and gap_class(gaps[k]) == 11
            only_blank = bool(gaps[k]) and all(gap_class(c) in (14, 15) for c in gaps[k])
            if spaced and k and only_blank and words[k] == words[k - 1] and len(others) >= 2:
                out["doubled"] += words[k] not in self.doubles
        out["main_script"], out["script_letters"] = max(scripts.values(), default=0), sum(scripts.values())

    def misreadings(self, text, spans, gaps, out):
        last = None  # (letters or None, piece, known)
        isolated = False
        for k, (a, b) in enumerate(spans):
            raw = "".join(c for c in text[a:b] if char_kind(c) not in ("ignored", "mark"))
            letters = bare(raw) if all(ord(c) < 0x20000 for c in raw) else None
            if letters is not None and letters.isdigit():
                letters = None
            gap = gaps[k]
            blanks = sum(gap_class(c) in (14, 15) for c in gap)
            only_blank = bool(gap) and blanks == len(gap)
            out["isolated"] += isolated and blanks > 0
            isolated = False
            if letters is None:
                last = None
                continue
            if last and len(gap) == 1 and gap in INNER:
                out["symbols_inside"] += 1
            out["digits_inside"] += bool(re.search(r"[a-z?]\d+[a-z?]", letters))
            cases = "".join(
                "d" if c.isdigit() and ord(c) < 128 else "U" if unicodedata.category(c) == "Lu" else "l"
                for c in raw
            )
            out["odd_case"] += "lU" in cases
            band, group = self.known.get(letters, (0, 0))
            out[f"group_{group}"] += 1
            after_apostrophe = k > 0 and len(gap) == 1 and gap_class(gap) == 11
            piece = unicodedata.category(raw[0]) != "Lu" and not after_apostrophe
            hyphenated = len(gap) > 1 and gap_class(gap[0]) == 10 and blanks == len(gap) - 1
            may_join = piece and last and last[1] and (hyphenated or (only_blank and not (band and last[2])))
            if may_join and self.is_known(last[0] + letters):
                out["hyphen_breaks" if hyphenated else "broken"] += 1
            if piece and len(letters) >= 2:
                out["judged"] += 1
                costs = self.cost_of(letters)
                out["trigrams"] += len(costs)
                out["trigram_cost"] += sum(costs)
                out["atypical"] += max(costs) >= 104
                out["vowelless"] += (
                    len(letters) >= 4 and not VOWELS & set(letters) and not re.search(r"\d", letters)
                )
                if band:
                    out[f"band_{band}"] += 1
                elif len(letters) >= 3:
                    out["confusable"] += self.is_confusable(letters)
            isolated = piece and len(letters) == 1 and letters not in VOWELS and only_blank
            last = (letters, piece, band > 0)

    def find_phrases(self, words, gaps, out):
        names = ("stock", "disclosures", "translations", "widgets")
        k = 0
        while k < len(words):
            step = 1
            for phrase, bracket, kind in self.phrases.get(words[k], ()):
                if tuple(words[k : k + len(phrase)]) == phrase and (
                    not bracket or (gaps[k] and gap_class(gaps[k][-1]) == 7)
                ):
                    out[names[kind]] += 1
                    step = len(phrase)
                    break
            k += step


def repeats(words, out):
    n = len(words)
    if not n:
        return
    window = min(50, n)
    out["windows"] = n - window + 1
    out["distinct_in_windows"] = sum(len(set(words[i : i + window])) for i in range(n - window + 1))
    for size in (2, 3, 4):
        last = {}
        for i in range(n - size + 1):
            gram = tuple(words[i : i + size])
            out[f"repeated_{size}"] += gram in last and i - last[gram] <= 200
            last[gram] = i


def burstiness(words):
    places = defaultdict(list)
    for i, word in enumerate(words):
        places[word].append(i)
    found = []
    for at in places.values():
        gaps = [b - a for a, b in itertools.pairwise(at)]
        if len(gaps) >= 3:
            mean = sum(gaps) / len(gaps)
            spread = (
                (sum(g * g for g in gaps) / len(gaps) - mean * mean) ** 0.5 if len(set(gaps)) > 1 else 0.0
            )
            found.append((spread - mean) / (spread + mean))
    return sum(found) / len(found) if found else None


def squeeze(data):
    seen, size, i = {}, 0, 0
    while i < len(data):
        if i + 4 > len(data):
            return size + len(data) - i
        slot = (int.from_bytes(data[i : i + 4], "little") * 2654435761 & 0xFFFFFFFF) >> 20
        before = seen.get(slot)
        seen[slot] = i
        run = 0
        if before is not None and i - before <= 2048:
            while i + run < len(data) and data[before + run] == data[i + run]:
                run += 1
        size, i = (size + 3, i + run) if run >= 4 else (size + 1, i + 1)
    return size
