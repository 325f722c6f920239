"""Train the clusters within which semantic_dedup compares: spherical k-means on a sample of the embeddings.

The sample is by hash of id, so it, the centroids and their bytes are the same for any partitioning, order and number
of workers. Each partition keeps its part of the sample in a file of its own until all are there.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from pydantic import Field

from pipeline.schema import ID_HASH, hash_fractions
from pipeline.stage import ANY_TYPE, ShardInfo, Sink, Summary
from stages.dedup._semantic_clusters import CARD, CENTROIDS, card_bytes, centroid_bytes
from stages.dedup._semantic_kmeans import fit_clusters
from stages.kernels.manifest import facts_table
from stages.kernels.vectors import unit_vectors

SAMPLE = "sample.arrow"
SAMPLE_SCHEMA = pa.schema([("fraction", pa.float64()), ("embedding", pa.large_list(pa.float32()))])
BATCH_ROWS = 1000
MANIFEST = "manifest.json"


class _Part:
    """The rows of a partition with the lowest fractions; holds up to twice as many as wanted."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.fractions: list[np.ndarray] = []
        self.vectors: list[np.ndarray] = []
        self.held = 0

    def add(self, fractions: np.ndarray, vectors: np.ndarray) -> None:
        if len(fractions):
            self.fractions.append(fractions)
            self.vectors.append(vectors)
            self.held += len(fractions)
        if self.held > 2 * self.most:
            self.lowest()

    def lowest(self) -> tuple[np.ndarray, np.ndarray]:
        """Keep the wanted rows only: their fractions, ascending, and their vectors."""
        fractions = np.concatenate([np.zeros(0), *self.fractions])
        order = np.argsort(fractions, kind="stable")[: self.most]
        vectors = np.concatenate(self.vectors) if self.vectors else np.zeros((0, 0), np.float32)
        self.fractions, self.vectors, self.held = [fractions[order]], [vectors[order]], len(order)
        return self.fractions[0], self.vectors[0]


class TrainClusters(Sink[None]):
    """Cluster a sample of an embedding column by direction; centroids and a card for semantic_dedup."""

    column: str = Field(
        "embedding", min_length=1, description="list column of embeddings, of any number type"
    )
    clusters: int | None = Field(
        None, ge=1, description="how many; null = documents with an embedding / cluster_size"
    )
    cluster_size: int = Field(
        1000, ge=1, description="documents to a cluster, about: comparing costs half its square for each"
    )
    max_documents: int = Field(
        100_000,
        ge=1,
        description="documents to train on, by hash of id; a worker holds up to twice as many embeddings",
    )
    sample_fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the documents to draw those from; bounds the files of the parts",
    )
    iterations: int = Field(10, ge=0, le=1000, description="rounds of k-means, at most")
    seed: int = Field(0, description="another seed, another sample and other clusters")

    def reads(self) -> pa.Schema:
        return pa.schema([ID_HASH, pa.field(self.column, ANY_TYPE)])

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """Keep this partition's part of the sample."""
        part, rows, documents, dim = _Part(self.max_documents), 0, 0, 0
        for batch in batches:
            rows += batch.num_rows
            vectors, at = unit_vectors(batch[self.column], self.column)
            if not len(at):
                continue
            dim = self._same_dim(dim, vectors.shape[1])
            documents += len(at)
            fractions = hash_fractions(batch["id_hash"], f"{self.seed}/train_clusters")[at]
            inside = fractions < self.sample_fraction
            part.add(fractions[inside], vectors[inside])
        fractions, vectors = part.lowest()
        meta = {"documents": documents, "dim": dim, "sampled": len(fractions)}
        if not len(fractions):
            return ShardInfo((), rows, meta)
        _write_part(out / SAMPLE, fractions, vectors)
        return ShardInfo((SAMPLE,), rows, meta)

    def _same_dim(self, dim: int, other: int) -> int:
        if dim and other and dim != other:
            raise ValueError(
                f"train_clusters: column {self.column!r} has embeddings of {dim} and of {other} values; "
                "write a column that one model made"
            )
        return dim or other

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """Train, write centroids and card and then manifest.json, and remove the samples.

        Raises:
            ValueError: no document with an embedding was sampled, or embeddings differ in length.
        """
        files = [out / name for shard in shards for name in shard.files]
        if not (out / MANIFEST).exists():  # a second commit after a kill may find the samples gone
            self._train(files, shards, out)
        for file in files:
            file.unlink(missing_ok=True)

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """How many clusters there are, and how close their documents lie."""
        names = {
            "clusters": "clusters",
            "empty": "empty",
            "largest, share": "largest_share",
            "mean cosine": "mean_cosine",
            "documents": "documents",
            "sampled": "sampled",
        }
        return [facts_table(out / MANIFEST, "clusters", names)]

    def _train(self, files: Sequence[Path], shards: Sequence[ShardInfo], out: Path) -> None:
        dim, documents = 0, 0
        for shard in shards:
            meta: Any = shard.meta
            dim = self._same_dim(dim, meta["dim"])
            documents += meta["documents"]
        sample = _read_sample(files, dim, self.max_documents)
        if not len(sample):
            raise ValueError(
                f"train_clusters: of {documents} documents with an embedding in column {self.column!r} none was "
                "sampled; put embed_text before it, or raise sample_fraction"
            )
        wanted = self.clusters or -(-documents // self.cluster_size)
        fitted = fit_clusters(sample, wanted, self.iterations)
        data = centroid_bytes(fitted.centroids)
        facts = {
            "column": self.column,
            "dim": dim,
            "clusters": len(fitted.centroids),
            "clusters_wanted": wanted,
            "documents": documents,
            "sampled": len(sample),
            "largest_share": round(int(fitted.sizes.max()) / len(sample), 6),
            "empty": int((fitted.sizes == 0).sum()),
            "mean_cosine": round(fitted.closeness, 6),
            "iterations": fitted.rounds,
            "seed": self.seed,
        }
        _publish(out / CENTROIDS, data)
        _publish(out / CARD, card_bytes(data, facts))
        manifest = {"rows": sum(s.rows for s in shards), "files": [CENTROIDS, CARD], **facts}
        _publish(out / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


def _write_part(path: Path, fractions: np.ndarray, vectors: np.ndarray) -> None:
    offsets = np.arange(len(vectors) + 1) * vectors.shape[1]
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(vectors.reshape(-1)))
    table = pa.table([pa.array(fractions), lists], schema=SAMPLE_SCHEMA)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SAMPLE_SCHEMA) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)


def _read_sample(files: Sequence[Path], dim: int, most: int) -> np.ndarray:
    """The rows of all parts with the lowest fractions, in order of fraction; float32 (rows, dim)."""
    fractions = np.concatenate([np.zeros(0), *(batch["fraction"].to_numpy() for batch in _batches(files))])
    order = np.argsort(fractions, kind="stable")[:most]
    place = np.full(len(fractions), -1, np.int64)
    place[order] = np.arange(len(order))
    sample = np.empty((len(order), dim), np.float32)
    at = 0
    for batch in _batches(files):
        mine = place[at : at + batch.num_rows]
        at += batch.num_rows
        sample[mine[mine >= 0]] = batch["embedding"].flatten().to_numpy().reshape(-1, dim)[mine >= 0]
    return sample


def _batches(files: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    for file in files:
        with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
            for i in range(reader.num_record_batches):
                yield reader.get_batch(i)


def _publish(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
