"""Which items a document has, by the definitions of the literature: pure functions of the stretches they share.

Each gives a Found with one entry for a row and item, ascending by both. Weights are in half words: a word is 2.
"""

from typing import NamedTuple

import numpy as np

from stages.decontamination._definitions import CoverageDefinition, LongestSpanDefinition, NgramDefinition
from stages.decontamination._index import TextKind
from stages.decontamination._run_kernels import chain_runs
from stages.decontamination._stretches import Stretches, Texts, group_numbers, heads_of

INPUT, OUTPUT, JOINT = range(3)
_SHORTEST_OUTPUT = 6  # an output of fewer than three words is found by its context, or not at all


class Found(NamedTuple):
    """Items by one definition; `start` and `end` are bytes of the longest stretch that tells."""

    row: np.ndarray
    item: np.ndarray
    input: np.ndarray  # bool: was the input found?
    output: np.ndarray  # bool
    score: np.ndarray  # float64
    start: np.ndarray
    end: np.ndarray
    part: np.ndarray  # INPUT, OUTPUT or JOINT: what that stretch is of
    owner: np.ndarray  # for every stretch that tells, the entry it is of, ascending
    starts: np.ndarray
    ends: np.ndarray


class Runs(NamedTuple):
    """Stretches that tell of an item, ascending by row and item."""

    row: np.ndarray
    item: np.ndarray
    start: np.ndarray
    end: np.ndarray
    weight: np.ndarray
    input: np.ndarray  # bool: do they tell of its input?
    output: np.ndarray
    score: np.ndarray


def collect(runs: Runs) -> Found:
    """The items that have runs: either side by any of them, the best score, the longest run (the first of equals)."""
    owner = group_numbers(runs.row, runs.item)
    if not len(owner):
        none, no = np.zeros(0, np.int64), np.zeros(0, bool)
        return Found(none, none, no, no, none.astype(np.float64), none, none, none, none, none, none)
    heads = heads_of(owner)
    longest = np.lexsort((runs.start, -runs.weight, owner))[heads]
    sides = [np.logical_or.reduceat(side, heads) for side in (runs.input, runs.output)]
    score = np.maximum.reduceat(runs.score.astype(np.float64), heads)
    part = np.where(runs.input[longest], np.where(runs.output[longest], JOINT, INPUT), OUTPUT)
    places = runs.start[longest], runs.end[longest]
    told = runs.row[heads], runs.item[heads], sides[0], sides[1], score, *places, part
    return Found(*told, owner, runs.start, runs.end)


def ngram(
    definition: NgramDefinition, found: Stretches, texts: Texts, least: int, allowed: np.ndarray | None = None
) -> Found:
    """Stretches of n words; whole questions, outputs or items that have fewer.

    A stretch that only crosses from the input to the output tells of each side that has a quarter of n.

    Args:
        definition: params.
        found: stretches.
        texts: those of the items.
        least: weight of a part with fewer than n words, from which it is evidence by itself.
        allowed: bool for each stretch: may it count? All may if there is none.
    """
    wide = 2 * definition.n
    tells = telling(found, texts, wide, least)
    if allowed is not None:
        tells &= allowed
    if definition.min_hits > 1:
        tells &= _hits(found, tells, wide)[found.group] >= definition.min_hits
    crossing = (found.weight >= wide) & (found.inputs < wide) & (found.outputs < wide)
    whole_in, whole_out = _whole(found, texts)
    sides = []
    for own, whole in ((found.inputs, whole_in), (found.outputs, whole_out)):
        sides.append((own >= wide) | whole | (crossing & (2 * own >= definition.n)))
    return collect(_runs(found, tells, sides[0], sides[1], found.weight / 2))


def telling(found: Stretches, texts: Texts, wide: int, least: int) -> np.ndarray:
    """Is a stretch as wide as asked for, or a whole question, output or item that is not?"""
    whole_in, whole_out = _whole(found, texts)
    kind = texts.kind[found.entry]
    tells: np.ndarray = (
        (found.weight >= wide)
        | (whole_in & (found.inputs >= least))
        | (whole_out & (found.outputs >= least))
        | (found.whole & whole_in)
    ) & (kind != TextKind.SHORT)
    return tells


def _whole(found: Stretches, texts: Texts) -> tuple[np.ndarray, np.ndarray]:
    """Does a stretch have all of its text's input, all of its output?"""
    entry, kind = found.entry, texts.kind[found.entry]
    whole_in = (found.inputs == texts.inputs[entry]) & (found.inputs > 0) & (kind != TextKind.OUTPUT)
    whole_out = (found.outputs == texts.outputs[entry]) & (found.outputs >= _SHORTEST_OUTPUT)
    listed = kind == TextKind.CHOICES  # choices alone, without words of the question, say little
    return whole_in & (~listed | found.whole), whole_out & ~listed


def _hits(found: Stretches, tells: np.ndarray, wide: int) -> np.ndarray:
    """n-grams that each group has of the text it has most of."""
    order = np.lexsort((found.entry, found.group))
    part = group_numbers(found.group[order], found.entry[order])
    each = np.where(tells, np.maximum((found.weight - wide) // 2 + 1, 1), 0)[order]
    heads = heads_of(part)
    hits = np.zeros(int(found.group[-1]) + 1, np.int64)
    np.maximum.at(hits, found.group[order][heads], np.add.reduceat(each, heads))
    return hits


def _runs(
    found: Stretches, keep: np.ndarray, inputs: np.ndarray, outputs: np.ndarray, score: np.ndarray
) -> Runs:
    columns = (found.row, found.item, found.start, found.end, found.weight, inputs, outputs, score)
    return Runs(*(column[keep] for column in columns))


class Sizes(NamedTuple):
    """Weights of the parts of items, one entry for each item that `texts` has."""

    items: np.ndarray
    entry_item: np.ndarray  # for each entry of the texts, the number of its item here
    question: np.ndarray
    passage: np.ndarray
    choices: np.ndarray


def measure(texts: Texts) -> Sizes:
    """How long the parts of each item are; of several questions or forms of choices, the longest."""
    number = group_numbers(texts.item)
    items = texts.item[heads_of(number)]
    question, passage, choices = np.zeros((3, len(items)), np.int64)
    asked = (texts.kind == TextKind.ITEM) | (texts.kind == TextKind.SHORT)
    np.maximum.at(question, number[asked], texts.inputs[asked])
    told, listed = texts.kind == TextKind.PASSAGE, texts.kind == TextKind.CHOICES
    np.add.at(passage, number[told], texts.inputs[told])
    np.maximum.at(choices, number[listed], (texts.inputs + texts.outputs)[listed])
    return Sizes(items, number, question, passage, choices)


def coverage(definition: CoverageDefinition, found: Stretches, texts: Texts, least: int) -> Found:
    """Fractions of an item's input (its question alone, with the passage, or with the choices too) and outputs."""
    wide = 2 * definition.n
    tells = telling(found, texts, wide, least)
    some = np.flatnonzero(tells)
    if not len(some):
        return collect(_runs(found, tells, tells, tells, found.weight))
    grams = wide if definition.of == "ngrams" else 0
    group, entry, inputs, outputs = _cover(found, texts, some, grams)
    sizes, ends = measure(texts), int(found.group[-1]) + 1
    item = np.zeros(ends, np.int64)
    item[found.group] = np.searchsorted(sizes.items, found.item)
    parts = _parts(texts, entry, inputs, outputs, grams, group, ends)
    asked = (found.text_first == 0) & (found.words >= texts.lead[found.entry]) & tells
    asked &= (
        texts.kind[found.entry] != TextKind.PASSAGE
    )  # a short question whole, before choices or an output
    whole = texts.lead_weight(found.entry) >= sizes.question[np.searchsorted(sizes.items, found.item)]
    parts[0][found.group[asked & whole]] = 1.0
    question, passage, choices = (size[item] for size in (sizes.question, sizes.passage, sizes.choices))
    both = parts[0] * question + np.minimum(parts[1], passage)
    asked = _divide(both, question + passage)
    listed = _divide(both + parts[2] * choices, question + passage + choices)
    score_in = np.maximum(np.maximum(parts[0], asked), listed)
    sides = [score >= definition.min_fraction for score in (score_in, parts[3])]
    keep = tells & (sides[0] | sides[1])[found.group]
    on_side = [
        side[found.group] & (own > 0) for side, own in zip(sides, (found.inputs, found.outputs), strict=True)
    ]
    return collect(_runs(found, keep, on_side[0], on_side[1], np.maximum(score_in, parts[3])[found.group]))


def _parts(
    texts: Texts,
    entry: np.ndarray,
    inputs: np.ndarray,
    outputs: np.ndarray,
    grams: int,
    group: np.ndarray,
    groups: int,
) -> np.ndarray:
    """What each group has of its item, float64 (4, groups).

    Fractions of the question, the choices and the output that it has most of, at index 0, 2 and 3; at 1 half words of
    the passages.
    """
    kind = texts.kind[entry]
    all_in, all_out = texts.inputs[entry], texts.outputs[entry]
    parts = np.zeros((4, groups))
    long_enough = (kind != TextKind.CHOICES) & (all_out >= _SHORTEST_OUTPUT)
    for part, chosen, share in (
        (0, kind == TextKind.ITEM, _share(inputs, all_in, grams)),
        (2, kind == TextKind.CHOICES, _share(inputs + outputs, all_in + all_out, grams)),
        (3, long_enough, _share(outputs, all_out, grams)),
    ):
        np.maximum.at(parts[part], group[chosen], share[chosen])
    told = kind == TextKind.PASSAGE
    np.add.at(parts[1], group[told], (_share(inputs, all_in, grams) * all_in)[told])
    return parts


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Fractions, of nothing 0."""
    return np.asarray(part / np.maximum(whole, 1))


def _share(covered: np.ndarray, whole: np.ndarray, grams: int) -> np.ndarray:
    """Fractions of words; or of n-grams, if `grams` is their width."""
    width = np.minimum(grams, whole)
    return np.asarray(np.minimum(_divide(covered, whole - np.maximum(width - 2, 0)), 1.0))


def _cover(
    found: Stretches, texts: Texts, some: np.ndarray, grams: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Group, entry, and the weights of input and output covered, of each text that some stretches are of.

    With `grams`, the width of an n-gram, only words where one begins are covered.
    """
    group, entry = found.group[some], found.entry[some]
    order = np.lexsort((found.text_first[some], entry, group))
    group, entry, some = group[order], entry[order], some[order]
    part = group_numbers(group, entry)
    heads = heads_of(part)
    covered = []
    for sums, own, whole in (
        (texts.input_sum, found.inputs[some], texts.inputs[entry]),
        (texts.output_sum, found.outputs[some], texts.outputs[entry]),
    ):
        begin = sums[texts.at[entry] + found.text_first[some]] - sums[texts.at[entry]]
        width = np.minimum(grams, whole)
        size = np.where(own >= np.maximum(width, 1), own - np.maximum(width - 2, 0), 0)
        covered.append(np.add.reduceat(_fresh(part, begin, begin + size), heads))
    return group[heads], entry[heads], covered[0], covered[1]


def _fresh(part: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """How much of each interval no interval before it, of the same part, has; parts and their begins ascend."""
    scale = np.int64(end.max() + 1)
    reach = np.maximum.accumulate(end + part * scale) - part * scale
    before = np.where(np.append(False, part[1:] == part[:-1]), np.append(0, reach[:-1]), 0)
    return np.asarray(np.maximum(end - np.maximum(begin, before), 0))


def longest_span(definition: LongestSpanDefinition, found: Stretches, texts: Texts, least: int) -> Found:
    """The longest run of each item, as a fraction of its question, or of all its input, or of an output."""
    if not len(found.row):
        return ngram(NgramDefinition(), found, texts, least)
    chains = join(found, definition.skip_words) if definition.skip_words else found
    inputs, outputs, weight = chains.inputs, chains.outputs, chains.weight
    entry = chains.entry
    kind, sizes = texts.kind[entry], measure(texts)
    item = np.searchsorted(sizes.items, chains.item)
    asked = sizes.question[item] + sizes.passage[item]
    of_question = np.where(kind == TextKind.ITEM, _divide(inputs, texts.inputs[entry]), 0)
    listed = np.where(
        kind == TextKind.CHOICES, _divide(weight, asked + sizes.choices[item]), _divide(inputs, asked)
    )
    share_in = np.maximum(of_question, listed)
    long_enough = (texts.outputs[entry] >= _SHORTEST_OUTPUT) & (kind != TextKind.CHOICES)
    share_out = np.where(long_enough, _divide(outputs, texts.outputs[entry]), 0)
    sides = [share >= definition.min_fraction for share in (share_in, share_out)]
    tells = telling(chains, texts, 2 * definition.min_words, least)
    keep = tells & (sides[0] | sides[1])
    return collect(_runs(chains, keep, sides[0], sides[1], np.maximum(share_in, share_out)))


def join(found: Stretches, skip: int) -> Stretches:
    """Stretches of one text joined where document and text go on after at most `skip` words.

    Every stretch ends one chain, the heaviest that ends there; what lies between the stretches has no weight.
    """
    order = np.lexsort((found.text_first, found.first, found.entry, found.group))
    part = group_numbers(found.group[order], found.entry[order])
    places = (found.first[order], found.text_first[order], found.words[order])
    before = chain_runs(part, *places, found.weight[order], skip)
    sums = [column[order].copy() for column in (found.weight, found.inputs, found.outputs)]
    start = found.start[order].copy()
    for k in np.flatnonzero(before >= 0).tolist():  # ascending, so what comes before is complete
        start[k] = start[before[k]]
        for total in sums:
            total[k] += total[before[k]]
    back = np.argsort(order)
    weight, inputs, outputs = (total[back] for total in sums)
    return found._replace(start=start[back], weight=weight, inputs=inputs, outputs=outputs)
