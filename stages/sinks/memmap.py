"""Write token ids as flat arrays that trainers map with numpy: nanoGPT's .bin, OLMo's .npy (neither has a header).

All documents follow each other; where each begins and ends stands in a table beside each file, as dolma writes it.
"""

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from pipeline.stage import ShardInfo
from shards.format import NO_LOSS, id_dtype
from stages.sinks._merge import MANIFEST, finish_export, merge_files, part_name, remove
from stages.sinks._tokens import Mismatch, Opened, TokenSink, read_checked

IDS, MASK, DOCUMENTS = "ids.bin", "mask.bin", "documents.parquet"


def bounds_table(names: pa.ChunkedArray, lengths: np.ndarray) -> bytes:
    """A gzip CSV without a header, as dolma writes it: start, end (in tokens) and id of each document that has tokens.

    The same rows give the same bytes.
    """
    text = io.StringIO()
    ends = np.cumsum(lengths)
    writer = csv.writer(text, lineterminator="\n")
    rows = zip((ends - lengths).tolist(), ends.tolist(), names.to_pylist(), strict=True)
    writer.writerows(row for row in rows if row[1] > row[0])
    return gzip.compress(text.getvalue().encode(), mtime=0)


class WriteMemmap(TokenSink):
    """Write flat arrays of ids that `numpy.memmap` opens, with documents' bounds, tokenizer and manifest beside them.

    Where rows have labels, a file of bools beside each says which tokens are learnt.
    """

    name: str = Field("train", pattern=r"^[\w.-]+$", description="name of the files without their extension")
    extension: Literal[".bin", ".npy"] = Field(
        ".bin", description=".bin as nanoGPT calls them, .npy as OLMo does; the bytes are the same"
    )
    merge: bool = Field(
        True, description="one file; false: one for each partition, NAME-00003.bin, which saves a copy"
    )

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: Opened) -> ShardInfo:
        """Ids, mask and bounds of one partition's documents.

        Raises:
            Mismatch: rows of another tokenizer, or ids beyond its size.
        """
        dtype = np.dtype(id_dtype(resource.info.vocab_size))
        held: list[tuple[pa.Array, np.ndarray]] = []
        learnt = False
        with (out / IDS).open("wb") as ids, (out / MASK).open("wb") as mask:
            for docs in read_checked(batches, resource.info):
                docs.ids.astype(dtype).tofile(ids)
                if docs.labels is not None:
                    learnt = True
                    (docs.labels != NO_LOSS).tofile(mask)
                held.append((docs.names, docs.lengths))  # a slice of ids would keep all of them in memory
        rows = sum(len(lengths) for _, lengths in held)
        if not rows or not learnt:
            (out / MASK).unlink()
        if not rows:
            (out / IDS).unlink()
            return ShardInfo()
        columns = {
            "id": pa.chunked_array([names for names, _ in held]),
            "tokens": pa.chunked_array([pa.array(lengths) for _, lengths in held]),
        }
        pq.write_table(pa.table(columns).combine_chunks(), out / DOCUMENTS)
        return ShardInfo((IDS, DOCUMENTS, *([MASK] if learnt else [])), rows)

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: Opened) -> None:
        """The files under their names, manifest last; then the parts go.

        Raises:
            Mismatch: only some partitions have labels.
        """
        parts = [[out / name for name in shard.files] for shard in shards if shard.files]
        if not (out / MANIFEST).exists():  # a second commit after a kill may find the parts gone
            self._arrange(parts, shards, out, resource)
        remove(file for part in parts for file in part)

    def _arrange(
        self, parts: Sequence[Sequence[Path]], shards: Sequence[ShardInfo], out: Path, resource: Opened
    ) -> None:
        groups = [parts] if self.merge or not parts else [[part] for part in parts]
        files, tokens = [], 0
        learnt = {len(part) > 2 for part in parts}
        if len(learnt) > 1:
            raise Mismatch("labels: the rows are with and without labels; write them with two sinks")
        for group in groups:
            name = self.name if self.merge or not group else part_name(self.name, group[0][0])
            tables = [pq.read_table(part[1]) for part in group]
            table = pa.concat_tables(
                [pa.table({"id": pa.array([], pa.string()), "tokens": pa.array([], pa.int64())}), *tables]
            )
            merge_files([part[0] for part in group], out / f"{name}{self.extension}")
            (out / f"{name}.csv.gz").write_bytes(bounds_table(table["id"], table["tokens"].to_numpy()))
            files += [f"{name}{self.extension}", f"{name}.csv.gz"]
            if True in learnt:
                merge_files([part[2] for part in group], out / f"{name}-mask{self.extension}")
                files.append(f"{name}-mask{self.extension}")
            tokens += int(table["tokens"].to_numpy().sum())
        facts = {"format": "memmap", "dtype": id_dtype(resource.info.vocab_size), "tokens": tokens}
        finish_export(out, resource, shards, files, facts)
