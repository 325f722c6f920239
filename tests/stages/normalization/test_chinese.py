"""convert_chinese: words before characters, no Japanese or Korean, and what `lang` decides."""

import pyarrow as pa
import pytest
from pydantic import ValidationError

from stages.normalization.chinese import CONFIGS, EVIDENCE_TYPE, ConvertChinese, convertible


def convert(texts, langs=None, **params):
    columns = {"text": pa.array(texts, pa.large_string())}
    if langs is not None:
        columns["lang"] = pa.array(langs, pa.string())
    stage = ConvertChinese(**{"to": "simplified", **params})
    assert not stage.problems()
    marks = stage.annotate(pa.record_batch(columns), stage.open({}))
    assert marks.columns["text"].type == pa.large_string()
    assert marks.evidence.type == EVIDENCE_TYPE
    assert marks.reject is None
    found = marks.columns["text"].to_pylist()
    changed = [old != new for old, new in zip(texts, found, strict=True)]
    assert marks.evidence.is_valid().to_pylist() == changed
    return marks


def one(text, lang="zh", **params):
    return convert([text], [lang], **params).columns["text"][0].as_py()


@pytest.mark.parametrize(
    ("params", "text", "converted"),
    [
        ({"to": "simplified"}, "漢語的頭髮與發展", "汉语的头发与发展"),
        ({"to": "traditional"}, "汉语的头发与发展", "漢語的頭髮與發展"),  # one 发, two characters
        ({"to": "traditional"}, "皇后在后面", "皇后在後面"),
        ({"to": "traditional", "region": "taiwan"}, "里面", "裡面"),
        ({"to": "traditional", "region": "hong_kong"}, "里面", "裏面"),
        ({"to": "traditional", "region": "taiwan", "phrases": True}, "软件", "軟體"),
        ({"to": "traditional", "region": "taiwan"}, "软件", "軟件"),
        ({"to": "simplified", "region": "taiwan", "phrases": True}, "軟體", "软件"),
        ({"to": "simplified"}, "ABC 123，「引號」\n\n第二行。\t", "ABC 123，「引号」\n\n第二行。\t"),
    ],
)
def test_converts(params, text, converted):
    assert one(text, **params) == converted


def test_evidence_counts_characters_and_gives_up_where_lengths_differ():
    marks = convert(["漢字", "汉字", None], ["zh", "zh", "zh"])
    assert marks.evidence.to_pylist() == [{"converted_to": "simplified", "chars_changed": 1}, None, None]
    marks = convert(["互联网"], ["zh"], to="traditional", region="taiwan", phrases=True)
    assert marks.columns["text"].to_pylist() == ["網際網路"]
    assert marks.evidence.to_pylist() == [{"converted_to": "traditional", "chars_changed": None}]


@pytest.mark.parametrize(
    ("text", "lang", "changes"),
    [
        ("東京の駅で電車に乗る", "ja", False),
        ("東京駅", "ja", False),  # no kana, but the language is known
        ("東京駅", None, True),  # nothing tells it from Chinese
        ("東京の駅", None, False),
        ("ﾄｳｷｮｳ東京", None, False),  # half-width kana
        ("漢字와 한글", None, False),
        ("漢字와 한글", "ko", False),
        ("漢語・對話", None, True),  # the middle dot is no kana
        ("漢語", None, True),
        ("漢語", "yue", True),
        ("漢語", "zh_Hant", True),
        ("漢語", "zh-Hant-TW", True),
        ("漢語", "cmn", True),
        ("漢語", "vi", False),
        ("漢語", "", False),
        ("plain text", "zh", False),
        ("", "zh", False),
    ],
)
def test_which_rows(text, lang, changes):
    assert (one(text, lang) != text) == changes


def test_without_a_language_column_scripts_decide():
    marks = convert(["漢語", "漢語です", "漢語 한", None, "", "word"])
    assert marks.columns["text"].to_pylist() == ["汉语", "漢語です", "漢語 한", None, "", "word"]


def test_lines_of_japanese_or_korean_inside_a_chinese_text_stay():
    text = "漢語一行\n東京の駅で電車\r\n漢語二行\n한국 漢字\n\n末行漢語"
    assert one(text) == "汉语一行\n東京の駅で電車\r\n汉语二行\n한국 漢字\n\n末行汉语"


def test_a_language_column_that_is_a_dictionary():
    lang = pa.array(["zh", "ja", None, "zh"]).dictionary_encode()
    rows, by_line = convertible(pa.array(["漢", "漢", "漢", "漢の"], pa.large_string()), lang)
    assert rows.to_pylist() == [True, False, True, True]
    assert by_line.to_pylist() == [False, False, False, True]


def test_no_rows_a_slice_and_a_huge_text():
    assert len(convert([], []).columns["text"]) == 0
    batch = pa.record_batch({"text": pa.array(["漢", "語", "x"], pa.large_string())}).slice(1)
    stage = ConvertChinese(to="simplified")
    assert stage.annotate(batch, stage.open({})).columns["text"].to_pylist() == ["语", "x"]
    assert one("漢語\n" * 100_000) == "汉语\n" * 100_000


@pytest.mark.parametrize(("params", "config"), CONFIGS.items())
def test_every_combination_exists(params, config):
    to, region, phrases = params
    stage = ConvertChinese(to=to, region=region, phrases=phrases)
    assert not stage.problems()
    assert stage.open({}).convert("word") == "word"
    assert config


def test_params_that_make_no_sense():
    assert "region" in ConvertChinese(to="simplified", phrases=True).problems()[0]
    with pytest.raises(ValidationError):
        ConvertChinese(to="pinyin")
    with pytest.raises(ValidationError):
        ConvertChinese()
