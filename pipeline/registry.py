"""Which stages exist: every entry point of the group `corpusmill.stages`, ours among them.

The engine therefore imports no stage. An entry point names a mapping from YAML names to StageRef; a
stage's module loads only when a config names it.
"""

import functools
import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points

from pipeline.errors import ConfigError
from pipeline.stage import Stage, StageRef

GROUP = "corpusmill.stages"


@functools.cache
def discover() -> Mapping[str, StageRef]:
    """All installed stages by their YAML name.

    Raises:
        ConfigError: two packages claim one name.
    """
    found: dict[str, StageRef] = {}
    for point in entry_points(group=GROUP):
        for name, ref in point.load().items():
            if name in found and found[name] != ref:
                raise ConfigError(
                    f"two packages register a stage '{name}': {found[name].target} and {ref.target}"
                )
            found[name] = ref
    return dict(sorted(found.items()))


@functools.cache
def load_class(target: str) -> type[Stage[object]]:
    """The class at "module:Class".

    Raises:
        ImportError: the module, or a package it needs, is not installed.
    """
    module, _, name = target.partition(":")
    cls: type[Stage[object]] = getattr(importlib.import_module(module), name)
    return cls
