"""Write token ids as tar files for WebDataset: KEY.npy with a document's ids, KEY.json with its own, KEY.labels.npy."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import id_hashes
from pipeline.stage import ShardInfo
from shards.format import id_dtype
from stages.sinks._merge import finish_export
from stages.sinks._tokens import Opened, TokenSink, read_checked

Member = tuple[str, bytes]  # name and content of a file
_BLOCK = 512  # what tar rounds sizes up to, and the size of a header


class WriteWebdataset(TokenSink):
    """Write tar shards for WebDataset, a document a sample, with the tokenizer and a manifest beside them.

    A sample's key is the hash of its id, which stands in KEY.json: ids have dots and slashes, and keys must not. Labels
    are in KEY.labels.npy where rows have them.
    """

    libraries: ClassVar[Sequence[str]] = ("numpy",)

    size_limit: int = Field(
        1 << 28, ge=1 << 12, description="bytes of a tar file, at most; one document may be larger alone"
    )
    labels: Literal["keep", "drop"] = Field(
        "keep", description="what becomes of labels; kept, they are KEY.labels.npy"
    )

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: Opened) -> ShardInfo:
        """Tar files of one partition's documents.

        Raises:
            Mismatch: rows of another tokenizer, or ids beyond its size.
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
            ends = np.cumsum(docs.lengths)
            arrays = {"npy": docs.ids.astype(dtype)}
            if docs.labels is not None and self.labels == "keep":
                arrays["labels.npy"] = docs.labels.astype(np.int32)
            bounds = zip((ends - docs.lengths).tolist(), ends.tolist(), strict=True)
            names = docs.names.to_pylist()
            for name, key, (start, end) in zip(names, id_hashes(names).to_pylist(), bounds, strict=True):
                yield _members(key.hex(), name, {kind: a[start:end] for kind, a in arrays.items()})

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


def _members(key: str, name: str, arrays: Mapping[str, np.ndarray]) -> list[Member]:
    """Files of a sample; `arrays` by the ending of their names."""
    told = json.dumps({"id": name, "tokens": len(arrays["npy"])}, ensure_ascii=False).encode()
    members = [(f"{key}.json", told)]
    for ending, values in arrays.items():
        file = io.BytesIO()
        np.save(file, values)
        members.append((f"{key}.{ending}", file.getvalue()))
    return members


def _header(name: str, size: int) -> tarfile.TarInfo:
    """A member without time, owner or machine, so that the same rows give the same bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, 0, 0o644
    return info
