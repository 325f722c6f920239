"""Scores of a classifier as a column, thresholds, sampling, and models that do not fit."""

import fasttext
import numpy as np
import pyarrow as pa
import pytest

from pipeline.schema import id_hashes
from stages.signals.classify import ClassifyText, Reason, load_classifier
from stages.signals.train_classifier import Settings, train_classifier, write_model
from tests.stages.signals.labelled import pairs

SMALL = Settings(epochs=15, dim=8, bucket=2000, min_count=1)
GOOD, POOR = (
    "the keeper of the lamp and the storm in winter",
    "click now for a cheap casino bonus and free shipping",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.bin"
    write_model(train_classifier(pairs(), SMALL, "good"), path)
    return path


def annotate(texts, model, ids=None, **params):
    stage = ClassifyText(model=str(model), **params)
    columns = {
        "text": pa.array(texts, pa.large_string()),
        "id_hash": id_hashes(ids or map(str, range(len(texts)))),
    }
    marks = stage.annotate(pa.record_batch(columns), stage.open({}))
    for field in stage.writes():
        assert marks.columns[field.name].type == field.type
    assert marks.columns.keys() == set(stage.writes().names)
    return marks


def test_scores_are_the_librarys(model):
    texts = [text for _, text in pairs(60, seed=2)]
    marks = annotate(texts, model, label_column="kind", column="fluency")
    labels, values = fasttext.load_model(str(model)).predict(texts, k=-1)
    wanted = [float(v[list(names).index("__label__good")]) for names, v in zip(labels, values, strict=True)]
    np.testing.assert_allclose(marks.columns["fluency"].to_pylist(), np.minimum(wanted, 1), atol=1e-5)
    assert marks.columns["kind"].to_pylist() == [names[0].removeprefix("__label__") for names in labels]
    assert marks.reject.null_count == len(texts)
    assert marks.evidence.null_count == len(texts)


def test_another_label(model):
    good, poor = (
        annotate([GOOD], model, label=label).columns["quality_score"][0].as_py()
        for label in ("good", "__label__poor")
    )
    assert good + poor == pytest.approx(1, abs=1e-4)
    assert good > 0.9


def test_thresholds_are_inclusive_and_say_why(model):
    low, high = annotate([POOR, GOOD], model).columns["quality_score"].to_pylist()
    assert low < 0.1 < 0.9 < high
    assert annotate([POOR, GOOD], model, min_score=high).reject.to_pylist() == [Reason.SCORE_TOO_LOW, None]
    assert annotate([POOR, GOOD], model, max_score=low).reject.to_pylist() == [None, Reason.SCORE_TOO_HIGH]
    marks = annotate([POOR, GOOD, GOOD], model, min_score=0.5, max_score=0.95)
    assert marks.reject[0].as_py() == Reason.SCORE_TOO_LOW
    assert marks.evidence[0].as_py() == {"label": "poor", "score": low, "limit": 0.5}


@pytest.mark.parametrize("text", [None, "", " \n\t", "\u3000"])
def test_no_word_no_score_and_no_rule_broken(text, model):
    marks = annotate([text, GOOD], model, min_score=0.5, label_column="kind", pareto_alpha=9.0)
    assert marks.columns["quality_score"].to_pylist()[0] is None
    assert marks.columns["kind"].to_pylist()[0] is None
    assert marks.reject[0].as_py() is None


def test_newlines_are_spaces_and_only_the_head_is_read(model):
    assert annotate([GOOD.replace(" ", "\n")], model).columns == annotate([GOOD], model).columns
    text = f"  {GOOD} {POOR}"
    assert annotate([text], model, max_chars=len(GOOD)).columns == annotate([GOOD], model).columns
    assert annotate([text], model).columns != annotate([GOOD], model).columns


def test_rows_do_not_depend_on_the_batch(model):
    texts = [GOOD, None, POOR, "", "zzz", "橋 雨", GOOD * 200]
    whole = annotate(texts, model).columns["quality_score"]
    assert [
        annotate([text], model).columns["quality_score"][0].as_py() for text in texts
    ] == whole.to_pylist()
    stage = ClassifyText(model=str(model))
    batch = pa.record_batch({"text": pa.array(["a", *texts], pa.large_string())}).slice(1)
    assert stage.annotate(batch, stage.open({})).columns["quality_score"].equals(whole)
    assert len(annotate([], model).columns["quality_score"]) == 0


def test_sampling_follows_the_rule_and_the_id(model):
    count = 4000
    ids = [f"web/{number}" for number in range(count)]
    marks = annotate([POOR] * count, model, ids, pareto_alpha=9.0)
    score = marks.columns["quality_score"][0].as_py()
    kept = marks.reject.null_count / count
    assert kept == pytest.approx((2 - score) ** -9.0, abs=0.01)  # P(pareto(a) > x) = (1 + x)^-a
    assert set(marks.reject.drop_null().to_pylist()) == {Reason.NOT_SAMPLED}
    again = annotate([POOR] * count, model, ids[::-1], pareto_alpha=9.0)
    assert again.reject.to_pylist() == marks.reject.to_pylist()[::-1]
    assert annotate([POOR] * count, model, ids, pareto_alpha=9.0, seed=1).reject != marks.reject
    assert annotate([GOOD] * 500, model, ids[:500], pareto_alpha=9.0).reject.null_count > 300


def test_the_card_names_the_label_and_must_fit(model, tmp_path):
    assert (
        load_classifier(model, None, lowercase=False).names[
            load_classifier(model, None, lowercase=False).positive
        ]
        == "good"
    )
    with pytest.raises(
        ValueError, match=r"lowercase: the model .* was trained on text as it is; write lowercase: false"
    ):
        load_classifier(model, None, lowercase=True)
    with pytest.raises(ValueError, match="knows no label 'best'; write one of: good, poor"):
        load_classifier(model, "best", lowercase=False)
    bare = tmp_path / "bare.bin"
    bare.write_bytes(model.read_bytes())
    with pytest.raises(ValueError, match="does not say which label is the positive one"):
        load_classifier(bare, None, lowercase=False)
    assert load_classifier(bare, "good", lowercase=True)
    bare.with_name("bare.bin.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        load_classifier(bare, "good", lowercase=False)


def test_lower_case(tmp_path):
    path = tmp_path / "model.bin"
    write_model(train_classifier(pairs(), SMALL._replace(lowercase=True), "good"), path)
    low = annotate([GOOD], path, lowercase=True).columns
    assert annotate([GOOD.upper()], path, lowercase=True).columns == low


def test_problems_sides_and_resources(model):
    assert not ClassifyText(model="m.bin").problems()
    assert "different names" in ClassifyText(model="m.bin", label_column="quality_score").problems()[0]
    assert "above max_score" in ClassifyText(model="m.bin", min_score=0.9, max_score=0.1).problems()[0]
    assert ClassifyText().needs_side() == ["model"]
    assert ClassifyText(model=str(model)).needs_side() == []
    assert ClassifyText(model=str(model)).resources() == [model]
    assert "id_hash" not in ClassifyText().reads().names
    assert "id_hash" in ClassifyText(pareto_alpha=9.0).reads().names
