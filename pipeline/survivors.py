"""A document and the one that it fell to: both texts as the node saw them, and who else fell to a survivor."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.api import OpenRun
from pipeline.ledger import FATES_FILE
from pipeline.plan import Entry
from pipeline.sidebyside import Stretch, compare, side_by_side
from pipeline.stored import only, opened
from pipeline.terminal import printable

SHOWN = 10  # documents that fell to a survivor, the least similar first
MOST_BYTES = 4 << 20  # of raw content that is looked at
_SIMILARITY = r'"similarity":(?P<value>-?[0-9.]+(?:[eE][-+]?[0-9]+)?)'


class Compared(NamedTuple):
    """A document and its survivor as they were at a node."""

    node: str
    survivor: str
    similarity: float | None
    texts: str  # where the texts are from: "stored", or "excerpt" for the beginning that the lineage has
    equal: bool  # to the character
    stretches: list[Stretch]


class Fallen(NamedTuple):
    """The documents that fell to a survivor."""

    nodes: dict[str, int]  # how many, by node
    least: list[dict[str, Any]]  # id, node and similarity of the least similar


# --- both texts -------------------------------------------------------------------------------------


def compared(
    run: OpenRun,
    node: str,
    evidence: Mapping[str, Any],
    document: tuple[str, int],
    survivor: tuple[str, int],
    excerpts: tuple[str, str],
) -> Compared | None:
    """What differs between a document and its survivor, each given by id and partition.

    Args:
        run: a finished run.
        node: where the document fell.
        evidence: why.
        document: that fell.
        survivor: that it fell to.
        excerpts: the beginnings of both that are used where the node did not store its input; may be empty.

    Returns:
        None where one of the texts is nowhere.
    """
    stored = tuple(text_at(run, node, *which) for which in (document, survivor))
    texts = stored if None not in stored else excerpts
    if not all(texts):
        return None
    left, right = (str(text) for text in texts)
    similarity = evidence.get("similarity")
    kind = "stored" if texts is stored else "excerpt"
    return Compared(node, survivor[0], similarity, kind, left == right, compare(left, right))


def text_at(run: OpenRun, node: str, name: str, partition: int) -> str | None:
    """A document's text as it came to a Global node; None where the node did not store it.

    For a dialogue without text, its turns; for a page before extraction, its bytes as UTF-8.
    """
    levels = [level for n, port, level in run.manifest["stored"] if (n, port) == (node, "in")]
    for level in levels:
        for _, number, folder in run.units(level):
            file = f"{folder}/{Entry(node, 'in').file}"
            if number == partition and run.output.exists(file):
                return _text_in(run, file, name)
    return None


def _text_in(run: OpenRun, file: str, name: str) -> str | None:
    """Only the batch that has the document is read with its text."""
    with opened(run, file) as source:
        ids = only(source, ["id"])
        for i in range(ids.num_record_batches):
            column = ids.get_batch(i).column("id")
            row = pc.index(column, pa.scalar(name, column.type)).as_py()
            if row >= 0:
                batch = only(source, ["text", "messages", "content"]).get_batch(i)
                return _as_text({n: batch.column(n)[row].as_py() for n in batch.schema.names})
    return None


def _as_text(values: Mapping[str, Any]) -> str | None:
    if values.get("text"):
        return str(values["text"])
    if turns := values.get("messages"):
        return "\n\n".join(f"{turn.get('role')}: {turn.get('content') or ''}" for turn in turns)
    if content := values.get("content"):
        return bytes(content[:MOST_BYTES]).decode("utf-8", "replace")
    return None


def compared_lines(name: str, found: Compared, width: int, *, colour: bool) -> list[str]:
    """Two columns, or one line where there is nothing to see."""
    similarity = "" if found.similarity is None else f", similarity {found.similarity:.4g}"
    origin = "" if found.texts == "stored" else "; only their beginnings are at hand"
    if found.equal:
        return [f"at {found.node} its text and the survivor's are equal{origin}"]
    if all(stretch.kind == "equal" for stretch in found.stretches):
        return [f"at {found.node} its text and the survivor's differ in white space only{origin}"]
    head = f"what differs, at {found.node}{similarity} (white space is not compared{origin}):"
    return [head, *side_by_side(found.stretches, (name, found.survivor), width, colour=colour)]


def compared_data(found: Compared) -> dict[str, Any]:
    """The same as plain JSON: each stretch with its words on either side, equal ones once."""
    return {
        **{name: value for name, value in found._asdict().items() if name != "stretches"},
        "stretches": [_stretch_data(stretch) for stretch in found.stretches],
    }


def _stretch_data(stretch: Stretch) -> dict[str, Any]:
    if stretch.kind == "not compared":
        return {"kind": stretch.kind, "left_words": len(stretch.left), "right_words": len(stretch.right)}
    left, right = (
        "".join(f" {w.text}" if w.spaced else w.text for w in side).strip()
        for side in (stretch.left, stretch.right)
    )
    if stretch.kind == "equal":
        return {"kind": stretch.kind, "words": len(stretch.left), "text": left}
    return {"kind": stretch.kind, "left": left, "right": right}


# --- who fell to a survivor -------------------------------------------------------------------------


def fallen(run: OpenRun, name: str) -> Fallen | None:
    """Documents that name this one as their survivor; None where there are none.

    Looked at are the fates in the levels of nodes that found copies, by a match on the evidence's text.
    """
    sought = f'"survivor":{orjson.dumps(name).decode()}'
    nodes: dict[str, int] = {}
    least: list[dict[str, Any]] = []
    for table in _verdicts(run):
        mine = table.filter(pc.match_substring(table["evidence"], sought))
        if not mine.num_rows:
            continue
        for entry in pc.value_counts(mine["node"]).to_pylist():
            nodes[entry["values"]] = nodes.get(entry["values"], 0) + entry["counts"]
        said = pc.struct_field(pc.extract_regex(mine["evidence"], _SIMILARITY), "value")
        mine = mine.append_column("similarity", said.cast(pa.float64()))
        order = [("similarity", "ascending"), ("id", "ascending")]
        few = mine.take(pc.sort_indices(mine, sort_keys=order)[:SHOWN]).select(["id", "node", "similarity"])
        least = sorted([*least, *few.to_pylist()], key=_by_similarity)[:SHOWN]
    return Fallen(dict(sorted(nodes.items())), least) if nodes else None


def _by_similarity(row: Mapping[str, Any]) -> tuple[float, str]:
    return (2.0 if row["similarity"] is None else row["similarity"], row["id"])


def _verdicts(run: OpenRun) -> Iterator[pa.Table]:
    """Rejected and marked rows of the levels whose nodes found copies, batch by batch."""
    report = run.read_json("report.json")
    levels = sorted({n["level"] for n in report["nodes"] if n["node"] in report["duplicates"]})
    for level in levels:
        for _, _, folder in run.units(level):
            with opened(run, f"{folder}/{FATES_FILE}") as source:
                reader = only(source, ["id", "node", "event", "evidence"])
                for i in range(reader.num_record_batches):
                    batch = reader.get_batch(i)
                    judged = pc.is_in(batch["event"], pa.array(["rejected", "marked"]))
                    mask = pc.and_(judged, pc.is_valid(batch["evidence"]))
                    if pc.any(mask).as_py():
                        yield pa.Table.from_batches([batch.filter(mask)])


def fallen_lines(found: Fallen) -> list[str]:
    """As a person reads it."""
    count = sum(found.nodes.values())
    where = ", ".join(f"{number:,} at {node}" for node, number in found.nodes.items())
    lines = [f"  survivor of {count:,} {'document' if count == 1 else 'documents'}: {where}"]
    for row in found.least:
        similarity = "" if row["similarity"] is None else f"{row['similarity']:.4g}  "
        lines.append(f"            {similarity}{printable(row['id'])}")
    if count > len(found.least):
        lines.append(f"            and {count - len(found.least):,} more")
    return lines


def plain(found: Fallen | None) -> dict[str, Any] | None:
    """As plain JSON."""
    return None if found is None else json.loads(json.dumps(found._asdict()))
