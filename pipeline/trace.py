"""What became of a document, and which documents a piece of a shard came from.

corpusmill trace runs/web crawl/site-a.warc.gz#0011bded            a document
corpusmill trace runs/web site-a.warc.gz#0011bded                  the same, by its source record
corpusmill trace runs/web https://a.example/page                   the same, by its address
corpusmill trace runs/web shards/00003-shard.arrow:17              the documents of a row
corpusmill trace runs/web shards/00003-shard.arrow:17:500          the one that token 500 came from
"""

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.api import OpenRun
from pipeline.errors import DataError
from pipeline.io.arrow import read_table
from pipeline.unit import FATES_FILE

SHARD_ROW = re.compile(r"^(?P<file>.+\.arrow):(?P<row>\d+)(?::(?P<token>\d+))?$")
EVENT_ORDER = ("read", "expanded", "edited", "marked", "failed", "rejected", "written")


def trace(run: OpenRun, what: str) -> list[str]:
    """Lines for a person.

    Raises:
        DataError: nothing in the run is called so; the message has the nearest ids.
    """
    if match := SHARD_ROW.match(what):
        token = match["token"]
        return _trace_row(run, match["file"], int(match["row"]), None if token is None else int(token))
    events = list(fates(run, what))
    if not events:
        identifier = _by_url(run, what)
        events = list(fates(run, identifier)) if identifier else []
    if not events:
        raise DataError(f"run {run.identifier} has no document '{what}'{_nearest(run, what)}")
    return _told(events)


def fate_tables(run: OpenRun) -> Iterator[pa.Table]:
    """The fates of every unit, in the order of levels."""
    for _, _, folder in sorted(run.units()):
        yield read_table(run.output, f"{folder}/{FATES_FILE}")


def fates(run: OpenRun, what: str) -> Iterator[dict[str, Any]]:
    """Events of a document (by id, or by the part after its source), of its pieces, and of what it is a piece of."""
    names = {what}
    whole = re.sub(r"(#[^#]+)#\d+$", r"\1", what)  # a piece's parent
    names |= {whole} if whole != what else set()
    for table in fate_tables(run):
        ids = table["id"]
        mask = pc.is_in(ids, pa.array(sorted(names)))
        mask = pc.or_(mask, pc.ends_with(ids, f"/{what}"))
        pieces = pc.starts_with(ids, f"{what}#")
        mask = pc.or_(mask, pc.fill_null(pieces, False))
        yield from table.filter(mask).to_pylist()


def _told(events: list[dict[str, Any]]) -> list[str]:
    lines = []
    for identifier in dict.fromkeys(e["id"] for e in events):
        lines.append(identifier)
        for event in (e for e in events if e["id"] == identifier):
            text = f"  {event['event']:<9}{event['node']}"
            text += f"  {event['reason']}" if event["reason"] else ""
            text += f"  (a piece of {event['parent']})" if event["parent"] else ""
            lines.append(text)
            lines += [f"            {line}" for line in _evidence(event["evidence"])]
            if event["event"] in ("rejected", "failed") and event["excerpt"]:
                lines.append(f"            text: {event['excerpt'][:200]!r}")
    return lines


def _evidence(evidence: str | None) -> list[str]:
    if evidence is None:
        return []
    lines = []
    for name, value in json.loads(evidence).items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines += [
            f"{name}: {line}" if i == 0 else f"    {line}" for i, line in enumerate(text.splitlines() or [""])
        ]
    return lines


def _by_url(run: OpenRun, url: str) -> str | None:
    """The id of a stored document with this address."""
    if "://" not in url:
        return None
    for node, port, _ in run.manifest["stored"]:
        if port == "in":
            continue
        for file in run.files(node, port):
            table = read_table(run.output, file.removeprefix(f"{run.output.root}/"))
            if "url" in table.schema.names:
                found = table.filter(pc.equal(table["url"], url))
                if found.num_rows:
                    return str(found["id"][0].as_py())
    return None


def _nearest(run: OpenRun, what: str) -> str:
    key = what.rpartition("#")[2]
    near: list[str] = []
    for table in fate_tables(run):
        ids = pc.unique(table["id"]).to_pylist()
        near += [i for i in ids if key and key in i]
        near += difflib.get_close_matches(what, ids[:20_000], n=2, cutoff=0.8)
        if near:
            break
    return "; near: " + ", ".join(dict.fromkeys(near[:3])) if near else ""


def _trace_row(run: OpenRun, file: str, row: int, token: int | None) -> list[str]:
    pieces = _pieces(run, file, row)
    if token is not None:
        pieces = [_piece_at(pieces, token, f"{file}:{row}")]
    lines = []
    for piece in pieces:
        span = f"characters {piece['start']}-{piece['end']}" if piece["start"] >= 0 else "span not recorded"
        lines.append(f"{piece['tokens']} tokens from {piece['id']}, {span}")
        if token is not None:
            lines += _told(list(fates(run, piece["id"])))
    return lines


def _pieces(run: OpenRun, file: str, row: int) -> list[dict[str, Any]]:
    name = f"{run.identifier}/{file}"
    if not run.output.exists(name):
        raise DataError(f"run {run.identifier} has no file {file}; write it as NODE/FILE.arrow:ROW")
    with pa.ipc.open_stream(run.output.read_bytes(name)) as reader:
        table = reader.read_all()
    if "pieces" not in table.schema.names:
        raise DataError(f"{file}: has no column 'pieces'; it is no token shard")
    if row >= table.num_rows:
        raise DataError(f"{file}: has {table.num_rows} rows; row {row} is beyond the last")
    pieces: list[dict[str, Any]] = table["pieces"][row].as_py()
    return pieces


def _piece_at(pieces: list[dict[str, Any]], token: int, where: str) -> dict[str, Any]:
    start = 0
    for piece in pieces:
        start += piece["tokens"]
        if token < start:
            return piece
    raise DataError(f"{where}: has {start} tokens; token {token} is beyond the last")
