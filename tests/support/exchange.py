"""A Global stage run in memory, plainly: what the engine's exchange must come to.

Every row emitted is held in one table; there are no files or tasks. Partitions are the batches given. What the
contract leaves open is varied by `shuffle_seed`: the order in which rows arrive, how groups are cut into
buckets, and the shape of the tree in which reductions are resolved.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

from pipeline.components import components
from pipeline.stage import GlobalStage, Marks

ROW_BITS = 32
NO_VERDICTS = pa.table({"row": pa.array([], pa.int64())})


def run_global(
    stage: GlobalStage[Any],
    batches: Sequence[pa.RecordBatch],
    resource: Any = None,
    max_group_rows: int | None = None,
    shuffle_seed: int = 0,
) -> list[Marks]:
    """Marks for each batch, after all rounds.

    Args:
        stage: as a config would make it.
        batches: each is a partition; its number is its place.
        resource: handed to `emit`.
        max_group_rows: a key with more rows arrives as several groups, each headed by its first row.
        shuffle_seed: of everything that must not matter.
    """
    rng = random.Random(shuffle_seed)
    verdicts = [NO_VERDICTS for _ in batches]
    remembered: list[list[pa.Table]] = [[] for _ in batches]
    for round in range(stage.rounds):
        emitted = [stage.emit(b, resource, round, v) for b, v in zip(batches, verdicts, strict=True)]
        check_schemas(emitted)
        said = exchange(stage, emitted, round, max_group_rows, rng)
        verdicts = [route(said, partition) for partition in range(len(batches))]
        if round in stage.remembers and round + 1 < stage.rounds:
            for tables, table in zip(remembered, verdicts, strict=True):
                tables.append(table)
    for i, tables in enumerate(remembered):
        if tables:
            table = pa.concat_tables([*tables, verdicts[i]], promote_options="default")
            verdicts[i] = table.sort_by("row")
    return [stage.annotate(b, v) for b, v in zip(batches, verdicts, strict=True)]


def check_schemas(emitted: Sequence[pa.Table]) -> None:
    """What emit must keep to, whatever the batch."""
    for table in emitted:
        assert table.schema == emitted[0].schema, "the schema of emit depends on the batch"
        assert table.schema.field("key").type in (pa.uint64(), pa.binary(16))
        assert table.schema.field("row").type == pa.int32()


def exchange(
    stage: GlobalStage[Any],
    emitted: Sequence[pa.Table],
    round: int,
    max_group_rows: int | None,
    rng: random.Random,
) -> pa.Table:
    """One round: what reduce, and resolve if there is one, say about all rows."""
    tables = [with_docs(table, partition) for partition, table in enumerate(emitted)]
    rng.shuffle(tables)
    everything = pa.concat_tables(tables).combine_chunks()
    groups = list(cut_groups(everything, stage.order(round), max_group_rows))
    reduced = [stage.reduce(bucket, round) for bucket in into_buckets(everything, groups, rng)]
    if stage.links(round):
        return components(pa.concat_tables(reduced))
    if not stage.resolves(round):
        return pa.concat_tables(reduced)
    while len(reduced) > 2:
        rng.shuffle(reduced)
        width = rng.randint(2, 3)
        reduced = [stage.resolve(reduced[:width], round, False), *reduced[width:]]
    return stage.resolve(reduced, round, True)


def with_docs(table: pa.Table, partition: int) -> pa.Table:
    """`row` becomes `doc`, a reference that no other partition has."""
    docs = [(partition << ROW_BITS) | row for row in table["row"].to_pylist()]
    return table.drop_columns(["row"]).append_column("doc", pa.array(docs, pa.uint64()))


def cut_groups(table: pa.Table, order: Sequence[str], limit: int | None) -> Iterator[list[int]]:
    """Indices of each key's rows, sorted by (key, order, doc), in pieces of at most `limit` rows."""
    columns = [table[name].to_pylist() for name in ("key", *order, "doc")]
    ranked = sorted(range(table.num_rows), key=lambda i: tuple(column[i] for column in columns))
    for _, members in groupby(ranked, key=lambda i: columns[0][i]):
        rows = list(members)
        yield rows[:limit]
        if limit is not None:
            assert limit >= 2
            for at in range(limit, len(rows), limit - 1):
                yield [rows[0], *rows[at : at + limit - 1]]


def into_buckets(table: pa.Table, groups: list[list[int]], rng: random.Random) -> Iterator[pa.Table]:
    """Groups in buckets of 1 to 5, a key's own pieces never together; one empty bucket for no row."""
    keys = table["key"].to_pylist()
    bucket: list[int] = []
    held: set[Any] = set()
    room = rng.randint(1, 5)
    for group in groups:
        if bucket and (keys[group[0]] in held or len(held) == room):
            yield table.take(pa.array(bucket, pa.int64()))
            bucket, held, room = [], set(), rng.randint(1, 5)
        bucket += group
        held.add(keys[group[0]])
    yield table.take(pa.array(bucket, pa.int64()))


def route(said: pa.Table, partition: int) -> pa.Table:
    """What was said about one partition, by `row`, ascending; all of it when it is about nobody."""
    if "doc" not in said.schema.names:
        return said
    docs = said["doc"].to_pylist()
    mine = sorted((i for i, doc in enumerate(docs) if doc >> ROW_BITS == partition), key=docs.__getitem__)
    rows = pa.array([docs[i] & ((1 << ROW_BITS) - 1) for i in mine], pa.int64())
    return said.take(pa.array(mine, pa.int64())).drop_columns(["doc"]).add_column(0, "row", rows)
