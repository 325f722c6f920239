"""Benchmark items planted in real documents, changed in every way that a copy on the web is, with the class expected.

Items are of the published benchmarks in the data folder, hosts are pieces of books, speeches and laws. Everything is
drawn from a seed, so each run plants the same leaks.
"""

import gzip
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from stages.decontamination.build_index import BuildNgramIndex
from stages.sources.benchmark import ReadBenchmark
from tests.quality.planted_forms import CHANGES, FORMATS
from tests.stages.sources.support import batches

SETS: Mapping[str, Mapping[str, Any]] = {
    "gsm8k": {"benchmark": "gsm8k", "paths": "gsm8k/test.jsonl"},
    "humaneval": {"benchmark": "humaneval", "paths": "humaneval/HumanEval.jsonl.gz"},
    "mbpp": {"benchmark": "mbpp", "paths": "mbpp/mbpp.jsonl"},
    "mmlu": {"benchmark": "mmlu", "paths": "mmlu/test"},
    "truthfulqa": {"benchmark": "truthfulqa", "paths": "truthfulqa/TruthfulQA.csv"},
    "bbh": {"benchmark": "bbh", "paths": "bbh"},
    "arc_easy": {"benchmark": "arc", "name": "arc_easy", "paths": "llmfoundry/arc_easy.jsonl"},
    "commonsense_qa": {"benchmark": "commonsense_qa", "paths": "llmfoundry/commonsense_qa.jsonl"},
    "openbookqa": {"benchmark": "openbookqa", "paths": "llmfoundry/openbook_qa.jsonl"},
}
TEXTS = ("nltk_gutenberg", "nltk_state_union", "rust_rfcs_sample", "gesetze_de_sample", "eltec_fra_sample")
HOST_WORDS = 150  # before and after a leak
FEW_WORDS = 20  # where every item is planted
APART_WORDS = 600  # between a question and its answer
LONG_WORDS = 20_000
A_KIND = 200  # leaks of each kind


class Item(NamedTuple):
    """A benchmark item's parts."""

    benchmark: str
    name: str
    question: str
    choices: Sequence[str]
    outputs: Sequence[str]  # solutions, then answers

    @property
    def answer(self) -> str:
        """The last output, which is an answer if there is one."""
        return self.outputs[-1] if self.outputs else ""


class Leak(NamedTuple):
    """A document with an item in it."""

    kind: str
    item: Item
    text: str
    expected: str | None  # class; None: either


def read_items(bench: Path) -> tuple[list[pa.RecordBatch], list[Item]]:
    """All items of the benchmarks in a folder, as rows for an index and as parts."""
    rows, items = [], []
    for params in SETS.values():
        for batch in batches(ReadBenchmark(**{**params, "paths": str(bench / params["paths"])})):
            rows.append(batch.select(["benchmark", "item", "item_parts"]))
            for benchmark, name, parts in zip(*(c.to_pylist() for c in rows[-1].columns), strict=True):
                own: dict[str, list[str]] = {}
                for part in parts:
                    own.setdefault(part["part"], []).append(part["text"])
                outputs = own.get("solution", [])[:1] + own.get("answer", [])[:1]
                items.append(Item(benchmark, name, own["question"][0], own.get("choice", []), outputs))
    return rows, items


def build_index(rows: Sequence[pa.RecordBatch], folder: Path, **params: Any) -> Path:
    """An index of all items."""
    sink = BuildNgramIndex(**params)
    folder.mkdir(parents=True)
    sink.commit([sink.write(iter(rows), folder, None)], folder, None)
    return folder


def read_hosts(texts: Path) -> list[str]:
    """Clean documents, whole."""
    found = []
    for name in TEXTS:
        with gzip.open(texts / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            found += [json.loads(line)["text"] for line in lines]
    return [text for text in found if len(text.split()) > 2 * HOST_WORDS]


def pick(items: Sequence[Item], count: int, rng: random.Random) -> list[Item]:
    """Items of all benchmarks and lengths: a third of questions under 8 words, a third under 13, where there are any."""
    short = [i for i in items if len(i.question.split()) < 8]
    middle = [i for i in items if 8 <= len(i.question.split()) < 13]
    long = [i for i in items if len(i.question.split()) >= 13]
    return [
        item for part in (short, middle, long) for item in rng.sample(part, min(len(part), count // 3 + 1))
    ]


def rendered(item: Item) -> str:
    """An item as exercises are printed."""
    choices = "".join(f"\n{chr(65 + k)}. {choice}" for k, choice in enumerate(item.choices))
    return f"Question: {item.question}{choices}\nAnswer: {item.answer}"


# --- changes of words -----------------------------------------------------------------------------------


def edited(text: str, rate: float, rng: random.Random) -> str:
    """Each word replaced, doubled with another, or dropped, at a rate."""
    out = []
    for word in text.split(" "):
        draw = rng.random()
        if draw >= rate:
            out.append(word)
        elif draw < rate / 3:
            out.append("perhaps")
        elif draw < 2 * rate / 3:
            out += [word, "really"]
    return " ".join(out)


def _part(text: str, fraction: float) -> str:
    words = text.split(" ")
    return " ".join(words[: max(1, round(len(words) * fraction))])


class Planter:
    """Puts leaks into hosts."""

    def __init__(self, hosts: Sequence[str], seed: int) -> None:
        self.hosts = [host.split() for host in hosts]
        self.seed = seed
        self.rng = random.Random(seed)

    def begin(self, kind: str) -> random.Random:
        """Draw anew: what one kind draws depends on no other."""
        self.rng = random.Random(f"{self.seed} {kind}")
        return self.rng

    def filler(self, words: int) -> str:
        """Words in a row of one or more clean documents."""
        found: list[str] = []
        while len(found) < words:
            own = self.rng.choice(self.hosts)
            start = self.rng.randrange(max(1, len(own) - words))
            found += own[start : start + words - len(found)]
        return " ".join(found)

    def plant(self, leak: str, words: int = HOST_WORDS) -> str:
        """A leak between two pieces, as a paragraph of its own."""
        return f"{self.filler(words)}\n\n{leak}\n\n{self.filler(words)}"

    def each_once(self, items: Sequence[Item], kinds: Sequence[str] = FORMATS) -> Iterator[Leak]:
        """Every item in some form, all forms in turn, between few words."""
        for k, item in enumerate(items):
            kind = kinds[k % len(kinds)]
            yield Leak(kind, item, self.plant(CHANGES[kind](rendered(item)), FEW_WORDS), "input_and_output")

    def leaks(self, items: Sequence[Item], count: int = A_KIND) -> Iterator[Leak]:
        """Leaks of every kind."""
        both = "input_and_output"
        for kind in FORMATS:
            few = count // 10 if kind == "long_document" else count
            size = LONG_WORDS // 2 if kind == "long_document" else HOST_WORDS
            for item in pick([i for i in items if i.outputs], few, self.begin(kind)):
                yield Leak(kind, item, self.plant(CHANGES[kind](rendered(item)), size), both)
        for item in pick(items, count, self.begin("question_only")):
            yield Leak("question_only", item, self.plant(item.question), "input_only")
        with_choices = [i for i in items if i.choices]
        for item in pick(with_choices, count, self.begin("choices")):
            listed = "\n".join(f"({chr(97 + k)}) {c}" for k, c in enumerate(item.choices))
            yield Leak("question_and_choices", item, self.plant(f"{item.question}\n{listed}"), "input_only")
            plain = "\n".join(f"{k + 1}) {c}" for k, c in enumerate(item.choices))
            yield Leak("other_labels", item, self.plant(f"{item.question}\n{plain}"), "input_only")
        long = [i for i in items if len(i.outputs[0].split() if i.outputs else ()) >= 13]
        for item in pick(long, count, self.begin("long outputs")):
            output = item.outputs[0]
            yield Leak("answer_only", item, self.plant(output), "output_only")
            yield Leak("adjacent", item, self.plant(f"{item.question} {output}"), both)
            between = self.filler(APART_WORDS)
            yield Leak("apart", item, self.plant(f"{item.question}\n\n{between}\n\n{output}"), both)
            yield Leak("apart_reversed", item, self.plant(f"{output}\n\n{between}\n\n{item.question}"), both)
        for percent in (75, 50, 25):
            kind = f"truncated_{percent}"
            for item in pick(items, count, self.begin(kind)):
                yield Leak(kind, item, self.plant(_part(item.question, percent / 100)), "input_only")
        for percent in (2, 5, 10, 20):
            kind = f"edited_{percent}"
            for item in pick(items, count, self.begin(kind)):
                leak = edited(item.question, percent / 100, self.rng)
                yield Leak(kind, item, self.plant(leak), "input_only")
