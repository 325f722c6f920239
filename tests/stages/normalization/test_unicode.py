"""repair_text: what it repairs, what it leaves alone, and that its fast path for ASCII changes nothing."""

import re
import unicodedata

import ftfy
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stages.normalization.unicode import EVIDENCE_TYPE, RepairText


def repair(texts, **params):
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    marks = RepairText(**params).annotate(batch, None)
    assert marks.columns["text"].type == pa.large_string()
    assert marks.evidence.type == EVIDENCE_TYPE
    assert marks.reject is None
    return marks


def one(text, **params):
    return repair([text], **params).columns["text"][0].as_py()


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        ("The Mona Lisa doesnÃ¢â‚¬â„¢t have eyebrows.", "The Mona Lisa doesn’t have eyebrows."),  # twice over
        ("schÃ¶ne GrÃ¼ÃŸe", "schöne Grüße"),
        ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "привет"),
        ("e\u0301te\u0301", "été"),  # NFC
        ("a\x00b\x1b[31mc\x7f\ufeff", "abc"),
        ("a\r\nb\rc\x0bd\x0ce\u2028f", "a\nb\nc\nd\ne\nf"),
        ("\n\n  text \t\n\n", "text"),
        ("a  \nb\t\n\nc", "a\nb\n\nc"),
        ("a\n\n\n\n\n\nb", "a\n\n\nb"),
    ],
)
def test_repairs(text, repaired):
    marks = repair([text])
    assert marks.columns["text"].to_pylist() == [repaired]
    assert marks.evidence[0].as_py() == {"chars_before": len(text), "chars_after": len(repaired)}


@pytest.mark.parametrize(
    "text",
    [
        "Plain text.\n\nWith paragraphs.",
        "def f():\n\treturn  1",  # indents and runs of blanks are code
        "“Curly” quotes – they’re what the author wrote…",
        "½ + ² = ﬁne",
        "ＡＢＣ ｶﾀｶﾅ",
        "&lt;p&gt; is a tag, AT&amp;T",
        "古い橋は修理のため通行止めだった。",
        "हिन्दी में लिखा गया है",
        "ガギグ й ё ไทย עִבְרִית",
        "naïve café, Ærøskøbing, Đà Nẵng",
        "👩‍🚀 👍🏽 ❤️",
        "word",
    ],
)
def test_leaves_alone(text):
    marks = repair([text])
    assert marks.columns["text"].to_pylist() == [text]
    assert marks.evidence.null_count == 1


@pytest.mark.parametrize(
    ("param", "text", "changed"),
    [
        ({"uncurl_quotes": True}, "“x”", '"x"'),
        ({"fix_latin_ligatures": True}, "ﬁne", "fine"),
        ({"fix_character_width": True}, "ＡＢＣ", "ABC"),
        ({"unescape_html": True}, "AT&amp;T", "AT&T"),
        ({"normal_form": "NFKC"}, "x²", "x2"),
        ({"normal_form": None}, "e\u0301", "e\u0301"),
        ({"fix_mojibake": False}, "schÃ¶n", "schÃ¶n"),
        ({"collapse_spaces": True}, "a  b\t\tc\td", "a b c d"),
        ({"strip_line_ends": False}, "a  \nb", "a  \nb"),
        ({"max_blank_lines": 0}, "a\n\n\nb", "a\nb"),
        ({"max_blank_lines": None}, "a" + "\n" * 9 + "b", "a" + "\n" * 9 + "b"),
        ({"strip": False}, "\n a", "\n a"),
    ],
)
def test_each_param(param, text, changed):
    assert one(text, **param) == changed


def test_null_empty_blank_and_no_rows():
    marks = repair([None, "", " \n"])
    assert marks.columns["text"].to_pylist() == [None, "", ""]
    assert marks.evidence.is_valid().to_pylist() == [False, False, True]
    assert len(repair([]).columns["text"]) == 0


@given(st.text(st.characters(max_codepoint=127)), st.booleans(), st.booleans())
@example("&amp; &", True, False)
@example("a \t\n\n\n\n b", False, True)
def test_the_fast_path_for_ascii_is_the_slow_one(text, unescape_html, collapse_spaces):
    params = {"unescape_html": unescape_html, "collapse_spaces": collapse_spaces}
    assert one(text, **params) == RepairText(**params).repair(text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_with_everything_off_it_is_ftfy_and_nothing_else(text):
    off = {"strip": False, "strip_line_ends": False, "max_blank_lines": None}
    config = ftfy.TextFixerConfig(
        unescape_html=False, uncurl_quotes=False, fix_latin_ligatures=False, fix_character_width=False
    )
    ours, theirs = one(text, **off), ftfy.fix_text(re.sub("\r\n?|[\x0b\x0c]", "\n", text), config)
    assert ours == "".join(
        c for c in theirs if unicodedata.category(c) != "Cc" or c in "\t\n" if c not in NONCHARACTERS
    )


NONCHARACTERS = {*map(chr, range(0xFDD0, 0xFDF0)), "\ufffe", "\uffff"}


def test_a_huge_text():
    text = "Grüße aus der alten Stadt, und das ist alles.\n" * 50_000
    assert one(text) == text.strip()
