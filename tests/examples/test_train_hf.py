"""The Hugging Face Trainer takes the loader's rows in their order, learns, and resumes with its own checkpoints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.learnable import learnable_shards

pytest.importorskip("torch", reason="the example trains with PyTorch")
pytest.importorskip("transformers", reason="the example uses the Trainer of transformers")
pytest.importorskip("accelerate", reason="the Trainer needs accelerate")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return learnable_shards(tmp_path_factory.mktemp("hf") / "shards")


def run(shards, output, steps, *more):
    options = ["--seq-len", "32", "--batch", "8", "--steps", str(steps), "--save-every", "10"]
    arguments = [sys.executable, str(ROOT / "examples" / "train_hf.py"), str(shards), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*arguments, "--output", str(output), *more],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"step"')]
    return {entry["step"]: entry["loss"] for entry in lines}


def test_it_learns_and_resumes(shards, tmp_path):
    whole = run(shards, tmp_path / "whole", 50)
    assert sorted(whole) == list(range(1, 51))
    assert whole[1] > 4
    assert whole[50] < 2.5
    first = run(shards, tmp_path / "parts", 20)
    assert first == {step: whole[step] for step in range(1, 21)}
    rest = run(shards, tmp_path / "parts", 50, "--resume", "--workers", "2")
    assert rest == {step: whole[step] for step in range(21, 51)}


def test_rows_come_in_the_order_of_the_stream(shards, tmp_path):
    import argparse

    from examples.train_hf import make_trainer
    from shards.loader import TokenShards

    options = {"shards": shards, "output": str(tmp_path), "seq_len": 32, "batch": 8, "steps": 30, "lr": 1e-3}
    trainer = make_trainer(argparse.Namespace(**options, seed=17, workers=0, save_every=100))
    data = TokenShards(shards, seq_len=32, batch=8, seed=17)
    expected = [batch["input_ids"].tolist() for _ in range(2) for batch in data]
    found = [batch["input_ids"].tolist() for batch in trainer.get_train_dataloader()]
    assert found == expected
