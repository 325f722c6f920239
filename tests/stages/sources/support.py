"""Small archives by hand, and what a source says of them."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.stage import Damage, Source
from stages.sources.warc import ReadWarc


def run(stage: Source) -> tuple[list[dict[str, Any]], list[Damage]]:
    """All rows and damages of all splits; checks the schema of each batch."""
    rows, damages = [], []
    for split in sorted(stage.split()):
        for found in stage.read(split, None):
            if isinstance(found, Damage):
                damages.append(found)
                continue
            assert found.schema == stage.writes()
            assert found.num_rows > 0
            found.validate(full=True)
            rows += found.to_pylist()
    return rows, damages


def batches(stage: Source) -> list[pa.RecordBatch]:
    return [b for s in stage.split() for b in stage.read(s, None) if not isinstance(b, Damage)]


def http(
    body: bytes, headers: str = "Content-Type: text/html; charset=UTF-8", status: str = "200 OK"
) -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n".encode() + body


def record(
    name: str,
    content: bytes,
    kind: str = "response",
    length: object = None,
    mime: str | None = None,
    extra: str = "",
) -> bytes:
    """One WARC record; `length` replaces the right Content-Length, "" leaves it out."""
    declared = len(content) if length is None else length
    mime = mime or ("application/http; msgtype=response" if kind == "response" else "text/plain")
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:{name}>",
        f"WARC-Target-URI: http://example.org/{name}",
        "WARC-Date: 2024-05-01T10:00:00Z",
        f"Content-Type: {mime}",
    ]
    if extra:
        lines.append(extra)
    if declared != "":
        lines.append(f"Content-Length: {declared}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content + b"\r\n\r\n"


def page(name: str, size: int = 300) -> bytes:
    return record(name, http(f"<html><p>{name}</p>{'x' * size}</html>".encode()))


def members(*records: bytes) -> bytes:
    return b"".join(gzip.compress(r, mtime=0) for r in records)


def read_bytes(folder: Path, data: bytes, name: str = "a.warc.gz", **params: Any):
    (folder / name).write_bytes(data)
    return run(ReadWarc(paths=str(folder / name), **params))


def keys(rows: list[dict[str, Any]]) -> list[str]:
    return [row["origin"]["key"] for row in rows]
