"""Two texts side by side: what is marked differs, what is not is equal, and nothing takes long."""

import itertools
import random
import re

import pytest

from pipeline import sidebyside
from pipeline.sidebyside import Stretch, Word, common_words, compare, side_by_side, smooth, words_of
from pipeline.terminal import columns_of, cut_columns, printable

HEADS = ("a", "b")
TALE = "The miller's daughter counted the sacks twice, and twice the number came out odd, so she began again."
COLOURS = re.compile(r"\x1b\[[0-9]+m")


def side(stretches, which):
    return [w.text for s in stretches for w in getattr(s, which)]


def shown(left, right, width=100, **kwargs):
    return side_by_side(compare(left, right), HEADS, width, **kwargs)[2:]


def columns(lines):
    """Words of both columns."""
    both = [line.partition(" |") for line in lines]
    return [" ".join(parts[i] for parts in both).split() for i in (0, 2)]


# --- comparing --------------------------------------------------------------------------------------


def length_by_table(a, b):
    """The length of a longest common subsequence, the slow way."""
    rows = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            rows[i + 1][j + 1] = rows[i][j] + 1 if x == y else max(rows[i][j + 1], rows[i + 1][j])
    return rows[-1][-1]


@pytest.mark.parametrize("seed", range(60))
def test_common_words_are_a_longest_common_subsequence(seed):
    numbers = random.Random(seed)
    letters = "abcdefgh"[: numbers.randrange(1, 9)]
    a, b = ("".join(numbers.choices(letters, k=numbers.randrange(0, 90))) for _ in range(2))
    pairs = common_words(a, b)
    assert all(a[i] == b[j] for i, j in pairs)
    assert all(i < k and j < m for (i, j), (k, m) in itertools.pairwise(pairs))
    assert len(pairs) == length_by_table(a, b)


@pytest.mark.parametrize("seed", range(30))
def test_stretches_make_up_both_texts(seed):
    numbers = random.Random(seed)
    a = numbers.choices("abcdefghijklmnop漢字", k=200)
    b = [numbers.choice("xyz") if numbers.random() < 0.1 else w for w in a if numbers.random() > 0.05]
    stretches = compare(" ".join(a), " ".join(b))
    assert (side(stretches, "left"), side(stretches, "right")) == (a, b)
    for stretch in stretches:
        if stretch.kind == "equal":
            assert [w.text for w in stretch.left] == [w.text for w in stretch.right]
    assert all(s.left or s.right for s in stretches)
    assert all(one.kind != two.kind for one, two in itertools.pairwise(stretches) if one.kind == "changed")


@pytest.mark.parametrize(
    ("left", "right", "kinds"),
    [
        ("", "", []),
        ("", "a b", ["changed"]),
        ("a b", " a\n\tb ", ["equal"]),
        ("a b", "a c", ["equal", "changed"]),
        ("x a", "y a", ["changed", "equal"]),
        ("A", "a", ["changed"]),
        ("漢字", "漢 字", ["equal"]),
    ],
)
def test_small_texts(left, right, kinds):
    assert [s.kind for s in compare(left, right)] == kinds


def test_words():
    assert [w.text for w in words_of("a-b, «c» 東京タワー สวัสดี", 99)[0]] == [
        *("a-b,", "«c»"),
        *"東京タワー",
        *("ส", "วั", "ส", "ดี"),
    ]
    assert words_of("a b c", most=2) == ([Word("a", False), Word("b", True)], False)
    assert [len(w.text) for w in words_of("x" * 150, 99)[0]] == [64, 64, 22]


def test_words_shared_by_chance_are_not_marked_apart():
    def stretch(kind, text):
        words = [Word(w, True) for w in text.split()]
        return Stretch(kind, words, words)

    noisy = [stretch("changed", "one two three"), stretch("equal", "the"), stretch("changed", "four five")]
    assert [len(s.left) for s in smooth(noisy)] == [6]
    apart = [stretch("changed", "one"), stretch("equal", "the"), stretch("changed", "four five")]
    assert smooth(apart) == apart


def test_long_texts_are_cut_and_it_is_said(monkeypatch):
    monkeypatch.setattr(sidebyside, "DIFFED", 50)
    left = " ".join(["same", *(f"a{i}" for i in range(80)), "end"])
    right = " ".join(["same", *(f"b{i}" for i in range(70)), "end"])
    stretches = compare(left, right)
    assert [s.kind for s in stretches] == ["equal", "changed", "not compared", "equal"]
    assert (len(stretches[2].left), len(stretches[2].right)) == (30, 20)
    assert any("... 30 and 20 words are not compared ..." in line for line in side_by_side(stretches, HEADS))


def test_texts_beyond_all_bounds(monkeypatch):
    monkeypatch.setattr(sidebyside, "MOST_WORDS", 40)
    lines = side_by_side(compare("w " * 100, "w " * 30 + "v " * 100), HEADS)
    assert "what follows after 40 words is not compared" in lines[-1]


def test_time_is_bounded_for_the_worst_texts():
    """Cells, not seconds: whatever comes, no more than DIFFED words of each are aligned."""
    seen = []
    real = sidebyside.common_words

    def counting(a, b):
        seen.append((len(a), len(b)))
        return real(a[:100], b[:100])

    sidebyside.common_words = counting
    try:
        compare("x y " * 400_000, "y y x " * 400_000)
    finally:
        sidebyside.common_words = real
    assert max(max(pair) for pair in seen) <= sidebyside.DIFFED


# --- showing ----------------------------------------------------------------------------------------


def test_what_differs_is_marked_on_its_side():
    lines = shown(TALE, TALE.replace("sacks twice,", "bags").replace("again.", "again. At noon."), 160)
    text = "\n".join(lines)
    assert "counted the [-sacks twice,-]" in text
    assert "counted the {+bags+}" in text
    assert "{+At noon.+}" in text
    assert text.count("[-") == text.count("-]") == 1
    assert text.count("{+") == text.count("+}") == 2


def test_columns_hold_the_texts():
    words = TALE.split()[:14]
    left, right = columns(shown(" ".join(words), " ".join([*words, "More."]), 60))
    assert left == words
    assert right == [*words, "{+More.+}"]


def test_equal_words_far_from_any_difference_are_folded():
    words = [f"w{i}" for i in range(500)]
    changed = [*words[:200], "new", *words[200:]]
    lines = shown(" ".join(words), " ".join(changed))
    folds = [line.strip() for line in lines if line.strip().startswith("...")]
    assert folds == ["... 192 equal words ...", "... 292 equal words ..."]
    assert "w191" not in "\n".join(lines)
    assert "w192" in "\n".join(lines)
    assert len(lines) < 8


@pytest.mark.parametrize("width", [1, 40, 61, 100, 5000])
@pytest.mark.parametrize("text", [TALE * 3, "漢字かな" * 40, "x" * 500, "e\u0301a\u0301 " * 50, "สวัสดี" * 30])
def test_no_line_is_wider_than_asked(width, text):
    lines = shown(text, f"new {text[: len(text) // 2]} other {text[len(text) // 2 :]}", width)
    assert max(map(columns_of, lines)) <= min(max(width, sidebyside.LEAST_WIDTH), sidebyside.MOST_WIDTH)
    places = {columns_of(line.partition(" |")[0]) for line in lines if " |" in line}
    assert len(places) == 1  # the rule stands straight


def test_colours_say_what_marks_say():
    left, right = TALE, TALE.replace("odd", "even")
    plain, coloured = shown(left, right), shown(left, right, colour=True)
    assert not COLOURS.search("\n".join(plain))
    assert "\x1b[31modd,\x1b[0m" in "\n".join(coloured)
    assert "\x1b[32meven,\x1b[0m" in "\n".join(coloured)
    assert "[-" not in "\n".join(coloured)
    assert columns([COLOURS.sub("", line) for line in coloured]) == [left.split(), right.split()]


def test_hostile_text_is_shown_and_does_nothing():
    evil = "a\x1b[2J \u202eb \x07 \u200b\u2066 c\x00d"
    for colour in (False, True):
        text = "\n".join(side_by_side(compare(evil, f"{evil} more"), (evil, evil), colour=colour))
        rest = COLOURS.sub("", text) if colour else text
        assert all(c.isprintable() or c == "\n" for c in rest)
        assert r"\x1b[2J" in rest
        assert r"\u202eb" in rest


def test_a_text_that_is_all_different_ends():
    lines = shown(" ".join(f"a{i}" for i in range(9000)), " ".join(f"b{i}" for i in range(9000)))
    assert len(lines) <= sidebyside.MOST_LINES
    assert "--json has all of it" in lines[-1]


# --- terminals --------------------------------------------------------------------------------------


def test_columns_of_text():
    assert columns_of("aé漢🙂") == 1 + 1 + 2 + 2
    assert columns_of("กำ") == 2
    assert cut_columns("abc", 2) == ("ab", "c")
    assert cut_columns("漢", 1) == ("漢", "")
    assert cut_columns("", 1) == ("", "")
    assert printable("\u3000a") == r"\u3000a"
