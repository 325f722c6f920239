"""Exact duplicates: who stays, who falls, and to whom."""

from collections import defaultdict

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.dedup.exact import ExactDedup, content_keys, normalize
from tests.stages.dedup.documents import batch_of, docs, lost, verdicts
from tests.support.exchange import NO_VERDICTS, run_global


def test_the_smallest_id_stays_and_is_the_evidence():
    said = verdicts(ExactDedup(), docs("cat", "dog", "cat", "Click here", "cat"))
    assert said == {"web/00002": {"survivor": "web/00000"}, "web/00004": {"survivor": "web/00000"}}


def test_a_hundred_copies_become_one():
    assert len(lost(ExactDedup(), docs(*["Click here"] * 100), partitions=7)) == 99


def test_empty_and_missing_texts_are_equal_to_nothing():
    assert lost(ExactDedup(), docs("", None, "", None)) == set()
    assert lost(ExactDedup(on="normalized"), docs("", " ", "\n\u00a0", None, "\t")) == set()


def test_text_is_compared_to_the_byte():
    assert lost(ExactDedup(), docs("Cat", "cat", "cat ", "caf\u00e9", "cafe\u0301")) == set()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Click  here\n", "click here"),
        ("caf\u00e9", "CAFE\u0301"),
        ("a\u00a0b\u2003c", "a b c"),
        ("МОСКВА\t", "москва"),
        ("橋\u3000は", "橋 は"),
        ("a\x0bb\x85c\x1fd", "a b c d"),
    ],
)
def test_normalized_folds_case_and_white_space(a, b):
    assert lost(ExactDedup(on="normalized"), docs(a, b)) == {"web/00001"}
    assert lost(ExactDedup(), docs(a, b)) == set()


@pytest.mark.parametrize(
    ("a", "b"), [("Go!", "Go?"), ("48 clips", "75 clips"), ("ガギグ", "カキク"), ("ab", "a b")]
)
def test_normalized_merges_nothing_else(a, b):
    assert lost(ExactDedup(on="normalized"), docs(a, b)) == set()


def test_sources_are_preferred_in_their_order():
    same = [("web", "1", "x"), ("books", "7", "x"), ("wiki", "3", "x"), ("web", "0", "x")]
    assert lost(ExactDedup(source_priority=["wiki", "books"]), same) == {"web/1", "books/7", "web/0"}
    assert lost(ExactDedup(source_priority=["none", "books"]), same) == {"web/1", "wiki/3", "web/0"}
    assert lost(ExactDedup(), same) == {"web/1", "wiki/3", "web/0"}  # books/7 is the smallest id


def test_raw_pages_and_dialogues():
    batch = batch_of(docs("a", "a", "b", "b")).append_column(
        "content", pa.array([b"\xff", b"\x00", b"\xff", None], pa.large_binary())
    )
    assert run_global(ExactDedup(on="content"), [batch])[0].reject.to_pylist() == [
        None,
        None,
        "exact_duplicate",
        None,
    ]
    turns = [[{"role": "user", "content": "hi"}], [{"role": "system", "content": "hi"}]]
    batch = batch.append_column("messages", pa.array([*turns, turns[0], []]))
    assert run_global(ExactDedup(on="messages"), [batch])[0].reject.to_pylist() == [
        None,
        None,
        "exact_duplicate",
        None,
    ]


@pytest.mark.parametrize("on", ["text", "normalized", "content", "messages"])
def test_reads_what_it_compares(on):
    assert ExactDedup(on=on).reads().names[-1] == {"normalized": "text"}.get(on, on)


def test_batches_without_rows():
    empty = batch_of([])
    assert ExactDedup().emit(empty, None, 0, NO_VERDICTS).num_rows == 0
    marks = run_global(ExactDedup(), [empty, batch_of(docs("a", "a")), empty])
    assert [m.reject.to_pylist() for m in marks] == [[], [None, "exact_duplicate"], []]


def test_a_source_named_twice_is_a_problem():
    assert ExactDedup(source_priority=["a", "b", "a"]).problems() == [
        "source_priority names 'a' twice; leave one"
    ]
    assert not ExactDedup(source_priority=["a", "b"]).problems()


def test_unknown_params_are_refused():
    with pytest.raises(ValidationError, match="on"):
        ExactDedup(on="words")


def test_golden_key():
    keys, rows = content_keys(pa.array(["", "corpus", None], pa.large_string()))
    assert rows.tolist() == [1]
    assert [k.hex() for k in keys.to_pylist()] == ["5b966a2e0e9a58c40348e6a5549e247d"]


def test_normalize_is_idempotent_on_every_kind_of_space():
    once = normalize(pa.array(["\u2028A\u00a0\u1680 \u200aB\u3000"], pa.large_string()))
    assert once.to_pylist() == ["a b"] == normalize(once).to_pylist()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y", "z", "", None])), max_size=25
    ),
    st.integers(1, 4),
    st.sampled_from([None, 2, 3]),
    st.integers(0, 3),
)
def test_agrees_with_a_dictionary_however_it_is_cut(made, partitions, limit, seed):
    documents = [(source, f"{i:03d}", text) for i, (source, text) in enumerate(made)]
    groups = defaultdict(list)
    for source, key, text in documents:
        if text:
            groups[text].append((source != "b", f"{source}/{key}"))
    expected = {
        name: {"survivor": min(members)[1]}
        for members in groups.values()
        for name in {name for _, name in members} - {min(members)[1]}
    }
    stage = ExactDedup(source_priority=["b"])
    assert verdicts(stage, documents, partitions, max_group_rows=limit, shuffle_seed=seed) == expected
