"""Which files a source reads, what they are called in document ids, and how their bytes come in.

A file's name in `origin.file` is its path below the source's fixed folder: the longest prefix of all `paths`
that holds no wildcard. The name is therefore the same wherever that folder lies, and does not change when a
file is added beside it.
"""

import posixpath
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, ClassVar, NamedTuple, cast

import fsspec
import xxhash
from pydantic import Field

from pipeline.errors import DataError
from pipeline.stage import Source

WILD = frozenset("*?[")
BATCH_BYTES = 32 << 20  # a batch never holds more, unless one document alone does


class Located(NamedTuple):
    """A file that a source found."""

    url: str  # absolute path, or fsspec URL where it is not on this machine
    size: int  # bytes as stored


def is_local(fs: Any) -> bool:
    """Whether a filesystem is this machine's own."""
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def fixed_folder(path: str, literal: bool = False) -> str:
    """The part of a glob before its first wildcard, cut at a folder; `literal` takes no sign for a wildcard.

    >>> fixed_folder("/data/cc-*/seg/*.warc.gz")
    '/data'
    >>> fixed_folder("/data/a.warc.gz")
    '/data'
    """
    end = min((path.index(c) for c in WILD if c in path and not literal), default=len(path))
    fixed = path[:end]
    return posixpath.dirname(fixed)


def as_url(fs: Any, path: str) -> str:
    """A path as `open_file` takes it: local ones plain, all others with their protocol."""
    return path if is_local(fs) else str(fs.unstrip_protocol(path))


def base_of(path: str) -> str:
    """The fixed folder of one entry of `paths`: a folder is its own, a file's is the one it lies in."""
    fs, plain = _resolve(path)
    return as_url(
        fs, plain if not fs.isfile(plain) and fs.isdir(plain) else fixed_folder(plain, fs.isfile(plain))
    )


def list_path(path: str, suffixes: Sequence[str]) -> list[Located]:
    """The files of one entry of `paths`.

    A path that exists is itself, even with brackets in its name; a folder means every file below it whose
    name ends in one of `suffixes`, compressed or not; anything else is a glob.
    """
    fs, plain = _resolve(path)
    if fs.isfile(plain):
        return [Located(as_url(fs, plain), int(fs.size(plain) or 0))]
    if fs.isdir(plain):
        found = fs.find(plain, detail=True)
        found = {name: info for name, info in found.items() if _bare_name(name).endswith(tuple(suffixes))}
    elif WILD.isdisjoint(plain):
        return []
    else:
        found = fs.glob(plain, detail=True)
    return [Located(as_url(fs, p), int(i["size"] or 0)) for p, i in found.items() if i["type"] == "file"]


def _resolve(path: str) -> tuple[Any, str]:
    fs, plain = fsspec.core.url_to_fs(path)
    return fs, plain.rstrip("/") or "/"


def common_folder(folders: Sequence[str]) -> str:
    """The longest folder that all lie in.

    >>> common_folder(["s3://b/crawl/a", "s3://b/crawl/b"])
    's3://b/crawl'
    """
    parts = [folder.split("/") for folder in folders]
    same = 0
    while all(len(p) > same and p[same] == parts[0][same] for p in parts):
        same += 1
    return "/".join(parts[0][:same])


def _bare_name(path: str) -> str:
    name = path.lower()
    for ending in (".gz", ".zst", ".bz2", ".xz"):
        name = name.removesuffix(ending)
    return name


def open_file(url: str) -> BinaryIO:
    """The bytes of a file as stored, seekable.

    Raises:
        DataError: it is not there, or may not be read.
    """
    fs, path = fsspec.core.url_to_fs(url)
    try:
        if is_local(fs):
            return open(path, "rb")  # noqa: PTH123 - the caller closes it
        return cast("BinaryIO", fs.open(path, "rb"))
    except OSError as error:
        raise DataError(f"{url}: cannot be opened ({error}); check the path and its permissions") from error


class FilesSource(Source[None]):
    """What every source of files has: `paths`, one split a file, and stable names."""

    suffixes: ClassVar[tuple[str, ...]] = ()  # what a folder in `paths` stands for

    paths: str | list[str] = Field(
        description="files, folders or globs (`**` too), as local paths or fsspec URLs such as s3://bucket/x/*.gz"
    )
    batch_rows: int = Field(1024, ge=1, description="documents in a batch, at most; 32 MB bounds it too")

    def patterns(self) -> list[str]:
        """`paths` as a list."""
        return [self.paths] if isinstance(self.paths, str) else self.paths

    def located(self) -> list[Located]:
        """Every file of the source, once, sorted by path."""
        found = {file.url: file for path in self.patterns() for file in list_path(path, self.suffixes)}
        return [found[url] for url in sorted(found)]

    def base(self) -> str:
        """The fixed folder that `origin.file` is relative to."""
        return common_folder([base_of(path) for path in self.patterns()])

    def relative(self, url: str, base: str) -> str:
        """A file's name in document ids: no protocol, no folder above the source's own."""
        return url.removeprefix(base).lstrip("/")

    def problems(self) -> Sequence[str]:
        """Paths that match nothing, and paths that have no common folder."""
        if not self.patterns():
            return ["paths: an empty list reads nothing; name a file, a folder or a glob"]
        found = []
        for path in self.patterns():
            try:
                if not list_path(path, self.suffixes):
                    found.append(self._nothing(path))
            except (OSError, ValueError, ImportError) as error:
                found.append(
                    f"paths: cannot list '{path}' ({error}); check the URL, or install its filesystem"
                )
        protocols = sorted(
            {path.partition("://")[0] if "://" in path else "file" for path in self.patterns()}
        )
        if len(protocols) > 1:
            found.append(f"paths: mixes {' and '.join(protocols)}; use one source node for each filesystem")
        return found

    def _nothing(self, path: str) -> str:
        what = f"a file, a folder with *{' or *'.join(self.suffixes)} files," if self.suffixes else "a file"
        return f"paths: nothing matches '{path}'; give {what} or a glob, relative to where you start the run"

    def split(self) -> Sequence[str]:
        """One partition for each file."""
        return [file.url for file in self.located()]

    def files(self, split: str) -> Sequence[str]:
        """The split's one file."""
        return [split]

    def label(self, split: str) -> str:
        """The file as document ids name it."""
        return self.relative(split, self.base())


class GroupedFiles(FilesSource):
    """A source of many small files, each a document: files next to each other in the listing share a split.

    A group ends where the hash of a file's name says so, as in content-defined chunking: a file that comes or
    goes changes its own group and leaves the others, and so their finished work, alone.
    """

    files_per_split: int = Field(
        500, ge=1, description="files in a partition, on average; four times it at most"
    )
    max_record_bytes: int = Field(64 << 20, ge=1, description="a larger file is counted as failed, not read")

    def groups(self) -> dict[str, list[str]]:
        """Split names, each with the URLs of its files."""
        base = self.base()
        urls = [file.url for file in self.located()]
        return {
            group_name([self.relative(url, base) for url in group]): group
            for group in cut_groups(urls, base, self.files_per_split)
        }

    def split(self) -> Sequence[str]:
        """Names of the groups, "first .. last"."""
        return list(self.groups())

    def label(self, split: str) -> str:
        """The group's name, with a hash of all its files' names: a file between first and last may be renamed."""
        base = self.base()
        names = "\n".join(self.relative(url, base) for url in self.files(split))
        return f"{split} [{xxhash.xxh3_64_hexdigest(names.encode())}]"

    def files(self, split: str) -> Sequence[str]:
        """The group's files.

        Raises:
            DataError: the folder changed since the run was planned.
        """
        try:
            return self.groups()[split]
        except KeyError:
            raise DataError(
                f"split '{split}': its files changed while the run was going; start the run again"
            ) from None


def group_name(names: Sequence[str]) -> str:
    """A group's name.

    >>> group_name(["a.html", "b.html", "c.html"])
    'a.html .. c.html'
    """
    return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"


def cut_groups(urls: Sequence[str], base: str, mean: int) -> Iterator[list[str]]:
    """Cut a sorted listing after each file whose name hashes to a cut, and at four times the mean."""
    group: list[str] = []
    for url in urls:
        group.append(url)
        hashed = xxhash.xxh3_64_intdigest(url.removeprefix(base).lstrip("/").encode())
        if hashed % mean == 0 or len(group) >= 4 * mean:
            yield group
            group = []
    if group:
        yield group
