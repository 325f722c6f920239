"""An n-gram language model: built from texts, kept as a folder of arrays, asked for the perplexity of texts.

Text becomes lines, and lines words: those of stages/kernels/words.py (case folded, punctuation left out, a character
of Han, Kana or Thai a word by itself), so training and scoring cannot differ. A word is known by its hash; its
spelling matters only in the ARPA file (_lm_arpa.py), where other tools want to read it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from stages.kernels.buffers import text_buffers
from stages.kernels.words import HashedWords, hash_words, word_alphabet
from stages.signals._lm_estimate import Ngrams, estimate
from stages.signals._lm_kernels import (
    FIRST_WORD,
    UNK,
    build_table,
    cut_spans,
    fill_grams,
    number_words,
    score_lines,
)

META = "model.json"
FORMAT = 2  # 2: words are hashed eight bytes at a time
SPECIAL = ("<unk>", "<s>", "</s>")  # in the order of their numbers
ARRAYS = ("words", "unigrams", "grams", "values")
_UNSEEN = (
    r"[\s\p{Z}\p{Cf}]+"  # what words.py passes over within a word, and what would end one in an ARPA file
)


class LanguageModel(NamedTuple):
    """What scoring looks up."""

    order: int  # words of the longest n-grams there are
    words: np.ndarray  # uint64: hashes of the vocabulary, number FIRST_WORD first
    word_slots: np.ndarray  # build_table(words)
    unigrams: np.ndarray  # float32, shape (FIRST_WORD + words, 2): log10 of probability and backoff
    grams: np.ndarray  # uint64: hashes of the n-grams of 2 words and more
    values: np.ndarray  # float32, shape (grams, 2), as in unigrams
    table: np.ndarray  # fill_grams() of both
    cuts: tuple[float, float] | None  # perplexities at a third and two thirds of the held-out documents


class Scores(NamedTuple):
    """One entry for each text; NaN where it has no word."""

    perplexity: np.ndarray  # float64: 10 ** -(mean log10 probability of its words and line ends)
    unknown: np.ndarray  # float64: share of its words that the vocabulary lacks


class Built(NamedTuple):
    """A model with what its ARPA file needs beyond it."""

    model: LanguageModel
    spellings: list[str]  # by word number
    tokens: np.ndarray
    orders: list[Ngrams]


def lines_of(text: pa.Array) -> tuple[pa.Array, np.ndarray]:
    r"""The lines of texts as large_string, and int64 numbers of the rows they are of; null has none.

    >>> lines, rows = lines_of(pa.array(["a\nb", None, "c"], pa.large_string()))
    >>> lines.to_pylist(), rows.tolist()
    (['a', 'b', 'c'], [0, 0, 2])
    """
    split = pc.split_pattern(text.cast(pa.large_string()), "\n")
    return split.flatten(), pc.list_parent_indices(split).to_numpy().astype(np.int64)


def words_of(lines: pa.Array) -> HashedWords:
    """The words of lines as the model knows them, with their places."""
    return hash_words(lines, word_alphabet(), located=True)


def spellings_of(lines: pa.Array, starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """How words at some places (of words_of()) are written in an ARPA file; large_string.

    >>> lines = pa.array(["La\u00admp, ΛΌΓΟΣ"], pa.large_string())
    >>> spellings_of(lines, *words_of(lines)[2:]).to_pylist()
    ['lamp', 'λόγοσ']
    """
    data, offsets = cut_spans(text_buffers(lines)[0], starts, ends)
    cut = pa.LargeStringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(data))
    lowered = pc.replace_substring(pc.utf8_lower(cut), "ς", "σ")
    return pc.replace_substring_regex(lowered, _UNSEEN, "")


def slots_for(hashes: np.ndarray) -> np.ndarray:
    """A hash table over distinct hashes, half full at most."""
    slots: np.ndarray = build_table(hashes, _places_for(hashes))
    return slots


def _places_for(hashes: np.ndarray) -> int:
    return 1 << max(int(2 * hashes.size - 1).bit_length(), 4)


def make_model(
    order: int, words: np.ndarray, unigrams: np.ndarray, grams: np.ndarray, values: np.ndarray
) -> LanguageModel:
    """A model that can be asked; the arguments are as in LanguageModel, `grams` distinct."""
    values = np.ascontiguousarray(values, np.float32).reshape(-1, 2)
    table = fill_grams(grams, values.view(np.uint64).ravel(), _places_for(grams))
    return LanguageModel(order, words, slots_for(words), unigrams, grams, values, table, None)


def build_model(texts: Sequence[pa.Array], order: int, min_count: int, max_words: int, prune: int) -> Built:
    """Estimate a model from texts (large_string arrays); of a lower order if all longer n-grams are pruned.

    Raises:
        ValueError: no word occurs `min_count` times.
    """
    lines = pa.chunked_array([lines_of(part)[0] for part in texts], pa.large_string()).combine_chunks()
    words, spellings, left_out = _vocabulary(lines, min_count, max_words)
    tokens, _ = number_words(*_line_words(lines), words, slots_for(words))
    orders = [
        _share_unknown(tokens, grams, n, left_out)
        for n, grams in enumerate(estimate(tokens, order, prune, FIRST_WORD + len(words)), 1)
    ]
    while len(orders) > 1 and not len(orders[-1].hashes):
        orders.pop()
    unigrams = np.zeros((FIRST_WORD + len(words), 2), np.float32)
    first = orders[0]
    unigrams[np.where(first.places < 0, UNK, tokens[first.places])] = _values(first)
    longer = orders[1:]
    grams = np.concatenate([np.zeros(0, np.uint64), *(n.hashes for n in longer)])
    values = np.concatenate([np.zeros((0, 2), np.float32), *map(_values, longer)])
    model = make_model(len(orders), words, unigrams, grams, values)
    return Built(model, [*SPECIAL, *spellings], tokens, orders)


def _values(grams: Ngrams) -> np.ndarray:
    return np.stack([grams.probs, grams.backoffs], axis=1).astype(np.float32)


def _share_unknown(tokens: np.ndarray, grams: Ngrams, n: int, left_out: int) -> Ngrams:
    """<unk> stands for as many words as were left out: each has an equal part of its probability.

    Without this a text of nothing but unknown words, such as one in another language, would be very likely.
    """
    ends = np.where(grams.places < 0, -1, tokens[grams.places + n - 1])
    return grams._replace(probs=np.where(ends == UNK, grams.probs - np.log10(max(left_out, 1)), grams.probs))


def _line_words(lines: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    found = hash_words(lines, word_alphabet())
    return found.hashes, found.offsets


def _vocabulary(lines: pa.Array, min_count: int, max_words: int) -> tuple[np.ndarray, list[str], int]:
    """Hashes and spellings of the most frequent words, by count and then by hash; how many are left out."""
    found = words_of(lines)
    hashes, first, counts = np.unique(found.hashes, return_index=True, return_counts=True)
    order = np.lexsort((hashes, -counts))
    order = order[counts[order] >= min_count][:max_words]
    if not len(order):
        raise ValueError(f"no word occurs {min_count} times in the sample; lower min_count or give more text")
    places = first[order]
    spellings = spellings_of(lines, found.starts[places], found.ends[places]).to_pylist()
    return hashes[order], _distinct(spellings), len(hashes) - len(order)


def _distinct(spellings: list[str]) -> list[str]:
    """Spellings, each once: one that came before, or is empty, gets its number behind it."""
    seen: set[str] = set(SPECIAL)
    found = []
    for number, spelling in enumerate(spellings):
        name = spelling if spelling and spelling not in seen else f"{spelling}<{number}>"
        seen.add(name)
        found.append(name)
    return found


def score(model: LanguageModel, text: pa.Array) -> Scores:
    """Perplexity of each text of a (large_)string column under a model."""
    lines, rows = lines_of(text)
    tokens, starts = number_words(*_line_words(lines), model.words, model.word_slots)
    by_line = score_lines(
        tokens, starts, model.order, model.unigrams, model.table, model.table.view(np.float32)
    )
    logs, words, unknown = (np.bincount(rows, column, len(text)) for column in by_line.T)
    line_ends = np.bincount(rows, by_line[:, 1] > 0, len(text))
    return scores_of(logs, words, unknown, line_ends)


def scores_of(logs: np.ndarray, words: np.ndarray, unknown: np.ndarray, line_ends: np.ndarray) -> Scores:
    """Scores from sums over each text: log10 probabilities, words with line ends, unknown words, line ends."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return Scores(10.0 ** (-logs / words), unknown / (words - line_ends))


def save_model(model: LanguageModel, folder: Path, facts: dict[str, Any]) -> None:
    """Write a model's arrays, and then model.json with `facts` beside what reading needs."""
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(model, name))
    meta = {"format": FORMAT, "order": model.order, "cuts": model.cuts, **facts}
    text = orjson.dumps(meta, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    (folder / META).write_bytes(text + b"\n")


def load_model(folder: Path) -> LanguageModel:
    """Read what save_model() wrote.

    Raises:
        ValueError: the folder holds no model, or one of another format.
    """
    if not (folder / META).is_file():
        raise ValueError(f"model: {folder} holds no language model; give a train_language_model node")
    meta = orjson.loads((folder / META).read_bytes())
    if meta.get("format") != FORMAT:
        raise ValueError(
            f"model: {folder} has format {meta.get('format')}, but this version reads {FORMAT}; train it again"
        )
    words, unigrams, grams, values = (np.load(folder / f"{name}.npy") for name in ARRAYS)
    cuts = tuple(meta["cuts"]) if meta["cuts"] else None
    return make_model(meta["order"], words, unigrams, grams, values)._replace(cuts=cuts)
