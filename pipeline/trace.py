"""What became of a document, and where a piece of a shard came from: `corpusmill trace RUN WHAT`.

A document stays in the partition of its source's split until a node arranges all rows anew, so its fates stand in
the units of that partition, and of one more for each such node. The first pass looks for the document's id, split by
split, the likeliest split first; the second reads the fates of the partitions that it was in.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.api import OpenRun
from pipeline.errors import DataError
from pipeline.leaktrace import FOUND, beside_lines, found_lines, with_texts
from pipeline.ledger import FATES_FILE
from pipeline.pieces import piece_line, pieces_of, row_ids
from pipeline.survivors import (
    Compared,
    Fallen,
    compared,
    compared_data,
    compared_lines,
    fallen,
    fallen_lines,
    plain,
)
from pipeline.terminal import printable
from pipeline.whereabouts import find, folders, homes, stored_table

HOPS = 5  # survivors of survivors that are followed
EXCERPT_SHOWN = 200  # characters
SHOWN = 10  # near ids, descendants, rows: as many as a person reads
_ROW = re.compile(r"^(?P<file>.+\.arrow):(?P<row>\d+)(?::(?P<token>\d+))?$")


@dataclass(frozen=True)
class Event:
    """One thing that happened to a document."""

    event: str
    node: str
    reason: str | None = None
    evidence: Mapping[str, Any] | None = None
    excerpt: str | None = None


@dataclass
class Story:
    """A document and all that happened to it."""

    id: str
    source: str
    split: str
    parent: str | None = None
    children: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    places: list[str] = field(default_factory=list)  # rows of shards that hold its tokens
    survivor: "Story | None" = None  # the document that it was rejected for
    elsewhere: str | None = None  # that document's id, if it is none of this run
    compared: Compared | None = None  # its text beside the survivor's
    fallen: Fallen | None = None  # the documents that were rejected for it


def trace(run: OpenRun, what: str, width: int = 100, *, colour: bool = False) -> list[str]:
    """The answer to `corpusmill trace RUN WHAT`, as lines.

    Args:
        run: a finished run whose store is still there.
        what: a document id, its end or its beginning, `FILE#KEY`, a record's key, a URL, or `SHARD.arrow:ROW[:TOKEN]`.
        width: of lines with two texts side by side.
        colour: mark what differs in colours.

    Raises:
        DataError: nothing is called so; the message names what is nearest.
    """
    found = _ROW.match(what)
    if found is None:
        found_stories = stories(run, what)
        return [line for s in found_stories for line in ("", *story_lines(s, width, colour=colour))][1:]
    token = None if found["token"] is None else int(found["token"])
    pieces = pieces_of(run, found["file"], int(found["row"]), token)
    lines = [piece_line(piece) for piece in pieces]
    for name in dict.fromkeys(piece.id for piece in pieces):
        lines += ["", *(line for s in stories(run, name) for line in story_lines(s, width, colour=colour))]
    return lines


def trace_data(run: OpenRun, what: str) -> dict[str, Any]:
    """The same answer as plain JSON: `pieces` of a shard's row, and `documents`."""
    found = _ROW.match(what)
    if found is None:
        return {"pieces": [], "documents": [story_data(story) for story in stories(run, what)]}
    token = None if found["token"] is None else int(found["token"])
    pieces = pieces_of(run, found["file"], int(found["row"]), token)
    named = dict.fromkeys(piece.id for piece in pieces)
    return {
        "pieces": [asdict(piece) for piece in pieces],
        "documents": [story_data(story) for name in named for story in stories(run, name)],
    }


def story_data(story: Story) -> dict[str, Any]:
    """A story as plain JSON."""
    bare = replace(story, survivor=None, compared=None, fallen=None)
    return {
        **asdict(bare),
        "compared": None if story.compared is None else compared_data(story.compared),
        "fallen": plain(story.fallen),
        "survivor": None if story.survivor is None else story_data(story.survivor),
    }


# --- finding a document -----------------------------------------------------------------------------


def stories(run: OpenRun, what: str) -> list[Story]:
    """The documents that a word means, each with what happened to it and to what was made of it.

    Raises:
        DataError: none is meant, or too many.
    """
    if not run.output.exists("store/units"):
        raise DataError(f"{run.output.path('store')}: is gone, and with it the fate of every document")
    places = find(run, what)
    if len(places) > SHOWN:
        some = "\n  ".join(map(printable, list(places)[:SHOWN]))
        raise DataError(
            f"'{what}' could be {len(places)} documents; write more of the id of one, such as\n  {some}"
        )
    return [_explained(run, tell(run, name, partition), partition) for name, partition in places.items()]


# --- telling its story ------------------------------------------------------------------------------


def tell(run: OpenRun, name: str, partition: int, hops: int = HOPS) -> Story:
    """All that happened to a document: to those it was cut from, to itself, and which were cut from it."""
    rows = _fates(run, name, partition)
    parents = {r["id"]: r["parent"] for r in rows if r["parent"] is not None}
    line = [name]
    while line[-1] in parents:
        line.append(parents[line[-1]])
    split = next((str(p[2]) for p in run.manifest["partitions"] if p[0] == partition), "")
    source = next((r["source"] for r in rows if r["source"]), "")
    story = Story(name, source, split, parents.get(name), [i for i, p in parents.items() if p == name])
    for ancestor in reversed(line):
        story.events += [_event(row) for row in rows if row["id"] == ancestor]
    story.places = [place for home in homes(run, {name}, partition) for place in _places(run, name, home)]
    fall = _fall(story)
    if fall is not None and hops > 0:
        story.survivor = _survivor(run, fall[1], hops - 1)
        story.elsewhere = fall[1] if story.survivor is None else None
    return story


def _fall(story: Story) -> tuple[Event, str] | None:
    """What a document fell to: the event, and the survivor's id."""
    for event in story.events:
        survivor = (event.evidence or {}).get("survivor")
        if survivor is not None and str(survivor) != story.id:
            return event, str(survivor)
    return None


def _survivor(run: OpenRun, name: str, hops: int) -> Story | None:
    try:
        places = find(run, name)
    except DataError:
        return None
    return tell(run, name, places[name], hops) if name in places else None


def _explained(run: OpenRun, story: Story, partition: int) -> Story:
    """A story with items' texts, with what differs from the survivor, and with those that fell to the document."""
    story.fallen = fallen(run, story.id)
    story.events = [_with_items(run, event) for event in story.events]
    fall = _fall(story)
    if fall is None or story.survivor is None:
        return story
    event, survivor = fall
    other = (story.survivor.source, story.survivor.split)
    there = next((p[0] for p in run.manifest["partitions"] if (p[1], str(p[2])) == other), -1)
    excerpts = (event.excerpt or "", next((e.excerpt for e in story.survivor.events if e.excerpt), ""))
    pair = ((story.id, partition), (survivor, there))
    story.compared = compared(run, event.node, event.evidence or {}, *pair, excerpts)
    return story


def _with_items(run: OpenRun, event: Event) -> Event:
    """What a node found, with the texts of the benchmark items from the index that it read."""
    if event.event != FOUND or event.evidence is None:
        return event
    sides = run.manifest["config"]["nodes"][event.node].get("side", {}).values()
    folders = [f"{run.identifier}/{side}" for side in sides]
    return replace(event, evidence=with_texts(event.evidence, run.output, folders))


def _fates(run: OpenRun, name: str, partition: int) -> list[dict[str, Any]]:
    """Fates of a document, of those it was cut from and of its own pieces, in the order they happened."""
    wanted: set[str] = {name}
    rows: list[dict[str, Any]] = []
    while True:
        names = pa.array(sorted(wanted), pa.string())
        rows = []
        for folder in folders(run, *homes(run, wanted, partition)):
            with stored_table(run, f"{folder}/{FATES_FILE}") as table:
                mask = pc.or_(
                    pc.is_in(table["id"], names), pc.fill_null(pc.equal(table["parent"], name), False)
                )
                rows += table.filter(mask).to_pylist()
        more = wanted | {r["parent"] for r in rows if r["parent"] is not None and r["id"] in wanted}
        if more == wanted:
            return rows
        wanted = more


def _event(row: Mapping[str, Any]) -> Event:
    evidence = None if row["evidence"] is None else json.loads(row["evidence"])
    return Event(row["event"], row["node"], row["reason"], evidence, row["excerpt"])


def _places(run: OpenRun, name: str, partition: int) -> list[str]:
    """Rows of shards that hold a document's tokens."""
    found = []
    for sink in run.manifest["sinks"]:
        folder = f"{run.identifier}/{sink}"
        for file in run.output.listdir(folder):
            if not (file.startswith(f"{partition:05d}-") and file.endswith(".arrow")):
                continue
            rows = [i for i, ids in enumerate(row_ids(run, f"{folder}/{file}")) if name in ids]
            if rows:
                found.append(f"{sink}/{file} {_ranges(rows)}")
    return found


def _ranges(rows: Sequence[int]) -> str:
    """Row numbers as people write them.

    >>> _ranges([3]), _ranges([3, 4, 5]), _ranges([1, 9])
    ('row 3', 'rows 3 to 5', 'rows 1, 9')
    """
    if len(rows) == 1:
        return f"row {rows[0]}"
    if rows[-1] - rows[0] == len(rows) - 1:
        return f"rows {rows[0]} to {rows[-1]}"
    return "rows " + ", ".join(map(str, rows[:SHOWN])) + (", ..." if len(rows) > SHOWN else "")


# --- as text ----------------------------------------------------------------------------------------


def story_lines(story: Story, width: int = 100, *, colour: bool = False) -> list[str]:
    """A story as a person reads it; behind it what differs from the survivor, and the survivor's story."""
    lines = [printable(story.id)]
    if story.parent is not None:
        lines.append(f"  a piece of {printable(story.parent)}")
    for event in story.events:
        reason = f"  {event.reason}" if event.reason else ""
        lines.append(f"  {event.event:<9}{event.node}{reason}")
        told = found_lines if event.event == FOUND and event.evidence else _evidence_lines
        lines += [f"            {line}" for line in told(event.evidence or {})]
        if event.event in ("rejected", "failed") and event.excerpt:
            more = "..." if len(event.excerpt) > EXCERPT_SHOWN else ""
            lines.append(f"            text: {event.excerpt[:EXCERPT_SHOWN]!r}{more}")
    lines += [f"  tokens   {place}" for place in story.places]
    if story.children:
        more = f" and {len(story.children) - SHOWN} more" if len(story.children) > SHOWN else ""
        lines.append(f"  cut into {', '.join(map(printable, story.children[:SHOWN]))}{more}")
    lines.append(f"  in       {printable(story.split)}")
    if story.fallen is not None:
        lines += fallen_lines(story.fallen)
    for event in story.events:
        if event.event == FOUND and event.evidence:
            lines += beside_lines(event.node, event.evidence, width, colour=colour)
    if story.compared is not None:
        lines += ["", *compared_lines(story.id, story.compared, width, colour=colour)]
    if story.elsewhere is not None:
        lines += ["", f"the document that stayed is none of this run: {printable(story.elsewhere)}"]
    if story.survivor is not None:
        lines += ["", "the document that stayed:", *story_lines(story.survivor, width, colour=colour)]
    return lines


def _evidence_lines(evidence: Mapping[str, Any] | None) -> list[str]:
    lines = []
    for name, value in (evidence or {}).items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *others = text.split("\n")
        lines += [f"{name}: {printable(first)}", *(f"    {printable(other)}" for other in others if other)]
    return lines
