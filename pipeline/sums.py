"""Nested counts that add up, whoever counted what first."""

from collections.abc import Mapping
from typing import Any


def add_counts(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Add nested counts to others, name by name.

    >>> counts = {"a": 1}
    >>> add_counts(counts, {"a": 2, "b": {"c": 3}})
    >>> counts
    {'a': 3, 'b': {'c': 3}}
    """
    for name, value in other.items():
        if isinstance(value, Mapping):
            add_counts(into.setdefault(name, {}), value)
        else:
            into[name] = into.get(name, 0) + value
