"""Repeated spans through the real exchange: as in memory, for any sizes, and with memory that does not grow."""

import json
from pathlib import Path

import pytest

from pipeline.api import parse, run
from pipeline.executors.local import LocalExecutor
from pipeline.stage import StageRef
from stages.dedup.substring import SubstringDedup
from tests.stages.dedup.test_substring import long_corpus
from tests.stages.dedup.test_substring import run as run_in_memory
from tests.support.corpora import rows
from tests.support.toy import TOYS

STAGES = {**TOYS, "substring_dedup": StageRef("stages.dedup.substring:SubstringDedup")}
CONFIG = """
version: 1
run: {{name: spans, output: {out}, bucket_bytes: {bucket_bytes}, buckets: 8, batch_rows: {batch}}}
nodes:
  lines: {{stage: read_lines, params: {{folder: {lines}}}}}
  spans: {{stage: substring_dedup, inputs: [lines], params: {{k: 12}}}}
  out: {{stage: write_rows, inputs: [spans], params: {{columns: [id, text, repeated_chars]}}}}
  why: {{stage: write_rows, inputs: [spans.rejected], params: {{columns: [id, text, rejected_by, evidence]}}}}
"""


@pytest.mark.parametrize(("bucket_bytes", "batch"), [(1 << 28, 1000), (1 << 16, 7)])
def test_the_engine_agrees_with_the_exchange_in_memory(tmp_path, bucket_bytes, batch):
    texts = [text for seed in (1, 2) for text in long_corpus(seed) if text]
    (tmp_path / "lines").mkdir()
    documents = []
    for part in range(3):
        mine = texts[part::3]
        (tmp_path / "lines" / f"{part}.txt").write_text("\n".join(mine) + "\n")
        documents += [("lines", f"{part}.txt#{i}", text) for i, text in enumerate(mine)]
    text = CONFIG.format(
        out=tmp_path / "out", lines=tmp_path / "lines", bucket_bytes=bucket_bytes, batch=batch
    )
    result = run(parse(text, "spans.yaml"), registry=STAGES, executor=LocalExecutor())

    def written(sink):
        folders = {p.parent for p in Path(result.folder).rglob("*.arrow") if p.parent.name == sink}
        return {row["id"]: row for folder in folders for row in rows(folder)}

    expected = run_in_memory(SubstringDedup(k=12), documents, partitions=2)
    assert {n: r["text"] for n, r in written("out").items()} == {
        n: text for n, (text, reason, _) in expected.items() if reason is None
    }
    fallen = {n: json.loads(r["evidence"])["removed_spans"] for n, r in written("why").items()}
    assert fallen == {n: e["removed_spans"] for n, (_, reason, e) in expected.items() if reason}
    assert sum(e is not None for _, _, e in expected.values()) > 20
