"""P2 and P3 under SIGKILL: of the whole run in every phase, of workers, of the scheduler; then continued."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.api import run
from pipeline.cluster import ClusterConfig
from pipeline.errors import PipelineError, RunLocked
from tests.support.corpora import digests, full_config, run_here
from tests.support.data import ROOT
from tests.support.toy import TOYS

SLOW = 0.02
CHILD = """
import sys
from pathlib import Path
from pipeline.api import run
from pipeline.cluster import ClusterConfig
from tests.support.corpora import full_config
from tests.support.toy import TOYS

if __name__ == "__main__":
    kind, address = sys.argv[2], sys.argv[3] or None
    cluster = ClusterConfig(kind=kind, workers=2 if kind == "local" else None, address=address)
    run(full_config(Path(sys.argv[1]), slow=SLOW, run="batch_rows: 5"), registry=TOYS, cluster=cluster)
""".replace("SLOW", str(SLOW))


def start(tmp_path, kind="local", address=""):
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), kind, address],
        cwd=ROOT,
        env=env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def commits(tmp_path):
    return len(list((tmp_path / "out" / "store" / "units").glob("*/*/commit.json")))


def kill_all(child):
    family = [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    child.communicate()


@pytest.fixture
def reference(tmp_path):
    elsewhere = tmp_path / "reference"
    elsewhere.mkdir()
    return digests(run_here(full_config(elsewhere, slow=SLOW, run="batch_rows: 5")))


def same_data(result, reference):
    found = digests(result)
    return {k: v for k, v in found.items() if k != "report.json"} == {
        k: v for k, v in reference.items() if k != "report.json"
    }


@pytest.mark.dask
def test_the_whole_run_is_killed_again_and_again(tmp_path, reference):
    """SIGKILL after more and more commits, in every phase, until the run gets through."""
    kills, finished = 0, False
    for target in (1, 4, 7, 9, 12, 15, 18, 21, 23, 10_000):
        child = start(tmp_path)
        while child.poll() is None and commits(tmp_path) < target:
            time.sleep(0.005)
        if child.poll() is None:
            kill_all(child)
            kills += 1
        else:
            assert child.returncode == 0, child.stderr.read().decode()
            child.stderr.close()
            finished = True
    assert kills >= 5
    assert finished
    result = run_here(full_config(tmp_path, slow=SLOW, run="batch_rows: 5"))
    assert result.executed == 0
    assert same_data(result, reference)


@pytest.mark.dask
def test_workers_are_killed_while_the_run_goes_on(tmp_path, reference):
    child = start(tmp_path)
    chance = random.Random(5)
    kills = 0
    while child.poll() is None and commits(tmp_path) < 2:
        time.sleep(0.01)
    while child.poll() is None and kills < 6:
        time.sleep(0.2)
        workers = [p for p in psutil.Process(child.pid).children() if "spawn_main" in " ".join(p.cmdline())]
        if len(workers) >= 2:
            chance.choice(workers).send_signal(signal.SIGKILL)
            kills += 1
    _, errors = child.communicate()
    assert child.returncode == 0, errors.decode()
    assert kills >= 2
    result = run_here(full_config(tmp_path, slow=SLOW, run="batch_rows: 5"))
    assert result.executed == 0
    assert same_data(result, reference)


@pytest.fixture
def dask_cluster(tmp_path):
    """A scheduler and two workers as processes of their own; yields (address, scheduler process)."""
    file = tmp_path / "scheduler.json"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    base = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    started = [
        subprocess.Popen(
            [*base, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)],
            env=env,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    ]
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    import json

    time.sleep(0.2)
    address = json.loads(file.read_text())["address"]
    started.append(
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "distributed.cli.dask_worker",
                address,
                "--nworkers",
                "2",
                "--nthreads",
                "1",
                "--no-dashboard",
                "--local-directory",
                str(tmp_path / "w"),
                "--death-timeout",
                "20",
            ],
            env=env,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    )
    yield address, started[0]
    for process in started:
        try:
            family = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        for member in (*family, process):
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
        process.wait()


@pytest.mark.dask
def test_the_scheduler_is_killed(tmp_path, reference, dask_cluster):
    address, scheduler = dask_cluster
    child = start(tmp_path, "address", address)
    while child.poll() is None and commits(tmp_path) < 6:
        time.sleep(0.01)
    scheduler.kill()
    _, errors = child.communicate(timeout=120)
    assert child.returncode != 0
    assert "scheduler was lost" in errors.decode()
    before = commits(tmp_path)
    assert before >= 6
    result = run_here(full_config(tmp_path, slow=SLOW, run="batch_rows: 5"))
    assert result.reused >= before - 1
    assert same_data(result, reference)


@pytest.mark.dask
def test_a_running_cluster_gives_the_same(tmp_path, reference, dask_cluster):
    address, _ = dask_cluster
    config = full_config(tmp_path, slow=SLOW, run="batch_rows: 5")
    result = run(config, registry=TOYS, cluster=ClusterConfig(kind="address", address=address))
    assert same_data(result, reference)


def test_no_scheduler_there(tmp_path, monkeypatch):
    import dask

    monkeypatch.setattr("pipeline.cluster.CONNECT_S", 1)
    cluster = ClusterConfig(kind="address", address="tcp://127.0.0.1:9")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(PipelineError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
    ):
        run(full_config(tmp_path), registry=TOYS, cluster=cluster)


def test_two_jobs_never_write_one_run(tmp_path):
    from pipeline import lock
    from pipeline.io.store import Store

    with (
        lock.hold(Store(str(tmp_path / "out"))),
        pytest.raises(RunLocked, match=r"another job is writing here.*pid"),
    ):
        run_here(full_config(tmp_path))
    assert run_here(full_config(tmp_path)).executed > 0
    assert Path(tmp_path / "out" / "LATEST").exists()
