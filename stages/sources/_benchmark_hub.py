"""Data sets of the hub, through the package `datasets`: from its cache, or fetched unless HF_HUB_OFFLINE is set."""

import functools
import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.errors import DataError


class HubSet(NamedTuple):
    """One split of a data set."""

    path: str  # org/name
    config: str | None
    split: str
    revision: str | None

    @property
    def title(self) -> str:
        """As messages and document ids have it.

        >>> HubSet("openai/gsm8k", "main", "test", None).title
        'openai/gsm8k/main/test'
        """
        name = "/".join(part for part in (self.path, self.config, self.split) if part)
        return f"{name}@{self.revision}" if self.revision else name


def load(hub: HubSet) -> Any:
    """The data set of one split.

    Raises:
        DataError: it cannot be had.
    """
    try:
        datasets = importlib.import_module("datasets")  # a second to import, for those who read the hub
        return datasets.load_dataset(hub.path, hub.config, split=hub.split, revision=hub.revision)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        # the package raises all of these, and subclasses of its own
        raise DataError(
            f"hub '{hub.title}': cannot be loaded ({error}); check hub, hub_config, hub_split and the network, or "
            "fetch it once where there is one and set HF_HUB_OFFLINE=1"
        ) from error


def records_of(hub: HubSet) -> list[dict[str, Any]]:
    """Its rows, in order."""
    return [dict(row) for row in load(hub)]


@functools.lru_cache(maxsize=64)
def cached_files(hub: HubSet) -> Sequence[str]:
    """The files of the package's cache that hold it: their bytes enter the fingerprint."""
    return tuple(str(file["filename"]) for file in load(hub).cache_files)
