"""The perplexity stage: buckets, bounds, models by node and by file, and the node that trains one."""

import json

import pyarrow as pa
import pytest

from pipeline.schema import id_hashes
from stages.signals._kenlm import KenlmScorer, ccnet_line
from stages.signals._lm_model import arpa_parts, build_model, load_model
from stages.signals.perplexity import Perplexity, bucket_of
from stages.signals.train_language_model import TrainLanguageModel

PARTS = ("The keeper", "A boat", "The old lamp", "The grey sea", "A small gull")
DEEDS = ("lit the lamp", "came to the sea", "saw the keeper", "was calm", "went home")
DOCUMENTS = [f"{part} {deed}.\n{other} {deed}." for part in PARTS for other in PARTS for deed in DEEDS]


def column(*texts):
    return pa.array(texts, pa.large_string())


def batch_of(texts):
    ids = [f"s/f#{k}" for k in range(len(texts))]
    return pa.record_batch({"id_hash": id_hashes(ids), "text": column(*texts)})


def trained(folder, batches=None, **params):
    """The folder of a node that has seen each batch as a partition."""
    stage = TrainLanguageModel(**params)
    shards = []
    for k, batch in enumerate([batch_of(DOCUMENTS)] if batches is None else batches):
        out = folder / f"part-{k}"
        out.mkdir(parents=True)
        shard = stage.write(iter([batch]), out, None)
        shards.append(shard._replace(files=[f"part-{k}/{name}" for name in shard.files]))
    stage.commit(shards, folder, None)
    return folder


def judge(folder, texts, **params):
    stage = Perplexity(**params)
    marks = stage.annotate(pa.record_batch({"text": column(*texts)}), stage.open({"model": folder}))
    columns = {name: values.to_pylist() for name, values in marks.columns.items()}
    return columns, marks


def test_fluent_text_of_the_kind_is_in_the_head_and_noise_in_the_tail(tmp_path):
    folder = trained(tmp_path / "model")
    texts = ["A boat lit the lamp.\nThe keeper lit the lamp.", "zq lamp xx keeper the", "", None]
    columns, marks = judge(folder, texts)
    assert columns["perplexity_bucket"][1:] == ["tail", None, None]
    assert columns["perplexity_bucket"][0] != "tail"
    assert columns["perplexity"][2:] == [None, None]
    assert columns["unknown_word_fraction"] == [0.0, pytest.approx(2 / 5), None, None]
    assert marks.reject is None


def test_the_cuts_hold_a_third_each(tmp_path):
    folder = trained(tmp_path / "model", held_out=0.5)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["held_out"] + manifest["documents"] == manifest["rows"] == len(DOCUMENTS)
    low, high = manifest["cuts"]
    assert load_model(folder).cuts == (low, high)
    assert 1 < low < high


@pytest.mark.parametrize(
    ("params", "reason", "evidence"),
    [
        ({"max_perplexity": 1.5}, "perplexity_too_high", {"min": None, "max": 1.5}),
        ({"min_perplexity": 1e9}, "perplexity_too_low", {"min": 1e9, "max": None}),
        ({"min_perplexity": 1.0, "max_perplexity": 1e9}, None, None),
    ],
)
def test_bounds(params, reason, evidence, tmp_path):
    columns, marks = judge(trained(tmp_path / "model"), ["the lamp", ""], **params)
    assert marks.reject.to_pylist() == [reason, None]
    expected = evidence and evidence | {"perplexity": columns["perplexity"][0]}
    assert marks.evidence.to_pylist() == [expected, None]


def test_partitions_make_no_other_model(tmp_path):
    one = trained(tmp_path / "one", seed=3, arpa=True, min_count=1)
    whole = batch_of(DOCUMENTS)
    parts = (whole.slice(0, 40), whole.slice(40, 0), whole.slice(40))
    two = trained(tmp_path / "two", parts, seed=3, arpa=True, min_count=1)
    for name in ("model.json", "model.arpa", "manifest.json", "grams.npy", "probs.npy", "words.npy"):
        assert (two / name).read_bytes() == (one / name).read_bytes(), name
    assert not list(two.rglob("sample.arrow"))


def test_the_sample_is_bounded(tmp_path):
    folder = trained(tmp_path / "model", max_bytes=1000)
    assert json.loads((folder / "manifest.json").read_text())["bytes"] <= 1000


def test_nothing_to_train_on(tmp_path):
    with pytest.raises(ValueError, match="no word occurs 2 times"):
        trained(tmp_path / "model", [batch_of(["one two three", ""])])


def test_a_model_by_path_needs_no_side_input(tmp_path):
    path = tmp_path / "model.arpa"
    built = build_model([column(*DOCUMENTS)], 3, 1, 1000, 0)
    path.write_text("".join(arpa_parts(built)), "utf-8")
    columns, _ = judge(None, ["The keeper was calm"], model=str(path), cuts=(1000.0, 2000.0))
    assert columns["perplexity_bucket"] == ["head"]
    assert judge(None, ["The keeper"], model=str(path))[0]["perplexity_bucket"] == [None]
    assert Perplexity(model=str(path)).needs_side() == ()
    assert Perplexity().needs_side() == ("model",)


def test_a_model_that_kenlm_reads_scores_alike(tmp_path):
    path = tmp_path / "model.arpa"
    built = build_model([column(*DOCUMENTS)], 3, 1, 1000, 0)
    path.write_text("".join(arpa_parts(built)), "utf-8")
    texts = column("The keeper was calm\n\nA gull", "zebra lamp", "", None)
    ours, theirs = (
        Perplexity(model=str(path)).open({}).score(texts),
        KenlmScorer(str(path), None).score(texts),
    )
    assert theirs.perplexity == pytest.approx(ours.perplexity, rel=1e-4, nan_ok=True)
    assert theirs.unknown == pytest.approx(ours.unknown, nan_ok=True)


def test_a_file_that_is_no_kenlm_model(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"no model at all")
    with pytest.raises(ValueError, match=r"model\.bin: no KenLM model"):
        Perplexity(model=str(path)).open({})


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"cuts": (3.0, 2.0)}, "cuts: 3 is above 2"),
        ({"min_perplexity": 5.0, "max_perplexity": 2.0}, "nothing would be kept"),
        ({"sentencepiece": "a.model"}, "only a KenLM binary"),
        ({"sentencepiece": "a.model", "model": "b.arpa"}, "only a KenLM binary"),
        ({"sentencepiece": "a.model", "model": "b.bin", "cuts": (2.0, 3.0)}, None),
    ],
)
def test_problems(params, problem):
    found = Perplexity(**params).problems()
    assert (problem is None and not found) or problem in found[0]


def test_ccnet_preparation():
    assert ccnet_line("  «Élan» — 24 % ！\n") == '"elan"  -  00 % !'


def test_no_cuts_no_bucket():
    assert bucket_of(pa.array([1.0]), None).to_pylist() == [None]
