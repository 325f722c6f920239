"""What stands around a question: an answer that is too short to be found by itself, a choice that is singled out.

An answer is looked for in the words after and before the question, as far as the next item's question. A right
choice says nothing where all choices are listed, unless it is marked: `Answer: B`, `#### 18`, `答案：丙`.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.decontamination._facts import Facts
from stages.decontamination._index import BenchmarkIndex
from stages.decontamination._matches import hash_text
from stages.decontamination._run_kernels import find_run

_MARKER_WORDS = (
    "answer answers ans correct solution result antwort lösung réponse corrigé respuesta solución resposta solução "
    "risposta soluzione antwoord oplossing svar odpowiedź odpověď ответ решение відповідь cevap απάντηση jawaban "
    "답 정답 答案 正解 正确 正確 解答 答え 答 الجواب الإجابة תשובה उत्तर คำตอบ"
)
MARKERS = [*_MARKER_WORDS.split(), "đáp án"]
_FILLER_WORDS = (
    "is are was would be should the a an option options choice letter answer correct right best most likely "
    "appropriate therefore so it would ist die der das est la le es el è je 是 为 為 选 選 项 項 は"
)
_COMMON = "yes no true false none both all neither either valid invalid left right up down ja nein oui non sí"
MARKED_WITHIN = 8  # words between a marker and the answer's text
LABEL_WITHIN = 4  # words, all of them fillers, between a marker and a label
_LOOK = 64  # bytes behind a letter that say whether it is a label
NEXT_WITHIN = 3  # words between the question and an answer that needs to stand next to it
BEFORE_WITHIN = 5  # words between an answer that has one word and the question after it
LONG_ANSWER = 3  # words of an answer that does not stand there by chance
_SIGNS = re.compile(rb"####|\\\\boxed|=")


class Page(NamedTuple):
    """The words of one document: hashes, and the bytes they take."""

    raw: bytes
    words: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    marks: np.ndarray  # words behind a word such as `Answer`, ascending
    signs: np.ndarray  # words behind a sign such as `####`, ascending


class Window(NamedTuple):
    """Words of a page where an answer may stand, beside a question."""

    first: int
    end: int
    after: bool  # after the question, or before it


class Anchor(NamedTuple):
    """Where a question stands in a page, in words; and how many of its words are missing at its end."""

    first: int
    end: int
    missing: int


class Heads(NamedTuple):
    """Where questions stand in a page, in words: (word, item), both lists ascending."""

    firsts: Sequence[tuple[int, int]]
    ends: Sequence[tuple[int, int]]

    def next(self, word: int, item: int, taken: Sequence[tuple[int, int]], none: int) -> int:
        """Where the next question of another item begins, not before `word` and not among the words taken."""
        for k in range(bisect_left(self.firsts, (word, -1)), len(self.firsts)):
            first, other = self.firsts[k]
            if first >= none:
                break
            if other != item and not any(low <= first < high for low, high in taken):
                return first
        return none

    def last(self, word: int, item: int, taken: Sequence[tuple[int, int]], none: int) -> int:
        """Where the last question of another item ends, not after `word` and not among the words taken."""
        for k in range(bisect_left(self.ends, (word + 1, -1)) - 1, -1, -1):
            end, other = self.ends[k]
            if end <= none:
                break
            if other != item and not any(low < end <= high for low, high in taken):
                return end
        return none


class Lexicon(NamedTuple):
    """Words that markers and fillers are, as hashes."""

    markers: Sequence[np.ndarray]
    fillers: frozenset[int]
    letters: Mapping[int, int]  # hash -> number of the label
    labels: Sequence[int]  # hashes of the labels as the index has them


def read_lexicon(index: BenchmarkIndex) -> Lexicon:
    """Markers, fillers and labels as the index hashes words."""
    letters = [chr(ord("A") + k) for k in range(26)]
    labels = [int(hash_text(letter, index)[0]) for letter in letters]
    cased = {int(hash_text(form, index)[0]): k for k, c in enumerate(letters) for form in (c, c.lower())}
    fillers = frozenset(int(h) for word in _FILLER_WORDS.split() for h in hash_text(word, index))
    forms = {form for marker in MARKERS for form in (marker, marker.capitalize(), marker.upper())}
    return Lexicon([hash_text(form, index) for form in sorted(forms)], fillers, cased, labels)


def windows_of(
    page: Page,
    anchors: Sequence[Anchor],
    heads: Heads,
    item: int,
    taken: Sequence[tuple[int, int]],
    extra: int,
    context: int,
) -> list[Window]:
    """Where the answer to a question may stand: first after it, then before it, for each of its places.

    Args:
        page: the document.
        anchors: where the question stands.
        heads: where questions of any item stand; another item's ends a window.
        item: whose question it is.
        taken: words of the item's own texts: choices can be words of other questions.
        extra: words that the choices take.
        context: words that are looked at.
    """
    after, before = [], []
    for anchor in anchors:
        end = min(anchor.end + anchor.missing + extra + context, len(page.words))
        after.append(Window(anchor.end, heads.next(anchor.end, item, taken, end), True))
        first = max(anchor.first - context, 0)
        before.append(Window(heads.last(anchor.first, item, taken, first), anchor.first, False))
    return after + before


def find_answer(
    page: Page, window: Window, facts: Facts, taken: Sequence[tuple[int, int]], lexicon: Lexicon
) -> tuple[int, int] | None:
    """Where an item's answer stands in a window, as words of the page (first, end), if it says so clearly enough.

    `taken` are words of the item's question and passage, which have many an answer in them: what stands there is none,
    unless it is said again behind a marker.
    """
    behind = page.marks[slice(*np.searchsorted(page.marks, [window.first + 1, window.end]))]
    signs = page.signs[slice(*np.searchsorted(page.signs, [window.first, window.end]))]
    marks = sorted({*behind.tolist(), *signs.tolist()})
    places = [
        place
        for place in find_places(page, window, facts.choices if facts.right else facts.answers)
        if not any(
            low <= place[0] and place[1] <= high and (low < place[0] or low not in marks)
            for low, high in taken
        )
    ]
    if facts.right:
        return _find_right_choice(page, window, facts, _outermost(places), marks, lexicon)
    for first, end, _ in sorted(places, reverse=not window.after):
        if _credible(page, window, first, end, marks):
            return first, end
    return None


def _find_right_choice(
    page: Page,
    window: Window,
    facts: Facts,
    found: Sequence[tuple[int, int, int]],
    marks: Sequence[int],
    lexicon: Lexicon,
) -> tuple[int, int] | None:
    """The right choice, marked as such; or alone, or first of some, but not of all."""
    marks = [mark for mark in marks if not any(low < mark <= high for low, high, _ in found)]
    verdicts = [_read_mark(page, window, mark, found, facts, lexicon) for mark in marks]
    for verdict in verdicts:
        if verdict and verdict[2] in facts.right:
            return verdict[0], verdict[1]
    if not found or any(verdicts) or found[0][2] not in facts.right:
        return None
    if not window.after and len({k for _, _, k in found}) > 1:
        return None
    listed = {k for _, _, k in found} >= set(range(len(facts.choices)))
    first, end, _ = found[0]
    return None if listed or not _credible(page, window, first, end, marks) else (first, end)


def _read_mark(
    page: Page,
    window: Window,
    mark: int,
    found: Sequence[tuple[int, int, int]],
    facts: Facts,
    lexicon: Lexicon,
) -> tuple[int, int, int] | None:
    """Which choice a marker points at, as (first word, end, choice); `a gecko` is a choice rather than label A."""
    at, texts = mark, {place[0]: place for place in found if place[1] - place[0] > 1}
    while at < min(mark + LABEL_WITHIN, window.end):
        if at in texts:
            return texts[at]
        label = lexicon.letters.get(int(page.words[at]))
        if label is not None and label < len(facts.choices) and _is_label(page, at, found):
            return at, at + 1, label
        if int(page.words[at]) not in lexicon.fillers:
            break
        at += 1
    return next((place for place in found if mark <= place[0] <= mark + MARKED_WITHIN), None)


def _is_label(page: Page, at: int, found: Sequence[tuple[int, int, int]]) -> bool:
    """Is a letter the label of a choice, not an article or a name? It is bracketed, a capital, or stands alone."""
    letter = page.raw[page.starts[at] : page.ends[at]]
    behind = page.raw[page.ends[at] : page.ends[at] + _LOOK].decode(errors="ignore")
    if not re.match(r"[^\S\r\n]*\w", behind) and not re.match(r"['’]", behind):
        return True
    if any(first == at + 1 for first, _, _ in found):
        return True
    return letter.isupper() and letter not in (b"A", b"I")


def _outermost(places: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Places that do not lie within a longer one, ascending."""
    kept: list[tuple[int, int, int]] = []
    for place in sorted(places, key=lambda p: (p[0], -p[1])):
        if not kept or place[1] > kept[-1][1] or place[:2] == kept[-1][:2]:
            kept.append(place)
    return kept


def find_places(page: Page, window: Window, wanted: Sequence[np.ndarray]) -> list[tuple[int, int, int]]:
    """Where runs of words stand in a window: (first word, end, number of the run). No parts of longer numbers."""
    words = page.words[window.first : window.end]
    places = []
    for number, run in enumerate(wanted):
        for at in find_run(words, run).tolist():
            first, end = window.first + at, window.first + at + len(run)
            if not _in_number(page.raw, int(page.starts[first]), int(page.ends[end - 1])):
                places.append((first, end, number))
    return places


def _in_number(raw: bytes, start: int, end: int) -> bool:
    """Do digits and a comma or point go on before or after a number? Zeros after a point are nothing.

    >>> [_in_number(text, 2, 4) for text in (b"2.18", b", 18, ", b"a 18.5", b"a 18.00.", b"a 18,000")]
    [True, False, True, False, True]
    """
    if raw[end - 1 : end].isdigit() and re.match(rb"[.,]\d", raw[end : end + 2]):
        return not re.match(rb"\.0+(?!\d)", raw[end : end + 20])
    return (
        raw[start : start + 1].isdigit() and re.match(rb"\d[.,]", raw[max(start - 2, 0) : start]) is not None
    )


def open_page(raw: bytes, words: np.ndarray, starts: np.ndarray, ends: np.ndarray, lexicon: Lexicon) -> Page:
    """A document with the places where it says that an answer comes."""
    ones = [run[0] for run in lexicon.markers if len(run) == 1]
    marks = [np.flatnonzero(np.isin(words, np.array(ones, np.uint64))) + 1]
    marks += [find_run(words, run) + len(run) for run in lexicon.markers if len(run) > 1]
    signs = np.array([sign.end() for sign in _SIGNS.finditer(raw)], np.int64)
    return Page(
        raw, words, starts, ends, np.unique(np.concatenate(marks)), np.unique(np.searchsorted(starts, signs))
    )


def _credible(page: Page, window: Window, first: int, end: int, marks: Sequence[int]) -> bool:
    """Does an answer stand there as one: marked, on its own line, long, near the question, or no everyday word?"""
    if end - first >= LONG_ANSWER or any(mark <= first <= mark + MARKED_WITHIN for mark in marks):
        return True
    if _own_line(page, first, end):
        return True
    near = first - window.first <= NEXT_WITHIN if window.after else window.end - end <= BEFORE_WITHIN
    if window.after and near:
        return True
    return is_telling(page, first, end) and (window.after or near)


def _own_line(page: Page, first: int, end: int) -> bool:
    """Has an answer a line of its own, but for signs?"""
    before = page.raw[int(page.ends[first - 1]) if first else 0 : int(page.starts[first])]
    stop = int(page.starts[end]) if end < len(page.words) else len(page.raw)
    behind = page.raw[int(page.ends[end - 1]) : stop]
    return (not first or b"\n" in before) and (end == len(page.words) or b"\n" in behind)


def is_telling(page: Page, first: int, end: int) -> bool:
    """Is an answer of one or two words more than an everyday word or a digit?"""
    text = page.raw[int(page.starts[first]) : int(page.ends[end - 1])].decode(errors="ignore")
    if text.isdigit():
        return len(text) > 1
    return end - first > 1 or (
        text.casefold() not in _COMMON.split() and (len(text) > 3 or not text.isascii())
    )
