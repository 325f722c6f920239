"""Index the n-grams of benchmark items, so that documents can be searched for them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import ID, METADATA, SOURCE, TEXT
from pipeline.stage import ShardInfo, Sink
from stages.decontamination._index import write_index
from stages.kernels.words import HashedWords, hash_words, shingle, word_alphabet

ITEMS = pa.schema([("benchmark", pa.string()), ("id", pa.string())])
NAMED = 20  # ids of items that could not be indexed, in meta.json


def look_up(record: Mapping[str, Any], path: str) -> str:
    r"""A field as text, `a.b` for a nested one; a list's texts in lines; empty if there is none.

    >>> look_up({"choices": {"text": ["one", "two"]}}, "choices.text")
    'one\ntwo'
    """
    value: Any = record.get(path)
    if value is None:
        value = record
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, list):
        return "\n".join(look_up({"": v}, "") for v in value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def item_texts(fields: Sequence[str], text: str | None, metadata: str | None) -> list[str]:
    """An item's text in each field, in order; `text` is the document's text, others are in its metadata."""
    record = orjson.loads(metadata) if metadata else {}
    if not isinstance(record, dict):
        record = {}
    return [(text or look_up(record, "text")) if name == "text" else look_up(record, name) for name in fields]


def with_whole(texts: Sequence[str]) -> list[str]:
    r"""The texts that are not empty, and all of them together if there are several.

    A field alone must match a document that quotes only the question; all together, the n-grams that run from
    the question into the answer.

    >>> with_whole(["q", "", "a"])
    ['q', 'a', 'q\na']
    """
    some = [text for text in texts if text]
    return [*some, "\n".join(some)] if len(some) > 1 else some


class BuildNgramIndex(Sink[None]):
    """Write an index of the n-grams of benchmark items, its inputs; a side input of `decontaminate`.

    Words are compared without case, punctuation, symbols and spacing, characters of Han, Kana or Thai count
    as words, and items are brought to NFC. A text of `min_words` to n-1 words counts as one n-gram, all of
    it. No n-gram is left out for being frequent: the most copied item is the one most worth finding. Items
    with no text of at least `min_words` words cannot be found; meta.json counts them and names the first.
    """

    version: ClassVar[int] = 2
    libraries: ClassVar[Sequence[str]] = ("pyarrow",)  # its Unicode tables, for NFC

    fields: list[str] = Field(
        ["text"],
        min_length=1,
        description="parts of an item: `text`, or fields of its metadata (`a.b` for nested ones); each is "
        "indexed alone, and all together in this order",
    )
    n: int = Field(13, ge=2, le=1000, description="words to an n-gram (GPT-3: 13)")
    short_items: Literal["exact", "skip"] = Field(
        "exact", description="texts shorter than n words: match the whole text, or leave out"
    )
    min_words: int = Field(8, ge=1, description="words that a text must have to be indexed")

    def reads(self) -> pa.Schema:
        """Text or metadata, as the fields ask for."""
        wanted = [TEXT] if "text" in self.fields else []
        return pa.schema([ID, SOURCE, *wanted, *([METADATA] if set(self.fields) != {"text"} else [])])

    def problems(self) -> Sequence[str]:
        """Short items that are as long as an n-gram; fields named twice."""
        found = [
            f"fields names {f!r} twice; leave one"
            for f in sorted(set(self.fields))
            if self.fields.count(f) > 1
        ]
        if self.short_items == "exact" and self.min_words > self.n:
            found.append(
                f"min_words is {self.min_words}, above n = {self.n}; lower it, or set short_items: skip"
            )
        return found

    @property
    def least(self) -> int:
        """Words of the shortest text that is indexed."""
        return self.n if self.short_items == "skip" else self.min_words

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """The grams and items of one partition, item numbers from 0."""
        grams, anchors, items, missed = [], [], [], []
        fields = dict.fromkeys(self.fields, 0)
        rows = 0
        for batch in batches:
            texts, owners = self._variants(batch, fields)
            some_grams, some_anchors = self._grams(texts, owners + rows)
            grams.append(some_grams)
            anchors.append(some_anchors)
            names = batch["source"].dictionary_decode() if batch.num_rows else pa.array([], pa.string())
            items.append(pa.table([names, batch["id"]], schema=ITEMS))
            indexed = set((some_grams[:, 1].astype(np.int64) - rows).tolist())
            missed += [batch["id"][i].as_py() for i in range(batch.num_rows) if i not in indexed]
            rows += batch.num_rows
        if not rows:
            return ShardInfo()
        np.save(out / "grams.npy", np.concatenate(grams))
        np.save(out / "anchors.npy", np.concatenate(anchors))
        with pa.ipc.new_file(str(out / "items.arrow"), ITEMS) as writer:
            writer.write_table(pa.concat_tables(items).combine_chunks())  # bytes know no batches
        meta = {"fields": fields, "not_indexed": len(missed), "not_indexed_ids": missed[:NAMED]}
        return ShardInfo(["anchors.npy", "grams.npy", "items.arrow"], rows, meta)

    def _variants(self, batch: pa.RecordBatch, fields: dict[str, int]) -> tuple[list[str], np.ndarray]:
        """Texts to index and the row each is of; counts the rows that have each field."""
        rows = batch.num_rows
        columns = [
            batch[name].to_pylist() if name in batch.schema.names else [None] * rows
            for name in ("text", "metadata")
        ]
        texts, owners = [], []
        for row, (text, metadata) in enumerate(zip(*columns, strict=True)):
            parts = item_texts(self.fields, text, metadata)
            for name, part in zip(self.fields, parts, strict=True):
                fields[name] += bool(part)
            variants = with_whole(parts)
            texts += variants
            owners += [row] * len(variants)
        return texts, np.array(owners, np.int64)

    def _grams(self, texts: list[str], owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(hash, owner) of each gram, and (hash of its first words, length) of each short text."""
        column = pc.utf8_normalize(pa.array(texts, pa.large_string()), form="NFC")
        words = hash_words(column, word_alphabet())
        hashes, offsets = shingle(words, self.n)
        counts = np.diff(words.offsets)
        text_of = np.repeat(np.arange(len(texts)), np.diff(offsets))
        keep = counts[text_of] >= self.least
        grams = np.column_stack([hashes[keep], owners[text_of[keep]].astype(np.uint64)])
        short = np.flatnonzero((counts >= self.least) & (counts < self.n))
        heads = shingle(_heads(words, short, self.least), self.least).hashes
        return grams, np.column_stack([heads, counts[short].astype(np.uint64)])

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """Merge the partitions into one index.

        Raises:
            ValueError: a field that no item has, or no item that can be found.
        """
        parts = [{Path(f).name.split("-")[-1]: out / f for f in s.files} for s in shards if s.rows]
        empty = np.zeros((0, 2), np.uint64)
        grams, anchors, items, base = [empty], [empty], [ITEMS.empty_table()], 0
        for part in parts:
            own = np.load(part["grams.npy"])
            grams.append(own + np.array([0, base], np.uint64))
            anchors.append(np.load(part["anchors.npy"]))
            with pa.ipc.open_file(str(part["items.arrow"])) as reader:
                items.append(reader.read_all())
            base += items[-1].num_rows
        meta = self._summary([s.meta for s in shards if s.rows], base)
        if not sum(len(g) for g in grams):
            raise ValueError(
                f"build_ngram_index: none of {base} items has a text of {self.least} words in fields "
                f"{self.fields}; check `fields`, or lower min_words"
            )
        write_index(out, np.concatenate(grams), np.concatenate(anchors), pa.concat_tables(items), meta)

    def _summary(self, metas: Sequence[Mapping[str, Any]], rows: int) -> dict[str, Any]:
        fields = {name: sum(m["fields"][name] for m in metas) for name in self.fields}
        absent = [name for name, count in fields.items() if not count]
        if absent and rows:
            raise ValueError(f"build_ngram_index: no item has a text in {absent}; name fields that exist")
        return {
            "n": self.n,
            "min_words": self.least,
            "short_items": self.short_items,
            "items": rows,
            "items_with_field": fields,
            "not_indexed": sum(m["not_indexed"] for m in metas),
            "not_indexed_ids": [name for m in metas for name in m["not_indexed_ids"]][:NAMED],
        }


def _heads(words: HashedWords, rows: np.ndarray, width: int) -> HashedWords:
    """The first `width` words of some rows, each of which has as many."""
    at = words.offsets[rows][:, None] + np.arange(width)
    none = np.zeros(0, np.int64)
    return HashedWords(words.hashes[at.reshape(-1)], np.arange(len(rows) + 1) * width, none, none)
