"""Where a batch of texts and an index have runs of words in common."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stages.decontamination._alphabet import benchmark_alphabet
from stages.decontamination._documents import Documents, open_documents, resolve_text
from stages.decontamination._index import BenchmarkIndex, make_set
from stages.decontamination._kernels import Seeds, find_all, hash_runs, search_rare, search_rows
from stages.kernels.buffers import text_buffers
from stages.kernels.words import hash_words

_NO_SET = make_set(np.zeros(0, np.uint64))


class Matches(NamedTuple):
    """Maximal common runs of words; int64 arrays of one length, by row, first byte, text and place in it."""

    row: np.ndarray
    start: np.ndarray  # bytes in the row's text as given
    end: np.ndarray
    first: np.ndarray  # word of the row, entities resolved
    words: np.ndarray
    text: np.ndarray  # number in the index
    text_first: np.ndarray  # word within that text


class RareMatches(NamedTuple):
    """Rare grams of the index; int64 arrays of one length, by row, first byte, text and place in it."""

    row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    first: np.ndarray
    text: np.ndarray
    text_first: np.ndarray
    gram: np.ndarray  # number in index.rare


def seeds_of(index: BenchmarkIndex) -> Seeds:
    """An index as the search wants it."""
    return Seeds(
        index.seed_words,
        index.seeds,
        index.seed_starts,
        index.seed_places,
        index.words,
        index.text_starts,
        index.min_short_words,
        index.anchors,
        index.shorts,
        index.short_texts,
    )


def find_matches(column: pa.Array, index: BenchmarkIndex) -> Matches:
    """Every run of words that a text has in common with a text of the index, as long as it can be.

    A run has at least a seed's words and one seed that is no boilerplate, or is a SHORT text, whole.

    Args:
        column: (large_)string; a null has no match.
        index: of read_index().
    """
    documents = open_documents(column)
    data, offsets = text_buffers(documents.column)
    found = search_rows(data, offsets, *benchmark_alphabet(index.tokens), seeds_of(index))
    matches = Matches(*_as_given(found, documents).T)
    return _sorted(matches, (matches.text_first, matches.text, matches.start, matches.row))  # type: ignore[return-value]


def rare_matches(column: pa.Array, index: BenchmarkIndex) -> RareMatches:
    """Every rare gram that a text has, once for each place where the index has it.

    Raises:
        ValueError: the index was built without rare grams.
    """
    if index.rare is None:
        raise ValueError("rare_ngrams: the index has no rare grams; give build_ngram_index rare_words: 5")
    rare = index.rare
    seeds = seeds_of(index)._replace(
        width=rare.width,
        grams=rare.grams,
        starts=rare.starts,
        places=rare.places,
        anchors=_NO_SET,
        shorts=_NO_SET,
    )
    documents = open_documents(column)
    data, offsets = text_buffers(documents.column)
    found = search_rare(data, offsets, *benchmark_alphabet(index.tokens), seeds)
    matches = RareMatches(*_as_given(found, documents).T)
    return _sorted(matches, (matches.text_first, matches.text, matches.start, matches.row))  # type: ignore[return-value]


def _as_given(found: np.ndarray, documents: Documents) -> np.ndarray:
    """Matches with bytes of the texts as given."""
    found[:, 1], found[:, 2] = documents.as_given(found[:, 0], found[:, 1], found[:, 2])
    return found


def _sorted(matches: Matches | RareMatches, keys: tuple[np.ndarray, ...]) -> Matches | RareMatches:
    order = np.lexsort(keys)
    return type(matches)(*(np.ascontiguousarray(column[order]) for column in matches))


def hash_text(text: str, index: BenchmarkIndex) -> np.ndarray:
    """The words of a text as the index has them, uint64."""
    return locate_words(text.encode(), index)[0]


def locate_words(raw: bytes, index: BenchmarkIndex) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A text's words as the index has them: hashes, first bytes and end bytes in the text as given."""
    resolved = resolve_text(raw)
    text = raw if resolved is None else resolved.text
    words = hash_words(
        pa.array([text.decode()], pa.large_string()), benchmark_alphabet(index.tokens), located=True
    )
    if resolved is None or not len(words.hashes):
        return words.hashes, words.starts, words.ends
    return words.hashes, resolved.starts(words.starts), resolved.ends(words.ends - 1)


def seed_counts_of(matches: Matches, index: BenchmarkIndex, counts: np.ndarray) -> np.ndarray:
    """The fewest documents that have one of a match's seeds, int64 by match; 0 where a match has none.

    Boilerplate is no seed, and is left out. A run of words stands in no more documents than its rarest seed.

    Args:
        matches: of find_matches().
        index: the same.
        counts: documents by seed, of read_counts().
    """
    runs = np.maximum(matches.words - index.seed_words + 1, 0)
    owner = np.repeat(np.arange(len(runs)), runs)
    within = np.arange(len(owner)) - (np.cumsum(runs) - runs)[owner]
    places = index.text_starts[matches.text[owner]] + matches.text_first[owner] + within
    seeds = find_all(hash_runs(index.words, places, index.seed_words), index.seeds)
    fewest = np.full(len(runs), np.iinfo(np.int64).max)
    known = seeds >= 0
    np.minimum.at(fewest, owner[known], counts[seeds[known]].astype(np.int64))
    fewest[fewest == np.iinfo(np.int64).max] = 0
    return fewest
