"""Write token ids as Arrow shards that trainers map into memory: the format of docs/shard-format.md."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from pipeline.stage import ShardInfo
from shards.format import Manifest, ShardFile, file_sha256, id_dtype, row_schema, write_folder
from shards.tokenizer import FILE_NAMES
from stages.sinks._best_fit import pack_best_fit
from stages.sinks._hashed import HashedFile
from stages.sinks._packing import Docs, pack
from stages.sinks._tokens import Mismatch, Opened, TokenSink, check_batch, distinct, read_docs

SHARD = "shard.arrow"
EMPTY_SHARD = "empty.arrow"  # the one shard of a data set without rows, so that readers find the columns


class WriteTokenShards(TokenSink):
    """Pack token ids into rows and write one shard a partition, with manifest and tokenizer beside them."""

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

    def problems(self) -> Sequence[str]:
        """Concatenated rows need a length; the tokenizer's file must be one."""
        found = []
        if self.packing != "none" and self.seq_len is None:
            found.append(f"packing is '{self.packing}', but seq_len is null; give seq_len, or packing: none")
        return [*found, *super().problems()]

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
                    templates.update(value for value in distinct(batch, "chat_template") if value is not None)
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
        with HashedFile(out / SHARD) as file, pa.ipc.new_stream(file, schema) as writer:
            for packed in self._pack(_chain(first, stream), schema):
                writer.write_batch(packed)
                rows += packed.num_rows
        meta = {
            "rows": rows,
            "tokens": seen["tokens"],
            "bytes": file.size,
            "sha256": file.sha256(),
            "labels": has_labels,
            "chat_templates": sorted(templates),
        }
        return ShardInfo((SHARD,), seen["documents"], meta)

    def _pack(self, documents: Iterator[Docs], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        if self.packing == "best_fit" and self.seq_len is not None:
            return pack_best_fit(documents, self.seq_len, schema)
        return pack(documents, self.seq_len, self.packing, schema)

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
