"""Tasks as the scheduler sees them, and what every kind of task needs: the plan, sides, verdicts.

Tasks are small and plain (names, addresses, numbers): data never passes through the scheduler.
"""

import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from pipeline import exchange
from pipeline.config import Config, PipelineConfig
from pipeline.errors import StageError
from pipeline.fingerprint import address
from pipeline.graph import build
from pipeline.io.store import Store
from pipeline.plan import Plan
from pipeline.resources import Opener
from pipeline.stage import StageRef


class Task(NamedTuple):
    """A piece of work, as the scheduler sees it."""

    kind: str
    store: str  # root of the store
    plan: str  # name of the plan's file in the store
    args: Mapping[str, Any]  # plain JSON
    hard: bool = False  # whether the process may be ended when it is stuck


class Done(NamedTuple):
    """What the driver learns of a task."""

    address: str
    reused: bool
    record: dict[str, Any]
    timing: dict[str, Any]


class Loaded(NamedTuple):
    """A plan as a worker holds it."""

    plan: Plan
    opener: Opener


def save_plan(plan: Plan, config: Config, store: Store) -> str:
    """Put a plan where workers find it; the name is its content."""
    targets = {n.stage_name: n.target for n in plan.graph.nodes.values()}
    value = {"data": config.data, "targets": targets, "fingerprints": dict(plan.fingerprints)}
    name = f"plans/{address(value)}.json"
    store.write_json(name, value)
    return name


@functools.lru_cache(maxsize=4)
def load_plan(root: str, name: str) -> Loaded:
    """The plan that `save_plan` stored, built again in this process."""
    saved = Store(root).read_json(name)
    model = PipelineConfig.model_validate_json(orjson.dumps(saved["data"]))
    registry = {stage: StageRef(target) for stage, target in saved["targets"].items()}
    graph, problems = build(Config(model, saved["data"], {}, name), registry)
    if problems:
        raise StageError(f"{name}: this worker cannot build the plan: {problems[0].message}")
    plan = Plan(graph, model.run)
    plan.__dict__["fingerprints"] = saved["fingerprints"]  # computed by the driver, which has read the files
    return Loaded(plan, Opener(graph, name))


def light(record: dict[str, Any]) -> dict[str, Any]:
    """A commit record without what the driver has no use for."""
    return {k: v for k, v in record.items() if k != "files"} | {
        "rows": {f: w[0] for f, w in record["files"].items()}
    }


Finish = Callable[[Path, Mapping[str, Any], dict[str, Any]], dict[str, Any]]
Run = Callable[[Path, Finish], dict[str, Any]]


def sides_of(store: Store, plan: Plan, node: str, folders: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Local folders of a node's side inputs."""
    found = []
    for side, target in sorted(plan.graph.nodes[node].side.items()):
        folder = folders[target]
        if store.local:
            found.append((side, store.path(folder)))
            continue
        local = Path(_side_cache(), folder)
        for name in store.listdir(folder):
            store.fetch(f"{folder}/{name}", local)
        found.append((side, str(local)))
    return tuple(found)


@functools.cache
def _side_cache() -> str:
    return tempfile.mkdtemp(prefix="corpusmill-sides-")


def verdicts_of(store: Store, listing: str, partition: int) -> pa.Table:
    """What an exchange said about one partition; `listing` names the files that hold it."""
    return exchange.verdicts_for(store, store.read_json(listing)["files"], partition)
