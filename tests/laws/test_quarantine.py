"""P5: a bad document is set aside with its traceback; too many of them stop the run."""

import pytest

from pipeline.api import open_run, parse
from pipeline.cluster import ClusterConfig
from pipeline.errors import StageError, TooManyErrors
from pipeline.io.arrow import read_table
from tests.support.corpora import rows, run_here

ONE = """
version: 1
run: {{output: {out}, max_error_ratio: {ratio}, error_allowance: {allowance}, batch_rows: {batch}, watchdog_s: {watchdog}}}
nodes:
  a: {{stage: read_lines, params: {{folder: {folder}, rows: {rows}}}}}
  b: {{stage: shout, inputs: [a], params: {{{params}}}}}
  c: {{stage: write_rows, inputs: [b]}}
"""


def config(tmp_path, params, *, lines=None, ratio=0.01, allowance=20, batch=1024, watchdog="null", rows=50):
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    for f in range(2):
        (folder / f"p{f}.txt").write_text("\n".join(lines or [f"line {f} {i}" for i in range(60)]) + "\n")
    text = ONE.format(
        out=tmp_path / "out",
        folder=folder,
        params=params,
        ratio=ratio,
        allowance=allowance,
        batch=batch,
        watchdog=watchdog,
        rows=rows,
    )
    return parse(text)


def fates(result, event):
    run = open_run(result.folder)
    found = []
    for _, _, folder in run.units():
        found += [
            r for r in read_table(run.output, f"{folder}/fates.arrow").to_pylist() if r["event"] == event
        ]
    return found


@pytest.mark.parametrize("batch", [1, 7, 1024])
def test_a_row_that_raises_is_set_aside_and_the_others_go_on(tmp_path, batch):
    result = run_here(config(tmp_path, 'boom: "line 1 3"', batch=batch))
    failed = fates(result, "failed")
    assert sorted(f["id"] for f in failed) == [f"a/p1.txt#{k}" for k in (3, *range(30, 40))]
    assert {f["reason"] for f in failed} == {"b.error"}
    assert "ValueError: boom on line 1 3" in failed[0]["evidence"]
    assert "Traceback" in failed[0]["evidence"]
    assert len(rows(result.sink("c"))) == 120 - 11


def test_too_many_failures_stop_the_run(tmp_path):
    with pytest.raises(
        TooManyErrors,
        match=r"node 'b' failed on 11 of 120 rows, mostly 'ValueError' \(11\), such as a/p1.txt#\d+: "
        r"ValueError: boom on line 1 3; mend it",
    ):
        run_here(config(tmp_path, 'boom: "line 1 3"', allowance=10))
    assert run_here(config(tmp_path, 'boom: "line 1 3"', allowance=10, ratio=0.1)).report


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("rows", "node 'b': column 'text' has 59 rows for a batch of 60"),
        ("type", "node 'b': column 'text' is string, declared as large_string"),
        ("name", "node 'b': column 'text' is declared in writes.. but was not returned"),
        ("reason", r"node 'b': reasons \['oops'\] are not members of NoReason"),
    ],
)
def test_a_broken_contract_is_the_stages_fault(tmp_path, wrong, message):
    with pytest.raises(StageError, match=message):
        run_here(config(tmp_path, f"wrong: {wrong}", rows=60))


def test_a_row_that_hangs_is_cut_off(tmp_path):
    lines = [f"line {i}" for i in range(6)]
    result = run_here(config(tmp_path, 'sleep: "line 4"', lines=lines, watchdog=0.5))
    failed = fates(result, "failed")
    assert [f["id"] for f in failed] == ["a/p0.txt#4", "a/p1.txt#4"]
    assert "Timeout" in failed[0]["evidence"]


@pytest.mark.dask
def test_a_row_that_kills_its_worker_is_found_and_set_aside(tmp_path):
    lines = [f"line {i}" for i in range(9)]
    made = config(tmp_path, 'die: "line 4"', lines=lines)
    result = run_here(made, executor=None, cluster=ClusterConfig(workers=2))
    failed = fates(result, "failed")
    assert [f["id"] for f in failed] == ["a/p0.txt#4", "a/p1.txt#4"]
    assert "the worker died 3 times while node 'b' had this row" in failed[0]["evidence"]
    assert len(rows(result.sink("c"))) == 16
    assert not list((tmp_path / "out" / "store" / "attempts").iterdir())


@pytest.mark.dask
def test_a_worker_killed_from_outside_blames_nobody(tmp_path):
    made = config(tmp_path, f"die_once: {tmp_path / 'died'}")
    result = run_here(made, executor=None, cluster=ClusterConfig(workers=2))
    assert (tmp_path / "died").exists()
    assert fates(result, "failed") == []
    assert len(rows(result.sink("c"))) == 120


LATER = """
version: 1
run: {{output: {out}, max_error_ratio: 0.5, batch_rows: {batch}}}
nodes:
  a: {{stage: read_lines, params: {{folder: {folder}, rows: 50}}}}
  g: {{stage: count_first_letter, inputs: [a], params: {{boom: "line 1 3"}}}}
  c: {{stage: write_rows, inputs: [g], params: {{columns: [id, text, group_size]}}}}
"""


@pytest.mark.parametrize("batch", [1, 7, 1024])
def test_a_row_that_fails_in_a_later_round_of_an_exchange_is_set_aside(tmp_path, batch):
    """It was gathered in round 0, so it must not pass as if it had been compared, nor stop the run."""
    config(tmp_path, "")
    result = run_here(parse(LATER.format(out=tmp_path / "out", folder=tmp_path / "in", batch=batch)))
    failed = fates(result, "failed")
    assert sorted(f["id"] for f in failed) == [f"a/p1.txt#{k}" for k in (3, *range(30, 40))]
    assert {(f["node"], f["reason"]) for f in failed} == {("g", "g.error")}
    kept = rows(result.sink("c"))
    assert len(kept) == 120 - 11
    assert {r["group_size"] for r in kept} == {120}  # counted in round 0; every other row got its verdict
    assert (
        run_here(parse(LATER.format(out=tmp_path / "out", folder=tmp_path / "in", batch=batch))).executed == 0
    )
