"""The real exchange, through files, says what the one in memory says."""

import json
from collections import Counter
from pathlib import Path

import pytest

from pipeline.api import parse, run
from pipeline.executors.local import LocalExecutor
from pipeline.stage import StageRef
from stages.dedup.minhash import MinhashDedup
from tests.stages.dedup.documents import verdicts
from tests.stages.dedup.test_minhash import corpus, prose
from tests.support.corpora import rows
from tests.support.toy import TOYS

STAGES = {
    **TOYS,
    "exact_dedup": StageRef("stages.dedup.exact:ExactDedup"),
    "minhash_dedup": StageRef("stages.dedup.minhash:MinhashDedup"),
    "read_benchmark": StageRef("stages.sources.benchmark:ReadBenchmark"),
    "build_ngram_index": StageRef("stages.decontamination.build_index:BuildNgramIndex"),
    "decontaminate": StageRef("stages.decontamination.decontaminate:Decontaminate"),
}
CONFIG = """
version: 1
run: {{name: dedup, output: {out}, seed: 3, bucket_bytes: {bucket_bytes}}}
nodes:
  lines: {{stage: read_lines, params: {{folder: {lines}}}}}
  evals: {{stage: read_benchmark, params: {{paths: {evals}, name: made, fields: {{question: q}}}}}}
  index: {{stage: build_ngram_index, inputs: [evals]}}
  near: {{stage: minhash_dedup, inputs: [lines]}}
  exact: {{stage: exact_dedup, inputs: [near]}}
  clean: {{stage: decontaminate, inputs: [exact], side: {{index: index}}}}
  out: {{stage: write_rows, inputs: [clean]}}
  why: {{stage: write_rows, inputs: [near.rejected, exact.rejected, clean.rejected],
        params: {{columns: [id, text, rejected_by, evidence]}}}}
"""


@pytest.mark.parametrize("bucket_bytes", [1 << 27, 1 << 20])
def test_the_engine_agrees_with_the_exchange_in_memory(tmp_path, bucket_bytes):
    item = prose(20, 77)
    texts = [*corpus(5, 200), f"Some words before {item}", *["a b c"] * 9]
    (tmp_path / "lines").mkdir()
    (tmp_path / "evals.jsonl").write_text(json.dumps({"q": item}) + "\n")
    documents = []
    for part in range(4):
        mine = texts[part::4]
        (tmp_path / "lines" / f"{part}.txt").write_text("\n".join(mine) + "\n")
        documents += [("lines", f"{part}.txt#{i}", text) for i, text in enumerate(mine)]
    text = CONFIG.format(
        out=tmp_path / "out",
        lines=tmp_path / "lines",
        evals=tmp_path / "evals.jsonl",
        bucket_bytes=bucket_bytes,
    )
    result = run(parse(text, "dedup.yaml"), registry=STAGES, executor=LocalExecutor())
    folders = {p.parent for p in Path(result.folder).rglob("*.arrow") if p.parent.name == "why"}
    why = [row for folder in folders for row in rows(folder)]
    near = {r["id"]: json.loads(r["evidence"]) for r in why if r["rejected_by"] == "near.near_duplicate"}
    assert near == verdicts(MinhashDedup(), documents, partitions=3)
    assert Counter(r["rejected_by"] for r in why if r["id"] not in near) == {"clean.contaminated_input": 1}
