"""All laws across a node that arranges rows: nothing lost, one order, the same bytes however run, redone only if need be."""

import json
from collections import Counter
from pathlib import Path

import pytest

from pipeline.api import check, describe, open_run, parse, plan, run
from pipeline.cluster import ClusterConfig
from pipeline.errors import Interrupted
from pipeline.executors.local import LocalExecutor
from pipeline.schema import hash_fractions, id_hashes
from pipeline.stage import StageRef
from pipeline.trace import stories, story_lines
from tests.laws.test_same_bytes import shuffled
from tests.support.corpora import digests, rows, write_corpus
from tests.support.toy import TOYS

STAGES = TOYS | {"order_documents": StageRef("stages.mixing.order:OrderDocuments")}
CONFIG = """
version: 1
run: {{name: arranged, output: {out}, max_error_ratio: 0.5{run}}}
nodes:
  lines: {{stage: read_lines, params: {{folder: {tmp}/lines}}}}
  more: {{stage: read_lines, params: {{folder: {tmp}/more}}}}
  length: {{stage: measure, inputs: [lines, more], params: {{min_length: {min}, max_length: 30}}, checkpoint: true}}
  order: {{stage: order_documents, inputs: [length], params: {{by: {by}, partitions: {parts}, seed: {seed}}}}}
  loud: {{stage: shout, inputs: [order]}}
  unique: {{stage: dedup, inputs: [loud]}}
  words: {{stage: split_words, inputs: [unique]}}
  ordered: {{stage: write_rows, inputs: [order], params: {{columns: [id, source, text, length]}}}}
  out: {{stage: write_rows, inputs: [words, length], params: {{columns: [id, text]}}}}
"""


def config(tmp, *, out="out", run="", by="[shuffle]", parts="null", seed=0, min_length=1):
    write_corpus(tmp / "lines")
    write_corpus(tmp / "more", files=2, lines=25)
    text = CONFIG.format(
        out=tmp / out, tmp=tmp, run=f", {run}" if run else "", by=by, parts=parts, seed=seed, min=min_length
    )
    return parse(text, "arranged.yaml")


def run_here(config, **kwargs):
    return run(config, registry=STAGES, **({"executor": LocalExecutor()} | kwargs))


def ordered(result):
    return rows(result.sink("ordered"))


def test_nothing_is_lost_and_the_order_is_global(tmp_path):
    result = run_here(config(tmp_path, by="[length, shuffle]", parts=3))
    node = {n["node"]: n for n in result.report["nodes"]}
    found = ordered(result)
    assert len(found) == node["length"]["total"]["kept"] == node["order"]["total"]["resumed"] > 100
    assert len({row["id"] for row in found}) == len(found)
    fractions = hash_fractions(id_hashes([row["id"] for row in found]), "0/order").tolist()
    keys = [(row["length"], fraction) for row, fraction in zip(found, fractions, strict=True)]
    assert keys == sorted(keys)
    assert {row["source"] for row in found} == {"lines", "more"}
    assert all(
        row["id"].startswith(row["source"]) for row in found
    )  # T49: what belongs together stays together
    files = sorted(Path(result.sink("ordered")).glob("*.arrow"))
    assert len(files) == 3
    sizes = [len(rows_of) for rows_of in map(_rows_of, files)]
    assert max(sizes) - min(sizes) <= 2


def _rows_of(file):
    import pyarrow as pa

    with pa.ipc.open_file(str(file)) as reader:
        return reader.read_all().to_pylist()


def test_accounts_of_sources_end_where_rows_are_mixed(tmp_path):
    report = run_here(config(tmp_path)).report
    node = {n["node"]: n for n in report["nodes"]}
    assert set(node["length"]["sources"]) == {"lines", "more"}
    assert set(node["loud"]["sources"]) == {"order"}
    assert node["loud"]["total"]["in"] == node["length"]["total"]["kept"]
    funnel = {step["node"]: step for step in report["funnel"]["lines"]}
    assert funnel["order"]["in"] == funnel["order"]["out"] > 0
    assert set(node["out"]["sources"]) == {"lines", "more", "order"}  # a union of arranged rows and others


def test_seeds_give_other_orders_of_the_same_rows(tmp_path):
    one, two = (ordered(run_here(config(tmp_path, out=f"o{seed}", seed=seed))) for seed in (1, 2))
    assert [r["id"] for r in one] != [r["id"] for r in two]
    assert sorted(r["id"] for r in one) == sorted(r["id"] for r in two)


@pytest.fixture
def reference(tmp_path):
    return digests(run_here(config(tmp_path, out="reference", parts=3)))


@pytest.mark.parametrize(
    "setting",
    ["batch_rows: 1", "batch_rows: 7", "bucket_bytes: 65536", "buckets: 3", "store_compression: none"],
)
def test_settings_do_not_matter(tmp_path, reference, setting):
    assert digests(run_here(config(tmp_path, parts=3, run=setting))) == reference


def test_order_of_completion(tmp_path, reference):
    for seed in (1, 2):
        result = run_here(config(tmp_path, out=f"out{seed}", parts=3), executor=shuffled(seed))
        assert digests(result) == reference


@pytest.mark.dask
@pytest.mark.parametrize("workers", [1, 2])
def test_number_of_workers(tmp_path, reference, workers):
    result = run_here(config(tmp_path, parts=3), executor=None, cluster=ClusterConfig(workers=workers))
    assert digests(result) == reference


def test_runs_in_many_pieces(tmp_path, reference, monkeypatch):
    """A unit that puts its rows away in several sorted runs, as it does with more than fit."""
    from pipeline.arrange import Placing

    add = Placing.add

    def add_and_flush(self, batch, placed):
        add(self, batch, placed)
        self._flush()

    monkeypatch.setattr(Placing, "add", add_and_flush)
    assert digests(run_here(config(tmp_path, parts=3, run="batch_rows: 5"))) == reference


def test_a_second_run_does_nothing_and_another_seed_starts_at_the_node(tmp_path):
    first = run_here(config(tmp_path, parts=3))
    assert run_here(config(tmp_path, parts=3)).executed == 0
    again = run_here(config(tmp_path, parts=3, seed=9))
    assert 0 < again.executed < first.executed
    assert run_here(config(tmp_path, parts=3, min_length=2)).executed > again.executed


def test_stopped_and_run_again(tmp_path, reference):
    for calls in range(1, 40, 6):
        left = iter(range(calls))
        try:
            result = run_here(
                config(tmp_path, parts=3),
                executor=LocalExecutor(),
                stop=lambda left=left: next(left, None) is None,
            )
        except Interrupted:
            continue
        assert digests(result) == reference
    assert digests(run_here(config(tmp_path, parts=3))) == reference


def test_a_document_can_be_followed_through(tmp_path):
    result = run_here(config(tmp_path, parts=3))
    opened = open_run(result.folder)
    some = ordered(result)[7]["id"]
    (story,) = stories(opened, some)
    events = [(event.event, event.node) for event in story.events]
    assert events[:2] == [("read", story.source), ("arranged", "order")]
    assert ("written", "ordered") in events
    assert any("arranged order" in " ".join(line.split()) for line in story_lines(story))
    fell = next(
        event
        for row in ordered(result)
        for event in stories(opened, row["id"])[0].events
        if event.event == "rejected"
    )
    assert fell.node == "unique"


def test_the_plan_says_so(tmp_path):
    text = describe(plan(config(tmp_path), STAGES))
    assert "order (order_documents) puts all documents in one order" in text
    assert "place for order (order_documents) <- length" in text


def test_more_partitions_than_rows(tmp_path):
    result = run_here(config(tmp_path, parts=500))
    assert len(ordered(result)) == len({row["id"] for row in ordered(result)}) > 100


def test_nothing_to_arrange(tmp_path):
    result = run_here(config(tmp_path, min_length=29))
    assert ordered(result) == []


def test_arranged_twice(tmp_path):
    text = CONFIG.replace(
        "inputs: [order], params: {{columns: [id, source", "inputs: [again], params: {{columns: [id, source"
    )
    text = text.replace(
        "  loud:",
        "  again: {{stage: order_documents, inputs: [order], params: {{by: [length], partitions: 2}}}}\n  loud:",
    )
    write_corpus(tmp_path / "lines")
    write_corpus(tmp_path / "more", files=2, lines=25)
    made = parse(
        text.format(out=tmp_path / "out", tmp=tmp_path, run="", by="[shuffle]", parts="null", seed=0, min=1),
        "a.yaml",
    )
    check(made, STAGES)
    result = run_here(made)
    lengths = [row["length"] for row in ordered(result)]
    assert lengths == sorted(lengths)
    assert len(lengths) > 100
    report = json.loads((Path(result.folder) / "report.json").read_text("utf-8"))
    assert Counter(n["kind"] for n in report["nodes"])["arrange"] == 2
