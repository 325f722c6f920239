"""Importing a stage loads the contract and its own library, never the engine or Dask."""

import subprocess
import sys

import pytest

from stages.registry import STAGES

LIGHT = [
    "pipeline",
    "pipeline.stage",
    "pipeline.schema",
    "pipeline.models",
    "shards",
    "stages",
    "stages.registry",
]
ENGINE = ("pipeline.run", "pipeline.unit", "pipeline.plan", "pipeline.config", "dask", "distributed")
MODULES = sorted({ref.target.partition(":")[0] for ref in STAGES.values()})


def loaded_after(module):
    code = f"import sys, {module}; print(*[m for m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", [*LIGHT, *MODULES])
def test_a_stage_does_not_load_the_engine(module):
    assert not loaded_after(module) & set(ENGINE)


def test_the_contract_needs_no_heavy_package():
    heavy = {"numba", "datasets", "trafilatura", "presidio_analyzer", "datasketch", "pandas", "fasttext"}
    assert not loaded_after("pipeline.stage") & heavy


def test_exactly_one_distribution_owns_fasttext():
    """All fastText builds share one import name and overwrite each other silently."""
    from importlib.metadata import packages_distributions

    import fasttext

    assert packages_distributions()["fasttext"] == ["fasttext-community"]
    assert callable(fasttext.train_supervised)
