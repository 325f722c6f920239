"""Real benchmarks: every planted copy is found and told by its class, and nothing is found in books that have none."""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from stages.decontamination._alphabet import benchmark_alphabet
from stages.decontamination._definitions import (
    CoverageDefinition,
    LongestSpanDefinition,
    NgramDefinition,
    ShortDefinition,
)
from stages.decontamination.decontaminate import Decontaminate
from stages.kernels.words import hash_words
from tests.stages.decontamination.indexes import annotate, build_items, item
from tests.support.data import real_data

pytestmark = pytest.mark.real_data

SIDE_BY_SIDE = [
    NgramDefinition(),
    NgramDefinition(n=8),
    CoverageDefinition(),
    LongestSpanDefinition(),
    ShortDefinition(),
]


def json_lines(relative: str) -> list[dict[str, Any]]:
    path = real_data(relative)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return [json.loads(line) for line in file]


def table(relative: str) -> list[dict[str, Any]]:
    with real_data(relative).open(newline="") as file:
        return list(csv.DictReader(file))


def gsm8k() -> Iterator[dict[str, Any]]:
    for row in json_lines("bench/gsm8k/test.jsonl"):
        solution, answer = row["answer"].split("\n####")
        yield {"question": row["question"], "solution": solution, "answer": answer.strip()}


def multiple_choice(name: str) -> Iterator[dict[str, Any]]:
    for row in json_lines(f"bench/llmfoundry/{name}.jsonl"):
        question = row["query"].removeprefix("Question: ").removesuffix("Answer:").strip()
        yield {"question": question, "choice": row["choices"], "answer": row["choices"][row["gold"]]}


def mmlu(subject: str) -> Iterator[dict[str, Any]]:
    for row in table(f"bench/mmlu/test/{subject}_test.csv"):
        choices = [row[f"choice{k}"] for k in range(4)]
        yield {"question": row["question"], "choice": choices, "answer": choices[int(row["answer"])]}


def truthfulqa() -> Iterator[dict[str, Any]]:
    for row in table("bench/truthfulqa/TruthfulQA.csv"):
        yield {"question": row["Question"], "answer": row["Best Answer"]}


def code(path: str, question: str, solution: str) -> Iterator[dict[str, Any]]:
    for row in json_lines(path):
        yield {"question": row[question], "solution": row[solution]}


BENCHMARKS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "gsm8k": gsm8k,
    "arc_easy": lambda: multiple_choice("arc_easy"),
    "openbook_qa": lambda: multiple_choice("openbook_qa"),
    "mmlu_astronomy": lambda: mmlu("astronomy"),
    "mmlu_philosophy": lambda: mmlu("philosophy"),
    "truthfulqa": truthfulqa,
    "humaneval": lambda: code("bench/humaneval/HumanEval.jsonl.gz", "prompt", "canonical_solution"),
    "mbpp": lambda: code("bench/mbpp/mbpp.jsonl", "text", "code"),
}


@pytest.fixture(scope="module")
def items() -> dict[str, list[dict[str, Any]]]:
    return {name: list(load()) for name, load in BENCHMARKS.items()}


@pytest.fixture(scope="module")
def index(tmp_path_factory, items):
    named = [item(name, f"{name}/{k}", **row) for name, rows in items.items() for k, row in enumerate(rows)]
    return build_items(tmp_path_factory.mktemp("real") / "index", named)


@pytest.fixture(scope="module")
def filler() -> list[str]:
    """1,200 stretches of 2,600 characters from books and speeches older than any of the benchmarks."""
    texts = [r["text"] for r in json_lines("text/nltk_gutenberg.jsonl.gz")]
    texts += [r["text"] for r in json_lines("text/nltk_inaugural.jsonl.gz")]
    pieces = [text[i : i + 2600] for text in texts for i in range(0, len(text) - 2600, 2600)]
    return pieces[:: len(pieces) // 1200][:1200]


def plant(filler: list[str], texts: list[str]) -> list[str]:
    return [
        f"{filler[i % 1200][:1000]}\n\n{text}\n\n{filler[i % 1200][1000:]}" for i, text in enumerate(texts)
    ]


def found_as(index, texts: list[str], name: str, **params: Any) -> list[set[str]]:
    """For each text, the classes by which the item of its number was found."""
    found = annotate(Decontaminate(**params), index, texts)
    return [
        {leak["class"] for leak in f["leaks"] if leak["item"] == f"{name}/{k}"} for k, f in enumerate(found)
    ]


def labelled(row: dict[str, Any], answered: bool) -> str:
    listed = "\n".join(f"{'ABCDE'[k]}. {choice}" for k, choice in enumerate(row["choice"]))
    label = "ABCDE"[row["choice"].index(row["answer"])]
    return f"{row['question']}\n{listed}" + (f"\nAnswer: {label}" if answered else "")


DRESSES: dict[str, Callable[[str], str]] = {
    "verbatim": lambda q: q,
    "upper case": str.upper,
    "no commas, curly quotes": lambda q: q.replace(", ", " ").replace('"', "\u201d").replace("'", "\u2019"),
    "every blank a line break": lambda q: "\n> ".join(q.split()),
}


def length(text: str) -> int:
    return len(hash_words(pa.array([text]), benchmark_alphabet("words")).hashes)


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_planted_question_is_found(index, items, filler, name, dress):
    """All but those of fewer than five words, which say nothing without an answer."""
    questions = [row["question"] for row in items[name]]
    texts = plant(filler, [DRESSES[dress](question) for question in questions])
    assert len(texts) > 100
    found = found_as(index, texts, name)
    assert [q for q, classes in zip(questions, found, strict=True) if not classes and length(q) >= 5] == []
    assert {kind for classes in found for kind in classes} == {"input_only"}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_questions_with_their_outputs_are_told_as_such(index, items, filler, name):
    rows = items[name]
    texts = [f"{row['question']}\n{row.get('solution') or row['answer']}" for row in rows]
    found = found_as(index, plant(filler, texts), name)
    other = [
        k
        for k, classes in enumerate(found)
        if classes != {"input_and_output"} and length(rows[k]["question"]) > 2
    ]
    assert other == ([50] if name == "humaneval" else [])  # whose solution is a line of its prompt


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if "choice" in next(BENCHMARKS[name]())])
def test_listed_choices_are_no_answer_but_a_label_is(index, items, filler, name):
    for answered, kind in ((False, "input_only"), (True, "input_and_output")):
        texts = plant(filler, [labelled(row, answered) for row in items[name]])
        assert [k for k, found in enumerate(found_as(index, texts, name)) if found != {kind}] == []


def test_books_and_speeches_are_clean(index, filler):
    """By definitions that are laxer than the defaults, too."""
    found = annotate(Decontaminate(definitions=SIDE_BY_SIDE), index, filler)
    assert [leak for f in found for leak in f["leaks"]] == []


def test_what_is_cut_is_clean(index, items, filler):
    texts = [
        f"{filler[i % 1200]} {row['question']} {filler[i % 1200]}" for i, row in enumerate(items["gsm8k"])
    ]
    cut = annotate(Decontaminate(action="cut"), index, texts)
    assert {f["reason"] for f in cut} == {None}
    again = annotate(Decontaminate(), index, [f["text"] for f in cut])
    assert {f["reason"] for f in again} == {None}
    assert all(len(f["text"]) > 4600 for f in cut)


def test_rephrased_items_are_found_in_part_only(index):
    """What runs of words cannot do, measured: hardly any item reworded on purpose keeps 13 words in a row."""
    counts = {}
    for name in ("rephrase_gsm8k", "humaneval_python"):
        rephrased = [r["text"] for r in json_lines(f"decontam_rephrased/{name}.jsonl")]
        found = annotate(Decontaminate(definitions=SIDE_BY_SIDE), index, rephrased)
        each = Counter(title for f in found for title in {leak["definition"] for leak in f["leaks"]})
        counts[name, len(rephrased)] = dict(each)
    assert counts == {
        ("rephrase_gsm8k", 1319): {"ngram_8": 98},
        ("humaneval_python", 164): {"ngram_8": 18, "ngram_13": 2, "longest_span": 2, "coverage_8": 1},
    }
