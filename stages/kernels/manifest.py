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


def files_table(manifest: Path) -> Summary:
    """How many files there are and what is in them, from a manifest with `format`, `files` and `documents` or `rows`.

    `tokens`, `lines` and `sequences` are told where the manifest has them.
    """
    facts = orjson.loads(manifest.read_bytes())
    files = facts["files"]
    row = {
        "format": facts["format"],
        "documents": facts["documents"] if "documents" in facts else facts["rows"],
    }
    row |= {name: facts[name] for name in ("tokens", "lines", "sequences") if name in facts}
    row |= {"files": len(files), "bytes": sum(file["bytes"] for file in files)}
    return Summary("files", list(row), [list(row.values())])
