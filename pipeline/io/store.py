"""A folder on any filesystem in which files appear whole or not at all.

Every file is written under a temporary name and then published: a rename where the store is local, one
upload where it is an object store. A reader never sees half a file, and a writer that dies leaves only
a temporary name behind. Two writers of one address write the same bytes, so the later rename is harmless.
"""

import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
import orjson

from pipeline.errors import CheckpointError

_HOST = socket.gethostname().replace(".", "-")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Store:
    """Files by their path relative to a root folder or URL. Cheap to make and to pickle."""

    def __init__(self, root: str) -> None:
        self.local = "://" not in root or root.startswith("file://")
        self.root = str(Path(root.removeprefix("file://")).absolute()) if self.local else root.rstrip("/")

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        return type(self), (self.root,)

    @cached_property
    def fs(self) -> Any:
        """The fsspec filesystem of the root."""
        return fsspec.core.url_to_fs(self.root)[0]

    def path(self, name: str) -> str:
        """The full path or URL of a file."""
        return f"{self.root}/{name}"

    def sub(self, name: str) -> "Store":
        """The store of a folder below this one."""
        return Store(self.path(name))

    def exists(self, name: str) -> bool:
        """Whether a file or folder has been published."""
        return os.path.exists(self.path(name)) if self.local else bool(self.fs.exists(self.path(name)))

    def listdir(self, name: str = "") -> list[str]:
        """Names of the files and folders in a folder, sorted; empty when it does not exist."""
        folder = self.path(name) if name else self.root
        if self.local:
            return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        if not self.fs.exists(folder):
            return []
        return sorted(str(p).rstrip("/").rsplit("/", 1)[-1] for p in self.fs.ls(folder, detail=False))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A local folder for work in progress, on the store's own disk where there is one."""
        parent = None
        if self.local:
            parent = Path(self.root, ".tmp")
            parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{_HOST}.{os.getpid()}.", dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Delete the scratch folders that dead processes of this machine left behind."""
        if not self.local:
            return
        for name in self.listdir(".tmp"):
            host, _, rest = name.rpartition(".")[0].rpartition(".")
            if host == _HOST and rest.isdigit() and not _alive(int(rest)):
                self.remove(f".tmp/{name}")

    def publish(self, file: Path, name: str) -> None:
        """Move a finished local file to its place."""
        target = self.path(name)
        if not self.local:
            self.fs.put_file(str(file), target)
            file.unlink()
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.replace(file, target)

    def link(self, source: str, name: str) -> None:
        """Make a published file appear under a second name, without copying where the filesystem can."""
        old, new = self.path(source), self.path(name)
        if not self.local:
            self.fs.copy(old, new)
            return
        os.makedirs(os.path.dirname(new), exist_ok=True)
        temporary = f"{new}.{uuid.uuid4().hex}.tmp"
        try:
            os.link(old, temporary)
        except OSError:
            shutil.copyfile(old, temporary)
        os.replace(temporary, new)
        Path(temporary).unlink(
            missing_ok=True
        )  # renaming one link onto another of the same file does nothing

    def write_bytes(self, name: str, data: bytes) -> None:
        """Publish a small file."""
        if not self.local:
            self.fs.pipe_file(self.path(name), data)
            return
        target = self.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        temporary = f"{target}.{uuid.uuid4().hex}.tmp"
        Path(temporary).write_bytes(data)
        os.replace(temporary, target)

    def write_json(self, name: str, value: Any) -> None:
        """Publish a value as JSON with sorted keys: equal values give equal bytes."""
        options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
        self.write_bytes(name, orjson.dumps(value, option=options))

    def read_bytes(self, name: str) -> bytes:
        """The whole of a small file."""
        if self.local:
            return Path(self.path(name)).read_bytes()
        return bytes(self.fs.cat_file(self.path(name)))

    def read_json(self, name: str) -> Any:
        """A value written by `write_json`.

        Raises:
            CheckpointError: the file is not whole.
        """
        try:
            return orjson.loads(self.read_bytes(name))
        except orjson.JSONDecodeError as error:
            raise CheckpointError(
                f"{self.path(name)}: is not JSON ({error}); delete it and run again"
            ) from error

    def fetch(self, name: str, into: Path) -> Path:
        """A local path of a published file: itself, or a copy made in `into`."""
        if self.local:
            return Path(self.path(name))
        target = into / name.rsplit("/", 1)[-1]
        if not target.exists():
            into.mkdir(parents=True, exist_ok=True)
            self.fs.get_file(self.path(name), str(target))
        return target

    def remove(self, name: str) -> None:
        """Delete a file or folder; nothing happens when it is not there."""
        if self.local:
            target = Path(self.path(name))
            if target.is_dir():
                shutil.rmtree(target, ignore_errors=True)
            else:
                target.unlink(missing_ok=True)
            return
        with suppress(FileNotFoundError):
            self.fs.rm(self.path(name), recursive=True)
