"""The tiny GPT learns from the loader, and a run that was killed goes on with the same losses."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.learnable import learnable_shards

pytest.importorskip("torch", reason="the example trains with PyTorch")

ROOT = Path(__file__).parents[2]


def command(shards, checkpoint, *more, steps=60):
    options = ["--seq-len", "32", "--batch", "8", "--steps", str(steps), "--save-every", "5"]
    options += ["--checkpoint", str(checkpoint), *more]
    return [sys.executable, str(ROOT / "examples" / "train_gpt.py"), str(shards), *options]


def start(arguments):
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)


def losses(lines):
    return {entry["step"]: entry["loss"] for entry in map(json.loads, lines)}


def run(arguments):
    process = start(arguments)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    return losses(out.splitlines())


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return learnable_shards(tmp_path_factory.mktemp("gpt") / "shards")


@pytest.fixture(scope="module")
def whole(shards, tmp_path_factory):
    return run(command(shards, tmp_path_factory.mktemp("gpt") / "whole.pt"))


def test_it_learns(whole):
    assert sorted(whole) == list(range(1, 61))
    assert whole[1] > 4  # ln 97 = 4.57: nothing is known yet
    assert sum(whole[step] for step in range(56, 61)) / 5 < 2


@pytest.mark.parametrize(("kill_at", "workers"), [(12, ("0", "2")), (31, ("2", "0"))])
def test_killed_and_started_again(shards, whole, tmp_path, kill_at, workers):
    """Also in the second epoch (15 steps each), and with another number of worker processes afterwards."""
    process, seen = start(command(shards, tmp_path / "a.pt", "--workers", workers[0])), []
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        if len(seen) == kill_at:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    rest = run(command(shards, tmp_path / "a.pt", "--workers", workers[1]))
    first = min(rest)
    assert 1 < first <= kill_at + 6
    assert losses(seen) == {step: whole[step] for step in range(1, kill_at + 1)}
    assert rest == {step: whole[step] for step in range(first, 61)}
