"""Repeated lines, paragraphs and runs of sentences: what goes, what stays, and that bytes of the rest stay."""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.api import parse
from pipeline.api import run as run_config
from pipeline.executors.local import LocalExecutor
from pipeline.regroup import sort_groups, split_hot
from pipeline.schema import id_hashes
from pipeline.stage import StageRef
from stages.dedup._line_units import cut_pieces, hosts_of, items_of
from stages.dedup.line import LineDedup
from tests.stages.dedup.line_oracle import Page, cut, dedup
from tests.support.corpora import rows
from tests.support.exchange import NO_VERDICTS, route, run_global, with_docs
from tests.support.toy import TOYS

COOKIES = "We use cookies to improve your experience."
NOTICE = "All rights reserved by the authors of this page."
EVERY_LENGTH: dict[str, Any] = {"min_chars": 1}


def page_of(text: str | None, number: int = 0, url: str | None = None) -> Page:
    return Page(f"web/{number:05d}", text, url)


def pages_of(*texts: str | None) -> list[Page]:
    return [page_of(text, i) for i, text in enumerate(texts)]


def batch_of(pages: Sequence[Page]) -> pa.RecordBatch:
    ids = [page.id for page in pages]
    return pa.record_batch(
        {
            "id": pa.array(ids, pa.string()),
            "id_hash": id_hashes(ids),
            "source": pa.array([i.partition("/")[0] for i in ids], pa.string()).dictionary_encode(),
            "text": pa.array([page.text for page in pages], pa.large_string()),
            "url": pa.array([page.url for page in pages], pa.string()),
        }
    )


def run(stage: LineDedup, pages: Sequence[Page], partitions: int = 2, **kwargs: Any) -> dict[str, Any]:
    """(text, reason, evidence) of each document, by id; shapes are checked on the way."""
    parts = [batch_of(pages[i::partitions]) for i in range(partitions)]
    said = {}
    for batch, marks in zip(parts, run_global(stage, parts, **kwargs), strict=True):
        texts = marks.columns["text"]
        texts.validate(full=True)
        assert texts.type == pa.large_string()
        assert len(texts) == len(marks.reject) == len(marks.evidence) == batch.num_rows
        for row in zip(
            batch["id"].to_pylist(),
            texts.to_pylist(),
            marks.reject.to_pylist(),
            marks.evidence.to_pylist(),
            strict=True,
        ):
            said[row[0]] = row[1:]
    return said


def texts_of(stage: LineDedup, pages: Sequence[Page], **kwargs: Any) -> list[str | None]:
    """Texts of kept documents, in the order given; a rejected one is its reason."""
    said = run(stage, pages, **kwargs)
    return [said[page.id][1] or said[page.id][0] for page in pages]


def one(stage: LineDedup, text: str) -> str | None:
    return texts_of(stage, pages_of(text), partitions=1)[0]


# --- what is kept, and by whom ------------------------------------------------------------------------


def test_a_line_stays_in_one_document():
    texts = [f"{COOKIES}\nOnly here, number {i}.\n" for i in range(5)]
    said = run(LineDedup(), pages_of(*texts))
    left = [text for text, _, _ in said.values()]
    assert sum(COOKIES in text for text in left) == 1
    keeper = next(name for name, (text, _, _) in said.items() if COOKIES in text)
    assert said[keeper][1:] == (None, None)
    for name, (text, reason, evidence) in said.items():
        if name != keeper:
            assert (text, reason) == (f"Only here, number {int(name[-1])}.\n", None)
            assert evidence == {
                "survivor": keeper,
                "cluster_size": 5,
                "removed_lines": 1,
                "removed_chars": 42,
                "removed_fraction": 42 / 62,
                "first_removed": COOKIES,
            }


def test_keep_none_leaves_no_copy():
    texts = [f"{COOKIES}\nOnly here, number {i}.\n{COOKIES}" for i in range(3)]
    said = run(LineDedup(keep="none"), pages_of(*texts))
    assert {text for text, _, _ in said.values()} == {f"Only here, number {i}.\n" for i in range(3)}
    assert {e["survivor"] for _, _, e in said.values()} == {None}
    assert {e["cluster_size"] for _, _, e in said.values()} == {3}


def test_a_document_keeps_the_first_of_what_it_repeats():
    text = f"{NOTICE}\nSomething else is here.\n{NOTICE}\n"
    said = run(LineDedup(), pages_of(text))["web/00000"]
    assert said[0] == f"{NOTICE}\nSomething else is here.\n"
    assert (said[2]["survivor"], said[2]["cluster_size"], said[2]["removed_lines"]) == ("web/00000", 1, 1)


def test_nothing_left_is_rejected_with_its_text():
    said = run(LineDedup(), pages_of(NOTICE, NOTICE + "\n\n"))
    (lost,) = [name for name, (_, reason, _) in said.items() if reason]
    (kept,) = set(said) - {lost}
    assert said[lost][1] == "nothing_left"
    assert said[lost][0].strip() == NOTICE
    assert said[lost][2]["survivor"] == kept
    assert said[kept][2] is None


def test_few_characters_left():
    texts = [f"{NOTICE}\nshort {i}" for i in range(2)]
    assert sorted(texts_of(LineDedup(min_left_chars=7), pages_of(*texts))) != sorted(texts)
    assert "nothing_left" not in texts_of(LineDedup(min_left_chars=7), pages_of(*texts))
    assert texts_of(LineDedup(min_left_chars=8), pages_of(*texts)).count("nothing_left") == 1


def test_mostly_repeated():
    texts = ["a" * 60 + "\n" + char * 40 for char in "bc"]
    assert "mostly_repeated" not in texts_of(LineDedup(max_removed_fraction=0.6), pages_of(*texts))
    assert texts_of(LineDedup(max_removed_fraction=0.59), pages_of(*texts)).count("mostly_repeated") == 1


def test_documents_that_lose_nothing_are_never_rejected():
    stage = LineDedup(min_left_chars=100, max_removed_fraction=0.0)
    texts = ["short", "", None, " \n", NOTICE]
    assert texts_of(stage, pages_of(*texts)) == texts


@pytest.mark.parametrize("prefer", ["longest", "shortest"])
def test_the_policy_says_who_keeps(prefer):
    texts = [f"{NOTICE}\nx{'y' * 30 * i}" for i in range(4)]
    left = texts_of(LineDedup(prefer=prefer), pages_of(*texts))
    assert [NOTICE in text for text in left] == [i == (3 if prefer == "longest" else 0) for i in range(4)]


def test_sources_and_quality_say_who_keeps():
    pages = [Page(f"{source}/{i}", f"{NOTICE}\n{source} {i}") for i in range(4) for source in ("web", "wiki")]
    quality = pa.array([0.1, 0.2, 0.9, 0.3, 0.4, 0.8, None, 0.7])
    batch = batch_of(pages).append_column("score", quality)
    for stage, keeper in (
        (LineDedup(source_priority=["wiki"], quality="score"), 5),
        (LineDedup(quality="score"), 2),
    ):
        left = run_global(stage, [batch])[0].columns["text"].to_pylist()
        assert [i for i, text in enumerate(left) if NOTICE in text] == [keeper]


# --- what is a line -----------------------------------------------------------------------------------


def test_only_newlines_end_lines():
    other = "first part\u2028second part\x0bthird part\x85fourth\rfifth"
    pieces = cut_pieces(pa.array([other + "\n" + other]), "line")
    assert len(pieces.bounds) == 3
    assert one(LineDedup(), f"{other}\nfirst part and more\u2028second part") is not None
    assert one(LineDedup(), f"{other}\n{other}") == f"{other}\n"


def test_blank_lines_are_never_repeats():
    text = "\n\n \n\t\n\u3000\nSome line with words\n\n\n\nanother line of words"
    assert one(LineDedup(**EVERY_LENGTH), text) == text
    assert texts_of(LineDedup(**EVERY_LENGTH, keep="none"), pages_of("\n\n", " \n \n", "", None)) == [
        "\n\n",
        " \n \n",
        "",
        None,
    ]


@pytest.mark.parametrize("other", [f"  {COOKIES}\t", f"{COOKIES}\r", f"\u00a0{COOKIES}\u2003"])
def test_white_space_at_the_ends_does_not_count(other):
    assert one(LineDedup(), f"{COOKIES}\n{other}\nend") == f"{COOKIES}\nend"


@pytest.mark.parametrize(
    "other", [COOKIES.upper(), COOKIES[:-1], COOKIES.replace(" ", "  ", 1), "x" + COOKIES]
)
def test_exact_merges_nothing_else(other):
    assert one(LineDedup(), f"{COOKIES}\n{other}") == f"{COOKIES}\n{other}"


@pytest.mark.parametrize(
    ("a", "b", "words", "ccnet"),
    [
        ("Read more, today!", "read   MORE today", True, False),
        ("Chapter 12 begins", "Chapter 34 begins", False, True),
        ("Natalia sold 48 clips", "Natalia sold 75 clips", False, True),
        ("“Quoted” – twice…", "quoted  twice", True, True),
        ("МОСКВА и область", "москва и область", True, True),
        ("й и й и й и й и", "и и и и и и и и", False, False),
        ("ガギグゲゴガギグゲゴガギグ", "カキクケコカキクケコカキク", False, False),
        ("an end-of-line", "an endofline..", False, False),
    ],
)
def test_forms(a, b, words, ccnet):
    for form, equal in (("words", words), ("ccnet", ccnet), ("exact", False)):
        stage = LineDedup(normalize=form, **EVERY_LENGTH)
        assert one(stage, f"{a}\n{b}") == (f"{a}\n" if equal else f"{a}\n{b}"), form


def test_lines_without_words_are_no_repeats_as_words():
    text = "-" * 20 + "\n" + "*" * 20 + "\n" + "-" * 20
    assert one(LineDedup(normalize="words"), text) == text
    assert one(LineDedup(), text) == "-" * 20 + "\n" + "*" * 20 + "\n"


def test_short_lines_are_left_alone():
    text = "}\nYes.\n}\nYes.\n* * *\n* * *\n二十個漢字\n二十個漢字\n" + "x" * 12 + "\n" + "x" * 12
    assert one(LineDedup(), text) == text
    assert one(LineDedup(min_chars=12), text) == text.removesuffix("x" * 12)
    assert one(LineDedup(min_chars=5), text) == "}\nYes.\n}\nYes.\n* * *\n二十個漢字\n" + "x" * 12 + "\n"


def test_paragraphs_go_with_their_blank_lines():
    a, b, c = "first line of a\nsecond line", "the other one\n  indented", "the last paragraph"
    text = f"\n{a}\n\n \n{b}\n\n{a}\n\n\n{c}\n"
    assert one(LineDedup(unit="paragraph"), text) == f"\n{a}\n\n \n{b}\n\n{c}\n"
    assert one(LineDedup(unit="paragraph"), f"{a}\n\nsecond line of text\n\nsecond line of text") == (
        f"{a}\n\nsecond line of text\n\n"
    )
    assert one(LineDedup(unit="paragraph"), f"{a}\n{b}\n\n{a}") == f"{a}\n{b}\n\n{a}"


# --- sentences ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two! Three? Four", ["One. ", "Two! ", "Three? ", "Four"]),
        ('He said "Go." Then left.', ['He said "Go." ', "Then left."]),
        ("It is e.g. this, approx. 3.5 of it.", ["It is e.g. this, approx. ", "3.5 of it."]),
        ("A line\nand another\n\n  a third", ["A line\n", "and another\n\n  ", "a third"]),
        ("これは文です。次の文。「三つ目。」四", ["これは文です。", "次の文。", "「三つ目。」", "四"]),
        ("یہ جملہ ہے۔ دوسرا جملہ", ["یہ جملہ ہے۔ ", "دوسرا جملہ"]),
        ("यह वाक्य है। दूसरा", ["यह वाक्य है। ", "दूसरा"]),
        ("  \n First. Next", ["  \n First. ", "Next"]),
        ("...", ["..."]),
        ("   ", ["   "]),
        ("", []),
    ],
)
def test_where_sentences_end(text, pieces):
    bounds = cut_pieces(pa.array([text]), "sentences").bounds
    data = text.encode()
    assert [data[a:b].decode() for a, b in itertools.pairwise(bounds.tolist())] == pieces
    assert cut(text, "sentences") == pieces


def test_three_sentence_spans():
    shared = "The sun rose. The birds sang. The day began."
    texts = [f"{head} {shared} {tail}" for head, tail in (("First.", "So it goes."), ("Other.", "And on."))]
    left = texts_of(LineDedup(unit="sentences"), pages_of(*texts))
    assert sorted(left, key=len) in (["Other. And on.", texts[0]], ["First. So it goes.", texts[1]])
    two = [text.replace(" The day began.", f" Day {i}.") for i, text in enumerate(texts)]
    assert texts_of(LineDedup(unit="sentences"), pages_of(*two)) == two


def test_every_window_counts():
    five = [f"Sentence number {word}." for word in ("one", "two", "three", "four", "five")]
    whole, part = " ".join(five), " ".join(five[1:4])
    left = texts_of(LineDedup(unit="sentences", prefer="longest"), pages_of(whole, f"A. {part} B."))
    assert left == [whole, "A. B."]


def test_a_document_of_fewer_sentences_falls_to_an_equal_one_only():
    assert (
        texts_of(LineDedup(unit="sentences", min_chars=1), pages_of("cat", "dog", "cat")).count(
            "nothing_left"
        )
        == 1
    )
    hundred = texts_of(LineDedup(unit="sentences", min_chars=1), pages_of(*["Click here"] * 100))
    assert hundred.count("nothing_left") == 99


def test_sentences_do_not_glue_lines():
    shared = "Alpha is here. Beta is here. Gamma is here.\n"
    text = f"{shared}Alice wanted. {shared}store"
    assert one(LineDedup(unit="sentences"), text) == f"{shared}Alice wanted.\nstore"


def test_spans_of_lines():
    shared = "The first of three.\nThe second of three.\nThe third of three.\n"
    texts = [f"head {i}\n{shared}tail {i}\nThe second of three.\n" for i in range(2)]
    left = texts_of(LineDedup(span=3), pages_of(*texts))
    assert sorted(left, key=len) in [[texts[k].replace(shared, ""), texts[1 - k]] for k in range(2)]


def test_sentences_that_repeat_themselves_leave_one():
    text = "Again and again. " * 10
    assert one(LineDedup(unit="sentences"), text) == "Again and again. "


# --- scope and thresholds -----------------------------------------------------------------------------


def test_scope_document_looks_at_one_at_a_time():
    text = f"{NOTICE}\n{COOKIES}\n{NOTICE}"
    stage = LineDedup(scope="document")
    assert texts_of(stage, pages_of(text, text)) == [f"{NOTICE}\n{COOKIES}\n"] * 2
    emitted = stage.emit(batch_of(pages_of(text)), None, 0, NO_VERDICTS)
    assert emitted.num_rows == 0
    assert emitted.schema == LineDedup().emit(batch_of([]), None, 0, NO_VERDICTS).schema


def test_boilerplate_of_a_domain():
    urls = [
        "https://a.com/1",
        "http://www.a.com/2",
        "//A.com:80/3",
        "https://b.com/1",
        "http://b.com/2",
        "x",
        None,
    ]
    pages = [page_of(f"{NOTICE}\nbody {i}", i, url) for i, url in enumerate(urls)]
    stage = LineDedup(scope="domain", min_documents=3, keep="none")
    left = texts_of(stage, pages)
    assert [NOTICE in text for text in left] == [False, False, False, True, True, True, True]
    left = texts_of(LineDedup(scope="domain"), pages)
    assert [sum(NOTICE in t for t in left[a:b]) for a, b in ((0, 3), (3, 5), (5, 7))] == [1, 1, 2]


def test_documents_without_a_host_are_left_alone():
    text = f"{NOTICE}\n{NOTICE}\n"
    pages = [page_of(text, 0, None), page_of(text, 1, ""), page_of(text, 2, "/path")]
    assert texts_of(LineDedup(scope="domain"), pages) == [text] * 3


def test_hosts():
    given_urls = ["https://WWW.Münch%65n.de/x", "http://xn--mnchen-3ya.de", "http://www./", "mailto", None]
    assert hosts_of(pa.array(given_urls)).to_pylist() == ["xn--mnchen-3ya.de"] * 2 + ["www", "mailto", None]


@pytest.mark.parametrize("keep", ["first", "none"])
def test_min_count_counts_all_copies(keep):
    texts = [f"{NOTICE}\na\n{NOTICE}", f"{NOTICE}\nb", "c"]
    assert texts_of(LineDedup(min_count=4, keep=keep), pages_of(*texts)) == texts
    left = texts_of(LineDedup(min_count=3, keep=keep), pages_of(*texts))
    assert sum(text.count(NOTICE) for text in left) == (keep == "first")
    one_document = f"{NOTICE}\n" * 3
    assert one(LineDedup(min_count=4, keep=keep), one_document) == one_document
    assert one(LineDedup(min_count=3, keep=keep), one_document) == (
        f"{NOTICE}\n" if keep == "first" else "nothing_left"
    )


def test_min_documents_counts_documents():
    texts = [f"{NOTICE}\na\n{NOTICE}", f"{NOTICE}\nb"]
    assert texts_of(LineDedup(min_documents=3), pages_of(*texts)) == texts
    assert sum(text.count(NOTICE) for text in texts_of(LineDedup(min_documents=2), pages_of(*texts))) == 1
    alone = f"{NOTICE}\n{NOTICE}"
    assert one(LineDedup(min_documents=2), alone) == alone


# --- traps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "scope", "keep", "form", "prefer", "min_documents", "min_chars"),
    [
        options
        for options in itertools.product(
            ["line", "paragraph", "sentences"],
            ["corpus", "domain", "document"],
            ["first", "none"],
            ["exact", "words", "ccnet"],
            ["first", "longest"],
            [1, 3],
            [1, 40],
        )
        if options[1] != "document" or options[5] == 1  # refused by problems()
    ],
)
def test_every_combination_removes_an_obvious_duplicate(
    unit, scope, keep, form, prefer, min_documents, min_chars
):
    stage = LineDedup(
        unit=unit,
        scope=scope,
        keep=keep,
        normalize=form,
        prefer=prefer,
        min_documents=min_documents,
        min_chars=min_chars,
    )
    assert stage.problems() == []
    block = "This notice stands on every page. Nobody reads it at all. It is there to be removed.\n\n"
    names = ["Alpha", "Beta", "Gamma", "Delta"]
    pages = [
        page_of(f"{n} is a page about {n} and more.\n\n{block}{block}", i, "http://a.com/")
        for i, n in enumerate(names)
    ]
    left = [text for text, _, _ in run(stage, pages).values()]
    total = sum(text.count("Nobody reads") for text in left)
    assert total == {"first": 1, "none": 0}[keep] * (4 if scope == "document" else 1)
    assert all(name in " ".join(left) for name in names)


def test_what_is_unique_stays():
    rng = random.Random(5)
    texts = ["\n".join(f"line {rng.random()} of {rng.random()}" for _ in range(40)) for _ in range(30)]
    for unit in ("line", "paragraph", "sentences"):
        assert texts_of(LineDedup(unit=unit, min_chars=1), pages_of(*texts)) == texts


def test_no_character_is_cut():
    texts = [
        f"{'🙂' * 20}\nПривет, мир, это строка {i}\n同じ行はここにもあります。同じ行\n" for i in range(3)
    ]
    for unit in ("line", "sentences"):
        left = texts_of(LineDedup(unit=unit, span=1), pages_of(*texts))
        assert sum(text.count("🙂" * 20) for text in left) == 1
        assert sum(text.count("同じ行はここ") for text in left) == 1


def test_the_last_byte_counts():
    left = texts_of(LineDedup(), pages_of(f"a\n{NOTICE}", f"b\n{NOTICE}"))
    assert sorted(text.count(NOTICE) for text in left) == [0, 1]


def test_no_match_across_documents():
    texts = [f"a\n{NOTICE[:20]}", f"{NOTICE[20:]}\nb", f"c\n{NOTICE}"]
    assert texts_of(LineDedup(), pages_of(*texts), partitions=1) == texts


def test_nothing_new_to_find_in_what_is_left():
    texts = [f"{NOTICE}\n{COOKIES}\nbody {i}\n{NOTICE}\n" for i in range(4)]
    left = texts_of(LineDedup(), pages_of(*texts))
    assert texts_of(LineDedup(), pages_of(*left)) == left


def test_a_hundred_thousand_identical_lines():
    text = f"{NOTICE}\n" * 100_000
    stage = LineDedup()
    assert stage.emit(batch_of(pages_of(text)), None, 0, NO_VERDICTS).num_rows == 1
    assert one(stage, text) == f"{NOTICE}\n"
    batch = batch_of([page_of(f"{NOTICE}\n{i}", i) for i in range(100_000)])
    assert kept_after_exchange(stage, batch, 1000) == 1


def test_lines_that_differ_in_one_byte_have_other_keys():
    base = bytearray(b"x" * 70)
    lines = {bytes(base[:size]) for size in range(1, 71)}
    for place in range(70):
        for byte in b"yz09":
            changed = base.copy()
            changed[place] = byte
            lines.add(bytes(changed))
    texts = pa.array([line.decode() for line in sorted(lines)], pa.large_string())
    keys = cut_pieces(texts, "line").keys
    assert len(np.unique(keys[:, 0])) == len(np.unique(keys[:, 1])) == len(lines)


def test_keys_never_change():
    texts = ["a", "eight by", "a line of more than sixteen bytes", "Größe 12"]
    for form, expected in GOLDEN.items():
        keys = cut_pieces(pa.array(texts), "line", form).keys
        assert [f"{int(a):016x}{int(b):016x}" for a, b in keys] == expected


GOLDEN: dict[Any, list[str]] = {
    "exact": [
        "84a48c66f1d0e05726a5fd4d009c7287",
        "5560ae33d6526515d262c1e0f21d4aec",
        "9c266ffcaa21d69b54a3f95769022393",
        "a7c4c459f7a0be1f3a625418159a67cc",
    ],
    "words": [
        "c0d09bb3552852a710b2cd73dbd350ce",
        "b8b4385e7c87d73f07ed7e731114429a",
        "cbfd586756f1c90fb2a1fd6066fd191d",
        "272c88f46d041fe387d29f556a151d61",
    ],
    "ccnet": [
        "84a48c66f1d0e05726a5fd4d009c7287",
        "a65f268197b061c589f0b622a94a6c54",
        "6ccc6168c08cebab96be8767a9f561dd",
        "fac56b5c6152574f1deff8ba7ae96c3a",
    ],
}


# --- the exchange -------------------------------------------------------------------------------------


def through_exchange(stage: LineDedup, batches: Sequence[pa.RecordBatch], most: int) -> list[Any]:
    """As the engine does it: keys of one row are dropped, large groups come in pieces."""
    verdicts = [NO_VERDICTS] * len(batches)
    for round in range(stage.rounds):
        tables = [
            with_docs(stage.emit(batch, None, round, said), i)
            for i, (batch, said) in enumerate(zip(batches, verdicts, strict=True))
        ]
        groups = sort_groups(pa.concat_tables(tables), stage.order(round), stage.singles)
        said = pa.concat_tables([stage.reduce(group, round) for group in split_hot(groups, most)])
        verdicts = [route(said, i) for i in range(len(batches))]
    return [stage.annotate(b, v) for b, v in zip(batches, verdicts, strict=True)]


def kept_after_exchange(stage: LineDedup, batch: pa.RecordBatch, most: int) -> int:
    (marks,) = through_exchange(stage, [batch], most)
    return int(pc.sum(pc.count_substring(marks.columns["text"], NOTICE)).as_py())


@pytest.mark.parametrize("most", [2, 3, 7, 50])
def test_large_groups_in_pieces(most):
    pages = [page_of(f"{NOTICE}\n{i}\n{NOTICE}", i) for i in range(50)]
    for keep in ("first", "none"):
        stage = LineDedup(keep=keep)
        left = texts_of(stage, pages, max_group_rows=most)
        assert sum(text.count(NOTICE) for text in left) == (keep == "first")
        assert kept_after_exchange(stage, batch_of(pages), most) == (keep == "first")
    for fewest in (2, 5, 30):  # in pieces that are too small, lines stay; none goes that should not
        stage = LineDedup(min_documents=fewest, keep="none")
        stay = sum(NOTICE in text for text in texts_of(stage, pages, max_group_rows=most))
        assert stay < fewest if most >= fewest else stay == 50
        assert texts_of(LineDedup(min_documents=51), pages, max_group_rows=most) == [p.text for p in pages]


CONFIG = """
version: 1
run: {{name: lines, output: {out}, seed: 3, bucket_bytes: 1048576, max_group_rows: 7}}
nodes:
  web: {{stage: read_jsonl, params: {{paths: "{data}", url: url}}}}
  once: {{stage: line_dedup, inputs: [web], params: {params}}}
  out: {{stage: write_rows, inputs: [once], params: {{columns: [id, text]}}}}
  why: {{stage: write_rows, inputs: [once.rejected], params: {{columns: [id, text, rejected_by]}}}}
"""


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"unit": "sentences", "keep": "none"},
        {"scope": "domain", "min_documents": 3},
        {"scope": "document"},
        {"min_documents": 91},
    ],
)
def test_the_engine_agrees_with_the_exchange_in_memory(tmp_path, params):
    rng = random.Random(7)
    pages = []
    for part in range(3):
        lines = []
        for i in range(30):
            body = [rng.choice([COOKIES, NOTICE, f"Line {rng.randrange(40)} of some.", ""]) for _ in range(6)]
            lines.append({"text": "\n".join(body), "url": f"http://site{i % 4}.example/{part}"})
            pages.append(Page(f"web/{part}.jsonl#{i + 1}", lines[-1]["text"], lines[-1]["url"]))
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / f"{part}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)) + b"\n")
    text = CONFIG.format(out=tmp_path / "out", data=tmp_path / "data", params=orjson.dumps(params).decode())
    stages = {
        **TOYS,
        "read_jsonl": StageRef("stages.sources.jsonl:ReadJsonl"),
        "line_dedup": StageRef("stages.dedup.line:LineDedup"),
    }
    result = run_config(parse(text, "lines.yaml"), registry=stages, executor=LocalExecutor())
    found = {
        row["id"]: (row["text"], (row.get("rejected_by") or "").removeprefix("once.") or None)
        for folder in {
            p.parent for p in Path(result.folder).rglob("*.arrow") if p.parent.name in ("out", "why")
        }
        for row in rows(folder)
    }
    said = run(LineDedup(**params), pages, partitions=3, max_group_rows=7)
    assert found == {name: (text, reason) for name, (text, reason, _) in said.items()}
    assert any(evidence for _, _, evidence in said.values()) == (
        "min_documents" not in params or "scope" in params
    )


LINES = [
    COOKIES,
    NOTICE,
    "short",
    "",
    "  ",
    "One. Two. Three! four?",
    "同じ文。違う文。",
    "Price: 12",
    "price 34",
    "--",
    "a",
]
some_lines = st.lists(st.sampled_from(LINES), max_size=7)
some_text = st.tuples(some_lines, st.sampled_from(["\n", "\r\n", "\n\n", " ", "\n \n"]), st.booleans()).map(
    lambda t: t[1].join(t[0]) + (t[1] if t[2] else "")
)
some_texts = st.lists(
    st.one_of(st.none(), some_text, st.text(alphabet="aB.1 \n\u3000。！”é\u0301", max_size=30)),
    min_size=1,
    max_size=9,
)
stages = st.builds(
    LineDedup,
    unit=st.sampled_from(["line", "paragraph", "sentences"]),
    span=st.one_of(st.none(), st.integers(1, 4)),
    scope=st.sampled_from(["corpus", "domain", "document"]),
    min_count=st.sampled_from([2, 3, 5]),
    min_documents=st.sampled_from([1, 2, 3]),
    keep=st.sampled_from(["first", "none"]),
    normalize=st.sampled_from(["exact", "words", "ccnet"]),
    min_chars=st.sampled_from([1, 2, 13]),
).filter(lambda stage: not stage.problems())
URLS = ["http://a.com/", "https://www.a.com/2", "http://b.com", None]


@settings(max_examples=400, deadline=None)
@given(some_texts, stages, st.integers(1, 4), st.integers(0, 99))
def test_equals_the_oracle(texts, stage, partitions, seed):
    pages = [page_of(text, i, URLS[i % 4]) for i, text in enumerate(texts)]
    expected = dedup(pages, stage)
    said = run(stage, pages, partitions=partitions, shuffle_seed=seed)
    for page in pages:
        text, reason, evidence = said[page.id]
        left, removed = expected[page.id]
        assert (evidence or {"removed_lines": 0})["removed_lines"] == removed
        assert reason == ("nothing_left" if removed and not (left or "").strip() else None)
        assert text == (page.text if reason else left)
    batches = [batch_of(pages[::-1][i::partitions]) for i in range(partitions)]
    marks = through_exchange(stage, batches, 100)
    again = {
        name: row
        for batch, m in zip(batches, marks, strict=True)
        for name, *row in zip(
            batch["id"].to_pylist(),
            m.columns["text"].to_pylist(),
            m.reject.to_pylist(),
            m.evidence.to_pylist(),
            strict=True,
        )
    }
    assert again == {name: list(row) for name, row in said.items()}


@settings(max_examples=150, deadline=None)
@given(some_texts, st.sampled_from(["line", "paragraph"]), st.integers(2, 5))
def test_what_goes_stays_with_its_survivor(texts, unit, most):
    pages = pages_of(*texts)
    said = run(LineDedup(unit=unit, **EVERY_LENGTH), pages, max_group_rows=most)
    for _, _, evidence in said.values():
        if evidence:
            text, reason, _ = said[evidence["survivor"]]
            assert reason is None
            assert evidence["first_removed"] in [piece.strip()[:100] for piece in cut(text, unit)]


@settings(max_examples=150, deadline=None)
@given(some_texts, st.integers(1, 3))
def test_no_sentence_is_lost(texts, span):
    pages = pages_of(*texts)
    said = run(LineDedup(unit="sentences", span=span, **EVERY_LENGTH), pages)
    before = {piece.strip() for text in texts for piece in cut(text or "", "sentences")}
    after = {
        piece.strip() for t, reason, _ in said.values() if not reason for piece in cut(t or "", "sentences")
    }
    assert before <= after | {""}


# --- shapes and settings ------------------------------------------------------------------------------


def test_batches_without_rows_and_slices():
    stage = LineDedup()
    empty = batch_of([])
    full = batch_of(pages_of("not this", f"{NOTICE}\na", None, f"{NOTICE}\nb"))
    assert stage.emit(empty, None, 0, NO_VERDICTS).schema == stage.emit(full, None, 0, NO_VERDICTS).schema
    assert stage.emit(empty, None, 1, NO_VERDICTS).num_rows == 0
    parts = [empty, full.slice(1, 3), empty]
    left = [m.columns["text"].to_pylist() for m in run_global(stage, parts)]
    assert sum(NOTICE in (text or "") for text in left[1]) == 1
    assert (left[0], left[2], left[1][1]) == ([], [], None)


def test_emitted_rows_are_small():
    table = LineDedup().emit(batch_of(pages_of(NOTICE, COOKIES)), None, 0, NO_VERDICTS)
    assert table.schema.names == ["key", "row", "rank_hash", "item", "copies"]
    assert table.nbytes == 2 * 34


def test_items_are_numbered_in_their_rows():
    items = items_of(cut_pieces(pa.array([NOTICE, f"x\n{NOTICE}\n{NOTICE}"]), "line"), 1, 13)
    assert items.rows.tolist() == [0, 1, 1, 1]
    assert items.heads.tolist() == [0, -1, 2, 2]
    assert items.counts.tolist() == [1, 0, 2, 0]


def test_reads():
    assert LineDedup().reads().names == ["id", "source", "id_hash", "text"]
    assert "url" in LineDedup(scope="domain").reads().names
    assert LineDedup().writes().names == ["text"]


def test_settings_that_cannot_be():
    assert "min_documents is 3" in LineDedup(scope="document", min_documents=3).problems()[0]
    assert "twice" in LineDedup(source_priority=["a", "a"]).problems()[0]
    for wrong in (
        {"min_count": 1},
        {"span": 0},
        {"max_removed_fraction": 1.0},
        {"min_left_chars": 0},
        {"keep": "all"},
    ):
        with pytest.raises(ValidationError):
            LineDedup(**wrong)
