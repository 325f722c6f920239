"""Filters, repeats and URLs through the real engine: the same verdicts for any partitioning and worker count."""

import json
import random
from pathlib import Path

import pytest

from pipeline.api import parse, run
from pipeline.executors.local import LocalExecutor
from pipeline.stage import StageRef
from stages.dedup.ngram import NgramDedup
from tests.stages.dedup.documents import verdicts
from tests.stages.dedup.test_bloom import families, prose
from tests.support.corpora import rows
from tests.support.toy import TOYS

STAGES = {
    **TOYS,
    "build_bloom_filter": StageRef("stages.dedup.build_bloom:BuildBloomFilter"),
    "bloom_dedup": StageRef("stages.dedup.bloom:BloomDedup"),
    "ngram_dedup": StageRef("stages.dedup.ngram:NgramDedup"),
}
CONFIG = """
version: 1
run: {{name: bloom, output: {out}, seed: 3, bucket_bytes: 65536}}
nodes:
  lines: {{stage: read_lines, params: {{folder: {lines}}}}}
  others: {{stage: read_lines, params: {{folder: {others}}}}}
  known: {{stage: build_bloom_filter, inputs: [others], params: {{expected_ngrams: 5000, n: 3}}}}
  repeats: {{stage: build_bloom_filter, inputs: [lines], params: {{expected_ngrams: 20000, n: 3, repeated: true}}}}
  new: {{stage: bloom_dedup, inputs: [lines], side: {{filter: known}}}}
  once: {{stage: ngram_dedup, inputs: [new], params: {{n: 3}}, side: {{filter: repeats}}}}
  out: {{stage: write_rows, inputs: [once]}}
  why: {{stage: write_rows, inputs: [new.rejected, once.rejected],
        params: {{columns: [id, text, rejected_by, evidence]}}}}
"""


@pytest.mark.parametrize("parts", [1, 4])
def test_what_falls_falls_by_definition(tmp_path, parts):
    texts = [t for t in families(6, 80) if t] + [prose(40, 70), prose(40, 71)]
    (tmp_path / "lines").mkdir()
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "other.txt").write_text(f"{prose(40, 70)}\n{prose(40, 71)}\n")
    documents = []
    for part in range(parts):
        mine = texts[part::parts]
        (tmp_path / "lines" / f"{part}.txt").write_text("\n".join(mine) + "\n")
        documents += [("lines", f"{part}.txt#{i}", text) for i, text in enumerate(mine)]
    text = CONFIG.format(out=tmp_path / "out", lines=tmp_path / "lines", others=tmp_path / "others")
    result = run(parse(text, "bloom.yaml"), registry=STAGES, executor=LocalExecutor())
    (folder,) = {p.parent for p in Path(result.folder).rglob("*.arrow") if p.parent.name == "why"}
    said = {row["id"]: row for row in rows(folder)}
    known = {name for name, row in said.items() if row["rejected_by"] == "new.in_other_corpus"}
    assert {said[name]["text"] for name in known} == {prose(40, 70), prose(40, 71)}
    left = [d for d in documents if f"{d[0]}/{d[1]}" not in known]
    expected = verdicts(NgramDedup(n=3), random.Random(1).sample(left, len(left)))
    assert {n: json.loads(r["evidence"]) for n, r in said.items() if n not in known} == expected
    assert expected
