"""Whatever a finished run stored or published and someone altered since is found, and nothing else is."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.api import open_run
from pipeline.audit import Audit, verify_run
from pipeline.checkpoint import COMMIT
from tests.support.corpora import full_config, run_here
from tests.support.small import small_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = Path(small_run(tmp_path_factory.mktemp("audit")).folder)
    return folder.parent, folder.name


@pytest.fixture
def output(finished, tmp_path):
    """A copy of the run's output to do harm to; store and run folder share no file in it."""
    return shutil.copytree(finished[0], tmp_path / "copy")


def check(output) -> Audit:
    return verify_run(open_run(output))


def committed(output):
    """Every file that a commit record vouches for."""
    for record in sorted(output.glob("store/units/*/*/" + COMMIT)):
        for name in json.loads(record.read_text())["files"]:
            yield record.parent / name


def published(output, run):
    return [p for p in sorted((output / run).glob("*/*")) if p.is_file()]


def flip(path):
    """Another byte in the middle, the size as it was; a file of nothing gets a byte."""
    data = bytearray(path.read_bytes() or b"\0")
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def test_an_untouched_run_is_sound(finished, output):
    there, copy = check(finished[0]), check(output)
    assert there.problems == copy.problems == []
    assert (there.units, there.files) == (copy.units, copy.files)
    assert there.files == len(published(*finished))
    records = list(finished[0].glob("store/units/*/*/" + COMMIT))
    assert there.units == len(records) > 0


def test_every_kind_of_stored_file_is_hashed(output):
    """One byte of one file of each name: exactly these are reported, once each."""
    harmed = {path.name: path for path in committed(output)}
    assert len(harmed) > 10
    for path in harmed.values():
        flip(path)
    problems = [p for p in check(output).problems if p.startswith("units/")]
    assert sorted(p.partition(": ")[0] for p in problems) == sorted(
        str(p.relative_to(output / "store")) for p in harmed.values()
    )
    assert all("altered since it was committed" in p or "bytes, but" in p for p in problems)


def test_every_published_file_is_hashed(finished, output):
    run = finished[1]
    for path in published(output, run):
        flip(path)
    problems = check(output).problems
    named = {p.partition(": ")[0] for p in problems if p.startswith(f"{run}/")}
    assert named == {str(p.relative_to(output)) for p in published(output, run)}
    assert not [p for p in problems if p.startswith("units/")]


@pytest.mark.parametrize("harm", ["missing", "longer", "no record", "broken record"])
def test_what_is_wrong_is_said(output, harm):
    path = next(p for p in committed(output) if p.name == "fates.arrow")
    record = path.parent / COMMIT
    if harm == "missing":
        path.unlink()
    elif harm == "longer":
        path.write_bytes(path.read_bytes() + b"x")
    elif harm == "no record":
        record.unlink()
    else:
        record.write_text("{")
    (problem,) = check(output).problems
    assert str(path.parent.relative_to(output / "store")) in problem
    assert {
        "missing": f"{path.name}: missing",
        "longer": "bytes, but",
        "no record": "no commit record",
        "broken record": COMMIT,
    }[harm] in problem


def test_a_published_file_that_is_gone_or_cut(finished, output):
    run = finished[1]
    gone, cut = sorted((output / run / "why").glob("*.zst"))[:2]
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-1])
    problems = check(output).problems
    assert f"{run}/why/{gone.name}: missing" in problems
    (line,) = [p for p in problems if cut.name in p]
    size = cut.stat().st_size
    assert line == f"{run}/why/{cut.name}: {size} bytes, but {size + 1} were committed"


def test_shards_are_held_against_their_own_manifest_without_the_store(finished, output):
    """What is left when someone carried the run's folder away alone."""
    run = finished[1]
    shutil.rmtree(output / "store")
    (output / "store").mkdir()
    shard = next((output / run / "shards").glob("*.arrow"))
    flip(shard)
    problems = check(output).problems
    assert [p for p in problems if p.endswith("no commit record")]
    assert [p for p in problems if str(shard) in p and "sha256" in p]


def test_sinks_that_are_no_token_shards_have_no_shard_format(tmp_path):
    found = verify_run(open_run(run_here(full_config(tmp_path)).folder))
    assert found.problems == []
    assert found.files > 0
