"""An n-gram language model: built from texts, kept as a folder of arrays, written and read as ARPA.

Text becomes lines, and lines words: those of stages/kernels/words.py (case folded, punctuation left out, a character
of Han, Kana or Thai a word by itself), so training and scoring cannot differ. A word is known by its hash; its
spelling matters only in the ARPA file, where other tools want to read it.
"""

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from stages.kernels.words import hash_words, word_alphabet
from stages.signals._lm_estimate import Ngrams, estimate
from stages.signals._lm_kernels import (
    FIRST_WORD,
    UNK,
    build_table,
    hash_ngrams,
    number_words,
    score_lines,
)

META = "model.json"
SPECIAL = ("<unk>", "<s>", "</s>")  # in the order of their numbers
ARRAYS = ("words", "grams", "probs", "backoffs")


class LanguageModel(NamedTuple):
    """What scoring looks up."""

    order: int
    words: np.ndarray  # uint64: hashes of the vocabulary, number FIRST_WORD first
    word_slots: np.ndarray  # build_table(words)
    grams: np.ndarray  # uint64: hashes of all n-grams
    gram_slots: np.ndarray
    probs: np.ndarray  # float32, log10
    backoffs: np.ndarray
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


def slots_for(hashes: np.ndarray) -> np.ndarray:
    """A hash table over distinct hashes, half full at most."""
    return build_table(hashes, 1 << max(int(2 * hashes.size - 1).bit_length(), 4))


def build_model(texts: Sequence[pa.Array], order: int, min_count: int, max_words: int, prune: int) -> Built:
    """Estimate a model from texts (large_string arrays).

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
    grams, probs, backoffs = (np.concatenate([n[column] for n in orders]) for column in (0, 2, 3))
    model = LanguageModel(
        order, words, slots_for(words), grams, slots_for(grams),
        probs.astype(np.float32), backoffs.astype(np.float32), None,
    )  # fmt: skip
    return Built(model, [*SPECIAL, *spellings], tokens, orders)


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
    found = hash_words(lines, word_alphabet(), located=True)
    hashes, first, counts = np.unique(found.hashes, return_index=True, return_counts=True)
    order = np.lexsort((hashes, -counts))
    order = order[counts[order] >= min_count][:max_words]
    if not len(order):
        raise ValueError(f"no word occurs {min_count} times in the sample; lower min_count or give more text")
    data = lines.buffers()[2]
    assert data is not None
    raw = memoryview(data)
    places = zip(found.starts[first[order]].tolist(), found.ends[first[order]].tolist(), strict=True)
    spellings = [bytes(raw[start:end]).decode().lower() for start, end in places]
    return hashes[order], _distinct(spellings), len(hashes) - len(order)


def _distinct(spellings: list[str]) -> list[str]:
    """Spellings without white space, each once: one that came before gets its number behind it."""
    seen: set[str] = set(SPECIAL)
    found = []
    for number, spelling in enumerate(spellings):
        name = "".join(spelling.split())
        name = name if name and name not in seen else f"{name}<{number}>"
        seen.add(name)
        found.append(name)
    return found


def score(model: LanguageModel, text: pa.Array) -> Scores:
    """Perplexity of each text of a (large_)string column under a model."""
    lines, rows = lines_of(text)
    tokens, starts = number_words(*_line_words(lines), model.words, model.word_slots)
    tables = (model.grams, model.gram_slots, model.probs, model.backoffs)
    by_line = score_lines(tokens, starts, model.order, *tables)
    logs, words, unknown = (np.bincount(rows, column, len(text)) for column in by_line.T)
    line_ends = np.bincount(rows, by_line[:, 1] > 0, len(text))
    with np.errstate(invalid="ignore", divide="ignore"):
        return Scores(10.0 ** (-logs / words), unknown / (words - line_ends))


def save_model(model: LanguageModel, folder: Path, facts: dict[str, Any]) -> None:
    """Write a model's arrays, and then model.json with `facts` beside what reading needs."""
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(model, name))
    meta = {"order": model.order, "cuts": model.cuts, **facts}
    text = orjson.dumps(meta, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    (folder / META).write_bytes(text + b"\n")


def load_model(folder: Path) -> LanguageModel:
    """Read what save_model() wrote.

    Raises:
        ValueError: the folder holds no model.
    """
    if not (folder / META).is_file():
        raise ValueError(f"model: {folder} holds no language model; give a train_language_model node")
    meta = orjson.loads((folder / META).read_bytes())
    words, grams, probs, backoffs = (np.load(folder / f"{name}.npy") for name in ARRAYS)
    cuts = tuple(meta["cuts"]) if meta["cuts"] else None
    return LanguageModel(
        meta["order"], words, slots_for(words), grams, slots_for(grams), probs, backoffs, cuts
    )


def arpa_parts(built: Built) -> Iterator[str]:
    """The model as an ARPA file, piece by piece; kenlm and others read it."""
    yield "\\data\\\n" + "".join(f"ngram {n}={len(grams.probs)}\n" for n, grams in enumerate(built.orders, 1))
    names = pa.array(built.spellings, pa.large_string())
    for n, grams in enumerate(built.orders, 1):
        yield f"\n\\{n}-grams:\n"
        numbers = [np.where(grams.places < 0, 0, built.tokens[grams.places + k]) for k in range(n)]
        order = np.lexsort(numbers[::-1])
        words = pc.binary_join_element_wise(*(names.take(pa.array(m[order])) for m in numbers), _BLANK)
        columns = [_decimals(grams.probs[order]), words]
        if n < len(built.orders):
            columns.append(_decimals(grams.backoffs[order]))
        for line in pc.binary_join_element_wise(*columns, _TAB).to_pylist():
            yield line + "\n"
    yield "\n\\end\\\n"


def _decimals(values: np.ndarray) -> pa.Array:
    return pc.cast(pa.array(np.round(values, 7)), pa.large_string())


def read_arpa(path: Path) -> LanguageModel:
    """Read an ARPA file, plain or gzip, whose vocabulary is of words as ours are.

    Raises:
        ValueError: it is none, is cut off, or most of its words are not words here; with the line's number.
    """
    open_text = gzip.open if path.suffix == ".gz" else open
    sections: list[list[tuple[list[str], float, float]]] = []
    with open_text(path, "rt", encoding="utf-8") as file:
        try:
            ended = _read_sections(file, sections)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path}: no ARPA language model that can be read: {error}") from error
    if not ended or not sections or not sections[0]:
        raise ValueError(f"{path}: no ARPA language model: it has no \\end\\, or no unigrams; is it cut off?")
    return _from_sections(sections, path)


def _read_sections(file: Any, sections: list[list[tuple[list[str], float, float]]]) -> bool:
    """Fill a list for each order; True if the file has its end mark."""
    for number, raw in enumerate(file, 1):
        line = raw.rstrip("\n")
        if line == "\\end\\":
            return True
        if line.startswith("\\") and line.endswith("-grams:"):
            sections.append([])
        elif sections and line:
            prob, _, rest = line.partition("\t")
            words, _, backoff = rest.partition("\t")
            names = words.split(" ")
            try:
                entry = names, float(prob), float(backoff or 0)
            except ValueError:
                raise ValueError(f"line {number}: {line[:60]!r} is no n-gram with its probability") from None
            if len(names) != len(sections):
                raise ValueError(f"line {number}: {len(names)} words among the {len(sections)}-grams")
            sections[-1].append(entry)
    return False


def _from_sections(sections: Sequence[Sequence[tuple[list[str], float, float]]], path: Path) -> LanguageModel:
    spellings = [names[0] for names, _, _ in sections[0] if names[0] not in SPECIAL]
    found = hash_words(pa.array(spellings, pa.large_string()), word_alphabet())
    single = np.diff(found.offsets) == 1
    if 2 * single.sum() < len(spellings):
        raise ValueError(
            f"{path}: only {single.sum()} of its {len(spellings)} entries are words as corpusmill cuts them; "
            "convert it with kenlm's build_binary and give the tokenizer that it was trained with"
        )
    numbers = {name: k for k, name in enumerate(SPECIAL)}
    hashes: dict[int, int] = {}
    for spelling, at, is_single in zip(spellings, found.offsets.tolist(), single.tolist(), strict=False):
        own = int(found.hashes[at]) if is_single else -1
        if own not in hashes:  # the first of several spellings of one word counts
            numbers[spelling] = FIRST_WORD + len(hashes)
            if is_single:
                hashes[own] = numbers[spelling]
    words = np.fromiter(hashes, np.uint64, len(hashes))
    entries = [e for section in sections for e in section if all(name in numbers for name in e[0])]
    grams = np.empty(len(entries), np.uint64)
    for k, (names, _, _) in enumerate(entries):
        grams[k] = hash_ngrams(np.array([numbers[name] for name in names], np.int32), len(names), _FIRST)[0][
            0
        ]
    probs, backoffs = (np.array([e[column] for e in entries], np.float32) for column in (1, 2))
    return LanguageModel(
        len(sections), words, slots_for(words), grams, slots_for(grams), probs, backoffs, None
    )


_FIRST = np.zeros(1, np.int64)
_BLANK, _TAB = (pa.scalar(mark, pa.large_string()) for mark in " \t")
