"""Languages line by line: shares, mixed pages, and lines cut, with the real lid.176."""

import pyarrow as pa
import pytest

from pipeline.models import fetch
from stages.kernels.fasttext_spans import text_heads, text_lines
from stages.signals.language import load_model
from stages.signals.paragraph_languages import IdentifyParagraphLanguages, Reason, cut_lines

ENGLISH = "The old bridge was closed for repairs, so we walked home along the river in the rain."
MORE = "Nobody had told the fishermen that the harbour would be empty until the end of the week."
GERMAN = "Die alte Brücke war wegen einer Reparatur gesperrt, und so gingen wir am Fluss nach Hause."
JAPANESE = "古い橋は修理のため通行止めだったので、私たちは雨の中を川沿いに歩いて帰りました。"


@pytest.fixture(scope="module")
def loaded():
    return load_model(fetch("lid176"))


def annotate(texts, loaded, **params):
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    stage = IdentifyParagraphLanguages(**params)
    marks = stage.annotate(batch, loaded)
    for field in stage.writes():
        assert marks.columns[field.name].type == field.type
    assert marks.columns.keys() == set(stage.writes().names)
    return marks


def column(marks, name):
    return marks.columns[name].to_pylist()


def test_one_language_and_two(loaded):
    marks = annotate([f"{ENGLISH}\n{MORE}", f"{ENGLISH}\n\n{GERMAN}\n{MORE}\nok"], loaded)
    assert column(marks, "main_language") == ["en", "en"]
    assert column(marks, "language_mix")[0] == [{"lang": "en", "fraction": 1.0}]
    letters = {key: sum(c.isalpha() for c in text) for key, text in (("en", ENGLISH + MORE), ("de", GERMAN))}
    mix = {entry["lang"]: entry["fraction"] for entry in column(marks, "language_mix")[1]}
    total = sum(letters.values()) + 2  # "ok" is not judged, but counts among all letters
    assert mix == pytest.approx({key: count / total for key, count in letters.items()})
    assert column(marks, "other_language_fraction") == pytest.approx(
        [0, letters["de"] / sum(letters.values())]
    )
    assert marks.reject.null_count == 2
    assert marks.evidence.null_count == 2


@pytest.mark.parametrize("text", [None, "", " \n\t\n", "Menu\nHome\nAbout us", "12 34 56 " * 30])
def test_nothing_to_judge(text, loaded):
    marks = annotate([text, ENGLISH], loaded, cut_other_than=["de"], max_other_fraction=0.0)
    assert column(marks, "main_language")[0] is None
    assert column(marks, "other_language_fraction")[0] is None
    assert column(marks, "language_mix")[0] == []
    assert marks.reject.to_pylist() == [None, Reason.NO_PARAGRAPH_KEPT]
    assert column(marks, "text")[0] == text


def test_mixed_pages_go_above_the_limit(loaded):
    text = f"{ENGLISH}\n{MORE}\n{GERMAN}"
    share = column(annotate([text], loaded), "other_language_fraction")[0]
    assert annotate([text], loaded, max_other_fraction=share).reject.to_pylist() == [None]
    marks = annotate([text], loaded, max_other_fraction=share - 1e-3)
    assert marks.reject.to_pylist() == [Reason.MIXED_LANGUAGES]
    assert marks.evidence[0].as_py()["main_language"] == "en"


def test_lines_in_other_languages_are_cut_with_evidence(loaded):
    text = f"{ENGLISH}\nHi\n\n  {GERMAN}\nKurz\n{JAPANESE}  \n{MORE}\n"
    marks = annotate([text, ENGLISH], loaded, cut_other_than=["en"])
    assert column(marks, "text") == [f"{ENGLISH}\nHi\n\n{MORE}", ENGLISH]
    assert marks.reject.to_pylist() == [None, None]
    evidence = marks.evidence.to_pylist()
    assert evidence[1] is None
    assert evidence[0]["removed_lines"] == 3
    found = [(span["lang"], text[span["start"] : span["end"]]) for span in evidence[0]["removed"]]
    assert found == [("de", GERMAN), (None, "Kurz"), ("ja", JAPANESE)]


def test_an_undecided_line_stays_beside_a_kept_one(loaded):
    marks = annotate(
        [f"Eins\n{GERMAN}\nZwei\n{GERMAN}\nDrei\n{ENGLISH}\nVier"], loaded, cut_other_than=["en"]
    )
    assert column(marks, "text") == [f"Drei\n{ENGLISH}\nVier"]


def test_a_text_without_a_kept_line_goes(loaded):
    marks = annotate([f"{GERMAN}\nKurz", f"{ENGLISH}"], loaded, cut_other_than=["en"])
    assert marks.reject.to_pylist() == [Reason.NO_PARAGRAPH_KEPT, None]
    assert marks.evidence[0].as_py()["removed_lines"] == 2


def test_rows_do_not_depend_on_the_batch(loaded):
    texts = [f"{ENGLISH}\n{GERMAN}", None, f"{GERMAN}\nx", "", JAPANESE * 3, f"{MORE}\n" * 50]
    whole = annotate(texts, loaded, cut_other_than=["en"])
    batch = pa.record_batch({"text": pa.array(["zz", *texts], pa.large_string())}).slice(1)
    sliced = IdentifyParagraphLanguages(cut_other_than=["en"]).annotate(batch, loaded)
    for name in whole.columns:
        assert sliced.columns[name].to_pylist() == column(whole, name)
        for row, text in enumerate(texts):
            assert column(annotate([text], loaded, cut_other_than=["en"]), name) == [column(whole, name)[row]]
    assert len(annotate([], loaded, cut_other_than=["en"]).columns["text"]) == 0


def test_cutting_keeps_what_is_between():
    text = "é\n\nbbb\n\n ccc\nd"
    left, spans = cut_lines(text, [(4, 7, "de"), (10, 13, "de")])
    assert left == "é\n\n\nd"
    assert [(text[s["start"] : s["end"]], s["lang"]) for s in spans] == [("bbb\n\n ccc", "de")]


def test_heads_and_lines_of_awkward_texts():
    texts = ["\u3000 a\u00a0橋b\x00 ", "\n\n x\n\ry\n", None, "\u2028", "\U00020000" * 3]
    data, starts, ends = text_heads(pa.array(texts, pa.large_string()), 3)
    assert [bytes(data[s:e]).decode() for s, e in zip(starts, ends, strict=True)] == [
        "a\u00a0橋",
        "x\n\ry"[:1],
        "",
        "",
        "\U00020000" * 3,
    ]
    lines = text_lines(pa.array(texts))
    found = [bytes(lines.data[s:e]).decode() for s, e in zip(lines.starts, lines.ends, strict=True)]
    assert found == ["a\u00a0橋b", "x", "y", "\U00020000" * 3]
    assert lines.rows.tolist() == [0, 1, 1, 4]
    assert lines.letters.tolist() == [5, 1, 1, 9]


@pytest.mark.parametrize(
    ("codes", "message"), [([], "an empty list"), (["eng"], "write 'en'"), (["English"], "no language code")]
)
def test_problems(codes, message):
    assert message in " ".join(IdentifyParagraphLanguages(cut_other_than=codes).problems())


def test_open_refuses_unknown_languages():
    assert not IdentifyParagraphLanguages(cut_other_than=["en"]).problems()
    with pytest.raises(ValueError, match="cut_other_than: the model lid176 knows no language 'xq'"):
        IdentifyParagraphLanguages(cut_other_than=["xq"]).open({})
