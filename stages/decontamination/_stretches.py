"""Matches told apart by item and side: how much of an item's input, and of its output, stands where.

All weights are in half words, as in the index: a word is 2, a character of an unspaced script 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stages.decontamination._facts import Facts
from stages.decontamination._index import BenchmarkIndex, TextKind
from stages.decontamination._matches import Matches
from stages.decontamination._run_kernels import mark_words


class Texts(NamedTuple):
    """The texts of the items that a batch touches, one entry for each item and text, ascending by both.

    A multiple choice item's right choice is output, wherever it stands in the text; labels of choices have no
    weight. What an OUTPUT or CHOICES text repeats from the end of the question is its tail, and no input there.
    """

    item: np.ndarray
    text: np.ndarray
    kind: np.ndarray
    words: np.ndarray  # how many
    lead: np.ndarray  # words before the first of an output, of the choices
    at: np.ndarray  # where a text's sums begin
    input_sum: np.ndarray  # weights of input words before each word of all texts, one more at the end
    output_sum: np.ndarray
    tail_sum: np.ndarray
    inputs: np.ndarray  # weight of all input words of a text
    outputs: np.ndarray

    def weigh(self, entry: np.ndarray, first: np.ndarray, words: np.ndarray) -> list[np.ndarray]:
        """Weights of the input, output and tail words in stretches of entries."""
        start = self.at[entry] + first
        return [
            sums[start + words] - sums[start] for sums in (self.input_sum, self.output_sum, self.tail_sum)
        ]

    def find(self, item: np.ndarray, text: np.ndarray) -> np.ndarray:
        """Entries of items and texts that are there."""
        scale = np.int64(self.text.max(initial=0) + 1)
        entries: np.ndarray = np.searchsorted(self.item * scale + self.text, item * scale + text)
        return entries

    def lead_weight(self, entry: np.ndarray) -> np.ndarray:
        """Weight of the words of the question in texts."""
        inputs, _, tail = self.weigh(entry, np.zeros_like(entry), self.lead[entry])
        return np.asarray(inputs + tail)


class Stretches(NamedTuple):
    """A match for each item that has its text, ascending by row, item and place in the document."""

    row: np.ndarray
    item: np.ndarray
    group: np.ndarray  # number of the row and item, from 0
    entry: np.ndarray  # in Texts
    start: np.ndarray  # bytes in the row's text
    end: np.ndarray
    first: np.ndarray  # word in the row's text
    words: np.ndarray
    text_first: np.ndarray
    whole: np.ndarray  # bool: is it all of its text?
    weight: np.ndarray  # of input, output and tail
    inputs: np.ndarray  # of its input words
    outputs: np.ndarray


def runs(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For runs of given lengths: number of the run of each entry, and its place within.

    >>> [part.tolist() for part in runs(np.array([2, 0, 3]))]
    [[0, 0, 2, 2, 2], [0, 1, 0, 1, 2]]
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]


def group_numbers(*keys: np.ndarray) -> np.ndarray:
    """A number from 0 for each run of equal keys.

    >>> group_numbers(np.array([1, 1, 4]), np.array([2, 3, 3])).tolist()
    [0, 1, 2]
    """
    if not len(keys[0]):
        return np.zeros(0, np.int64)
    fresh = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.concatenate([[0], np.cumsum(fresh)])


def heads_of(numbers: np.ndarray) -> np.ndarray:
    """Where each run of equal numbers begins.

    >>> heads_of(np.array([4, 4, 7])).tolist()
    [0, 2]
    """
    return np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1])) if len(numbers) else numbers[:0]


def expand(matches: Matches, index: BenchmarkIndex) -> tuple[np.ndarray, np.ndarray]:
    """(number of the match, item) for each match and item that has its text; by row, item, place in the document."""
    counts = np.diff(index.text_item_starts)[matches.text]
    match, within = runs(counts)
    item = np.asarray(index.text_items[index.text_item_starts[matches.text[match]] + within], np.int64)
    order = np.lexsort((match, item, matches.row[match]))
    return match[order], item[order]


def list_texts(items: np.ndarray, index: BenchmarkIndex, facts: Sequence[Facts]) -> Texts:
    """Texts of some items.

    Args:
        items: ascending, distinct.
        index: where they are.
        facts: theirs.
    """
    counts = np.diff(index.item_text_starts)[items]
    owner, within = runs(counts)
    text = np.asarray(index.item_texts[index.item_text_starts[items[owner]] + within], np.int64)
    kind = index.text_kinds[text]
    keep = np.flatnonzero((kind != TextKind.ANSWER) & (kind != TextKind.CHOICE))
    keep = keep[np.lexsort((text[keep], owner[keep]))]
    owner, text, kind = owner[keep], text[keep], kind[keep]
    low = index.text_starts[text]
    size = index.text_starts[text + 1] - low
    entry, place = runs(size)
    weight = index.weights[low[entry] + place].astype(np.int64)
    output = index.outputs[low[entry] + place].astype(bool)
    begin = np.cumsum(size) - size
    lead = _leads(index, owner, kind, begin, size, output)
    tailed = (kind == TextKind.OUTPUT) | (kind == TextKind.CHOICES)
    tail = tailed[entry] & (place < lead[entry])
    for k in np.flatnonzero(kind == TextKind.CHOICES).tolist():
        own = slice(begin[k] + lead[k], begin[k] + size[k])
        words = index.words[low[k] + lead[k] : low[k] + size[k]]
        known = facts[owner[k]]
        weight[own][label_places([len(choice) for choice in known.choices], len(words))] = 0
        for number in known.right:
            mark_words(words, known.choices[number], output[own])
    sums = [
        np.concatenate([[0], np.cumsum(np.where(side, weight, 0))])
        for side in (~output & ~tail, output & ~tail, tail)
    ]
    totals = [side[begin + size] - side[begin] for side in sums]
    return Texts(items[owner], text, kind, size, lead, begin, *sums, *totals[:2])


def label_places(lengths: Sequence[int], words: int) -> list[int]:
    """Where labels stand among the words of choices, if they have any.

    >>> label_places([1, 2], 5), label_places([1, 2], 3)
    ([0, 2], [])
    """
    if words != sum(lengths) + len(lengths):
        return []
    return [sum(lengths[:k]) + k for k in range(len(lengths))]


def _leads(
    index: BenchmarkIndex,
    owner: np.ndarray,
    kind: np.ndarray,
    begin: np.ndarray,
    size: np.ndarray,
    output: np.ndarray,
) -> np.ndarray:
    """Words of the question in each text; at the head of an OUTPUT or CHOICES text as many as it repeats."""
    before = np.concatenate([[0], np.cumsum(~output)])
    lead = before[begin + size] - before[begin]
    questions = np.zeros(int(owner.max(initial=-1)) + 1, np.int64)
    asked = (kind == TextKind.ITEM) | (kind == TextKind.SHORT)
    np.maximum.at(questions, owner[asked], lead[asked])
    tailed = (kind == TextKind.OUTPUT) | (kind == TextKind.CHOICES)
    return np.asarray(np.where(tailed, np.minimum(questions[owner], index.seed_words - 1), lead))


def list_stretches(match: np.ndarray, item: np.ndarray, matches: Matches, texts: Texts) -> Stretches:
    """Matches, expanded to items, with their weights on both sides."""
    own = Matches(*(column[match] for column in matches))
    entry = texts.find(item, own.text)
    inputs, outputs, tail = texts.weigh(entry, own.text_first, own.words)
    group, whole = group_numbers(own.row, item), own.words == texts.words[entry]
    places = own.start, own.end, own.first, own.words, own.text_first
    return Stretches(own.row, item, group, entry, *places, whole, inputs + outputs + tail, inputs, outputs)
