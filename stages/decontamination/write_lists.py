"""Write for each benchmark which of its items the corpus has, so that a score can be told for the clean ones."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import CONTAMINATION, ID, ID_HASH, SOURCE
from pipeline.stage import ShardInfo, Sink
from stages.decontamination._lists import (
    Gathering,
    Rules,
    count_documents,
    entries,
    file_stem,
    gravest,
    leak_table,
    pick_examples,
    read_items,
    untouched,
)

Class = Literal["input_and_output", "input_only", "output_only"]
VERDICTS = ("clean", "dirty", "not_findable")
PARTS = ("counts.arrow", "examples.arrow")
SUMMARY, MANIFEST = "summary.json", "manifest.json"
FORMAT = "benchmark_lists"


class WriteBenchmarkLists(Sink[pa.Table]):
    """Write for each benchmark a list of its items, clean and dirty, with the documents that show it.

    Give it both ports of a `decontaminate` node, and that node's index. For each benchmark there is `<name>.jsonl`
    with a line for each item in the index's order, and `<name>.clean_ids.txt` and `<name>.dirty_ids.txt` (not where
    an id has a line break); over all, `summary.json`. Items that could not be looked for are neither clean nor dirty.
    Characters that a file's name cannot have stand as %2F.
    """

    libraries: ClassVar[Sequence[str]] = ("orjson",)
    sides: ClassVar[Mapping[str, str]] = {"index": "the build_ngram_index node whose items were looked for"}

    definitions: list[str] | None = Field(
        None, min_length=1, description="definitions by which an item is dirty; null: those that decided"
    )
    classes: list[Class] = Field(
        ["input_and_output", "input_only"], min_length=1, description="classes by which an item is dirty"
    )
    examples: int = Field(3, ge=0, le=1000, description="documents shown of each item, at most")
    min_documents: int = Field(1, ge=1, description="documents that must have an item to make it dirty")

    def reads(self) -> pa.Schema:
        return pa.schema([ID, ID_HASH, SOURCE, CONTAMINATION])

    def needs_side(self) -> Sequence[str]:
        return ["index"]

    def open(self, side: Mapping[str, Path]) -> pa.Table:
        return read_items(side["index"])

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: pa.Table) -> ShardInfo:  # noqa: ARG002
        """Counts and examples of one partition; no file where there are no leaks."""
        gathering = Gathering(self.examples)
        rules = Rules(self.definitions, self.classes)
        rows = found = 0
        for batch in batches:
            rows += batch.num_rows
            leaks = batch.column(CONTAMINATION.name)
            if leaks.null_count == len(leaks):
                continue
            table = leak_table(batch, leaks, rules)
            if table.num_rows:
                found += len(pc.unique(table["row"]))
                gathering.add(count_documents(table), pick_examples(table, self.examples))
        if not found:
            return ShardInfo((), rows, {"found": 0})
        for name, table in zip(PARTS, gathering.tables(), strict=True):
            with pa.ipc.new_file(str(out / name), table.schema) as writer:
                writer.write_table(table.combine_chunks())
        return ShardInfo(PARTS, rows, {"found": found})

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: pa.Table) -> None:
        """A list for each benchmark, and the summary.

        Raises:
            ValueError: the leaks are of items that the index does not have.
        """
        counts, examples = self._gathered(shards, out)
        others = _others(counts, resource)
        lists = {}
        for benchmark in sorted(pc.unique(resource["benchmark"]).to_pylist()):
            items = resource.filter(pc.equal(resource["benchmark"], benchmark))
            mine = [table.filter(pc.equal(table["benchmark"], benchmark)) for table in (counts, examples)]
            found = entries(mine[0], mine[1], self.min_documents)
            _check_known(benchmark, found, items)
            lists[benchmark] = self._write_list(out, benchmark, items, found)
        summary = {
            "documents": sum(s.rows for s in shards),
            "documents_with_items": sum(int(str(s.meta.get("found", 0))) for s in shards),
            "definitions": self.definitions,
            "classes": self.classes,
            "min_documents": self.min_documents,
            "benchmarks": lists,
            "other_benchmarks": others,
        }
        _write_json(out / SUMMARY, summary)
        files = sorted(path.name for path in out.iterdir())
        _write_json(out / MANIFEST, {"format": FORMAT, "rows": summary["documents"], "files": files})

    def _gathered(self, shards: Sequence[ShardInfo], out: Path) -> tuple[pa.Table, pa.Table]:
        """All partitions' counts and examples; their files go."""
        gathering = Gathering(self.examples)
        for shard in shards:
            if not shard.files:
                continue
            tables = []
            for part in PARTS:
                path = out / next(name for name in shard.files if name.endswith(part))
                with pa.OSFile(str(path)) as file:
                    tables.append(pa.ipc.open_file(file).read_all())
                path.unlink()
            gathering.add(*tables)
        return gathering.tables()

    def _write_list(
        self, out: Path, benchmark: str, items: pa.Table, found: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """One benchmark's files; returns what the summary says of it."""
        stem = file_stem(benchmark)
        ids: dict[str, list[str]] = {verdict: [] for verdict in VERDICTS}
        with (out / f"{stem}.jsonl").open("wb") as file:
            for name, findable in zip(items["id"].to_pylist(), items["findable"].to_pylist(), strict=True):
                entry = found.get(name) or untouched(findable)
                ids[entry["verdict"]].append(name)
                file.write(orjson.dumps({"id": name, **entry}, option=orjson.OPT_APPEND_NEWLINE))
        plain = all(
            len(name.splitlines()) <= 1 and name == name.strip("\r\n")
            for names in ids.values()
            for name in names
        )
        if plain:
            for verdict in ("clean", "dirty"):
                text = "".join(f"{name}\n" for name in ids[verdict])
                (out / f"{stem}.{verdict}_ids.txt").write_text(text, "utf-8", newline="")
        dirty = [found[name] for name in ids["dirty"]]
        sizes = {"items": items.num_rows, **{verdict: len(names) for verdict, names in ids.items()}}
        return {
            "file": f"{stem}.jsonl",
            "id_lists": plain,
            **sizes,
            "dirty_share": _share(len(dirty), items.num_rows),
            "dirty_by_class": _tally([entry["class"] for entry in dirty]),
            "definitions": self._by_definition(found, sizes),
        }

    def _by_definition(
        self, found: Mapping[str, Mapping[str, Any]], sizes: Mapping[str, int]
    ) -> dict[str, dict[str, Any]]:
        """What the verdicts would be if one definition alone made them."""
        names = sorted({name for entry in found.values() for name in entry["definitions"]})
        result = {}
        for name in names:
            classes = [self._class_by(entry["definitions"].get(name)) for entry in found.values()]
            dirty = [kind for kind in classes if kind is not None]
            result[name] = {
                "found": sum(name in entry["definitions"] for entry in found.values()),
                "dirty": len(dirty),
                "dirty_share": _share(len(dirty), sizes["items"]),
                "dirty_by_class": _tally(dirty),
            }
        return result

    def _class_by(self, finding: Mapping[str, Any] | None) -> str | None:
        """The class by which a definition alone makes an item dirty; None if it does not."""
        if finding is None:
            return None
        counted = {n: count for n, count in finding["by_class"].items() if n in self.classes}
        return gravest(list(counted)) if sum(counted.values()) >= self.min_documents else None


def _write_json(path: Path, value: object) -> None:
    path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _tally(names: Sequence[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}


def _others(counts: pa.Table, items: pa.Table) -> dict[str, int]:
    """Items found of benchmarks that the index does not have, as those of another node's index."""
    strange = counts.filter(pc.invert(pc.is_in(counts["benchmark"], pc.unique(items["benchmark"]))))
    if counts.num_rows and strange.num_rows == counts.num_rows:
        some = ", ".join(map(repr, pc.unique(strange["benchmark"]).to_pylist()[:5]))
        raise ValueError(
            f"write_benchmark_lists: the documents have items of {some}, none of which the index has; "
            "give the index that the decontaminate node reads as side input"
        )
    pairs = strange.group_by(["benchmark", "item"], use_threads=False).aggregate([])
    return {e["values"]: e["counts"] for e in pc.value_counts(pairs["benchmark"]).to_pylist()}


def _check_known(benchmark: str, found: Mapping[str, Any], items: pa.Table) -> None:
    strange = sorted(set(found) - set(items["id"].to_pylist()))
    if strange:
        raise ValueError(
            f"write_benchmark_lists: the documents have {len(strange)} items of '{benchmark}' that the index lacks, "
            f"such as {strange[0]!r}; give the index that the decontaminate node reads as side input"
        )
