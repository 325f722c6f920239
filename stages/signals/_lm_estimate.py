"""Interpolated modified Kneser-Ney n-gram probabilities, estimated with sorted arrays.

Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 4.1.6; the form and
the treatment of pruning are those of Heafield et al. 2013, "Scalable Modified Kneser-Ney Language Model Estimation".
An n-gram is known by a 64-bit hash of its word numbers; among 10^8 of them two share one with probability 3e-4.

Memory: about 45 bytes for each token and order at the peak.
"""

from typing import NamedTuple

import numpy as np

from stages.signals._lm_kernels import BOS, UNK, hash_ngrams

MAX_DISCOUNT = 3  # discounts are for counts of 1, 2, and 3 or more
FALLBACK = (0.5, 1.0, 1.5)  # where counts of counts give none, as in lmplz --discount_fallback


class Ngrams(NamedTuple):
    """The n-grams of one order, by ascending hash."""

    hashes: np.ndarray  # uint64
    places: np.ndarray  # int64: where one occurrence of each begins in the token array; -1 = <unk>, not seen
    probs: np.ndarray  # float64: log10 of the interpolated probability
    backoffs: np.ndarray  # float64: log10 of what is left for words not seen after it; 0 if nothing followed


class _Types(NamedTuple):
    hashes: np.ndarray
    places: np.ndarray
    counts: np.ndarray  # int64: occurrences
    adjusted: np.ndarray  # int64: occurrences, or how many words stand before it


def estimate(tokens: np.ndarray, order: int, prune: int, vocabulary: int) -> list[Ngrams]:
    """Probabilities of all n-grams of 1 to `order` words that occur.

    Args:
        tokens: int32 word numbers of all lines, each between BOS and EOS.
        order: longest n-gram.
        prune: n-grams of 3 and more words that occur no more often than this are left out.
        vocabulary: how many word numbers there are; each gets a probability, seen or not.
    """
    found = [_types_of(tokens, n) for n in range(1, order + 1)]
    for n in range(order - 1):
        found[n] = found[n]._replace(adjusted=_adjusted(tokens, found[n], found[n + 1], n + 1))
    models: list[Ngrams] = []
    for n, types in enumerate(found, 1):
        lower = models[-1] if models else None
        if lower is not None and not len(lower.hashes):  # all of the order below was pruned, so all here is
            models.append(lower)
            continue
        probs, contexts, left = _probabilities(tokens, types, n, lower, prune if n > 2 else 0, vocabulary)
        if lower is not None:
            at = np.minimum(np.searchsorted(lower.hashes, contexts), len(lower.hashes) - 1)
            known = lower.hashes[at] == contexts  # else it was pruned, and so was all that followed it
            lower.backoffs[at[known]] = np.log10(left[known])
        kept = types.counts > prune if n > 2 else np.ones(len(types.hashes), bool)
        columns = (types.hashes[kept], types.places[kept], probs[kept], np.zeros(int(kept.sum())))
        models.append(
            Ngrams(*columns) if lower else _with_unknown(Ngrams(*columns), tokens, left, vocabulary)
        )
    return models


def _with_unknown(unigrams: Ngrams, tokens: np.ndarray, left: np.ndarray, vocabulary: int) -> Ngrams:
    """With <unk>, which gets its share of what is left if no unknown word was seen."""
    if (tokens == UNK).any():
        return unigrams
    own = hash_ngrams(np.array([UNK], np.int32), 1)[0]
    at = np.searchsorted(unigrams.hashes, own)
    new = (own, np.array([-1]), np.log10(left / (vocabulary - 1)), np.zeros(1))
    return Ngrams(*(np.insert(column, at, value) for column, value in zip(unigrams, new, strict=True)))


def _types_of(tokens: np.ndarray, n: int) -> _Types:
    """The distinct n-grams that lie within one line."""
    hashes, places = hash_ngrams(tokens, n)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else order
    counts = np.diff(np.append(first, len(ordered)))
    return _Types(ordered[first], places[order[first]], counts, counts)


def _adjusted(tokens: np.ndarray, types: _Types, longer: _Types, n: int) -> np.ndarray:
    """How many words stand before each n-gram; for those that begin a line, how often they occur."""
    suffixes = hash_ngrams(tokens, n, longer.places + 1)[0]
    distinct = np.bincount(np.searchsorted(types.hashes, suffixes), minlength=len(types.hashes))
    return np.where(tokens[types.places] == BOS, types.counts, distinct)


def discounts(adjusted: np.ndarray) -> tuple[float, float, float]:
    """What is taken off counts of 1, 2 and more (Chen and Goodman, equation 26).

    >>> discounts(np.array([1, 1, 1, 1, 2, 2, 3, 4]))
    (0.5, 1.25, 1.0)
    """
    n1, n2, n3, n4 = (int((adjusted == k).sum()) for k in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    # one of 0 would leave nothing for words not seen, whose probability would be 0
    return found if all(0 < d <= k for k, d in enumerate(found, 1)) else FALLBACK


def _probabilities(
    tokens: np.ndarray, types: _Types, n: int, lower: Ngrams | None, prune: int, vocabulary: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log10 probability of each n-gram; the contexts there are, and what each leaves for other words."""
    begins = (tokens[types.places] == BOS) & (n == 1)  # <s> is never predicted
    adjusted = np.where(begins, 0, types.adjusted)
    context_of = hash_ngrams(tokens, n - 1, types.places)[0] if n > 1 else np.zeros(len(adjusted), np.uint64)
    contexts, group = np.unique(context_of, return_inverse=True)
    totals = np.bincount(group, adjusted, len(contexts))
    off = np.array([0.0, *discounts(adjusted)])[np.minimum(adjusted, MAX_DISCOUNT)]
    pruned = types.counts <= prune
    taken = np.where(pruned, adjusted, off)  # a pruned n-gram leaves all of its mass to the others
    left = np.bincount(group, taken, len(contexts)) / totals
    own = np.maximum(adjusted - off, 0) / totals[group]
    if lower is None:
        below = np.full(len(adjusted), 1 / (vocabulary - 1))  # all words but <s>
    else:
        suffixes = hash_ngrams(tokens, n - 1, types.places + 1)[0]
        at = np.searchsorted(lower.hashes, suffixes)
        at[pruned] = 0  # their suffix may be gone, and their probability is not asked for
        below = 10.0 ** lower.probs[np.minimum(at, len(lower.hashes) - 1)]
    probs = own + left[group] * below
    with np.errstate(divide="ignore"):
        logs = np.log10(np.where(begins, 0, probs))
    return np.where(begins, -99.0, logs), contexts, left
