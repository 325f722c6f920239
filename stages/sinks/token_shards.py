"""Write token ids as Arrow shards that trainers map into memory: the format of docs/shard-format.md."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.stage import ShardInfo, Summary
from shards.format import NO_LOSS, Manifest, ShardFile, file_sha256, id_dtype, row_schema, write_folder
from shards.tokenizer import FILE_NAMES
from stages.sinks._best_fit import pack_best_fit
from stages.sinks._hashed import HashedFile
from stages.sinks._merge import address_of
from stages.sinks._packing import Docs, pack
from stages.sinks._tokens import Mismatch, Opened, TokenSink, check_batch, distinct, read_docs

SHARD = "shard.arrow"
EMPTY_SHARD = "empty.arrow"  # the one shard of a data set without rows, so that readers find the columns


class WriteTokenShards(TokenSink):
    """Pack token ids into rows and write one shard a partition, with manifest and tokenizer beside them."""

    version: ClassVar[int] = 2  # 1 did not count what is learnt
    libraries: ClassVar[Sequence[str]] = ("pyarrow",)

    seq_len: int | None = Field(
        1024, ge=1, description="tokens of a row at most; null (packing none only): no limit"
    )
    packing: Literal["concat", "best_fit", "none"] = Field(
        "concat",
        description="concat: documents follow each other and are cut into rows of seq_len; best_fit: rows hold "
        "whole documents, only those longer than seq_len are cut, and rows may end short; none: every document "
        "begins a row, and one that is longer than seq_len goes on in further rows",
    )
    packing_window: int | None = Field(
        None,
        ge=1,
        description="best_fit only: tokens of the documents that are packed together, which bounds the memory; "
        "null: 2**22, or 1024 rows if that is more",
    )
    too_long: Literal["split", "error"] = Field(
        "split",
        description="best_fit and none: what becomes of a document longer than seq_len; split: it goes on in other "
        "rows; error: the run stops and names it, as a dialogue cut in two may have a part where nothing is learnt",
    )

    def problems(self) -> Sequence[str]:
        """Concatenated rows need a length, options the packing they are for; the tokenizer's file must be one."""
        found = []
        if self.packing != "none" and self.seq_len is None:
            found.append(f"packing is '{self.packing}', but seq_len is null; give seq_len, or packing: none")
        if self.packing != "best_fit" and self.packing_window is not None:
            found.append(
                f"packing_window is {self.packing_window}, but packing is '{self.packing}', which needs no window; "
                "leave it out, or write packing: best_fit"
            )
        if self.too_long == "error" and (self.packing == "concat" or self.seq_len is None):
            found.append(
                f"too_long is 'error', but packing is '{self.packing}' with seq_len {self.seq_len}, for which no "
                "document is too long; leave it out, or write packing: best_fit and a seq_len"
            )
        return [*found, *super().problems()]

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: Opened) -> ShardInfo:
        """One shard of this partition's rows.

        Raises:
            Mismatch: rows of another tokenizer, ids beyond its size, arrays that do not fit each other, or a document
                that is too long where `too_long` is "error".
        """
        templates: set[str] = set()
        seen = {"documents": 0, "tokens": 0, "documents_cut": 0}
        has_labels = False

        def documents() -> Iterator[Docs]:
            nonlocal has_labels
            for batch in batches:
                docs = read_docs(batch)
                check_batch(batch, docs, resource.info)
                if "chat_template" in batch.schema.names:
                    templates.update(value for value in distinct(batch, "chat_template") if value is not None)
                has_labels = docs.labels is not None
                if self.too_long == "error":
                    self._refuse_long(docs)
                seen["documents"] += batch.num_rows
                seen["documents_cut"] += self._count_cut(docs.lengths, seen["tokens"])
                seen["tokens"] += len(docs.ids)
                yield docs

        # The first batch says whether there are labels, and with them which columns the shard has.
        stream = documents()
        first = next((docs for docs in stream if len(docs.ids)), None)
        if first is None:
            return ShardInfo(rows=seen["documents"])
        schema = row_schema(id_dtype(resource.info.vocab_size), has_labels)
        rows = pieces = learnt = silent = 0
        with HashedFile(out / SHARD) as file, pa.ipc.new_stream(file, schema) as writer:
            for packed in self._pack(_chain(first, stream), schema):
                writer.write_batch(packed)
                rows += packed.num_rows
                pieces += len(packed.column("pieces").values)
                if has_labels:
                    counts = learnt_tokens(packed.column("labels"))
                    learnt, silent = learnt + int(counts.sum()), silent + int(np.count_nonzero(counts == 0))
        meta = {
            "rows": rows,
            "tokens": seen["tokens"],
            "pieces": pieces,
            "documents_cut": seen["documents_cut"],
            "rows_full": self.seq_len and seen["tokens"] / (rows * self.seq_len),
            "bytes": file.size,
            "sha256": file.sha256(),
            "labels": has_labels,
            "learnt": learnt,
            "rows_without_learning": silent,
            "chat_templates": sorted(templates),
        }
        return ShardInfo((SHARD,), seen["documents"], meta)

    def _pack(self, documents: Iterator[Docs], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        if self.packing == "best_fit" and self.seq_len is not None:
            return pack_best_fit(documents, self.seq_len, schema, window_tokens=self.packing_window)
        return pack(documents, self.seq_len, self.packing, schema)

    def _count_cut(self, lengths: np.ndarray, before: int) -> int:
        """How many documents lie in several rows, when `before` tokens came before them."""
        if self.seq_len is None:
            return 0
        if self.packing != "concat":
            return int(np.count_nonzero(lengths > self.seq_len))
        ends = before + np.cumsum(lengths)
        across = (ends - 1) // self.seq_len > (ends - lengths) // self.seq_len
        return int(np.count_nonzero(across & (lengths > 0)))

    def _refuse_long(self, docs: Docs) -> None:
        long = np.flatnonzero(docs.lengths > self.seq_len)
        if len(long):
            name, tokens = docs.names[int(long[0])].as_py(), int(docs.lengths[long[0]])
            raise Mismatch(
                f"document {name!r}: has {tokens} tokens, more than seq_len {self.seq_len}, and too_long is 'error'; "
                "filter by tokens before the sink (filter_length), raise seq_len, or write too_long: split"
            )

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
            run=address_of([shard.unit for shard in shards]),
        )
        write_folder(out, manifest)

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """How full rows are and how many documents they cut; of dialogues, how much is learnt."""
        metas: list[Any] = [shard.meta for shard in shards if shard.files]
        sums = {
            name: sum(meta[name] for meta in metas) for name in ("rows", "tokens", "documents_cut", "pieces")
        }
        rows, tokens, documents = sums["rows"], sums["tokens"], sum(shard.rows for shard in shards)
        columns = ["packing", "documents", "of them cut", "tokens", "rows", "documents a row"]
        row = [self.packing, documents, sums["documents_cut"], tokens, rows, sums["pieces"] / max(1, rows)]
        if self.seq_len is not None:
            columns.append(f"filled of {self.seq_len:,}, %")
            row.append(100 * tokens / max(1, rows * self.seq_len))
        tables = [Summary("rows", columns, [row])]
        if any(meta["labels"] for meta in metas):
            learnt, silent = (
                sum(meta[name] for meta in metas) for name in ("learnt", "rows_without_learning")
            )
            share = 100 * learnt / max(1, tokens)
            columns = ["labels", "tokens learnt", "of all, %", "rows where nothing is learnt"]
            tables.append(Summary("learning", columns, [["labels", learnt, share, silent]]))
        return tables


def learnt_tokens(labels: pa.ListArray) -> np.ndarray:
    """How many tokens of each row are learnt; int64.

    >>> learnt_tokens(pa.array([[NO_LOSS, 5, 6], [], [NO_LOSS]], pa.list_(pa.int32()))).tolist()
    [2, 0, 0]
    """
    offsets = labels.offsets.to_numpy()
    learnt = np.append(0, np.cumsum(labels.values.to_numpy() != NO_LOSS))
    counts: np.ndarray = learnt[offsets[1:]] - learnt[offsets[:-1]]
    return counts


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
