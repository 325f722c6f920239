"""Items as rows: what a person reads, and the columns."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipeline.schema import BENCHMARK, ITEM, ITEM_PARTS, ORIGIN, TEXT
from stages.sources._benchmark_items import Item
from stages.sources._files import BATCH_BYTES
from stages.sources._rows import Rows

COLUMNS = pa.schema([ORIGIN, TEXT, BENCHMARK, ITEM, ITEM_PARTS])
SPLIT = "items"  # a benchmark is one partition


def render(parts: Sequence[tuple[str, str]]) -> str:
    r"""An item as a person reads it; of several ways to put a part, the first.

    >>> render([("question", "1 + 1?"), ("choice", "2"), ("choice", "3"), ("answer", "2")])
    '1 + 1?\n\nA. 2\nB. 3\n\nAnswer: A. 2'
    """
    by_part: dict[str, list[str]] = {}
    for part, text in parts:
        by_part.setdefault(part, []).append(text)
    choices = by_part.get("choice", [])
    labelled = [f"{label_of(number)}. {text}" for number, text in enumerate(choices)]
    blocks = [
        *by_part.get("passage", []),
        *by_part.get("question", [])[:1],
        "\n".join(labelled),
        *by_part.get("solution", [])[:1],
    ]
    if answers := by_part.get("answer"):
        right = labelled[choices.index(answers[0])] if answers[0] in choices else answers[0]
        blocks.append(f"Answer: {right}")
    return "\n\n".join(block for block in blocks if block)


def label_of(number: int) -> str:
    """A choice's label: A, B, ... Z, then numbers.

    >>> label_of(1), label_of(30)
    ('B', '31')
    """
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def batches_of(items: Sequence[tuple[str, Item]], batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of items, given each with the name of its file or task."""
    rows = Rows(COLUMNS, batch_rows, BATCH_BYTES)
    for file, item in items:
        values: dict[str, Any] = {
            "text": render(item.parts),
            "benchmark": item.benchmark,
            "item": item.item,
            "item_parts": [{"part": part, "text": text} for part, text in item.parts],
        }
        yield from rows.add(file, str(item.record), -1, values)
    yield from rows.flush()
