"""Marks and training: calibrated scores, thresholds, what is never accused, and weights of one's own."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline.errors import DataError
from stages.signals._machine_fit import (
    NEVER,
    balanced,
    choose_threshold,
    fit_logistic,
    fit_model,
    rank_auc,
    set_threshold,
)
from stages.signals._machine_model import (
    KINDS,
    LinearModel,
    feature_matrix,
    load_models,
    score,
    to_json,
    transform,
)
from stages.signals._machine_reference import load_tables
from stages.signals.machine_text import MACHINE_TEXT_SIGNALS, machine_text_signals
from stages.signals.machine_text_mark import DEFAULT_WEIGHTS, MarkMachineText, choose_kinds, is_dense
from stages.signals.train_machine_text import read_labelled, train_machine_text

TABLES = load_tables()
CLEAN = (
    "The old lamp stood on the table by the window, and when the evening came my father would light it and read to us "
    "from one of the few books that we had. We sat on the floor and listened, for there was nothing else to do in the "
    "winter, and nobody wanted to go to bed before the story had come to its end. "
) * 3
NOISY = (
    "The old larnp stood on tlie table by the w indow, and wlien the evening came my fatber would light it and read to "
    "us frorn one of the few books tbat we had. We sat on the fioor and listened, for there was notbing else to do in "
    "tlie winter, aud nobody wanted to go to bed before the story liad come to its e nd. "
) * 3
GARBLED = (
    "Tlie oid larnp sto0d ou tlie tahlc hy tlie w indow, aud wlieu tlie eveuiug carue rny fatber wouid ligbt jt aud "
    "rcad lo us frorn oue oi tlie fcw hooks tbat we liad. We sal ou tlie fioor aud listeued, ior tbere vvas notliiug. "
) * 3
GERMAN = (
    "Die alte Lampe stand auf dem Tisch am Fenster, und wenn der Abend kam, las uns der Vater daraus vor. "
    * 8
)


def marks(*texts, **params):
    stage = MarkMachineText(**params)
    batch = pa.record_batch(machine_text_signals(pa.array(texts, pa.large_string()), TABLES))
    found = stage.annotate(batch, stage.open({}))
    assert found.reject is None
    return {name: array.to_pylist() for name, array in found.columns.items()}


def model(kind="ocr_noise", threshold=0.5, **changes):
    whole = LinearModel(
        ("ocr_known_words",),
        np.zeros(1),
        np.ones(1),
        np.array([-4.0]),
        2.0,
        (1.0, 0.0),
        threshold,
        {"style_words": 3},
        {},
    )
    return {kind: whole._replace(**changes)}


def write(path, models):
    path.write_text(to_json(models), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (CLEAN, "human"),
        (GERMAN, "human"),
        (NOISY, "ocr_noise"),
        (GARBLED, None),  # so little of it is known that it might be another language
        ("As an AI language model, I cannot have a favourite colour.", "language_model"),
        ("Als KI-Sprachmodell habe ich keine Gefühle.", "language_model"),
        ("This page has been automatically translated.", "machine_translation"),
        ("Select language. " + CLEAN, "human"),  # a widget is no mark: the page may be the original
        (
            "It is important to note that we delve into a rich tapestry.",
            None,
        ),  # a cliche alone accuses nobody
        (CLEAN * 5 + "“As an AI language model, I cannot”, it said.", "human"),  # quoted once in a long text
        ("Too short to judge.", None),
        ("吾輩は猫である。名前はまだ無い。" * 20, None),
        ("Смешанный текст без единой латинской буквы и без английских слов. " * 10, None),
        ("", None),
        (None, None),
    ],
)
def test_what_is_marked(text, kind):
    assert marks(text)["machine_text"] == [kind]


def test_scores_are_probabilities_and_null_where_not_judged():
    found = marks(CLEAN, NOISY, GERMAN, "short")
    assert found["ocr_noise_score"][0] < 0.1 < 0.99 < found["ocr_noise_score"][1]
    assert found["ocr_noise_score"][3] is None
    assert found["language_model_score"][2] is None  # trained on English only
    assert 0 <= found["language_model_score"][0] <= 1
    assert found["machine_translation_score"] == [None] * 4  # no data to train it on


def test_the_default_never_marks_style_alone():
    """On its own data it finds too little for a mark to say anything, so only the score is written."""
    weak = load_models(DEFAULT_WEIGHTS)["language_model"]
    assert weak.threshold > 1
    assert "only scores" in weak.card["summary"]


def test_the_plan_says_from_when_a_kind_is_marked():
    ocr, style = MarkMachineText(thresholds={"ocr_noise": 0.9}).describe()
    assert ocr.startswith("ocr_noise: marked from a score of 0.9 (held-out AUC")
    assert style.startswith("language_model: scored, never marked by it (")


def test_thresholds_can_be_set_and_kinds_turned_off():
    assert marks(NOISY, thresholds={"ocr_noise": 2.0})["machine_text"] == [None]  # nobody vouches
    assert marks(CLEAN, thresholds={"language_model": 0.0})["machine_text"] == ["language_model"]
    assert marks("As an AI language model", max_words_per_disclosure=None)["machine_text"] == [None]
    assert marks("automatically translated", max_words_per_translation_mark=None)["machine_text"] == [None]


def test_a_batch_does_not_change_a_score():
    texts = [CLEAN, NOISY, GERMAN, "short", None, CLEAN[:300], NOISY[:400]]
    assert marks(*texts) == {k: [marks(t)[k][0] for t in texts] for k in marks(CLEAN)}


def test_empty_batches_and_declared_columns():
    stage = MarkMachineText()
    batch = pa.record_batch(machine_text_signals(pa.array([], pa.large_string()), TABLES))
    found = stage.annotate(batch, stage.open({})).columns
    assert {k: v.type for k, v in found.items()} == {f.name: f.type for f in stage.writes()}
    assert all(len(v) == 0 for v in found.values())


def test_what_it_reads_is_what_its_model_names(tmp_path):
    default = MarkMachineText().reads()
    assert all(MACHINE_TEXT_SIGNALS.field(f.name) == f for f in default)
    path = write(tmp_path / "w.json", model(features=("perplexity",)))
    assert MarkMachineText(model=path).reads().names == [
        "lm_disclosures",
        "mt_marks",
        "perplexity",
        "style_words",
    ]
    assert MarkMachineText(model=str(tmp_path / "none.json")).reads().names == [
        "lm_disclosures",
        "mt_marks",
        "style_words",
    ]


def test_any_number_column_can_be_a_feature(tmp_path):
    path = write(tmp_path / "w.json", model(features=("perplexity",), mean=np.array([10.0])))
    stage = MarkMachineText(model=path)
    columns = machine_text_signals(pa.array([CLEAN, CLEAN], pa.large_string()), TABLES)
    batch = pa.record_batch({**columns, "perplexity": pa.array([25.0, 400.0], pa.float64())})
    assert stage.annotate(batch, stage.open({})).columns["machine_text"].to_pylist() == ["ocr_noise", "human"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"thresholds": {"gpt": 0.5}},
            r"thresholds: 'gpt' is no kind of machine text; write one of ocr_noise",
        ),
        (
            {"thresholds": {"machine_translation": 0.5}},
            r"has no model for 'machine_translation', only for ocr_noise",
        ),
    ],
)
def test_params_that_cannot_work(params, message):
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(MarkMachineText(**params).problems())
    assert MarkMachineText().problems() == []


@pytest.mark.parametrize("params", [{"max_words_per_disclosure": 0}, {"thresholds": 0.5}, {"treshold": 1}])
def test_params_of_the_wrong_kind(params):
    with pytest.raises(ValidationError):
        MarkMachineText(**params)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "not a machine-text weights file"),
        ("[]", "not a machine-text weights file"),
        ('{"format": "x", "kinds": {}}', "its format is 'x'"),
        ('{"format": "corpusmill-machine-text-1", "kinds": {}}', r"kinds \[\] are none of"),
        ('{"format": "corpusmill-machine-text-1", "kinds": {"a": {}}}', "not a machine-text weights file"),
    ],
)
def test_a_broken_weights_file_is_a_problem(tmp_path, content, message):
    path = tmp_path / "w.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_models(path)
    assert "model: " in MarkMachineText(model=str(path)).problems()[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [1.0, 2.0]}, "must have 1 numbers each"),
        ({"scale": [0.0]}, "every scale above 0"),
        ({"bias": math.nan}, "must be finite"),
    ],
)
def test_bad_numbers_in_a_weights_file_are_refused(tmp_path, change, message):
    content = json.loads(to_json(model()))
    content["kinds"]["ocr_noise"] |= change
    path = tmp_path / "w.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        load_models(path)


def test_weights_survive_the_file(tmp_path):
    path = tmp_path / "w.json"
    before = load_models(DEFAULT_WEIGHTS)
    path.write_text(to_json(before))
    after = load_models(path)
    assert to_json(after) == to_json(before) == DEFAULT_WEIGHTS.read_text(encoding="utf-8")


def test_kinds_are_chosen_by_hand():
    no, yes = np.zeros(4, bool), np.array([False, False, False, True])
    scores = {
        "ocr_noise": np.array([0.9, 0.6, np.nan, 0.9]),
        "language_model": np.array([0.8, 0.95, np.nan, np.nan]),
    }
    limits = {"ocr_noise": 0.7, "language_model": 0.7}
    assert choose_kinds(scores, limits, no, no) == ["ocr_noise", "language_model", None, "ocr_noise"]
    assert choose_kinds(scores, limits, no, yes)[3] == "machine_translation"
    assert choose_kinds(scores, limits, yes, yes)[3] == "language_model"
    assert choose_kinds({}, {}, no, no) == [None] * 4


def test_density_by_hand():
    marks_, words = pa.array([0, 1, 1, 2, None]), pa.array([10, 300, 301, 600, None])
    assert is_dense(marks_, words, 300).tolist() == [False, True, False, True, False]


# --- fitting -----------------------------------------------------------------------------------------------


def test_newton_finds_what_small_steps_find():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 3))
    y = (x @ [1.0, -2.0, 0.0] + rng.normal(size=300) > 0.3).astype(float)
    weight = balanced(y, np.ones(300))
    w, b = fit_logistic(x, y, weight, 2.0)
    slow, slow_b = np.zeros(3), 0.0
    for _ in range(20_000):
        p = 1 / (1 + np.exp(-(x @ slow + slow_b)))
        slow -= 0.003 * (x.T @ (weight * (p - y)) + 2.0 * slow)
        slow_b -= 0.003 * (weight * (p - y)).sum()
    assert np.allclose([*w, b], [*slow, slow_b], atol=1e-5)


def test_separable_data_has_a_finite_answer():
    x = np.array([[-1.0], [1.0]] * 20)
    w, _ = fit_logistic(x, (x[:, 0] > 0).astype(float), np.ones(40), 0.1)
    assert 1 < w[0] < 20


def test_calibrated_scores_are_frequencies():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(4000, 1))
    y = (rng.random(4000) < 1 / (1 + np.exp(-2 * transform(values[:, 0])))).astype(float)
    fitted, held_out = fit_model(values, y, [str(k) for k in range(4000)], ["x"], 1.0, {})
    for low in (0.2, 0.4, 0.6, 0.8):
        band = (held_out >= low) & (held_out < low + 0.1)
        assert band.sum() > 50
        assert abs(y[band].mean() - held_out[band].mean()) < 0.12
    assert np.abs(score(fitted, values) - held_out).max() < 0.05


def test_held_out_scores_never_saw_their_group():
    """Labels that depend on the group alone cannot be learnt from other groups."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(60), 10)
    values = (rng.normal(size=(60, 8)))[groups]
    y = (groups % 2).astype(float)
    _, held_out = fit_model(values, y, [str(g) for g in groups], list("abcdefgh"), 0.01, {})
    assert rank_auc(y, held_out) < 0.75


def test_auc_against_all_pairs():
    rng = np.random.default_rng(3)
    y, s = (rng.random(200) < 0.4).astype(float), rng.integers(0, 20, 200) / 20
    pairs = [(a > b) + 0.5 * (a == b) for a in s[y == 1] for b in s[y == 0]]
    assert rank_auc(y, s) == pytest.approx(np.mean(pairs))
    assert math.isnan(rank_auc(np.ones(3), s[:3]))


def test_a_threshold_spares_every_slice():
    scores = {"a": np.linspace(0, 0.6, 200), "b": np.linspace(0, 0.95, 100), "few": np.array([0.97])}
    limit = choose_threshold(scores, 0.01)
    assert all((s >= limit).mean() <= 0.01 for s in scores.values())
    assert choose_threshold({"a": np.array([1.0])}, 0.01) > 1


def test_a_weak_model_only_scores():
    y = np.repeat([0.0, 1.0], 500)
    same = np.tile(np.linspace(0, 1, 500), 2)
    assert set_threshold(y, same, ["all"] * 1000, 0.01)[0] == NEVER
    apart = np.where(y > 0, 0.9, 0.1)
    threshold, said = set_threshold(y, apart, ["all"] * 1000, 0.01)
    assert threshold == 0.5
    assert "finds 100.0%" in said


def test_missing_signals_count_as_average():
    found = model(mean=np.array([1.0]))["ocr_noise"]
    assert score(found, np.array([[np.nan], [1.0]])).tolist() == pytest.approx([1 / (1 + math.exp(-2))] * 2)


def test_one_odd_number_cannot_do_more_than_the_clip():
    found = model()["ocr_noise"]
    assert score(found, np.array([[1e300]])) == score(found, np.array([[16.0]]))


def test_integer_columns_are_features_too():
    assert feature_matrix({"a": pa.array([1, None], pa.int32())}, ("a",))[0, 0] == 1.0


# --- the command -------------------------------------------------------------------------------------------


def labelled(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", encoding="utf-8")
    return path


def many(n=60):
    rows = []
    for k in range(n):
        rotated = CLEAN[k * 7 :] + CLEAN[: k * 7]
        rows.append({"text": rotated, "label": "human", "group": f"h{k}", "perplexity": 200 + k})
        rows.append(
            {
                "text": NOISY[k * 7 :] + NOISY[: k * 7],
                "label": "ocr_noise",
                "group": f"n{k}",
                "perplexity": 900 + k,
            }
        )
    return rows


def test_trained_weights_mark_what_they_were_trained_on(tmp_path, capsys):
    output = tmp_path / "made" / "w.json"
    train_machine_text(labelled(tmp_path / "l.jsonl", many()), output, None, 0.05, 1.0, 40)
    assert "ocr_noise: held-out AUC 1.000" in capsys.readouterr().out
    assert marks(NOISY, CLEAN, model=str(output))["machine_text"] == ["ocr_noise", "human"]
    first = output.read_bytes()
    train_machine_text(tmp_path / "l.jsonl", output, None, 0.05, 1.0, 40)
    assert output.read_bytes() == first


def test_a_number_of_ones_own_becomes_a_feature(tmp_path):
    output = tmp_path / "w.json"
    train_machine_text(labelled(tmp_path / "l.jsonl", many()), output, ["perplexity"], 0.05, 1.0, 40)
    assert "perplexity" in load_models(output)["ocr_noise"].features
    assert "perplexity" in MarkMachineText(model=str(output)).reads().names


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"l.jsonl:1: not JSON"),
        ("[1]", r"l.jsonl:1: has no string `text`"),
        ('{"text": 3, "label": "human"}', r"l.jsonl:1: has no string `text`"),
        ('{"text": "a", "label": "robot"}', r"label is 'robot'; write 'human' or one of ocr_noise"),
        ('{"text": "a", "label": "human", "perplexity": "x"}', r"perplexity is 'x'; write a number or null"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "l.jsonl"
    path.write_text(line)
    with pytest.raises(DataError, match=message):
        read_labelled(path, ["perplexity"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": CLEAN, "label": "human"}], r"no text is labelled as machine text"),
        (many(5), r"ocr_noise: 5 texts of it and 5 human ones, in 10 groups"),
        (
            [{"text": "short", "label": k} for k in ("human", "ocr_noise") for _ in range(50)],
            r"0 texts of it and 0 human",
        ),
    ],
)
def test_too_few_texts_are_refused(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        train_machine_text(labelled(tmp_path / "l.jsonl", rows), tmp_path / "w.json", None, 0.01, 1.0, 40)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none.jsonl: cannot be read"):
        read_labelled(tmp_path / "none.jsonl", [])


def test_every_kind_has_a_column():
    assert [f"{kind}_score" for kind in KINDS] == MarkMachineText().writes().names[1:]
