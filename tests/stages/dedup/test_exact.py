"""Exact duplicates: who stays, who falls, and to whom."""

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.stage import ANY_TYPE
from stages.dedup.exact import ExactDedup, column_keys, content_keys, normalize
from tests.stages.dedup.documents import batch_of, docs, lost, verdicts
from tests.support.exchange import NO_VERDICTS, run_global


def test_the_smallest_id_stays_and_is_the_evidence():
    said = verdicts(ExactDedup(), docs("cat", "dog", "cat", "Click here", "cat"))
    evidence = {"survivor": "web/00000", "cluster_size": 3}
    assert said == {"web/00002": evidence, "web/00004": evidence}


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


def test_white_space_is_what_python_calls_so():
    chars = [chr(point) for point in [*range(0xD800), *range(0xE000, 0x110000)]]
    made = normalize(pa.array([f"a{char}b" for char in chars], pa.large_string()))
    folded = pc.equal(made, "a b").to_pylist()
    assert [c for c, is_space in zip(chars, folded, strict=True) if is_space] == [
        c for c in chars if c.isspace()
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.none() | st.text(alphabet=" \t\n\u00a0\u2003\u3000\u200b\u0085abé橋\U0001f600", max_size=12),
        max_size=6,
    )
)
def test_normalize_by_definition(texts):
    expected = [None if t is None else " ".join(t.lower().split()) for t in texts]
    made = normalize(pa.array(texts, pa.large_string()))
    made.validate(full=True)
    assert made.to_pylist() == expected
    assert normalize(pa.array(["x", *texts], pa.string()).slice(1)).to_pylist() == expected


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
        name: min(members)[1]
        for members in groups.values()
        for name in {name for _, name in members} - {min(members)[1]}
    }
    stage = ExactDedup(source_priority=["b"])
    said = verdicts(stage, documents, partitions, max_group_rows=limit, shuffle_seed=seed)
    assert {name: evidence["survivor"] for name, evidence in said.items()} == expected
    sizes = {min(members)[1]: len(members) for members in groups.values()}
    for evidence in said.values():
        whole = sizes[evidence["survivor"]]
        assert (
            evidence["cluster_size"] == whole
            if limit is None
            else 2 <= evidence["cluster_size"] <= min(whole, limit)
        )


# --- any columns ----------------------------------------------------------------------------------------


def columns_batch(**columns: pa.Array) -> pa.RecordBatch:
    rows = len(next(iter(columns.values())))
    return pa.record_batch(
        {
            "id": pa.array([f"web/{i}" for i in range(rows)]),
            "source": pa.array(["web"] * rows).dictionary_encode(),
            **columns,
        }
    )


def fallen(stage: ExactDedup, batch: pa.RecordBatch) -> list[int]:
    (marks,) = run_global(stage, [batch])
    return [i for i, reason in enumerate(marks.reject.to_pylist()) if reason]


COLUMNS = {  # name: (values in which only the last equals another, type)
    "text": (["a", "", None, "b", "a"], pa.string()),
    "large text": (["a", "", None, "\u00e9", "a"], pa.large_string()),
    "text view": (["a", "", None, "a much longer text than twelve", "a"], pa.string_view()),
    "bytes": ([b"\x00", b"", None, b"\x00\x00", b""], pa.binary()),
    "fixed bytes": ([b"aa", b"\x00\x00", None, b"ab", b"aa"], pa.binary(2)),
    "int": ([0, -1, None, 2**62, 0], pa.int64()),
    "uint64": ([0, 2**64 - 1, None, 1, 2**64 - 1], pa.uint64()),
    "small int": ([0, -1, None, 5, -1], pa.int8()),
    "float": ([0.0, float("nan"), None, 1.5, -0.0], pa.float64()),
    "float32": ([0.0, 2.5, None, float("nan"), float("nan")], pa.float32()),
    "bool": ([False, None, True], pa.bool_()),
    "decimal": ([Decimal("1.10"), None, Decimal("1.1")], pa.decimal128(5, 2)),
    "date": ([date(2024, 5, 1), None, date(2024, 5, 2), date(2024, 5, 1)], pa.date32()),
    "time stamp": ([datetime(2024, 5, 1), None, datetime(2024, 5, 1)], pa.timestamp("us")),
    "list": ([[1, 2], [], None, [1], [1, None], [1, 2]], pa.list_(pa.int32())),
    "struct": ([{"a": 1, "b": "x"}, {"a": None, "b": None}, None, {"a": 1, "b": "x"}], pa.struct([("a", pa.int8()), ("b", pa.string())])),
    "bytes in a list": ([[b"\xff"], None, [b"\xfe"], [b"\xff"]], pa.list_(pa.binary())),
    "dictionary": (["a", None, "", "a"], pa.dictionary(pa.int32(), pa.string())),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_every_type(name):
    values, kind = COLUMNS[name]
    column = pa.array(values, kind)
    last = len(values) - 1
    expected = [] if name == "bool" else [last]
    assert fallen(ExactDedup(on="columns", columns=["a"]), columns_batch(a=column)) == expected
    keys, rows = column_keys([column])
    part, part_rows = column_keys([column.slice(1)])  # an array with an offset
    assert part.to_pylist() == [k for k, row in zip(keys.to_pylist(), rows, strict=True) if row]
    assert part_rows.tolist() == [row - 1 for row in rows if row]


def test_values_do_not_run_into_each_other():
    batch = columns_batch(
        a=pa.array(["ab", "a", "", None, "abc"]), b=pa.array(["c", "bc", "abc", "abc", None])
    )
    assert fallen(ExactDedup(on="columns", columns=["a", "b"]), batch) == []
    swapped = columns_batch(a=pa.array(["x", "y"]), b=pa.array(["y", "x"]))
    assert fallen(ExactDedup(on="columns", columns=["a", "b"]), swapped) == []


def test_all_null_is_equal_to_nothing_but_some_null_is():
    batch = columns_batch(
        a=pa.array([None, None, "x", "x", ""]), b=pa.array([None, None, None, None, None], pa.int8())
    )
    assert fallen(ExactDedup(on="columns", columns=["a", "b"]), batch) == [3]
    assert fallen(ExactDedup(on="columns", columns=["b"]), batch) == []


def test_one_column_more_tells_apart():
    batch = columns_batch(url=pa.array(["u", "u", "u"]), title=pa.array(["t", "s", "t"]))
    assert fallen(ExactDedup(on="columns", columns=["url"]), batch) == [1, 2]
    assert fallen(ExactDedup(on="columns", columns=["url", "title"]), batch) == [2]
    assert fallen(ExactDedup(on="columns", columns=["title", "url"]), batch) == [2]
    assert fallen(ExactDedup(on="columns", columns=["source"]), batch) == [1, 2]


# --- the survivor policy ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        ({}, 0),
        ({"prefer": "newest"}, 2),
        ({"prefer": "oldest"}, 1),
        ({"prefer": "longest"}, 3),
        ({"prefer": "shortest"}, 0),
        ({"quality": "score"}, 1),
        ({"quality": "score", "prefer": "newest"}, 1),
        ({"source_priority": ["web"], "prefer": "newest"}, 2),
    ],
)
def test_the_survivor_policy(params, kept):
    batch = columns_batch(
        a=pa.array(["x"] * 4),
        text=pa.array(["1", "12", "123", "1234"], pa.large_string()),
        date=pa.array([None, "2020-01-01", "2024-05-01", "2021"]),
        score=pa.array([0.5, 0.9, None, float("nan")]),
    )
    stage = ExactDedup(on="columns", columns=["a"], **params)
    assert not stage.problems()
    assert set(stage.reads().names) <= set(batch.schema.names)
    assert fallen(stage, batch) == sorted({0, 1, 2, 3} - {kept})


def test_lengths_of_normalized_texts_are_those_of_the_text():
    assert lost(ExactDedup(on="normalized", prefer="longest"), docs("a b", "A  B ", None)) == {"web/00000"}


def test_reads_of_columns():
    stage = ExactDedup(on="columns", columns=["url", "date", "text"], prefer="newest")
    assert stage.reads().names == ["id", "source", "date", "url", "text"]
    assert stage.reads().field("url").type == pa.string()
    assert ExactDedup(on="columns", columns=["own"]).reads().field("own").type == ANY_TYPE
    assert (
        ExactDedup(on="columns", columns=["text"], prefer="longest").reads().field("text").type
        == pa.large_string()
    )


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"on": "columns"}, "columns is empty; name those that must be equal, such as [url, title]"),
        ({"columns": ["url"]}, "columns is ['url'], but on is 'text'; write on: columns, or leave them out"),
        ({"on": "columns", "columns": ["a", "a"]}, "columns names 'a' twice; leave one"),
    ],
)
def test_columns_that_make_no_sense(params, problem):
    assert ExactDedup(**params).problems() == [problem]


@pytest.mark.parametrize(
    "params", [{}, {"on": "columns", "columns": ["text"]}, {"on": "normalized", "prefer": "newest"}]
)
def test_keys_of_one_row_make_no_difference(params):
    """The engine leaves them out (singles = False), or some of them."""
    stage = ExactDedup(**params)
    assert stage.singles is False
    batch = batch_of(docs("a", "b", "a", "c")).append_column("date", pa.array(["2020"] * 4))
    table = stage.emit(batch, None, 0, NO_VERDICTS)
    table = table.append_column("doc", table["row"].cast(pa.uint64()))
    table = table.take(pc.sort_indices(table, [("key", "ascending"), ("id", "ascending")]))
    shared = table.filter(pc.is_in(table["doc"], pa.array([0, 2], pa.uint64())))
    assert stage.reduce(table, 0).equals(stage.reduce(shared, 0))
    assert stage.reduce(table.slice(0, 0), 0).num_rows == 0
