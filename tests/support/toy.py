"""Small real stages for tests of the engine: one of each kind, deterministic, quick, and able to misbehave."""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pydantic import Field

from pipeline.schema import ID, ID_HASH, METADATA, ORIGIN, SOURCE, TEXT, URL
from pipeline.stage import (
    Damage,
    ExpandStage,
    Expansion,
    GlobalStage,
    MapStage,
    Marks,
    ShardInfo,
    Sink,
    Source,
    StageRef,
    Summary,
)

LENGTH = pa.field("length", pa.int32())


class ReadLines(Source[None]):
    """One document a line of each *.txt in a folder; a line '!damage' is a stretch that cannot be read."""

    folder: str
    rows: int = 7

    def writes(self) -> pa.Schema:
        return pa.schema([ORIGIN, TEXT, URL, METADATA])

    def split(self) -> Sequence[str]:
        return [str(p) for p in sorted(Path(self.folder).glob("*.txt"))]

    def files(self, split: str) -> Sequence[str]:
        return [split]

    def read(self, split: str, resource: None) -> Iterator[pa.RecordBatch | Damage]:
        name = Path(split).name
        lines = Path(split).read_text("utf-8").split("\n")
        lines = lines[:-1] if lines and not lines[-1] else lines
        for start in range(0, len(lines), self.rows):
            part = list(enumerate(lines))[start : start + self.rows]
            for number, line in part:
                if line == "!damage":
                    yield Damage(name, str(number), -1, "damaged_line", "the line says so")
            good = [(n, line) for n, line in part if line != "!damage"]
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array([{"file": name, "key": str(n), "offset": n} for n, _ in good], ORIGIN.type),
                    pa.array([line for _, line in good], TEXT.type),
                    pa.nulls(len(good), URL.type),
                    pa.nulls(len(good), METADATA.type),
                ],
                schema=self.writes(),
            )


class MeasureReason(StrEnum):
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"


class Measure(MapStage[None]):
    """Writes the length and rejects outside of a range."""

    reasons = MeasureReason
    summarize: ClassVar[Mapping[str, Any]] = {"length": "sum"}
    min_length: int | None = Field(None, description="characters")
    max_length: int | None = Field(None, description="characters")

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([LENGTH])

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:
        length = pc.utf8_length(batch["text"]).cast(pa.int32())
        none = pa.scalar(None, pa.string())
        reject = pa.nulls(batch.num_rows, pa.string())
        if self.max_length is not None:
            reject = pc.if_else(pc.greater(length, self.max_length), "too_long", none)
        if self.min_length is not None:
            reject = pc.if_else(pc.less(length, self.min_length), "too_short", reject)
        evidence = pa.StructArray.from_arrays([length], ["length"], mask=pc.is_null(reject))
        return Marks({"length": length}, reject, evidence)


class Shout(MapStage[None]):
    """Upper case, with an edit note where something changed; raises, hangs or dies on request."""

    boom: str | None = None
    die: str | None = None
    sleep: str | None = None
    wrong: str | None = None
    slow_s: float = 0.0  # a pause in each batch, so that a test can kill a run in the middle
    die_once: str | None = None  # a file that is made before dying, so the second attempt lives

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([TEXT])

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:
        texts = batch["text"].to_pylist()
        time.sleep(self.slow_s)
        if self.boom and any(self.boom in t for t in texts):
            raise ValueError(f"boom on {self.boom}")
        if self.die and any(self.die in t for t in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.sleep and any(self.sleep in t for t in texts):
            end = time.monotonic() + 30
            while time.monotonic() < end:
                time.sleep(0.01)
        if self.die_once and not Path(self.die_once).exists():
            Path(self.die_once).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        upper = pc.utf8_upper(batch["text"])
        if self.wrong == "rows":
            upper = upper[:-1]
        if self.wrong == "type":
            upper = upper.cast(pa.string())
        columns = {"text": upper} if self.wrong != "name" else {"txet": upper}
        reject = pa.array(["oops"] * batch.num_rows) if self.wrong == "reason" else None
        changed = pc.not_equal(upper, batch["text"]) if self.wrong is None else None
        evidence = None
        if changed is not None:
            evidence = pa.StructArray.from_arrays(
                [pa.repeat(1, len(changed))], ["edits"], mask=pc.invert(changed)
            )
        return Marks(columns, reject, evidence)


class SplitReason(StrEnum):
    EMPTY = "empty"


class SplitWords(ExpandStage[None]):
    """One document a word; documents without words are rejected."""

    reasons = SplitReason

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([TEXT])

    def expand(self, batch: pa.RecordBatch, resource: None) -> Expansion:
        words = [t.split() for t in batch["text"].to_pylist()]
        parents = [i for i, w in enumerate(words) for _ in w]
        reject = pa.array([None if w else "empty" for w in words], pa.string())
        return Expansion(
            pa.array(parents, pa.int64()),
            {"text": pa.array([x for w in words for x in w], TEXT.type)},
            reject,
        )


class DedupReason(StrEnum):
    EXACT = "exact_duplicate"


class Dedup(GlobalStage[None]):
    """Keep the smallest id of each text."""

    reasons = DedupReason

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def order(self, round: int) -> Sequence[str]:
        return ["id"]

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:
        keys = [xxhash.xxh3_128_digest(t.encode()) for t in batch["text"].to_pylist()]
        return pa.table(
            {
                "key": pa.array(keys, pa.binary(16)),
                "row": pa.array(range(batch.num_rows), pa.int32()),
                "id": batch["id"],
            }
        )

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:
        keys, ids, docs = (bucket[c].to_pylist() for c in ("key", "id", "doc"))
        leader: dict[bytes, str] = {}
        lost: list[tuple[int, str]] = []
        for key, name, doc in zip(keys, ids, docs, strict=True):
            first = leader.setdefault(key, name)
            if first != name:
                lost.append((doc, first))
        return pa.table(
            {
                "doc": pa.array([d for d, _ in lost], pa.uint64()),
                "survivor": pa.array([s for _, s in lost], pa.string()),
            }
        )

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        reject: list[str | None] = [None] * batch.num_rows
        evidence: list[dict[str, str] | None] = [None] * batch.num_rows
        if verdicts.num_rows:
            for row, survivor in zip(
                verdicts["row"].to_pylist(), verdicts["survivor"].to_pylist(), strict=True
            ):
                reject[row], evidence[row] = "exact_duplicate", {"survivor": survivor}
        return Marks(
            {}, pa.array(reject, pa.string()), pa.array(evidence, pa.struct([("survivor", pa.string())]))
        )


COUNT = pa.field("group_size", pa.int64())


class CountFirstLetter(GlobalStage[None]):
    """Two rounds and a resolve: writes how many documents of the corpus begin with the same letter.

    Round 0 counts by letter and broadcasts; round 1 sends every document its letter's count.
    """

    rounds: ClassVar[int] = 2
    boom: str | None = None  # a text on which the second round raises

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([COUNT])

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:
        letters = pc.utf8_slice_codeunits(batch["text"], 0, 1).cast(pa.string())
        keys = [xxhash.xxh3_64_intdigest(x.encode()) for x in letters.to_pylist()]
        columns = {
            "key": pa.array(keys, pa.uint64()),
            "row": pa.array(range(batch.num_rows), pa.int32()),
            "letter": letters,
        }
        if round == 1:
            if self.boom and any(self.boom in t for t in batch["text"].to_pylist()):
                raise ValueError(f"boom on {self.boom}")
            sizes = dict(zip(verdicts["letter"].to_pylist(), verdicts["size"].to_pylist(), strict=True))
            columns["size"] = pa.array([sizes[x] for x in letters.to_pylist()], pa.int64())
        return pa.table(columns)

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:
        if round == 0:
            counted = bucket.group_by("letter").aggregate([("doc", "count_distinct")])
            return pa.table(
                {"letter": counted["letter"], "size": counted["doc_count_distinct"].cast(pa.int64())}
            )
        return bucket.select(["doc", "size"])

    def resolve(self, tables: Sequence[pa.Table], round: int, final: bool) -> pa.Table:
        table = pa.concat_tables(tables)
        if round == 1:
            return table
        summed = table.group_by("letter").aggregate([("size", "sum")])
        return pa.table({"letter": summed["letter"], "size": summed["size_sum"]}).sort_by("letter")

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        sizes = np.zeros(batch.num_rows, np.int64)
        if verdicts.num_rows:
            sizes[verdicts["row"].to_numpy()] = verdicts["size"].to_numpy()
        return Marks({"group_size": pa.array(sizes)})


class AllowedReason(StrEnum):
    NOT_LISTED = "not_listed"


class Listed(MapStage[frozenset[str]]):
    """Keeps texts that are in the word list of a side input: a sink's folder, or a node's stored rows."""

    reasons = AllowedReason
    sides: ClassVar[Mapping[str, str]] = {"list": "a folder written by write_words, or stored rows"}

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def needs_side(self) -> Sequence[str]:
        return ["list"]

    def open(self, side: Mapping[str, Path]) -> frozenset[str]:
        words: set[str] = set()
        for file in sorted(side["list"].iterdir()):
            if file.suffix == ".arrow":
                with pa.ipc.open_file(str(file)) as reader:
                    words |= set(reader.read_all()["text"].to_pylist())
        return frozenset(words)

    def annotate(self, batch: pa.RecordBatch, resource: frozenset[str]) -> Marks:
        verdict = [None if t in resource else "not_listed" for t in batch["text"].to_pylist()]
        return Marks({}, pa.array(verdict, pa.string()))


class WriteRows(Sink[None]):
    """Arrow files of id, text and whatever else is named; a manifest with the row count."""

    columns: list[str] = ["id", "text"]

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:
        tables = [
            pa.Table.from_batches([b]).select([c for c in self.columns if c in b.schema.names])
            for b in batches
        ]
        if not tables:
            return ShardInfo()
        table = pa.concat_tables(tables).combine_chunks()
        with pa.ipc.new_file(str(out / "rows.arrow"), table.schema) as writer:
            writer.write_table(table)
        return ShardInfo(
            ["rows.arrow"], table.num_rows, {"letters": pc.sum(pc.utf8_length(table["text"])).as_py()}
        )

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:
        rows = [[s.files[0], s.rows, int(str(s.meta["letters"]))] for s in shards if s.files]
        return [Summary("files <of rows>", ["file", "rows", "letters"], rows, "letters")]

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:
        value = {
            "rows": sum(s.rows for s in shards),
            "letters": sum(int(str(s.meta.get("letters", 0))) for s in shards),
        }
        (out / "manifest.json").write_text(json.dumps(value))


class Lazy(WriteRows):
    """A sink that does not take all its rows."""

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:
        return ShardInfo()


def _refs(**classes: type) -> dict[str, StageRef]:
    return {name: StageRef(f"{cls.__module__}:{cls.__name__}") for name, cls in classes.items()}


TOYS = _refs(
    read_lines=ReadLines,
    measure=Measure,
    shout=Shout,
    split_words=SplitWords,
    dedup=Dedup,
    count_first_letter=CountFirstLetter,
    listed=Listed,
    write_rows=WriteRows,
    lazy=Lazy,
)
TOYS["needs_absent"] = StageRef("tests.support.absent:Absent", "toxicity")
__all__ = ["ID", "ID_HASH", "SOURCE", "TOYS"]
