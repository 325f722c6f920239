"""Short questions, which are words that anyone may write: they count where their context says they are items."""

import re

import numpy as np

from stages.decontamination._classes import INPUT_AND_OUTPUT, INPUT_ONLY, Classes, Judge
from stages.decontamination._context import Anchor, find_places, is_telling
from stages.decontamination._definitions import ShortDefinition
from stages.decontamination._index import TextKind
from stages.decontamination._measures import Found, Runs, collect

_AROUND = 80  # bytes before and after a question that say whether it stands alone
_FEW = 2  # choices such as yes and no, or 1 and 2, stand near any question
_BORDERS = re.compile(r"[\n\r\t|<>\u2028\u2029]")
_HEAD = re.compile(
    r"[\W_]*(?:(?:question|problem|query|exercise|task|prompt|user|human|frage|aufgabe|pregunta|pergunta|domanda|"
    r"вопрос|soru|pytanie|vraag|q|問題|问题|题目|题|問|问|质问|質問|문제|질문|سؤال|प्रश्न)[\W_]*)?(?:\d{1,5}|[a-z])?[\W_]*",
    re.IGNORECASE,
)
_SENTENCE_BEFORE = re.compile(r"[.!?…:。！？：][\"'”’»)\]*_]*\s*[\"'“‘«„(\[*_]*$|[。！？：]$")
_SENTENCE_END = re.compile(r"\s?[\"'”’»)\]*_]*[.!?…。！？؟]")


def find_short(definition: ShortDefinition, judge: Judge, least: int) -> tuple[Found, Classes]:
    """Short questions that are in context, and the classes of their items.

    Args:
        definition: params.
        judge: looks around, by the definition's own number of words.
        least: weight under which a question is short, though it may have a seed: eight characters of Han have.
    """
    found, texts = judge.scene.stretches, judge.scene.texts
    kind, lead = texts.kind[found.entry], texts.lead[found.entry]
    asked = (kind == TextKind.ITEM) & (found.text_first == 0) & (found.words >= lead) & (found.inputs > 0)
    short = np.flatnonzero((kind == TextKind.SHORT) | (asked & (found.inputs < least)))
    kept, told, answers = [], [], []
    for k in short.tolist():
        place = judge.look(int(found.row[k]), int(found.item[k]), [_anchor(judge, k)])
        output = place is not None or _has_output(judge, k)
        if output or _in_company(judge, k) or _is_alone(definition, judge, k):
            kept.append(k)
            told.append(output)
            answers += [(found.group[k], *place)] if place else []
    row, item, start, end, weight = (
        column[kept] for column in (found.row, found.item, found.start, found.end, found.inputs)
    )
    items = collect(
        Runs(row, item, start, end, weight, np.ones(len(kept), bool), np.array(told, bool), weight / 2)
    )
    kinds = np.where(items.output, INPUT_AND_OUTPUT, INPUT_ONLY)
    groups = np.unique(found.group[kept])
    places = np.array(answers, np.int64).reshape(-1, 3).T
    return items._replace(part=np.zeros_like(items.part)), Classes(
        kinds, np.searchsorted(groups, places[0]), places[1], places[2]
    )


def _anchor(judge: Judge, k: int) -> Anchor:
    """The words of the question that stretch k begins with."""
    found, texts = judge.scene.stretches, judge.scene.texts
    return Anchor(int(found.first[k]), int(found.first[k] + texts.lead[found.entry[k]]), 0)


def _has_output(judge: Judge, k: int) -> bool:
    """Was a part of the item's output found in the document by itself?"""
    row, item = int(judge.scene.stretches.row[k]), int(judge.scene.stretches.item[k])
    return not judge.scene.facts(item).right and judge.tells_output(row, item)


def _in_company(judge: Judge, k: int) -> bool:
    """Do the passage, two choices that are no everyday words, or all choices stand there as well?"""
    found = judge.scene.stretches
    row, item = int(found.row[k]), int(found.item[k])
    if judge.passages(row, item):
        return True
    page, choices = judge.scene.page(row), judge.scene.facts(item).choices
    for window in judge.windows(row, item, [_anchor(judge, k)]):
        places = find_places(page, window, choices)
        telling = {number for first, end, number in places if is_telling(page, first, end)}
        if len(telling) > 1 or (
            len(choices) > _FEW and len({number for _, _, number in places}) == len(choices)
        ):
            return True
    return False


def _is_alone(definition: ShortDefinition, judge: Judge, k: int) -> bool:
    found, anchor = judge.scene.stretches, _anchor(judge, k)
    if definition.alone_words is None or found.inputs[k] < 2 * definition.alone_words:
        return False
    page = judge.scene.page(int(found.row[k]))
    return stands_alone(page.raw, int(page.starts[anchor.first]), int(page.ends[anchor.end - 1]))


def stands_alone(raw: bytes, start: int, end: int) -> bool:
    r"""Is raw[start:end] a line or a sentence of its own, perhaps after a word such as `Question:` or a number?

    >>> [stands_alone(text, 5, 14) for text in (b"\nQ1) who is it?\n", b"oh.  who is it?  I", b"and  who is it and")]
    [True, True, False]
    """
    before = raw[max(0, start - _AROUND) : start].decode(errors="ignore")
    behind = raw[end : end + _AROUND].decode(errors="ignore")
    line = _BORDERS.split(before)
    whole = len(line) > 1 or start <= _AROUND
    begins = (whole and _HEAD.fullmatch(line[-1])) or _SENTENCE_BEFORE.search(line[-1])
    rest = _BORDERS.split(behind)[0]
    return bool(begins) and bool(not re.search(r"[^\W_]", rest) or _SENTENCE_END.match(rest))
