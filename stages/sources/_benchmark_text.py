r"""What is done to the text of a question: prefixes taken off, choices taken out of it, answers found in a solution."""

import re
from collections.abc import Sequence
from typing import NamedTuple

# What the usual prompts put before and after a question. It is no part of the question, and a page that quotes
# the item has it otherwise or not at all.
PREFIXES = ("Question:", "Q:", "Problem:", "问题：", "题目：")
SUFFIXES = ("Answer:", "A:", "答案：", "答案:")
HEADER = re.compile(r"(?:options|choices|answer choices|answer options|选项)\s*[:：]?", re.IGNORECASE)
LABELLED = re.compile(r"\s*(?:\((?P<closed>[A-Za-z]|\d{1,2})\)|(?P<open>[A-Z]|\d{1,2})\s?[.):：、．])\s*")
BULLET = re.compile(r"\s*[-*•]\s+")
NOTE = re.compile(r"<<[^<>]*>>")  # GSM8K's notes for a calculator
BOXED = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)")
# A prefix that all items share ends where a sentence or a line does.
PREFIX_END = re.compile(r"[.?!:。？！：](?=\s)\s*|[。？！：]|\n+")
MIN_PREFIX_WORDS = 4  # shorter ones are how questions begin, such as "What is the"
MIN_PREFIX_ITEMS = 5
MIN_LEFT_CHARS = 40  # about eight words: what is left must say of itself which item it is


class Options(NamedTuple):
    """A question whose choices stood in it."""

    question: str
    choices: list[str]
    labels: list[str]  # as written: A, B, ... or 1, 2, ...; of bullets A, B, ...


def strip_before(text: str, markers: Sequence[str]) -> str:
    r"""The text after the last line that begins with a marker; the marker is left out. As given if none does.

    >>> strip_before("Q: 1 + 1?\nA: 2\n\nQ: 2 + 2?\nA:", ["Q:", "Question:"])
    '2 + 2?\nA:'
    """
    ends = [
        found.end()
        for marker in markers
        for found in re.finditer(rf"^[ \t]*{re.escape(marker)}", text, re.MULTILINE)
    ]
    return text[max(ends) :].strip() if ends else text


def strip_ends(text: str, prefixes: Sequence[str], suffixes: Sequence[str]) -> str:
    r"""The text without the first prefix that it begins with, and without the first suffix that it ends in.

    >>> strip_ends("Question: Why?\nAnswer:", PREFIXES, SUFFIXES)
    'Why?'
    """
    text = text.strip()
    suffix = next((s for s in suffixes if text.endswith(s) and _alone(text, s)), "")
    text = text.removesuffix(suffix).rstrip()
    prefix = next((p for p in prefixes if text.startswith(p)), "")
    return text.removeprefix(prefix).lstrip()


def _alone(text: str, suffix: str) -> bool:
    """Whether nothing but space stands before a suffix in its line: `DNA:` does not end in `A:`."""
    before = text.removesuffix(suffix)
    return not before or before[-1].isspace()


def common_prefix(questions: Sequence[str]) -> str:
    r"""What all questions begin with, up to the end of a sentence or line.

    Empty if that is no instruction, or if a question without it would be too short to be told from others.

    >>> rest = "the third of four lamps in the hall is red, which one is blue?"
    >>> common_prefix([f"Solve this puzzle with care. {name}, {rest}" for name in ("One", "Two")] * 3)
    'Solve this puzzle with care. '
    """
    if len(questions) < MIN_PREFIX_ITEMS:
        return ""
    first, last = min(questions), max(questions)  # what these two share, all in between share
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    prefix = first[: max((found.end() for found in PREFIX_END.finditer(first[:shared])), default=0)]
    least = min(len(question) for question in questions) - len(prefix)
    return prefix if least >= MIN_LEFT_CHARS and len(prefix.split()) >= MIN_PREFIX_WORDS else ""


def unpack_options(text: str) -> Options | None:
    r"""Choices that stand at the end of a question, one a line; None if there are none.

    Lines must be labelled in order, `(A)`, `A.`, `1)` ..., or be bullets below a line `Options:`. A line without a
    label goes on with the choice before it.

    >>> unpack_options("Which one?\nOptions:\n(A) this\n(B) that")
    Options(question='Which one?', choices=['this', 'that'], labels=['A', 'B'])
    """
    lines = text.rstrip().split("\n")
    for start in range(len(lines) - 1, 0, -1):
        if _label(lines[start]) in ("A", "1"):
            found = _labelled(lines[start:])
        elif HEADER.fullmatch(lines[start - 1].strip()) and BULLET.match(lines[start]):
            found = _bullets(lines[start:])
        else:
            continue
        if found is not None:
            above = lines[: start - 1] if HEADER.fullmatch(lines[start - 1].strip()) else lines[:start]
            question = "\n".join(above).strip()
            return Options(question, *found) if question else None
    return None


def strip_labels(choices: Sequence[str]) -> list[str]:
    """Choices without the labels that all of them carry, in order; as given if one has none.

    >>> strip_labels(["(A)one", "(B)two"]), strip_labels(["A. one", "two"])
    (['one', 'two'], ['A. one', 'two'])
    """
    labels = [_label(choice) for choice in choices]
    if len(choices) < 2 or labels != [chr(ord("A") + i) for i in range(len(choices))]:
        return list(choices)
    bare = [LABELLED.sub("", choice, count=1) for choice in choices]
    return bare if all(bare) else list(choices)


def plain_letter(answer: str) -> str:
    """A label without what stands around it.

    >>> plain_letter(" (B) "), plain_letter("c."), plain_letter("two")
    ('B', 'C', 'TWO')
    """
    return answer.strip().strip("().:：、．").upper()


def without_notes(solution: str) -> str:
    """A GSM8K solution without the notes for its calculator.

    >>> without_notes("16 - 7 = <<16-7=9>>9 eggs")
    '16 - 7 = 9 eggs'
    """
    return NOTE.sub("", solution)


def boxed(solution: str) -> str | None:
    r"""What stands in the last `\boxed{...}` of a solution.

    >>> boxed(r"so $x = \boxed{\frac{1}{2}}$.")
    '\\frac{1}{2}'
    """
    starts = [found.end() for found in BOXED.finditer(solution)]
    if not starts:
        return None
    depth = 0
    for at in range(starts[-1], len(solution)):
        depth += (solution[at] == "{") - (solution[at] == "}")
        if not depth:
            return solution[starts[-1] + 1 : at].strip()
    return None


def _label(line: str) -> str | None:
    found = LABELLED.match(line)
    return (found["closed"] or found["open"]).upper() if found else None


def _labelled(lines: Sequence[str]) -> tuple[list[str], list[str]] | None:
    first = _label(lines[0])
    labels: list[str] = []
    choices: list[str] = []
    for line in lines:
        wanted = chr(ord("A") + len(labels)) if first == "A" else str(len(labels) + 1)
        if _label(line) == wanted:
            labels.append(wanted)
            choices.append(LABELLED.sub("", line, count=1).strip())
        else:
            choices[-1] += "\n" + line.strip()
    return (choices, labels) if len(choices) > 1 and all(choices) else None


def _bullets(lines: Sequence[str]) -> tuple[list[str], list[str]] | None:
    if not all(BULLET.match(line) for line in lines) or len(lines) < 2:
        return None
    return [BULLET.sub("", line, count=1).strip() for line in lines], [
        chr(ord("A") + i) for i in range(len(lines))
    ]
