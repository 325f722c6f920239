"""Levels: how many, why, what they store; and that cutting more often changes nothing but the number of tasks."""

import pytest

from pipeline.api import describe, parse, plan
from tests.support.corpora import digests, full_config, run_here, write_corpus
from tests.support.toy import TOYS

CHAIN = """
version: 1
run: {{output: {out}, max_error_ratio: 1}}
nodes:
  a: {{stage: read_lines, params: {{folder: {folder}}}}}
  m: {{stage: measure, inputs: [a], params: {{min_length: 3}}, checkpoint: {cut}}}
  s: {{stage: shout, inputs: [m], checkpoint: {cut}}}
  d: {{stage: dedup, inputs: [s], checkpoint: {cut}}}
  w: {{stage: split_words, inputs: [d], checkpoint: {cut}}}
  out: {{stage: write_rows, inputs: [w]}}
"""


def chain(tmp_path, cut, out="out"):
    return parse(CHAIN.format(out=tmp_path / out, folder=tmp_path / "in", cut="true" if cut else "null"))


def test_levels_and_reasons(tmp_path):
    made = plan(full_config(tmp_path), TOYS)
    assert [[f"{s.action} {s.node}" for s in level.steps] for level in made.levels] == [
        ["read lines", "read more", "annotate length", "write list", "annotate loud", "gather unique"],
        ["verdict unique", "annotate known", "gather letters", "write known_out", "write why"],
        ["verdict letters", "expand words", "write out"],
    ]
    text = describe(made)
    assert "level 1: because unique (dedup) compares all documents: an exchange" in text
    assert "known needs all of 'list' as its side input 'list'" in text
    assert "level 2: because letters (count_first_letter) compares all documents: 2 exchanges" in text


def test_fused_equals_unfused_with_fewer_tasks(tmp_path):
    write_corpus(tmp_path / "in", files=3)
    fused = run_here(chain(tmp_path, cut=False))
    unfused = run_here(chain(tmp_path, cut=True, out="out2"))
    assert len(plan(chain(tmp_path, cut=False), TOYS).levels) == 2
    assert len(plan(chain(tmp_path, cut=True), TOYS).levels) == 6
    assert fused.executed == 2 * 3 + 1 + 1  # two levels of three partitions, one reduction, one commit
    assert unfused.executed == 6 * 3 + 1 + 1 - 2  # two partitions have nothing left behind the dedup
    one, two = digests(fused), digests(unfused)
    assert {k: v for k, v in one.items() if k.startswith("out/")} == {
        k: v for k, v in two.items() if k.startswith("out/")
    }


def test_fan_out_inside_a_level_costs_no_task(tmp_path):
    write_corpus(tmp_path / "in", files=2)
    base = CHAIN.format(out=tmp_path / "o", folder=tmp_path / "in", cut="null")
    more = base + "".join(
        f"  x{i}: {{stage: measure, inputs: [s], params: {{max_length: {i}}}}}\n"
        f"  y{i}: {{stage: write_rows, inputs: [x{i}.rejected]}}\n"
        for i in range(5)
    )
    assert (
        run_here(parse(more)).executed == run_here(parse(base.replace("/o,", "/p,"))).executed + 5
    )  # five commits


@pytest.mark.parametrize("keep", [True, False])
def test_rejected_rows_are_stored_only_when_asked(tmp_path, keep):
    made = plan(full_config(tmp_path, run=f"keep_rejected: {str(keep).lower()}"), TOYS)
    stored = {(e.node, e.port) for e in made.stored}
    assert (("words", "rejected") in stored) is keep
    assert ("unique", "in") in stored
