"""The leaks of a corpus brought together by benchmark item: counts, and a few documents that show it.

Tables of both kinds can be added in any order and any number of steps: counts are sums, and the documents shown are
those with the lowest hashes of their ids, those that count before those that do not. Memory follows the items found.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

CLASSES = ("input_and_output", "input_only", "output_only")  # the gravest first
COUNTS = pa.schema(
    [
        ("benchmark", pa.string()),
        ("item", pa.string()),
        ("definition", pa.string()),  # null: documents in which any leak counts
        ("class", pa.string()),
        ("counts", pa.bool_()),  # towards the verdict
        ("documents", pa.int64()),
        ("score", pa.float64()),  # the highest
    ]
)
EXAMPLES = pa.schema(
    [
        ("benchmark", pa.string()),
        ("item", pa.string()),
        ("passed", pa.bool_()),  # the leak does not count
        ("id_hash", pa.binary()),
        ("document", pa.string()),
        ("source", pa.string()),
        ("class", pa.string()),
        ("definition", pa.string()),
        ("score", pa.float64()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("passage", pa.string()),
    ]
)
SHOWN = ("document", "source", "class", "definition", "score", "start", "end", "passage")
_KEY = ["benchmark", "item"]
_ROOM = 1 << 17  # rows that may wait to be added up
_LONGEST = 200  # bytes of a file's name, without its ending


class Rules(NamedTuple):
    """Which leaks count towards an item's verdict."""

    definitions: Sequence[str] | None  # None: those that decided about the documents
    classes: Sequence[str]


# --- one batch --------------------------------------------------------------------------------------


def leak_table(batch: pa.RecordBatch, leaks: pa.Array, rules: Rules) -> pa.Table:
    """One row a leak: `row`, the document, the leak, its class's rank, whether it counts; the gravest first."""
    table = pa.Table.from_struct_array(leaks.flatten())
    rows = pc.list_parent_indices(leaks)
    names = pa.array(rules.definitions, pa.string()) if rules.definitions is not None else None
    counts = table["decides"] if names is None else pc.is_in(table["definition"], names)
    counts = pc.and_(pc.fill_null(counts, False), pc.is_in(table["class"], pa.array(rules.classes)))
    added = {
        "row": rows,
        "document": batch.column("id").take(rows),
        "id_hash": batch.column("id_hash").cast(pa.binary()).take(rows),
        "source": batch.column("source").cast(pa.string()).take(rows),
        "rank": pc.fill_null(pc.index_in(table["class"], pa.array(CLASSES)), len(CLASSES)),
        "counts": counts,
        "passed": pc.invert(counts),
        "shortness": pc.subtract(table["start"], table["end"]),
        "passage": table["matched"],
    }
    for name, column in added.items():
        table = table.append_column(name, column)
    keys = ("row", "passed", "rank", "shortness", "definition", "start")
    return table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in keys]))


def count_documents(table: pa.Table) -> pa.Table:
    """COUNTS of a batch's leaks: a document counts once for an item and a definition."""
    each = ["row", *_KEY, "definition"]
    found = table.group_by(each, use_threads=False).aggregate(
        [("class", "first"), ("counts", "max"), ("score", "max")]
    )
    found = found.rename_columns([*each, "class", "counts", "score"])
    counted = table.filter(table["counts"]).group_by(["row", *_KEY], use_threads=False).aggregate([])
    empty = {
        "definition": pa.nulls(counted.num_rows, pa.string()),
        "class": pa.nulls(counted.num_rows, pa.string()),
    }
    wholes = {
        **{name: counted[name] for name in _KEY},
        **empty,
        "counts": pa.repeat(True, counted.num_rows),
        "documents": pa.repeat(1, counted.num_rows),
        "score": pa.nulls(counted.num_rows, pa.float64()),
    }
    ones = found.append_column("documents", pa.repeat(1, found.num_rows)).select(COUNTS.names)
    return sum_counts(pa.concat_tables([ones, pa.table(wholes, schema=COUNTS)]))


def pick_examples(table: pa.Table, most: int) -> pa.Table:
    """EXAMPLES of a batch's leaks: of each document and item the leak that tells most."""
    at = table.append_column("at", pa.array(range(table.num_rows), pa.int64()))
    first = at.group_by(["row", *_KEY], use_threads=False).aggregate([("at", "min")])
    return best_examples(table.take(first["at_min"]).select(EXAMPLES.names), most)


# --- adding up --------------------------------------------------------------------------------------


def sum_counts(table: pa.Table) -> pa.Table:
    """COUNTS with each item, definition and class once, in the order of their names."""
    keys = [*_KEY, "definition", "class", "counts"]
    summed = table.group_by(keys, use_threads=False).aggregate([("documents", "sum"), ("score", "max")])
    summed = summed.rename_columns(COUNTS.names).cast(COUNTS)
    return summed.sort_by([(name, "ascending") for name in keys])


def best_examples(table: pa.Table, most: int) -> pa.Table:
    """EXAMPLES with `most` rows of each item, those that count and those with the lowest hashes first."""
    keys = [*_KEY, "passed", "id_hash", "document"]
    table = table.cast(EXAMPLES).sort_by([(name, "ascending") for name in keys])
    if not table.num_rows:
        return table
    codes = [np.asarray(table[name].combine_chunks().dictionary_encode().indices) for name in _KEY]
    new = np.concatenate([[True], (np.diff(codes[0]) != 0) | (np.diff(codes[1]) != 0)])
    starts = np.flatnonzero(new)
    place = np.arange(table.num_rows) - np.repeat(starts, np.diff(np.append(starts, table.num_rows)))
    return table.filter(pa.array(place < most))


class Gathering:
    """Counts and examples of whatever was added, kept small."""

    def __init__(self, examples: int) -> None:
        self._most = examples
        self._counts, self._examples = COUNTS.empty_table(), EXAMPLES.empty_table()
        self._waiting: list[tuple[pa.Table, pa.Table]] = []
        self._rows = 0

    def add(self, counts: pa.Table, examples: pa.Table) -> None:
        """Add tables of the two kinds."""
        self._waiting.append((counts, examples))
        self._rows += counts.num_rows + examples.num_rows
        if self._rows > _ROOM + self._counts.num_rows + self._examples.num_rows:
            self.tables()

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """Counts and examples of all that was added."""
        if self._waiting:
            counts, examples = zip(*self._waiting, strict=True)
            self._counts = sum_counts(pa.concat_tables([self._counts, *counts]))
            self._examples = best_examples(pa.concat_tables([self._examples, *examples]), self._most)
            self._waiting, self._rows = [], 0
        return self._counts, self._examples


# --- items and their verdicts -----------------------------------------------------------------------


def gravest(names: Sequence[str]) -> str | None:
    """The class that says most, None of none.

    >>> gravest(["output_only", "input_only"])
    'input_only'
    """
    return min(names, key=lambda n: (CLASSES.index(n) if n in CLASSES else len(CLASSES), n), default=None)


def entries(counts: pa.Table, examples: pa.Table, min_documents: int) -> dict[str, dict[str, Any]]:
    """What is said of each item found of one benchmark: verdict, class, documents, definitions, examples."""
    found: dict[str, dict[str, Any]] = {}
    for row in counts.to_pylist():
        entry = found.setdefault(row["item"], {"documents": 0, "rows": [], "examples": []})
        if row["definition"] is None:
            entry["documents"] = row["documents"]
        else:
            entry["rows"].append(row)
    for row in examples.to_pylist():
        found[row["item"]]["examples"].append({name: row[name] for name in SHOWN})
    return {item: _entry(entry, min_documents) for item, entry in found.items()}


def _entry(entry: Mapping[str, Any], min_documents: int) -> dict[str, Any]:
    rows = entry["rows"]
    dirty = entry["documents"] >= min_documents
    classes = [row["class"] for row in rows if row["counts"]] if dirty else []
    return {
        "verdict": "dirty" if dirty else "clean",
        "class": gravest(classes),
        "documents": entry["documents"],
        "definitions": {name: _finding(rows, name) for name in sorted({row["definition"] for row in rows})},
        "examples": entry["examples"],
    }


def _finding(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """What one definition found of an item."""
    mine = [row for row in rows if row["definition"] == name]
    classes: dict[str, int] = {}
    for row in mine:
        classes[row["class"]] = classes.get(row["class"], 0) + row["documents"]
    return {
        "class": gravest(list(classes)),
        "documents": sum(classes.values()),
        "by_class": {n: classes[n] for n in sorted(classes)},
        "score": max((row["score"] for row in mine if row["score"] is not None), default=None),
    }


def untouched(findable: bool) -> dict[str, Any]:
    """What is said of an item that no document has."""
    verdict = "clean" if findable else "not_findable"
    return {"verdict": verdict, "class": None, "documents": 0, "definitions": {}, "examples": []}


# --- files ------------------------------------------------------------------------------------------


def file_stem(benchmark: str) -> str:
    """A benchmark's name as a file can be called; no two are called the same.

    >>> file_stem("mmlu/law"), file_stem("..")
    ('mmlu%2Flaw', '%2E%2E')
    """
    dots = set(benchmark) <= {"."}
    parts = [
        c if c.isalnum() or c in "-_" or (c == "." and not dots) else "".join(f"%{b:02X}" for b in c.encode())
        for c in benchmark
    ]
    name = "".join(parts)
    if len(name.encode()) <= _LONGEST:
        return name or "%"
    return f"{name[: _LONGEST // 4]}%{xxhash.xxh3_64_hexdigest(benchmark.encode())}"


def read_items(folder: Path) -> pa.Table:
    """The items of an index in their order: benchmark, id, and findable.

    Raises:
        ValueError: the folder holds none.
    """
    path = folder / "items.arrow"
    if not path.is_file():
        raise ValueError(f"index: {folder} has no items.arrow; give a build_ngram_index node as side input")
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    if "findable" not in table.column_names:
        table = table.append_column("findable", pa.repeat(True, table.num_rows))
    return table.select(["benchmark", "id", "findable"])


def read_list(folder: Path, benchmark: str, verdict: str | None = None) -> Iterator[dict[str, Any]]:
    """The lines of a benchmark's list, those with a verdict or all of them, in the benchmark's order.

    Args:
        folder: that write_benchmark_lists wrote.
        benchmark: its name.
        verdict: clean, dirty or not_findable; None for all.
    """
    with (folder / f"{file_stem(benchmark)}.jsonl").open("rb") as lines:
        for line in lines:
            entry = orjson.loads(line)
            if verdict is None or entry["verdict"] == verdict:
                yield entry
