"""Where a run has a document: ids that a word means, and the partitions that a document was in."""

import difflib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import stored
from pipeline.api import OpenRun
from pipeline.errors import DataError
from pipeline.ledger import FATES_FILE
from pipeline.plan import Entry
from pipeline.terminal import printable

NEAR_IDS = 500_000  # ids that are looked at for a hint, and those of a partition that are compared letter by
COMPARED = 2000  # letter: a hint is not worth minutes


def find(run: OpenRun, what: str) -> dict[str, int]:
    """Ids that a word means, each with its partition: the id itself, else what fits best.

    Raises:
        DataError: no document is called so.
    """
    fitting: dict[int, dict[str, int]] = {}
    near: list[str] = []
    budget = NEAR_IDS
    for partition in _likely(run, what):
        ids = _ids(run, partition)
        if pc.any(pc.equal(ids, what)).as_py():
            return {what: partition}
        for rank, mask in enumerate(_masks(ids, what)):
            if names := pc.unique(ids.filter(mask)).to_pylist():
                fitting.setdefault(rank, {}).update(dict.fromkeys(sorted(names), partition))
                break
        if (budget := budget - len(ids)) >= 0:
            near = _nearest(what, [*near, *ids.to_pylist()])
    if fitting:
        return fitting[min(fitting)]
    if by_url := _by_url(run, what):
        return by_url
    hint = "".join(["; nearest are", *(f"\n  {printable(name)}" for name in near)]) if near else ""
    raise DataError(f"run {run.identifier} has no document '{what}'{hint}")


def _masks(ids: pa.ChunkedArray, what: str) -> Iterator[pa.Array]:
    """Ways in which an id can be meant, the surest first."""
    yield pc.ends_with(ids, f"/{what}")  # FILE#KEY
    yield pc.ends_with(ids, f"#{what}")  # a record's key
    yield pc.starts_with(ids, what)
    yield pc.match_substring(ids, what)


def _nearest(what: str, ids: Sequence[str]) -> list[str]:
    """Ids that differ in a few characters: first from those that share some of the key, then some of the file."""
    head, tail, key = what[:12], what[-6:], what.rpartition("#")[2][:6]
    alike = [name for name in ids if name[-6:] == tail or (len(key) == 6 and key in name)]
    file = what.rpartition("#")[0]
    alike += [name for name in ids if name[:12] == head or (file and f"{file}#" in name)]
    return difflib.get_close_matches(what, list(dict.fromkeys(alike))[:COMPARED], n=3, cutoff=0.5)


def _likely(run: OpenRun, what: str) -> list[int]:
    """Partition numbers, those first whose source and file the word names."""
    word = what.partition("#")[0]

    def unlikeliness(row: Sequence[Any]) -> tuple[bool, bool, int]:
        number, source, split = row[0], row[1], str(row[2])
        return (not what.startswith(f"{source}/"), word.rpartition("/")[2] not in split, number)

    return [row[0] for row in sorted(run.manifest["partitions"], key=unlikeliness)]


def _ids(run: OpenRun, partition: int) -> pa.ChunkedArray:
    """Ids of all documents of a partition."""
    tables = []
    for folder in folders(run, partition):
        with stored_table(run, f"{folder}/{FATES_FILE}", ["id", "event"]) as table:
            born = pc.is_in(table["event"], pa.array(["read", "failed", "expanded"]))
            tables.append(table.filter(born).select(["id"]))
    return pa.concat_tables(tables)["id"] if tables else pa.chunked_array([[]], pa.string())


def _by_url(run: OpenRun, url: str) -> dict[str, int]:
    """Documents with this address, from whatever rows the run stored."""
    if "://" not in url:
        return {}
    found: dict[str, int] = {}
    for node, port, level in run.manifest["stored"]:
        for _, number, folder in run.units(level):
            name = f"{folder}/{Entry(node, port).file}"
            if not run.output.exists(name):
                continue
            with stored_table(run, name, ["id", "url"]) as table:
                if "url" in table.column_names:
                    ids = table.filter(pc.fill_null(pc.equal(table["url"], url), False))["id"].to_pylist()
                    found |= dict.fromkeys(ids, number)
    return dict(sorted(found.items()))


def folders(run: OpenRun, *partitions: int) -> list[str]:
    """Folders of the partitions' units, level by level."""
    return [folder for _, number, folder in sorted(run.units()) if number in partitions]


@contextmanager
def stored_table(run: OpenRun, name: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Some columns of a stored file, as a table.

    Raises:
        CheckpointError: it is not there, or not whole.
    """
    with stored.opened(run, name) as source, stored.only(source, columns) as reader:
        yield reader.read_all()


def homes(run: OpenRun, names: Collection[str], first: int) -> list[int]:
    """Partitions that documents were in: the first one, and others where nodes arrange rows."""
    if not run.arranging:
        return [first]
    wanted = pa.array(sorted(names), pa.string())
    found = {first}
    for _, number, folder in run.units():
        if number not in found:
            with stored_table(run, f"{folder}/{FATES_FILE}", ["id"]) as table:
                if pc.any(pc.is_in(table["id"], wanted)).as_py():
                    found.add(number)
    return sorted(found)
