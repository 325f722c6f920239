"""As much of JSON Schema (2020-12) as the schema of our YAML uses; an unknown keyword is an error."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

TYPES: Mapping[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
SAYS_NOTHING = {"title", "description", "default", "format", "$defs", "$schema", "if", "then", "else"}
BOUNDS = {
    "minimum": lambda v, n: v >= n,
    "maximum": lambda v, n: v <= n,
    "exclusiveMinimum": lambda v, n: v > n,
    "exclusiveMaximum": lambda v, n: v < n,
}
LENGTHS = {
    "minLength": lambda v, n: len(v) >= n,
    "maxLength": lambda v, n: len(v) <= n,
    "minItems": lambda v, n: len(v) >= n,
    "maxItems": lambda v, n: len(v) <= n,
    "minProperties": lambda v, n: len(v) >= n,
}


def faults(value: Any, schema: Any, root: Mapping[str, Any] | None = None, at: str = "") -> list[str]:
    """What a schema has against a value: `path: keyword`, nothing if it fits."""
    return list(_faults(value, schema, schema if root is None else root, at))


def _faults(value: Any, schema: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    if schema is True:
        return
    if schema is False:
        yield f"{at}: forbidden"
        return
    for keyword, wanted in schema.items():
        if keyword not in SAYS_NOTHING:
            yield from _keyword(value, keyword, wanted, schema, root, at)
    if "if" in schema:
        branch = "else" if faults(value, schema["if"], root) else "then"
        yield from _faults(value, schema.get(branch, True), root, at)


def _keyword(
    value: Any, keyword: str, wanted: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str
) -> Iterator[str]:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if keyword == "$ref":
        yield from _faults(value, root["$defs"][wanted.removeprefix("#/$defs/")], root, at)
    elif keyword == "type":
        good = isinstance(value, TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))
        if not good:
            yield f"{at}: type {wanted}"
    elif keyword in ("enum", "const"):
        if value not in (wanted if keyword == "enum" else [wanted]):
            yield f"{at}: {keyword}"
    elif keyword == "anyOf":
        if all(faults(value, one, root) for one in wanted):
            yield f"{at}: anyOf"
    elif keyword == "oneOf":
        if sum(not faults(value, one, root) for one in wanted) != 1:
            yield f"{at}: oneOf"
    elif keyword == "allOf":
        for one in wanted:
            yield from _faults(value, one, root, at)
    elif keyword in BOUNDS:
        if number and not BOUNDS[keyword](value, wanted):
            yield f"{at}: {keyword}"
    elif keyword in LENGTHS:
        if isinstance(value, (str, list, dict)) and not LENGTHS[keyword](value, wanted):
            yield f"{at}: {keyword}"
    elif keyword == "pattern":
        if isinstance(value, str) and not re.search(wanted, value):
            yield f"{at}: pattern"
    elif keyword in ("items", "prefixItems"):
        yield from _items(value, keyword, wanted, schema, root, at)
    elif keyword in ("properties", "additionalProperties", "required"):
        yield from _members(value, keyword, wanted, schema, root, at)
    else:
        raise NotImplementedError(keyword)


def _items(
    value: Any, keyword: str, wanted: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str
) -> Iterator[str]:
    if not isinstance(value, list):
        return
    first = len(schema.get("prefixItems", []))
    pairs = (
        zip(value, wanted, strict=False) if keyword == "prefixItems" else ((v, wanted) for v in value[first:])
    )
    for i, (inner, one) in enumerate(pairs, 0 if keyword == "prefixItems" else first):
        yield from _faults(inner, one, root, f"{at}[{i}]")


def _members(
    value: Any, keyword: str, wanted: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str
) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    if keyword == "required":
        yield from (f"{at}: required {name}" for name in wanted if name not in value)
    elif keyword == "properties":
        for name in wanted.keys() & value.keys():
            yield from _faults(value[name], wanted[name], root, f"{at}.{name}")
    else:
        for name in value.keys() - schema.get("properties", {}).keys():
            yield from _faults(value[name], wanted, root, f"{at}.{name}")
