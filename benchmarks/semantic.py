"""Semantic deduplication by parts: documents a CPU-second, memory, and what it finds among copies of known making.

    python -m benchmarks.semantic [--megabytes 50] > semantic.json    # scikit-learn is measured where it is installed

The corpus is `benchmarks/dedup_corpus.py`'s (set CORPUSMILL_DATA to the folder with its texts): documents of about
2.6 KB, exact copies, copies with words replaced at known rates, documents that share one long span. One BLAS thread.

- embed: the model `hashing`; fastText's language model beside it for the cost of a small trained one.
- train: k-means as train_clusters runs it, beside plain numpy (float32 products, argmax, the same first centroids
  and rounds; its result may hang on BLAS) and scikit-learn's KMeans on the same unit vectors, first centroids, rounds.
- dedup: emit (nearest centroid, payload), sorting as the exchange does, reduce; beside plain numpy that takes all
  similarities of a cluster at once and keeps a row unless one before it is similar, as SemDeDup does.
- one cluster: all documents in one, so that each is compared with every survivor: what a bad clustering costs.
- found: copies that a verdict joins with their original, by rate of edits and by size of clusters, and with two
  nodes one after the other whose clusters were trained from other first centroids.
"""

import argparse
import json
import os
import platform
import resource
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy: CPU-seconds of one thread are what is told

import numpy as np
import pyarrow as pa

from benchmarks.dedup_corpus import data_folder, documents, read_words
from pipeline.models import fetch
from pipeline.regroup import sort_groups
from pipeline.schema import id_hashes
from stages.dedup._semantic_clusters import Clusters
from stages.dedup._semantic_kmeans import first_centroids, fit_clusters
from stages.dedup._semantic_vectors import judge
from stages.dedup.semantic import SemanticDedup
from stages.kernels.vectors import unit_vectors
from stages.signals.embed import EmbedText

BATCH, ROUNDS, ITERATIONS, THRESHOLD = 4096, 3, 10, 0.9
CLUSTER_SIZES = (200, 1000, 5000)
NO_VERDICTS = pa.table({"row": pa.array([], pa.int64())})


def cpu_seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The best of some rounds."""
    took = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return min(took)


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def batches_of(texts: list[str]) -> list[pa.RecordBatch]:
    made = []
    for at in range(0, len(texts), BATCH):
        part = texts[at : at + BATCH]
        ids = [f"web/{at + i:07d}" for i in range(len(part))]
        columns = {
            "id": pa.array(ids),
            "id_hash": id_hashes(ids),
            "source": pa.array(["web"] * len(part)).dictionary_encode(),
            "text": pa.array(part, pa.large_string()),
        }
        made.append(pa.RecordBatch.from_pydict(columns))
    return made


def embed_all(stage: EmbedText, model: Any, batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    return [b.append_column("embedding", stage.annotate(b, model).columns["embedding"]) for b in batches]


def plain_kmeans(unit: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Spherical k-means as one writes it with numpy."""
    centroids = unit[first]
    for _ in range(ITERATIONS):
        labels = np.concatenate(
            [(unit[a : a + 4096] @ centroids.T).argmax(1) for a in range(0, len(unit), 4096)]
        )
        sums = np.zeros_like(centroids)
        np.add.at(sums, labels, unit)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(norms > 0, sums / np.maximum(norms, 1e-30), centroids)
    return centroids


def plain_dedup(unit: np.ndarray, labels: np.ndarray) -> int:
    """SemDeDup's rule with all similarities of a cluster at once; how many fall."""
    lost = 0
    for label in np.unique(labels):
        members = unit[labels == label]
        scores = np.triu(members @ members.T, 1)
        lost += int((scores.max(axis=0) >= THRESHOLD).sum())
    return lost


def exchanged(stage: SemanticDedup, batches: list[pa.RecordBatch], clusters: Clusters) -> pa.Table:
    tables = []
    for number, batch in enumerate(batches):
        table = stage.emit(batch, clusters, 0, NO_VERDICTS)
        docs = table["row"].to_numpy().astype(np.uint64) + np.uint64(number * BATCH)
        tables.append(table.drop_columns(["row"]).append_column("doc", pa.array(docs)))
    return pa.concat_tables(tables)


def truth_found(verdicts: pa.Table, truths: list[dict[str, Any]], originals: list[int]) -> dict[str, Any]:
    """Share of copies that a verdict joins with their original, by how they were made, and verdicts that are wrong.

    A verdict is right if both documents go back to one original by whole copies, edited or not.
    """
    fallen = dict(zip(verdicts["doc"].to_pylist(), verdicts["survivor"].to_pylist(), strict=True))
    stands_for = {doc: int(survivor.partition("/")[2]) for doc, survivor in fallen.items()}
    made, found = Counter(), Counter()
    for truth in truths:
        kind = f"{truth['how']} {truth['rate']:g}" if "rate" in truth else truth["how"]
        a, b = truth["document"], truth["of"]
        made[kind] += 1
        found[kind] += stands_for.get(a, a) == stands_for.get(b, b)
    wrong = sum(originals[doc] != originals[survivor] for doc, survivor in stands_for.items())
    return {
        "rejected": len(fallen),
        "rejected_unrelated": wrong,
        "found": {kind: round(found[kind] / made[kind], 4) for kind in sorted(made)},
    }


def originals_of(count: int, truths: list[dict[str, Any]]) -> list[int]:
    found = list(range(count))
    for truth in truths:
        if truth["how"] != "span":
            found[truth["document"]] = found[truth["of"]]
    return found


def run_once(batches: list[pa.RecordBatch], centroids: np.ndarray) -> pa.Table:
    """Verdicts of semantic_dedup within the clusters of these centroids."""
    stage, clusters = SemanticDedup(threshold=THRESHOLD), Clusters(centroids, "embedding", Path("-"))
    return stage.reduce(sort_groups(exchanged(stage, batches, clusters), stage.order(0)), 0)


def run_twice(
    batches: list[pa.RecordBatch], unit: np.ndarray, clusters: int, truths: list[dict[str, Any]]
) -> dict[str, Any]:
    """What two nodes find, one after the other, with clusters trained on other rows first."""
    first = run_once(batches, fit_clusters(unit, clusters, ITERATIONS).centroids)
    docs, survivors = (first[name].to_pylist() for name in ("doc", "survivor"))
    gone = np.isin(np.arange(len(unit)), docs)
    left = [
        b.set_column(
            b.schema.get_field_index("embedding"),
            "embedding",
            pa.array(
                [None if gone[at * BATCH + i] else v for i, v in enumerate(b["embedding"].to_pylist())],
                b["embedding"].type,
            ),
        )
        for at, b in enumerate(batches)
    ]
    second = run_once(left, fit_clusters(unit[::-1].copy(), clusters, ITERATIONS).centroids)
    later = dict(zip(second["doc"].to_pylist(), second["survivor"].to_pylist(), strict=True))
    survivors = [later.get(int(s.partition("/")[2]), s) for s in survivors]  # of those that fell later
    whole = pa.table({"doc": [*docs, *later], "survivor": [*survivors, *later.values()]})
    return truth_found(whole, truths, originals_of(len(unit), truths))


def sklearn_seconds(unit: np.ndarray, first: np.ndarray) -> float | str:
    try:
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits
    except ImportError:
        return "skipped: not installed"
    model = KMeans(len(first), init=unit[first], n_init=1, max_iter=ITERATIONS, tol=0, algorithm="lloyd")
    with threadpool_limits(1):
        return round(cpu_seconds(lambda: model.fit(unit), rounds=2), 3)


def measure_clusters(
    batches: list[pa.RecordBatch], unit: np.ndarray, size: int, truths: list[dict[str, Any]]
) -> dict[str, Any]:
    """Train, emit and reduce at one target size of clusters."""
    count, wanted = len(unit), -(-len(unit) // size)
    first = first_centroids(unit, wanted)
    fitted = fit_clusters(unit, wanted, ITERATIONS)
    stage, clusters = SemanticDedup(threshold=THRESHOLD), Clusters(fitted.centroids, "embedding", Path("-"))
    emitted = exchanged(stage, batches, clusters)
    ordered = sort_groups(emitted, stage.order(0))
    verdicts = stage.reduce(ordered, 0)
    labels = (unit @ fitted.centroids.T).argmax(axis=1)
    seconds = {
        "train": cpu_seconds(lambda: fit_clusters(unit, wanted, ITERATIONS)),
        "train_plain_numpy": cpu_seconds(lambda: plain_kmeans(unit, first)),
        "emit": cpu_seconds(lambda: exchanged(stage, batches, clusters)),
        "sort": cpu_seconds(lambda: sort_groups(emitted, stage.order(0))),
        "reduce": cpu_seconds(lambda: stage.reduce(ordered, 0)),
        "reduce_plain_numpy": cpu_seconds(lambda: plain_dedup(unit, labels)),
    }
    return {
        "clusters": len(fitted.centroids),
        "largest": int(fitted.sizes.max()),
        "iterations": fitted.rounds,
        "cpu_seconds": {name: round(value, 4) for name, value in seconds.items()},
        "train_sklearn_cpu_seconds": sklearn_seconds(unit, first),
        "documents_per_cpu_s": {name: round(count / value) for name, value in seconds.items()},
        **truth_found(verdicts, truths, originals_of(count, truths)),
    }


def versions() -> dict[str, str]:
    found = {}
    for name in ("numba", "numpy", "pyarrow", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=50)
    megabytes = parser.parse_args().megabytes
    pairs = list(documents(read_words(data_folder()), megabytes * 1_000_000))
    texts, truths = [text for text, _ in pairs], [truth for _, truth in pairs if truth]
    plain = batches_of(texts)
    size = sum(len(text.encode()) for text in texts)
    fetch("lid176")
    embedding: dict[str, Any] = {}
    for name in ("hashing", "lid176"):
        stage = EmbedText(model=name)
        model = stage.open({})
        embed_all(stage, model, [plain[0].slice(0, 2)])  # compiles
        took = cpu_seconds(lambda stage=stage, model=model: embed_all(stage, model, plain), rounds=2)
        embedding[name] = {
            "documents_per_cpu_s": round(len(texts) / took),
            "mb_per_cpu_s": round(size / 1e6 / took, 1),
        }
    stage = EmbedText()
    batches = embed_all(stage, stage.open({}), plain)
    unit = np.concatenate([unit_vectors(b["embedding"], "embedding")[0] for b in batches])
    before = peak_mb()
    one = cpu_seconds(lambda: judge(unit, THRESHOLD), rounds=1)
    kept = len(judge(unit, THRESHOLD).kept)
    after = peak_mb()
    report = {
        "corpus": {"documents": len(texts), "bytes": size, "dim": unit.shape[1], "threshold": THRESHOLD},
        "embed": embedding,
        "one_cluster": {
            "documents_per_cpu_s": round(len(texts) / one),
            "survivors": kept,
            "vectors_mb": unit.nbytes >> 20,
            "peak_grew_mb": after - before,
            **truth_found(run_once(batches, unit[:1]), truths, originals_of(len(unit), truths)),
        },
        "two_nodes": run_twice(batches, unit, -(-len(unit) // CLUSTER_SIZES[0]), truths),
        "cluster_sizes": {size: measure_clusters(batches, unit, size, truths) for size in CLUSTER_SIZES},
        "peak_rss_mb": peak_mb(),
        "versions": versions(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
