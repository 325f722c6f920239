"""Input and output told apart: what the context of a question adds to the stretches that were found."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stages.decontamination._context import (
    Anchor,
    Heads,
    Lexicon,
    Page,
    Window,
    find_answer,
    windows_of,
)
from stages.decontamination._facts import Facts
from stages.decontamination._index import TextKind
from stages.decontamination._measures import Found
from stages.decontamination._splice import merge_spans
from stages.decontamination._stretches import Stretches, Texts

INPUT_AND_OUTPUT, INPUT_ONLY, OUTPUT_ONLY = range(3)  # the worst first
CLASSES = ("input_and_output", "input_only", "output_only")
_ASKED = 4  # words of a question from which a stretch is a place of it: `C` alone is a label
_SOME = 6  # weight of words in matches from which a side is there at all


class Scene(NamedTuple):
    """What the documents of a batch share with the items of an index, and what else stands there."""

    stretches: Stretches
    texts: Texts
    keys: np.ndarray  # of each stretch: row and item in one number, ascending
    scale: int  # such a number is row * scale + item
    heads: Callable[[int], Heads]  # of a row
    page: Callable[[int], Page]  # of a row
    facts: Callable[[int], Facts]  # of an item
    lexicon: Lexicon


class Judge:
    """Looks around the questions of a batch for answers; what it has seen once it remembers."""

    def __init__(self, scene: Scene, context_words: int) -> None:
        """Args: what was found; how many words around a question are looked at."""
        self.scene, self.context_words = scene, context_words
        self._answers: dict[tuple[int, int, tuple[int, int] | None], tuple[int, int] | None] = {}

    def answer(self, row: int, item: int, stretch: tuple[int, int] | None) -> tuple[int, int] | None:
        """Bytes of an item's answer beside its question; or beside a stretch, if no match has the question."""
        key = row, item, stretch
        if key not in self._answers:
            anchors = self.anchors(row, item) or ([self.around(row, *stretch)] if stretch else [])
            self._answers[key] = self.look(row, item, anchors)
        return self._answers[key]

    def look(self, row: int, item: int, anchors: list[Anchor]) -> tuple[int, int] | None:
        """The same beside given places of the question."""
        if not anchors:
            return None
        page, facts = self.scene.page(row), self.scene.facts(item)
        taken = self._ranges(row, item, (TextKind.PASSAGE, TextKind.ITEM, TextKind.SHORT))
        for window in self.windows(row, item, anchors):
            found = find_answer(page, window, facts, taken, self.scene.lexicon)
            if found:
                return int(page.starts[found[0]]), int(page.ends[found[1] - 1])
        return None

    def windows(self, row: int, item: int, anchors: list[Anchor]) -> list[Window]:
        """Where answers may stand beside places of a question."""
        facts = self.scene.facts(item)
        extra = sum(len(choice) + 1 for choice in facts.choices)
        longest = max((len(run) for run in (*facts.choices, *facts.answers)), default=1)
        found, own = self.scene.stretches, self._group(row, item)
        taken = merge_spans(found.first[own], found.first[own] + found.words[own])
        heads = self.scene.heads(row)
        return windows_of(
            self.scene.page(row), anchors, heads, item, taken, extra, self.context_words + longest - 1
        )

    def anchors(self, row: int, item: int) -> list[Anchor]:
        """Where an item's question stands in a row, ascending; where only choices do, the place before the first."""
        found, texts = self.scene.stretches, self.scene.texts
        own = self._group(row, item)
        entry = found.entry[own]
        asked = np.clip(texts.lead[entry] - found.text_first[own], 0, found.words[own])
        kind = texts.kind[entry]
        keep = (asked >= np.clip(texts.lead[entry], 1, _ASKED)) & (kind != TextKind.PASSAGE)
        if not keep.any():
            keep[np.flatnonzero(kind == TextKind.CHOICES)[:1]] = True
        keep = self._outside_outputs(own, asked, keep)
        first = found.first[own][keep]
        end = first + asked[keep]
        missing = np.where(kind == TextKind.ITEM, texts.lead[entry] - found.text_first[own] - asked, 0)[keep]
        order = np.lexsort((missing, first, end))
        fresh = order[np.flatnonzero(np.diff(end[order], prepend=-1))]
        return [
            Anchor(*map(int, place)) for place in zip(first[fresh], end[fresh], missing[fresh], strict=True)
        ]

    def _outside_outputs(self, own: slice, asked: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Without places inside longer runs of choices or outputs, which say words of the question again.

        Args:
            own: the stretches.
            asked: words of the question that each begins with.
            keep: which of them are places of the question; where all are inside, they stay.
        """
        first, end = (
            self.scene.stretches.first[own],
            self.scene.stretches.first[own] + self.scene.stretches.words[own],
        )
        told = first + asked < end
        spans = np.array(merge_spans((first + asked)[told], end[told]), np.int64).reshape(-1, 2)
        if not len(spans):
            return keep
        low, high = spans[np.maximum(np.searchsorted(spans[:, 0], first, "right") - 1, 0)].T
        inside = (low <= first) & (first + asked <= high) & (high - low > asked)
        return keep & ~inside if (keep & ~inside).any() else keep

    def around(self, row: int, start: int, end: int) -> Anchor:
        """Words of a row between two bytes, as a place to look around."""
        page = self.scene.page(row)
        first, last = np.searchsorted(page.ends, start, "right"), np.searchsorted(page.starts, end)
        return Anchor(int(first), int(last), 0)

    def asks(self, row: int, item: int) -> bool:
        """Does a short question stand in the row, whole?"""
        return bool((self._kinds(row, item) == TextKind.SHORT).any())

    def echoes(self, row: int, item: int) -> bool:
        """Do all words of outputs found lie among those of inputs, as where a solution repeats its question?

        Wrong choices are inputs, but the right one beside them is none that a question repeats.
        """
        found, texts = self.scene.stretches, self.scene.texts
        own = self._group(row, item)
        entry, first, end = found.entry[own], found.first[own], found.first[own] + found.words[own]
        told = found.outputs[own] > 0
        listed = (self._kinds(row, item) == TextKind.CHOICES) & (not self.scene.facts(item).right)
        border = first + np.clip(texts.lead[entry] - found.text_first[own], 0, found.words[own])
        inputs = merge_spans(first, np.where(listed, end, border))
        outputs = zip(border[told].tolist(), end[told].tolist(), strict=True)
        inside = [any(low <= begin and stop <= high for low, high in inputs) for begin, stop in outputs]
        return bool(inside) and all(inside)

    def lists_others(self, row: int, item: int) -> bool:
        """Do wrong choices stand in the row?"""
        own, kinds = self._group(row, item), self._kinds(row, item)
        return bool((self.scene.stretches.inputs[own][kinds == TextKind.CHOICES] >= _SOME).any())

    def tells_output(self, row: int, item: int) -> bool:
        """Do words of an output lie in a match?"""
        return bool((self.scene.stretches.outputs[self._group(row, item)] >= _SOME).any())

    def passages(self, row: int, item: int) -> list[tuple[int, int]]:
        """Words of the row that are of the item's passage."""
        return self._ranges(row, item, (TextKind.PASSAGE,))

    def _ranges(self, row: int, item: int, kinds: Sequence[TextKind]) -> list[tuple[int, int]]:
        """Words of the row in stretches of some kinds of text, before the item's output or choices."""
        found, texts, own = self.scene.stretches, self.scene.texts, self._group(row, item)
        entry, first = found.entry[own], found.first[own]
        asked = np.clip(texts.lead[entry] - found.text_first[own], 0, found.words[own])
        keep = np.isin(texts.kind[entry], kinds) & (asked > 0)
        return merge_spans(first[keep], (first + asked)[keep])

    def _kinds(self, row: int, item: int) -> np.ndarray:
        return np.asarray(self.scene.texts.kind[self.scene.stretches.entry[self._group(row, item)]])

    def _group(self, row: int, item: int) -> slice:
        return slice(
            *np.searchsorted(
                self.scene.keys, [row * self.scene.scale + item, row * self.scene.scale + item + 1]
            )
        )


def question_heads(found: Stretches, texts: Texts) -> np.ndarray:
    """(row, first word, end, item) of each place where a question begins, ascending by row, int64 (k, 4)."""
    asked = np.clip(texts.lead[found.entry] - found.text_first, 0, found.words)
    kind = texts.kind[found.entry]
    heads = ((kind == TextKind.ITEM) | (kind == TextKind.SHORT)) & (found.text_first == 0) & (asked > 0)
    return np.asarray(np.column_stack([found.row, found.first, found.first + asked, found.item])[heads])


def heads_in(heads: np.ndarray, row: int) -> Heads:
    """Those of one row."""
    own = heads[slice(*np.searchsorted(heads[:, 0], [row, row + 1]))]
    first, end, item = own[:, 1:].T.tolist()
    return Heads(sorted(zip(first, item, strict=True)), sorted(zip(end, item, strict=True)))


class Classes(NamedTuple):
    """Sides of a definition's finds, with what their context adds."""

    kinds: np.ndarray  # int64: INPUT_AND_OUTPUT, ...
    owner: np.ndarray  # finds whose answer stands beside the question, ascending
    starts: np.ndarray  # bytes of that answer
    ends: np.ndarray


def classify(found: Found, judge: Judge, loose: bool = False) -> Classes:
    """The class of each find; `loose`: its stretches may be none of the judge's.

    An output that was found by itself counts; that of a multiple choice item, its right choice, only if it is
    singled out. A short question counts as input where an output was found.
    """
    kinds = np.zeros(len(found.row), np.int64)
    answers: list[tuple[int, int, int]] = []
    for k, (row, item) in enumerate(zip(found.row.tolist(), found.item.tolist(), strict=True)):
        asked, told = bool(found.input[k]), bool(found.output[k])
        choosing = bool(judge.scene.facts(item).right)
        told = told and not (asked and judge.echoes(row, item))
        if asked and (choosing or not told):
            place = judge.answer(row, item, (int(found.start[k]), int(found.end[k])) if loose else None)
            if place:
                answers.append((k, *place))
            told = bool(place) or (told and not judge.lists_others(row, item))
        elif told and not asked:
            asked = judge.asks(row, item)
        kinds[k] = INPUT_AND_OUTPUT if asked and told else INPUT_ONLY if asked else OUTPUT_ONLY
    return Classes(kinds, *np.array(answers, np.int64).reshape(-1, 3).T)
