"""Benchmark items of our own, and the ways in which they leak into pages."""

import json
from pathlib import Path
from typing import NamedTuple

from .articles import Article, Library, words_of
from .grammar import Draw

HERE = Path(__file__).parent
N = 13  # words that a verbatim overlap must have at least


class Item(NamedTuple):
    """One benchmark item: where it stands, and the long text that could leak."""

    benchmark: str
    id: str
    record: dict[str, object]
    text: str


def read_items() -> list[Item]:
    """Every item of evals.txt, in order."""
    items = []
    for line in (HERE / "evals.txt").read_text("utf-8").splitlines():
        kind, _, rest = line.partition(": ")
        number = sum(i.benchmark == kind for i in items)
        if kind == "quiz":
            question, choices, answer = rest.split(" | ")
            record = {
                "id": f"quiz-{number:02}",
                "question": question,
                "choices": choices.split("; "),
                "answer": answer,
            }
            items.append(Item(kind, record["id"], record, question))
        elif kind == "reading":
            passage, question, answer = rest.split(" | ")
            record = {
                "id": f"reading-{number:02}",
                "passage": passage,
                "question": question,
                "answer": answer,
            }
            items.append(Item(kind, record["id"], record, passage))
    return items


def jsonl(items: list[Item], benchmark: str) -> bytes:
    """One benchmark as JSON lines."""
    rows = [json.dumps(i.record, ensure_ascii=False) for i in items if i.benchmark == benchmark]
    return ("\n".join(rows) + "\n").encode()


def shouted(text: str) -> str:
    """Upper case, other punctuation: still the same words."""
    return text.upper().replace(", ", " - ").replace(";", " --").replace("?", " ...")


def quoted(text: str) -> str:
    """Typographic quotes, a line of capitals at the start, no commas."""
    head, _, tail = text.partition(" ")
    return f"“{head.upper()} {tail.replace(',', '').replace(chr(39), '’')}”"


STYLES = {"verbatim": str, "recased": shouted, "repunctuated": quoted}


def leaks(library: Library, items: list[Item]) -> list[tuple[Article, dict[str, object]]]:
    """Articles that hold an item, each with what expected.json says of it (without the URL)."""
    long = [i for i in items if len(words_of(i.text)) >= N + 3]
    short = [i for i in items if len(words_of(i.text)) < N]
    chosen = [*long[::2], *short[1::3]]
    out = []
    for number, item in enumerate(chosen):
        style = list(STYLES)[number % 3]
        draw = Draw(f"leak/{item.id}")
        article = library.article(f"leak/{item.id}", draw.choice(library.english), 14)
        leaked = STYLES[style](item.text)
        article = article.insert(leaked, draw)
        about = {"benchmark": f"evals/{item.benchmark}.jsonl", "item": item.id, "how": style, "span": leaked}
        out.append((article, {**about, "words": len(words_of(item.text))}))
    return out
