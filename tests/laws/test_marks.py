"""Verdicts that are noted and not carried out, and the brake on whole sources."""

import pytest

from pipeline.api import parse
from pipeline.errors import SourceBrake
from tests.support.corpora import rows, run_here, write_corpus

CONFIG = """
version: 1
run: {{output: {out}, max_error_ratio: 1, seed: 4{run}}}
nodes:
  a: {{stage: read_lines, params: {{folder: {folder}}}}}
  short: {{stage: measure, inputs: [a], params: {{min_length: 8}}{short}}}
  long: {{stage: measure, inputs: [short], params: {{max_length: 12}}}}
  unique: {{stage: dedup, inputs: [long]}}
  out: {{stage: write_rows, inputs: [unique]}}
"""


def config(tmp_path, *, run="", short=""):
    folder = write_corpus(tmp_path / "in", files=3, lines=200)
    return parse(CONFIG.format(out=tmp_path / "out", folder=folder, run=run, short=short))


def total(result, node, group):
    found = {}
    for n in result.report["nodes"]:
        if n["node"] == node:
            for account in n["sources"].values():
                for reason, count in account[group].items():
                    found[reason] = found.get(reason, 0) + count
    return found


def test_annotate_only_marks_and_keeps(tmp_path):
    plain = run_here(config(tmp_path))
    marked = run_here(config(tmp_path, short=", annotate_only: true"))
    assert total(marked, "short", "marked") == total(plain, "short", "rejected") != {}
    assert total(marked, "short", "rejected") == {}


def test_an_audit_lets_a_share_through_all_rules_and_says_what_each_alone_would_remove(tmp_path):
    result = run_here(config(tmp_path, run=", audit: 0.25"))
    audit = result.report["audit"]
    plain = run_here(config(tmp_path))
    for node in ("short", "long", "unique"):
        marked = sum(total(result, node, "marked").values())
        assert audit["marked"].get(node, 0) == marked > 0
        assert audit["only"].get(node, 0) <= marked
    documents = sum(n["total"]["kept"] for n in plain.report["nodes"] if n["kind"] == "source")
    assert 0.15 * documents < audit["documents"] < 0.35 * documents
    assert len(rows(result.sink("out"))) >= audit["documents"]
    # a document that is both short and a copy of another is nobody's alone
    assert sum(audit["only"].values()) < audit["documents"]


def test_the_audit_does_not_depend_on_batches(tmp_path):
    one = run_here(config(tmp_path, run=", audit: 0.25")).report["audit"]
    assert run_here(config(tmp_path, run=", audit: 0.25, batch_rows: 3")).report["audit"] == one


def test_the_brake(tmp_path):
    with pytest.raises(
        SourceBrake,
        match=r"node 'short' rejected \d+ of 597 rows of source 'a' .*raise nodes.short.max_source_loss",
    ):
        run_here(config(tmp_path, short=", max_source_loss: 0.05"))
    assert run_here(config(tmp_path, short=", max_source_loss: 0.9")).report
