"""Where the parts of an item stand in a record: dotted paths, alternatives, and what may be missing."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from stages.sources._benchmark_text import strip_labels

SHOWN = 12  # names of fields in a message
HIDDEN = ("-1",)  # what published test sets write for an answer that they keep to themselves


class ItemError(Exception):
    """What is wrong with one item, and what to write instead."""


class BenchmarkFields(BaseModel):
    """Which field of a record is which part of an item.

    `a.b` is a field of a nested one; of a list of objects it is that field of each. `a | b` is the first of the
    two that a record has, `a + b` both, on a line each. A `?` at the end: records may lack it, or have it empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    question: str | list[str] = Field("question", description="the question; a list: several ways to put it")
    choices: str | list[str] | None = Field(
        None,
        description="field with the choices (texts, objects with text and label, or text by label), or a list of "
        "fields with one choice each",
    )
    answer: str | list[str] | None = Field(
        None, description="the answer; a list, or a field that holds one: several that are right"
    )
    passage: str | list[str] | None = Field(None, description="text that the question is about")
    solution: str | list[str] | None = Field(
        None, description="worked solution, explanation or code; a list: several ways to write it"
    )
    id: str | None = Field(
        None, description="the item's own id; null: its number in the source, from 0, as lm-eval's doc_id"
    )
    group: str | None = Field(
        None, description="field that names a part of the benchmark, such as MMLU's subject"
    )


class Choices(NamedTuple):
    """Choices of an item, in order."""

    texts: list[str]
    labels: list[str] | None  # None where the record names none


class _Path(NamedTuple):
    joined: tuple[
        tuple[str, ...], ...
    ]  # fields to put on a line each; of each, names of which the first counts
    optional: bool


@functools.cache
def parse_path(spec: str) -> _Path:
    """A spec in its parts.

    >>> parse_path("a | b.c + d?")
    _Path(joined=(('a', 'b.c'), ('d',)), optional=True)
    """
    bare = spec.strip()
    parts = bare.removesuffix("?").split(" + ")
    joined = tuple(tuple(name.strip() for name in part.split("|")) for part in parts)
    return _Path(joined, bare.endswith("?"))


def names_in(spec: str | Sequence[str] | None) -> list[str]:
    """Every field name in a spec."""
    specs = [spec] if isinstance(spec, str) else spec or []
    return [name for one in specs for part in parse_path(one).joined for name in part]


def look_through(record: Any, path: str) -> tuple[bool, Any]:
    """Whether a record has a field, and its value; through lists, the values of all that have it.

    >>> look_through({"a": [{"t": "x"}, {"t": "y"}]}, "a.t"), look_through({"a": 1}, "b")
    ((True, ['x', 'y']), (False, None))
    """
    if isinstance(record, Mapping) and path in record:
        return True, record[path]
    if isinstance(record, list | tuple):
        found = [look_through(part, path) for part in record]
        return any(there for there, _ in found) or not found, [value for there, value in found if there]
    name, _, rest = path.partition(".")
    if not rest or not isinstance(record, Mapping) or name not in record:
        return False, None
    return look_through(record[name], rest)


def as_texts(value: Any, path: str) -> list[str]:
    """A value as texts; null, NaN and blank text are none.

    Raises:
        ItemError: it is an object.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, float) and value.is_integer():
        return [str(int(value))]
    if isinstance(value, int | float):
        return [str(value)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in as_texts(part, path)]
    if isinstance(value, Mapping):
        inner = ", ".join(f"{path}.{name}" for name in list(value)[:SHOWN])
        raise ItemError(f"field '{path}' is an object, not text; name a field of it: {inner}")
    return as_texts(str(value), path)  # dates, decimals


def texts_at(record: Mapping[str, Any], spec: str | Sequence[str] | None, part: str) -> list[str]:
    """All texts that a spec finds, each once, in order.

    Raises:
        ItemError: a field that is not optional is missing or empty.
    """
    found: dict[str, None] = {}
    for one in [spec] if isinstance(spec, str) else spec or []:
        path = parse_path(one)
        lines = [_first(record, names, path.optional, part) for names in path.joined]
        if len(lines) > 1:
            some = ["\n".join(line) for line in lines if line]
            lines = [["\n".join(some)]] if some else [[]]
        # code keeps the indentation of its first line
        found |= dict.fromkeys(
            text.strip("\r\n").rstrip() if part == "solution" else text.strip() for text in lines[0]
        )
    return list(found)


def _first(record: Mapping[str, Any], names: Sequence[str], optional: bool, part: str) -> list[str]:
    present = [(name, value) for name in names for there, value in [look_through(record, name)] if there]
    for name, value in present:
        if texts := as_texts(value, name):
            return texts
    if optional:
        return []
    if present:
        raise ItemError(
            f"field '{present[0][0]}' is empty; fill it, or write `{part}: {present[0][0]}?` if items may lack it"
        )
    raise ItemError(missing(record, names, part))


def missing(record: Mapping[str, Any], names: Sequence[str], part: str) -> str:
    """What to say of a field that is not there."""
    has = ", ".join(list(map(str, record))[:SHOWN]) or "none"
    return (
        f"no field '{' or '.join(names)}'; its fields are: {has}; write `fields: {{{part}: <one of them>}}`"
    )


def choices_at(record: Mapping[str, Any], spec: str | Sequence[str] | None) -> Choices:
    """An item's choices and their labels, if it has any.

    Raises:
        ItemError: they are missing, or not in a form that is known.
    """
    if spec is None:
        return Choices([], None)
    if not isinstance(spec, str):
        return Choices([_one_choice(record, one) for one in spec], None)
    path = parse_path(spec)
    names = path.joined[0]
    for name in names:
        there, value = look_through(record, name)
        if there and value is not None:
            return _choices(value, name)
    if path.optional:
        return Choices([], None)
    raise ItemError(missing(record, names, "choices"))


def _one_choice(record: Mapping[str, Any], spec: str) -> str:
    texts = texts_at(record, spec, "choices")
    return texts[0] if texts else ""


def _choices(value: Any, name: str) -> Choices:
    if isinstance(value, Mapping):
        inner = {str(key).lower(): part for key, part in value.items()}
        texts = inner.get("text", inner.get("choices"))
        if isinstance(texts, list | tuple):
            given = inner.get("label")
            named = given if isinstance(given, list | tuple) and len(given) == len(texts) else None
            return Choices(_each(texts, name), None if named is None else [str(label) for label in named])
        return Choices(_each(list(value.values()), name), [str(key) for key in value])
    if isinstance(value, list | tuple):
        if value and all(isinstance(part, Mapping) and "text" in part for part in value):
            labels = [part.get("label") for part in value]
            return Choices(
                _each([part["text"] for part in value], name),
                None if None in labels else [str(label) for label in labels],
            )
        return Choices(strip_labels(_each(value, name)), None)
    raise ItemError(f"field '{name}' is {type(value).__name__}, not a list of choices")


def _each(values: Sequence[Any], name: str) -> list[str]:
    return ["".join(as_texts(value, name)).strip() for value in values]
