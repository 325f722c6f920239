"""ARPA files of n-gram language models, written for kenlm and others, and read if their words are as ours.

The format: http://www.speech.sri.com/projects/srilm/manpages/ngram-format.5.html. What KenLM refuses is refused here:
fewer n-grams than the head promises, a probability above 1, an n-gram whose context is not listed.
"""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.signals._lm_kernels import FIRST_WORD, UNK, hash_ngrams
from stages.signals._lm_model import SPECIAL, Built, LanguageModel, make_model, words_of

MISSING_LOG = -100.0  # log10 probability of <unk> and </s> where a model has none; KenLM's default
BLOCK_BYTES = 1 << 26
_BLANK, _TAB, _ZERO = (pa.scalar(mark, pa.large_string()) for mark in " \t0")
_NONE = np.zeros(0, np.uint64)
_SECTION = re.compile(r"\\(\d+)-grams:\s*")
_COUNT = re.compile(r"ngram (\d+)\s*=\s*(\d+)\s*")


def arpa_parts(built: Built) -> Iterator[str]:
    """The model as an ARPA file, piece by piece."""
    yield "\\data\\\n" + "".join(f"ngram {n}={len(grams.probs)}\n" for n, grams in enumerate(built.orders, 1))
    names = pa.array(built.spellings, pa.large_string())
    for n, grams in enumerate(built.orders, 1):
        yield f"\n\\{n}-grams:\n"
        numbers = [np.where(grams.places < 0, UNK, built.tokens[grams.places + k]) for k in range(n)]
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

    Entries that are no word here (punctuation, capitals beside their small letters) and n-grams with them are
    left out: no text asks for them.

    Raises:
        ValueError: it is none, is cut off, or most of its words are not words here; with the line's number.
    """
    reader = _Reader()
    open_bytes: Any = gzip.open if path.suffix == ".gz" else open
    with open_bytes(path, "rb") as file:
        try:
            reader.read(file)
            return reader.model()
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path}: no ARPA language model that can be read: {error}") from error


class _Reader:
    """Sections of an ARPA file, a block of lines at a time."""

    def __init__(self) -> None:
        self.section = 0  # words of the n-grams that lines now hold; 0 before the first
        self.ended = False
        self.promised: dict[int, int] = {}
        self.rows: dict[int, int] = {}
        self.unigrams: list[tuple[pa.Array, np.ndarray]] = []
        self.names = pa.array([], pa.large_string())  # those that are words here, and the special ones
        self.numbers = np.zeros(0, np.int32)
        self.words = np.zeros(0, np.uint64)
        self.values = np.zeros((0, 2), np.float32)  # of unigrams, by number
        self.grams: dict[int, list[np.ndarray]] = {}
        self.gram_values: list[np.ndarray] = []

    def read(self, file: IO[bytes]) -> None:
        """Take in the whole file; what stands behind its end mark does not count."""
        number = 1
        while not self.ended and (block := file.readlines(BLOCK_BYTES)):
            try:
                lines = pc.utf8_rtrim(pa.array(block, pa.large_binary()).cast(pa.large_string()), "\r\n")
            except pa.ArrowInvalid:
                raise ValueError(f"lines {number} to {number + len(block) - 1} are not all UTF-8") from None
            marks = np.flatnonzero(pc.starts_with(lines, "\\").to_numpy(zero_copy_only=False)).tolist()
            start = 0
            for mark in [*marks, len(lines)]:
                self._take(lines.slice(start, mark - start), number + start)
                if mark < len(lines):
                    self._turn(lines[mark].as_py())
                if self.ended:
                    return
                start = mark + 1
            number += len(block)

    def model(self) -> LanguageModel:
        """What was read, if it is whole."""
        if not self.ended or not self.rows.get(1):
            raise ValueError("it has no \\end\\, or no unigrams; is it cut off?")
        for n, promised in self.promised.items():
            if self.rows.get(n, 0) != promised:
                raise ValueError(
                    f"{self.rows.get(n, 0)} {n}-grams where its head says {promised}; is it cut off?"
                )
        order = max([1, *(n for n, parts in self.grams.items() if any(len(part) for part in parts))])
        grams = [part for n in sorted(self.grams) for part in self.grams[n]]
        hashes = np.concatenate([_NONE, *grams])
        values = np.concatenate([np.zeros((0, 2), np.float32), *self.gram_values])
        return make_model(order, self.words, self.values, hashes, values)

    def _turn(self, line: str) -> None:
        """Go on to the section that a line beginning with a backslash names."""
        if self.section == 1:
            self._close_unigrams()
        found = _SECTION.fullmatch(line)
        if found:
            if int(found[1]) != self.section + 1:
                raise ValueError(f"{line} comes where \\{self.section + 1}-grams: should")
            self.section += 1
            self.rows[self.section] = 0
            self.grams[self.section] = []
        self.ended = line.strip() == "\\end\\"

    def _take(self, lines: pa.Array, number: int) -> None:
        if self.section == 0:
            found = (_COUNT.fullmatch(line) for line in lines.to_pylist())
            self.promised.update((int(m[1]), int(m[2])) for m in found if m)
            return
        numbers = pa.array(np.arange(number, number + len(lines)))
        filled = pc.not_equal(lines, "")
        lines, numbers = lines.filter(filled), numbers.filter(filled)
        words, values = _entries(lines, numbers, self.section)
        self.rows[self.section] += len(lines)
        if self.section == 1:
            self.unigrams.append((words, values))
        elif len(lines):
            self._take_ngrams(words, values, numbers)

    def _take_ngrams(self, words: pa.Array, values: np.ndarray, numbers: pa.Array) -> None:
        n = self.section
        places = pc.fill_null(pc.index_in(words, value_set=self.names), -1).to_numpy().reshape(-1, n)
        known = (places >= 0).all(axis=1)
        tokens = self.numbers[places[known].ravel()]
        starts = np.arange(0, len(tokens), n)
        if n > 2:
            contexts = np.isin(
                hash_ngrams(tokens, n - 1, starts)[0], np.concatenate([_NONE, *self.grams[n - 1]])
            )
            if not contexts.all():
                bad = numbers.filter(pa.array(known))[int(np.argmin(contexts))]
                raise ValueError(f"line {bad}: the context of this {n}-gram is not among the {n - 1}-grams")
        self.grams[n].append(hash_ngrams(tokens, n, starts)[0])
        self.gram_values.append(values[known])

    def _close_unigrams(self) -> None:
        """Number the words: the first of several spellings of one word counts."""
        names = pa.chunked_array([part for part, _ in self.unigrams], pa.large_string()).combine_chunks()
        values = np.concatenate([np.zeros((0, 2), np.float32), *(part for _, part in self.unigrams)])
        self.unigrams = []
        special = pc.fill_null(
            pc.index_in(
                pc.replace_substring(names, "<UNK>", "<unk>"), value_set=pa.array(SPECIAL, names.type)
            ),
            -1,
        ).to_numpy()
        found = words_of(names)
        ours = np.flatnonzero((np.diff(found.offsets) == 1) & (special < 0))
        others = int((special < 0).sum())
        if 2 * len(ours) < others:
            raise ValueError(
                f"only {len(ours)} of its {others} entries are words as corpusmill cuts them; convert it with "
                "kenlm's build_binary and give the tokenizer that it was trained with"
            )
        hashes = found.hashes[found.offsets[ours]]
        ours = ours[np.sort(np.unique(hashes, return_index=True)[1])]
        self.words = found.hashes[found.offsets[ours]]
        marked = np.flatnonzero(special >= 0)
        rows = np.concatenate([marked, ours])
        self.names = names.take(pa.array(rows))
        self.numbers = np.concatenate([special[marked], FIRST_WORD + np.arange(len(ours))]).astype(np.int32)
        self.values = np.full((FIRST_WORD + len(ours), 2), (MISSING_LOG, 0), np.float32)
        self.values[self.numbers] = values[rows]


def _entries(lines: pa.Array, numbers: pa.Array, n: int) -> tuple[pa.Array, np.ndarray]:
    """Words of all lines, n a line, and float32 of shape (lines, 2): log10 of probability and backoff."""
    # a last field of 0, so that lines with and without a backoff have it as their third
    fields = pc.split_pattern(pc.binary_join_element_wise(lines, _ZERO, _TAB), "\t", max_splits=3)
    sizes = pc.list_value_length(fields).to_numpy(zero_copy_only=False)
    if (sizes < 3).any():
        _refuse(lines, numbers, int(np.argmax(sizes < 3)))
    names = pc.split_pattern(pc.list_element(fields, 1), " ")
    widths = pc.list_value_length(names).to_numpy(zero_copy_only=False)
    try:
        columns = [pc.cast(pc.list_element(fields, k), pa.float64()).to_numpy() for k in (0, 2)]
    except pa.ArrowInvalid:
        _refuse(lines, numbers, _first_bad(lines))
    if (widths != n).any():
        bad = int(np.argmax(widths != n))
        raise ValueError(f"line {numbers[bad]}: {widths[bad]} words among the {n}-grams")
    if (columns[0] > 0).any():
        _refuse(lines, numbers, int(np.argmax(columns[0] > 0)))
    return names.flatten(), np.stack(columns, axis=1).astype(np.float32)


def _refuse(lines: pa.Array, numbers: pa.Array, bad: int) -> None:
    raise ValueError(
        f"line {numbers[bad]}: {lines[bad].as_py()[:60]!r} is no n-gram with its probability (log10, at most 0)"
    )


def _first_bad(lines: pa.Array) -> int:
    """The first line whose numbers are none."""
    for number, line in enumerate(lines.to_pylist()):
        prob, _, backoff = [*line.split("\t"), "0", "0"][:3]
        try:
            float(prob), float(backoff)
        except ValueError:
            return number
    return 0
