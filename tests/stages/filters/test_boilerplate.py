"""Placeholder, code and policy text: one text for each reason, the columns, languages, and what must stay."""

import pyarrow as pa
import pytest

from pipeline.schema import TEXT
from stages.filters.boilerplate import COLUMNS, BoilerplateRules, Reason

PROSE = "The keeper climbed up to his lamp that evening; the stairs seemed long.\nThen he slept (and dreamt)."
CODE = "int main() {\n  int x = 3;\n  print(x);\n  return x;\n}\nA program."
POLICY = (
    "This page uses cookies to know you better. See our Privacy Policy.\nAccept all cookies to go on.\nMore."
)


def judge(stage, *texts):
    batch = pa.record_batch({"text": pa.array(texts, TEXT.type)})
    marks = stage.annotate(batch, stage.open({}))
    assert {name: array.type for name, array in marks.columns.items()} == dict(
        zip(COLUMNS.names, COLUMNS.types, strict=True)
    )
    columns = {name: array.to_pylist() for name, array in marks.columns.items()}
    return columns, marks.reject.to_pylist(), marks.evidence.to_pylist()


@pytest.mark.parametrize(
    ("reason", "text", "signal", "value"),
    [
        (Reason.PLACEHOLDER_TEXT, PROSE + "\nLorem ipsum dolor sit amet.", "placeholder_line_count", 1),
        (Reason.SOURCE_CODE, CODE, "code_line_fraction", 4 / 6),
        (Reason.POLICY_TEXT, POLICY, "policy_word_fraction", 18 / 19),
    ],
)
def test_each_reason(reason, text, signal, value):
    columns, reasons, evidence = judge(BoilerplateRules(), text, PROSE)
    assert reasons == [reason, None]
    assert columns[signal][0] == pytest.approx(value)
    assert columns[signal][1] == 0
    assert evidence[0]["signal"] == signal
    assert evidence[0]["value"] == pytest.approx(value)


def test_rules_can_be_off_and_the_columns_stay():
    stage = BoilerplateRules(max_placeholder_lines=None, max_code_lines=None, max_policy_words=None)
    batch = pa.record_batch({"text": pa.array([CODE], TEXT.type)})
    marks = stage.annotate(batch, stage.open({}))
    assert marks.reject is None
    assert marks.columns["code_line_fraction"].to_pylist() == [pytest.approx(4 / 6)]


@pytest.mark.parametrize(
    "text",
    [
        "Diese Seite verwendet Cookies und mehr.",
        "NOTRE POLITIQUE DE CONFIDENTIALITÉ est ici",
        "Lea nuestra Política de privacidad ahora",
        "Наша политика конфиденциальности здесь",
        "请阅读我们的隐私政策。",
        "プライバシーポリシーをお読みください。",
    ],
)
def test_policies_in_other_languages(text):
    assert judge(BoilerplateRules(), text)[1] == ["policy_text"]


@pytest.mark.parametrize(
    "text",
    [
        "Artikel 1; Artikel 2;\n(a) wenn es regnet;\n(b) wenn es schneit;\n(c) sonst;",  # a law's list
        "It rained; it snowed;\nthe cookies were good;\nno policy was private;",
        "A set is written {1, 2} in mathematics.\nIt is a set.",
        "",
    ],
)
def test_prose_with_semicolons_and_braces_stays(text):
    assert judge(BoilerplateRules(), text)[1:] == ([None], [None])


def test_nothing_to_measure_is_null():
    columns, reasons, _ = judge(BoilerplateRules(), None, "", " \n")
    assert columns == {
        "placeholder_line_count": [0] * 3,
        "code_line_fraction": [None] * 3,
        "policy_word_fraction": [None] * 3,
    }
    assert reasons == [None] * 3
    assert judge(BoilerplateRules())[1] == []


@pytest.mark.parametrize("unit", ["cookie polic", "{;", "lorem ipsu", "\0", "汉;", ";\n"])
def test_hostile_text_is_linear(unit):
    columns, _, _ = judge(BoilerplateRules(), unit * (2_000_000 // len(unit.encode())) + " use cookies")
    assert columns["policy_word_fraction"][0] > 0


def test_params_are_checked():
    assert BoilerplateRules().problems() == []
    assert "blank" in BoilerplateRules(policy_phrases=("",)).problems()[0]
