"""Repeated spans against a plain dictionary of windows, and what is left against what a reader wants."""

import random
import re
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import id_hashes
from stages.dedup._policy import hash_halves
from stages.dedup.substring import SubstringDedup
from stages.kernels.buffers import text_buffers
from stages.kernels.words import hash_words, token_alphabet
from tests.stages.dedup.documents import Doc, batch_of, docs
from tests.stages.kernels.test_words import oracle
from tests.support.exchange import run_global


def run(stage: SubstringDedup, documents: list[Doc], partitions: int = 2, **kwargs):
    """id -> (text, reason, evidence) after the stage, through emit, exchange and annotate."""
    parts = [batch_of(documents[i::partitions]) for i in range(partitions)]
    found = {}
    for batch, marks in zip(parts, run_global(stage, parts, **kwargs), strict=True):
        columns = [
            batch["id"].to_pylist(),
            marks.columns["text"].to_pylist(),
            marks.reject.to_pylist(),
            marks.evidence.to_pylist(),
        ]
        for name, text, reason, evidence in zip(*columns, strict=True):
            found[name] = (text, reason, evidence)
    return found


def after(kept: str, *texts: str, **params):
    """Texts, when another document has the first claim to what they share: as run() gives them, in order."""
    stage = SubstringDedup(source_priority=["kept"], **params)
    found = run(stage, [("kept", "0", kept), *docs(*texts)])
    assert found["kept/0"] == (kept, None, None)
    return [found[f"web/{i:05d}"] for i in range(len(texts))]


# --- the definition, in plain Python ----------------------------------------------------------------------


def plain_tokens(text: str, unit: str) -> list[tuple[object, int, int]]:
    """(token, first byte, end byte)."""
    if unit == "byte":
        return [(byte, i, i + 1) for i, byte in enumerate(text.encode())]
    if unit == "word":
        return list(oracle(text))
    made, at = [], 0
    for found in re.finditer(r"\w+|\S", text):  # for texts without marks and invisible characters
        at = len(text[: found.start()].encode())
        made.append((found[0], at, at + len(found[0].encode())))
    return made


def plain_spans(documents: list[Doc], k: int, unit: str, keep: str) -> dict[str, list[tuple[int, int]]]:
    """Byte spans that fall, by id."""
    named = [(f"{s}/{key}", text or "") for s, key, text in documents]
    ties = hash_halves(id_hashes(name for name, _ in named)).tolist()
    ordered = [pair for _, pair in sorted(zip(ties, named, strict=True))]
    tokens = {name: plain_tokens(text, unit) for name, text in ordered}
    seen: dict[tuple, list[tuple[str, int]]] = {}
    for name, _ in ordered:
        for i in range(len(tokens[name]) - k + 1):
            seen.setdefault(tuple(t for t, _, _ in tokens[name][i : i + k]), []).append((name, i))
    covered: dict[str, set[int]] = {name: set() for name, _ in ordered}
    for places in seen.values():
        if len(places) > 1:
            for name, i in places[1:] if keep == "one" else places:
                covered[name] |= set(range(i, i + k))
    spans: dict[str, list[tuple[int, int]]] = {}
    for name, _ in ordered:
        found: list[tuple[int, int]] = []
        for i in sorted(covered[name]):
            _, start, end = tokens[name][i]
            if found and i - 1 in covered[name]:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
        spans[name] = found
    return spans


def said_spans(documents: list[Doc], stage: SubstringDedup, **kwargs) -> dict[str, list[tuple[int, int]]]:
    """The same from the evidence, whose offsets are code points."""
    texts = {f"{s}/{key}": text or "" for s, key, text in documents}
    found = {}
    for name, (_, _, evidence) in run(stage, documents, **kwargs).items():
        text = texts[name]
        found[name] = [
            (len(text[: s["start"]].encode()), len(text[: s["end"]].encode()))
            for s in (evidence["spans"] if evidence else [])
        ]
    return found


SMALL = st.lists(st.lists(st.sampled_from("abcd"), max_size=14).map(" ".join), max_size=6)


@settings(deadline=None, max_examples=150)
@given(SMALL, st.sampled_from(["token", "word", "byte"]), st.sampled_from(["one", "none"]), st.integers(2, 6))
def test_equal_to_a_dictionary_of_windows(texts, unit, keep, k):
    documents = docs(*texts)
    stage = SubstringDedup(k=k, unit=unit, keep=keep, min_left_chars=0)
    assert said_spans(documents, stage, partitions=2) == plain_spans(documents, k, unit, keep)


def long_corpus(seed: int) -> list[str]:
    """Documents of random words with spans of other documents, of themselves and of runs of one word."""
    rng = random.Random(seed)
    texts: list[list[str]] = []
    for _ in range(40):
        body = [f"w{rng.randrange(3000)}" for _ in range(rng.randrange(0, 400))]
        for _ in range(rng.randrange(0, 3)):
            source = rng.choice(texts) if texts and rng.random() < 0.8 else body
            if len(source) > 20:
                start, count = rng.randrange(len(source) - 10), rng.randrange(5, 120)
                place = rng.randrange(len(body) + 1)
                body[place:place] = source[start : start + count]
        if rng.random() < 0.1:
            body += ["again"] * rng.randrange(1, 90)
        texts.append(body)
    return [" ".join(body) for body in texts]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("unit", "k"), [("token", 30), ("word", 11), ("byte", 64), ("byte", 300)])
@pytest.mark.parametrize("keep", ["one", "none"])
def test_long_spans_are_those_of_the_definition(seed, unit, k, keep):
    documents = docs(*long_corpus(seed))
    stage = SubstringDedup(k=k, unit=unit, keep=keep, min_left_chars=0)
    expected = plain_spans(documents, k, unit, keep)
    assert sum(map(len, expected.values())) > 3
    said = said_spans(documents, stage, partitions=3)
    assert {n: s[:20] for n, s in expected.items()} == said


@pytest.mark.parametrize("partitions", [1, 2, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_whatever_the_partitions_order_and_pieces(partitions, seed):
    documents = docs(*long_corpus(9))
    stage = SubstringDedup(k=12)
    expected = run(stage, documents, 1)
    shuffled = random.Random(seed).sample(documents, len(documents))
    assert run(stage, shuffled, partitions, shuffle_seed=seed, max_group_rows=[None, 3][seed]) == expected


def test_tokens_are_words_as_written_and_every_mark():
    text = "Don't  stop-it: $5.00 (ok)!"
    words = hash_words(pa.array([text], pa.large_string()), token_alphabet(), located=True)
    found = [text[a:b] for a, b in zip(words.starts.tolist(), words.ends.tolist(), strict=True)]
    assert found == re.findall(r"\w+|\S", text)
    assert len({*words.hashes.tolist()}) == len(set(found))
    upper = hash_words(pa.array(["A a"]), token_alphabet()).hashes
    assert upper[0] != upper[1]


# --- traps ------------------------------------------------------------------------------------------------

SCRIPTS = {
    "russian": "Съешь же ещё этих мягких французских булок, да выпей чаю, ведь день был долгим и трудным",
    "chinese": "老守灯人那天晚上爬上灯塔的时候暴风雪已经盖住了北方的海岸没有人能看见船",
    "emoji": "🎉🎊 party 👩‍👩‍👧 time 🎈🎁 again 🎂🍰 and more 🥳🎵 for all 🕺💃 of us 🌟⭐ here",
    "marks": unicodedata.normalize("NFD", "Ça été déjà là où l'élève à côté répète la même leçon très fière"),
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("unit", ["token", "word", "byte"])
def test_cuts_keep_characters_and_offsets(script, unit):
    """T20: what falls is exactly the span, in code points, and what stays is valid."""
    span = SCRIPTS[script]
    texts = [f"Drei: {span} vier", f"{span}", f"Ende {span}"]
    found = after(f"Eins {span} zwei", *texts, k=12 if unit == "byte" else 5, unit=unit, min_left_chars=0)
    for given_text, (text, _, evidence) in zip(texts, found, strict=True):
        text.encode()
        shown = [given_text[s["start"] : s["end"]] for s in evidence["spans"]]
        assert shown[0].strip() in span
        assert shown[0].startswith(evidence["first"])
        assert evidence["survivor"] == "kept/0"
        if unit == "token":
            assert shown[0].strip() == span
            assert text.split() == given_text.replace(span, " ").split()


def test_nothing_matches_across_documents():
    """T21: a span that ends one document and begins the next is no span."""
    tail, head = "one two three four", "five six seven eight"
    documents = docs(f"x {tail}", f"{head} y", f"a {tail} {head} b")
    found = run(SubstringDedup(k=5), documents, partitions=1)
    assert all(evidence is None for _, _, evidence in found.values())


def test_one_copy_stays_by_default():
    """T22: one copy stays, or none if asked for."""
    span = " ".join(f"s{i}" for i in range(60))
    assert [text for text, _, _ in after(f"one {span}", f"two {span}", f"three {span}")] == ["two ", "three "]
    documents = docs(f"one {span}", f"two {span}", f"three {span}")
    found = run(SubstringDedup(), documents)
    stays = [name for name, (text, _, _) in found.items() if span in text]
    assert len(stays) == 1
    assert {e["survivor"] for _, _, e in found.values() if e} == set(stays)
    none = run(SubstringDedup(keep="none"), documents)
    assert sorted(text for text, _, _ in none.values()) == ["one ", "three ", "two "]
    assert {e["survivor"] for _, _, e in none.values()} == {None}


def test_the_survivor_policy_says_which_copy_stays():
    span = " ".join(f"s{i}" for i in range(60))
    documents = [("web", "a", f"one {span}"), ("books", "z", f"two {span} more words here")]
    assert run(SubstringDedup(source_priority=["books"]), documents)["web/a"][0] == "one "
    assert run(SubstringDedup(source_priority=["web"]), documents)["books/z"][0] == "two more words here"
    assert run(SubstringDedup(prefer="longest"), documents)["web/a"][0] == "one "
    assert run(SubstringDedup(prefer="shortest"), documents)["books/z"][0] == "two more words here"


def test_a_second_pass_and_the_glue():
    """T23: words are not glued together, and what a removal makes a repeat, the next pass finds."""
    span = "a store that has everything you want at a good price"
    texts = [f"Alice({span})wanted", f"Line one\n{span}\nline three", f"x. {span} Y"]
    found = [text for text, _, _ in after(f"zero {span} end", *texts, k=5)]
    assert found == ["Alice()wanted", "Line one\nline three", "x. Y"]
    left, right = " ".join("lmnop"), " ".join("qrstu")
    ((once, _, _),) = after(f"z {left[:7]} {right} {span}", f"c {left[:7]} {span} {right[:3]} d", k=5)
    assert once == f"c {left[:7]} {right[:3]} d"
    ((twice, _, _),) = after(f"z {left[:7]} {right} {span}", once, k=5)
    assert twice == "c d"


def test_words_that_met_get_a_blank_or_a_line_end():
    texts = ["left12 34 56right", "top78 90\n78end", "a.12 34 56b"]
    found = after("12 34 56; 78 90\n78", *texts, k=8, unit="byte")
    assert [text for text, _, _ in found] == ["left right", "top\nend", "a.b"]


def test_repeats_at_the_very_end_count():
    """T24: up to the last token and the last byte."""
    span = " ".join(f"s{i}" for i in range(50))
    assert after(span, f"b {span}")[0][0] == "b "
    assert after("0123456789", "x0123456789", unit="byte", k=10)[0][0] == "x"
    assert after(span, f"b {span}", k=51)[0][0] == f"b {span}"


def test_another_k_finds_other_spans():
    """T25: nothing is remembered from one run to the next."""
    span = " ".join(f"s{i}" for i in range(30))
    assert after(f"a {span}", f"b {span}", k=31)[0][0] == f"b {span}"
    assert after(f"a {span}", f"b {span}", k=30)[0][0] == "b "
    assert after(f"a {span}", f"b {span}", k=31)[0][0] == f"b {span}"


# --- limits -----------------------------------------------------------------------------------------------


def test_documents_that_lose_too_much_fall_whole():
    span = " ".join(f"s{i}" for i in range(60))
    texts = [span, f"{span} and a few words that stay", "clean"]
    found = after(span, *texts, max_removed_fraction=0.5)
    assert [reason for _, reason, _ in found] == ["nothing_left", "mostly_repeated", None]
    assert found[1][2]["removed_fraction"] > 0.5
    assert after(span, *texts, min_left_chars=100)[1][1] == "nothing_left"


def test_marking_leaves_texts_alone():
    span = " ".join(f"s{i}" for i in range(60))
    stage = SubstringDedup(action="mark", source_priority=["kept"])
    (marks,) = run_global(stage, [batch_of([("kept", "0", span), *docs(f"x {span}")])])
    assert list(marks.columns) == ["repeated_chars"]
    assert marks.columns["repeated_chars"].to_pylist() == [0, len(span)]
    assert marks.reject is None


@pytest.mark.parametrize("text", ["", " ", None, "few words", "\x00", "\u0301\u0301"])
def test_texts_too_short_to_repeat_pass(text):
    found = run(SubstringDedup(), docs(text, text))
    assert [t for t, _, _ in found.values()] == [text, text]


def test_a_text_of_one_repeated_word_takes_linear_work():
    """200,000 equal windows in one document, and two thousand equal documents. A run shrinks to its period."""
    documents = docs("again " * 200_000, *["the same fifty words " * 20] * 2_000)
    found = run(SubstringDedup(min_left_chars=0), documents)
    assert found["web/00000"][0] == "again "
    assert "the same fifty words " in [text for text, _, _ in found.values()]
    assert sum(bool(text.strip()) for text, _, _ in found.values()) == 2


def test_a_batch_without_rows():
    parts = [batch_of([]), batch_of(docs("a b c")), batch_of([])]
    marks = run_global(SubstringDedup(), parts)
    assert [len(m.columns["text"]) for m in marks] == [0, 1, 0]
    assert len(text_buffers(marks[0].columns["text"])[1]) == 1


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"unit": "word"},
        {"unit": "byte"},
        {"k": 10},
        {"keep": "none"},
        {"max_removed_fraction": 0.99},
        {"min_left_chars": 0},
        {"prefer": "longest"},
        {"source_priority": ["web"]},
    ],
)
def test_every_option_still_finds_an_obvious_repeat(params):
    span = " ".join(f"s{i}" for i in range(80))
    found = run(SubstringDedup(**params), docs(f"first {span}", f"second {span}"))
    assert sum(span in text and reason is None for text, reason, _ in found.values()) < 2


def test_bytes_are_judged_in_pieces_as_they_are_at_once(monkeypatch):
    rng = random.Random(4)
    shared = ["".join(rng.choices("abcdef ", k=60)) for _ in range(6)]
    texts = ["".join(rng.choices("xyz ", k=30)).join(rng.sample(shared, 3)) for _ in range(40)]
    stage = SubstringDedup(unit="byte", k=20)
    whole = run(stage, docs(*texts))
    monkeypatch.setattr("stages.dedup.substring.PIECE_BYTES", 64)
    assert run(stage, docs(*texts)) == whole
    assert sum(evidence is not None for _, _, evidence in whole.values()) > 30
