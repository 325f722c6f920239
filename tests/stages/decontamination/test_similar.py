"""Embeddings of items are kept, and the nearest item of a document is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stages.decontamination.build_vectors import META, BuildItemVectors, read_vectors
from stages.decontamination.find_similar import FindSimilarItems, Similar
from stages.signals._embed_models import HashingEmbedder
from stages.signals.embed import EMBEDDING_TYPE, embed_texts

ITEMS = [
    "A baker sells forty loaves each morning and ten fewer each afternoon; how many does she sell a day?",
    "Which river carries the most water to the sea in spring?",
    "Name the metal that is liquid at room temperature.",
]
REWORDED = (
    "Each morning a baker sells forty loaves, and each afternoon ten fewer; how many a day does she sell?"
)


def embedded(texts: list[str | None]) -> pa.Array:
    return embed_texts(pa.array(texts, pa.large_string()), HashingEmbedder(64), None)


def items_batch(texts: list[str | None], benchmark: str = "quiz", first: int = 0) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "benchmark": pa.array([benchmark] * len(texts), pa.string()),
            "item": pa.array([str(first + i) for i in range(len(texts))], pa.string()),
            "embedding": embedded(texts),
        }
    )


def build(folder: Path, partitions: list[list[pa.RecordBatch]], **params: Any) -> Path:
    """As the engine does: each partition in a folder of its own, then all files together."""
    sink, out, shards = BuildItemVectors(**params), folder / "vectors", []
    out.mkdir(parents=True)
    for number, batches in enumerate(partitions):
        own = folder / str(number)
        own.mkdir()
        info = sink.write(iter(batches), own, None)
        assert sorted(p.name for p in own.iterdir()) == sorted(info.files)
        for name in info.files:
            (own / name).rename(out / f"{number:05d}-{name}")
        shards.append(info._replace(files=[f"{number:05d}-{name}" for name in info.files]))
    sink.commit(shards, out, None)
    return out


def judged(folder: Path, texts: list[str | None], **params: Any) -> list[dict[str, Any]]:
    stage = FindSimilarItems(**params)
    batch = pa.record_batch({"embedding": embedded(texts)})
    marks = stage.annotate(batch, stage.open({"vectors": folder}))
    found = zip(
        marks.reject.to_pylist(),
        marks.evidence.to_pylist(),
        marks.columns["item_similarity"].to_pylist(),
        strict=True,
    )
    return [{"reason": r, "evidence": e, "similarity": s} for r, e, s in found]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    return build(tmp_path_factory.mktemp("vectors"), [[items_batch(ITEMS)]])


def test_a_reworded_item_is_named_and_other_text_is_not(vectors):
    near, far = judged(vectors, [REWORDED, "Gulls came back, then two small boats."], threshold=0.6)
    assert near["evidence"]["item"] == "0"
    assert near["evidence"]["benchmark"] == "quiz"
    assert 0.6 <= near["evidence"]["similarity"] == near["similarity"] < 1
    assert far["evidence"] is None
    assert far["similarity"] < 0.6


def test_a_copy_has_similarity_one_and_only_reject_rejects(vectors):
    (marked,) = judged(vectors, [ITEMS[1]], threshold=1.0)
    (rejected,) = judged(vectors, [ITEMS[1]], threshold=1.0, action="reject")
    assert marked["reason"] is None
    assert marked["evidence"] == rejected["evidence"]
    assert marked["evidence"]["similarity"] == 1.0
    assert rejected["reason"] == Similar.CONTAMINATED_BY_SIMILARITY


def test_texts_without_embedding_have_no_similarity(vectors):
    assert [f["similarity"] for f in judged(vectors, [None, "", " \n"])] == [None] * 3
    assert judged(vectors, []) == []


def test_rows_are_judged_alone(vectors):
    texts = [REWORDED, None, ITEMS[2], "Gulls came back.", *ITEMS]
    assert judged(vectors, texts) == [judged(vectors, [text])[0] for text in texts]


def test_partitions_and_batches_change_no_byte(tmp_path):
    whole = build(tmp_path / "a", [[items_batch(ITEMS)]])
    cut = build(tmp_path / "b", [[items_batch(ITEMS[:1])], [], [items_batch(ITEMS[1:2], first=1), items_batch(ITEMS[2:], first=2)]])  # fmt: skip
    for name in ("vectors.npy", "items.arrow", META):
        assert (whole / name).read_bytes() == (cut / name).read_bytes()


def test_items_without_embedding_are_counted(tmp_path):
    folder = build(tmp_path, [[items_batch([ITEMS[0], None, ""])]])
    meta = json.loads((folder / META).read_text())
    assert (meta["items"], meta["without_vector"], meta["dim"]) == (3, 2, 64)
    assert read_vectors(folder).items == ["0"]


def test_nothing_to_keep_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="none of 2 items has an embedding"):
        build(tmp_path, [[items_batch([None, ""])]])


def test_embeddings_of_two_lengths_are_refused(tmp_path, vectors):
    longer = items_batch(ITEMS).set_column(
        2, "embedding", embed_texts(pa.array(ITEMS, pa.large_string()), HashingEmbedder(32), None)
    )
    with pytest.raises(ValueError, match=r"embeddings of \[32, 64\] values"):
        build(tmp_path / "a", [[items_batch(ITEMS)], [longer]])
    with pytest.raises(ValueError, match=r"embeddings of \[32, 64\] values"):
        build(tmp_path / "b", [[items_batch(ITEMS), longer]])
    stage = FindSimilarItems()
    with pytest.raises(ValueError, match="embed both by the same model"):
        stage.annotate(longer.select(["embedding"]), stage.open({"vectors": vectors}))


def test_another_folder_or_format_is_refused(tmp_path, vectors):
    with pytest.raises(ValueError, match="give a build_item_vectors node"):
        read_vectors(tmp_path)
    (tmp_path / META).write_text(json.dumps({"format": 0}))
    with pytest.raises(ValueError, match="format 0, but this version reads 1; rebuild it"):
        read_vectors(tmp_path)


def test_nearest_of_many_items_equals_comparing_with_each(tmp_path):
    """Against numpy in float64, over a matrix product's blocks."""
    rng = np.random.default_rng(3)
    items, documents = rng.normal(size=(5000, 16)), rng.normal(size=(40, 16))
    batch = pa.record_batch(
        {
            "benchmark": pa.array(["b"] * 5000),
            "item": pa.array([str(i) for i in range(5000)]),
            "embedding": pa.array(list(items.astype(np.float32)), EMBEDDING_TYPE),
        }
    )
    stage = FindSimilarItems(threshold=0.01)
    resource = stage.open({"vectors": build(tmp_path, [[batch]])})
    column = pa.array(list(documents.astype(np.float32)), EMBEDDING_TYPE)
    marks = stage.annotate(pa.record_batch({"embedding": column}), resource)

    def unit(x: np.ndarray) -> np.ndarray:
        x = x.astype(np.float32).astype(np.float64)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    cosines = unit(documents) @ unit(items).T
    assert [e["item"] for e in marks.evidence.to_pylist()] == [str(i) for i in cosines.argmax(1)]
    np.testing.assert_allclose(marks.columns["item_similarity"].to_numpy(), cosines.max(1), atol=1e-6)
