"""The exchange against plain Python: grouping, division of large buckets, hot keys, verdict routing."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest

from pipeline import exchange, regroup
from pipeline.errors import StageError
from pipeline.io.store import Store


def emitted(rng, rows, keys, kind="uint64"):
    numbers = rng.integers(0, keys, rows).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    if kind == "uint64":
        key = pa.array(numbers)
    else:
        key = pa.array([int(n).to_bytes(8, "big") + b"\0" * 8 for n in numbers], pa.binary(16))
    return pa.table(
        {"key": key, "row": pa.array(np.arange(rows), pa.int64()), "v": pa.array(rng.integers(0, 9, rows))}
    )


def write(store, rng, partitions, rows, keys, kind, buckets):
    files, sizes, truth = [], np.zeros(buckets, np.int64), defaultdict(list)
    for p in range(partitions):
        table = emitted(rng, rows, keys, kind)
        with store.scratch() as scratch:
            _, told = exchange.write_emitted(scratch / "e.arrow", [table], buckets)
            store.publish(scratch / "e.arrow", f"e{p}.arrow")
        for bucket, _, size in told:
            sizes[bucket] += size
        files.append((p, f"e{p}.arrow"))
        for key, row, v in zip(*(table[c].to_pylist() for c in ("key", "row", "v")), strict=True):
            truth[key].append((v, (p << 32) | row))
    return files, sizes, {k: sorted(v) for k, v in truth.items()}


def collect(store, tmp_path, files, cuts, limit, max_group):
    seen = defaultdict(list)
    calls = []

    def reduce(bucket):
        groups = defaultdict(list)
        for key, v, doc in zip(*(bucket[c].to_pylist() for c in ("key", "v", "doc")), strict=True):
            groups[key].append((v, doc))
        for key, group in groups.items():
            assert group == sorted(group)
            seen[key].append(group)
        calls.append(max(map(len, groups.values())))
        return pa.table({"doc": bucket["doc"]})

    for n, (low, high) in enumerate(cuts):
        folder = tmp_path / f"r{n}"
        folder.mkdir()
        list(
            regroup.reduce_range(
                lambda low=low, high=high: exchange.read_range(store, files, low, high),
                reduce,
                ["v"],
                folder,
                limit,
                max_group,
            )
        )
    return seen, calls


@pytest.mark.parametrize("kind", ["uint64", "binary"])
@pytest.mark.parametrize("limit", [1 << 30, 20_000, 500])
def test_every_group_arrives_whole_and_sorted(tmp_path, kind, limit):
    store = Store(str(tmp_path / "s"))
    files, sizes, truth = write(store, np.random.default_rng(1), 3, 400, 60, kind, 16)
    seen, _ = collect(store, tmp_path, files, exchange.ranges(sizes, 10_000), limit, 10_000)
    assert {k: v[0] for k, v in seen.items() if len(v) == 1} == truth


@pytest.mark.parametrize("limit", [1 << 30, 3_000])
def test_a_hot_key_arrives_in_pieces_headed_by_its_first_row(tmp_path, limit):
    store = Store(str(tmp_path / "s"))
    files, sizes, truth = write(store, np.random.default_rng(2), 4, 500, 1, "uint64", 16)
    seen, calls = collect(store, tmp_path, files, exchange.ranges(sizes, 1 << 30), limit, 50)
    (key, rows), *_ = truth.items()
    pieces = seen[key]
    assert max(calls) <= 50
    assert all(piece[0] == rows[0] for piece in pieces)
    assert sorted({r for piece in pieces for r in piece}) == rows
    assert sum(len(p) for p in pieces) == len(rows) + len(pieces) - 1


def test_an_unhashed_key_range_is_divided_to_the_end(tmp_path):
    """Keys that differ only in their last bits still end up in groups of their own."""
    store = Store(str(tmp_path / "s"))
    keys = np.repeat(np.arange(40, dtype=np.uint64), 30)
    table = pa.table({"key": keys, "row": np.arange(1200), "v": np.zeros(1200, np.int64)})
    with store.scratch() as scratch:
        exchange.write_emitted(scratch / "e.arrow", [table], 16)
        store.publish(scratch / "e.arrow", "e.arrow")
    seen, _ = collect(store, tmp_path, [(0, "e.arrow")], [(0, 16)], 2_000, 1000)
    assert len(seen) == 40
    assert all(len(pieces[0]) == 30 for pieces in seen.values())


def test_verdicts_come_back_to_their_partition(tmp_path):
    store = Store(str(tmp_path / "s"))
    docs = [(0 << 32) | 5, (2 << 32) | 0, (2 << 32) | 9, (1 << 32) | 3]
    for n, part in enumerate((docs[:2], docs[2:])):
        with store.scratch() as scratch:
            exchange.write_verdicts(
                scratch / "v",
                [pa.table({"doc": pa.array(part, pa.uint64()), "what": [str(d) for d in part]})],
            )
            store.publish(scratch / "v", f"v{n}")
    mine = exchange.verdicts_for(store, ["v0", "v1"], 2)
    assert mine.to_pylist() == [{"row": 0, "what": str(docs[1])}, {"row": 9, "what": str(docs[2])}]
    assert exchange.rows_between(mine, 5, 10).to_pylist() == [{"row": 4, "what": str(docs[2])}]
    assert exchange.verdicts_for(store, ["v0", "v1"], 3).num_rows == 0
    assert exchange.verdicts_for(store, ["v0"], 3).schema.names == ["row", "what"]
    assert exchange.verdicts_for(store, [], 3).schema.names == ["row"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"row": [1]}), "node 'n': emit must return the columns key and row, got"),
        (pa.table({"key": ["a"], "row": [0]}), "node 'n': key is string; make it uint64 or binary"),
        (
            pa.table({"key": pa.array([1], pa.uint64()), "row": [4]}),
            "node 'n': emit returned a row outside its batch of 4",
        ),
    ],
)
def test_what_emit_returns_is_checked(table, message):
    with pytest.raises(StageError, match=message):
        exchange.check_emitted("n", table, 4)


def hot(rows, keys=1, kind="uint64"):
    rng = np.random.default_rng(4)
    table = emitted(rng, rows, keys, kind)
    docs = pa.array(rng.permutation(rows).astype(np.uint64))
    return table.drop_columns(["row"]).append_column("doc", docs)


def groups_of(tmp_path, pieces, limit, max_group, **options):
    made = []

    def reduce(bucket):
        made.append(bucket.select(["key", "v", "doc"]).to_pylist())
        return pa.table({"doc": bucket["doc"]})

    folder = tmp_path / f"{limit}-{max_group}-{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    list(regroup.reduce_range(lambda: iter(pieces), reduce, ["v"], folder, limit, max_group, **options))
    return made


@pytest.mark.parametrize("kind", ["uint64", "binary"])
def test_a_key_that_fills_more_than_memory_is_cut_as_it_is_within(tmp_path, kind):
    """What a stage sees does not depend on `bucket_bytes`, and pieces are headed by the key's first row."""
    table = hot(3000, kind=kind)
    pieces = [table.slice(i, 500) for i in range(0, 3000, 500)]
    whole = groups_of(tmp_path, pieces, 1 << 30, 700)
    assert groups_of(tmp_path, pieces, 10_000, 700) == whole
    assert [len(g) for g in whole] == [700, 700, 700, 700, 204]
    assert {tuple(g[0].values()) for g in whole} == {tuple(whole[0][0].values())}


@pytest.mark.parametrize("limit", [1 << 30, 2_000])
@pytest.mark.parametrize("kind", ["uint64", "binary"])
def test_keys_of_one_row_are_left_out_where_nobody_wants_them(tmp_path, limit, kind):
    table = hot(400, keys=300, kind=kind)
    counts = Counter(table["key"].to_pylist())
    found = [row for g in groups_of(tmp_path, [table], limit, 100, singles=False) for row in g]
    assert Counter(row["key"] for row in found) == {k: n for k, n in counts.items() if n > 1}
    every = [row for g in groups_of(tmp_path, [table], limit, 100) for row in g]
    assert Counter(row["key"] for row in every) == counts


def test_a_bucket_of_single_rows_is_reduced_to_an_empty_table_of_the_right_shape(tmp_path):
    table = hot(5, keys=10**9)
    assert groups_of(tmp_path, [table], 1 << 30, 100, singles=False) == [[]]


@pytest.mark.parametrize("limit", [1 << 30, 500])
def test_rows_that_say_the_same_count_once(tmp_path, limit):
    table = pa.table({"key": pa.array([7, 7, 7, 9], pa.uint64()), "doc": pa.array([1, 1, 2, 1], pa.uint64())})
    pieces = [table] * 40
    seen = []
    folder = tmp_path / "scratch"
    folder.mkdir()

    def reduce(bucket):
        seen.extend(zip(bucket["key"].to_pylist(), bucket["doc"].to_pylist(), strict=True))
        return pa.table({"doc": bucket["doc"]})

    list(regroup.reduce_range(lambda: iter(pieces), reduce, (), folder, limit, 100, once=True))
    assert sorted(seen) == [(7, 1), (7, 2), (9, 1)]
