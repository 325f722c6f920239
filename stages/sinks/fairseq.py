"""Write token ids as fairseq's memory-mapped data sets read them: `NAME.bin`, `NAME.idx` and `dict.txt`.

The layout is that of `MMapIndexedDataset` (fairseq/data/indexed_dataset.py). fairseq's own dictionary puts `<s>`,
`<pad>`, `</s>`, `<unk>` at 0 to 3 before the entries of dict.txt, so id k of the tokenizer becomes k + 4, and its
tokens for beginning, padding and end become 0, 1 and 2. dict.txt has a line for every id, named by the id.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.stage import ShardInfo
from shards.format import TokenizerInfo
from stages.sinks._merge import MANIFEST, finish_export, merge_files, refuse_labels, remove, write_ids
from stages.sinks._packing import Docs
from stages.sinks._tokens import Opened, TokenSink, read_checked

MAGIC, VERSION = b"MMIDIDX\x00\x00", 1
CODES = {"uint16": 8, "int32": 4}
SHIFT = 4  # entries that fairseq's dictionary has of its own
BOS, PAD, EOS = 0, 1, 2
IDS, LENGTHS, DICTIONARY = "ids.bin", "lengths.npy", "dict.txt"


def fairseq_dtype(vocab_size: int) -> np.dtype:
    """uint16 where all ids fit behind fairseq's own, else int32."""
    return np.dtype(np.uint16 if vocab_size + SHIFT <= 1 << 16 else np.int32)


def id_map(info: TokenizerInfo) -> np.ndarray:
    """For each id of the tokenizer, fairseq's; uint32.

    >>> id_map(TokenizerInfo("", "tokenizers", 3, eos_id=1)).tolist()
    [4, 2, 6]
    """
    ids = np.arange(info.vocab_size, dtype=np.uint32) + np.uint32(SHIFT)
    for own, theirs in ((info.bos_id, BOS), (info.pad_id, PAD), (info.eos_id, EOS)):
        if own is not None:
            ids[own] = theirs
    return ids


def index_bytes(lengths: np.ndarray, dtype: np.dtype) -> bytes:
    """An .idx file for documents of these lengths.

    Raises:
        OverflowError: a document is longer than the int32 that the format has for it.
    """
    if len(lengths) and int(lengths.max()) > np.iinfo(np.int32).max:
        raise OverflowError(f"a document of {int(lengths.max())} tokens: fairseq files take less than 2**31")
    starts = (np.cumsum(lengths, dtype=np.int64) - lengths) * dtype.itemsize
    head = MAGIC + np.array([VERSION], "<u8").tobytes() + np.array([CODES[dtype.name]], "<u1").tobytes()
    count = np.array([len(lengths)], "<u8").tobytes()
    return b"".join([head, count, lengths.astype("<i4").tobytes(), starts.astype("<i8").tobytes()])


class WriteFairseq(TokenSink):
    """Write fairseq's .bin and .idx files and dict.txt, with the tokenizer and a manifest beside them.

    Documents without tokens are left out of the files and counted in the manifest.
    """

    name: str = Field(
        "train", pattern=r"^[\w.-]+$", description="split: the name of the files without .bin and .idx"
    )
    labels: Literal["refuse", "drop"] = Field(
        "refuse", description="what becomes of labels, for which the format has no place"
    )

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: Opened) -> ShardInfo:
        """Ids and lengths of one partition's documents.

        Raises:
            Mismatch: rows of another tokenizer, ids beyond its size, or labels.
        """
        mapped = id_map(resource.info)

        def checked() -> Iterator[Docs]:
            for docs in read_checked(batches, resource.info):
                refuse_labels(docs, self.labels == "drop", "fairseq")
                yield docs._replace(ids=mapped[docs.ids])

        lengths = write_ids(checked(), out / IDS, fairseq_dtype(resource.info.vocab_size))
        if not len(lengths):
            (out / IDS).unlink()
            return ShardInfo()
        np.save(out / LENGTHS, lengths)
        return ShardInfo((IDS, LENGTHS), len(lengths))

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: Opened) -> None:
        """The files under their names, manifest last; then the parts go."""
        parts = [[out / name for name in shard.files] for shard in shards if shard.files]
        if not (out / MANIFEST).exists():  # a second commit after a kill may find the parts gone
            dtype = fairseq_dtype(resource.info.vocab_size)
            lengths = np.concatenate([np.zeros(0, np.int64), *(np.load(part[1]) for part in parts)])
            lengths = lengths[lengths > 0]
            merge_files([part[0] for part in parts], out / f"{self.name}.bin")
            (out / f"{self.name}.idx").write_bytes(index_bytes(lengths, dtype))
            lines = "".join(f"{k} 1\n" for k in range(resource.info.vocab_size))
            (out / DICTIONARY).write_text(lines, "ascii")
            facts = {"format": "fairseq", "dtype": dtype.name, "tokens": int(lengths.sum()), "shift": SHIFT}
            finish_export(out, resource, shards, [f"{self.name}.bin", f"{self.name}.idx", DICTIONARY], facts)
        remove(file for part in parts for file in part)
