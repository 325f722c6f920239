"""The benchmark items that a document has, for its story: what the lineage keeps of them, and how they are shown.

Kept are the items with the longest stretches, LISTED at most, those that decide about the document first; each with
all definitions that found it, and with some text around its longest stretch. Of how many there are in all the
lineage keeps the number.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contamination import UNKNOWN
from pipeline.io.store import Store
from pipeline.leakreport import ITEMS_FILE, read_items
from pipeline.sidebyside import compare, side_by_side
from pipeline.terminal import printable

FOUND = "found"  # the event
LISTED = 20  # items of a document
BESIDE = 5  # items whose text is shown beside the passage
CONTEXT = 100  # characters before and after a passage
MOST_CHARS = 1000  # of an item's question and of its answer
_FINDING = ("definition", "class", "part", "score", "start", "end", "decides")


# --- what the lineage keeps -------------------------------------------------------------------------


def told(texts: pa.Array | None, leaks: pa.Array) -> pa.Array:
    """What is worth keeping of each row's leaks, as JSON text; null where there are none.

    Args:
        texts: of the rows, as the stage saw them.
        leaks: CONTAMINATION.
    """
    said: list[str | None] = [None] * len(leaks)
    for row in pc.indices_nonzero(pc.fill_null(pc.list_value_length(leaks), 0)).to_pylist():
        text = None if texts is None else texts[row].as_py()
        said[row] = orjson.dumps(tell(text, leaks[row].as_py())).decode()
    return pa.array(said, pa.large_string())


def tell(text: str | None, leaks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One document's leaks: how many items of each benchmark, and the most telling of these items.

    >>> leak = {"benchmark": "b", "item": "1", "definition": "d", "start": 4, "end": 7, "matched": "two"}
    >>> leak |= {"class": "input_only", "part": "input", "score": 3.0, "decides": True}
    >>> found = tell("one two three", [leak])
    >>> found["benchmarks"], [found["items"][0][name] for name in ("before", "matched", "after")]
    ({'b': 1}, ['one ', 'two', ' three'])
    """
    items: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for leak in leaks:
        key = (leak["benchmark"] or UNKNOWN, leak["item"] or UNKNOWN)
        items.setdefault(key, []).append(leak)
    counts: dict[str, int] = {}
    for benchmark, _ in sorted(items):
        counts[benchmark] = counts.get(benchmark, 0) + 1
    ranked = sorted(items, key=lambda key: (_order(items[key]), key))[:LISTED]
    return {"benchmarks": counts, "items": [_item(text, key, items[key]) for key in ranked]}


def _length(leak: Mapping[str, Any]) -> int:
    return (leak["end"] or 0) - (leak["start"] or 0)


def _order(leaks: Iterable[Mapping[str, Any]]) -> tuple[bool, int]:
    return min((not leak["decides"], -_length(leak)) for leak in leaks)


def _item(text: str | None, key: tuple[str, str], leaks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An item with its findings, and its longest stretch with what stands around it, where that can be told."""
    longest = max(leaks, key=lambda leak: (_length(leak), -(leak["start"] or 0)))
    start, end, matched = longest["start"] or 0, longest["end"] or 0, longest["matched"] or ""
    before = after = ""
    if text and matched and text.startswith(matched, start):
        before, after = text[max(0, start - CONTEXT) : start], text[end : end + CONTEXT]
    findings = sorted(leaks, key=lambda leak: leak["definition"] or UNKNOWN)
    return {
        "benchmark": key[0],
        "item": key[1],
        "found": [{name: leak[name] for name in _FINDING} for leak in findings],
        "start": start,
        "end": end,
        "before": before,
        "matched": matched,
        "after": after,
    }


# --- as text ----------------------------------------------------------------------------------------


def found_lines(said: Mapping[str, Any]) -> list[str]:
    """The items that a node found in a document, a line for each and for each definition."""
    benchmarks = [f"{printable(name)} {count:,}" for name, count in said["benchmarks"].items()]
    lines = [f"items: {', '.join(benchmarks)}"]
    for item in said["items"]:
        lines.append(f"{_name(item)}, characters {item['start']}-{item['end']}")
        lines += [f"    {_finding(finding)}" for finding in item["found"]]
    more = sum(said["benchmarks"].values()) - len(said["items"])
    return [*lines, f"and {more:,} more"] if more else lines


def _name(item: Mapping[str, Any]) -> str:
    return f"{printable(item['benchmark'])} {printable(item['item'])}"


def _finding(finding: Mapping[str, Any]) -> str:
    score = "" if finding["score"] is None else f", score {finding['score']:.4g}"
    decides = "" if finding["decides"] else ", does not decide"
    name, kind, part = (printable(finding[key] or UNKNOWN) for key in ("definition", "class", "part"))
    return f"{name}: {kind}, {part}{score}{decides}"


def beside_lines(node: str, said: Mapping[str, Any], width: int, *, colour: bool) -> list[str]:
    """The passages of the first items beside the items' own texts, or alone where these are not at hand."""
    lines: list[str] = []
    for item in said["items"][:BESIDE]:
        shown = item["matched"] + ("..." if len(item["matched"]) < item["end"] - item["start"] else "")
        passage = f"{item['before']}{shown}{item['after']}"
        own = item_text(item)
        if not own:
            lines += ["", f"at {node}, {_name(item)}: {printable(passage)}"]
            continue
        heads = (f"the document, characters {item['start']}-{item['end']}", _name(item))
        lines += ["", f"at {node}, the document beside the item (white space is not compared):"]
        lines += side_by_side(compare(passage, own), heads, width, colour=colour)
    return lines


def with_texts(said: Mapping[str, Any], output: Store, folders: Iterable[str]) -> dict[str, Any]:
    """The same with the items' own texts, as far as an index among some folders of the output has them."""
    items = [dict(item) for item in said["items"]]
    for folder in folders:
        if output.exists(f"{folder}/{ITEMS_FILE}"):
            wanted = [(item["benchmark"], item["item"]) for item in items]
            _, texts = read_items(output, f"{folder}/{ITEMS_FILE}", wanted, most=MOST_CHARS)
            items = [{**item, **texts.get((item["benchmark"], item["item"]), {})} for item in items]
    return {**said, "items": items}


def item_text(item: Mapping[str, Any]) -> str:
    r"""An item's question and answer, where they are known.

    >>> item_text({"question": "2 + 2?", "answer": "4"}), item_text({})
    ('2 + 2?\n4', '')
    """
    return "\n".join(part for part in (item.get("question"), item.get("answer")) if part)
