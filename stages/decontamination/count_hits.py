"""Count the documents of a corpus that hold each seed of an index, for definitions that ask how frequent one is.

Source: Brown et al. 2020 (GPT-3, arXiv:2005.14165, appendix C) ignored n-grams that more than ten documents have.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import MESSAGES, TEXT
from pipeline.stage import ShardInfo, Sink
from stages.decontamination._alphabet import benchmark_alphabet
from stages.decontamination._documents import open_documents
from stages.decontamination._index import META, BenchmarkIndex, map_array, read_index
from stages.decontamination._kernels import count_rows
from stages.decontamination._matches import seeds_of
from stages.kernels.buffers import text_buffers
from stages.kernels.dialogue import dialogue_texts

FORMAT = 1
COUNTS = "counts.npy"


def read_counts(folder: Path, index: BenchmarkIndex) -> np.ndarray:
    """Documents by seed of the index, uint32.

    Raises:
        ValueError: the folder holds no counts, or those of another index.
    """
    if not (folder / META).is_file() or not (folder / COUNTS).is_file():
        raise ValueError(f"counts: {folder} holds none; give a count_ngram_hits node as side input")
    meta = json.loads((folder / META).read_text("utf-8"))
    if meta.get("format") != FORMAT or meta.get("index") != index.meta["digest"]:
        raise ValueError(
            f"counts: {folder} was counted with another index; give count_ngram_hits the same `index` node"
        )
    return map_array(folder / COUNTS)


class CountNgramHits(Sink[BenchmarkIndex]):
    """Count the documents that hold each seed of an index; side input `counts` of `decontaminate`.

    Each document counts once for a seed, however often it has it. Documents are counted where this node stands: put
    it before what would take them out.
    """

    sides: ClassVar[Mapping[str, str]] = {"index": "a build_ngram_index node over benchmark items"}

    on: Literal["text", "messages"] = Field("text", description="where to look, as in decontaminate")

    def reads(self) -> pa.Schema:
        """The text, or the dialogue."""
        return pa.schema([MESSAGES if self.on == "messages" else TEXT])

    def needs_side(self) -> Sequence[str]:
        """The index."""
        return ["index"]

    def open(self, side: Mapping[str, Path]) -> BenchmarkIndex:
        """Map the index."""
        return read_index(side["index"])

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: BenchmarkIndex) -> ShardInfo:
        """The counts of one partition: seeds that it has, ascending, and documents."""
        counts = np.zeros(len(resource.seeds.values), np.uint32)
        rows = 0
        for batch in batches:
            texts = dialogue_texts(batch["messages"]) if self.on == "messages" else batch["text"]
            data, offsets = text_buffers(open_documents(texts).column)
            last = np.full(len(counts), -1, np.int64)
            alphabet = benchmark_alphabet(resource.tokens)
            count_rows(data, offsets, *alphabet, seeds_of(resource), last, counts)
            rows += batch.num_rows
        seeds = np.flatnonzero(counts)
        if not rows:
            return ShardInfo()
        np.save(out / COUNTS, np.column_stack([seeds, counts[seeds]]).astype(np.int64))
        return ShardInfo((COUNTS,), rows)

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: BenchmarkIndex) -> None:
        """Add up all partitions."""
        counts = np.zeros(len(resource.seeds.values), np.uint32)
        for file in (out / name for shard in shards for name in shard.files):
            seeds, documents = np.load(file).T
            counts[seeds] += documents.astype(np.uint32)
        np.save(out / COUNTS, counts)
        meta: Mapping[str, Any] = {
            "format": FORMAT,
            "index": resource.meta["digest"],
            "documents": sum(shard.rows for shard in shards),
            "seeds": len(counts),
            "seeds_found": int(np.count_nonzero(counts)),
        }
        (out / META).write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n", "utf-8")
