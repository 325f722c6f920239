"""The prefilter of repair_text: a text that it does not suspect is one that repair leaves as it is."""

import re
import sys

import pyarrow as pa
import pytest
from ftfy.badness import BADNESS_RE
from ftfy.chardata import CHARMAP_ENCODINGS
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stages.normalization import _suspects
from stages.normalization._suspects import ANY_NON_ASCII, BLANKS, WIDE_BLANKS, matches, re2_superset
from stages.normalization.unicode import RepairText

VARIANTS = [
    {},
    {"unescape_html": True, "collapse_spaces": True, "uncurl_quotes": True},
    {"normal_form": "NFKC", "fix_character_width": "letters", "fix_latin_ligatures": True},
    {"fix_mojibake": False, "normal_form": None, "remove_invisible": ()},
    {
        "normal_form": "NFD",
        "fix_character_width": True,
        "strip": False,
        "strip_line_ends": False,
        "max_blank_lines": None,
    },
    {
        "remove_invisible": ("bidi_controls", "zero_width_space", "variation_selectors"),
        "strip": False,
        "max_blank_lines": 0,
    },
]
PIECES = [
    *(
        "schöne Grüße",
        "été “là” à l’œil",
        "привет мир",
        "日本語の文",
        "हिन्दी",
        "ไทย",
        "αβγ ά",
        "Đà Nẵng",
        "עִבְרִית",
    ),
    *("Straße·", "señor", "«œuvre»", "¿Qué?", "100 €", "½×²", "≤ ≠", "│┌─", "MANHÃ ", "§ 5", "naïve°"),
    *("e\u0301\u0327", "\u1112\u1161\u11ab", "ﬁ", "ＡＢ", "ﾀﾞ", "㍿", "\U0002f800", "\u0958", "\u09c7\u09be"),
    *("\r\n", "\r", "\n", "\n\n\n\n", " ", "\t", "\u00a0", "\u3000", "\u2028", "\x85", "\x1c", "\x0c", "  "),
    *(
        "\xad",
        "a\xadb",
        "\u200b",
        "\u200d",
        "\u200c",
        "\u202e",
        "\ufe0f",
        "\ufeff",
        "\U000e0041",
        "\ufdd0",
        "\uffff",
    ),
    *("&amp;", "&", "<", "a\x00", "\x1b[0m", "ABC", "a b", "word. "),
]
# Every character that the heuristic knows; most pairs of them make it suspicious.
CLUES = sorted(set(BADNESS_RE.pattern))


def mojibake(piece, codec):
    try:
        return piece.encode().decode(codec)
    except UnicodeDecodeError:
        return piece


texts = st.lists(
    st.one_of(
        st.sampled_from(PIECES),
        st.text(st.sampled_from(CLUES), min_size=1, max_size=4),
        st.builds(mojibake, st.sampled_from(PIECES), st.sampled_from(CHARMAP_ENCODINGS)),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=7,
).map("".join)


def run(stage, texts):
    column = pa.array(texts, pa.large_string())
    suspect, broken = (mask.to_pylist() for mask in stage.suspects(column))
    marks = stage.annotate(pa.record_batch({"text": column}), None)
    assert all(s or not b for s, b in zip(suspect, broken, strict=True))
    return suspect, broken, marks.columns["text"].to_pylist(), marks.evidence.to_pylist()


@pytest.mark.parametrize("params", VARIANTS, ids=str)
@given(st.lists(texts, max_size=6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(["MANHÃ DE SOL", "œ\n", "a\r\nÃ b", "×²", "\u00e9”a"])
@example(["\u09c7\u09be", "e\u0301", "ﾀﾞ", "e\ufdd0\u0301", "é <b>\n&amp;"])
@example(["a\x1c", "\u3000a", "a\x85\nb", " \n", "a\u2003\u2003b", "\xad", "a\xadb"])
def test_what_is_not_suspected_is_left_as_it_is(params, texts):
    stage = RepairText(**params)
    for text, suspect, _, found, evidence in zip(texts, *run(stage, texts), strict=True):
        repaired = stage.repair(text)
        assert found == repaired  # whatever way it took
        assert suspect or repaired == text
        assert (evidence is None) == (repaired == text)


@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_every_character_alone_and_between_letters(params):
    stage = RepairText(**params)
    points = [*range(0xD800), *range(0xE000, 0x323B0), *range(0xE0000, 0xE0200), 0x10FFFD, 0x10FFFF]
    texts = ["a" + chr(point) + "b" for point in points]
    suspect, broken = (mask.to_pylist() for mask in stage.suspects(pa.array(texts, pa.large_string())))
    clean = [text for text, s, b in zip(texts, suspect, broken, strict=True) if not s and not b]
    assert [text for text in clean if stage.repair(text) != text] == []
    assert (
        len(clean) > 0.9 * len(texts) or stage.normal_form != "NFC"
    )  # NFKC and NFD take Hangul and Han apart


def test_every_pair_of_clues_that_the_heuristic_knows():
    pairs = [a + b for a in CLUES for b in CLUES]
    found = matches(pa.array(pairs, pa.large_string()), re2_superset(BADNESS_RE.pattern)).to_pylist()
    missed = [pair for pair, yes in zip(pairs, found, strict=True) if BADNESS_RE.search(pair) and not yes]
    assert not missed
    assert sum(found) < 0.5 * len(pairs)  # and it is no blanket suspicion


def test_the_installed_heuristic_can_be_read():
    assert re2_superset(BADNESS_RE.pattern) != ANY_NON_ASCII


@pytest.mark.parametrize("pattern", ["(?<!a)é", r"é\b", "é$", "é{2}", r"[\w]é", "[#]é", "é*"])
def test_a_heuristic_that_we_cannot_read_suspects_all_but_ascii(pattern):
    assert re2_superset(pattern) == ANY_NON_ASCII


def test_blanks_are_those_of_python():
    points = [c for c in map(chr, range(sys.maxunicode + 1)) if not "\ud800" <= c <= "\udfff"]
    for inside, wanted in ((BLANKS, re.compile(r"[^\S\n]")), (WIDE_BLANKS, re.compile(r"[^\S\n ]"))):
        found = matches(pa.array(points), f"[{inside}]").to_numpy(zero_copy_only=False)
        assert [c for c, yes in zip(points, found, strict=True) if yes] == wanted.findall("".join(points))


def test_word_characters_are_at_least_those_of_python():
    word = re.compile(r"\w")
    points = word.findall("".join(map(chr, range(0xD800))) + "".join(map(chr, range(0xE000, 0x110000))))
    assert all(matches(pa.array(points), _suspects.re2_superset(r"\w")).to_pylist())


@pytest.mark.parametrize(
    "text",
    [
        "Die Straße führt über die Brücke; „so“ sagte er – und ging.",
        "L’été, « à l’œuvre » : 100 € et 5 °C, naïveté.",
        "¿Qué año? ¡Señor!",
        "Съешь же ещё этих мягких французских булок, «да» — выпей чаю.",
        "漢語文本，「引號」、標點。",
        "日本語の文章、カタカナと漢字。",
        "हिन्दी में लिखा गया है",
        "עִבְרִית",
        "Zażółć gęślą jaźń",
        "Đà Nẵng, Việt Nam",
        "👩‍🚀 👍🏽",
    ],
)
def test_clean_text_of_many_scripts_is_not_suspected(text):
    suspect, _, _, _ = run(RepairText(), [text])
    assert suspect == [False]


def test_only_the_lines_that_ftfy_may_change_are_given_to_it(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "stages.normalization.unicode.fix_text", lambda text, config: seen.append(text) or text.upper()
    )
    _, _, [found], _ = run(RepairText(), ["schön\nschÃ¶n\nx\x85y\nschön"])
    assert seen == ["schÃ¶n\n", "x\x85y\n"]
    assert found == "schön\nSCHÃ¶N\nX\x85Y\nschön"
