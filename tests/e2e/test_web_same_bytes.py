"""configs/web.yaml: the same shards whatever the workers, the batch size, and how often the run was killed."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.api import load_config, run
from pipeline.cluster import ClusterConfig
from pipeline.executors.local import LocalExecutor
from tests.support.data import ROOT

pytestmark = [pytest.mark.dask, pytest.mark.timeout(600)]


def checksums(folder):
    """Of every sink's files, and of the report."""
    root = Path(folder)
    skip = {"timings.json", "report.html", "manifest.json"}
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and (p.parent != root or p.name not in skip)
    }


def go(output, *overrides, **kwargs):
    config = load_config(ROOT / "configs" / "web.yaml", [f"run.output={output}", *overrides])
    return checksums(run(config, **kwargs).folder)


def test_one_process_and_small_batches(web, tmp_path):
    found = go(tmp_path, "run.batch_rows=37", executor=LocalExecutor())
    assert found == checksums(web.result.folder)
    assert any(name.startswith("shards/") and name.endswith(".arrow") for name in found)


@pytest.mark.parametrize("workers", [1, 4])
def test_workers(web, tmp_path, workers):
    assert go(tmp_path, cluster=ClusterConfig(workers=workers)) == checksums(web.result.folder)


def test_killed_and_continued(web, tmp_path):
    """SIGKILL of the command and all its workers, later each time; then the command runs through."""
    command = [
        *(sys.executable, "-m", "pipeline.cli", "run", "configs/web.yaml"),
        *("--workers", "2", "--set", f"run.output={tmp_path}"),
    ]
    kills = 0
    for target in (1, 8, 14, 24, 40):
        child = subprocess.Popen(
            command, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while child.poll() is None and len(list(tmp_path.glob("store/units/*/*/commit.json"))) < target:
            time.sleep(0.01)
        if child.poll() is None:
            for process in [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]:
                process.kill()
            kills += 1
        child.wait()
    assert kills >= 4
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0
    latest = (tmp_path / "LATEST").read_text().strip()
    assert checksums(tmp_path / latest) == checksums(web.result.folder)
