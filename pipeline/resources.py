"""What stages load: model files made sure of before a run, opened once a worker."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline import models
from pipeline.errors import ConfigError, StageError
from pipeline.graph import Graph

HUB_OFFLINE = "HF_HUB_OFFLINE"  # what huggingface_hub and datasets look at when they are imported


def ensure(path: Path, *, offline: bool = False) -> Path:
    """The file, fetched first when it belongs to the models catalogue and is not here yet."""
    name = models.name_of(path)
    if name is not None and not path.is_file():
        models.fetch(name, offline=offline)
    return path


def ensure_all(graph: Graph, *, offline: bool) -> None:
    """Fetch what a graph's stages need.

    Raises:
        ConfigError: one line for each model that cannot be had.
    """
    problems = []
    for node in graph.nodes.values():
        for path in node.stage.resources():
            try:
                ensure(Path(path), offline=offline)
            except models.ModelError as error:
                problems.append(f"node '{node.name}' ({node.stage_name}): {error}")
    if problems:
        raise ConfigError(problems)


@contextmanager
def hub_closed(offline: bool) -> Iterator[None]:
    """Where `offline`, packages that read the hub use their caches alone: this process and those that it starts."""
    before = os.environ.get(HUB_OFFLINE)
    if offline:
        os.environ[HUB_OFFLINE] = "1"
    try:
        yield
    finally:
        if offline:
            del os.environ[HUB_OFFLINE]
            if before is not None:
                os.environ[HUB_OFFLINE] = before


class Opener:
    """Opens the resources of a plan's nodes, each once in this process for the same files."""

    def __init__(self, graph: Graph, key: str) -> None:
        self._graph = graph
        self._key = key
        self._open = functools.cache(self._opened)

    def __call__(self, node: str, sides: tuple[tuple[str, str], ...]) -> Any:
        """The node's resource.

        Args:
            node: its name.
            sides: (name, local folder) of each side input.
        """
        return self._open(node, sides)

    def _opened(self, node: str, sides: tuple[tuple[str, str], ...]) -> Any:
        stage = self._graph.nodes[node].stage
        for path in stage.resources():
            ensure(Path(path))
        try:
            return stage.open({name: Path(folder) for name, folder in sides})
        except (ValueError, OSError) as error:
            name = self._graph.nodes[node].stage_name
            raise StageError(f"node '{node}' ({name}): cannot load what it needs: {error}") from error
