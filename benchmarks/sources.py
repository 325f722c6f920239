"""What reading costs beside the library underneath: CPU seconds of one process, same bytes, JSON out.

    python benchmarks/sources.py [--megabytes 128] [--warc FILE ...]

Without `--warc` an archive of made pages is written by warcio. Each reader goes over the file twice, in turn
with the others; the better time counts. Ratios compare to the first reader of each group.
"""

import argparse
import gzip
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import WarcRecordType
from warcio.archiveiterator import ArchiveIterator

from pipeline.stage import Damage, Source
from stages.sources.jsonl import ReadJsonl
from stages.sources.parquet import ReadParquet
from stages.sources.warc import ReadWarc

Reader = Callable[[], tuple[int, int]]  # records and payload bytes read
WORDS = (
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "it",
    "was",
    "for",
    "on",
    "with",
    "data",
    "page",
    "text",
)


def made_text(seed: int, words: int) -> str:
    """Words by a hash of their place: compresses about as prose does."""
    picks = (np.arange(seed, seed + words, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return " ".join(WORDS[i] if i < len(WORDS) else f"w{i:x}" for i in (picks % np.uint64(900)).tolist())


def write_inputs(folder: Path, megabytes: int) -> dict[str, Path]:
    """A WARC, a Parquet and a JSON lines file of about the same text."""
    texts = [made_text(i * 7919, 200 + (i * 131) % 2000) for i in range(megabytes * 130)]
    with (folder / "a.warc.gz").open("wb") as out:
        for i, text in enumerate(texts):
            out.write(gzip.compress(warc_record(i, text), 6))
    pq.write_table(pa.table({"text": texts}), folder / "a.parquet", compression="zstd", row_group_size=10_000)
    with (folder / "a.jsonl").open("wb") as out:
        out.writelines(
            orjson.dumps({"text": t, "url": f"http://x/{i}", "n": i}) + b"\n" for i, t in enumerate(texts)
        )
    return {kind: folder / f"a.{kind}" for kind in ("warc.gz", "parquet", "jsonl")}


def warc_record(number: int, text: str) -> bytes:
    """A response record."""
    body = f"<html><body><p>{text}</p></body></html>".encode()
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nServer: x\r\n\r\n" + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{number:032x}>\r\n"
        f"WARC-Target-URI: http://example.org/{number}\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def source_reader(stage: Source, column: str) -> Reader:
    """Read all batches of a source."""

    def read() -> tuple[int, int]:
        rows = size = 0
        for split in stage.split():
            for found in stage.read(split, None):
                if not isinstance(found, Damage):
                    rows += found.num_rows
                    size += found.column(column).nbytes
        return rows, size

    return read


def fastwarc_reader(path: Path) -> Reader:
    """Iterate with payloads read, nothing built from them."""

    def read() -> tuple[int, int]:
        rows = size = 0
        wanted = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion
        for record in FastIterator(str(path), record_types=wanted, parse_http=True):
            rows += 1
            size += len(record.reader.read())
        return rows, size

    return read


def warcio_reader(path: Path) -> Reader:
    """Iterate with decoded payloads read."""

    def read() -> tuple[int, int]:
        rows = size = 0
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream):
                if record.rec_type in ("response", "resource", "conversion"):
                    rows += 1
                    size += len(record.content_stream().read())
        return rows, size

    return read


def parquet_reader(path: Path, batch_rows: int) -> Reader:
    """Pyarrow alone."""

    def read() -> tuple[int, int]:
        rows = size = 0
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_rows, use_threads=False):
                rows += batch.num_rows
                size += batch.column("text").nbytes
        return rows, size

    return read


def json_reader(path: Path) -> Reader:
    """Pyarrow's own JSON reader: columns only, no metadata, one bad line ends it."""

    def read() -> tuple[int, int]:
        options = pa.json.ReadOptions(use_threads=False, block_size=8 << 20)
        table = pa.json.read_json(path, read_options=options)
        return table.num_rows, table.column("text").nbytes

    return read


def measure(readers: dict[str, Reader]) -> dict[str, dict[str, float]]:
    """Best of two turns each: records and MB for each CPU second, and CPU beside the first reader."""
    best: dict[str, float] = {}
    work: dict[str, tuple[int, int]] = {}
    for _ in range(2):
        for name, read in readers.items():
            start = time.process_time()
            work[name] = read()
            best[name] = min(best.get(name, float("inf")), time.process_time() - start)
    first = next(iter(best.values()))
    return {
        name: {
            "records": work[name][0],
            "records_per_cpu_s": round(work[name][0] / spent),
            "mb_per_cpu_s": round(work[name][1] / spent / 1e6, 1),
            "cpu_ratio": round(spent / first, 2),
        }
        for name, spent in best.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=128)
    parser.add_argument("--warc", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = write_inputs(Path(folder), args.megabytes)
        report: dict[str, object] = {}
        for path in [made["warc.gz"], *args.warc]:
            report[f"warc {path.name} ({path.stat().st_size / 1e6:.1f} MB stored)"] = measure(
                {
                    "fastwarc": fastwarc_reader(path),
                    "read_warc": source_reader(ReadWarc(paths=str(path), media_types=None), "content"),
                    "warcio": warcio_reader(path),
                }
            )
        rows = 4096
        report["parquet"] = measure(
            {
                "pyarrow": parquet_reader(made["parquet"], rows),
                "read_parquet": source_reader(
                    ReadParquet(paths=str(made["parquet"]), batch_rows=rows), "text"
                ),
            }
        )
        report["jsonl"] = measure(
            {
                "pyarrow.json": json_reader(made["jsonl"]),
                "read_jsonl": source_reader(ReadJsonl(paths=str(made["jsonl"])), "text"),
            }
        )
    packages = ("pyarrow", "fastwarc", "warcio", "orjson")
    machine = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
    print(json.dumps({"machine": machine, "versions": versions, "results": report}, indent=1))


if __name__ == "__main__":
    main()
