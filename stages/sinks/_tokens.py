"""What sinks of token ids share: the tokenizer they are for, and rows checked against it as flat arrays."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.models import model_path
from pipeline.schema import ID, INPUT_IDS, TOKENIZER
from pipeline.stage import ShardInfo, Sink, Summary
from shards.format import NO_SPAN, TokenizerInfo
from shards.tokenizer import FILE_NAMES, tokenizer_info
from stages.kernels.manifest import files_table
from stages.sinks._packing import Docs


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
    starts = np.full(batch.num_rows, NO_SPAN, np.int64)
    ends: np.ndarray | None = None
    if "token_ends" in batch.schema.names:
        ends, known = _values_of(batch, "token_ends", lengths, lambda: np.full(len(ids), NO_SPAN, np.int64))
        starts[known] = 0
    labels = None
    if "labels" in batch.schema.names:
        labels, _ = _values_of(batch, "labels", lengths, lambda: ids.astype(np.int32))
    if ends is None:
        ends = np.broadcast_to(np.int64(NO_SPAN), len(ids))
    return Docs(batch.column("id").cast(pa.string()), lengths, starts, ids, ends, labels)


def _lengths(column: pa.Array) -> np.ndarray:
    lengths: np.ndarray = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return lengths.astype(np.int64, copy=False)


def _values_of(
    batch: pa.RecordBatch, name: str, lengths: np.ndarray, default: Callable[[], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """A list column's values, one a token, the default's where a row has none; and which rows have one."""
    column = batch.column(name)
    known: np.ndarray = column.is_valid().to_numpy(zero_copy_only=False)
    own = _lengths(column)
    wrong = np.flatnonzero(known & (own != lengths))
    if len(wrong):
        row = int(wrong[0])
        raise Mismatch(
            f"document {batch.column('id')[row].as_py()!r}: has {int(lengths[row])} input_ids, "
            f"but {int(own[row])} {name}; the stage that wrote them must give one a token"
        )
    values = column.flatten().to_numpy()
    if len(values) == int(lengths.sum()):
        return values, known
    filled = default()
    filled[np.repeat(known, lengths)] = values
    return filled, known


def check_batch(batch: pa.RecordBatch, docs: Docs, info: TokenizerInfo) -> None:
    """Raise Mismatch unless the rows' ids were made by this tokenizer and are within its size."""
    for sha256 in distinct(batch, "tokenizer"):
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


def distinct(batch: pa.RecordBatch, name: str) -> list[str | None]:
    """Distinct values of a (dictionary-encoded) string column, null among them."""
    column = batch.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    found: list[str | None] = pc.unique(column).to_pylist()
    return found


class TokenSink(Sink[Opened]):
    """A sink of token ids; a subclass writes them in its format."""

    sides: ClassVar[Mapping[str, str]] = {"tokenizer": "folder of train_tokenizer"}

    tokenizer: str | None = Field(
        None,
        description="the tokenizer that made input_ids: a path or a name in `corpusmill models`; "
        "null: the side input `tokenizer`",
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
        """A file that is no tokenizer, special tokens that it does not have."""
        if self.tokenizer is not None and model_path(self.tokenizer).is_file():
            try:
                self._info(model_path(self.tokenizer))
            except ValueError as error:
                return [str(error)]
        return []

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

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """The files and what is in them."""
        return [files_table(out / "manifest.json")]


def read_checked(batches: Iterator[pa.RecordBatch], info: TokenizerInfo) -> Iterator[Docs]:
    """Documents as flat arrays, batch by batch.

    Raises:
        Mismatch: rows of another tokenizer, ids beyond its size, or arrays that do not fit each other.
    """
    for batch in batches:
        docs = read_docs(batch)
        check_batch(batch, docs, info)
        yield docs
