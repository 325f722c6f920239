"""Items told by their rare n-grams: those that stand close together, weighed by how rare they are."""

import numpy as np

from stages.decontamination._definitions import RareNgramsDefinition
from stages.decontamination._index import BenchmarkIndex, Rare, TextKind
from stages.decontamination._kernels import find_all, hash_runs
from stages.decontamination._matches import RareMatches
from stages.decontamination._measures import Found, Runs, collect
from stages.decontamination._stretches import Texts, group_numbers, heads_of, runs

_NONE = np.zeros(0, np.int64)


def items_of(rare: RareMatches, index: BenchmarkIndex) -> np.ndarray:
    """The items that have one of the texts found, ascending, distinct."""
    texts = np.unique(rare.text)
    owner, within = runs(np.diff(index.text_item_starts)[texts])
    return np.unique(index.text_items[index.text_item_starts[texts[owner]] + within]).astype(np.int64)


def find_rare(
    definition: RareNgramsDefinition, rare: RareMatches, index: BenchmarkIndex, texts: Texts
) -> Found:
    """Items one of whose texts has enough of its rare n-grams, of its input or its output, in one cluster.

    A cluster must have as many n-grams as lie in a seed, so that an item with few of them is not found by one.
    """
    if index.rare is None:
        raise ValueError(f"{definition.title}: the index has no rare n-grams; build it with rare_words: 5")
    match, entry = _expand(rare, index, texts)
    own = RareMatches(*(column[match] for column in rare))
    item, width = texts.item[entry], index.rare.width
    fresh = np.diff(own.first, prepend=0) > definition.max_gap + 1
    part = group_numbers(own.row, item, entry)
    cluster = group_numbers(part, np.cumsum(fresh))
    side = _sides(texts, entry, own.text_first, width)
    clusters = int(cluster.max(initial=-1)) + 1
    scores, counts = (
        np.zeros((2, clusters)),
        np.zeros(clusters),
    )
    once = np.unique(np.column_stack([cluster, own.gram, side]), axis=0, return_index=True)[1]
    totals = _totals(texts, index, index.rare)
    for number in (0, 1):
        chosen = once[side[once] == number]
        whole = np.maximum(totals[number][entry[chosen]], 1e-9)
        np.add.at(scores[number], cluster[chosen], index.rare.idf[own.gram[chosen]] / whole)
        np.add.at(counts, cluster[chosen], 1)
    heads = heads_of(cluster)
    start, end = own.start[heads], _maxima(own.end, heads)
    sides = [score >= definition.min_score for score in scores]
    keep = (counts + width > index.seed_words) & (sides[0] | sides[1])
    columns = (own.row[heads], item[heads], start, end, end - start, *sides, np.minimum(scores.max(0), 1))
    kept = [column[keep] for column in columns]
    order = np.lexsort((kept[2], kept[1], kept[0]))
    return collect(Runs(*(column[order] for column in kept)))


def _maxima(values: np.ndarray, heads: np.ndarray) -> np.ndarray:
    return np.maximum.reduceat(values, heads) if len(heads) else _NONE


def _expand(rare: RareMatches, index: BenchmarkIndex, texts: Texts) -> tuple[np.ndarray, np.ndarray]:
    """(number of the match, entry of texts), for each item; by row, entry and place in the document."""
    match, within = runs(np.diff(index.text_item_starts)[rare.text])
    item = np.asarray(index.text_items[index.text_item_starts[rare.text[match]] + within], np.int64)
    entry = texts.find(item, rare.text[match])
    order = np.lexsort((rare.text_first[match], rare.first[match], entry, rare.row[match]))
    return match[order], entry[order]


def _sides(texts: Texts, entry: np.ndarray, first: np.ndarray, width: int) -> np.ndarray:
    """0: an n-gram of an input; 1: of an output; 2: of both, or of words repeated from a question."""
    lead, kind = texts.lead[entry], texts.kind[entry]
    inside, behind = first + width <= lead, first >= lead
    told = (kind == TextKind.ITEM) | (kind == TextKind.OUTPUT)
    asked = np.where(kind == TextKind.CHOICES, ~inside, inside & (kind != TextKind.OUTPUT))
    return np.where(told & behind, 1, np.where(asked, 0, 2))


def _totals(texts: Texts, index: BenchmarkIndex, rare: Rare) -> np.ndarray:
    """Weights of all different rare n-grams of each entry's input and output, float64 (2, entries)."""
    owner, first = runs(np.maximum(texts.words - rare.width + 1, 0))
    starts = index.text_starts[texts.text[owner]] + first
    gram = find_all(hash_runs(index.words, starts, rare.width), rare.grams)
    side = _sides(texts, owner, first, rare.width)
    once = np.unique(np.column_stack([owner, side, gram])[gram >= 0], axis=0)
    totals = np.zeros((3, len(texts.item)))
    np.add.at(totals, (once[:, 1], once[:, 0]), rare.idf[once[:, 2]])
    return totals[:2]
