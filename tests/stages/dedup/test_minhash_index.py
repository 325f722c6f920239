"""Incremental deduplication: an index of an earlier corpus, and what of a later one is in it already."""

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.stage import ShardInfo
from stages.dedup import _minhash_index
from stages.dedup._minhash_index import open_index
from stages.dedup.build_minhash_index import BuildMinhashIndex
from stages.dedup.minhash_against import MinhashAgainst
from tests.stages.dedup.documents import Doc, batch_of, docs
from tests.stages.dedup.oracle import contained, shingles, similarity
from tests.stages.dedup.test_minhash import corpus, prose

SURE = {"bands": 150, "rows_per_band": 1, "threshold": 0.6}


def build(folder: Path, documents: list[Doc], parts: int = 3, **params) -> Path:
    """An index, through a sink of several partitions, one of them without rows."""
    folder.mkdir()
    stage = BuildMinhashIndex(**params)
    assert not stage.problems()
    shards = []
    for part in [documents[i::parts] for i in range(parts)] + [[]]:
        scratch = folder / "scratch"
        scratch.mkdir()
        half = len(part) // 2
        info = stage.write(iter([batch_of(part[:half]), batch_of(part[half:])]), scratch, None)
        names = [f"{len(shards):05d}-{name}" for name in info.files]
        for old, new in zip(info.files, names, strict=True):
            (scratch / old).rename(folder / new)
        scratch.rmdir()
        shards.append(ShardInfo(names, info.rows, info.meta))
    stage.commit(shards, folder, None)
    return folder


def against(folder: Path, documents: list[Doc], **params) -> dict[str, tuple[str, float]]:
    stage = MinhashAgainst(index=str(folder), **params)
    assert not stage.problems()
    batch = batch_of(documents)
    marks = stage.annotate(batch, stage.open({}))
    assert [r is None for r in marks.reject.to_pylist()] == [e is None for e in marks.evidence.to_pylist()]
    return {
        name: (e["survivor"], e["similarity"])
        for name, e in zip(batch["id"].to_pylist(), marks.evidence.to_pylist(), strict=True)
        if e is not None
    }


@pytest.mark.parametrize("measure", ["jaccard", "containment"])
@pytest.mark.parametrize("seed", range(3))
def test_the_most_similar_of_the_index_is_found(tmp_path, seed, measure):
    texts = corpus(seed, 150)
    random.Random(seed).shuffle(texts)
    old, new = docs(*texts[:90], source="old"), docs(*texts[90:], source="new")
    found = against(build(tmp_path / "index", old, **SURE), new, measure=measure)
    likeness = similarity if measure == "jaccard" else contained
    known = {f"{s}/{k}": shingles(t) for s, k, t in old}
    for source, key, text in new:
        best = max((likeness(shingles(text), other) for other in known.values()), default=0)
        name = f"{source}/{key}"
        assert (best >= 0.6) == (name in found)
        if name in found:
            assert found[name][1] == best == likeness(shingles(text), known[found[name][0]])
    assert found


def test_the_index_does_not_depend_on_batches_and_holds_every_document(tmp_path, monkeypatch):
    documents = docs(*corpus(4, 60), "", None, "word")
    index = open_index(build(tmp_path / "a", documents))
    monkeypatch.setattr(_minhash_index, "MERGE_KEYS", 50)  # many steps
    stepwise = open_index(build(tmp_path / "b", documents))
    for left, right in zip(index[:4], stepwise[:4], strict=True):
        assert (left == right).all()
    assert index.meta == stepwise.meta
    assert sorted(index.ids.to_pylist()) == sorted(f"{s}/{k}" for s, k, _ in documents)
    assert (np.diff(index.keys.astype(object)) >= 0).all()
    assert index.meta["documents"] == len(documents)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == sorted(
        [*_minhash_index.part_files(), "meta.json"]
    )


def test_the_digest_is_of_everything(tmp_path):
    """A folder's card is what later runs go by: one word that no band sees must change it, batches must not."""
    text = prose(400, 6)
    built = {
        name: open_index(build(tmp_path / name, docs(one, "other words"), bands=1, rows_per_band=1))
        for name, one in {"a": text, "b": text, "c": f"{text} zebra", "d": f"{text} quagga"}.items()
    }
    assert (built["c"].keys == built["d"].keys).all()
    assert (built["c"].ends == built["d"].ends).all()
    assert built["c"].ids.equals(built["d"].ids)
    assert built["a"].meta == built["b"].meta
    assert len({index.meta["digest"] for index in built.values()}) == 3


def test_nothing_is_like_an_empty_index(tmp_path):
    folder = build(tmp_path / "index", [])
    assert against(folder, docs("some words", "", None)) == {}


def test_short_documents_fall_to_equal_ones_and_empty_ones_to_none(tmp_path):
    folder = build(tmp_path / "index", docs("click here", "", None, "cat", source="old"))
    found = against(folder, docs("Click  here!", "dog", "", None, "cat"))
    assert found == {"web/00000": ("old/00000", 1.0), "web/00004": ("old/00003", 1.0)}


def test_the_card_says_how_it_was_built_and_readers_keep_to_it(tmp_path):
    text = prose(100, 3)
    folder = build(
        tmp_path / "index", docs(text), n=3, seed=9, num_perm=200, threshold=0.7, scheme="datasketch"
    )
    meta = json.loads((folder / "meta.json").read_text())
    assert {k: meta[k] for k in ("n", "seed", "scheme", "threshold", "documents", "format")} == {
        "n": 3,
        "seed": 9,
        "scheme": "datasketch",
        "threshold": 0.7,
        "documents": 1,
        "format": 1,
    }
    params = MinhashAgainst(index=str(folder)).open({}).params
    assert (params.shape(), params.threshold) == ((meta["bands"], meta["rows_per_band"]), 0.7)
    assert MinhashAgainst(index=str(folder), threshold=0.9).open({}).params.threshold == 0.9
    assert len(against(folder, docs(text))) == 1


def test_folders_that_hold_no_index_are_told(tmp_path):
    (problem,) = MinhashAgainst(index=str(tmp_path)).problems()
    assert "holds no MinHash index; give the output of build_minhash_index" in problem
    (tmp_path / "meta.json").write_text('{"format": 9}')
    (problem,) = MinhashAgainst(index=str(tmp_path)).problems()
    assert "has format 9, but this version reads MinHash indexes of format 1" in problem
    folder = build(tmp_path / "index", docs("a b c"))
    (problem,) = MinhashAgainst(index=str(folder), on="messages").problems()
    assert "was built on text, but on is messages" in problem
    assert MinhashAgainst().needs_side() == ("index",)


def test_candidates_are_limited(tmp_path):
    texts = [f"{prose(60, 5)} w{i}" for i in range(20)]
    folder = build(tmp_path / "index", docs(*texts, source="old"), **SURE)
    assert len(against(folder, docs(texts[0]), max_candidates=1)) == 1
    assert against(folder, docs(texts[19]))["web/00000"][1] == 1.0


def test_a_batch_without_rows(tmp_path):
    folder = build(tmp_path / "index", docs("a b c"))
    stage = MinhashAgainst(index=str(folder))
    marks = stage.annotate(batch_of([]), stage.open({}))
    assert len(marks.reject) == len(marks.evidence) == 0
    assert isinstance(marks.evidence, pa.StructArray)
