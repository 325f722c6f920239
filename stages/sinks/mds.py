"""Write token ids as MosaicML Streaming reads them: MDS shards and index.json.

The layout is version 2 of the `mds` format (streaming/base/format/mds): a shard begins with the number of samples
(uint32), where each begins (uint32, one more than samples), the columns as JSON, then the samples. A sample is a
document, with the columns `id` (str), `tokens` (ndarray of uint16 or uint32) and, where rows have them, `labels`
(ndarray of int32).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import zstandard
from pydantic import Field

from pipeline.stage import ShardInfo
from shards.format import id_dtype
from stages.sinks._merge import MANIFEST, finish_export
from stages.sinks._packing import Docs
from stages.sinks._tokens import Opened, TokenSink, read_checked

INDEX = "index.json"
_LEVEL = 3


def encode_sample(name: str, arrays: Sequence[np.ndarray]) -> bytes:
    """A document: sizes of its columns, its id, and the others in the order of their names."""
    columns = [name.encode(), *map(encode_array, arrays)]
    return b"".join([np.array([*map(len, columns)], "<u4").tobytes(), *columns])


def encode_array(values: np.ndarray) -> bytes:
    """An array of one dimension, of a type that the shard's header names.

    >>> encode_array(np.array([7, 8], np.uint16)).hex(" ")
    '04 02 07 00 08 00'
    """
    width = next(k for k in range(4) if len(values) < 1 << (8 << k))  # of the length: 1, 2, 4 or 8 bytes
    return bytes([1 << 2 | width]) + len(values).to_bytes(1 << width, "little") + values.tobytes()


def check_size(size: int) -> None:
    """Raise OverflowError for a shard that 32-bit offsets cannot address."""
    if size >= 1 << 32:
        raise OverflowError(
            f"a shard of {size} bytes: MDS shards hold less than 4 GiB; cut documents with chunk_long_documents"
        )


def encode_shard(samples: Sequence[bytes], config: bytes) -> bytes:
    """A shard of encoded samples."""
    head = 4 + 4 * (len(samples) + 1) + len(config)
    offsets = np.cumsum([head, *map(len, samples)], dtype=np.int64)
    check_size(int(offsets[-1]))
    return (
        np.array([len(samples)], "<u4").tobytes()
        + offsets.astype("<u4").tobytes()
        + config
        + b"".join(samples)
    )


class WriteMds(TokenSink):
    """Write MosaicML Streaming's MDS shards, a document a sample, with the tokenizer and a manifest beside them.

    Documents without tokens are left out, as MDS has no empty arrays, and counted in the manifest.
    """

    libraries: ClassVar[Sequence[str]] = ("zstandard",)

    size_limit: int = Field(
        1 << 26,
        ge=1 << 10,
        lt=1 << 32,
        description="bytes of a shard, at most; one document may be larger alone",
    )
    compression: Literal["none", "zstd"] = Field(
        "none", description="zstd: shards are compressed, and unpacked on use"
    )
    labels: Literal["keep", "drop"] = Field(
        "keep", description="what becomes of labels; kept, they are a column of their own"
    )

    def _config(self, resource: Opened, labels: bool) -> dict[str, Any]:
        kinds = {"id": "str", "tokens": f"ndarray:{id_dtype(resource.info.vocab_size)}"}
        kinds |= {"labels": "ndarray:int32"} if labels else {}
        names = sorted(kinds)  # as the package's own writer has them
        return {
            "column_encodings": [kinds[name] for name in names],
            "column_names": names,
            "column_sizes": [None] * len(names),
            "compression": None if self.compression == "none" else f"zstd:{_LEVEL}",
            "format": "mds",
            "hashes": ["sha256"],
            "size_limit": self.size_limit,
            "version": 2,
        }

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: Opened) -> ShardInfo:
        """Shards of one partition's documents.

        Raises:
            Mismatch: rows of another tokenizer, or ids beyond its size.
        """
        stream = read_checked(batches, resource.info)
        first = next(stream, None)
        labels = self.labels == "keep" and first is not None and first.labels is not None
        config = self._config(resource, labels)
        header = json.dumps(config, sort_keys=True).encode()
        dtype = np.dtype(id_dtype(resource.info.vocab_size))
        entries: list[Mapping[str, Any]] = []
        held: list[bytes] = []
        empty = 8 + len(header)  # bytes of a shard without samples
        size, documents, tokens = empty, 0, 0
        for docs in chain(() if first is None else (first,), stream):
            documents += len(docs.lengths)
            tokens += len(docs.ids)
            for sample in _samples(docs, dtype, labels):
                if held and size + len(sample) + 4 > self.size_limit:
                    entries.append(self._flush(held, header, config, out, len(entries)))
                    held, size = [], empty
                held.append(sample)
                size += len(sample) + 4
        if held:
            entries.append(self._flush(held, header, config, out, len(entries)))
        names = [(entry["zip_data"] or entry["raw_data"])["basename"] for entry in entries]
        return ShardInfo(names, documents, {"shards": entries, "tokens": tokens})

    def _flush(
        self, samples: Sequence[bytes], header: bytes, config: Mapping[str, Any], out: Path, number: int
    ) -> Mapping[str, Any]:
        """Write a shard; returns its entry of the index, with names as they are now."""
        raw = encode_shard(samples, header)
        name = f"shard.{number:05d}.mds"
        packed = None if self.compression == "none" else zstandard.ZstdCompressor(level=_LEVEL).compress(raw)
        entry = {**config, "samples": len(samples), "raw_data": _file(name, raw), "zip_data": None}
        if packed is not None:
            entry["zip_data"] = _file(f"{name}.zstd", packed)
        (out / (name if packed is None else f"{name}.zstd")).write_bytes(raw if packed is None else packed)
        return entry

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: Opened) -> None:
        """index.json, tokenizer and, last, the manifest."""
        entries: list[Mapping[str, Any]] = []
        for shard in shards:
            made: Any = shard.meta.get("shards", [])
            entries += [_renamed(entry, file) for entry, file in zip(made, shard.files, strict=True)]
        if not (out / MANIFEST).exists():
            text = json.dumps({"shards": entries, "version": 2}, sort_keys=True)
            (out / INDEX).write_text(text, "utf-8")
            files = [name for shard in shards for name in shard.files]
            facts = {
                "format": "mds",
                "dtype": id_dtype(resource.info.vocab_size),
                "samples": sum(entry["samples"] for entry in entries),
                "tokens": sum(int(str(shard.meta.get("tokens", 0))) for shard in shards),
            }
            finish_export(out, resource, shards, [*files, INDEX], facts)


def _samples(docs: Docs, dtype: np.dtype, labels: bool) -> Iterator[bytes]:
    """Documents that have tokens, encoded."""
    ends = np.cumsum(docs.lengths)
    arrays = [docs.ids.astype(dtype)]
    if labels and docs.labels is not None:
        arrays.insert(0, docs.labels.astype(np.int32))
    bounds = zip((ends - docs.lengths).tolist(), ends.tolist(), strict=True)
    for name, (start, end) in zip(docs.names.to_pylist(), bounds, strict=True):
        if end > start:
            yield encode_sample(name, [array[start:end] for array in arrays])


def _file(name: str, data: bytes) -> dict[str, Any]:
    return {"basename": name, "bytes": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}


def _renamed(entry: Mapping[str, Any], file: str) -> dict[str, Any]:
    """An entry with the name that its file has beside those of other partitions."""
    raw = {**entry["raw_data"], "basename": file.removesuffix(".zstd")}
    packed = None if entry["zip_data"] is None else {**entry["zip_data"], "basename": file}
    return {**entry, "raw_data": raw, "zip_data": packed}
