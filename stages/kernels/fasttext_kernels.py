"""The compiled half of fastText prediction: words, n-grams, hidden layer, losses. See `stages/kernels/fasttext.py`."""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.fasttext_file import EOS, HS
from stages.kernels.fasttext_losses import NO_LABEL, best_leaf, fill_probabilities, leaf_score, log_of

KEEP_ALL = -1
LONGEST_CACHED = 40  # bytes of a word; longer ones seldom come again
BLOCK = 256  # n-grams that are looked up together

_SKIP = -1  # rows of a token that is a label: it is no word
_STOP = -2  # of the token that ends a line
FNV_BASIS, _EOS_HASH = 2166136261, 3617362777
_PREFIX = np.frombuffer(b"__label__", np.uint8)
_EOS = np.frombuffer(EOS, np.uint8)


class Tables(NamedTuple):
    """A model as kernels read it."""

    word_ngrams: int
    minn: int
    maxn: int
    bucket: int
    loss: int
    words: int
    entries: np.ndarray  # uint8: words, then labels; entry_ends int64 says where each ends
    entry_ends: np.ndarray
    entry_hashes: np.ndarray  # uint32
    entry_table: np.ndarray  # int32: open addressing, -1 = empty
    line_end: int  # the number of the word that ends a line, or -1
    kept: int  # KEEP_ALL, else how many n-grams were not pruned
    kept_bits: (
        np.ndarray
    )  # uint64: a bit for each bucket; rows of n-grams stand in the order of their buckets
    kept_before: np.ndarray  # int32: bits set before each of these words
    rows: np.ndarray  # float32 (rows, dim), or (0, dim) where codes are read
    codes: np.ndarray  # uint8 (rows, subquantizers)
    centroids: np.ndarray
    norms: np.ndarray
    width: int
    output: np.ndarray  # float32 (labels, dim)
    parents: np.ndarray  # int32: the Huffman tree of hierarchical softmax; leaves are labels
    left: np.ndarray
    right: np.ndarray
    sigmoid: np.ndarray  # float32: the table that fastText uses for ns and ova


class WordCache(NamedTuple):
    """Sums of words met before; direct-mapped, so a word can push out another."""

    hashes: np.ndarray  # uint32
    lengths: np.ndarray  # uint8, 0 = free
    keys: np.ndarray  # uint8 (slots, LONGEST_CACHED)
    counts: np.ndarray  # int32: rows summed, or _SKIP, _STOP
    sums: np.ndarray  # float32 (slots, dim)
    numbers: np.ndarray  # int64 (BLOCK,): n-grams of the word at hand
    pending: np.ndarray  # int64 (BLOCK + word_ngrams + 2,): rows still to be added


@njit(inline="always")
def fnv_step(h, byte):
    """One step of FNV-1a as fastText takes it: the byte is sign-extended."""
    return np.uint32((h ^ np.uint32(np.int8(byte))) * np.uint32(16777619))  # numba widens products


@njit(inline="always")
def slot_of(h, mask):
    """A place in a table of mask + 1 slots; FNV's low bits alone are not even."""
    return np.int64(np.uint32(np.uint32(h) * np.uint32(2654435769)) >> np.uint32(7)) & mask


@njit(cache=True, nogil=True)
def index_words(words, ends, slots):
    """FNV-1a of each word, and an open-addressing table of the words' numbers."""
    hashes = np.empty(len(ends) - 1, np.uint32)
    table = np.full(slots, -1, np.int32)
    for word in range(len(hashes)):
        h = np.uint32(FNV_BASIS)
        for i in range(ends[word], ends[word + 1]):
            h = fnv_step(h, words[i])
        hashes[word] = h
        at = slot_of(h, slots - 1)
        while table[at] >= 0:
            at = (at + 1) & (slots - 1)
        table[at] = word
    return hashes, table


@njit(inline="always")
def _equals(data, start, end, word):
    if end - start != len(word):
        return False
    for k in range(len(word)):  # noqa: SIM110 - all() of a generator does not compile
        if data[start + k] != word[k]:
            return False
    return True


@njit(inline="always")
def _entry(data, start, end, h, table, hashes, entries, bounds):
    """The number of a word or label of the dictionary, or -1."""
    mask = len(table) - 1
    at = slot_of(h, mask)
    while True:
        word = np.int64(table[at])
        if word < 0:
            return word
        if hashes[word] == h:
            first = bounds[word]
            k = np.int64(0)
            if bounds[word + 1] - first == end - start:
                while k < end - start and entries[first + k] == data[start + k]:
                    k += 1
                if k == end - start:
                    return word
        at = (at + 1) & mask


@njit(inline="always")
def _kind(data, start, end, word, words):
    """_STOP, _SKIP, or 0 for a word, of a token that the dictionary has as `word`."""
    if _equals(data, start, end, _EOS):
        return _STOP
    if word >= words:
        return _SKIP
    prefix = start + len(_PREFIX)
    return _SKIP if word < 0 and prefix <= end and _equals(data, start, prefix, _PREFIX) else 0


@njit(inline="always")
def _popcount(x):
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(inline="always")
def _kept_row(number, bits, before):
    """What the row of an n-gram's bucket is, counted after the words; its bit must be set."""
    below = bits[number >> 6] & ((np.uint64(1) << np.uint64(number & 63)) - np.uint64(1))
    return before[number >> 6] + _popcount(below)


@njit(inline="always")
def _is_kept(number, bits):
    return np.int64((bits[number >> 6] >> np.uint64(number & 63)) & np.uint64(1))


@njit(cache=True, nogil=True)
def _add_row(total, row, m):
    dim = len(total)
    if len(m.rows):
        for k in range(dim):
            total[k] += m.rows[row, k]
        return
    norm = m.norms[row]
    for part in range(m.codes.shape[1]):
        first = part * m.width
        wide = min(m.width, dim - first)
        at = first * 256 + np.int64(m.codes[row, part]) * wide
        for k in range(wide):
            total[first + k] += norm * m.centroids[at + k]


@njit(inline="always")
def _sum_subwords(data, start, end, m, numbers, total):
    """Add the rows of `<word>`'s n-grams; returns how many. Characters are UTF-8; `<` and `>` stand around.

    Numbers of n-grams are gathered, the pruned dropped without a branch, and the rows added, block by block:
    three simple loops whose loads overlap are several times as fast as one that waits for each.
    """
    minn, maxn, bucket = m.minn, m.maxn, np.uint32(m.bucket)
    filled, found = 0, 0
    last = end - start + 2  # positions 0 = "<", 1.. the word's bytes, last - 1 = ">"
    for i in range(last):
        if 0 < i < last - 1 and (data[start + i - 1] & 0xC0) == 0x80:
            continue
        h = np.uint32(FNV_BASIS)
        j, n = i, 1
        while j < last and n <= maxn:
            h = fnv_step(
                h, np.uint8(60) if j == 0 else np.uint8(62) if j == last - 1 else data[start + j - 1]
            )
            j += 1
            while j < last - 1 and (data[start + j - 1] & 0xC0) == 0x80:
                h = fnv_step(h, data[start + j - 1])
                j += 1
            if n >= minn and not (n == 1 and (i == 0 or j == last)):
                numbers[filled] = h % bucket
                filled += 1
                if filled == BLOCK:
                    found += _add_block(numbers, filled, m, total)
                    filled = 0
            n += 1
    return found + _add_block(numbers, filled, m, total)


@njit(inline="always")
def _add_block(numbers, filled, m, total):
    """Add the rows of n-grams by number; returns how many were not pruned."""
    words, rows, dim = np.int64(m.words), m.rows, len(total)
    found = filled
    if m.kept != KEEP_ALL:
        bits, before = m.kept_bits, m.kept_before
        found = 0
        for k in range(filled):
            number = numbers[k]
            numbers[found] = number
            found += _is_kept(number, bits)
        for k in range(found):
            numbers[k] = _kept_row(numbers[k], bits, before)
    if len(rows) == 0:
        for k in range(found):
            _add_row(total, words + numbers[k], m)
        return found
    for k in range(found):
        row = words + numbers[k]
        for d in range(dim):
            total[d] += rows[row, d]
    return found


@njit(inline="always")
def fill_slot(data, start, end, h, slot, m, cache):
    """Sum up a token's rows in a slot of the cache; one that is too long to be kept leaves it free."""
    sums = cache.sums[slot]
    sums[:] = 0
    word = _entry(data, start, end, h, m.entry_table, m.entry_hashes, m.entries, m.entry_ends)
    count = np.int64(_kind(data, start, end, word, m.words))
    if count == 0:
        if word >= 0:
            _add_row(sums, word, m)
            count += 1
        count += _sum_subwords(data, start, end, m, cache.numbers, sums)
    size = end - start
    cache.hashes[slot], cache.counts[slot] = h, count
    cache.lengths[slot] = size if size <= LONGEST_CACHED else 0
    keys = cache.keys[slot]
    for k in range(min(size, LONGEST_CACHED)):
        keys[k] = data[start + k]


@njit(inline="always")
def _chain(h, chains, filled):
    """Make each word n-gram one word longer, and start another; returns how many there are."""
    value = np.uint64(np.int64(np.int32(h)))  # int32 to uint64 with its sign, as fastText does
    for k in range(min(filled, len(chains) - 1), 0, -1):
        chains[k] = chains[k - 1] * np.uint64(116049371) + value
    chains[0] = value
    return min(filled + 1, len(chains))


@njit(inline="always")
def _add_pending(pending, filled, rows, m, total):
    """Add rows by number, all at once, so that their loads overlap."""
    if len(rows) == 0:
        for k in range(filled):
            _add_row(total, pending[k], m)
        return
    for k in range(filled):
        row = pending[k]
        for d in range(len(total)):
            total[d] += rows[row, d]


@njit(cache=True, nogil=True)
def mean_of_rows(data, start, end, m, cache, space, hidden, chains):
    """Mean row of a text in `hidden`; returns how many rows, 0 if the text has no word."""
    # once: each look into a tuple of arrays costs
    hashes, lengths, keys, counts, sums, _, pending = cache
    table, entry_hashes, entries, entry_ends, rows = (
        m.entry_table,
        m.entry_hashes,
        m.entries,
        m.entry_ends,
        m.rows,
    )
    bucket, dictionary, room = np.uint64(m.bucket), m.words, len(pending) - len(chains) - 2
    keeps_all, bits, before = m.kept == KEEP_ALL, m.kept_bits, m.kept_before
    mask, dim = len(hashes) - 1, len(hidden)
    hidden[:] = 0
    count, words, waiting, filled, i, has_subwords = np.int64(0), 0, 0, 0, start, m.maxn > 0
    at_end = False
    while not at_end:
        while i < end and space[data[i]]:
            i += 1
        h, first, kind = np.uint32(FNV_BASIS), i, np.int64(0)
        while i < end and not space[data[i]]:
            h = fnv_step(h, data[i])
            i += 1
        if i == first:
            kind = np.int64(_STOP)
        elif has_subwords:
            slot = slot_of(h, mask)
            same = hashes[slot] == h and lengths[slot] == i - first
            k = 0
            while same and k < i - first:
                same = keys[slot, k] == data[first + k]
                k += 1
            if not same:
                fill_slot(data, first, i, h, slot, m, cache)
            kind = np.int64(counts[slot])
            if kind > 0:
                for d in range(dim):
                    hidden[d] += sums[slot, d]
                count += kind
        else:
            word = _entry(data, first, i, h, table, entry_hashes, entries, entry_ends)
            kind = np.int64(_kind(data, first, i, word, dictionary))
            if kind == 0 and word >= 0:
                pending[waiting] = word
                waiting += 1
        if kind == _SKIP:
            continue
        at_end = kind == _STOP
        if at_end:
            h = np.uint32(_EOS_HASH)
            if m.line_end >= 0:
                pending[waiting] = m.line_end
                waiting += 1
        else:
            words += 1
        if len(chains) > 0:
            filled = _chain(h, chains, filled)
            for k in range(1, filled):
                number = np.int64(chains[k] % bucket)
                if keeps_all:
                    pending[waiting] = dictionary + number
                    waiting += 1
                elif _is_kept(number, bits):
                    pending[waiting] = dictionary + _kept_row(number, bits, before)
                    waiting += 1
        if at_end or waiting > room:
            _add_pending(pending, waiting, rows, m, hidden)
            count += waiting
            waiting = 0
    if count:
        scale = np.float32(1.0 / count)
        for d in range(dim):
            hidden[d] *= scale
    return count if words else np.int64(0)


@njit(cache=True, nogil=True)
def predict_rows(data, starts, ends, m, cache, space, target):
    """(labels, scores, target scores) of stretches of bytes."""
    rows, dim = len(starts), m.output.shape[1]
    labels, scores = np.full(rows, NO_LABEL, np.int32), np.full(rows, np.nan, np.float32)
    targets = np.full(rows, np.nan, np.float32)
    hidden = np.zeros(dim, np.float32)
    chains = np.zeros(m.word_ngrams if m.word_ngrams > 1 else 0, np.uint64)
    out = np.zeros(len(m.output), np.float32)
    stack, values = np.zeros(2 * len(m.output) + 2, np.int32), np.zeros(2 * len(m.output) + 2, np.float32)
    for row in range(rows):
        if not mean_of_rows(data, starts[row], ends[row], m, cache, space, hidden, chains):
            continue
        if m.loss == HS:
            best, top = best_leaf(hidden, m, stack, values)
            labels[row], scores[row] = best, np.exp(top)
            if target >= 0:
                targets[row] = np.exp(leaf_score(target, hidden, m))
            continue
        fill_probabilities(hidden, m, out)
        best, top = 0, log_of(out[0])
        for label in range(1, len(out)):
            if out[label] >= out[best] and log_of(out[label]) >= top:  # fastText keeps the last of equals
                best, top = label, log_of(out[label])
        labels[row], scores[row] = best, np.exp(top)
        if target >= 0:
            targets[row] = np.exp(log_of(out[target]))
    return labels, scores, targets
