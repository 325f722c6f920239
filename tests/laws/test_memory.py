"""P6: memory is bounded by the partition, not the corpus, the exchange included."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.data import ROOT

CHILD = """
import json, resource, sys
from pathlib import Path
from pipeline.api import parse
from tests.support.corpora import run_here

tmp, files = Path(sys.argv[1]), int(sys.argv[2])
folder = tmp / f"in{files}"
folder.mkdir()
line = "some words of a document that is %d and goes on for a while " * 8
for f in range(files):
    rows = "".join((line.replace("%d", str(f * 4000 + i))) + "\\n" for i in range(4000))
    (folder / f"{f:03d}.txt").write_text(rows)
result = run_here(parse(f'''
version: 1
run: {{output: {tmp}/out{files}, bucket_bytes: 1000000}}
nodes:
  a: {{stage: read_lines, params: {{folder: {folder}, rows: 500}}}}
  d: {{stage: dedup, inputs: [a]}}
  out: {{stage: write_rows, inputs: [d]}}
'''))
print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "executed": result.executed}))
"""


def peak_mb(tmp_path, files):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(files)],
        capture_output=True,
        text=True,
        env=env,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["peak_mb"]


@pytest.mark.timeout(600)
def test_peak_memory_does_not_grow_with_the_corpus(tmp_path):
    """2 MB of text a partition; ten times the partitions may cost driver bookkeeping, not data."""
    small, large = peak_mb(tmp_path, 4), peak_mb(tmp_path, 40)
    corpus_mb = 40 * 4000 * 480 / 1e6
    assert corpus_mb > 70
    assert large - small < 25, f"{small:.0f} MB at 4 partitions, {large:.0f} MB at 40"
