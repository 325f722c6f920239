"""Stages that break the contract, one rule each; the contract test must find every one of them."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import ExpandStage, Expansion, GlobalStage, MapStage, Marks, ShardInfo, Sink

SIZE = pa.field("size", pa.int64())


class Sized(MapStage[None]):
    """Sound: the length of each text."""

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([SIZE])

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:
        return Marks({"size": self.sizes(batch["text"])})

    def sizes(self, text: pa.Array) -> pa.Array:
        return pc.cast(pc.utf8_length(pc.fill_null(text, "")), pa.int64())


class LooksAcrossRows(Sized):
    def sizes(self, text: pa.Array) -> pa.Array:
        sizes = super().sizes(text)
        return pc.subtract(sizes, pc.fill_null(pc.max(sizes), 0))


class ReadsPastTheSlice(Sized):
    def sizes(self, text: pa.Array) -> pa.Array:
        starts = memoryview(text.buffers()[1]).cast("q").tolist()
        lengths = [b - a for a, b in pairwise(starts)]
        return pa.array(lengths[: len(text)], pa.int64())


class Remembers(Sized):
    def sizes(self, text: pa.Array) -> pa.Array:
        self.__dict__["seen"] = self.__dict__.get("seen", 0) + len(text)
        return super().sizes(text)


class FearsNull(Sized):
    def sizes(self, text: pa.Array) -> pa.Array:
        return pa.array([len(t) for t in text.to_pylist()], pa.int64())


class WrongType(Sized):
    def sizes(self, text: pa.Array) -> pa.Array:
        return super().sizes(text).cast(pa.int32())


class UnknownReason(Sized):
    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:
        marks = super().annotate(batch, resource)
        return marks._replace(reject=pa.array(["no_such_reason"] * batch.num_rows, pa.string()))


class DoubleReason(StrEnum):
    TOO_LONG = "too_long"
    TOO_LARGE = "too_long"


class Undescribed(Sized):
    reasons = DoubleReason
    libraries = ("no-such-package",)
    limit: int = Field(3)


class DropsParents(ExpandStage[None]):
    """One child for every other row, and not a word about the rest."""

    def expand(self, batch: pa.RecordBatch, resource: None) -> Expansion:
        return Expansion(pa.array(range(0, batch.num_rows, 2), pa.int64()))


class FirstComeReason(StrEnum):
    COPY = "copy"


class FirstComeFirstKept(GlobalStage[None]):
    """Who survives depends on the partition."""

    reasons = FirstComeReason

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:
        keys = [xxhash.xxh3_64_intdigest((t or "").encode()) for t in batch["text"].to_pylist()]
        return pa.table(
            {"key": pa.array(keys, pa.uint64()), "row": pa.array(range(batch.num_rows), pa.int32())}
        )

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:
        keys = bucket["key"].to_pylist()
        return bucket.select(["doc"]).filter(
            pa.array([k in keys[:i] for i, k in enumerate(keys)], pa.bool_())
        )

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        lost = set(verdicts["row"].to_pylist())
        return Marks(
            {}, pa.array(["copy" if i in lost else None for i in range(batch.num_rows)], pa.string())
        )


class CountsBatches(Sink[None]):
    """Writes how often it was called."""

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:
        sizes = [batch.num_rows for batch in batches]
        (out / "sizes").write_text(str(sizes))
        return ShardInfo(["sizes"], sum(sizes))

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:
        (out / "manifest.json").write_text("{}")


class LeavesRows(CountsBatches):
    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:
        next(batches, None)
        return ShardInfo()
