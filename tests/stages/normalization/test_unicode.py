"""repair_text: what it repairs, what it leaves alone, and that its fast path for ASCII changes nothing."""

import re
import unicodedata

import ftfy
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

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


FLAG_OF_WALES = "\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in "gbwls") + "\U000e007f"
HIDDEN = "".join(chr(0xE0000 + ord(c)) for c in "obey")
ALL_KINDS = ("soft_hyphen", "zero_width_space", "bidi_controls", "variation_selectors", "tags")


@pytest.mark.parametrize(
    ("name", "text", "default", "everything"),
    [
        ("soft hyphen", "Do\xadnau\xaddampf", "Donaudampf", "Donaudampf"),
        ("soft hyphen that is a hyphen at the end of a line", "Donau-\xad\ndampf", None, None),
        ("soft hyphen at the end of a line", "Donau\xad\ndampf", None, None),
        ("soft hyphen between digits", "1\xad2", None, None),
        ("soft hyphen that is half of a letter", "Ã\xad", "í", "í"),
        ("zero width space, a word's end in Thai", "ไทย\u200bไทย", None, "ไทยไทย"),
        ("zero width non-joiner, spelling in Persian", "می\u200cخواهم", None, None),
        ("zero width joiner, a form in Sinhala", "ශ්\u200dරී", None, None),
        ("zero width joiner, one emoji of three", "👩\u200d🚀", None, None),
        ("word joiner", "a\u2060b", None, None),
        ("byte order mark", "\ufeffa\ufeffb", "ab", "ab"),
        ("left-to-right mark", "(עב\u200e)", None, "(עב)"),
        ("embedding, override, isolate", "\u202aa\u202c\u202eb\u202c\u2066c\u2069", None, "abc"),
        ("deprecated formatting", "a\u206ab\u206f", "ab", "ab"),
        ("Arabic letter mark", "a\u061cb", None, "ab"),
        ("emoji style", "❤\ufe0f", None, "❤"),
        ("ideographic variant", "葛\U000e0100", None, "葛"),
        ("tags in a flag", FLAG_OF_WALES, None, None),
        ("hidden words in tags", f"a{HIDDEN}b", "ab", "ab"),
        ("hidden words behind a flag", FLAG_OF_WALES + HIDDEN, FLAG_OF_WALES, FLAG_OF_WALES),
        ("hidden words in what is no flag", f"🏴{HIDDEN}{HIDDEN}", "🏴", "🏴"),
        ("no-break space", "10\u00a0km", None, None),
        ("narrow no-break space", "«\u202fà\u202f»", None, None),
        ("ideographic space", "\u3000橋", "橋", "橋"),  # an indent at the start goes as any other
        ("ideographic space inside", "橋\u3000川", None, None),
        ("line separator", "a\u2028b", "a\nb", "a\nb"),
        ("paragraph separator", "a\u2029b", "a\nb", "a\nb"),
        ("next line", "a\x85b", "a…b", "a…b"),  # Windows-1252's ellipsis read as Latin-1
        ("interlinear annotation", "a\ufff9b\ufffac\ufffb", "abc", "abc"),
        ("object replacement", "a\ufffcb", "ab", "ab"),
        ("replacement character", "a\ufffdb", None, None),
        ("private use", "a\ue000b", None, None),
        ("noncharacters", "a\ufdd0b\uffffc", "abc", "abc"),
        ("Mongolian vowel separator", "ᠠ\u180eᠠ", None, None),
        ("combining grapheme joiner", "a\u034fb", None, None),
        ("musical control", "a\U0001d173b", None, None),
    ],
)
def test_characters_that_nobody_sees(name, text, default, everything):
    assert one(text) == (text if default is None else default), name
    assert one(text, remove_invisible=ALL_KINDS) == (text if everything is None else everything), name


def test_nothing_invisible_goes_when_none_is_named():
    text = f"Do\xadnau a{HIDDEN}b"
    assert one(text, remove_invisible=()) == text
    with pytest.raises(ValidationError):
        RepairText(remove_invisible=("zero_width_joiner",))


def test_what_a_removed_character_held_apart_composes():
    assert one("e\ufdd0\u0301") == "é"
    assert one(f"e{HIDDEN}\u0301") == "é"


@pytest.mark.parametrize(
    ("text", "full", "letters"),
    [
        ("ＡＢＣａｂｃ", "ABCabc", "ABCabc"),
        ("０１２３４５６７８９", "0123456789", "0123456789"),
        ("！，．：；？（）［］～", "!,.:;?()[]~", None),
        ("橋　川", "橋 川", None),  # the ideographic space
        ("＄￥￡％＆＠", "$¥£%&@", None),
        ("ｶﾀｶﾅ", "カタカナ", "カタカナ"),
        ("ｶﾞｷﾞﾊﾟ", "ガギパ", "ガギパ"),  # voiced marks compose, as NFC is on
        ("ﾃﾞｰﾀ", "データ", "データ"),
        ("｡｢｣､･", "。「」、・", None),
        ("ﾡﾢ", "ᄀᄁ", "ᄀᄁ"),
        ("漢字ひらがなカタカナ。「」", None, None),
        ("㍿①㎏", None, None),  # compatibility characters of another kind: NFKC takes those apart
        ("ABC 123", None, None),
    ],
)
def test_character_width(text, full, letters):
    assert one(text) == text
    assert one(text, fix_character_width=True) == (text if full is None else full)
    assert one(text, fix_character_width="letters") == (text if letters is None else letters)


def test_null_empty_blank_and_no_rows():
    marks = repair([None, "", " \n"])
    assert marks.columns["text"].to_pylist() == [None, "", ""]
    assert marks.evidence.is_valid().to_pylist() == [False, False, True]
    assert len(repair([]).columns["text"]) == 0


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=127)), st.booleans(), st.booleans())
@example("&amp; &", True, False)
@example("a \t\n\n\n\n b", False, True)
def test_the_fast_path_for_ascii_is_the_slow_one(text, unescape_html, collapse_spaces):
    params = {"unescape_html": unescape_html, "collapse_spaces": collapse_spaces}
    assert one(text, **params) == RepairText(**params).repair(text)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_with_everything_off_it_is_ftfy_and_nothing_else(text):
    off = {"strip": False, "strip_line_ends": False, "max_blank_lines": None, "remove_invisible": ()}
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
