"""What paths alone cannot say of a published layout: a record made into records that they can.

Each takes a record and returns those of its items, usually one; a record of another layout of the same benchmark
passes as it is.
"""

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

from stages.sources._benchmark_text import boxed, without_notes

Record = dict[str, Any]
Unpack = Callable[[Record], list[Record]]

TAG = re.compile(r"\[[^\[\]]*\]")  # WikiHow's [header], [title], [step] in HellaSwag
MATHQA_CHOICE = re.compile(r"[a-e] \) (.*?)(?= , [a-e] \) |$)")


def gsm8k(record: Record) -> list[Record]:
    """The solution and, behind `####`, the answer; the solution also without the calculator's notes."""
    answer = record.get("answer")
    if not isinstance(answer, str) or "####" not in answer:
        return [record]
    solution, _, final = answer.rpartition("####")
    both = dict.fromkeys([without_notes(solution).strip(), solution.strip()])
    return [record | {"solution": list(both), "answer": final.strip()}]


def with_boxed(record: Record) -> list[Record]:
    """The answer from the box of the solution, where it has no field of its own."""
    solution = record.get("solution")
    if record.get("answer") is not None or not isinstance(solution, str):
        return [record]
    return [record | {"answer": boxed(solution)}]


def winogrande(record: Record) -> list[Record]:
    """The sentence filled with the right option, as a solution."""
    sentence, answer = record.get("sentence"), str(record.get("answer", "")).strip()
    if not isinstance(sentence, str) or answer not in ("1", "2"):
        return [record]
    return [record | {"filled": sentence.replace("_", str(record.get(f"option{answer}")), 1)}]


def hellaswag(record: Record) -> list[Record]:
    """Context and endings without WikiHow's tags; the context as given is another way to put it."""
    context = record.get("ctx", record.get("query"))
    endings = record.get("endings", record.get("choices"))
    if not isinstance(context, str) or not isinstance(endings, list):
        return [record]
    clean = [_untagged(str(ending)) for ending in endings]
    return [record | {"ctx": list(dict.fromkeys([_untagged(context), context])), "endings": clean}]


def _untagged(text: str) -> str:
    return " ".join(TAG.sub("", text.replace(" [title]", ". ")).split())


def truthfulqa(record: Record) -> list[Record]:
    """Best answer first among those that are right and among the choices; the others of these are wrong."""
    targets = record.get("mc1_targets")
    if isinstance(targets, Mapping):
        pairs = zip(targets.get("choices") or [], targets.get("labels") or [], strict=True)
        return [record | {"mc1": [choice for choice, label in pairs if label == 1]}]
    names = {str(name).lower().replace(" ", "_"): value for name, value in record.items()}
    best = names.get("best_answer")
    if not isinstance(best, str):
        return [record]
    right, wrong = (_list(names.get(f"{kind}_answers")) for kind in ("correct", "incorrect"))
    made = {"right": list(dict.fromkeys([best.strip(), *right])), "choices": [best.strip(), *wrong]}
    return [record | made]


def _list(value: Any) -> list[str]:
    parts = value.split(";") if isinstance(value, str) else value or []
    return [str(part).strip() for part in parts if str(part).strip()]


def race(record: Record) -> list[Record]:
    """A passage's questions, which the original files keep in three lists and one copy on the hub in a string."""
    problems = record.get("problems")
    if isinstance(problems, str):
        problems = ast.literal_eval(problems)
    if isinstance(problems, list):
        return [{"article": record.get("article")} | problem for problem in problems]
    if not isinstance(record.get("questions"), list):
        return [record]
    lists = (record.get(name) or [] for name in ("questions", "options", "answers"))
    named = [{"question": q, "options": o, "answer": a} for q, o, a in zip(*lists, strict=True)]
    return [{"article": record.get("article")} | one for one in named]


def drop(record: Record) -> list[Record]:
    """The answer, a number, a date or spans, as text; those of the validators as others that are right."""
    given = [record.get("answer"), *(record.get("validated_answers") or [])]
    if not all(isinstance(one, Mapping) for one in given):
        return [record]
    return [record | {"answer": list(dict.fromkeys(text for one in given for text in [_drop(one)] if text))}]


def _drop(answer: Mapping[str, Any]) -> str:
    if answer.get("number") not in (None, ""):
        return str(answer["number"])
    if answer.get("spans"):
        return ", ".join(map(str, answer["spans"]))
    date = answer.get("date") or {}
    return " ".join(str(date[k]) for k in ("day", "month", "year") if date.get(k))


def lambada(record: Record) -> list[Record]:
    """The last word of the passage is the answer."""
    text = record.get("text")
    if not isinstance(text, str) or " " not in text.strip():
        return [record]
    question, _, last = text.strip().rpartition(" ")
    return [record | {"question": question, "answer": last}]


def agieval(record: Record) -> list[Record]:
    """The question without the choices that a copy on the hub writes into it."""
    query = record.get("query")
    if not isinstance(query, str):
        return [record]
    question = re.split(r"\s*(?:Answer Choices:|选项：)", query)[0]
    return [record | {"query": question.removeprefix("Q:").strip()}]


def mathqa(record: Record) -> list[Record]:
    """The choices out of the one text that they stand in."""
    options = record.get("options")
    if not isinstance(options, str):
        return [record]
    return [record | {"options": [text.strip() for text in MATHQA_CHOICE.findall(options)]}]


def pubmedqa(record: Record) -> list[Record]:
    """The passage from the list, or the object around it, that copies differ in."""
    context = record.get("context")
    return [record | {"CONTEXTS": context.get("contexts")}] if isinstance(context, Mapping) else [record]
