"""The ready configs, run once a session over the samples, by Dask on two processes."""

import io
import json
from pathlib import Path

import pytest
import zstandard

from pipeline.api import RunResult, load_config, run
from pipeline.cluster import ClusterConfig
from tests.support.data import ROOT, SAMPLES


def read_jsonl(folder: str) -> list[dict]:
    """All rows of a write_jsonl sink."""
    found = []
    for file in sorted(Path(folder).glob("*.jsonl.zst")):
        with zstandard.ZstdDecompressor().stream_reader(
            io.BytesIO(file.read_bytes()), read_across_frames=True
        ) as s:
            found += [json.loads(line) for line in s.read().decode().splitlines()]
    return found


class Finished:
    """A run and what it left."""

    def __init__(self, result: RunResult) -> None:
        self.result = result
        self.nodes = {n["node"]: n for n in result.report["nodes"]}

    def total(self, node: str, counter: str) -> int:
        return sum(a[counter] for a in self.nodes[node]["sources"].values())

    def rejected(self, node: str) -> dict[str, int]:
        counts: dict[str, int] = {}
        for account in self.nodes[node]["sources"].values():
            for reason, count in account["rejected"].items():
                counts[reason] = counts.get(reason, 0) + count
        return counts


def run_config(name: str, output: Path, *overrides: str) -> Finished:
    config = load_config(ROOT / "configs" / name, [f"run.output={output}", *overrides])
    return Finished(run(config, cluster=ClusterConfig(workers=2)))


@pytest.fixture(scope="session")
def web(tmp_path_factory):
    return run_config("web.yaml", tmp_path_factory.mktemp("web"))


@pytest.fixture(scope="session")
def sft(tmp_path_factory):
    return run_config("sft.yaml", tmp_path_factory.mktemp("sft"))


@pytest.fixture(scope="session")
def expected():
    return json.loads((SAMPLES / "expected.json").read_text("utf-8"))


@pytest.fixture(scope="session", autouse=True)
def _in_the_repository():
    """Configs name their files from the repository's top."""
    import os

    before = Path.cwd()
    os.chdir(ROOT)
    yield
    os.chdir(before)
