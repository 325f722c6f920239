"""Semantic duplicates: clusters trained on a sample, and within them a verified cosine to a survivor."""

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.schema import id_hashes
from pipeline.stage import ShardInfo
from stages.dedup import _semantic_vectors
from stages.dedup._semantic_clusters import CARD, CENTROIDS, Clusters, load_clusters
from stages.dedup._semantic_kmeans import first_centroids, fit_clusters
from stages.dedup._semantic_vectors import judge
from stages.dedup.semantic import SemanticDedup
from stages.dedup.train_clusters import TrainClusters
from stages.kernels import vectors as vector_kernels
from stages.kernels.vectors import nearest_rows, slack, square_norms, unit_rows, unit_vectors
from stages.signals.embed import EmbedText
from tests.support.exchange import NO_VERDICTS, check_schemas, run_global

FLOATS = pa.large_list(pa.float32())


def batch_of(vectors, sources=None, texts=None, type=FLOATS, first=0, **more):
    rows = len(vectors)
    sources = sources or ["web"] * rows
    ids = [f"{source}/{first + i:05d}" for i, source in enumerate(sources)]
    columns = {
        "id": pa.array(ids, pa.string()),
        "id_hash": id_hashes(ids),
        "source": pa.array(sources, pa.string()).dictionary_encode(),
        "text": pa.array(texts or [f"text {i}" for i in range(rows)], pa.large_string()),
        "embedding": pa.array([None if v is None else list(v) for v in vectors], type),
    }
    return pa.RecordBatch.from_pydict({**columns, **more})


def clusters_of(*centroids):
    unit, known = unit_rows(np.array(centroids, np.float32))
    assert known.all()
    return Clusters(unit, "embedding", Path("centroids.npy"))


def one_cluster(dim):
    return clusters_of([1.0] * dim)


def said(stage, batch, clusters, partitions=1, **kwargs):
    """Evidence of each rejected document, by id."""
    size = -(-batch.num_rows // partitions) or 1
    parts = [batch.slice(at, size) for at in range(0, batch.num_rows, size)] or [batch]
    found = {}
    for part, marks in zip(parts, run_global(stage, parts, clusters, **kwargs), strict=True):
        assert len(marks.reject) == len(marks.evidence) == part.num_rows
        for name, reason, evidence in zip(
            part["id"].to_pylist(), marks.reject.to_pylist(), marks.evidence.to_pylist(), strict=True
        ):
            assert (reason is None) == (evidence is None)
            if reason is not None:
                assert reason == "semantic_duplicate"
                found[name] = evidence
    return found


def cloud(rng, centres, copies, dim, noise):
    """Vectors about random directions, each at a random distance."""
    out = []
    for _ in range(centres):
        centre = [rng.gauss(0, 1) for _ in range(dim)]
        for _ in range(copies):
            far = noise * rng.random()
            out.append([c + far * rng.gauss(0, 1) for c in centre])
    rng.shuffle(out)
    return out


def cosine(a, b):
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))


def oracle(batch, centroids, threshold, order, limit=None):
    """id -> (survivor, similarity): plain Python over all pairs of a cluster, cut as the engine cuts big groups."""
    unit = unit_rows(np.array([v or [0.0] * len(centroids[0]) for v in batch["embedding"].to_pylist()]))[
        0
    ].tolist()
    ids = batch["id"].to_pylist()
    groups = {}
    for i, vector in enumerate(unit):
        if any(vector):
            scores = [cosine(vector, c) for c in centroids.tolist()]
            groups.setdefault(scores.index(max(scores)), []).append(i)
    found = {}
    for members in groups.values():
        members.sort(key=lambda i: order[i])
        limit_here = limit or len(members)
        pieces = [members[:limit_here]]
        if limit_here < len(members):
            pieces += [
                [members[0], *members[at : at + limit_here - 1]]
                for at in range(limit_here, len(members), limit_here - 1)
            ]
        for piece in pieces:
            kept = []
            for i in piece:
                for j in kept:
                    likeness = cosine(unit[i], unit[j])
                    if likeness >= threshold:
                        found[ids[i]] = (ids[j], likeness)
                        break
                else:
                    kept.append(i)
    return found


# --- who falls -----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([None, 2, 3, 7]), st.integers(1, 9))
def test_equal_to_brute_force_for_any_partitions_and_pieces(seed, k, limit, partitions):
    rng = random.Random(seed)
    dim = rng.choice([1, 3, 8, 17])
    vectors = [*cloud(rng, 6, 5, dim, 0.6), None, [0.0] * dim]
    batch = batch_of(vectors, sources=[rng.choice(["web", "books"]) for _ in vectors])
    clusters = clusters_of(*([rng.gauss(0, 1) for _ in range(dim)] for _ in range(k)))
    stage = SemanticDedup(threshold=0.9, source_priority=["books"])
    order = [(not i.startswith("books"), i) for i in batch["id"].to_pylist()]
    expected = oracle(batch, clusters.centroids, 0.9, order, limit)
    found = said(stage, batch, clusters, partitions, max_group_rows=limit, shuffle_seed=seed)
    assert {name: e["survivor"] for name, e in found.items()} == {
        name: s for name, (s, _) in expected.items()
    }
    assert all(abs(e["similarity"] - expected[name][1]) < 1e-12 for name, e in found.items())
    assert not {e["survivor"] for e in found.values()} & found.keys()


@pytest.mark.parametrize("prefer_outliers", [False, True])
def test_every_rejected_document_has_a_survivor_that_stays_and_is_alike(prefer_outliers):
    rng = random.Random(5)
    batch = batch_of(cloud(rng, 40, 25, 24, 0.7))
    unit = unit_rows(np.array(batch["embedding"].to_pylist()))[0]
    fitted = fit_clusters(unit, 9, 5)
    clusters = Clusters(fitted.centroids, "embedding", Path("x"))
    found = said(SemanticDedup(threshold=0.9, prefer_outliers=prefer_outliers), batch, clusters, 5)
    place = {name: i for i, name in enumerate(batch["id"].to_pylist())}
    assert 300 < len(found) < 1000
    sizes = {}
    for name, evidence in found.items():
        assert evidence["survivor"] not in found
        exact = cosine(unit[place[name]].tolist(), unit[place[evidence["survivor"]]].tolist())
        assert exact >= 0.9
        assert evidence["similarity"] == pytest.approx(exact, abs=1e-12)
        sizes[evidence["survivor"]] = sizes.get(evidence["survivor"], 1) + 1
    assert all(e["cluster_size"] == sizes[e["survivor"]] for e in found.values())


def test_a_chain_keeps_what_it_should():
    """100 documents, neighbours at 0.8, the next but one at 0.6: every second stays; SemDeDup leaves the first alone."""
    chain = [[1.0 if i <= k < i + 5 else 0.0 for k in range(104)] for i in range(100)]
    found = said(SemanticDedup(threshold=0.79), batch_of(chain), one_cluster(104), 7)
    assert sorted(found) == [f"web/{i:05d}" for i in range(1, 100, 2)]
    assert {round(e["similarity"], 12) for e in found.values()} == {0.8}


def test_the_policy_says_who_stays():
    same = [[1.0, 2.0]] * 4
    texts = ["aaaa", "a", "aaa", "aa"]
    batch = batch_of(
        same,
        sources=["web", "web", "books", "web"],
        texts=texts,
        date=pa.array(["2020", None, "2019-05", "2024"]),
        score=pa.array([0.1, 0.9, None, 0.5]),
    )
    stays = {
        "first": "books/00002",
        "longest": "web/00000",
        "shortest": "web/00001",
        "newest": "web/00003",
        "oldest": "books/00002",
    }
    for prefer, survivor in stays.items():
        found = said(SemanticDedup(prefer=prefer), batch, one_cluster(2), 2)
        assert {e["survivor"] for e in found.values()} == {survivor}, prefer
        assert [e["cluster_size"] for e in found.values()] == [4] * 3
    found = said(SemanticDedup(quality="score", prefer="longest"), batch, one_cluster(2))
    assert {e["survivor"] for e in found.values()} == {"web/00001"}
    found = said(SemanticDedup(source_priority=["books"], quality="score"), batch, one_cluster(2))
    assert {e["survivor"] for e in found.values()} == {"books/00002"}


def test_outliers_stay_if_asked_for():
    batch = batch_of([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2]])
    clusters = clusters_of([1.0, 0.0], [-1.0, 0.0])
    plain = said(SemanticDedup(threshold=0.97), batch, clusters)
    assert {e["survivor"] for e in plain.values()} == {"web/00000"}
    outliers = said(SemanticDedup(threshold=0.97, prefer_outliers=True), batch, clusters)
    assert {e["survivor"] for e in outliers.values()} == {"web/00002"}
    preferred = batch_of([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2]], sources=["books", "web", "web"])
    stage = SemanticDedup(threshold=0.97, prefer_outliers=True, source_priority=["books"])
    assert {e["survivor"] for e in said(stage, preferred, clusters).values()} == {"books/00000"}


def test_length_and_scale_of_vectors_do_not_count():
    batch = batch_of([[3.0, 4.0], [3e30, 4e30], [3e-40, 4e-40], [-3.0, -4.0]], type=pa.list_(pa.float64()))
    assert set(said(SemanticDedup(threshold=1.0), batch, one_cluster(2))) == {"web/00001", "web/00002"}


def test_a_threshold_of_one_takes_equal_vectors_only():
    rng = random.Random(1)
    vector = [rng.gauss(0, 1) for _ in range(33)]
    near = [*vector[:-1], vector[-1] + 1e-3]
    found = said(SemanticDedup(threshold=1.0), batch_of([vector, near, vector]), one_cluster(33))
    assert found == {"web/00002": {"survivor": "web/00000", "similarity": 1.0, "cluster_size": 2}}


def test_documents_of_different_clusters_do_not_meet():
    batch = batch_of([[1.0, 0.01], [1.0, -0.01]])
    assert said(SemanticDedup(), batch, clusters_of([1.0, 1.0], [1.0, -1.0])) == {}
    assert len(said(SemanticDedup(), batch, clusters_of([1.0, 1.0]))) == 1


def test_vectors_without_a_direction_are_nobody_s_duplicates():
    nan, inf = float("nan"), float("inf")
    vectors = [
        None,
        None,
        [0.0, 0.0],
        [0.0, 0.0],
        [nan, 1.0],
        [nan, 1.0],
        [inf, 1.0],
        [inf, 1.0],
        [None, 1.0],
        [],
        [],
    ]
    assert said(SemanticDedup(), batch_of(vectors), one_cluster(2)) == {}
    found = said(SemanticDedup(), batch_of([*vectors, [1.0, 2.0], [1.0, 2.0]]), one_cluster(2), 3)
    assert set(found) == {"web/00012"}


@pytest.mark.parametrize("vectors", [[], [[1.0, 2.0]], [None]])
def test_nothing_and_one_document(vectors):
    assert said(SemanticDedup(), batch_of(vectors), one_cluster(2)) == {}


@pytest.mark.parametrize(
    "type",
    [pa.list_(pa.float32()), pa.list_(pa.float64(), 3), pa.list_(pa.float16()), pa.large_list(pa.int8())],
)
def test_lists_of_any_kind(type):
    vectors = [[1, 2, 3], None, [3, 2, 1], [1, 2, 3], [0, 0, 0]]
    if pa.types.is_float16(type.value_type):
        vectors = [None if v is None else [np.float16(x) for x in v] for v in vectors]
    batch = batch_of(vectors, type=type)
    assert set(said(SemanticDedup(), batch, one_cluster(3))) == {"web/00003"}
    unit, rows = unit_vectors(batch["embedding"].slice(1, 3), "embedding")
    assert rows.tolist() == [1, 2]
    assert np.allclose(unit @ unit.T, [[1, 10 / 14], [10 / 14, 1]])


def test_ten_thousand_equal_vectors_cost_no_quadratic_time(monkeypatch):
    compared = []
    within = _semantic_vectors.fall_within
    monkeypatch.setattr(
        _semantic_vectors, "fall_within", lambda *a: (compared.append(a[0].size), within(*a))[1]
    )
    to_kept = _semantic_vectors.fall_to_kept
    monkeypatch.setattr(
        _semantic_vectors, "fall_to_kept", lambda *a: (compared.append(a[0].size), to_kept(*a))[1]
    )
    unit = np.repeat(unit_rows(np.array([[1.0, 2.0, 3.0]]))[0], 10_000, axis=0)
    found = judge(unit, 0.9)
    assert found.kept.tolist() == [0]
    assert (found.survivor[1:] == 0).all()
    assert sum(compared) < 512 * 512 + 10_000


def test_memory_does_not_grow_with_the_square(monkeypatch):
    sizes = []
    to_kept = _semantic_vectors.fall_to_kept
    monkeypatch.setattr(_semantic_vectors, "BLOCK", 8)
    monkeypatch.setattr(_semantic_vectors, "CHUNK", 16)
    monkeypatch.setattr(
        _semantic_vectors, "fall_to_kept", lambda *a: (sizes.append(a[0].size), to_kept(*a))[1]
    )
    unit = unit_rows(np.random.default_rng(0).normal(size=(300, 5)))[0]
    small = judge(unit, 0.9)
    assert max(sizes) <= 8 * 16
    monkeypatch.undo()
    whole = judge(unit, 0.9)
    assert (small.survivor == whole.survivor).all()
    assert (small.similarity == whole.similarity).all()  # to the last bit, whatever the blocks
    assert (small.kept == whole.kept).all()


def test_emit_has_one_schema_and_asks_for_no_singles():
    stage = SemanticDedup(prefer="longest", quality="score", prefer_outliers=True)
    batch = batch_of([[1.0, 2.0], None, [2.0, 1.0]], score=pa.array([1, 2, None]))
    clusters = one_cluster(2)
    parts = [batch, batch.slice(0, 0), batch.slice(1, 1)]
    tables = [stage.emit(part, clusters, 0, NO_VERDICTS) for part in parts]
    check_schemas(tables)
    assert [t.num_rows for t in tables] == [2, 0, 0]
    assert set(stage.order(0)) <= set(tables[0].schema.names)
    assert stage.order(0) == ["priority", "quality", "centrality", "rank", "id"]
    assert not stage.singles
    assert stage.needs_side() == ["clusters"]


# --- what is refused -----------------------------------------------------------------------------------


def test_other_dimensions_than_the_centroids_are_an_error():
    with pytest.raises(ValueError, match=r"embeddings of 3 values, but the clusters .* are of 2"):
        said(SemanticDedup(), batch_of([[1.0, 2.0, 3.0]]), one_cluster(2))
    with pytest.raises(ValueError, match="embeddings of 2 and of 3 values"):
        said(SemanticDedup(), batch_of([[1.0, 2.0], [1.0, 2.0, 3.0]]), one_cluster(2))


def test_a_column_of_something_else_is_an_error():
    with pytest.raises(ValueError, match="column 'text' is large_string"):
        said(SemanticDedup(column="text"), batch_of([[1.0]]), one_cluster(1))
    with pytest.raises(ValueError, match="lists of numbers"):
        unit_vectors(pa.array([["a"]]), "x")
    assert unit_vectors(pa.nulls(3), "x")[1].tolist() == []


def test_params():
    assert SemanticDedup().reads().names == ["id", "source", "embedding"]
    assert set(SemanticDedup(prefer="longest").reads().names) == {"id", "source", "text", "embedding"}
    assert SemanticDedup().problems() == []
    assert "cosine of 0.3" in SemanticDedup(threshold=0.3).problems()[0]
    with pytest.raises(ValidationError):
        SemanticDedup(threshold=1.5)


# --- exactness -----------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_products_are_never_wrong_by_more_than_the_slack(dim, seed):
    x = unit_rows(np.random.default_rng(seed).normal(size=(20, dim)))[0]
    exact = x.astype(np.longdouble) @ x.astype(np.longdouble).T
    assert np.abs(x @ x.T - exact).max() <= slack(dim)
    assert np.abs(square_norms(x) - np.diag(exact).astype(np.float64)).max() < 1e-14


def test_the_nearest_centroid_is_exact_and_the_first_of_equals(monkeypatch):
    rng = np.random.default_rng(3)
    unit, some = unit_rows(rng.normal(size=(400, 12)))[0], unit_rows(rng.normal(size=(40, 12)))[0]
    centroids = np.concatenate([some, some])
    nearest, closeness = nearest_rows(unit, centroids)
    exact = unit.astype(np.longdouble) @ some.astype(np.longdouble).T
    assert nearest.tolist() == exact.argmax(axis=1).tolist()
    assert np.abs(closeness - exact.max(axis=1)).max() < 1e-7
    monkeypatch.setattr(vector_kernels, "BLOCK", 7)
    monkeypatch.setattr(vector_kernels, "CHUNK", 3)
    again = nearest_rows(unit, centroids)
    assert (again[0] == nearest).all()
    assert (again[1] == closeness).all()


# --- training ------------------------------------------------------------------------------------------


def train(stage, parts, out):
    """The sink as the engine runs it; returns what it committed."""
    out.mkdir()
    shards = []
    for k, batches in enumerate(parts):
        folder = out.with_name(f"{out.name}-{k}")
        folder.mkdir()
        info = stage.write(iter(batches), folder, None)
        files = [(folder / name).rename(out / f"{k:05d}-{name}").name for name in info.files]
        shards.append(ShardInfo(files, info.rows, json.loads(json.dumps(dict(info.meta)))))
    stage.commit(shards, out, None)
    return out


def bytes_of(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_the_same_bytes_for_any_partitions_order_and_batches(tmp_path):
    batch = batch_of(cloud(random.Random(2), 30, 20, 16, 0.5) + [None] * 9)
    shuffled = batch.take(pa.array(random.Random(3).sample(range(batch.num_rows), batch.num_rows)))
    ways = [
        [[batch]],
        [[batch.slice(0, 100), batch.slice(100)]],
        [[shuffled.slice(at, 37)] for at in range(0, shuffled.num_rows, 37)],
        [[], [shuffled], [batch.slice(0, 0)]],
    ]
    for max_documents in (100_000, 64):
        stage = TrainClusters(cluster_size=50, max_documents=max_documents)
        made = [bytes_of(train(stage, way, tmp_path / f"{max_documents}-{k}")) for k, way in enumerate(ways)]
        assert made == [made[0]] * len(ways)
        assert sorted(made[0]) == [CENTROIDS, CARD, "manifest.json"]
        card = json.loads(made[0][CARD])
        assert (card["clusters"], card["dim"], card["documents"]) == (12, 16, 600)
        assert card["sampled"] == min(600, max_documents)


def test_the_same_bytes_for_any_number_of_threads(tmp_path):
    """Which BLAS threads share a product changes its last bits; nothing here may hang on them."""
    program = (
        "import numpy as np, hashlib\n"
        "from stages.kernels.vectors import unit_rows\n"
        "from stages.dedup._semantic_kmeans import fit_clusters\n"
        "from stages.dedup._semantic_vectors import judge\n"
        "x = unit_rows(np.random.default_rng(1).normal(size=(3000, 24)))[0]\n"
        "f, v = fit_clusters(x, 37, 4), judge(x, 0.6)\n"
        "print(hashlib.sha256(f.centroids.tobytes() + v.survivor.tobytes() + v.similarity.tobytes()).hexdigest())\n"
    )
    root = Path(__file__).resolve().parents[3]
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "2", "3")
    }
    assert len(said) == 1


def test_training_twice_and_a_second_commit(tmp_path):
    batch = batch_of(cloud(random.Random(2), 5, 5, 8, 0.5))
    out = train(TrainClusters(clusters=3), [[batch]], tmp_path / "out")
    before = bytes_of(out)
    TrainClusters(clusters=3).commit([ShardInfo(["00000-sample.arrow"], 25, {})], out, None)
    assert bytes_of(out) == before
    other = train(TrainClusters(clusters=3, seed=1), [[batch]], tmp_path / "other")
    assert bytes_of(other)[CENTROIDS] != before[CENTROIDS]


def test_clouds_are_found():
    rng = random.Random(7)
    unit = unit_rows(np.array(cloud(rng, 12, 50, 32, 0.15)))[0]
    fitted = fit_clusters(unit, 12, 10)
    assert sorted(fitted.sizes.tolist()) == [50] * 12
    assert fitted.closeness > 0.95
    assert np.abs(np.linalg.norm(fitted.centroids, axis=1) - 1).max() < 1e-6


def test_first_centroids_are_not_each_other_s_near_duplicates():
    unit = unit_rows(np.array([[1.0, 0.001 * i, 0] for i in range(50)] + [[0, 1.0, 0], [0, 0, 1.0]]))[0]
    assert first_centroids(unit, 3).tolist() == [0, 50, 51]
    assert len(first_centroids(unit, 4)) == 4  # stricter where there are no others
    assert len(first_centroids(unit[:1].repeat(9, axis=0), 4)) == 1


@pytest.mark.parametrize(
    ("vectors", "clusters"), [([[1.0, 2.0]], 1), ([[1.0, 2.0]] * 30, 1), ([[1, 2], [2, 1]], 2)]
)
def test_more_clusters_than_documents(tmp_path, vectors, clusters):
    out = train(TrainClusters(clusters=1000), [[batch_of(vectors)]], tmp_path / "out")
    assert load_clusters(out).centroids.shape == (clusters, 2)
    assert json.loads((out / CARD).read_text())["clusters_wanted"] == 1000


def test_opposite_vectors_do_not_cancel_to_nothing(tmp_path):
    out = train(TrainClusters(clusters=1), [[batch_of([[1.0, 0.0], [-1.0, 0.0]])]], tmp_path / "out")
    assert np.abs(load_clusters(out).centroids[0].tolist()).max() == 1


@pytest.mark.parametrize("vectors", [[], [None, None], [[0.0, 0.0]]])
def test_no_embedding_at_all_is_an_error(tmp_path, vectors):
    with pytest.raises(ValueError, match="none was sampled; put embed_text before it"):
        train(TrainClusters(), [[batch_of(vectors)]], tmp_path / "out")


def test_two_models_in_one_column_are_an_error(tmp_path):
    two, three = batch_of([[1.0, 2.0]]), batch_of([[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="embeddings of 2 and of 3 values"):
        train(TrainClusters(), [[two, three]], tmp_path / "a")
    with pytest.raises(ValueError, match="embeddings of 2 and of 3 values"):
        train(TrainClusters(), [[two], [three]], tmp_path / "b")


def test_clusters_of_another_column_or_a_damaged_file_are_refused(tmp_path):
    out = train(TrainClusters(clusters=2), [[batch_of([[1.0, 2.0], [2.0, 1.0]])]], tmp_path / "out")
    assert SemanticDedup().open({"clusters": out}).centroids.shape == (2, 2)
    with pytest.raises(ValueError, match="are of column 'embedding', not 'vector'; write column: embedding"):
        SemanticDedup(column="vector").open({"clusters": out})
    data = (out / CENTROIDS).read_bytes()
    (out / CENTROIDS).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match="but its card says"):
        SemanticDedup().open({"clusters": out})
    (out / CARD).write_text("{}")
    with pytest.raises(ValueError, match=r"no card of corpusmill\.clusters/1"):
        SemanticDedup().open({"clusters": out})
    with pytest.raises(ValueError, match=r"no centroids\.npy in .*; give it a train_clusters node"):
        SemanticDedup().open({"clusters": tmp_path})


# --- the three together --------------------------------------------------------------------------------

ORIGINAL = (
    "The committee met on Tuesday to discuss the new bridge over the northern river. Engineers explained that the "
    "old bridge can no longer carry heavy trucks, and that a replacement would take about three years to build. "
    "Several residents worried about noise and dust, while shop owners hoped for more visitors from the other side."
)
REORDERED = (
    "Several residents worried about noise and dust, while shop owners hoped for more visitors from the other side. "
    "The committee met on Tuesday to discuss the new bridge over the northern river. Engineers explained that the "
    "old bridge can no longer carry heavy trucks, and that a replacement would take about three years to build!"
)
PARAPHRASE = (
    "A panel gathered at the start of the week: should a crossing be put up across the stream up north? Experts told "
    "it that lorries are too much for what stands there, and that building another one needs three years. Some who "
    "live nearby fear dirt and din; merchants look forward to customers."
)
OTHER = (
    "Bread needs only flour, water, salt and time. Mix them the evening before, let the dough rest in a cool place, "
    "and fold it twice. In the morning it has doubled; shape it, wait an hour, and bake it in a very hot oven."
)


def test_texts_through_all_three_stages(tmp_path):
    """What the hashing model can do: the same words in another order. What it cannot: other words, same meaning."""
    texts = [ORIGINAL, REORDERED, PARAPHRASE, OTHER, None, "", ORIGINAL.upper()]
    plain = batch_of([None] * len(texts), texts=texts).drop_columns(["embedding"])
    embed = EmbedText()
    vectors = embed.annotate(plain, embed.open({})).columns["embedding"]
    batch = plain.append_column("embedding", vectors)
    out = train(TrainClusters(clusters=1), [[batch]], tmp_path / "out")
    stage = SemanticDedup(threshold=0.9)
    found = said(stage, batch, stage.open({"clusters": out}), 3)
    assert set(found) == {"web/00001", "web/00006"}
    assert found["web/00001"]["similarity"] > 0.95
    assert found["web/00006"]["similarity"] == 1
    unit, _ = unit_vectors(vectors, "embedding")
    assert unit[0] @ unit[2] < 0.6  # a paraphrase in other words is out of its reach


def test_parquet_brings_the_column_back(tmp_path):
    batch = batch_of([[1.0, 2.0], None, [1.0, 2.0], []])
    pq.write_table(pa.Table.from_batches([batch]), tmp_path / "x.parquet")
    back = pq.read_table(tmp_path / "x.parquet").combine_chunks().to_batches()[0]
    assert back["embedding"].to_pylist() == batch["embedding"].to_pylist()
    assert set(said(SemanticDedup(), back, one_cluster(2))) == {"web/00002"}
    assert back["embedding"].null_count == 1
