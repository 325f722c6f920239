"""Definitions of contamination, each against what its source says, computed slowly in plain Python."""

import random

import pytest
from pydantic import TypeAdapter, ValidationError

from stages.decontamination._definitions import (
    CoverageDefinition,
    Definition,
    LongestSpanDefinition,
    NgramDefinition,
    RareNgramsDefinition,
    ShortDefinition,
)
from stages.decontamination.count_hits import CountNgramHits
from stages.decontamination.decontaminate import Decontaminate
from tests.stages.decontamination.indexes import annotate, build_items, item

WORDS = [f"w{i}x" for i in range(400)]


def words(first: int, count: int) -> str:
    return " ".join(WORDS[first : first + count])


def scores(index, text, *definitions, **params):
    """Score and class by definition and item."""
    (found,) = annotate(Decontaminate(definitions=list(definitions), **params), index, [text])
    return {(leak["definition"], leak["item"]): (leak["score"], leak["class"]) for leak in found["leaks"]}


# --- params ---------------------------------------------------------------------------------------------------


def test_definitions_are_told_by_their_kind():
    read = TypeAdapter(list[Definition]).validate_json
    made = read(
        '[{"kind": "ngram", "n": 8}, {"kind": "short"}, {"kind": "coverage", "name": "palm", "of": "ngrams"}]'
    )
    assert [type(one) for one in made] == [NgramDefinition, ShortDefinition, CoverageDefinition]
    assert [one.title for one in made] == ["ngram_8", "short", "palm"]
    for wrong in (
        '[{"kind": "janitor"}]',
        '[{"n": 8}]',
        '[{"kind": "ngram", "min_fraction": 0.5}]',
        '[{"kind": "ngram", "n": 8.5}]',
    ):
        with pytest.raises(ValidationError):
            read(wrong)


def test_names_that_definitions_get():
    made = [
        NgramDefinition(),
        CoverageDefinition(),
        LongestSpanDefinition(),
        RareNgramsDefinition(),
        ShortDefinition(),
    ]
    assert [one.title for one in made] == ["ngram_13", "coverage_8", "longest_span", "rare_ngrams", "short"]


# --- n-grams --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return build_items(
        tmp_path_factory.mktemp("index"),
        [
            item(question=words(0, 40), solution=words(50, 40)),
            item(question=words(100, 10), solution=words(110, 30)),
            item(question=words(150, 9), answer=words(160, 2)),
            item(question=words(170, 6), answer=words(180, 3)),
            item(
                "arc",
                passage=words(200, 60),
                question=words(270, 20),
                choice=[words(300 + 5 * k, 5) for k in range(4)],
                answer=words(305, 5),
            ),
        ],
        rare_words=5,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (words(0, 12), {}),
        (words(0, 13), {"0": (13, "input_only")}),
        (words(20, 20), {"0": (20, "input_only")}),
        (f"{words(3, 14)} and {words(20, 18)}", {"0": (18, "input_only")}),
        (words(50, 13), {"0": (13, "output_only")}),
        (f"{words(60, 20)} and {words(10, 20)}", {"0": (20, "input_and_output")}),
        (f"{words(33, 7)} {words(50, 6)}", {"0": (13, "input_and_output")}),
        (f"{words(29, 11)} {words(50, 2)}", {"0": (13, "input_only")}),
        (f"{words(38, 2)} {words(50, 11)}", {"0": (13, "output_only")}),
        (f"{words(34, 6)} {words(50, 6)}", {}),
        (words(100, 10), {"1": (10, "input_only")}),
        (words(101, 9), {}),
        (words(150, 9), {"2": (9, "input_only")}),
        (f"{words(150, 9)} {words(160, 2)}", {"2": (9, "input_and_output")}),
        (f"{words(170, 6)} {words(180, 3)}", {"3": (9, "input_and_output")}),
        (f"{words(170, 6)} {words(180, 2)}", {}),
        (words(210, 13), {"4": (13, "input_only")}),
        (words(300, 13), {"4": (13, "input_only")}),
    ],
)  # fmt: skip
def test_ngram(index, text, expected):
    text = f"something before {text} something after"
    found = scores(index, text, NgramDefinition())
    assert {name: kind for (_, name), (_, kind) in found.items()} == {n: k for n, (_, k) in expected.items()}
    for name, (score, _) in expected.items():
        assert found["ngram_13", name][0] >= score


def test_min_hits_counts_ngrams_of_one_item(index):
    for hits, some in ((1, True), (2, True), (3, False)):
        assert bool(scores(index, words(0, 14), NgramDefinition(min_hits=hits))) is some
    two = f"{words(0, 13)} and {words(20, 13)}"
    assert scores(index, two, NgramDefinition(min_hits=2))
    assert not scores(index, two, NgramDefinition(min_hits=3))
    assert scores(index, words(100, 10), NgramDefinition())
    assert not scores(index, words(100, 10), NgramDefinition(min_hits=2))


def count(index, folder, texts):
    import pyarrow as pa

    stage = CountNgramHits()
    resource = stage.open({"index": index})
    folder.mkdir()
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    stage.commit([stage.write(iter([batch]), folder, resource)], folder, resource)
    return folder


def test_frequent_ngrams_are_left_out_where_that_is_asked_for(index, tmp_path):
    """GPT-3's rule; and T35: only if asked for, and a rare n-gram beside the frequent ones still counts."""
    import pyarrow as pa

    counts = count(index, tmp_path / "counts", [words(0, 20)] * 5 + [words(0, 40)])
    texts = [words(0, 20), words(0, 22), words(7, 13), words(19, 14), words(0, 40)]
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    for most, expected in ((None, 5), (6, 5), (5, 3)):
        stage = Decontaminate(definitions=[NgramDefinition(max_documents=most)])
        assert stage.needs_side() == (["index"] if most is None else ["index", "counts"])
        marks = stage.annotate(batch, stage.open({"index": index, "counts": counts}))
        found = [row is not None for row in marks.columns["contamination"].to_pylist()]
        assert sum(found) == expected, most
        assert all(found[k] for k in (1, 3, 4))


# --- coverage and the longest run, by an oracle ---------------------------------------------------------------


def oracle(question, solution, document, n):
    """(fractions of words covered, of n-grams found, longest run) of question and solution, in runs of n words."""
    both = question + solution
    runs = {tuple(document[i : i + size]) for size in {8, n} for i in range(len(document) - size + 1)}
    covered = [False] * len(both)
    for i in range(len(both) - n + 1):
        if tuple(both[i : i + n]) in runs:
            covered[i : i + n] = [True] * n
    longest = [0, 0]
    for i in range(len(document)):
        for p in range(len(both)):
            size = 0
            while i + size < len(document) and p + size < len(both) and document[i + size] == both[p + size]:
                size += 1
            if size >= n:
                asked = max(min(len(question) - p, size), 0)
                longest = [max(longest[0], asked), max(longest[1], size - asked)]
    parts = (covered[: len(question)], covered[len(question) :])
    words_in = [sum(part) / len(part) for part in parts]
    grams = [
        sum(tuple(own[i : i + n]) in runs for i in range(len(own) - n + 1)) / (len(own) - n + 1)
        for own in (question, solution)
    ]
    return words_in, grams, [longest[0] / len(question), longest[1] / len(solution)]


@pytest.mark.parametrize("seed", range(25))
def test_fractions_against_plain_python(tmp_path, seed):
    random_ = random.Random(seed)
    question = [random_.choice(WORDS) for _ in range(random_.randint(15, 40))]
    solution = [random_.choice(WORDS) for _ in range(random_.randint(15, 40))]
    both, document = question + solution, []
    for _ in range(random_.randint(1, 6)):
        first = random_.randrange(len(both))
        document += [*both[first : first + random_.randint(4, 30)], f"other{len(document)}"]
    index = build_items(tmp_path, [item(question=" ".join(question), solution=" ".join(solution))])
    n = random_.choice([8, 9, 11])
    made = [
        CoverageDefinition(n=n, min_fraction=0.01),
        CoverageDefinition(n=n, min_fraction=0.01, of="ngrams", name="grams"),
        LongestSpanDefinition(min_words=n, min_fraction=0.01),
    ]
    found = scores(index, " ".join(document), *made)
    for title, parts in zip(
        [one.title for one in made], oracle(question, solution, document, n), strict=True
    ):
        score, kind = found.get((title, "0"), (0, None))
        assert score == pytest.approx(max(parts)), title
        expected = {
            (True, True): "input_and_output",
            (True, False): "input_only",
            (False, True): "output_only",
        }
        # what is told of both sides may be one stretch that repeats the other: not in these random words
        assert kind == expected.get((parts[0] >= 0.01, parts[1] >= 0.01)), title


def test_coverage_asks_for_its_fraction(index):
    for count_, some in ((27, False), (28, True)):
        assert bool(scores(index, words(0, count_), CoverageDefinition())) is some
    both = f"{words(0, 14)} and {words(20, 14)}"
    assert scores(index, both, CoverageDefinition())["coverage_8", "0"] == (0.7, "input_only")
    assert not scores(index, both, CoverageDefinition(of="ngrams"))
    assert not scores(index, f"{words(0, 20)} {words(0, 20)}", CoverageDefinition())


def test_inputs_with_passage_and_choices(index):
    """The question alone is an input; with its passage and choices it is a larger one."""
    question, passage = words(270, 20), words(200, 60)
    listed = " ".join(f"{'abcd'[k]} {words(300 + 5 * k, 5)}" for k in range(4))
    one = CoverageDefinition(min_fraction=0.01)
    for text, fraction in (
        (question, 1),
        (passage, 60 / 80),
        (words(200, 30), 30 / 80),
        (f"{passage} and {question}", 1),
        (f"{words(270, 10)} and {words(280, 10)}", 1),
        (f"{passage} {words(270, 10)}", 70 / 80),
        (listed, 20 / 100),
    ):
        assert scores(index, text, one)["coverage_8", "4"][0] == pytest.approx(fraction), text


def test_longest_span_joins_runs_over_skipped_words(index):
    edited = f"{words(0, 10)} other {words(11, 10)} others {words(21, 10)}"
    for skip, score in ((0, 0.25), (1, 0.75), (3, 0.75)):
        made = LongestSpanDefinition(min_fraction=0.2, skip_words=skip)
        assert scores(index, edited, made)["longest_span", "0"] == (score, "input_only")
    far = f"{words(0, 10)} one two three {words(10, 10)}"
    assert (
        scores(index, far, LongestSpanDefinition(min_fraction=0.2, skip_words=2))["longest_span", "0"][0]
        == 0.25
    )
    swapped = f"{words(10, 10)} {words(0, 10)}"
    assert (
        scores(index, swapped, LongestSpanDefinition(min_fraction=0.2, skip_words=9))["longest_span", "0"][0]
        == 0.25
    )
    (found,) = annotate(Decontaminate(definitions=[LongestSpanDefinition(skip_words=1)]), index, [edited])
    assert found["leaks"][0]["matched"] == edited


# --- rare n-grams ---------------------------------------------------------------------------------------------


def test_rare_ngrams_weigh_by_how_rare_they_are(index):
    rare = RareNgramsDefinition(min_score=0.01)
    for text, score, kind in (
        (words(0, 40), 1, "input_only"),
        (words(50, 40), 1, "output_only"),
        (f"{words(0, 40)} {words(50, 40)}", 1, "input_and_output"),
        (f"{words(0, 20)} other {words(21, 19)}", 31 / 36, "input_only"),
        (" ".join(f"{words(k, 6)} other" for k in range(0, 35, 7)), 10 / 36, "input_only"),
        (words(0, 22), 18 / 36, "input_only"),
    ):
        found = scores(index, text, rare)["rare_ngrams", "0"]
        assert found == (pytest.approx(score), kind), text


def test_rare_ngrams_must_stand_together(index):
    far = f"{words(0, 20)} {'and so on ' * 20} {words(20, 20)}"
    assert scores(index, far, RareNgramsDefinition(min_score=0.4))["rare_ngrams", "0"][0] == pytest.approx(
        16 / 36
    )
    assert not scores(index, far, RareNgramsDefinition(min_score=0.5))
    assert scores(index, far, RareNgramsDefinition(min_score=0.5, max_gap=100))


def test_one_rare_ngram_is_no_item(index):
    assert not scores(index, words(170, 5), RareNgramsDefinition(min_score=0.01))
    assert not scores(index, words(0, 7), RareNgramsDefinition(min_score=0.01))
    assert scores(index, words(0, 8), RareNgramsDefinition(min_score=0.01))


# --- all together ---------------------------------------------------------------------------------------------


def test_definitions_do_not_know_of_each_other(index):
    texts = [
        words(0, 40),
        f"{words(100, 10)} {words(110, 20)}",
        words(200, 60),
        f"{words(270, 20)} a {words(300, 20)}",
        "none",
    ]
    made = [
        NgramDefinition(),
        NgramDefinition(n=8),
        CoverageDefinition(),
        LongestSpanDefinition(),
        RareNgramsDefinition(),
        ShortDefinition(),
    ]
    for text in texts:
        together = scores(index, text, *made)
        alone = {key: value for one in made for key, value in scores(index, text, one).items()}
        assert together == alone
        assert together == scores(index, text, *reversed(made))
