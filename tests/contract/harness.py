"""Stages called as the engine calls them, with what they return made comparable."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from pipeline import contract
from pipeline.graph import Node, kind_of
from pipeline.registry import load_class
from pipeline.stage import Damage, Expansion, GlobalStage, Marks, ShardInfo, Sink, Source, Stage
from pipeline.summaries import told
from stages.registry import STAGES
from tests.contract.cases import CASES, World
from tests.support.exchange import run_global

Key = tuple[str, int]


def stage_class(name: str) -> type[Stage[Any]]:
    return load_class(STAGES[name].target)


def variants(*kinds: str) -> list[Key]:
    """(stage, number of its params) of all stages of some kinds; all if none is named."""
    return [
        (name, k)
        for name, given in CASES.items()
        for k in range(len(given))
        if not kinds or kind_of(stage_class(name)) in kinds
    ]


def build(world: World, key: Key) -> Any:
    name, k = key
    return stage_class(name).model_validate_json(world.params(CASES[name][k]))


def node_of(name: str, stage: Stage[Any]) -> Node:
    return Node(name, name, STAGES[name].target, stage)


def mark_rows(node: Node, marks: Marks, rows: int) -> list[str]:
    """One text a row with everything said about it; the contract is checked on the way."""
    contract.check_marks(node, marks, rows)
    if marks.reject is not None:
        assert marks.reject.type == pa.string()
    for array in marks.columns.values():
        array.validate(full=True)
    nothing = [None] * rows
    said = [
        nothing if marks.reject is None else marks.reject.to_pylist(),
        nothing if marks.evidence is None else marks.evidence.to_pylist(),
        *(marks.columns[name].to_pylist() for name in sorted(marks.columns)),
    ]
    return [repr(row) for row in zip(*said, strict=True)]  # repr: NaN equals itself, 1 is not 1.0


def annotate(world: World, key: Key, stage: Any, resource: Any, batch: pa.RecordBatch) -> list[str]:
    """A map stage on one batch."""
    node = node_of(key[0], stage)
    return mark_rows(node, stage.annotate(batch, resource), batch.num_rows)


def expand(world: World, key: Key, stage: Any, resource: Any, batch: pa.RecordBatch) -> list[str]:
    """An expand stage on one batch: for each parent, its children and its verdict."""
    made: Expansion = stage.expand(batch, resource)
    contract.check_expansion(node_of(key[0], stage), made, batch.num_rows)
    assert made.parents.type == pa.int64()
    columns = [made.columns[name].to_pylist() for name in sorted(made.columns)]
    children = list(zip(made.parents.to_pylist(), *columns, strict=True))
    reject = [None] * batch.num_rows if made.reject is None else made.reject.to_pylist()
    return [repr((reject[i], [c[1:] for c in children if c[0] == i])) for i in range(batch.num_rows)]


def globally(
    world: World, key: Key, stage: GlobalStage[Any], batches: Sequence[pa.RecordBatch], seed: int
) -> Any:
    """A global stage on partitions."""
    marks = run_global(stage, batches, stage.open(world.side(key[0])), shuffle_seed=seed)
    node = node_of(key[0], stage)
    return [row for m, b in zip(marks, batches, strict=True) for row in mark_rows(node, m, b.num_rows)]


def buffers_digest(batch: pa.RecordBatch) -> str:
    """A checksum of all memory that a batch points to."""
    digest = hashlib.sha256()
    for column in batch.columns:
        parts = [column, column.dictionary] if pa.types.is_dictionary(column.type) else [column]
        for buffer in (b for part in parts for b in part.buffers() if b is not None):
            digest.update(buffer)
    return digest.hexdigest()


def copied(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows in memory of their own, at offset 0."""
    return batch.take(pa.array(range(batch.num_rows), pa.int64()))


def cut(batch: pa.RecordBatch, *at: int) -> list[pa.RecordBatch]:
    """Slices of a batch at some places."""
    places = [0, *at, batch.num_rows]
    return [batch.slice(a, b - a) for a, b in pairwise(places)]


def written(sink: Sink[Any], resource: Any, batches: Sequence[pa.RecordBatch], out: Path) -> ShardInfo:
    """One partition written; the sink must take all rows, name its files, and say what JSON can hold."""
    out.mkdir(parents=True)
    taken = 0

    def rows() -> Iterator[pa.RecordBatch]:
        nonlocal taken
        for batch in batches:
            taken += batch.num_rows
            yield batch

    info = sink.write(rows(), out, resource)
    assert taken == sum(batch.num_rows for batch in batches)
    assert sorted(info.files) == sorted(p.name for p in out.iterdir())
    meta = orjson.loads(orjson.dumps(dict(info.meta)))
    assert meta == dict(info.meta)
    return ShardInfo(list(info.files), info.rows, meta)


def committed(sink: Sink[Any], resource: Any, parts: Sequence[tuple[Path, ShardInfo]], out: Path) -> None:
    """Partitions' files side by side under the engine's names, then commit."""
    out.mkdir(parents=True)
    shards = []
    for k, (folder, info) in enumerate(parts):
        names = [f"{k:05d}-{name}" for name in info.files]
        for name, new in zip(info.files, names, strict=True):
            (out / new).write_bytes((folder / name).read_bytes())
        shards.append(ShardInfo(names, info.rows, info.meta))
    sink.commit(shards, out, resource)
    before = digests(out)
    told("node", sink.summary(shards, out))
    assert digests(out) == before


def digests(folder: Path) -> dict[str, str]:
    """Checksums of a folder's files."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def read_split(source: Source[Any], split: str) -> tuple[list[str], list[Damage]]:
    """Rows and damages of a split; every batch has exactly the declared schema."""
    rows: list[str] = []
    damages: list[Damage] = []
    for found in source.read(split, source.open({})):
        if isinstance(found, Damage):
            damages.append(found)
            continue
        assert found.schema.equals(source.writes(), check_metadata=True)
        found.validate(full=True)
        assert 0 < found.num_rows <= source.batch_rows  # type: ignore[attr-defined]
        rows += map(repr, found.to_pylist())
    return rows, damages
