"""Some columns of a file that a run stored, without the rest of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from pipeline.api import OpenRun
from pipeline.errors import CheckpointError


@contextmanager
def opened(run: OpenRun, name: str) -> Iterator[Any]:
    """A stored file, mapped where the store is local.

    Raises:
        CheckpointError: it is missing or not whole.
    """
    store = run.output
    try:
        source = pa.memory_map(store.path(name)) if store.local else pa.BufferReader(store.read_bytes(name))
        with source:
            yield source
    except (pa.ArrowInvalid, OSError) as error:
        raise CheckpointError(f"{store.path(name)}: cannot be read back ({error})") from error


def only(source: Any, columns: Sequence[str] | None = None) -> Any:
    """A reader of an open file's columns, of those that it has; of all of them for None."""
    schema = pa.ipc.open_file(source).schema
    wanted = [i for i, field in enumerate(schema) if columns is None or field.name in columns]
    return pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=wanted))
