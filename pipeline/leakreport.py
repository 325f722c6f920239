"""The report's part on benchmark items: by source, definition and benchmark, and the items that leaked most.

Counts of documents and of items come in pairs; either is taken once, at its gravest class. The items' own texts are
in the index that the node read as a side input: a folder with `items.arrow`, which has columns benchmark, id,
question and answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contamination import (
    EXCERPT,
    agreement,
    alone,
    class_rank,
    looks_for_items,
    membership,
    new_leaks,
)
from pipeline.io.store import Store
from pipeline.stage import Stage

TOP = 20  # items shown of those that most documents have
ITEMS_FILE = "items.arrow"
Counts = dict[str, int]


# --- the section ------------------------------------------------------------------------------------


def contamination(
    stage: Stage[Any], accounts: Mapping[str, Mapping[str, Any]], leaks: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """What the report says of one node; None for a node that looks for no items.

    Args:
        stage: of the node.
        accounts: its books, by source.
        leaks: what it found, as `pipeline.contamination` counts it.
    """
    if not looks_for_items(stage):
        return None
    leaks = leaks or new_leaks()
    cuts = any(field.name == "text" for field in stage.writes())
    sources = [_source(name, accounts[name], leaks["sources"].get(name, {}), cuts) for name in accounts]
    items = list(_items(leaks))
    return {
        "documents": {
            name: sum(row[name] for row in sources) for name in ("seen", "found", "decided", "removed", "cut")
        }
        | {"classes": _ordered(leaks["documents"]["all"])},
        "items": {"found": len(items), "classes": _classes(item["class"] for item in items)},
        "sources": sorted(sources, key=lambda row: (-row["share"], row["source"])),
        "definitions": _definitions(leaks, items),
        "agreement": _agreement(leaks, items),
        "benchmarks": _benchmarks(leaks, items),
        "top": _top(leaks, items),
    }


def _source(name: str, account: Mapping[str, Any], found: Mapping[str, int], cuts: bool) -> dict[str, Any]:
    seen = account["in"]
    documents = found.get("found", 0)
    return {
        "source": name,
        "seen": seen,
        "found": documents,
        "decided": found.get("decided", 0),
        "removed": sum(account["rejected"].values()),
        "cut": account["edited"] if cuts else 0,
        "share": round(documents / seen, 6) if seen else 0.0,
    }


def _items(leaks: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each item found, with its documents, its gravest class, and its class by each definition."""
    for benchmark, items in sorted(leaks["items"].items()):
        for name, counts in sorted(items.items()):
            by = {definition: min(found, key=class_rank) for definition, found in counts["found"].items()}
            gravest = min(by.values(), key=class_rank)
            documents = counts["documents"]
            yield {"benchmark": benchmark, "item": name, "documents": documents, "class": gravest, "by": by}


def _ordered(counts: Mapping[str, int]) -> Counts:
    return {name: counts[name] for name in sorted(counts, key=class_rank)}


def _classes(names: Iterable[str]) -> Counts:
    counts: Counts = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return _ordered(counts)


def _counted(documents: Mapping[str, int], items: Sequence[str]) -> dict[str, Any]:
    """Documents and items, in all and by class.

    Args:
        documents: by class.
        items: the class of each item.
    """
    by_class = _classes(items)
    names = sorted({*documents, *by_class}, key=class_rank)
    return {
        "documents": sum(documents.values()),
        "items": len(items),
        "classes": {n: {"documents": documents.get(n, 0), "items": by_class.get(n, 0)} for n in names},
    }


def _definitions(leaks: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each definition: what it found, what no other found, and how many documents it decides about."""
    alone_items = alone(*_found_by(items))
    return [
        {
            "definition": name,
            **_counted(documents, [item["by"][name] for item in items if name in item["by"]]),
            "decided": leaks["decided"]["definitions"].get(name, 0),
            "alone": {"documents": leaks["alone"].get(name, 0), "items": alone_items.get(name, 0)},
        }
        for name, documents in sorted(leaks["documents"]["definitions"].items())
    ]


def _found_by(items: Sequence[Mapping[str, Any]]) -> tuple[list[str], np.ndarray]:
    pairs = [(number, name) for number, item in enumerate(items) for name in item["by"]]
    numbers, names = zip(*pairs, strict=True) if pairs else ((), ())
    return membership(pa.array(numbers, pa.int64()), pa.array(names, pa.string()))


def _agreement(leaks: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every two definitions: what only the first found, only the second, and both."""
    together = {"documents": leaks["together"], "items": agreement(*_found_by(items))}
    names = sorted(leaks["documents"]["definitions"])
    found = []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            row: dict[str, Any] = {"a": a, "b": b}
            for what, counts in together.items():
                both = counts[a].get(b, 0)
                row[what] = {"only_a": counts[a][a] - both, "only_b": counts[b][b] - both, "both": both}
            found.append(row)
    return found


def _benchmarks(leaks: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each benchmark: what was found of it, by any definition and by each; `of` is how many items it has."""
    of: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        of.setdefault(item["benchmark"], []).append(item)
    documents = leaks["documents"]
    return [
        {
            "benchmark": name,
            **_counted(documents["benchmarks"][name], [i["class"] for i in of[name]]),
            "of": None,
            "decided": leaks["decided"]["benchmarks"].get(name, 0),
            "definitions": {
                by: _counted(counts, [i["by"][by] for i in of[name] if by in i["by"]])
                for by, counts in sorted(documents["pairs"][name].items())
            },
        }
        for name in sorted(of)
    ]


def _top(leaks: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The items that most documents have, by name where as many have them; each with one document's passage."""
    most = sorted(items, key=lambda i: (-i["documents"], i["benchmark"], i["item"]))[:TOP]
    found = []
    for item in most:
        by = leaks["items"][item["benchmark"]][item["item"]]["found"]
        found.append(
            {
                **{name: item[name] for name in ("benchmark", "item", "documents", "class")},
                "definitions": {name: _ordered(by[name]) for name in sorted(by)},
                "question": None,
                "answer": None,
                "passage": leaks["passages"].get(item["benchmark"], {}).get(item["item"]),
            }
        )
    return found


# --- the items' own texts ---------------------------------------------------------------------------


def show_items(report: Mapping[str, Any], output: Store, identifier: str) -> None:
    """Put the items' own texts beside the passages, and how many items each benchmark has.

    Args:
        report: is changed.
        output: that the run lies in.
        identifier: the run's folder, which has those of its sinks.
    """
    sides = {node["node"]: node["side"].values() for node in report["nodes"]}
    for node, section in report["contamination"].items():
        for side in sides[node]:
            name = f"{identifier}/{side}/{ITEMS_FILE}"
            if not output.exists(name):
                continue
            sizes, texts = read_items(output, name, [(i["benchmark"], i["item"]) for i in section["top"]])
            for item in section["top"]:
                item.update(texts.get((item["benchmark"], item["item"]), {}))
            for row in section["benchmarks"]:
                row["of"] = sizes.get(row["benchmark"], row["of"])


def read_items(
    output: Store, name: str, wanted: Sequence[tuple[str, str]], most: int = EXCERPT
) -> tuple[Counts, dict[tuple[str, str], dict[str, str | None]]]:
    """How many items each benchmark of an index has, and question and answer of some.

    Args:
        output: where it lies.
        name: of its `items.arrow`.
        wanted: benchmark and id of those whose texts are asked for; those that are not there are left out.
        most: characters of a text.
    """
    with output.scratch() as scratch, pa.memory_map(str(output.fetch(name, scratch))) as file:
        table = pa.ipc.open_file(file).read_all()
        if not {"benchmark", "id", "question", "answer"} <= set(table.column_names):
            return {}, {}
        sizes = {e["values"]: e["counts"] for e in pc.value_counts(table["benchmark"]).to_pylist()}
        rows = table.filter(pc.is_in(table["id"], pa.array([item for _, item in wanted], table["id"].type)))
        texts = {
            (row["benchmark"], row["id"]): {n: (row[n] or "")[:most] or None for n in ("question", "answer")}
            for row in rows.select(["benchmark", "id", "question", "answer"]).to_pylist()
        }
    return sizes, {key: texts[key] for key in wanted if key in texts}
