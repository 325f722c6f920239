"""bad_words: whole words of a list, counted like a slow reading would."""

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import MESSAGES, TEXT
from stages.safety.bad_words import BadWords, build_automaton, count_terms, read_terms

TERMS = ["ass", "ass hole", "S&M", "blow job", "darn", "女優", "av女優", "ควาย", "straße", "ÄRSCH", "a-hole"]


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("# bad words\n\n" + "\n".join(TERMS) + "\n", encoding="utf-8")
    return path


def column(*texts):
    return pa.array(texts, pa.large_string())


def mark(stage, *texts):
    return stage.annotate(pa.record_batch([column(*texts)], schema=pa.schema([TEXT])), stage.open({}))


CASES = [
    ("Scunthorpe classes assume passion, assess a bass", 0),
    ("You ass!", 1),
    ("ASS", 1),
    ("ass ass ass", 3),  # neighbours do not share a boundary
    ("kick-ass, (ass) _ass_ “ass”", 4),
    ("ass  \n hole", 1),  # the longest term, across white space
    ("ass, hole", 1),  # "ass" alone
    ("S&M but not s m or s & b", 1),
    ("an a-hole but not a hole", 1),
    ("blow jobs", 0),
    ("STRASSE straße STRAẞE", 2),  # ẞ lowers to ß; ss is another spelling
    ("ärsch Ärsch ärschlein", 2),
    ("有名な女優です", 1),
    ("新人av女優", 1),
    ("你是ass吗", 1),
    ("ไอ้ควายเอ๊ย", 1),
    ("darné darn\u0301 darn", 1),  # a combining mark makes another word
    ("", 0),
    ("word", 0),
    (None, 0),
]


@pytest.mark.parametrize(("text", "count"), CASES)
def test_counts_whole_words(words, text, count):
    assert mark(BadWords(words=words), text).columns["bad_word_count"].to_pylist() == [count]


def test_a_batch_counts_as_its_rows_do(words):
    counts = mark(BadWords(words=words), *[text for text, _ in CASES]).columns["bad_word_count"]
    assert counts.to_pylist() == [count for _, count in CASES]


def test_rejects_with_evidence(words):
    marks = mark(BadWords(words=words, max_count=1), "clean", "ass", "ass darn ass")
    assert marks.reject.to_pylist() == [None, None, "too_many_bad_words"]
    assert marks.evidence.to_pylist() == [None, None, {"count": 3, "ratio": 1.0, "terms": ["ass", "darn"]}]


@pytest.mark.parametrize(
    ("params", "rejected"),
    [
        ({"max_count": 0}, [False, True, True, True]),
        ({"max_count": None, "max_ratio": 0.25}, [False, False, True, True]),
        ({"max_count": 0, "min_distinct": 2}, [False, False, False, True]),
        ({"max_count": None, "max_ratio": 0.0}, [False, True, True, True]),
        ({"max_count": None}, [False, False, False, False]),
    ],
)
def test_thresholds(words, params, rejected):
    texts = ["nothing at all", "one ass in a row of eight words", "ass ass three", "ass and darn ass"]
    marks = mark(BadWords(words=words, **params), *texts)
    assert [reason is not None for reason in marks.reject.to_pylist()] == rejected


def test_ratio_counts_han_by_character(words):
    marks = mark(BadWords(words=words, max_count=0), "有名女優")
    assert marks.evidence[0].as_py()["ratio"] == 0.25


def test_empty_batch(words):
    marks = mark(BadWords(words=words))
    assert len(marks.columns["bad_word_count"]) == len(marks.reject) == len(marks.evidence) == 0


def test_messages_are_counted_turn_by_turn(words):
    dialogues = [
        [{"role": "user", "content": "blow"}, {"role": "assistant", "content": "job"}],  # no term spans turns
        [
            {"role": "user", "content": "ass"},
            {"role": "assistant", "content": None},
            {"role": "user", "content": "ass"},
        ],
        None,
        [],
    ]
    batch = pa.record_batch([pa.array(dialogues, MESSAGES.type)], schema=pa.schema([MESSAGES]))
    stage = BadWords(words=words, column="messages")
    assert stage.annotate(batch, stage.open({})).columns["bad_word_count"].to_pylist() == [0, 2, 0, 0]


def test_lists_are_joined_and_empty_ones_refused(tmp_path, words):
    more, empty = tmp_path / "more.txt", tmp_path / "empty.txt"
    more.write_text("drat\nass\n", encoding="utf-8")
    empty.write_text("# nothing\n\n", encoding="utf-8")
    assert read_terms([words, more]) == [*TERMS, "drat"]
    with pytest.raises(ValueError, match="holds no term; write one a line"):
        read_terms([empty])
    empty.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is not UTF-8"):
        read_terms([empty])


def test_params_that_reject_nothing_are_told(words):
    assert "rejects nothing alone" in BadWords(words=words, max_count=None, min_distinct=2).problems()[0]
    assert BadWords(words=words).problems() == []


def slow_count(text, terms):
    """Tokens one by one, then the longest term at each place: what the stage promises, read off slowly."""

    def kind(c):
        if "\u4e00" <= c <= "\u9fff":
            return "han"
        category = unicodedata.category(c)[0]
        return (
            "word"
            if category in "LNM"
            else "space"
            if c.isspace()
            else "mark"
            if category in "PS"
            else "space"
        )

    def tokens(value):
        found = []
        for c in value:
            k = kind(c)
            if k == "space":
                found.append(None)
            elif k == "word" and found and found[-1] and found[-1][0] == "word":
                found[-1] = ("word", found[-1][1] + c.lower())
            else:
                found.append((k, c.lower()))
        ends = []
        for i, token in enumerate(found):
            if token is not None:
                # white space parts two Han characters; elsewhere it only ends a word
                parted = i > 0 and found[i - 1] is None and ends and ends[-1][0] == token[0] == "han"
                ends += [("gap", "")] * bool(parted) + [token]
        return ends

    wanted = {tuple(tokens(term)) for term in terms}
    have, at, count = tokens(text), 0, 0
    while at < len(have):
        sizes = [len(term) for term in wanted if tuple(have[at : at + len(term)]) == term]
        count += bool(sizes)
        at += max(sizes, default=1)
    return count


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"as&- .\nhod", "ass", "Hole", "女", "優", "é", "S&M", "blow", "job", "a-hole"]),
        max_size=25,
    )
)
def test_agrees_with_a_slow_reading(pieces):
    terms = ["ass", "ass hole", "s&m", "blow job", "a-hole", "女優", "as", "hole", "d"]
    text = "".join(pieces)
    assert count_terms(column(text), build_automaton(terms)).hits.tolist() == [slow_count(text, terms)]


def test_a_huge_text_is_one_row_like_any_other(words):
    found = count_terms(column("x", "lorem ipsum ass " * 200_000, "y"), build_automaton(read_terms([words])))
    assert found.hits.tolist() == [0, 200_000, 0]
    assert found.terms == {1: ["ass"]}
