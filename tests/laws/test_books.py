"""P1: at every node, for every partition, rows in = kept + rejected + failed (+ what was made)."""

import copy

import pyarrow as pa
import pytest

from pipeline.api import parse
from pipeline.books import Books, check_run, check_unit
from pipeline.errors import BooksError, StageError
from tests.support.corpora import full_config, rows, run_here, write_corpus


def account(result, node, source):
    return next(n for n in result.report["nodes"] if n["node"] == node)["sources"][source]


def test_every_line_is_accounted_for(tmp_path):
    result = run_here(full_config(tmp_path))
    lines = account(result, "lines", "lines")
    assert (lines["in"], lines["kept"], lines["failed"]) == (160, 156, {"damaged_line": 4})
    for node in result.report["nodes"]:
        for source, a in node["sources"].items():
            gone = sum(a["rejected"].values()) + sum(a["failed"].values())
            assert a["in"] == a["passed"] + gone, (node["node"], source)
            assert a["gathered"] == a["resumed"]
    assert account(result, "length", "lines")["in"] == lines["kept"]


def test_counts_equal_the_rows_in_the_sinks(tmp_path):
    result = run_here(full_config(tmp_path))
    rejected = sum(
        sum(account(result, node, source)["rejected"].values())
        for node in ("length", "unique")
        for source in ("lines", "more")
    )
    assert len(rows(result.sink("why"))) == rejected
    words = account(result, "words", "lines")
    assert words["kept"] == words["passed"] + words["made"] == len(rows(result.sink("out")))


def test_books_that_do_not_balance_fail():
    books = Books(3)
    books.add("a", "s", "in", 5)
    books.add("a", "s", "passed", 4)
    with pytest.raises(BooksError, match="node 'a', source 's': 5 rows in, but 4 accounted for"):
        check_unit(books, "here")
    books.add("a", "s", "in", -1)
    with pytest.raises(BooksError, match="4 rows passed and 0 were made of them, but 0 were kept"):
        check_unit(books, "here")


def test_rows_lost_between_nodes_fail(tmp_path):
    config = full_config(tmp_path)
    result = run_here(config)
    from pipeline.api import plan
    from tests.support.toy import TOYS

    graph = plan(config, TOYS).graph
    data = {
        "nodes": {n["node"]: copy.deepcopy(n["sources"]) for n in result.report["nodes"]},
        "samples": {},
    }
    check_run(graph.nodes, Books(3, data))
    for counter in ("in", "passed", "kept"):
        data["nodes"]["loud"]["lines"][counter] -= 1
    with pytest.raises(
        BooksError, match="node 'loud', source 'lines': its inputs put out 129 rows, but it took in 128"
    ):
        check_run(graph.nodes, Books(3, data))


def test_a_sink_that_leaves_rows_is_an_error(tmp_path):
    folder = write_corpus(tmp_path / "c", files=1)
    text = f"""
version: 1
run: {{output: {tmp_path / "out"}, max_error_ratio: 1}}
nodes:
  a: {{stage: read_lines, params: {{folder: {folder}}}}}
  b: {{stage: lazy, inputs: [a]}}
"""
    with pytest.raises(StageError, match=r"node 'b': write\(\) took 0 of 39 rows; it must take them all"):
        run_here(parse(text))


def test_merge_is_associative_and_commutative():
    def books(seed):
        made = Books(2)
        for i in range(seed, seed + 5):
            made.add(f"n{i % 2}", f"s{i % 3}", "in", i)
            made.count(f"n{i % 2}", "s", "rejected", pa.array(["x", None, "y"][: i % 3 + 1]))
        made.data["samples"] = {"n": {"x": [{"hash": f"{seed:02x}", "id": str(seed)}]}}
        return made

    def total(order):
        made = Books(2)
        for seed in order:
            made.merge(copy.deepcopy(books(seed).data))
        return made.data

    left = Books(2)
    left.merge(books(1).data)
    right = Books(2)
    right.merge(books(5).data)
    right.merge(books(9).data)
    left.merge(right.data)
    assert total([1, 5, 9]) == total([9, 1, 5]) == total([5, 9, 1]) == left.data
    assert [s["id"] for s in left.data["samples"]["n"]["x"]] == ["1", "5"]


def test_where_edges_count_what_no_reader_chose(tmp_path):
    folder = write_corpus(tmp_path / "c", files=1)
    text = f"""
version: 1
run: {{output: {tmp_path / "out"}, max_error_ratio: 1}}
nodes:
  a: {{stage: read_lines, params: {{folder: {folder}}}}}
  b: {{stage: measure, inputs: [a]}}
  empty: {{stage: write_rows, inputs: [{{node: b, where: {{length: 0}}}}]}}
  some: {{stage: write_rows, inputs: [{{node: b, where: {{length: [5, 11]}}}}]}}
"""
    result = run_here(parse(text))
    read = [r["text"] for r in rows(result.sink("empty"))]
    assert read
    assert set(read) == {""}
    assert {len(r["text"]) for r in rows(result.sink("some"))} <= {5, 11}
    unread = account(result, "b", "a")["kept"] - len(read) - len(rows(result.sink("some")))
    assert account(result, "b", "a")["unread"] == unread
    assert unread > 0
