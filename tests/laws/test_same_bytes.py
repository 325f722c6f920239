"""P2: the same input and config give the same bytes, however they are run."""

import random

import pytest

from pipeline.cluster import ClusterConfig
from pipeline.executors.local import LocalExecutor
from tests.support.corpora import digests, full_config, run_here


def shuffled(seed):
    def shuffle(order):
        random.Random(seed).shuffle(order)
        return order

    return LocalExecutor(shuffle)


@pytest.fixture
def reference(tmp_path):
    return digests(run_here(full_config(tmp_path, out="reference")))


def test_order_of_completion(tmp_path, reference):
    for seed in (1, 2, 3):
        result = run_here(full_config(tmp_path, out=f"out{seed}"), executor=shuffled(seed))
        assert digests(result) == reference


@pytest.mark.parametrize(
    "setting", ["batch_rows: 1", "batch_rows: 3", "batch_bytes: 40", "batch_rows: 100000"]
)
def test_batch_size(tmp_path, reference, setting):
    assert digests(run_here(full_config(tmp_path, run=setting))) == reference


@pytest.mark.parametrize("setting", ["buckets: 2", "buckets: 1000", "bucket_bytes: 65536"])
def test_exchange_settings(tmp_path, reference, setting):
    assert digests(run_here(full_config(tmp_path, run=setting))) == reference


def test_groups_in_pieces(tmp_path, reference):
    """A key with many rows arrives in pieces; the dedup's verdicts stay the same."""
    result = run_here(full_config(tmp_path, run="max_group_rows: 2"))
    assert {k: v for k, v in digests(result).items() if k.startswith("why/")} == {
        k: v for k, v in reference.items() if k.startswith("why/")
    }


@pytest.mark.dask
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_number_of_workers(tmp_path, reference, workers):
    result = run_here(full_config(tmp_path), executor=None, cluster=ClusterConfig(workers=workers))
    assert digests(result) == reference


def test_folder_of_the_input_does_not_matter(tmp_path, reference):
    elsewhere = tmp_path / "moved" / "far"
    elsewhere.mkdir(parents=True)
    moved = digests(run_here(full_config(elsewhere)))
    data = {k: v for k, v in reference.items() if k.endswith(".arrow")}
    assert {k: v for k, v in moved.items() if k.endswith(".arrow")} == data
    assert data
