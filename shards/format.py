"""What a folder of token shards holds. The whole of it is described in docs/shard-format.md.

<folder>/
  *.arrow             Arrow IPC *streams*, not compressed, so that they can be mapped into memory
  tokenizer.json      the tokenizer that made the ids (or tokenizer.model, tokenizer.tiktoken)
  state.json, dataset_info.json    what `datasets.load_from_disk` wants to see
  manifest.json       written last: a folder without it is not a data set
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

FORMAT = "corpusmill-token-shards"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
NO_LOSS = -100  # the label of a token that is read but not learnt
NO_SPAN = -1  # start and end of a piece whose place in the document's text is not known

PIECE_TYPE = pa.struct(
    [("id", pa.string()), ("start", pa.int64()), ("end", pa.int64()), ("tokens", pa.int32())]
)


class ShardError(Exception):
    """A folder is not a whole set of shards of a version that we read, or not for this trainer."""


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
class ShardFile:
    """One Arrow stream and what it must hold."""

    file: str
    rows: int
    tokens: int
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
    shards: tuple[ShardFile, ...] = field(default=())
    format: str = FORMAT
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """The same manifest gives the same bytes."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = MANIFEST) -> "Manifest":
        """Read a manifest.

        Raises:
            ShardError: it is not JSON, not of this format, of another version, or lacks a field.
        """
        try:
            data: dict[str, Any] = json.loads(text)
        except json.JSONDecodeError as error:
            raise ShardError(f"{where}: is not JSON ({error}); write the shards again") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ShardError(
                f"{where}: is not a manifest of token shards; give the folder that write_token_shards wrote"
            )
        if data.get("format_version") != FORMAT_VERSION:
            raise ShardError(
                f"{where}: format version {data.get('format_version')!r} cannot be read; "
                f"this package reads version {FORMAT_VERSION}"
            )
        try:
            data["tokenizer"] = TokenizerInfo(**data["tokenizer"])
            data["shards"] = tuple(ShardFile(**shard) for shard in data["shards"])
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

    def data_digest(self) -> str:
        """sha256 over the checksums of shards and tokenizer: equal digests are equal rows in equal order."""
        parts = [self.tokenizer.sha256, *(shard.sha256 for shard in self.shards)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


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
    """Write what stands around the shards, the manifest last."""
    for name, text in hf_files(manifest).items():
        write_whole(folder / name, text)
    write_whole(folder / MANIFEST, manifest.to_json())
