"""Where the real data lies, and what it means that it is missing."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data_samples"


def real_data(relative: str) -> Path:
    """A path in the real data folder; skips where it is absent, but fails on CI, which must have it."""
    base = Path(os.environ.get("CORPUSMILL_DATA", ROOT.parent / "shared" / "data"))
    path = base / relative
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have the real data, but {path} does not exist")
        pytest.skip(f"no real data at {path}; set CORPUSMILL_DATA to its folder")
    return path
