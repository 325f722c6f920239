"""Copies are found whatever their dress, cut cleanly, and everything else is left alone."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.decontamination._index import read_index
from stages.decontamination.decontaminate import (
    EVIDENCE_TYPE,
    Decontaminate,
    Matches,
    explain,
    locate,
    merge_spans,
    split_text,
)
from tests.stages.decontamination.documents import annotate, build, index_of, items_batch, reasons
from tests.stages.kernels.test_words import oracle

ITEM = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
SHORT = "Which planet is called the red planet of ours?"  # 9 words
FILLER = "".join(f"Plain sentence {i} is about nothing in particular. " for i in range(60))  # 3 KB


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return index_of(tmp_path_factory.mktemp("index"), ITEM, SHORT)


# --- what is found --------------------------------------------------------------------------------------------

DRESSES = {
    "verbatim": ITEM,
    "upper case": ITEM.upper(),
    "no punctuation": ITEM.replace(",", "").replace(".", "").replace("?", ""),
    "a dash on its own": ITEM.replace(", and", " - and"),
    "dashes": ITEM.replace(" ", "\u2014"),
    "no-break spaces": ITEM.replace(" ", "\u00a0"),
    "narrow and wide spaces": ITEM.replace(" ", "\u202f\u3000"),
    "line breaks": ITEM.replace(" ", "\r\n> "),
    "curly quotes": ITEM.replace("clips", "\u201cclips\u201d"),
    "emphasis": ITEM.replace("clips", "**clips**"),
    "soft hyphens": ITEM.replace("Natalia", "Na\u00adta\u00adlia"),
    "zero-width joiners": ITEM.replace("sold", "so\u200dld"),
    "markup": "<p>" + ITEM.replace(". ", ".</p><p>") + "</p>",
    "first 13 words": " ".join(ITEM.split()[:13]),
    "last 13 words": " ".join(ITEM.split()[-13:]),
}


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("place", ["start", "middle", "end", "alone"])
def test_a_copy_is_found(index, dress, place):
    text = DRESSES[dress]
    if place != "alone":
        at = {"start": 0, "middle": FILLER.index("Plain sentence 30"), "end": len(FILLER)}[place]
        text = f"{FILLER[:at]}{text} {FILLER[at:]}"
    assert reasons(index, [text]) == ["contaminated"]


@pytest.mark.parametrize(
    "text",
    [
        FILLER,
        " ".join(ITEM.split()[:12]),
        ITEM.replace("48", "75").replace("half", "twice").replace("clips", "pens"),
        " ".join(ITEM.split()[::-1]),
        " ".join(f"{word} and" for word in ITEM.split()),
        "",
        None,
        "word",
        "...",
        "橋は三本ある。" * 20,
    ],
)
def test_what_is_no_copy_is_left_alone(index, text):
    (found,) = annotate(Decontaminate(), index, [text])
    assert (found["reason"], found["evidence"], found["hits"]) == (None, None, 0)


def test_upper_case_beyond_ascii(tmp_path):
    item = "Où était l'école élémentaire de l'île, et combien d'élèves y étudiaient à l'été dernier ?"
    index = index_of(tmp_path, item)
    assert reasons(index, [item.upper(), item.replace("É", "E").replace("é", "e")]) == ["contaminated", None]


def test_scripts_without_spaces(tmp_path):
    index = index_of(tmp_path, "太郎は四月に友達四十八人に髪留めを売りました。")
    assert reasons(
        index, ["問題: 太郎は四月に友達四十八人に髪留めを売りました!", "太郎は五月に本を買いました。"]
    ) == [
        "contaminated",
        None,
    ]


def test_short_items_match_as_a_whole(index):
    said = annotate(Decontaminate(), index, [f"He asked: {SHORT.lower()} Nobody knew.", SHORT[:-5]])
    assert said[0]["evidence"]["matched"] == SHORT.lower()[:-1]
    assert [s["reason"] for s in said] == ["contaminated", None]


def test_the_most_leaked_item_is_found(index):
    """T35: no n-gram is too common to count."""
    assert reasons(index, [ITEM] * 1000 + [ITEM * 100]) == ["contaminated"] * 1001


def test_a_huge_document(index):
    found = annotate(Decontaminate(), index, [FILLER * 400 + ITEM + FILLER * 400])
    assert found[0]["evidence"]["start"] == len(FILLER) * 400


def test_batches_without_rows(index):
    assert annotate(Decontaminate(), index, []) == []
    assert annotate(Decontaminate(action="cut"), index, []) == []


# --- evidence -------------------------------------------------------------------------------------------------


def test_evidence_names_the_item_and_the_span(index):
    before = "Größe ist 橋 🎉 nicht alles: "
    (found,) = annotate(Decontaminate(), index, [f"{before}{ITEM} So it is."])
    words = len(oracle(ITEM))
    assert found["hits"] == words - 12
    assert found["evidence"] == {
        "benchmark": "gsm8k",
        "item": "gsm8k/0",
        "matched": ITEM[:-1],
        "start": len(before),
        "end": len(before) + len(ITEM) - 1,
        "ngrams": words - 12,
        "items": 1,
        "spans": 1,
        "removed_chars": 0,
    }


def test_the_item_with_most_matches_is_named(tmp_path):
    a, b = [f"{w} " * 1 for w in ("left", "right")]
    many = " ".join(f"{a}{i}" for i in range(30))
    few = " ".join(f"{b}{i}" for i in range(8))
    index = build(
        tmp_path,
        [
            [items_batch([{"id": "few", "text": few}], "arc")],
            [items_batch([{"id": "many", "text": many}], "mmlu")],
        ],
    )
    (found,) = annotate(Decontaminate(), index, [f"{few}. Then: {many}. End."])
    assert (found["evidence"]["benchmark"], found["evidence"]["item"]) == ("mmlu", "mmlu/many")
    assert found["evidence"]["matched"] == many
    assert (found["evidence"]["items"], found["evidence"]["spans"]) == (2, 2)


def test_long_matches_are_quoted_in_part(tmp_path):
    item = " ".join(f"word{i}" for i in range(500))
    (found,) = annotate(Decontaminate(), index_of(tmp_path, item), [item])
    assert found["evidence"]["matched"] == item[:500]
    assert found["evidence"]["end"] == len(item)


def test_min_hits(index):
    text = f"{FILLER} {' '.join(ITEM.split()[:14])}"
    assert reasons(index, [text], min_hits=2) == ["contaminated"]
    (found,) = annotate(Decontaminate(min_hits=3), index, [text])
    assert (found["reason"], found["evidence"], found["hits"]) == (None, None, 2)


# --- actions --------------------------------------------------------------------------------------------------


def test_mark_only_says_so(index):
    (found,) = annotate(Decontaminate(action="mark"), index, [f"{FILLER}{ITEM}"])
    assert found["reason"] is None
    assert found["evidence"]["item"] == "gsm8k/0"
    assert found["text"] == f"{FILLER}{ITEM}"


def test_cut_takes_the_match_and_its_surroundings(index):
    (found,) = annotate(Decontaminate(action="cut"), index, [f"{FILLER}{ITEM} {FILLER}"])
    assert found["reason"] is None
    left, right = found["text"].split("\n\n")
    assert FILLER.startswith(left)
    assert FILLER.strip().endswith(right)
    assert 200 <= len(FILLER) - len(left) <= 221
    assert 200 <= len(FILLER.strip()) - len(right) <= 221
    assert found["evidence"]["removed_chars"] == 2 * len(FILLER) + len(ITEM) + 1 - len(found["text"])
    assert reasons(index, [found["text"]]) == [None]


def test_one_long_match_is_one_splice(index, tmp_path):
    """T32: neither its length nor the number of n-grams makes a long copy many."""
    item = " ".join(f"word{i}" for i in range(400))
    text = f"{FILLER}{item}. {FILLER}"
    (found,) = annotate(Decontaminate(action="cut", max_pieces=2), index_of(tmp_path, item), [text])
    assert found["reason"] is None
    assert found["hits"] == 388
    assert found["evidence"]["spans"] == 1
    assert len(found["text"].split("\n\n")) == 2


def test_too_many_pieces(index):
    for copies, reason in ((9, None), (10, "too_many_contaminated_spans")):
        text = FILLER + f"{ITEM} {FILLER}" * copies  # copies + 1 pieces
        (found,) = annotate(Decontaminate(action="cut"), index, [text])
        assert found["reason"] == reason
        assert found["evidence"]["spans"] == copies
    assert reasons(index, [text], action="cut", max_pieces=None) == [None]


def test_too_little_left(index):
    for text in (ITEM, f"{FILLER[:150]} {ITEM} {FILLER[:150]}", f"{FILLER[:390]} {ITEM}"):
        (found,) = annotate(Decontaminate(action="cut"), index, [text])
        assert (found["reason"], found["text"]) == ("too_little_left", text)


def test_short_pieces_go(index):
    text = f"{FILLER[:300]} {ITEM} {FILLER}"
    (found,) = annotate(Decontaminate(action="cut"), index, [text])
    assert FILLER.strip().endswith(found["text"])
    (found,) = annotate(Decontaminate(action="cut", min_piece_chars=50), index, [text])
    assert len(found["text"].split("\n\n")[0]) in range(50, 101)


def test_cut_leaves_other_rows_as_they_are(index):
    texts = ["clean", None, "", f"{FILLER}{ITEM}", ITEM, "clean too"]
    found = annotate(Decontaminate(action="cut"), index, texts)
    assert [f["text"] for f in found[:3] + found[4:]] == texts[:3] + texts[4:]
    assert FILLER.startswith(found[3]["text"])


def test_cutting_counts_characters_not_bytes(tmp_path):
    item = " ".join(f"слово{i}" for i in range(20))
    filler = "Ещё одно простое предложение — ни о чём. " * 20
    (found,) = annotate(Decontaminate(action="cut"), index_of(tmp_path, item), [f"{filler}{item} {filler}"])
    left, right = found["text"].split("\n\n")
    assert filler.startswith(left)
    assert filler.strip().endswith(right)
    assert 200 <= len(filler) - len(left) <= 221


def test_dialogues_are_searched_turn_by_turn(index):
    stage = Decontaminate(on="messages")
    rows = [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": f"So: {ITEM}"}], [], None]
    batch = pa.record_batch({"messages": pa.array(rows)})
    marks = stage.annotate(batch, stage.open({"index": index}))
    assert marks.reject.to_pylist() == ["contaminated", None, None]
    assert marks.evidence[0]["start"].as_py() == len("Hi\n\nSo: ")
    assert stage.reads().names == ["messages"]
    assert not stage.problems()
    assert "with on: messages, use reject or mark" in Decontaminate(on="messages", action="cut").problems()[0]


# --- spans ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spans", "window", "pieces"),
    [
        ("one two three four five", [(8, 13)], 0, ["one two", "four five"]),
        ("one two three four five", [(9, 10)], 0, ["one two", "four five"]),
        ("one two three four five", [(0, 3)], 0, ["two three four five"]),
        ("one two three four five", [(19, 23)], 0, ["one two three four"]),
        ("one two three four five", [(0, 23)], 0, []),
        ("one two three four five", [(4, 7), (8, 13)], 0, ["one", "four five"]),
        ("one two three four five", [(4, 7), (14, 18)], 4, []),
        ("橋" * 60, [(30, 31)], 5, ["橋" * 25, "橋" * 24]),
        ("abc", [], 5, ["abc"]),
        ("", [], 5, []),
    ],
)
def test_split_text(text, spans, window, pieces):
    assert split_text(text, spans, window) == pieces


@settings(deadline=None)
@given(
    st.text(st.sampled_from("ab 橋\n"), max_size=80),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), max_size=5),
    st.integers(0, 10),
)
def test_pieces_are_pieces_of_what_lies_outside_the_windows(text, made, window):
    spans = sorted((min(a, b, len(text)), min(max(a, b), len(text))) for a, b in made)
    spans = [(a, b) for a, b in spans if a < b]
    inside = {i for a, b in spans for i in range(a - window, b + window)}
    outside = [c for i, c in enumerate(text) if i not in inside]
    pieces = split_text(text, spans, window)
    assert all(piece and piece in text and piece == piece.strip() for piece in pieces)
    kept, left = "".join("".join(pieces).split()), "".join("".join(outside).split())
    rest = iter(left)
    assert all(char in rest for char in kept)  # a subsequence: nothing inside a window comes through


def test_merge_spans():
    import numpy as np

    assert merge_spans(np.array([], np.int64), np.array([], np.int64)) == []
    assert merge_spans(np.array([0, 1, 9]), np.array([5, 3, 12])) == [(0, 5), (9, 12)]


def test_every_match_is_located(index):
    resource = read_index(index)
    text = f"é {ITEM} 橋 {SHORT}"
    found = locate(text.encode(), len(oracle(ITEM)) - 12 + 1, resource)
    spans = [text[a:b] for a, b in zip(found.starts.tolist(), found.ends.tolist(), strict=True)]
    words = [w for w, _, _ in oracle(ITEM)]
    expected = [words[i : i + 13] for i in range(len(words) - 12)] + [[w for w, _, _ in oracle(SHORT)]]
    assert [[w for w, _, _ in oracle(span)] for span in spans] == expected
    assert isinstance(found, Matches)
    assert set(explain(text, found, resource)) == {f.name for f in EVIDENCE_TYPE}


# --- the stage ------------------------------------------------------------------------------------------------


def test_declarations():
    assert Decontaminate().needs_side() == ["index"]
    assert "index" in Decontaminate().sides
    assert Decontaminate().writes().names == ["contaminated_ngrams"]
    assert Decontaminate(action="cut").writes().field("text").type == pa.large_string()


def test_a_batch_gives_what_its_rows_give(index):
    texts = [f"{FILLER[:i]}{ITEM if i % 3 else SHORT} {FILLER}" for i in range(0, 300, 17)] + [FILLER, None]
    stage = Decontaminate(action="cut")
    whole = annotate(stage, index, texts)
    assert whole == [annotate(stage, index, [text])[0] for text in texts]
