"""YAML read as version 1.2, with the line of every value.

PyYAML reads YAML 1.1: `no` becomes False, `12:30` 750, `010` 8 and `1e-3` a string, so that a list of
languages loses its Norwegian. This loader keeps PyYAML's parser and replaces the rules for scalars with
the 1.2 core schema. It also reports duplicate keys, which PyYAML silently drops.
"""

import re
from collections.abc import Hashable
from typing import Any, NamedTuple

import yaml

Path = tuple[str | int, ...]

_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


class Document(NamedTuple):
    """Plain data and, for the path of each value, the line (from 1) where it stands."""

    data: Any
    lines: dict[Path, int]
    problems: list[tuple[int, str]]


class _Loader(yaml.SafeLoader):
    """SafeLoader with no implicit resolvers of its own: scalars are read by `scalar` below."""


_Loader.yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile(r"^(?:<<)$"))]}


def scalar(text: str) -> Any:
    """A plain (unquoted) scalar as the YAML 1.2 core schema reads it.

    >>> [scalar(t) for t in ("no", "010", "1e-3", "12:30", "true", "~", "0x1F", "2026-11-22")]
    ['no', 10, 0.001, '12:30', True, None, 31, '2026-11-22']
    """
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text[0] in "tT"
    if _INT.match(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if _FLOAT.match(text):
        return float(
            text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").replace(".nan", "nan")
        )
    return text


def load(text: str) -> Document:
    """Parse one YAML document.

    Raises:
        yaml.YAMLError: the text is not YAML; its `problem_mark` says where.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        document = Document(None, {}, [])
        if root is None:
            return document
        return document._replace(data=_build(loader, root, (), document))
    finally:
        loader.dispose()


def _build(loader: _Loader, node: yaml.Node, path: Path, into: Document) -> Any:
    into.lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(loader, node, path, into)
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*path, i), into) for i, item in enumerate(node.value)]
    if getattr(node, "style", None) is None and node.tag == "tag:yaml.org,2002:str":
        return scalar(node.value)
    return loader.construct_object(node, deep=True)


def _build_mapping(loader: _Loader, node: yaml.MappingNode, path: Path, into: Document) -> dict[Any, Any]:
    own = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
    for key in {k for k in own if own.count(k) > 1}:
        into.problems.append((node.start_mark.line + 1, f"the key '{key}' stands twice; keep one"))
    loader.flatten_mapping(node)
    result: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = _build(loader, key_node, (*path, "?"), into)
        if not isinstance(key, Hashable):
            into.problems.append((key_node.start_mark.line + 1, "a key must be a plain word"))
            continue
        name = key if isinstance(key, (str, int)) and not isinstance(key, bool) else str(key)
        into.lines[(*path, name)] = key_node.start_mark.line + 1
        result[name] = _build(loader, value_node, (*path, name), into)
        into.lines[(*path, name)] = key_node.start_mark.line + 1
    into.lines.pop((*path, "?"), None)
    return result
