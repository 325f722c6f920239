"""What a sink's own manifest says, as a table of the run's report."""

from collections.abc import Mapping
from pathlib import Path

import orjson

from pipeline.stage import Summary


def facts_table(manifest: Path, title: str, names: Mapping[str, str]) -> Summary:
    """A table of one row.

    Args:
        manifest: a JSON object.
        title: of the table.
        names: what heads each column -> the key of its value; null is told as "not known".
    """
    facts = orjson.loads(manifest.read_bytes())
    row = ["not known" if facts[key] is None else facts[key] for key in names.values()]
    return Summary(title, list(names), [row])
