"""Seeds of texts: the runs of words by which they are found, boilerplate left out."""

from typing import NamedTuple

import numpy as np

from stages.decontamination._index import TextKind
from stages.decontamination._index_kernels import hash_texts, spread_of
from stages.decontamination._kernels import hash_runs

SEEDED = (TextKind.ITEM, TextKind.OUTPUT, TextKind.CHOICES, TextKind.PASSAGE)
MOST_WITHIN = 8  # places of a run in one text; more is a pattern that repeats itself, and no evidence


class Grams(NamedTuple):
    """Runs of words and where they stand."""

    values: np.ndarray  # uint64, ascending, distinct
    starts: np.ndarray  # int64, one more than values
    places: np.ndarray  # int64, ascending for each value
    texts: np.ndarray  # int64 by value: in how many texts it stands
    left_out: int  # values that stand in more than `most` texts, or too often in one


def places_of(starts: np.ndarray, kinds: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """First words of all runs of `width` words in texts that have seeds, ascending; and the text of each."""
    runs = np.where(np.isin(kinds, SEEDED), np.maximum(np.diff(starts) - width + 1, 0), 0)
    text = np.repeat(np.arange(len(kinds)), runs)
    return np.arange(len(text)) - (np.cumsum(runs) - runs)[text] + starts[text], text


def list_grams(words: np.ndarray, starts: np.ndarray, kinds: np.ndarray, width: int, most: int) -> Grams:
    """Runs of `width` words that stand in at most `most` texts, and not more than MOST_WITHIN times in one.

    Args:
        words: of all texts.
        starts: of the texts.
        kinds: of the texts; those for look-ups have no seeds.
        width: words to a run.
        most: texts that may share one; more have it for boilerplate.
    """
    places, text = places_of(starts, kinds, width)
    hashes = hash_runs(words, places, width)
    order = np.argsort(hashes, kind="stable")
    hashes, places, text = hashes[order], places[order], text[order]
    firsts, several, within = spread_of(hashes, text)
    sizes = np.diff(np.append(firsts, len(hashes)))
    keep = (several <= most) & (within <= MOST_WITHIN)
    kept_sizes = sizes[keep]
    return Grams(
        hashes[firsts[keep]],
        np.concatenate([[0], np.cumsum(kept_sizes)]).astype(np.int64),
        places[np.repeat(keep, sizes)],
        several[keep],
        int((~keep).sum()),
    )


def list_shorts(
    words: np.ndarray, starts: np.ndarray, kinds: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of SHORT texts: hashes of their first `width` words, distinct; hashes of the wholes, and the text of each."""
    texts = np.flatnonzero(kinds == TextKind.SHORT)
    anchors = np.unique(hash_runs(words, starts[texts], width))
    wholes = hash_texts(words, starts, texts)
    values, first = np.unique(wholes, return_index=True)
    return anchors, values, texts[first].astype(np.int64)


def rare_weights(grams: Grams, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of rare grams: idf by gram, float32, and the sum over the distinct ones of each text, float64.

    idf = ln(1 + texts / texts that have it).
    """
    total = len(starts) - 1
    idf = np.log1p(total / grams.texts).astype(np.float32)
    sizes = np.diff(grams.starts)
    gram = np.repeat(np.arange(len(grams.values)), sizes)
    text = np.searchsorted(starts, grams.places, side="right") - 1
    once = np.ones(len(gram), bool)
    once[1:] = (gram[1:] != gram[:-1]) | (text[1:] != text[:-1])
    sums = np.bincount(text[once], weights=idf[gram[once]].astype(np.float64), minlength=total)
    return idf, sums
