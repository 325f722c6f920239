"""Phrases found in UTF-8 bytes in one pass, in any case: a finite automaton, so no phrase and no text is slow.

One step a byte, whatever the number of phrases. A phrase is a text, not a pattern; its letters match in upper
and lower case (one code point to one), its blank also a no-break space, its apostrophe also `’`.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

GROUP_SHIFT = 24  # of a step's result: the next state below, the groups that end there above
STATE_MASK = (1 << GROUP_SHIFT) - 1
MAX_GROUPS = 6
_SAME = {" ": " \u00a0", "'": "'\u2019", "\u2019": "'\u2019"}
_Place = tuple[int, int, bytes]  # phrase, characters matched, bytes of the next character matched


class Phrases(NamedTuple):
    """An automaton over bytes; kernels step it with `steps[state + classes[byte]]`, from state 0.

    The result has the next state in its low GROUP_SHIFT bits, and above them one bit for each group of which a
    phrase ends at this byte. `lengths[state // width, group]` is that phrase's length in characters (the
    longest, if several end), else 0. `openers[a | b << 8]` is 1 if a phrase can begin with the bytes a, b.
    """

    steps: np.ndarray  # int32
    classes: np.ndarray  # uint8, by byte
    lengths: np.ndarray  # int32, shape (states, groups)
    width: int
    openers: np.ndarray  # uint8, by pair of bytes


def build_phrases(*groups: Sequence[str]) -> Phrases:
    """The automaton that finds every phrase of up to MAX_GROUPS groups; empty phrases are never found.

    >>> phrases = build_phrases(["use cookies"], ["lorem"])
    >>> found_groups(phrases, "We USE cookies.".encode()), found_groups(phrases, b"Lore")
    ({0}, set())
    """
    phrases = [(phrase, group) for group, members in enumerate(groups) for phrase in members if phrase]
    spellings = [[_spellings(char) for char in phrase] for phrase, _ in phrases]
    used = sorted({byte for phrase in spellings for char in phrase for form in char for byte in form})
    classes = np.zeros(256, np.uint8)
    classes[used] = np.arange(1, len(used) + 1)
    width = len(used) + 1
    moves = functools.cache(functools.partial(_moves, spellings=spellings))
    begun: dict[int, frozenset[_Place]] = dict.fromkeys(
        used, frozenset()
    )  # where a phrase that begins here is
    for k in range(len(phrases)):
        for byte, after in moves((k, 0, b"")).items():
            begun[byte] |= {after}
    states: dict[frozenset[_Place], int] = {frozenset(): 0}
    table, lengths = [], []
    for places in _grown(states):
        row, longest = [0] * width, [0] * len(groups)
        further: dict[int, list[_Place]] = {}
        for place in places:
            for byte, after in moves(place).items():
                further.setdefault(byte, []).append(after)
        for at, byte in enumerate(used, start=1):
            reached = begun[byte].union(further[byte]) if byte in further else begun[byte]
            row[at] = states.setdefault(reached, len(states))
        for phrase, matched, _ in places:
            if matched == len(spellings[phrase]):
                group = phrases[phrase][1]
                longest[group] = max(longest[group], matched)
        table.append(row)
        lengths.append(longest)
    measured = np.array(lengths, np.int32).reshape(len(states), len(groups))
    ends = (measured > 0) @ (1 << np.arange(len(groups), dtype=np.int64))
    following = np.array(table, np.int64)
    steps = (following * width) | (ends[following] << GROUP_SHIFT)
    return Phrases(steps.ravel().astype(np.int32), classes, measured, width, _openers(spellings))


def _spellings(char: str) -> set[bytes]:
    forms = {char, char.lower(), char.upper(), *_SAME.get(char, "")}
    return {form.encode() for form in forms if len(form) == 1}


def _openers(spellings: list[list[set[bytes]]]) -> np.ndarray:
    pairs = np.zeros((256, 256), np.uint8)  # [second, first]
    for chars in spellings:
        for begin in chars[0]:
            if len(begin) > 1:
                pairs[begin[1], begin[0]] = 1
            elif len(chars) == 1:
                pairs[:, begin[0]] = 1
            else:
                pairs[[form[0] for form in chars[1]], begin[0]] = 1
    return pairs.ravel()


def _grown(states: dict[frozenset[_Place], int]) -> Iterator[frozenset[_Place]]:
    """The states in order of their numbers, those too that are added on the way."""
    done = 0
    while done < len(states):
        batch = list(states)[done:]
        done += len(batch)
        yield from batch


def _moves(place: _Place, spellings: list[list[set[bytes]]]) -> dict[int, _Place]:
    """Where each byte leads from a place; no character's bytes begin another's, so to one place."""
    phrase, matched, part = place
    if matched == len(spellings[phrase]):
        return {}
    found = {}
    for form in spellings[phrase][matched]:
        if form.startswith(part):
            longer = form[: len(part) + 1]
            found[longer[-1]] = (phrase, matched + 1, b"") if longer == form else (phrase, matched, longer)
    return found


def found_groups(phrases: Phrases, data: bytes) -> set[int]:
    """The groups of which a phrase is in `data`, by the automaton in plain Python; kernels do the same."""
    state, found = 0, 0
    for byte in data:
        step = int(phrases.steps[state + int(phrases.classes[byte])])
        state, found = step & STATE_MASK, found | step >> GROUP_SHIFT
    return {group for group in range(MAX_GROUPS) if found >> group & 1}


def phrase_problems(where: str, phrases: Sequence[str]) -> list[str]:
    """A sentence for each phrase that cannot be found as a part of a line.

    >>> phrase_problems("policy_phrases", ["use cookies", " "])
    ["policy_phrases: ' ' is blank, so it would be in every line; remove it"]
    """
    problems = []
    for phrase in phrases:
        if not phrase.strip():
            problems.append(f"{where}: {phrase!r} is blank, so it would be in every line; remove it")
        elif "\n" in phrase:
            problems.append(f"{where}: {phrase!r} spans lines, so no line has it; write its parts")
    return problems
