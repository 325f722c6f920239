"""What decontamination found, as numbers: documents by source, benchmark, definition and class, and each item found.

All of it are sums over documents, so that books of any partitions, merged in any order, say the same. A document
counts once in each sum, at the gravest class that it has there. Which items have leaked most is known only when
all documents are in, so no item found may be dropped on the way: there are counts for each, and the passage of
one document, that with the lowest hash of its id. What these take grows with the items found, not with the corpus.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.schema import CONTAMINATION
from pipeline.stage import Stage
from pipeline.sums import add_counts

CLASSES = ("input_and_output", "input_only", "output_only")  # the gravest first
UNKNOWN = "unknown"  # stands for a name that a stage left out
EXCERPT = 300  # characters
_NAMES = ("benchmark", "item", "definition", "class")


def looks_for_items(stage: Stage[Any]) -> bool:
    """Whether a stage says where documents have benchmark items."""
    return any(field.name == CONTAMINATION.name for field in stage.writes())


def class_rank(name: str) -> tuple[int, str]:
    """What sorts classes, the gravest first."""
    return (CLASSES.index(name) if name in CLASSES else len(CLASSES), name)


def leak_rows(leaks: pa.Array) -> pa.Table:
    """A CONTAMINATION column as one row a leak: `row` in the column, and the leak's fields; the gravest class first."""
    table = pa.Table.from_struct_array(leaks.flatten())
    for name in _NAMES:
        table = table.set_column(table.schema.get_field_index(name), name, pc.fill_null(table[name], UNKNOWN))
    ranks = pc.fill_null(pc.index_in(table["class"], pa.array(CLASSES)), len(CLASSES))
    table = table.append_column("row", pc.list_parent_indices(leaks)).append_column("rank", ranks)
    return table.sort_by([("rank", "ascending"), ("class", "ascending")])


def new_leaks() -> dict[str, Any]:
    """What a node found in no documents."""
    return {
        "sources": {},  # source -> found, decided: documents
        "documents": {name: {} for name in ("all", "definitions", "benchmarks", "pairs")},  # by class
        "decided": {"definitions": {}, "benchmarks": {}},  # name -> documents that it decides about
        "together": {},  # definition -> definition -> documents that both found
        "alone": {},  # definition -> documents that no other found
        "items": {},  # benchmark -> item -> documents, and found: definition -> class -> documents
        "passages": {},  # benchmark -> item -> one document's passage
    }


def count_leaks(
    into: dict[str, Any], source: str, batch: pa.RecordBatch, leaks: pa.Array, samples: int
) -> None:
    """Add documents, those without leaks too.

    Args:
        into: as `new_leaks` made it.
        source: of all rows.
        batch: the rows, with id and id_hash.
        leaks: their CONTAMINATION.
        samples: no passages are kept where this is 0.
    """
    if leaks.null_count == len(leaks) or not (table := leak_rows(leaks)).num_rows:
        return
    decided = table.filter(pc.fill_null(table["decides"], False))
    found = {"found": _distinct(table), "decided": _distinct(decided)}
    add_counts(into["sources"], {source: found})
    _count_documents(into["documents"], table)
    for group, name in (("definitions", "definition"), ("benchmarks", "benchmark")):
        rows = decided.group_by(["row", name]).aggregate([])
        add_counts(into["decided"][group], dict(_value_counts(rows[name])))
    names, has = membership(table["row"], table["definition"])
    add_counts(into["together"], agreement(names, has))
    add_counts(into["alone"], alone(names, has))
    _count_items(into["items"], table)
    if samples:
        merge_passages(into["passages"], _passages(batch, table, source))


def _distinct(table: pa.Table) -> int:
    return int(pc.count_distinct(table["row"]).as_py())


def _value_counts(values: pa.ChunkedArray) -> Iterator[tuple[str, int]]:
    for entry in pc.value_counts(values).to_pylist():
        yield entry["values"], entry["counts"]


def _by_class(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[list[str], dict[str, int]]]:
    """Names with how many documents have them, by the gravest class that each document has under these names."""
    best = table.group_by(["row", *names], use_threads=False).aggregate([("class", "first")])
    counts = best.group_by([*names, "class_first"]).aggregate([([], "count_all")])
    for row in counts.to_pylist():
        yield [row[name] for name in names], {row["class_first"]: row["count_all"]}


def _count_documents(into: dict[str, Any], table: pa.Table) -> None:
    for _, counts in _by_class(table, []):
        add_counts(into["all"], counts)
    for (name,), counts in _by_class(table, ["definition"]):
        add_counts(into["definitions"], {name: counts})
    for (name,), counts in _by_class(table, ["benchmark"]):
        add_counts(into["benchmarks"], {name: counts})
    for (benchmark, name), counts in _by_class(table, ["benchmark", "definition"]):
        add_counts(into["pairs"], {benchmark: {name: counts}})


def _count_items(into: dict[str, Any], table: pa.Table) -> None:
    rows = table.group_by(["row", "benchmark", "item"]).aggregate([])
    for row in rows.group_by(["benchmark", "item"]).aggregate([([], "count_all")]).to_pylist():
        add_counts(into, {row["benchmark"]: {row["item"]: {"documents": row["count_all"]}}})
    for (benchmark, item, name), counts in _by_class(table, ["benchmark", "item", "definition"]):
        add_counts(into[benchmark][item].setdefault("found", {}), {name: counts})


# --- which definitions agree ------------------------------------------------------------------------


class Membership(NamedTuple):
    """Which of some things (documents, items) each definition found."""

    names: list[str]  # of definitions, ascending
    has: np.ndarray  # int64, shape (things, definitions): 0 or 1


def membership(things: pa.ChunkedArray | pa.Array, names: pa.ChunkedArray | pa.Array) -> Membership:
    """Pairs of a thing and a definition, in any order and as often as they come, as a matrix."""
    _, rows = np.unique(np.asarray(things), return_inverse=True)
    known, columns = np.unique(np.array(names.to_pylist(), object), return_inverse=True)
    has = np.zeros((int(rows.max(initial=-1)) + 1, len(known)), np.int64)
    has[rows.ravel(), columns.ravel()] = 1
    return Membership(known.tolist(), has)


def agreement(names: Sequence[str], has: np.ndarray) -> dict[str, dict[str, int]]:
    """How many things two definitions both found; of a definition and itself, how many it found.

    >>> agreement(["a", "b"], np.array([[1, 1], [1, 0]]))
    {'a': {'a': 2, 'b': 1}, 'b': {'b': 1}}
    """
    both = (has.T @ has).tolist()
    return {
        a: {names[j]: both[i][j] for j in range(i, len(names)) if both[i][j]} for i, a in enumerate(names)
    }


def alone(names: Sequence[str], has: np.ndarray) -> dict[str, int]:
    """How many things each definition found that no other did.

    >>> alone(["a", "b"], np.array([[1, 1], [1, 0]]))
    {'a': 1}
    """
    counts = has[has.sum(axis=1) == 1].sum(axis=0).tolist()
    return {name: count for name, count in zip(names, counts, strict=True) if count}


# --- passages ---------------------------------------------------------------------------------------


def _passages(batch: pa.RecordBatch, table: pa.Table, source: str) -> dict[str, dict[str, Any]]:
    """Of each item, its longest stretch in the document whose id has the lowest hash."""
    order = np.empty(batch.num_rows, np.int64)
    order[np.asarray(pc.sort_indices(batch.column("id_hash")))] = np.arange(batch.num_rows)
    lengths = pc.fill_null(pc.subtract(table["end"], table["start"]), 0)
    keys = {"order": pa.array(order[np.asarray(table["row"])]), "shortness": pc.negate(lengths)}
    sort = [(name, "ascending") for name in ("order", "shortness", "rank", "start", "definition")]
    for name, values in keys.items():
        table = table.append_column(name, values)
    table = table.take(pc.sort_indices(table, sort_keys=sort))
    table = table.append_column("at", pa.array(range(table.num_rows), pa.int64()))
    first = table.group_by(["benchmark", "item"], use_threads=False).aggregate([("at", "min")])
    found: dict[str, dict[str, Any]] = {}
    for leak in table.take(first["at_min"]).to_pylist():
        shown = {name: leak[name] for name in ("definition", "class", "part", "score", "start", "end")}
        found.setdefault(leak["benchmark"], {})[leak["item"]] = {
            "hash": batch.column("id_hash")[leak["row"]].as_py().hex(),
            "id": batch.column("id")[leak["row"]].as_py(),
            "source": source,
            **shown,
            "passage": (leak["matched"] or "")[:EXCERPT],
        }
    return found


def merge_passages(into: dict[str, Any], other: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """For each item, the passage of the document with the lowest hash."""
    for benchmark, items in other.items():
        mine = into.setdefault(benchmark, {})
        for item, passage in items.items():
            if item not in mine or _hash(passage) < _hash(mine[item]):
                mine[item] = dict(passage)


def _hash(passage: Mapping[str, Any]) -> tuple[str, str]:
    return passage["hash"], passage["id"]


def merge_leaks(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Add what another unit's documents have."""
    add_counts(into, {name: counts for name, counts in other.items() if name != "passages"})
    merge_passages(into["passages"], other["passages"])
