"""What the answers and choices of an item are, as hashed words."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stages.decontamination._index import BenchmarkIndex, TextKind
from stages.decontamination._matches import hash_text

_THOUSANDS = re.compile(r"[^\d]{0,2}(\d{1,3}(?:,\d{3})+|\d{4,})(\.\d+)?[^\d]{0,2}")

_ANSWER, _CHOICE, _CHOICES = int(TextKind.ANSWER), int(TextKind.CHOICE), int(TextKind.CHOICES)


class Facts(NamedTuple):
    """The answers and choices of an item, as hashed words."""

    answers: Sequence[np.ndarray]
    choices: Sequence[np.ndarray]  # in their order
    right: frozenset[int]  # of the choices


def read_facts(item: int, index: BenchmarkIndex, labels: Sequence[int]) -> Facts:
    """Answers and choices of an item; numbers with and without separators of thousands.

    Args:
        item: its number.
        index: where it is.
        labels: hashes of the words A, B, ...
    """
    texts = index.item_texts[index.item_text_starts[item] : index.item_text_starts[item + 1]]
    bounds = zip(
        index.text_kinds[texts].tolist(),
        index.text_starts[texts].tolist(),
        index.text_starts[texts + 1].tolist(),
        strict=True,
    )
    own: dict[int, list[np.ndarray]] = {}
    for kind, first, end in bounds:
        own.setdefault(kind, []).append(index.words[first:end])
    answers = own.get(_ANSWER, [])
    choices = own.get(_CHOICE, [])
    listed = own.get(_CHOICES, []) if choices else []
    choices = next((c for c in (put_in_order(choices, words, labels) for words in listed) if c), choices)
    said = {own.tobytes() for own in answers}
    right = frozenset(k for k, own in enumerate(choices) if own.tobytes() in said)
    if not right:
        answers += other_forms(index.items["answer"][item].as_py() or "", index)
    return Facts(answers, choices, right)


def other_forms(answer: str, index: BenchmarkIndex) -> list[np.ndarray]:
    """A number with separators of thousands where it has none, without where it has."""
    number = _THOUSANDS.fullmatch(answer.strip())
    if not number:
        return []
    whole, rest = number[1], number[2] or ""
    other = whole.replace(",", "") if "," in whole else f"{int(whole):,}"
    return [hash_text(other + rest, index)]


def put_in_order(
    choices: Sequence[np.ndarray], listed: np.ndarray, labels: Sequence[int]
) -> list[np.ndarray] | None:
    """Choices in the order in which they are listed behind labels; None if that is no list of them.

    Of choices that begin alike, the longest that a label or the end comes after.
    """
    heads: list[int] = np.flatnonzero(listed == labels[0]).tolist() if len(choices) else []
    longest = sorted(choices, key=len, reverse=True)
    for head in heads:
        ordered: list[np.ndarray] = []
        at = head
        while at < len(listed) and len(ordered) < len(labels) and listed[at] == labels[len(ordered)]:
            behind = labels[len(ordered) + 1] if len(ordered) + 1 < len(labels) else None
            fitting = (c for c in longest if _stands(listed, at + 1, c, behind))
            found = next(fitting, None)
            if found is None:
                break
            ordered.append(found)
            at += 1 + len(found)
        if at == len(listed) and len(ordered) >= len(choices):
            return ordered
    return None


def _stands(words: np.ndarray, at: int, run: np.ndarray, behind: int | None) -> bool:
    """Does a run of words stand at a place, and then the word `behind`, or nothing?"""
    end = at + len(run)
    if not np.array_equal(words[at:end], run):
        return False
    return end == len(words) or (behind is not None and int(words[end]) == behind)
