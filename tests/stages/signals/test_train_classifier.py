"""Training from labelled texts: the same bytes, an honest split, right figures, and errors that help."""

import gzip
import hashlib
import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import typer
import zstandard
from typer.testing import CliRunner

from pipeline.errors import DataError, PipelineError
from pipeline.schema import SOURCE, id_hashes
from pipeline.stage import ShardInfo
from stages.commands import train_classifier as command
from stages.kernels.fasttext import load_fasttext
from stages.signals._classifier_metrics import calibration, label_metrics, roc_auc
from stages.signals.classify import ClassifyText
from stages.signals.train_classifier import (
    Settings,
    distinct,
    prepared,
    read_labelled,
    split_rows,
    train_classifier,
    warnings_of,
)
from stages.signals.train_quality_classifier import TrainQualityClassifier
from tests.stages.signals.labelled import pairs

SMALL = Settings(epochs=15, dim=8, bucket=2000, min_count=1)


def test_same_texts_same_bytes_in_any_order():
    rows = pairs(150)
    first, again = train_classifier(rows, SMALL), train_classifier(rows[::-1] + rows[:9], SMALL)
    assert first.model == again.model
    assert first.card["metrics"] == again.card["metrics"]
    assert (first.card["duplicates_left_out"], again.card["duplicates_left_out"]) == (0, 9)
    assert train_classifier(rows, SMALL._replace(seed=1)).model != first.model


def test_it_learns_and_says_so(tmp_path):
    card = train_classifier(pairs(600), SMALL, "good").card
    assert card["held_out"] == {"good": 20, "poor": 40}
    assert card["trained_on"] == {"good": 180, "poor": 360}
    metrics = card["metrics"]
    assert metrics["accuracy"] == 1
    assert metrics["roc_auc"] == 1
    assert metrics["labels"]["good"] == {"precision": 1, "recall": 1, "f1": 1, "documents": 20}
    assert sum(part["documents"] for part in metrics["calibration"]) == 60
    assert set(metrics["telling_words"]["good"]) & {"harbour", "keeper", "lamp"}
    assert not set(metrics["telling_words"]["good"]) & {"casino", "click", "buy"}
    json.dumps(card)


def test_noise_is_not_learnt():
    labels = [label for label, _ in pairs(600)]
    texts = [text for _, text in pairs(600, seed=9)]
    shuffled = list(
        zip(labels[7:] + labels[:7], texts, strict=True)
    )  # labels that do not belong to the texts
    card = train_classifier(shuffled, SMALL, "good").card
    assert abs(card["metrics"]["roc_auc"] - 0.5) < 0.25


def test_three_labels_have_no_score():
    card = train_classifier([*pairs(200), *[("other", f"zebra {n} giraffe") for n in range(60)]], SMALL).card
    assert card["positive"] is None
    assert "roc_auc" not in card["metrics"]
    assert set(card["metrics"]["labels"]) == {"good", "poor", "other"}


def test_quantized_models_are_small_and_the_same_each_time(tmp_path):
    settings = SMALL._replace(quantize=True, dim=16, bucket=5000)
    quantized = train_classifier(pairs(200), settings)
    assert quantized.model == train_classifier(pairs(200), settings).model
    assert (
        len(quantized.model) < len(train_classifier(pairs(200), settings._replace(quantize=False)).model) / 3
    )


def test_duplicates_and_conflicts():
    rows = prepared(
        [("a", "one"), ("a", " one\n"), ("b", "two"), ("a", "two"), ("a", "\t"), ("b", "three")], SMALL
    )
    kept, duplicates, conflicts = distinct(rows)
    assert sorted((row.label, row.text) for row in kept) == [("__label__a", "one"), ("__label__b", "three")]
    assert (duplicates, conflicts) == (2, 1)


def test_texts_cannot_smuggle_labels():
    rows = prepared([("a b", "x __label__b </s> y\x00z\nw")], SMALL)
    assert (rows[0].label, rows[0].text) == ("__label__a-b", "x b y z w")


def test_preparation():
    rows = prepared([("a", "  ÄB cd")], SMALL._replace(lowercase=True, max_chars=4))
    assert rows[0].text == "äb c"


def test_the_split_is_by_content_and_label():
    rows, _, _ = distinct(prepared(pairs(300), SMALL))
    train, held_out = split_rows(rows, 0.2)
    assert len(train) + len(held_out) == len(rows)
    assert {row.digest for row in train}.isdisjoint(row.digest for row in held_out)
    assert sum(row.label == "__label__good" for row in held_out) == 20
    fewer = [row for number, row in enumerate(rows) if number % 10]
    moved = {row.digest for row in split_rows(fewer, 0.2)[1]} - {row.digest for row in held_out}
    assert len(moved) <= 12  # what is taken away moves the border a little, not the rows about
    assert split_rows(rows, 0.0)[1] == []


def test_figures_against_plain_counting():
    rng = np.random.default_rng(3)
    gold, scores = rng.random(80) < 0.4, np.round(rng.random(80), 1)
    wins = [(p > n) + 0.5 * (p == n) for p in scores[gold] for n in scores[~gold]]
    assert roc_auc(gold, scores) == pytest.approx(np.mean(wins))
    assert roc_auc(gold[gold], scores[gold]) is None
    for part in calibration(gold, scores):
        inside = [
            g for g, s in zip(gold, scores, strict=True) if part["from"] <= s < part["to"] + (part["to"] == 1)
        ]
        assert part["documents"] == len(inside)
        assert part["positive_rate"] == (round(float(np.mean(inside)), 4) if inside else None)
    found = label_metrics(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0]), ["a", "b", "c"])
    assert found["b"] == {"precision": 0.6667, "recall": 0.6667, "f1": 0.6667, "documents": 3}
    assert found["c"] == {"precision": None, "recall": None, "f1": None, "documents": 0}


def test_warnings():
    assert warnings_of({"a": 100, "b": 90}) == []
    found = warnings_of({"a": 3000, "b": 10})
    assert "label 'b' has 10 documents" in found[0]
    assert "3000 documents of 'a' against 10 of 'b'" in found[1]


@pytest.mark.parametrize(
    ("rows", "positive", "message"),
    [
        ([], None, "0 different texts with no label"),
        ([("a", "x"), ("a", "y")], None, "2 different texts with the one label 'a'"),
        ([("a", "x"), ("b", "x")], None, "0 different texts"),
        ([("a", "x y"), ("b", "z w")], None, "must remain to train on"),
        (pairs(30), "best", "no text has the label 'best'; the labels are"),
    ],
)
def test_what_cannot_be_trained(rows, positive, message):
    with pytest.raises(ValueError, match=message):
        train_classifier(rows, SMALL, positive)


def test_words_too_rare_to_train_on():
    with pytest.raises(ValueError, match="no word occurs 99 times in 36 texts; lower min_count"):
        train_classifier(
            [("a" if n % 2 else "b", f"w{n} v{n}") for n in range(40)], SMALL._replace(min_count=99)
        )


def write(path, rows):
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    packed = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}.get(path.suffix, bytes)
    path.write_bytes(packed(data))
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_reading(suffix, tmp_path):
    rows = [
        {"text": "é\n", "label": True},
        {"text": None, "label": 3, "more": []},
        {"text": "x", "label": "hq"},
    ]
    found = list(read_labelled(write(tmp_path / f"a.{suffix}", rows), "text", "label"))
    assert found == [("true", "é\n"), ("3", ""), ("hq", "x")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", ":2: not JSON"),
        ("[1]", ":2: a line must be an object"),
        ('{"text": "x"}', r":2: no field 'label'; it has \['text'\]; name another with --label"),
        ('{"label": "x"}', "name another with --text"),
        ('{"text": "x", "label": null}', "the label is None"),
        ('{"text": "x", "label": ""}', "the label is ''"),
        ('{"text": 3, "label": "a"}', "'text' is int, not a string"),
    ],
)
def test_lines_that_do_not_fit(line, message, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "ok", "label": "a"}\n' + line + "\n\n")
    with pytest.raises(ValueError, match=message):
        list(read_labelled(tmp_path / "a.jsonl", "text", "label"))


def cli():
    app = typer.Typer()
    app.command()(command)
    return app


def test_the_command(tmp_path):
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"]
    rows = [{"body": text, "kind": label} for label, text in pairs(300)]
    write(files[0], rows[:100])
    write(files[1], rows[100:])
    out = tmp_path / "deep" / "model.bin"
    options = [
        "--text",
        "body",
        "--label",
        "kind",
        "--positive",
        "good",
        "--dim",
        "8",
        "--bucket",
        "999",
        "--epochs",
        "15",
    ]
    done = CliRunner().invoke(cli(), [*map(str, files), "--output", str(out), *options])
    assert done.exit_code == 0, done.output
    assert "score of 'good': ROC AUC 1.000" in done.output
    card = json.loads(out.with_name("model.bin.json").read_text())
    assert card["model_sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert [part["rows"] for part in card["data"]] == [100, 200]
    assert card["data"][0]["sha256"] == hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert sorted(load_fasttext(out).labels) == ["__label__good", "__label__poor"]
    assert not [p for p in out.parent.iterdir() if p.name.startswith(".")]


def test_the_commands_errors(tmp_path):
    defaults = {"files": [tmp_path / "absent.jsonl"], "output": tmp_path / "m.bin"}
    with pytest.raises(DataError, match=r"absent\.jsonl: No such file"):
        command(**defaults)
    write(tmp_path / "empty.jsonl", [])
    with pytest.raises(PipelineError, match="0 different texts"):
        command(**{**defaults, "files": [tmp_path / "empty.jsonl"]})
    write(tmp_path / "odd.jsonl", [{"a": 1}])
    with pytest.raises(PipelineError, match=r"odd\.jsonl:1: no field 'text'"):
        command(**{**defaults, "files": [tmp_path / "odd.jsonl"]})
    assert not (tmp_path / "m.bin").exists()


def batch_of(rows, start=0):
    ids = [f"s/{start + number}" for number in range(len(rows))]
    return pa.record_batch(
        {
            "id_hash": id_hashes(ids),
            "text": pa.array([text for _, text in rows], pa.large_string()),
            "source": pa.array(["books" if label == "good" else "web" for label, _ in rows])
            .dictionary_encode()
            .cast(SOURCE.type),
        }
    )


def run_sink(stage, batches, root):
    root.mkdir()
    shards = []
    for number, part in enumerate(batches):
        out = root / str(number)
        out.mkdir()
        info = stage.write(iter(part), out, None)
        files = [(out / file).rename(root / f"{number:05d}-{file}").name for file in info.files]
        shards.append(ShardInfo(files, info.rows, info.meta))
    stage.commit(shards, root, None)
    stage.commit(shards, root, None)
    return root


def test_a_model_from_two_sources(tmp_path):
    rows = [*pairs(300), ("good", None), ("poor", "")]
    stage = TrainQualityClassifier(positive=["books"], epochs=15, dim=8, bucket=999, min_count=1)
    batch = batch_of(rows)
    whole = run_sink(stage, [[batch]], tmp_path / "whole")
    cuts = [batch.slice(a, b - a) for a, b in pairwise([0, 40, 41, 200, len(rows)])]
    parts = run_sink(stage, [cuts[:2], [], cuts[2:]], tmp_path / "parts")
    assert (whole / "model.bin").read_bytes() == (parts / "model.bin").read_bytes()
    assert (whole / "manifest.json").read_bytes() == (parts / "manifest.json").read_bytes()
    assert not list(parts.glob("*sample*"))
    manifest = json.loads((whole / "manifest.json").read_text())
    assert manifest["rows"] == 302
    assert manifest["trained_on"] == {"negative": 180, "positive": 90}
    classify = ClassifyText()
    marks = classify.annotate(batch, classify.open({"model": whole}))
    scores = marks.columns["quality_score"].to_pylist()
    assert all(
        (score > 0.5) == (label == "good") for (label, _), score in zip(rows[:300], scores, strict=False)
    )


def test_the_sample_is_bounded(tmp_path):
    stage = TrainQualityClassifier(
        positive=["books"], max_documents=30, epochs=5, dim=8, bucket=999, min_count=1
    )
    batch = batch_of(pairs(300))
    folder = run_sink(stage, [[batch.slice(k, 50)] for k in range(0, 300, 50)], tmp_path / "some")
    assert json.loads((folder / "manifest.json").read_text())["trained_on"] == {
        "negative": 27,
        "positive": 27,
    }


def test_both_kinds_are_needed(tmp_path):
    stage = TrainQualityClassifier(positive=["papers"])
    with pytest.raises(ValueError, match="0 documents with a text are positive"):
        run_sink(stage, [[batch_of(pairs(20))]], tmp_path / "none")


def test_another_label_column():
    assert (
        TrainQualityClassifier(positive=["a"], label_column="kind").reads().field("kind").type == pa.string()
    )
