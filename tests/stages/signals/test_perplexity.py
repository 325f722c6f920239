"""The perplexity stage: buckets, bounds, models by node and by file, and the node that trains one."""

import json
import re
import tempfile
import unicodedata
from pathlib import Path

import kenlm
import numpy as np
import pyarrow as pa
import pytest
import sentencepiece
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.schema import id_hashes
from stages.signals._kenlm import KenlmScorer, ccnet_text
from stages.signals._lm_arpa import arpa_parts
from stages.signals._lm_model import build_model, load_model, score
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
    for name in (
        "model.json",
        "model.arpa",
        "manifest.json",
        "grams.npy",
        "values.npy",
        "unigrams.npy",
        "words.npy",
    ):
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


def slow_ccnet(text):
    """CCNet's preparation a step and a character at a time."""
    lowered = unicodedata.normalize("NFD", text.strip().lower())
    plain = "".join(c for c in lowered if unicodedata.category(c) != "Mn")
    digits = re.sub(r"\d", "0", plain)
    marks = {"“": '"', "”": '"', "«": '"', "»": '"', "’": "'", "—": " - ", "…": "...", "，": ",", "！": "!"}
    replaced = "".join(marks.get(c, c) for c in digits)
    return re.sub("[\x00-\x1f\x7f-\x9f]", "", replaced)


@given(st.text("aÉß4٣１é\u0301\u0308ñ“”«»‘’—…，！\n\t\x85\xad 灯が한\U0001d7d8", max_size=40))
@example("  «Élan» — 24 % ！\n")
def test_ccnet_preparation(text):
    assert ccnet_text(text) == slow_ccnet(text)


def test_pieces_are_scored_as_one_line(tmp_path):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.lower() for text in DOCUMENTS),
        model_prefix=str(tmp_path / "pieces"),
        vocab_size=36,
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "pieces.model"))
    names = sorted({piece for text in DOCUMENTS for piece in processor.encode(text.lower(), out_type=str)})
    path = tmp_path / "model.arpa"
    entries = "".join(
        f"-{1 + k / 50:.2f}\t{name}\t0\n" for k, name in enumerate(["<unk>", "<s>", "</s>", *names])
    )
    head = f"\\data\\\nngram 1={len(names) + 3}\nngram 2=1\n\n\\1-grams:\n"
    path.write_text(f"{head}{entries}\n\\2-grams:\n-0.5\t<s> {names[-1]}\n\n\\end\\\n", "utf-8")
    binary = path.rename(tmp_path / "model.bin")
    text = "The Keeper\nlit the LÁMP."
    pieces = processor.encode("the keeperlit the lamp.", out_type=str)  # CCNet takes the line feed out
    expected = 10 ** (-kenlm.Model(str(binary)).score(" ".join(pieces)) / (len(pieces) + 1))
    stage = Perplexity(model=str(binary), sentencepiece=str(tmp_path / "pieces.model"))
    found = stage.open({}).score(column(text, None, "\n", "§§"))
    assert found.perplexity.tolist()[0] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(found.perplexity).tolist() == [False, True, True, False]
    assert found.unknown[0] == 0
    assert found.unknown[3] > 0


@settings(deadline=None, max_examples=30)
@given(st.text("灯塔aÉ\u0301\xad\u200c_-’. \nΣςが\u3099", max_size=30))
def test_words_are_ours_in_a_kenlm_model(text):
    known = "灯塔 a aé é Σς σσ が\u3099 aa É\u0301 a_a a’a ς"
    built = build_model([column(known)], 2, 1, 1000, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.arpa"
        path.write_text("".join(arpa_parts(built)), "utf-8")
        theirs = KenlmScorer(str(path), None).score(column(text))
    ours = score(built.model, column(text))
    assert theirs.perplexity == pytest.approx(ours.perplexity, rel=1e-4, nan_ok=True)
    assert theirs.unknown == pytest.approx(ours.unknown, nan_ok=True)


def test_a_file_that_is_no_sentencepiece_model(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text("".join(arpa_parts(build_model([column(*DOCUMENTS)], 2, 1, 1000, 0))), "utf-8")
    (tmp_path / "bad.model").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"bad\.model: no SentencePiece model"):
        KenlmScorer(str(path), str(tmp_path / "bad.model"))


def test_no_cuts_no_bucket():
    assert bucket_of(pa.array([1.0]), None).to_pylist() == [None]
