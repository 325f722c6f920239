"""How many rephrased items does find_similar_items name, with the built-in embedding, and how near is clean text?

Row k of a file of rephrased items is item k of its benchmark in other words (Yang et al. 2023). The built-in
embedding knows shared words only; a trained one should do better, and none can be tried here.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stages.decontamination.build_vectors import BuildItemVectors
from stages.decontamination.find_similar import FindSimilarItems
from stages.signals._embed_models import HashingEmbedder
from stages.signals.embed import embed_texts
from stages.sources.benchmark import ReadBenchmark
from tests.quality.planted_leaks import SETS
from tests.quality.test_decontamination_quality import REPHRASED, clean_documents, digest_of, floors
from tests.stages.sources.support import batches
from tests.support.data import real_data

THRESHOLD = 0.5
# Of all rephrased items: the share whose nearest item is the right one, and of those at least THRESHOLD near.
FLOORS = {"humaneval": (0.548, 0.207), "gsm8k": (0.863, 0.361)}
NEAREST_CLEAN = 0.46  # no clean document may be nearer to an item


@pytest.fixture(scope="module")
def data() -> Path:
    folder = real_data("bench/gsm8k/test.jsonl").parents[2]
    assert digest_of(folder) == floors()["data"], f"{folder}: other data than the floors were measured on"
    return folder


@pytest.fixture(scope="module")
def vectors(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embeddings of all items, as read_benchmark writes them out."""
    folder, sink = tmp_path_factory.mktemp("vectors"), BuildItemVectors()
    rows = [
        pa.record_batch({"benchmark": b["benchmark"], "item": b["item"], "embedding": _embed(b["text"])})
        for params in SETS.values()
        for b in batches(ReadBenchmark(**{**params, "paths": str(data / "bench" / params["paths"])}))
    ]
    sink.commit([sink.write(iter(rows), folder, None)], folder, None)
    return folder


def _embed(texts: pa.Array) -> pa.Array:
    return embed_texts(texts, HashingEmbedder(256), None)


def _search(
    vectors: Path, texts: list[str], threshold: float
) -> tuple[list[tuple[str, str] | None], np.ndarray]:
    """The item named for each text, if any, and the similarity of the nearest one."""
    stage = FindSimilarItems(threshold=threshold)
    batch = pa.record_batch({"embedding": _embed(pa.array(texts, pa.large_string()))})
    marks = stage.annotate(batch, stage.open({"vectors": vectors}))
    named = [found and (found["benchmark"], found["item"]) for found in marks.evidence.to_pylist()]
    similarity = marks.columns["item_similarity"].to_numpy(zero_copy_only=False)
    return named, np.nan_to_num(similarity)


@pytest.mark.parametrize("benchmark", REPHRASED)
def test_rephrased_items_are_named(data: Path, vectors: Path, benchmark: str) -> None:
    lines = (data / "decontam_rephrased" / REPHRASED[benchmark]).read_text("utf-8").splitlines()
    names = [f"HumanEval/{k}" if benchmark == "humaneval" else str(k) for k in range(len(lines))]
    named, similarity = _search(vectors, [json.loads(line)["text"] for line in lines], 1e-9)
    right = np.array([found == (benchmark, name) for found, name in zip(named, names, strict=True)])
    nearest, near = FLOORS[benchmark]
    assert right.mean() >= nearest
    assert (right & (similarity >= THRESHOLD)).mean() >= near


def test_no_clean_document_is_near_an_item(data: Path, vectors: Path) -> None:
    texts = [text for _, text in clean_documents(data)]
    for start in range(0, len(texts), 1000):
        named, similarity = _search(vectors, texts[start : start + 1000], THRESHOLD)
        assert similarity.max() < NEAREST_CLEAN
        assert not any(named)
