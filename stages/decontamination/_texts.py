"""The parts of benchmark items as texts of an index: which words stand one after the other, and what they are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.decontamination._alphabet import Tokens, weighed_words
from stages.decontamination._documents import open_documents
from stages.decontamination._index import TextKind
from stages.decontamination._index_kernels import WORD_WEIGHT, text_keys

INPUTS, OUTPUTS = ("passage", "question", "choice"), ("solution", "answer")
_LABELS = 26
_SHORTEST_SOLUTION = 3  # words; `return []` stands behind any question


class Texts(NamedTuple):
    """Texts of some items, in the order of the items."""

    words: np.ndarray  # uint64
    weights: np.ndarray  # uint8, half words
    outputs: np.ndarray  # uint8: 1 = a word of an output
    starts: np.ndarray  # int64, one more than texts
    kinds: np.ndarray  # uint8 TextKind
    items: np.ndarray  # int64: the item of each


class _Store(NamedTuple):
    """Words of parts, and of the labels A, B, ... at the end."""

    hashes: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray

    def span(self, part: int) -> tuple[int, int]:
        """Where a part's words begin and end."""
        return int(self.offsets[part]), int(self.offsets[part + 1])


class _Builder:
    """Texts as spans of a store, put together at the end."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int, int]] = []  # begin, end, output
        self.sizes: list[int] = []  # spans of each text
        self.kinds: list[int] = []
        self.items: list[int] = []

    def add(self, item: int, kind: TextKind, *spans: tuple[tuple[int, int], bool]) -> None:
        """A text of some spans; none without words."""
        some = [(begin, end, int(output)) for (begin, end), output in spans if end > begin]
        if some:
            self.spans += some
            self.sizes.append(len(some))
            self.kinds.append(int(kind))
            self.items.append(item)

    def build(self, store: _Store) -> Texts:
        """All of them."""
        spans = np.array(self.spans, np.int64).reshape(-1, 3)
        lengths = spans[:, 1] - spans[:, 0]
        owner = np.repeat(np.arange(len(spans)), lengths)
        at = np.arange(len(owner)) - (np.cumsum(lengths) - lengths)[owner] + spans[owner, 0]
        ends = np.cumsum(lengths)[np.cumsum(np.array(self.sizes, np.int64)) - 1]
        return Texts(
            store.hashes[at],
            store.weights[at],
            spans[owner, 2].astype(np.uint8),
            np.concatenate([[0], ends]).astype(np.int64),
            np.array(self.kinds, np.uint8),
            np.array(self.items, np.int64),
        )


def texts_of(parts: pa.Array, tokens: Tokens, seed_words: int, min_short_words: int, passages: bool) -> Texts:
    """The texts of a column of item parts; TextKind says which there are.

    Args:
        parts: ITEM_PARTS; null is an item without parts.
        tokens: what a word is.
        seed_words: words of a seed.
        min_short_words: words that a SHORT question has at least, half of it in scripts without spaces.
        passages: whether passages are indexed.
    """
    flat = pc.list_flatten(parts)
    sizes = pc.fill_null(pc.list_value_length(parts), 0).to_numpy(zero_copy_only=False)
    labels = pa.array([chr(ord("A") + k) for k in range(_LABELS)], pa.large_string())
    texts = pa.concat_arrays([pc.struct_field(flat, "text").cast(pa.large_string()), labels])
    words, weights = weighed_words(open_documents(texts).column, tokens)
    store = _Store(words.hashes, weights, words.offsets)
    names = pc.struct_field(flat, "part").to_pylist()
    label = [store.span(len(names) + k) for k in range(_LABELS)]
    builder, at = _Builder(), 0
    for item, size in enumerate(sizes.tolist()):
        own: dict[str, list[tuple[int, int]]] = {}
        for part in range(at, at + size):
            own.setdefault(names[part], []).append(store.span(part))
        at += size
        _add_item(builder, item, own, label, store, seed_words, min_short_words, passages)
    return builder.build(store)


def _add_item(
    builder: _Builder,
    item: int,
    own: dict[str, list[tuple[int, int]]],
    label: Sequence[tuple[int, int]],
    store: _Store,
    seed_words: int,
    min_short_words: int,
    passages: bool,
) -> None:
    questions = own.get("question", [])
    choices = own.get("choice", [])
    outputs = [span for part in OUTPUTS for span in own.get(part, [])]
    first = outputs[:1] or [(0, 0)]
    for question in questions or [(0, 0)]:
        builder.add(item, TextKind.ITEM, (question, False), (first[0], True))
    read = own.get("passage", []) if passages else []
    for begin, end in [*questions, *read]:
        weight = int(store.weights[begin:end].sum())
        if min_short_words <= end - begin < seed_words and weight >= WORD_WEIGHT * min_short_words:
            builder.add(item, TextKind.SHORT, ((begin, end), False))
    begin, end = questions[0] if questions else (0, 0)
    tail = (max(begin, end - seed_words + 1), end)
    for output in outputs[1:]:
        if output[1] > output[0]:
            builder.add(item, TextKind.OUTPUT, (tail, False), (output, True))
    short = [s for s in own.get("solution", []) if _SHORTEST_SOLUTION <= s[1] - s[0] < seed_words]
    if choices:
        marked = [span for k, c in enumerate(choices) for span in (*label[k : k + 1], c)]
        builder.add(item, TextKind.CHOICES, (tail, False), *((span, False) for span in marked))
        builder.add(item, TextKind.CHOICES, (tail, False), *((span, False) for span in choices))
    for span in read:
        builder.add(item, TextKind.PASSAGE, (span, False))
    for span in [*short, *own.get("answer", [])]:  # a solution without a seed is looked for as an answer is
        builder.add(item, TextKind.ANSWER, (span, True))
    for span in choices:
        builder.add(item, TextKind.CHOICE, (span, False))


def distinct(texts: Texts) -> tuple[Texts, np.ndarray]:
    """Each text once, in order of first occurrence (`items` being that of the first); and the number of each."""
    keys = text_keys(texts.words, texts.outputs, texts.starts, texts.kinds)
    order = np.lexsort((np.arange(len(keys)), keys[:, 1], keys[:, 0]))
    fresh = np.ones(len(keys), bool)
    fresh[1:] = (keys[order][1:] != keys[order][:-1]).any(axis=1)
    firsts = order[fresh]
    rank = np.empty(len(firsts), np.int64)
    rank[np.argsort(firsts)] = np.arange(len(firsts))
    number = np.empty(len(keys), np.int64)
    number[order] = rank[np.cumsum(fresh) - 1]
    kept = np.sort(firsts)
    sizes = np.diff(texts.starts)[kept]
    owner = np.repeat(np.arange(len(kept)), sizes)
    at = np.arange(len(owner)) - (np.cumsum(sizes) - sizes)[owner] + texts.starts[kept][owner]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    single = Texts(
        texts.words[at], texts.weights[at], texts.outputs[at], starts, texts.kinds[kept], texts.items[kept]
    )
    return single, number
