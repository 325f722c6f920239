"""What deduplication found, as numbers: histograms of measures, clusters by size, the largest clusters.

All of it are sums over rows, so that books of any partitions, merged in any order, say the same.

A histogram is a map from a bin's number to a count. Edges ascend; bin 0 lies below the first edge, bin i holds
edges[i-1] <= value < edges[i], the last bin begins at the last edge.

A cluster is known by (size, survivor), both of which each of its rows names in its evidence. That is why keeping
only the LARGEST clusters of a unit, and of every merge, is exact: a cluster's place in the order follows from its
key alone, never from how many of its rows have been seen. If it is dropped, LARGEST others stand before it, and
they or better ones stand there in every later state; so no cluster of the final list was ever dropped, and its
counts and samples are complete.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

LARGEST = 20  # clusters kept
MEMBERS = 3  # rejected documents shown of each, at most
EXCERPT = 200  # characters
SIZES = (2, 3, 4, 5, 6, 8, 11, 21, 51, 101, 1001, 10_001, 100_001)  # edges of bins in tables of cluster sizes


# --- histograms -------------------------------------------------------------------------------------


def field_of(evidence: pa.Array | None, name: str) -> pa.Array | None:
    """A field of struct evidence, null where the row's evidence is; None where there is no such field."""
    if evidence is None or not pa.types.is_struct(evidence.type):
        return None
    return None if evidence.type.get_field_index(name) < 0 else pc.struct_field(evidence, name)


def bin_counts(values: pa.Array, edges: Sequence[float]) -> dict[str, int]:
    """How many values lie in each bin, by the bin's number as text; null and NaN lie in none.

    >>> bin_counts(pa.array([0.1, 0.5, 0.7, 1.0, None]), [0.5, 1.0])
    {'0': 1, '1': 2, '2': 1}
    """
    numbers = np.asarray(values.drop_null().cast(pa.float64()))
    bins = np.searchsorted(np.asarray(edges, np.float64), numbers[~np.isnan(numbers)], side="right")
    counts = np.bincount(bins)
    return {str(i): int(counts[i]) for i in np.flatnonzero(counts)}


def dense(counts: Mapping[str, int], edges: Sequence[float]) -> list[int]:
    """A histogram's counts, one for each bin.

    >>> dense({"2": 5}, [0.5, 1.0])
    [0, 0, 5]
    """
    return [counts.get(str(i), 0) for i in range(len(edges) + 1)]


def bin_names(edges: Sequence[float], most: float | None = None) -> list[str]:
    """What a person calls the bins.

    Args:
        edges: of the bins; if all are ints, so is what the bins hold.
        most: the largest value there can be, if there is one.

    >>> bin_names([2, 3, 6]), bin_names([0.5, 0.75, 1.0], most=1.0)
    (['below 2', '2', '3 to 5', '6 and more'], ['below 0.5', '0.5 to 0.75', '0.75 to 1', '1'])
    """
    whole = all(isinstance(edge, int) for edge in edges)
    names = [f"below {edges[0]:,.10g}"]
    for low, high in pairwise(edges):
        last = high - 1 if whole else high
        names.append(f"{int(low):,}" if whole and last == low else f"{low:,.10g} to {last:,.10g}")
    return [*names, f"{edges[-1]:,.10g}" + ("" if edges[-1] == most else " and more")]


# --- clusters ---------------------------------------------------------------------------------------


def new_clusters() -> dict[str, Any]:
    """Clusters of nothing: rows by cluster size, and the largest clusters."""
    return {"sizes": {}, "largest": []}


def count_clusters(
    into: dict[str, Any], source: str, batch: pa.RecordBatch, evidence: pa.Array | None, samples: int
) -> None:
    """Add rows that fell to a survivor.

    Args:
        into: as `new_clusters` made it.
        source: of all rows.
        batch: the rows, with id, id_hash and maybe text.
        evidence: struct, one a row; rows without `survivor` and `cluster_size` count for nothing.
        samples: members to keep of each cluster, MEMBERS at most.
    """
    survivors, sizes = field_of(evidence, "survivor"), field_of(evidence, "cluster_size")
    if survivors is None or sizes is None:
        return
    known = pc.and_(pc.is_valid(survivors), pc.is_valid(sizes))
    sizes = sizes.filter(known).cast(pa.int64())
    for entry in pc.value_counts(sizes).to_pylist():
        name = str(entry["values"])
        into["sizes"][name] = into["sizes"].get(name, 0) + entry["counts"]
    survivors = survivors.filter(known).cast(pa.string())
    rows = pc.indices_nonzero(known)
    found = _largest_of(pa.table({"row": rows, "size": sizes, "survivor": survivors}), into["largest"])
    offered = [
        {
            "survivor": survivor,
            "size": size,
            "sources": {source: len(members)},
            "samples": _members(batch, evidence, members, min(samples, MEMBERS)),
        }
        for survivor, size, members in found
    ]
    into["largest"] = merge_largest(into["largest"], offered, min(samples, MEMBERS))


def _largest_of(rows: pa.Table, before: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, pa.Array]]:
    """(survivor, size, rows) of the largest clusters among rows, but for those that `before` leaves no place."""
    if len(before) == LARGEST:
        least, last = before[-1]["size"], before[-1]["survivor"]
        level = pc.and_(pc.equal(rows["size"], least), pc.less_equal(rows["survivor"], last))
        rows = rows.filter(pc.or_(pc.greater(rows["size"], least), level))
    if not rows.num_rows:
        return []
    sizes = np.asarray(rows["size"])
    encoded = rows["survivor"].combine_chunks().dictionary_encode()
    names, codes = encoded.dictionary.to_pylist(), np.asarray(encoded.indices)
    order = np.lexsort((codes, sizes))
    new = np.flatnonzero(np.diff(sizes[order], prepend=-1) | np.diff(codes[order], prepend=-1))
    groups = [
        (-sizes[order[at]].item(), names[codes[order[at]]].encode(), i) for i, at in enumerate(new.tolist())
    ]
    members = np.split(np.asarray(rows["row"])[order], new[1:])
    best = heapq.nsmallest(LARGEST, groups)
    return [(name.decode(), -size, pa.array(np.sort(members[i]))) for size, name, i in best]


def _members(
    batch: pa.RecordBatch, evidence: pa.Array | None, rows: pa.Array, count: int
) -> list[dict[str, Any]]:
    """Those of the rows whose id has the lowest hash."""
    hashes = batch.column("id_hash").take(rows)
    chosen = rows.take(pc.sort_indices(hashes)[:count]).to_pylist()
    similarities = field_of(evidence, "similarity")
    texts = batch.column("text") if "text" in batch.schema.names else None
    return [
        {
            "hash": batch.column("id_hash")[row].as_py().hex(),
            "id": batch.column("id")[row].as_py(),
            "similarity": None if similarities is None else similarities[row].as_py(),
            "excerpt": ((texts[row].as_py() if texts is not None else None) or "")[:EXCERPT],
        }
        for row in chosen
    ]


def merge_clusters(into: dict[str, Any], other: Mapping[str, Any], samples: int) -> None:
    """Add another unit's clusters."""
    for size, rows in other["sizes"].items():
        into["sizes"][size] = into["sizes"].get(size, 0) + rows
    into["largest"] = merge_largest(into["largest"], other["largest"], min(samples, MEMBERS))


def merge_largest(
    a: Iterable[Mapping[str, Any]], b: Iterable[Mapping[str, Any]], samples: int
) -> list[dict[str, Any]]:
    """The largest clusters of both, by size and then the survivor's id; parts of one cluster become one."""
    merged: dict[tuple[int, bytes], dict[str, Any]] = {}
    for cluster in (*a, *b):
        key = (-cluster["size"], cluster["survivor"].encode())  # as Arrow sorts text
        whole = merged.setdefault(key, {**cluster, "sources": {}, "samples": []})
        for source, rows in cluster["sources"].items():
            whole["sources"][source] = whole["sources"].get(source, 0) + rows
        whole["samples"] = [*whole["samples"], *cluster["samples"]]
    largest = [merged[key] for key in sorted(merged)[:LARGEST]]
    return [{**cluster, "samples": lowest(cluster["samples"], samples)} for cluster in largest]


def lowest(samples: Iterable[Mapping[str, Any]], count: int) -> list[dict[str, Any]]:
    """Samples with the lowest hashes, each once."""
    unique = {(s["hash"], s["id"]): dict(s) for s in samples}
    return [unique[key] for key in sorted(unique)[:count]]


def summary(clusters: Mapping[str, Any]) -> dict[str, Any]:
    """A node's clusters as the report has them; empty without any.

    A cluster of size c has c - 1 rows that fell, so rows of size c over c - 1 are clusters; rounded up, where a
    document failed before it could fall.
    """
    rows = sorted((int(size), count) for size, count in clusters.get("sizes", {}).items())
    if not rows:
        return {}
    sizes = [[size, -(-count // max(size - 1, 1)), count] for size, count in rows]
    return {
        "clusters": sum(number for _, number, _ in sizes),
        "documents": sum(count for _, _, count in sizes),
        "sizes": sizes,
        "largest": [dict(cluster) for cluster in clusters["largest"]],
    }


def size_table(sizes: Sequence[Sequence[int]]) -> list[tuple[str, int, int]]:
    """Clusters and their rejected documents in bins of SIZES, by the bin's name; empty bins left out.

    >>> size_table([[2, 5, 5], [6, 1, 5], [7, 2, 12]])
    [('2', 5, 5), ('6 to 7', 3, 17)]
    """
    totals = np.zeros((len(SIZES) + 1, 2), np.int64)
    for size, clusters, documents in sizes:
        totals[np.searchsorted(SIZES, size, side="right")] += (clusters, documents)
    rows = zip(bin_names(SIZES), totals.tolist(), strict=True)
    return [(name, clusters, documents) for name, (clusters, documents) in rows if documents]
