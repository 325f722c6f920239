"""Histograms and clusters: sums that no partitioning and no order changes."""

import itertools
import math
import random

import numpy as np
import pyarrow as pa
import pytest

from pipeline import clusters
from pipeline.books import Books
from pipeline.clusters import (
    bin_counts,
    bin_names,
    count_clusters,
    dense,
    merge_clusters,
    new_clusters,
    size_table,
    summary,
)
from pipeline.errors import StageError
from pipeline.schema import id_hashes
from tests.support.copies import Copies

EDGES = (0.5, 0.6, 0.7, 1.0)


def test_bins_as_a_slow_oracle_fills_them():
    numbers = random.Random(3)
    values = [numbers.choice([numbers.random(), *EDGES, -1.0, 7.0, None, math.nan]) for _ in range(500)]
    expected = [0] * 5
    for value in values:
        if value is not None and not math.isnan(value):
            expected[sum(value >= edge for edge in EDGES)] += 1
    assert dense(bin_counts(pa.array(values, pa.float64()), EDGES), EDGES) == expected
    assert min(expected) > 0


@pytest.mark.parametrize("values", [pa.array([], pa.float64()), pa.nulls(3, pa.int64()), pa.nulls(2)])
def test_nothing_fills_no_bin(values):
    assert bin_counts(values, EDGES) == {}


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float32(), pa.float64()])
def test_all_numbers_are_counted(kind):
    assert bin_counts(pa.array([1, 2, 3], kind), (2, 3)) == {"0": 1, "1": 1, "2": 1}


def test_names_of_bins():
    assert bin_names([1001, 10_001]) == ["below 1,001", "1,001 to 10,000", "10,001 and more"]
    assert bin_names([0.5]) == ["below 0.5", "0.5 and more"]
    assert bin_names([1.0, 2.0])[1] == "1 to 2"


# --- clusters ---------------------------------------------------------------------------------------


def rows_of(fell):
    """A batch and its evidence, from (id, survivor, size, similarity)."""
    ids = [row[0] for row in fell]
    batch = pa.RecordBatch.from_pydict(
        {
            "id": pa.array(ids, pa.string()),
            "id_hash": id_hashes(ids),
            "text": pa.array([f"text of {name} " * 40 for name in ids], pa.large_string()),
        }
    )
    names = ("survivor", "cluster_size", "similarity")
    evidence = [None if row[1] is None else dict(zip(names, row[1:], strict=True)) for row in fell]
    kind = pa.struct([("survivor", pa.string()), ("cluster_size", pa.int64()), ("similarity", pa.float64())])
    return batch, pa.array(evidence, kind)


def corpus(seed):
    """Rejected rows by source: clusters of several sizes, many of one size, ids beyond ASCII."""
    numbers = random.Random(seed)
    fell = []
    for c in range(60):
        size = numbers.choice([2, 2, 2, 3, 5, 9])
        survivor = f"{numbers.choice('abzé漢𝄞')}{c}"
        fell += [
            (f"{c}-{i}", survivor, size, round(numbers.random(), 3), f"s{i % 2}") for i in range(size - 1)
        ]
    numbers.shuffle(fell)
    return fell


def brute_force(fell, largest, samples):
    found = {}
    for name, survivor, size, similarity, source in fell:
        found.setdefault((-size, survivor.encode()), []).append((name, survivor, similarity, source))
    shown = []
    for (size, _), members in sorted(found.items())[:largest]:
        hashes = dict(
            zip([m[0] for m in members], id_hashes([m[0] for m in members]).to_pylist(), strict=True)
        )
        members.sort(key=lambda m: hashes[m[0]])
        sources = {s: sum(m[3] == s for m in members) for s in {m[3] for m in members}}
        shown.append((members[0][1], -size, sources, [(m[0], m[2]) for m in members[:samples]]))
    sizes = {}
    for row in fell:
        sizes[str(row[2])] = sizes.get(str(row[2]), 0) + 1
    return sizes, shown


def counted(fell, batch_size, samples):
    """One unit: rows of each source in batches."""
    made = new_clusters()
    for source in sorted({row[4] for row in fell}):
        mine = [row[:4] for row in fell if row[4] == source]
        for at in range(0, len(mine), batch_size):
            batch, evidence = rows_of(mine[at : at + batch_size])
            count_clusters(made, source, batch, evidence, samples)
    return made


def seen(made):
    largest = [
        (c["survivor"], c["size"], c["sources"], [(s["id"], s["similarity"]) for s in c["samples"]])
        for c in made["largest"]
    ]
    return made["sizes"], largest


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("largest", "samples"), [(1, 1), (4, 2), (20, 3), (1000, 3), (4, 0)])
def test_any_partitioning_and_order_says_the_same(monkeypatch, seed, largest, samples):
    monkeypatch.setattr(clusters, "LARGEST", largest)
    fell = corpus(seed)
    expected = brute_force(fell, largest, samples)
    assert seen(counted(fell, 7, samples)) == expected
    numbers = random.Random(seed)
    units = [[] for _ in range(numbers.randrange(2, 9))]
    for row in fell:
        numbers.choice(units).append(row)
    parts = [counted(unit, numbers.randrange(1, 20), samples) for unit in units]
    while len(parts) > 1:  # a tree of any shape
        numbers.shuffle(parts)
        one, two = parts.pop(), parts.pop()
        merge_clusters(one, two, samples)
        parts.append(one)
    assert seen(parts[0]) == expected


def test_excerpts_are_short_and_members_few():
    batch, evidence = rows_of([(f"d{i}", "a", 30, 0.5) for i in range(29)])
    made = new_clusters()
    count_clusters(made, "web", batch, evidence, 1000)
    (cluster,) = made["largest"]
    assert len(cluster["samples"]) == clusters.MEMBERS
    assert {len(s["excerpt"]) for s in cluster["samples"]} == {clusters.EXCERPT}
    assert cluster["sources"] == {"web": 29}


@pytest.mark.parametrize(
    "evidence",
    [
        None,
        pa.nulls(2),
        pa.array([{"survivor": "a"}] * 2),
        pa.array([{"survivor": None, "cluster_size": 3}, {"survivor": "a", "cluster_size": None}]),
        pa.array([None, None], pa.struct([("survivor", pa.string()), ("cluster_size", pa.int64())])),
    ],
)
def test_rows_without_a_cluster_count_for_nothing(evidence):
    batch, _ = rows_of([("x", None, 0, 0.0), ("y", None, 0, 0.0)])
    made = new_clusters()
    count_clusters(made, "web", batch, evidence, 3)
    assert made == new_clusters()


def test_a_batch_without_texts_or_similarities():
    batch, _ = rows_of([("x", "a", 2, 0.9)])
    bare = pa.array([{"survivor": "a", "cluster_size": 2}])
    made = new_clusters()
    count_clusters(made, "web", batch.select(["id", "id_hash"]), bare, 3)
    (sample,) = made["largest"][0]["samples"]
    assert (sample["id"], sample["similarity"], sample["excerpt"]) == ("x", None, "")


def test_the_summary_divides_rows_by_what_fell_of_each():
    made = summary({"sizes": {"10": 18, "2": 3, "3": 5}, "largest": []})
    assert made["sizes"] == [[2, 3, 3], [3, 3, 5], [10, 2, 18]]  # of a cluster of 3, one row failed
    assert (made["clusters"], made["documents"]) == (8, 26)
    assert summary({}) == summary(new_clusters()) == {}


def test_the_table_of_sizes_loses_nothing():
    sizes = [
        [size, 2, 2 * max(size - 1, 1)] for size in (2, 3, 4, 5, 7, 10, 20, 50, 100, 1000, 10_000, 10**6, 1)
    ]
    table = size_table(sizes)
    assert sum(row[1] for row in table) == 2 * len(sizes)
    assert sum(row[2] for row in table) == sum(row[2] for row in sizes)
    assert [row[0] for row in table][-2:] == ["1,001 to 10,000", "100,001 and more"]


# --- in the books -----------------------------------------------------------------------------------


def test_books_of_units_add_up_to_those_of_the_whole():
    fell = corpus(1)
    batch, evidence = rows_of([row[:4] for row in fell])
    whole = Books(2)
    whole.explain("near", "web", Copies(), batch, evidence)
    cuts = [0, 10, 11, 60, len(fell)]
    merged = Books(2)
    for start, end in reversed(list(itertools.pairwise(cuts))):
        part = Books(2)
        part.explain(
            "near", "web", Copies(), batch.slice(start, end - start), evidence.slice(start, end - start)
        )
        merged.merge(part.data)
    assert merged.data == whole.data
    counts = np.array(dense(whole.data["measures"]["near"]["similarity"], Copies.measures["similarity"]))
    assert counts.sum() == len(fell)


def test_books_of_an_earlier_release_can_be_added():
    books = Books(2)
    books.merge({"nodes": {}, "samples": {}})
    assert books.data["clusters"] == books.data["measures"] == {}


def test_what_is_no_number_cannot_be_measured():
    batch, _ = rows_of([("x", "a", 2, 0.9)])
    with pytest.raises(
        StageError, match="node 'near': evidence 'similarity' is string; `measures` takes numbers"
    ):
        Books(2).explain("near", "web", Copies(), batch, pa.array([{"similarity": "high"}]))
