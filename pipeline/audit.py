"""Hash everything that a finished run stored, and hold it against the commit records."""

from pathlib import Path

from pipeline.api import OpenRun
from pipeline.checkpoint import verify_unit


def verify_run(run: OpenRun) -> tuple[int, list[str]]:
    """How many units were looked at, and what is wrong with them or with the run's shards."""
    store = run.output.sub("store")
    units = [unit for _, _, unit in run.manifest["units"]]
    units += [unit for _, unit in run.manifest["exchanges"]]
    units += list(run.manifest["sinks"].values())
    problems = [problem for unit in dict.fromkeys(units) for problem in verify_unit(store, unit)]
    for node in run.manifest["sinks"]:
        problems += _shard_problems(run, node)
    return len(set(units)), problems


def _shard_problems(run: OpenRun, node: str) -> list[str]:
    """What the shard format's own check says, where a sink wrote shards on a local disk."""
    manifest = f"{run.identifier}/{node}/manifest.json"
    if not run.output.local or not run.output.exists(manifest):
        return []
    if "seq_len" not in run.output.read_json(manifest):
        return []
    from shards.verify import verify

    return [f"{node}: {problem}" for problem in verify(Path(run.output.path(f"{run.identifier}/{node}")))]
