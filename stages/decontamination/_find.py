"""All definitions over the matches of one batch."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stages.decontamination._classes import Classes, Judge, Scene, classify, heads_in, question_heads
from stages.decontamination._context import Lexicon, Page, open_page, read_lexicon
from stages.decontamination._definitions import (
    CoverageDefinition,
    Definition,
    LongestSpanDefinition,
    RareNgramsDefinition,
    ShortDefinition,
)
from stages.decontamination._facts import read_facts
from stages.decontamination._index import BenchmarkIndex
from stages.decontamination._leaks import Leaks, gather
from stages.decontamination._matches import (
    Matches,
    RareMatches,
    find_matches,
    locate_words,
    rare_matches,
    seed_counts_of,
)
from stages.decontamination._measures import Found, coverage, longest_span, ngram
from stages.decontamination._rare import find_rare, items_of
from stages.decontamination._short import find_short
from stages.decontamination._stretches import expand, list_stretches, list_texts
from stages.decontamination.count_hits import read_counts
from stages.kernels.buffers import text_buffers

_PAGES = 256  # documents whose words are kept, for the next definition


class Reader(NamedTuple):
    """How documents are read beyond their matches."""

    lexicon: Lexicon
    counts: np.ndarray | None  # documents of the corpus that have each seed


def open_reader(index: BenchmarkIndex, counts: Path | None) -> Reader:
    """What reads documents; `counts` is the folder of a count_ngram_hits node."""
    return Reader(read_lexicon(index), read_counts(counts, index) if counts else None)


def find_leaks(
    column: pa.Array,
    index: BenchmarkIndex,
    reader: Reader,
    definitions: Sequence[Definition],
    decides: Sequence[Sequence[bool]],
    answer_words: int,
) -> Leaks | None:
    """What every definition finds in a batch, places in bytes; None if the batch shares nothing with the index.

    Args:
        column: the texts.
        index: the index.
        reader: see there.
        definitions: params.
        decides: for each definition, whether it decides with each of CLASSES.
        answer_words: words around a question in which short answers are looked for.
    """
    matches = find_matches(column, index)
    wants_rare = any(isinstance(definition, RareNgramsDefinition) for definition in definitions)
    rare = rare_matches(column, index) if wants_rare else None
    if not len(matches.row) and (rare is None or not len(rare.row)):
        return None
    match, item = expand(matches, index)
    scene = _set_scene(column, match, item, matches, rare, index, reader)
    judge = Judge(scene, answer_words)
    fewest = None
    if reader.counts is not None:
        fewest = seed_counts_of(matches, index, reader.counts)[match]
    finds = [_find(definition, judge, rare, index, fewest) for definition in definitions]
    leaks = gather(finds, decides)
    return leaks if len(leaks.row) else None


def _find(
    definition: Definition,
    judge: Judge,
    rare: RareMatches | None,
    index: BenchmarkIndex,
    fewest: np.ndarray | None,
) -> tuple[Found, Classes]:
    """One definition's finds; `fewest` are the documents that have each stretch's rarest seed."""
    stretches, texts = judge.scene.stretches, judge.scene.texts
    least = 2 * index.seed_words
    if isinstance(definition, ShortDefinition):
        return find_short(definition, Judge(judge.scene, definition.context_words), least)
    if isinstance(definition, RareNgramsDefinition):
        if rare is None:
            raise ValueError(f"{definition.title}: rare n-grams were not looked for")
        found = find_rare(definition, rare, index, texts)
        return found, classify(found, judge, loose=True)
    if isinstance(definition, CoverageDefinition):
        found = coverage(definition, stretches, texts, least)
    elif isinstance(definition, LongestSpanDefinition):
        found = longest_span(definition, stretches, texts, least)
    else:
        allowed = None
        if definition.max_documents is not None and fewest is not None:
            allowed = fewest <= definition.max_documents
        found = ngram(definition, stretches, texts, least, allowed)
    return found, classify(found, judge)


def _set_scene(
    column: pa.Array,
    match: np.ndarray,
    item: np.ndarray,
    matches: Matches,
    rare: RareMatches | None,
    index: BenchmarkIndex,
    reader: Reader,
) -> Scene:
    """What the batch shares with the index, by item, and how to look further."""
    facts = functools.cache(lambda number: read_facts(number, index, reader.lexicon.labels))
    items = np.unique(item)
    if rare is not None:
        items = np.union1d(items, items_of(rare, index))
    texts = list_texts(items, index, [facts(k) for k in items.tolist()])
    stretches = list_stretches(match, item, matches, texts)
    scale = index.items.num_rows
    page = functools.lru_cache(_PAGES)(lambda row: _open_page(column, row, index, reader.lexicon))
    keys = stretches.row * scale + stretches.item
    places = question_heads(stretches, texts)
    heads = functools.lru_cache(_PAGES)(lambda row: heads_in(places, row))
    return Scene(stretches, texts, keys, scale, heads, page, facts, reader.lexicon)


def _open_page(column: pa.Array, row: int, index: BenchmarkIndex, lexicon: Lexicon) -> Page:
    data, offsets = text_buffers(column.slice(row, 1))
    raw = data[offsets[0] : offsets[1]].tobytes()
    return open_page(raw, *locate_words(raw, index), lexicon)
