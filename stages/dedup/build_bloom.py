"""Put the n-grams of a corpus into one Bloom filter, for finding them in another corpus, or again in the same one.

Sources: Bloom 1970; the filters of dolma (Soldaini et al. 2024, arXiv:2402.00159) and DataComp-LM's BFF (Li et al.
2024, arXiv:2406.11794), which decide and insert in one pass, so that what falls depends on the order of the
documents. Here building and asking are two nodes.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import MESSAGES, TEXT
from pipeline.stage import ShardInfo, Sink, Summary
from stages.dedup._bloom import (
    FILTER,
    MANIFEST,
    PROBES,
    REPEATED,
    GramRules,
    Measured,
    Size,
    filter_size,
    gram_hashes,
    measure_filter,
    new_words,
    write_manifest,
)
from stages.dedup._bloom_kernels import add_hashes, merge_filters
from stages.kernels.dialogue import dialogue_texts
from stages.kernels.manifest import facts_table

HASHES, TWICE_HASHES = "hashes.u64", "twice.u64"  # a partition's, while that is smaller than a filter
BITS, TWICE_BITS = "bits.u64", "twice_bits.u64"
_PENDING = 1 << 22  # hashes to gather before they are sorted in
_SLICE = 1 << 20  # words of a filter to merge at a time


class _Partition:
    """One partition's hashes, sorted and distinct, or, once those take more room, its own filter in files.

    Which of the two, and every byte of it, follows from the set of hashes alone.
    """

    def __init__(self, out: Path, size: Size, repeated: bool) -> None:
        self._out, self._size, self._repeated = out, size, repeated
        self._hashes, self._twice = np.zeros(0, np.uint64), np.zeros(0, np.uint64)
        self._pending: list[np.ndarray] = []
        self._waiting = 0
        self._filters: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, hashes: np.ndarray) -> None:
        """Take the hashes of some documents; for `repeated` each once a document."""
        if self._filters:
            self._insert(hashes)
            return
        self._pending.append(hashes)
        self._waiting += hashes.size
        if self._waiting > max(_PENDING, self._hashes.size):
            self._sort_in()

    def _sort_in(self) -> None:
        merged = np.concatenate([self._hashes, *self._pending])
        merged.sort()
        self._pending, self._waiting = [], 0
        is_first = np.ones(merged.size, bool)
        np.not_equal(merged[1:], merged[:-1], out=is_first[1:])
        if self._repeated:
            again = merged[~is_first]
            self._twice = np.union1d(self._twice, again)
        self._hashes = merged[is_first]
        if 8 * self._hashes.size > self._size.bytes:
            self._filters = (
                new_words(self._out / BITS, self._size),
                new_words(self._out / TWICE_BITS, self._size) if self._repeated else np.zeros(0, np.uint64),
            )
            self._insert(self._hashes)
            self._insert(self._twice)

    def _insert(self, hashes: np.ndarray) -> None:
        assert self._filters
        add_hashes(*self._filters, self._size.blocks, self._size.bits, hashes)

    def close(self) -> list[str]:
        """Write what is left; names of the files."""
        if not self._filters:
            self._sort_in()
        if self._filters:
            for words in self._filters:
                if isinstance(words, np.memmap):
                    words.flush()
            return [BITS, TWICE_BITS] if self._repeated else [BITS]
        self._hashes.astype("<u8").tofile(self._out / HASHES)
        if self._repeated:
            self._twice.astype("<u8").tofile(self._out / TWICE_HASHES)
        return [HASHES, TWICE_HASHES] if self._repeated else [HASHES]


class BuildBloomFilter(Sink[None]):
    """Write one Bloom filter of the n-grams of all documents; a side input of `bloom_dedup` and `ngram_dedup`.

    Words are compared without case, punctuation and spacing; a text (or paragraph) of fewer than n words is one
    n-gram, all of it. The filter has the size that `expected_ngrams` different n-grams need for
    `false_positive_rate`. When all are in, the rate is measured, and a filter that does not keep it is refused.
    A partition's file holds sorted hashes until a filter is smaller; they are merged one at a time, and the order
    of anything makes no difference to a byte.
    """

    expected_ngrams: int = Field(
        ge=1, description="different n-grams of the corpus; about words of text for long n"
    )
    false_positive_rate: float = Field(
        0.01, ge=1e-8, le=0.5, description="how often an n-gram that is not in the corpus may be held for one"
    )
    unit: Literal["word", "char"] = Field(
        "word", description="what an n-gram is a run of; `word` takes Han, Kana, Thai by character"
    )
    n: int | None = Field(
        13, ge=1, le=1000, description="units to an n-gram; null: the whole document, or paragraph, is one"
    )
    scope: Literal["document", "paragraph"] = Field(
        "document", description="n-grams run through the document, or each line has its own"
    )
    on: Literal["text", "messages"] = Field(
        "text", description="the text, or the contents of a dialogue's turns"
    )
    repeated: bool = Field(
        False,
        description="keep a second filter of what at least two documents have, for ngram_dedup; twice the room",
    )

    libraries: ClassVar[Sequence[str]] = ()

    @property
    def size(self) -> Size:
        """Of the filter."""
        return filter_size(self.expected_ngrams, self.false_positive_rate)

    @property
    def rules(self) -> GramRules:
        """What is put in."""
        return GramRules(self.unit, self.n, self.scope)

    def reads(self) -> pa.Schema:
        """The text, or the dialogue."""
        return pa.schema([MESSAGES if self.on == "messages" else TEXT])

    def describe(self) -> Sequence[str]:
        """The size."""
        size = self.size
        return [
            f"a filter of {size.bytes / 1e6:,.1f} MB{' and another' if self.repeated else ''}, {size.bits} bits an "
            f"n-gram, for {self.expected_ngrams:,} different n-grams at a false positive rate of "
            f"{self.false_positive_rate:g}; more than that many are refused"
        ]

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """The hashes of one partition, or a filter of them."""
        part = _Partition(out, self.size, self.repeated)
        rows = ngrams = 0
        for batch in batches:
            rows += batch.num_rows
            texts = dialogue_texts(batch["messages"]) if self.on == "messages" else batch["text"]
            hashes, _ = gram_hashes(texts, self.rules, self.repeated)
            ngrams += hashes.size
            if hashes.size:
                part.add(hashes)
        if not ngrams:
            return ShardInfo(rows=rows)
        return ShardInfo(part.close(), rows, {"ngrams": ngrams})

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """Merge the partitions, measure, write manifest.json, and remove the parts.

        Raises:
            ValueError: no document has an n-gram, or the filter is too small for what came.
        """
        files = [out / name for shard in shards for name in shard.files]
        if not (out / MANIFEST).exists():  # a second commit after a kill may find the parts gone
            self._merge([{f.split("-")[-1]: out / f for f in s.files} for s in shards], shards, out)
        for file in files:
            file.unlink(missing_ok=True)

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """How full it is, and how often it is wrong."""
        names = {
            "n-grams inserted": "inserted_ngrams",
            "different, about": "distinct_ngrams_estimate",
            "room for": "expected_ngrams",
            "bits set, share": "fill",
            "false positives": "false_positive_rate",
            "measured": "probed_false_positive_rate",
        }
        return [facts_table(out / MANIFEST, "filter", names)]

    def _merge(self, parts: Sequence[dict[str, Path]], shards: Sequence[ShardInfo], out: Path) -> None:
        metas: list[Any] = [shard.meta for shard in shards if shard.files]
        ngrams = sum(meta["ngrams"] for meta in metas)
        if not ngrams:
            raise ValueError(
                "build_bloom_filter: no n-gram came, so the filter would find nothing; check that the inputs have a "
                f"{self.on} column with words in it"
            )
        size = self.size
        words = new_words(out / FILTER, size)
        twice = new_words(out / REPEATED, size) if self.repeated else np.zeros(0, np.uint64)
        for part in parts:
            _merge_part(words, twice, part, size)
        measured = measure_filter(words, size)
        if measured.rate > self.false_positive_rate:
            raise ValueError(self._too_small(measured, ngrams))
        for mapped in (words, twice):
            if isinstance(mapped, np.memmap):
                mapped.flush()
        write_manifest(out, self._card(measured, size, ngrams, sum(shard.rows for shard in shards)))

    def _card(self, measured: Measured, size: Size, ngrams: int, rows: int) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "n": self.n,
            "scope": self.scope,
            "on": self.on,
            "repeated": self.repeated,
            "blocks": size.blocks,
            "bits": size.bytes * 8,
            "bits_per_ngram": size.bits,
            "expected_ngrams": self.expected_ngrams,
            "promised_false_positive_rate": self.false_positive_rate,
            "false_positive_rate": measured.rate,
            "probed_false_positive_rate": measured.probed_rate,
            "probes": PROBES,
            "fill": measured.fill,
            "distinct_ngrams_estimate": round(measured.distinct),
            "inserted_ngrams": ngrams,
            "rows": rows,
            "files": [FILTER, REPEATED] if self.repeated else [FILTER],
        }

    def _too_small(self, measured: Measured, ngrams: int) -> str:
        """The numbers, and what to write instead: the estimate, or all that came where nothing can be estimated."""
        needed = 1.1 * min(measured.distinct, ngrams)
        step = 10 ** max(0, math.floor(math.log10(needed)) - 1)
        needed = math.ceil(needed / step) * step
        return (
            f"build_bloom_filter: the filter for {self.expected_ngrams:,} n-grams got about "
            f"{min(measured.distinct, ngrams):,.0f} different ones; {measured.fill:.1%} of its bits are set, which "
            f"makes a false positive rate of {measured.rate:.3g} (measured {measured.probed_rate:.3g}), above the "
            f"promised {self.false_positive_rate:g}; write expected_ngrams: {needed} "
            f"({filter_size(needed, self.false_positive_rate).bytes / 1e6:,.1f} MB)"
        )


def _merge_part(words: np.ndarray, twice: np.ndarray, part: dict[str, Path], size: Size) -> None:
    """Put a partition's files into the filters."""
    none = np.zeros(0, np.uint64)
    if BITS in part:
        bits = np.memmap(part[BITS], "<u8", mode="r")
        again = np.memmap(part[TWICE_BITS], "<u8", mode="r") if twice.size else none
        for at in range(0, bits.size, _SLICE):  # the copies let go of the mapped files
            here = slice(at, at + _SLICE)
            merge_filters(words[here], twice[here], np.array(bits[here]), np.array(again[here]))
        return
    for name in (HASHES, TWICE_HASHES):
        if name in part:
            for hashes in _pieces(part[name]):
                add_hashes(words, twice, size.blocks, size.bits, hashes)


def _pieces(path: Path) -> Iterator[np.ndarray]:
    with path.open("rb") as file:
        while (hashes := np.fromfile(file, "<u8", _SLICE)).size:
            yield hashes
