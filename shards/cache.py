"""Where a folder of shards lies: on this machine, or in object storage with a local cache.

A remote shard is fetched whole the first time one of its rows is asked for. A file enters the cache under its name
only when its size and checksum are the manifest's, so what is there is right; several processes share one cache:
each file is fetched by one of them while the others wait, and what was used longest ago leaves when it is full.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from shards.format import INDEX, MANIFEST, Manifest, ShardError, ShardFile, file_sha256, index_of

try:
    import fcntl
except ImportError:  # not on Windows: there two processes may fetch the same file, and the last one's stays
    fcntl = None  # type: ignore[assignment]

CACHE_VARIABLE = "CORPUSMILL_SHARD_CACHE"
_PIECE = 1 << 22  # bytes fetched at once


class Folder(Protocol):
    """A folder of shards, wherever it is."""

    name: str  # as the user gave it
    manifest: Manifest

    def open(self, shard: ShardFile) -> AbstractContextManager[Path]:
        """The shard as a file on this machine, which stays there inside the `with`."""


class LocalFolder:
    """Shards on this machine (or a mounted file system), mapped where they lie."""

    def __init__(self, path: Path) -> None:
        self.name, self.path = str(path), path
        self.manifest = Manifest.load(path)

    def open(self, shard: ShardFile) -> AbstractContextManager[Path]:
        """Its path; whether it is there, mapping will tell."""
        return nullcontext(self.path / shard.file)


class RemoteFolder:
    """Shards in object storage, with a cache on this machine.

    Args:
        url: any that fsspec knows: s3://, gs://, https://, memory://, ...
        cache: folder of the cache; one may serve many data sets and processes.
        cache_bytes: how large the shards of this data set in it may grow; None: without bound. The one in use
            always stays, so a shard that is larger than this is kept alone.
        storage_options: for fsspec's file system (keys, endpoints).

    Raises:
        ShardError: there is no manifest, or it cannot be read; fsspec or its file system is not installed.
    """

    def __init__(
        self,
        url: str,
        cache: Path | None = None,
        cache_bytes: int | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.cache_bytes, self.options = url, cache_bytes, dict(storage_options or {})
        root = cache or Path(os.environ.get(CACHE_VARIABLE, Path.home() / ".cache" / "corpusmill" / "shards"))
        text = self._text(MANIFEST)
        # the folder's name follows its manifest, so data written anew never meets what was cached of the old
        name = hashlib.sha256(f"{url}\n{text}".encode()).hexdigest()[:32]
        self.path = root / name
        self.path.mkdir(parents=True, exist_ok=True)
        self.manifest = self._manifest(text)

    def _manifest(self, text: str) -> Manifest:
        """The manifest; its index, if it has one, is fetched first."""
        index = index_of(text, f"{self.name}/{MANIFEST}")
        if index is not None:
            with _locked(self._lock(index.file)):
                self._ensure(index.file, index.bytes, index.sha256)
        return Manifest.from_json(text, f"{self.name}/{MANIFEST}", self.path)

    @contextmanager
    def open(self, shard: ShardFile) -> Iterator[Path]:
        """The shard's file in the cache, fetched if it is not there; nobody removes it inside the `with`."""
        path = self.path / shard.file
        with _locked(self._lock(shard.file)):
            fetched = self._ensure(shard.file, shard.bytes, shard.sha256)
            os.utime(path)  # used now: others leave before it
            yield path
        if fetched and self.cache_bytes is not None:
            with _locked(self.path / ".evict.lock"):
                self._evict(self.cache_bytes, keep=path)

    def _lock(self, file: str) -> Path:
        """One of 256 locks: a lock a file would leave as many empty files as there are shards."""
        return self.path / f".{hashlib.sha256(file.encode()).hexdigest()[:2]}.lock"

    def _ensure(self, file: str, size: int, sha256: str) -> bool:
        """Fetch a file unless it is there; says whether it was fetched."""
        path = self.path / file
        if _has(path, size):
            return False
        self._fetch(file, path, size, sha256)
        return True

    def _fetch(self, file: str, path: Path, size: int, sha256: str) -> None:
        """Bring a file here whole; it gets its name only when it is what the manifest says."""
        handle, name = tempfile.mkstemp(prefix=f".{file}.", suffix=".tmp", dir=self.path)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as out, self._remote(file) as source:
                while piece := source.read(_PIECE):
                    out.write(piece)
            have = temporary.stat().st_size
            if have != size or file_sha256(temporary) != sha256:
                raise ShardError(
                    f"{self.name}/{file}: what was fetched ({have} bytes) is not the file of {size} bytes and "
                    f"sha256 {sha256} that {MANIFEST} names; copy the shards there again"
                )
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _evict(self, most: int, keep: Path) -> None:
        """Remove what was used longest ago; whoever has it mapped keeps what it mapped."""
        found = [(path, path.stat()) for path in self.path.glob("[!.]*") if path.name != INDEX]
        used = sum(stat.st_size for _, stat in found)
        for path, stat in sorted(found, key=lambda entry: (entry[1].st_mtime_ns, entry[0].name)):
            if used <= most:
                return
            if path != keep:
                with _locked(self._lock(path.name)):  # not while another process is about to map it
                    path.unlink(missing_ok=True)
                used -= stat.st_size

    @contextmanager
    def _remote(self, file: str) -> Iterator[Any]:
        try:
            import fsspec
        except ImportError as error:
            raise ShardError(
                f"{self.name}: needs fsspec, which is not installed; install it, or copy the shards here"
            ) from error
        try:
            with fsspec.open(f"{self.name.rstrip('/')}/{file}", "rb", **self.options) as source:
                yield source
        except FileNotFoundError as error:
            raise ShardError(f"{self.name}/{file}: is not there; copy the whole folder") from error
        except ImportError as error:
            raise ShardError(f"{self.name}: its file system is not installed ({error})") from error

    def _text(self, file: str) -> str:
        with self._remote(file) as source:
            text: str = source.read().decode("utf-8")
            return text


def folder_of(
    path: str | Path,
    cache: str | Path | None = None,
    cache_bytes: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Folder:
    """The folder at a path or URL.

    Raises:
        ShardError: no whole set of shards is there.
    """
    if isinstance(path, str) and "://" in path:
        return RemoteFolder(path, None if cache is None else Path(cache), cache_bytes, storage_options)
    return LocalFolder(Path(path))


def _has(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; a lock whose process dies is free again."""
    with path.open("wb") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
