"""What does one order of all documents cost, and how much memory? Prints JSON.

    python -m benchmarks.order --documents 100000 1000000 [--chars 600] [--partitions 16] [--folder /tmp]

Each size in a process of its own: made documents in sixteen Parquet files are read, and written again as Parquet, by
the engine in one process; once as they come, once shuffled by `order_documents`, and once planned and mixed by quota
before that. CPU seconds, peak memory, and the bytes that the order added to the store.
"""

import argparse
import json
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.api import parse, run
from pipeline.executors.local import LocalExecutor
from pipeline.registry import discover

FILES = 16
CONFIG = """
version: 1
run: {{name: order, output: {out}}}
nodes:
  docs: {{stage: read_parquet, params: {{paths: '{folder}/*.parquet'}}}}
{middle}
  out: {{stage: write_parquet, inputs: [{last}], params: {{columns: [text]}}}}
"""
ORDER = "  order: {{stage: order_documents, inputs: [{last}], params: {{partitions: {parts}, seed: 1}}}}"
MIX = """  mixture: {stage: plan_mixture, inputs: [docs], params: {unit: documents}}
  mix: {stage: mix_documents, inputs: [docs], side: {mixture: mixture}}"""


def make_documents(folder: Path, documents: int, chars: int) -> None:
    """Files of texts of random letters."""
    numbers = np.random.default_rng(7)
    for part in range(FILES):
        rows = len(range(part, documents, FILES))
        letters = numbers.integers(97, 123, rows * chars, dtype=np.uint8)
        offsets = np.arange(rows + 1, dtype=np.int64) * chars
        text = pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(letters))
        pq.write_table(pa.table({"text": text}), folder / f"{part:02d}.parquet", compression="none")


def measure(documents: int, chars: int, parts: int, parent: str, what: str) -> dict[str, Any]:
    """One run: CPU seconds, peak memory, bytes of what the order stored."""
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        make_documents(Path(folder), documents, chars)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        last = "mix" if what == "mixed" else "docs"
        middle = [MIX] if what == "mixed" else []
        middle += [] if what == "as they come" else [ORDER.format(last=last, parts=parts)]
        text = CONFIG.format(
            out=f"{folder}/out",
            folder=folder,
            middle="\n".join(middle),
            last=last if what == "as they come" else "order",
        )
        started = time.process_time()
        run(parse(text, "order.yaml"), registry=discover(), executor=LocalExecutor())
        seconds = time.process_time() - started
        stored = sum(file.stat().st_size for file in Path(folder).rglob("order.*.arrow"))
    return {
        "cpu_us_a_document": round(seconds / documents * 1e6, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "of_which_before_mb": round(before / 1024),
        "stored_bytes_a_document": round(stored / documents, 1),
    }


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--documents", type=int, nargs="+", default=[100_000])
    options.add_argument("--chars", type=int, default=600)
    options.add_argument("--partitions", type=int, default=16)
    options.add_argument("--folder", default=tempfile.gettempdir())
    given = options.parse_args()
    found: dict[str, Any] = {"chars": given.chars, "partitions": given.partitions}
    for documents in given.documents:
        for what in ("as they come", "shuffled", "mixed"):
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                args = (documents, given.chars, given.partitions, given.folder, what)
                found.setdefault(str(documents), {})[what] = pool.submit(measure, *args).result()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
