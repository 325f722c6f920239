"""Index benchmark items, so that documents can be searched for them."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import xxhash
from pydantic import Field

from pipeline.schema import BENCHMARK, ITEM, ITEM_PARTS
from pipeline.stage import ShardInfo, Sink, Summary
from stages.decontamination._index import (
    ITEM_SCHEMA,
    ITEMS,
    META,
    TextKind,
    load_items,
    save_arrays,
    save_items,
    save_meta,
    write_set,
)
from stages.decontamination._seeds import list_grams, list_shorts, rare_weights
from stages.decontamination._texts import Texts, distinct, texts_of

NAMED = 20  # ids of items that cannot be found, in meta.json
EXCERPT = 1000  # characters of questions and answers that are kept to be shown
_FIELDS = Texts._fields


class BuildNgramIndex(Sink[None]):
    """Index benchmark items (of read_benchmark or read_lm_eval); a side input of `decontaminate` and others.

    Of each item these texts are indexed: the question with its first output (solution or answer), each further
    output and the choices behind the question's end, and the passage. Every `seed_words` words in a row are a seed.
    Questions and passages with fewer words are found whole, with a rule for their context. A seed that more than
    `max_texts` texts share is boilerplate of the benchmark ("Which of the following ...") and is no evidence; seeds
    that the corpus has often are kept: the most copied item is the one most worth finding. Items that cannot be found
    so are counted and named in meta.json.
    """

    version: ClassVar[int] = 3

    seed_words: int = Field(
        8,
        ge=4,
        le=64,
        description="words in a row by which items are found; definitions need at least as many",
    )
    tokens: Literal["words", "code"] = Field(
        "words",
        description="words without case and punctuation; or names, numbers and operators of source code",
    )
    min_short_words: int = Field(
        3, ge=2, le=64, description="words of the shortest question that is found whole, in context"
    )
    max_texts: int = Field(
        20, ge=1, description="texts that may share a seed; one that more have is boilerplate"
    )
    passages: bool = Field(True, description="index passages that questions are about, too")
    rare_words: int | None = Field(
        None, ge=2, le=64, description="also index runs of so many words for rare_ngrams (5); null: do not"
    )
    rare_max_texts: int = Field(16, ge=1, description="texts that may share a rare run")

    def reads(self) -> pa.Schema:
        """Benchmark items."""
        return pa.schema([BENCHMARK, ITEM, ITEM_PARTS])

    def problems(self) -> Sequence[str]:
        """Short questions that are as long as a seed."""
        if self.min_short_words >= self.seed_words:
            return [
                f"min_short_words is {self.min_short_words}, but questions of seed_words = {self.seed_words} words "
                "are found by seeds; lower it"
            ]
        return []

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """Texts and items of one partition, item numbers from 0."""
        texts, items, rows = [], [], 0
        for batch in batches:
            if not batch.num_rows:
                continue
            own = texts_of(
                batch["item_parts"], self.tokens, self.seed_words, self.min_short_words, self.passages
            )
            texts.append(own._replace(items=own.items + rows))
            items.append(_shown(batch))
            rows += batch.num_rows
        if not rows:
            return ShardInfo()
        save_arrays(out, _joined(texts)._asdict())
        save_items(out / ITEMS, pa.concat_tables(items))
        return ShardInfo((ITEMS, *(f"{name}.npy" for name in _FIELDS)), rows)

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """One index of all partitions.

        Raises:
            ValueError: no items, an item without a benchmark's name, two items with one id, or none that can be found.
        """
        parts = [{Path(f).name.split("-")[-1]: out / f for f in s.files} for s in shards if s.rows]
        if not parts:
            raise ValueError("build_ngram_index: there are no items; read some with read_benchmark")
        tables = [load_items(part[ITEMS]) for part in parts]
        items = pa.concat_tables(tables).combine_chunks()
        _check_names(items)
        bases = np.cumsum([0, *(t.num_rows for t in tables)])
        loaded = [Texts(*(np.load(part[f"{name}.npy"]) for name in _FIELDS)) for part in parts]
        texts = _joined([t._replace(items=t.items + b) for t, b in zip(loaded, bases, strict=False)])
        single, number = distinct(texts)
        facts, findable = self._save(out, single, texts.items, number, items.num_rows)
        summary = _summary(items, findable)
        save_items(out / ITEMS, items.append_column("findable", pa.array(findable)))
        save_meta(out, {**self._params(), **facts, **summary, "digest": _digest(single, items)})

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """Items of each benchmark, and those too short or too common to be found."""
        benchmarks = json.loads((out / META).read_text("utf-8"))["benchmarks"]
        rows = [[name, own["items"], own["not_findable"]] for name, own in sorted(benchmarks.items())]
        return [Summary("benchmarks", ["benchmark", "items", "not findable"], rows)]

    def _params(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def _save(
        self, out: Path, texts: Texts, owners: np.ndarray, number: np.ndarray, items: int
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Write the arrays; facts for meta.json, and which items can be found."""
        seeds = list_grams(texts.words, texts.starts, texts.kinds, self.seed_words, self.max_texts)
        anchors, shorts, short_texts = list_shorts(
            texts.words, texts.starts, texts.kinds, self.min_short_words
        )
        save_arrays(out, {name: getattr(texts, name) for name in ("words", "weights", "outputs")})
        save_arrays(out, {"text_starts": texts.starts, "text_kinds": texts.kinds})
        save_arrays(out, _links("text_item", number, owners, len(texts.kinds), "text_items"))
        save_arrays(out, _links("item_text", owners, number, items, "item_texts"))
        save_arrays(
            out, {"seed_starts": seeds.starts, "seed_places": seeds.places, "short_texts": short_texts}
        )
        for name, values in (("seeds", seeds.values), ("anchors", anchors), ("shorts", shorts)):
            write_set(out, name, values)
        facts = {"texts": len(texts.kinds), "seeds": len(seeds.values), "boilerplate_seeds": seeds.left_out}
        if self.rare_words is not None:
            facts["rare"] = self._save_rare(out, texts, self.rare_words)
        findable = np.zeros(len(texts.kinds), bool)
        findable[np.searchsorted(texts.starts, seeds.places, side="right") - 1] = True
        findable |= texts.kinds == TextKind.SHORT
        able = np.zeros(items, bool)
        np.logical_or.at(able, owners, findable[number])
        return {**facts, "short_questions": len(shorts)}, able

    def _save_rare(self, out: Path, texts: Texts, width: int) -> int:
        grams = list_grams(texts.words, texts.starts, texts.kinds, width, self.rare_max_texts)
        idf, sums = rare_weights(grams, texts.starts)
        write_set(out, "rare", grams.values)
        arrays = {"starts": grams.starts, "places": grams.places, "idf": idf, "sums": sums}
        save_arrays(out, {f"rare_{name}": array for name, array in arrays.items()})
        return len(grams.values)


def _shown(batch: pa.RecordBatch) -> pa.Table:
    """What reports show of each item: its names, first question and first answer, or solution."""
    columns: dict[str, list[str]] = {"question": [], "answer": []}
    for parts in batch["item_parts"].to_pylist():
        own: dict[str, str] = {}
        for part in parts or []:
            if part and part["text"]:
                own.setdefault(part["part"], part["text"])
        columns["question"].append((own.get("question") or own.get("passage") or "")[:EXCERPT])
        columns["answer"].append((own.get("answer") or own.get("solution") or "")[:EXCERPT])
    names = {"benchmark": batch["benchmark"], "id": batch["item"]}
    return pa.table({**names, **columns}, schema=ITEM_SCHEMA)


def _joined(texts: Sequence[Texts]) -> Texts:
    bases = np.cumsum([0, *(len(t.words) for t in texts)])
    starts = [t.starts[:-1] + base for t, base in zip(texts, bases, strict=False)]
    columns = {
        name: np.concatenate([getattr(t, name) for t in texts]) for name in _FIELDS if name != "starts"
    }
    return Texts(**columns, starts=np.concatenate([*starts, bases[-1:]]).astype(np.int64))


def _links(
    name: str, keys: np.ndarray, values: np.ndarray, count: int, values_name: str
) -> dict[str, np.ndarray]:
    """Distinct pairs as starts by key, and values: each value of a key once, ascending."""
    pairs = np.unique(np.column_stack([keys, values]), axis=0)
    starts = np.searchsorted(pairs[:, 0], np.arange(count + 1)).astype(np.int64)
    return {f"{name}_starts": starts, values_name: pairs[:, 1].astype(np.int64)}


def _check_names(items: pa.Table) -> None:
    for name, column in (("benchmark", "benchmark"), ("item", "id")):
        missing = items[column].null_count
        if missing:
            raise ValueError(
                f"build_ngram_index: {missing} items have no {name}; read them with read_benchmark"
            )
    keys = Counter(zip(items["benchmark"].to_pylist(), items["id"].to_pylist(), strict=True))
    twice = sorted(key for key, count in keys.items() if count > 1)
    if twice:
        benchmark, item = twice[0]
        raise ValueError(
            f"build_ngram_index: {len(twice)} ids stand for several items, the first of them {item!r} of benchmark "
            f"{benchmark!r}; read each benchmark once, and give different ones different names"
        )


def _summary(items: pa.Table, findable: np.ndarray) -> dict[str, Any]:
    benchmarks: dict[str, dict[str, Any]] = {}
    rows = zip(items["benchmark"].to_pylist(), items["id"].to_pylist(), findable.tolist(), strict=True)
    for benchmark, item, able in rows:
        own = benchmarks.setdefault(benchmark, {"items": 0, "not_findable": 0, "not_findable_ids": []})
        own["items"] += 1
        if not able:
            own["not_findable"] += 1
            own["not_findable_ids"] += [item] * (len(own["not_findable_ids"]) < NAMED)
    if not findable.any():
        raise ValueError(
            f"build_ngram_index: none of {len(findable)} items can be found: all are shorter than min_short_words, "
            "or share their words with too many others; lower min_short_words or raise max_texts"
        )
    return {"items": items.num_rows, "not_findable": int((~findable).sum()), "benchmarks": benchmarks}


def _digest(texts: Texts, items: pa.Table) -> str:
    digest = xxhash.xxh3_128()
    for array in texts:
        digest.update(np.ascontiguousarray(array).tobytes())
    for column in items.itercolumns():
        digest.update("\0".join(column.to_pylist()).encode())
    return digest.hexdigest()
