"""Write token ids as Arrow shards that trainers map into memory: the format of docs/shard-format.md."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.models import model_path
from pipeline.schema import ID, INPUT_IDS, TOKENIZER
from pipeline.stage import ShardInfo, Sink
from shards.format import (
    NO_SPAN,
    Manifest,
    ShardFile,
    TokenizerInfo,
    file_sha256,
    id_dtype,
    row_schema,
    write_folder,
)
from shards.tokenizer import FILE_NAMES, tokenizer_info
from stages.sinks._packing import Docs, pack

SHARD = "shard.arrow"
EMPTY_SHARD = "empty.arrow"  # the one shard of a data set without rows, so that readers find the columns


class Opened(NamedTuple):
    """The tokenizer that the rows must come from."""

    path: Path
    info: TokenizerInfo


class Mismatch(ValueError):
    """Rows that cannot go into these shards: another tokenizer, or arrays that do not fit each other."""


def read_docs(batch: pa.RecordBatch) -> Docs:
    """The token columns of a batch as flat arrays; null ids count as no tokens.

    Without token_ends (or where it is null) the place in the text is unknown, -1. Where labels are null every
    token is learnt.

    Raises:
        Mismatch: a row's token_ends or labels are not as many as its ids.
    """
    ids = batch.column("input_ids").flatten().to_numpy().astype(np.uint32, copy=False)
    lengths = _lengths(batch.column("input_ids"))
    has_ends = "token_ends" in batch.schema.names
    ends = np.full(len(ids), NO_SPAN, np.int64)
    starts = np.full(batch.num_rows, NO_SPAN, np.int64)
    if has_ends:
        known = _fill(batch, "token_ends", lengths, ends)
        starts[known] = 0
    labels = None
    if "labels" in batch.schema.names:
        labels = ids.astype(np.int32)
        _fill(batch, "labels", lengths, labels)
    return Docs(batch.column("id").cast(pa.string()), lengths, starts, ids, ends, labels)


def _lengths(column: pa.Array) -> np.ndarray:
    lengths: np.ndarray = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return lengths.astype(np.int64, copy=False)


def _fill(batch: pa.RecordBatch, name: str, lengths: np.ndarray, into: np.ndarray) -> np.ndarray:
    """Put a list column's values in their places; returns which rows have one."""
    column = batch.column(name)
    known: np.ndarray = column.is_valid().to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(known & (_lengths(column) != lengths))
    if len(wrong):
        row = int(wrong[0])
        raise Mismatch(
            f"document {batch.column('id')[row].as_py()!r}: has {int(lengths[row])} input_ids, "
            f"but {int(_lengths(column)[row])} {name}; the stage that wrote them must give one a token"
        )
    into[np.repeat(known, lengths)] = column.flatten().to_numpy()
    return known


def check_batch(batch: pa.RecordBatch, docs: Docs, info: TokenizerInfo) -> None:
    """Raise Mismatch unless the rows' ids were made by this tokenizer and are within its size."""
    for sha256 in _values(batch, "tokenizer"):
        if sha256 != info.sha256:
            raise Mismatch(
                f"rows come from tokenizer {sha256}, but the shards are for {info.sha256}; "
                "give write_token_shards the tokenizer (param or side) of the stage that made input_ids"
            )
    if len(docs.ids) and int(docs.ids.max()) >= info.vocab_size:
        raise Mismatch(
            f"input_ids has id {int(docs.ids.max())}, beyond the {info.vocab_size} entries of the tokenizer; "
            "its file is not the one that made the ids"
        )


def _values(batch: pa.RecordBatch, name: str) -> list[str | None]:
    """Distinct values of a (dictionary-encoded) string column, null among them."""
    column = batch.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    found: list[str | None] = pc.unique(column).to_pylist()
    return found


class WriteTokenShards(Sink[Opened]):
    """Pack token ids into rows and write one shard a partition, with manifest and tokenizer beside them."""

    libraries: ClassVar[Sequence[str]] = ("pyarrow",)
    sides: ClassVar[Mapping[str, str]] = {"tokenizer": "folder of train_tokenizer"}

    tokenizer: str | None = Field(
        None,
        description="the tokenizer that made input_ids: a path or a name in `corpusmill models`; "
        "null: the side input `tokenizer`",
    )
    seq_len: int | None = Field(
        1024, ge=1, description="tokens of a row at most; null (packing none only): no limit"
    )
    packing: Literal["concat", "none"] = Field(
        "concat",
        description="concat: documents follow each other and are cut into rows of seq_len; none: every "
        "document begins a row, and one that is longer than seq_len goes on in further rows",
    )
    bos_token: str | None = Field(None, description="as in `tokenize`, for the manifest")
    eos_token: str | None = Field(None, description="as in `tokenize`, for the manifest")
    pad_token: str | None = Field(
        None, description="the padding token, for the manifest; rows are not padded"
    )

    def reads(self) -> pa.Schema:
        """Ids and whose they are; token_ends, labels and chat_template are taken where they are."""
        return pa.schema([ID, INPUT_IDS, TOKENIZER])

    def needs_side(self) -> Sequence[str]:
        """A tokenizer from another node, unless the param names one."""
        return () if self.tokenizer is not None else ("tokenizer",)

    def resources(self) -> Sequence[Path]:
        """The tokenizer's file."""
        return () if self.tokenizer is None else (model_path(self.tokenizer),)

    def problems(self) -> Sequence[str]:
        """Concatenated rows need a length; the tokenizer's file must be one."""
        found = []
        if self.packing == "concat" and self.seq_len is None:
            found.append("packing is 'concat', but seq_len is null; give seq_len, or packing: none")
        if self.tokenizer is not None and model_path(self.tokenizer).is_file():
            try:
                self._info(model_path(self.tokenizer))
            except ValueError as error:
                found.append(str(error))
        return found

    def _info(self, path: Path) -> TokenizerInfo:
        return tokenizer_info(path, self.bos_token, self.eos_token, self.pad_token)

    def open(self, side: Mapping[str, Path]) -> Opened:
        """Facts about the tokenizer."""
        if self.tokenizer is not None:
            path = model_path(self.tokenizer)
        else:
            paths = [side["tokenizer"] / name for name in FILE_NAMES.values()]
            path = next((path for path in paths if path.is_file()), paths[0])
        if not path.is_file():
            raise ValueError(f"tokenizer: {path} does not exist; give the tokenizer that made input_ids")
        return Opened(path, self._info(path))

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: Opened) -> ShardInfo:
        """One shard of this partition's rows.

        Raises:
            Mismatch: rows of another tokenizer, ids beyond its size, or arrays that do not fit each other.
        """
        templates: set[str] = set()
        seen = {"documents": 0, "tokens": 0}
        has_labels = False

        def documents() -> Iterator[Docs]:
            nonlocal has_labels
            for batch in batches:
                docs = read_docs(batch)
                check_batch(batch, docs, resource.info)
                if "chat_template" in batch.schema.names:
                    templates.update(value for value in _values(batch, "chat_template") if value is not None)
                has_labels = docs.labels is not None
                seen["documents"] += batch.num_rows
                seen["tokens"] += len(docs.ids)
                yield docs

        # The first batch says whether there are labels, and with them which columns the shard has.
        stream = documents()
        first = next((docs for docs in stream if len(docs.ids)), None)
        if first is None:
            return ShardInfo(rows=seen["documents"])
        schema = row_schema(id_dtype(resource.info.vocab_size), has_labels)
        rows = 0
        with pa.OSFile(str(out / SHARD), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for packed in pack(_chain(first, stream), self.seq_len, self.packing, schema):
                writer.write_batch(packed)
                rows += packed.num_rows
        meta = {
            "rows": rows,
            "tokens": seen["tokens"],
            "bytes": (out / SHARD).stat().st_size,
            "sha256": file_sha256(out / SHARD),
            "labels": has_labels,
            "chat_templates": sorted(templates),
        }
        return ShardInfo((SHARD,), seen["documents"], meta)

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: Opened) -> None:
        """Tokenizer, load_from_disk files and, last, the manifest.

        Raises:
            Mismatch: the rows were rendered with several chat templates, or only some partitions have labels.
        """
        info, dtype = resource.info, id_dtype(resource.info.vocab_size)
        written = [shard for shard in shards if shard.files]
        labels = _only([bool(shard.meta["labels"]) for shard in written], "labels", "with and without labels")
        templates = [name for shard in written for name in shard.meta["chat_templates"]]  # type: ignore[attr-defined]
        template = _only(templates, "chat_template", "of several chat templates")
        files = tuple(_shard_file(shard) for shard in written) or (_write_empty(out, dtype),)
        shutil.copyfile(resource.path, out / FILE_NAMES[info.kind])
        manifest = Manifest(
            dtype=dtype,
            seq_len=self.seq_len,
            packing=self.packing,
            labels=bool(labels),
            rows=sum(file.rows for file in files),
            tokens=sum(file.tokens for file in files),
            documents=sum(shard.rows for shard in shards),
            tokenizer=info,
            chat_template_sha256=None if template is None else str(template),
            shards=files,
            run=_address([shard.unit for shard in shards]),
        )
        write_folder(out, manifest)


def _address(units: Sequence[str]) -> str | None:
    """One address for all the units whose shards these are; None outside of a run."""
    if not all(units):
        return None
    return hashlib.blake2b(" ".join(units).encode(), digest_size=16).hexdigest()


def _chain(first: Docs, rest: Iterator[Docs]) -> Iterator[Docs]:
    yield first
    yield from rest


def _only(values: Sequence[object], column: str, words: str) -> object:
    """The one value that all have, or None where there are no values."""
    distinct = sorted(set(values), key=str)
    if len(distinct) > 1:
        raise Mismatch(
            f"{column}: the rows are {words} ({', '.join(map(str, distinct))}); write them with two sinks"
        )
    return distinct[0] if distinct else None


def _shard_file(shard: ShardInfo) -> ShardFile:
    meta = shard.meta
    rows, tokens, size = (int(str(meta[name])) for name in ("rows", "tokens", "bytes"))
    return ShardFile(shard.files[0], rows, tokens, size, str(meta["sha256"]))


def _write_empty(out: Path, dtype: str) -> ShardFile:
    path = out / EMPTY_SHARD
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, row_schema(dtype, labels=False)):
        pass
    return ShardFile(EMPTY_SHARD, 0, 0, path.stat().st_size, file_sha256(path))
