"""Is everything that a finished run stored and published still as it was committed?"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from pipeline.api import OpenRun
from pipeline.checkpoint import COMMIT, file_written, unit_folder, verify_unit
from pipeline.errors import CheckpointError

READERS = 4  # hashing releases the interpreter; more readers than this only make a disk seek


class Audit(NamedTuple):
    """What was hashed, and what is wrong."""

    units: int
    files: int  # of sinks, as the run's folder shows them
    problems: list[str]


def verify_run(run: OpenRun) -> Audit:
    """Hash every unit, exchange and sink of a run, its published files, and its token shards."""
    addresses = [unit for _, _, unit in run.manifest["units"]]
    addresses += [unit for _, unit in run.manifest["exchanges"]]
    addresses += list(run.manifest["sinks"].values())
    store = run.output.sub("store")
    with ThreadPoolExecutor(READERS) as pool:
        problems = [p for found in pool.map(lambda unit: verify_unit(store, unit), addresses) for p in found]
    files = [one for sink, unit in run.manifest["sinks"].items() for one in _published(run, sink, unit)]
    problems += [problem for _, problem in files if problem]
    for sink in run.manifest["sinks"]:
        problems += _shard_problems(run, sink)
    return Audit(len(addresses), len(files), problems)


def _published(run: OpenRun, sink: str, unit: str) -> Iterator[tuple[str, str]]:
    """Each file of a sink in the run's folder, and what differs from what was committed."""
    output = run.output
    try:
        record = output.read_json(f"store/{unit_folder(unit)}/{COMMIT}")
    except (CheckpointError, FileNotFoundError):
        return  # reported as a unit whose commit record is broken or missing
    for name, (_, size, checksum) in record["files"].items():
        file = f"{run.identifier}/{sink}/{name.removeprefix('out/')}"
        yield file, _difference(run, file, f"store/{unit_folder(unit)}/{name}", size, checksum)


def _difference(run: OpenRun, file: str, original: str, size: int, checksum: str) -> str:
    output = run.output
    if not output.exists(file):
        return f"{file}: missing"
    if output.local and output.exists(original) and Path(output.path(file)).samefile(output.path(original)):
        return ""  # one file under two names, hashed with its unit
    with output.scratch() as scratch:
        found = file_written(output.fetch(file, scratch))
    if found.bytes != size:
        return f"{file}: {found.bytes} bytes, but {size} were committed"
    if found.xxh3 != checksum:
        return f"{file}: altered since it was committed (checksum {found.xxh3}, not {checksum})"
    return ""


def _shard_problems(run: OpenRun, sink: str) -> list[str]:
    """What the shard format's own check says, where the sink wrote token shards and they lie on this machine."""
    from shards.format import FORMAT
    from shards.verify import verify

    manifest = f"{run.identifier}/{sink}/manifest.json"
    if not run.output.local or not run.output.exists(manifest):
        return []
    try:
        value = run.output.read_json(manifest)
    except CheckpointError as error:
        return [str(error)]
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        return []
    return verify(run.output.path(f"{run.identifier}/{sink}"))
