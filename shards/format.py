"""What a folder of token shards holds. The whole of it is described in docs/shard-format.md.

<folder>/
  *.arrow             Arrow IPC *streams*, not compressed, so that they can be mapped into memory
  tokenizer.json      the tokenizer that made the ids (or tokenizer.model, tokenizer.tiktoken)
  state.json, dataset_info.json    what `datasets.load_from_disk` wants to see
  index.arrow         only beside many shards: their list, which the manifest then does not hold
  manifest.json       written last: a folder without it is not a data set
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shards.index import INDEX, ShardError, ShardFile, ShardIndex, digest_of, row_starts, write_index

__all__ = [
    "FORMAT",
    "INDEX",
    "MANIFEST",
    "IndexFile",
    "Manifest",
    "ShardError",
    "ShardFile",
    "TokenizerInfo",
    "write_folder",
]

FORMAT = "corpusmill-token-shards"
FORMAT_VERSION = 1  # the manifest lists its shards
INDEXED_VERSION = 2  # the list is in an index file
INLINE_SHARDS = 1000  # at most so many stand in the manifest: 200 KB of JSON, read in 2 ms
MANIFEST = "manifest.json"
NO_LOSS = -100  # the label of a token that is read but not learnt
NO_SPAN = -1  # start and end of a piece whose place in the document's text is not known

PIECE_TYPE = pa.struct(
    [("id", pa.string()), ("start", pa.int64()), ("end", pa.int64()), ("tokens", pa.int32())]
)


@dataclass(frozen=True)
class TokenizerInfo:
    """Facts about the tokenizer that made the ids."""

    sha256: str  # of the file
    kind: str  # "tokenizers" (tokenizer.json), "sentencepiece" or "tiktoken"
    vocab_size: int  # the *full* size: largest id, added tokens included, plus one
    bos_id: int | None = None
    eos_id: int | None = None
    pad_id: int | None = None
    file: str | None = None  # name of the copy in the folder


@dataclass(frozen=True)
class IndexFile:
    """The file beside the manifest that lists its shards."""

    file: str
    shards: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The one description of a folder of shards; `shards` are in the order of their rows."""

    dtype: str  # "uint16" or "uint32"
    seq_len: int | None  # no row is longer; null = documents are whole
    packing: str  # "concat" or "none"
    labels: bool  # rows carry labels
    rows: int
    tokens: int
    documents: int
    tokenizer: TokenizerInfo
    chat_template_sha256: str | None = None
    run: str | None = None  # address of the node that wrote the shards
    shards: Sequence[ShardFile] = field(default=())  # a ShardIndex where there are many
    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    index: IndexFile | None = None  # of version 2
    digest: str | None = None  # data_digest, where the manifest stores it (version 2)

    def to_json(self) -> str:
        """The same manifest gives the same bytes; of version 2 it names an index instead of the shards."""
        data = asdict(replace(self, shards=()))
        digest = data.pop("digest")
        if self.index is None:
            del data["index"]
            data["shards"] = [asdict(shard) for shard in self.shards]
        else:
            del data["shards"]
            data["data_digest"] = digest
        return json.dumps(data, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = MANIFEST, folder: Path | None = None) -> "Manifest":
        """Read a manifest; one of version 2 maps the index in its folder.

        Raises:
            ShardError: it is not JSON, not of this format, of another version, or lacks a field or its index.
        """
        data, index = _checked(text, where), index_of(text, where)
        try:
            data["tokenizer"] = TokenizerInfo(**data["tokenizer"])
            if index is None:
                data["shards"] = tuple(ShardFile(**shard) for shard in data["shards"])
                return cls(**data)
            shards = ShardIndex((folder or Path(where).parent) / index.file)
            _check_index(where, shards, index, data["rows"])
            data |= {"index": index, "shards": shards, "digest": data.pop("data_digest")}
            return cls(**data)
        except (KeyError, TypeError) as error:
            raise ShardError(
                f"{where}: a field is missing or unknown ({error}); write the shards again"
            ) from error

    @classmethod
    def load(cls, folder: Path) -> "Manifest":
        """The manifest of a folder.

        Raises:
            ShardError: there is none, or it cannot be read.
        """
        path = folder / MANIFEST
        try:
            return cls.from_json(path.read_text(encoding="utf-8"), str(path))
        except FileNotFoundError as error:
            raise ShardError(
                f"{folder}: has no {MANIFEST}; the run that writes it has not finished"
            ) from error

    def first_rows(self) -> np.ndarray:
        """First row of each shard in the whole, int64."""
        if isinstance(self.shards, ShardIndex):
            return self.shards.first_rows
        return row_starts([shard.rows for shard in self.shards])[:-1]

    def data_digest(self) -> str:
        """sha256 over the checksums of shards and tokenizer: equal digests are equal rows in equal order."""
        return self.digest or digest_of(self.tokenizer.sha256, self.shards)


def _checked(text: str, where: str) -> dict[str, Any]:
    """The fields of a manifest whose format and version we read."""
    try:
        data: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise ShardError(f"{where}: is not JSON ({error}); write the shards again") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ShardError(
            f"{where}: is not a manifest of token shards; give the folder that write_token_shards wrote"
        )
    if data.get("format_version") not in (FORMAT_VERSION, INDEXED_VERSION):
        raise ShardError(
            f"{where}: format version {data.get('format_version')!r} cannot be read; this package reads "
            f"versions {FORMAT_VERSION} and {INDEXED_VERSION}; install one as new as the writer's"
        )
    if data.get("dtype") not in ("uint16", "uint32"):
        raise ShardError(
            f"{where}: dtype {data.get('dtype')!r} is not one of ids; the format has uint16 and uint32"
        )
    return data


def index_of(text: str, where: str = MANIFEST) -> IndexFile | None:
    """What a manifest of version 2 says about its index; None: its shards stand in it.

    Raises:
        ShardError: as Manifest.from_json.
    """
    data = _checked(text, where)
    if data["format_version"] == FORMAT_VERSION:
        return None
    try:
        return IndexFile(**data["index"])
    except (KeyError, TypeError) as error:
        raise ShardError(f"{where}: `index` is missing or incomplete ({error}); fetch it again") from error


def _check_index(where: str, shards: ShardIndex, index: IndexFile, rows: int) -> None:
    """Raise ShardError when an index is plainly of another manifest; only its last entry is read."""
    last = shards[-1] if len(shards) else None
    found = int(shards.first_rows[-1]) + last.rows if last else 0
    if (len(shards), found) != (index.shards, rows):
        raise ShardError(
            f"{where}: says {index.shards} shards with {rows} rows, but {shards.path} has {len(shards)} "
            f"with {found}; fetch both files from the same place"
        )


def id_dtype(vocab_size: int) -> str:
    """The smallest type that holds every id of a tokenizer of this *full* size.

    >>> id_dtype(65536), id_dtype(65537)
    ('uint16', 'uint32')
    """
    return "uint16" if vocab_size <= 1 << 16 else "uint32"


def row_schema(dtype: str, labels: bool) -> pa.Schema:
    """Columns of a shard.

    `seq_lengths` sum to the row's length and `pieces` has one entry for each of them: the document it came
    from and the code points [start, end) of that document's text that its tokens cover.
    """
    ids = pa.uint16() if dtype == "uint16" else pa.uint32()
    fields = [pa.field("input_ids", pa.list_(ids)), pa.field("seq_lengths", pa.list_(pa.int32()))]
    if labels:
        fields.append(pa.field("labels", pa.list_(pa.int32())))
    return pa.schema([*fields, pa.field("pieces", pa.list_(PIECE_TYPE))])


def hf_files(manifest: Manifest) -> Mapping[str, str]:
    """Name -> text of the two files that make a folder open in `datasets.load_from_disk`."""
    names = [{"filename": shard.file} for shard in manifest.shards]
    state: dict[str, Any] = {
        "_data_files": names,
        "_fingerprint": manifest.data_digest()[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": "train",
    }
    return {"state.json": json.dumps(state, indent=2) + "\n", "dataset_info.json": "{}\n"}


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a small file that readers see whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def write_folder(folder: Path, manifest: Manifest) -> None:
    """Write what stands around the shards, the manifest last; many shards are listed in an index file."""
    for name, text in hf_files(manifest).items():
        write_whole(folder / name, text)
    index = digest = None
    if len(manifest.shards) > INLINE_SHARDS:
        write_index(folder / INDEX, manifest.shards)
        path = folder / INDEX
        index = IndexFile(INDEX, len(manifest.shards), path.stat().st_size, file_sha256(path))
        digest = digest_of(manifest.tokenizer.sha256, manifest.shards)
    version = FORMAT_VERSION if index is None else INDEXED_VERSION
    written = replace(manifest, format_version=version, index=index, digest=digest)
    write_whole(folder / MANIFEST, written.to_json())
