"""Write token ids as Megatron-LM reads them: `PREFIX.bin` and `PREFIX.idx`.

The layout is that of `IndexedDataset` (megatron/core/datasets/indexed_dataset.py): the .bin file holds ids alone; the
.idx file says their type, how many each sequence has, at which byte each begins, and at which sequence each document
begins. Here a document is one sequence, so Megatron joins, shuffles and cuts them as it likes; the token that ends a
document is among its ids if `tokenize` put it there (`add_eos`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.stage import ShardInfo
from stages.sinks._merge import (
    MANIFEST,
    finish_export,
    merge_files,
    part_name,
    refuse_labels,
    remove,
    write_ids,
)
from stages.sinks._packing import Docs
from stages.sinks._tokens import Opened, TokenSink, read_checked

MAGIC, VERSION = b"MMIDIDX\x00\x00", 1
CODES = {"int32": 4, "uint16": 8}
SMALL = 65500  # Megatron's own limit below which ids are uint16
IDS, LENGTHS = "ids.bin", "lengths.npy"


def megatron_dtype(vocab_size: int) -> np.dtype:
    """The type that Megatron gives ids of a tokenizer of this size.

    >>> str(megatron_dtype(65499)), str(megatron_dtype(65500))
    ('uint16', 'int32')
    """
    return np.dtype(np.uint16 if vocab_size < SMALL else np.int32)


def index_bytes(lengths: np.ndarray, dtype: np.dtype) -> bytes:
    """An .idx file for documents of these lengths; those of 0 must be left out before.

    Raises:
        OverflowError: a document is longer than the int32 that the format has for it.
    """
    if len(lengths) and int(lengths.max()) > np.iinfo(np.int32).max:
        raise OverflowError(f"a document of {int(lengths.max())} tokens: Megatron files take less than 2**31")
    starts = np.zeros(len(lengths), np.int64)
    np.cumsum(lengths[:-1], dtype=np.int64, out=starts[1:])
    head = MAGIC + np.array([VERSION], "<u8").tobytes() + np.array([CODES[dtype.name]], "<u1").tobytes()
    counts = np.array([len(lengths), len(lengths) + 1], "<u8").tobytes()
    documents = np.arange(len(lengths) + 1, dtype="<i8").tobytes()
    return (
        head
        + counts
        + lengths.astype("<i4").tobytes()
        + (starts * dtype.itemsize).astype("<i8").tobytes()
        + documents
    )


class WriteMegatron(TokenSink):
    """Write Megatron-LM's .bin and .idx files, with the tokenizer and a manifest beside them.

    Documents without tokens are left out of the files and counted in the manifest.
    """

    prefix: str = Field(
        "text_document",
        pattern=r"^[\w.-]+$",
        description="name of the files without .bin and .idx: --data-path takes it",
    )
    merge: bool = Field(
        True,
        description="one pair of files; false: a pair for each partition, PREFIX-00003.bin, which saves a copy",
    )
    labels: Literal["refuse", "drop"] = Field(
        "refuse", description="what becomes of labels, for which the format has no place"
    )

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: Opened) -> ShardInfo:
        """Ids and lengths of one partition's documents.

        Raises:
            Mismatch: rows of another tokenizer, ids beyond its size, or labels.
        """
        documents = 0

        def checked() -> Iterator[Docs]:
            nonlocal documents
            for docs in read_checked(batches, resource.info):
                refuse_labels(docs, self.labels == "drop", "Megatron")
                documents += len(docs.lengths)
                yield docs

        lengths = write_ids(checked(), out / IDS, megatron_dtype(resource.info.vocab_size))
        if not lengths.sum():
            (out / IDS).unlink()
            return ShardInfo(rows=documents)
        np.save(out / LENGTHS, lengths)
        return ShardInfo((IDS, LENGTHS), documents)

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: Opened) -> None:
        """Index files, manifest last; then the parts go."""
        parts = [[out / name for name in shard.files] for shard in shards if shard.files]
        if not (out / MANIFEST).exists():  # a second commit after a kill may find the parts gone
            self._index(parts, shards, out, resource)
        remove(file for part in parts for file in part)

    def _index(
        self, parts: Sequence[Sequence[Path]], shards: Sequence[ShardInfo], out: Path, resource: Opened
    ) -> None:
        dtype = megatron_dtype(resource.info.vocab_size)
        groups = [parts] if self.merge or not parts else [[part] for part in parts]
        files, sequences, tokens = [], 0, 0
        for group in groups:
            name = self.prefix if self.merge or not group else part_name(self.prefix, group[0][0])
            lengths = np.concatenate([np.zeros(0, np.int64), *(np.load(part[1]) for part in group)])
            lengths = lengths[lengths > 0]
            merge_files([part[0] for part in group], out / f"{name}.bin")
            (out / f"{name}.idx").write_bytes(index_bytes(lengths, dtype))
            files += [f"{name}.bin", f"{name}.idx"]
            sequences += len(lengths)
            tokens += int(lengths.sum())
        facts = {"format": "megatron", "dtype": dtype.name, "sequences": sequences, "tokens": tokens}
        finish_export(out, resource, shards, files, facts)
