"""Write token ids as tar files that WebDataset reads: KEY.npy with a document's ids, KEY.json with its own id."""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import id_hashes
from pipeline.stage import ShardInfo
from shards.format import id_dtype
from stages.sinks._merge import finish_export, refuse_labels
from stages.sinks._tokens import Opened, TokenSink, read_checked

Member = tuple[str, bytes]  # name and content of a file
_BLOCK = 512  # what tar rounds sizes up to, and the size of a header


class WriteWebdataset(TokenSink):
    """Write tar shards for WebDataset, a document a sample, with the tokenizer and a manifest beside them.

    A sample's key is the hash of its id, which stands in KEY.json: ids have dots and slashes, and keys must not.
    """

    libraries: ClassVar[Sequence[str]] = ("numpy",)

    size_limit: int = Field(
        1 << 28, ge=1 << 12, description="bytes of a tar file, at most; one document may be larger alone"
    )
    labels: Literal["refuse", "drop"] = Field(
        "refuse", description="what becomes of labels, for which there is no agreed place"
    )

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: Opened) -> ShardInfo:
        """Tar files of one partition's documents.

        Raises:
            Mismatch: rows of another tokenizer, ids beyond its size, or labels.
        """
        names: list[str] = []
        held: list[Member] = []
        documents = size = 0
        for members in self._samples(batches, resource):
            need = sum(_BLOCK + -(-len(data) // _BLOCK) * _BLOCK for _, data in members)
            if held and size + need + 2 * _BLOCK > self.size_limit:
                names.append(_write_tar(out, len(names), held))
                held, size = [], 0
            held += members
            size += need
            documents += 1
        if held:
            names.append(_write_tar(out, len(names), held))
        return ShardInfo(names, documents)

    def _samples(self, batches: Iterator[pa.RecordBatch], resource: Opened) -> Iterator[list[Member]]:
        """Files of each document."""
        dtype = np.dtype(id_dtype(resource.info.vocab_size))
        for docs in read_checked(batches, resource.info):
            refuse_labels(docs, self.labels == "drop", "WebDataset")
            ends = np.cumsum(docs.lengths)
            ids = docs.ids.astype(dtype)
            bounds = zip((ends - docs.lengths).tolist(), ends.tolist(), strict=True)
            names = docs.names.to_pylist()
            for name, key, (start, end) in zip(names, id_hashes(names).to_pylist(), bounds, strict=True):
                yield _members(key.hex(), name, ids[start:end])

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: Opened) -> None:
        """Tokenizer and manifest, which lists the tar files."""
        files = [name for shard in shards for name in shard.files]
        facts = {"format": "webdataset", "dtype": id_dtype(resource.info.vocab_size)}
        finish_export(out, resource, shards, files, facts)


def _write_tar(out: Path, number: int, members: Sequence[Member]) -> str:
    """A tar file of these members; returns its name."""
    name = f"{number:05d}.tar"
    with tarfile.open(out / name, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member, data in members:
            tar.addfile(_header(member, len(data)), io.BytesIO(data))
    return name


def _members(key: str, name: str, ids: np.ndarray) -> list[Member]:
    """Files of a sample."""
    array = io.BytesIO()
    np.save(array, ids)
    told = json.dumps({"id": name, "tokens": len(ids)}, ensure_ascii=False).encode()
    return [(f"{key}.json", told), (f"{key}.npy", array.getvalue())]


def _header(name: str, size: int) -> tarfile.TarInfo:
    """A member without time, owner or machine, so that the same rows give the same bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, 0, 0o644
    return info
