"""The public Python API: what the command line does, as functions.

config = load_config("configs/web.yaml", ["run.name=trial"])
print(describe(plan(config)))
result = run(config)
open_node(result.folder, "pages").head()          # a Dask DataFrame
"""

import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pipeline import __version__, lock
from pipeline.books import check_run
from pipeline.checkpoint import unit_folder
from pipeline.checks import run_checks, warnings
from pipeline.cluster import ClusterConfig, connect
from pipeline.config import Config, parse
from pipeline.config import load_config as read_config
from pipeline.desk import Outcome, Progress
from pipeline.drive import Driver, cut
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.exchanges import Partition
from pipeline.executors import Executor
from pipeline.fingerprint import address
from pipeline.graph import Graph, build
from pipeline.io.arrow import read_table
from pipeline.io.store import Store
from pipeline.leakreport import show_items
from pipeline.ledger import FATES_FILE
from pipeline.lineage import audit_overlap
from pipeline.plan import Entry, Plan, describe
from pipeline.registry import discover
from pipeline.report import build_report, build_timings
from pipeline.resources import ensure_all, hub_closed
from pipeline.stage import StageRef
from pipeline.tasks import save_plan

__all__ = ["RunResult", "check", "describe", "load_config", "open_node", "open_run", "parse", "plan", "run"]

LATEST = "LATEST"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class RunResult:
    """A finished run."""

    folder: str  # of the run: report, manifest, and one folder for each sink
    report: dict[str, Any]
    executed: int  # tasks that ran
    reused: int  # tasks whose commit record was there

    def sink(self, node: str) -> str:
        """The folder of a sink's files."""
        return f"{self.folder}/{node}"


class Quiet:
    """Progress that says nothing."""

    def phase(self, label: str, total: int) -> None:
        """A group of tasks begins."""

    def advance(self, done: int, reused: int, rows: int) -> None:
        """Some of its tasks have ended."""

    def end(self) -> None:
        """It is over."""


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config file.

    Args:
        path: of the YAML file.
        overrides: `path.to.value=yaml`, as given with --set.

    Raises:
        ConfigError: the file is missing or ill-formed; with what is wrong about its nodes beside that, where
            they can be judged.
    """
    try:
        return read_config(path, overrides)
    except ConfigError as error:
        if error.partial is None:
            raise
        try:
            check(error.partial)
        except ConfigError as more:
            raise ConfigError([*error.problems, *more.problems]) from error
        raise


def check(config: Config, registry: Mapping[str, StageRef] | None = None) -> tuple[Graph, list[str]]:
    """The config's graph, after every check, and warnings.

    Raises:
        ConfigError: with every problem found, each with file and line.
    """
    graph, problems = build(config, discover() if registry is None else registry)
    problems += run_checks(graph, config)
    if problems:
        raise ConfigError(config.located(problems))
    return graph, config.located(warnings(graph))


def plan(config: Config, registry: Mapping[str, StageRef] | None = None) -> Plan:
    """The config as levels; `describe` shows them.

    Raises:
        ConfigError: see `check`.
    """
    graph, _ = check(config, registry)
    return Plan(graph, config.model.run)


def output_of(config: Config) -> str:
    """The folder that a config's runs go to."""
    return config.model.run.output or f"runs/{config.model.run.name}"


def run(
    config: Config,
    *,
    cluster: ClusterConfig | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    offline: bool = False,
    registry: Mapping[str, StageRef] | None = None,
    stop: Callable[[], bool] | None = None,
) -> RunResult:
    """Run a pipeline to its end, reusing what is done.

    Args:
        config: from `load_config` or `parse`.
        cluster: where Dask runs; processes of this machine by default.
        executor: instead of a cluster, such as LocalExecutor for this process.
        progress: is told what goes on.
        offline: never fetch a model or a data set of the hub.
        registry: stages by name, instead of those installed.
        stop: asked now and then; True ends the run after what is under way.

    Raises:
        ConfigError: nothing was done.
        PipelineError: stopped on the way; running the same again continues.
    """
    with hub_closed(offline):
        graph, _ = check(config, registry)
        ensure_all(graph, offline=offline)
        return _run(config, graph, cluster, executor, progress, stop)


def _run(
    config: Config,
    graph: Graph,
    cluster: ClusterConfig | None,
    executor: Executor | None,
    progress: Progress | None,
    stop: Callable[[], bool] | None,
) -> RunResult:
    made = Plan(graph, config.model.run)
    output = Store(output_of(config))
    with lock.hold(output):
        store = output.sub("store")
        store.sweep()
        partitions = cut(graph)
        name = save_plan(made, config, store)
        started = time.time()
        with _executor(cluster, executor) as runner:
            driver = Driver(
                made, name, partitions, store, runner, progress or Quiet(), stop or (lambda: False)
            )
            outcome = driver.run()
        check_run(graph.nodes, outcome.books)
        return _publish(
            config, made, name, partitions, driver.partitions, outcome, output, time.time() - started
        )


@contextmanager
def _executor(cluster: ClusterConfig | None, executor: Executor | None) -> Any:
    if executor is not None:
        yield executor
        return
    connected = connect(cluster or ClusterConfig())
    try:
        yield connected
    finally:
        connected.close()


def run_id(made: Plan, partitions: Sequence[Partition]) -> str:
    """A run's name: a hash of all that decides its output."""
    inputs = [[p.source, p.label, p.digest] for p in partitions]
    return address(dict(made.fingerprints), made.settings(), inputs)[:12]


def _publish(
    config: Config,
    made: Plan,
    plan_name: str,
    partitions: Sequence[Partition],
    worked: Sequence[Partition],
    outcome: Outcome,
    output: Store,
    seconds: float,
) -> RunResult:
    """The run's folder: sinks, report, manifest; LATEST when all of it is there.

    Args:
        config: of the run.
        made: its plan.
        plan_name: of the plan in the store.
        partitions: what sources were cut into; with the plan they name the run.
        worked: these, and those that nodes made of them.
        outcome: what was done.
        output: where the folder is made.
        seconds: that it took.
    """
    identifier = run_id(made, partitions)
    summaries = {}
    for node, unit in outcome.sinks.items():
        record = output.read_json(f"store/{unit_folder(unit)}/commit.json")
        for file in record["files"]:
            inside = file.removeprefix("out/")
            output.link(f"store/{unit_folder(unit)}/{file}", f"{identifier}/{node}/{inside}")
        summaries[node] = record.get("summaries")  # a store of an earlier release has none
    report = build_report(made, config, identifier, partitions, outcome)
    report["summaries"] = {node: tables for node, tables in summaries.items() if tables}
    show_items(report, output, identifier)
    if made.run.audit is not None:
        folders = [f"store/{unit_folder(unit)}" for _, _, unit in sorted(outcome.units)]
        tables = (read_table(output, f"{folder}/{FATES_FILE}") for folder in folders)
        audited = [n.name for n in made.graph.nodes.values() if not n.annotate_only]
        report["audit"] = {"share": made.run.audit, **audit_overlap(tables, audited)}
    output.write_json(f"{identifier}/report.json", report)
    output.write_json(f"{identifier}/timings.json", build_timings(outcome, seconds))
    output.write_bytes(f"{identifier}/plan.txt", (describe(made) + "\n").encode())
    output.write_json(
        f"{identifier}/{MANIFEST}", _manifest(config, made, plan_name, worked, outcome, identifier)
    )
    _render(output, identifier, report)
    output.write_bytes(LATEST, f"{identifier}\n".encode())
    return RunResult(output.path(identifier), report, outcome.executed, outcome.reused)


def _render(output: Store, identifier: str, report: dict[str, Any]) -> None:
    from pipeline.render import render_html

    timings = output.read_json(f"{identifier}/timings.json")
    output.write_bytes(f"{identifier}/report.html", render_html(report, timings).encode())


def _manifest(
    config: Config,
    made: Plan,
    plan_name: str,
    partitions: Sequence[Partition],
    outcome: Outcome,
    identifier: str,
) -> dict[str, Any]:
    return {
        "run": identifier,
        "config": config.data,
        "plan": plan_name,
        "nodes": dict(made.fingerprints),
        "partitions": [[p.number, p.source, p.label, p.digest] for p in partitions],
        "units": sorted(outcome.units),
        "exchanges": sorted(set(outcome.exchanges)),
        "sinks": outcome.sinks,
        "stored": [[e.node, e.port, level] for e, level in made.stored.items()],
        "versions": {
            "corpusmill": __version__,
            "python": platform.python_version(),
            "pyarrow": version("pyarrow"),
        },
    }


@dataclass(frozen=True)
class OpenRun:
    """A finished run's files."""

    output: Store
    identifier: str
    manifest: dict[str, Any]

    @property
    def arranging(self) -> set[str]:
        """Nodes that put rows into partitions of their own."""
        nodes = self.manifest["config"]["nodes"]
        return {source for _, source, *_ in self.manifest["partitions"] if nodes[source].get("inputs")}

    def units(self, level: int | None = None) -> list[tuple[int, int, str]]:
        """(level, partition, folder of the unit in the output)."""
        return [
            (at, number, f"store/{unit_folder(unit)}")
            for at, number, unit in self.manifest["units"]
            if level is None or at == level
        ]

    def files(self, node: str, port: str = "kept") -> list[str]:
        """Stored files of a node's port, in partition order.

        Raises:
            DataError: the run did not store it.
        """
        entry = Entry(node, port)
        levels = [level for n, p, level in self.manifest["stored"] if (n, p) == (node, port)]
        if not levels:
            known = ", ".join(sorted(f"{n}.{p}" for n, p, _ in self.manifest["stored"] if p != "in"))
            raise DataError(
                f"run {self.identifier} did not store '{node}.{port}'; it has {known}; "
                "set checkpoint: true on the node to store it"
            )
        names = [f"{folder}/{entry.file}" for _, _, folder in self.units(levels[0])]
        return [self.output.path(n) for n in names if self.output.exists(n)]

    def read_json(self, name: str) -> Any:
        """A file of the run's folder, such as report.json."""
        return self.output.read_json(f"{self.identifier}/{name}")


def open_run(folder: str | Path) -> OpenRun:
    """A run by its folder, or the latest run of an output folder.

    Raises:
        DataError: no finished run is there.
    """
    store = Store(str(folder).rstrip("/"))
    if store.exists(LATEST):
        output, identifier = store, store.read_bytes(LATEST).decode().strip()
    else:
        parent, _, identifier = store.root.rpartition("/")
        output = Store(parent)
    if not output.exists(f"{identifier}/{MANIFEST}"):
        raise DataError(f"{folder}: holds no finished run; give a run's folder, or one with {LATEST}")
    return OpenRun(output, identifier, output.read_json(f"{identifier}/{MANIFEST}"))


View = Literal["dataframe", "bag", "dataset", "datasets"]


def open_node(folder: str | Path, node: str, port: str = "kept", view: View = "dataframe") -> Any:
    """A node's stored rows, for a person's own analysis.

    Args:
        folder: of a run, or of all runs of an output (the latest then).
        node: its name; its output must be stored (a checkpoint, or read by a later level).
        port: kept or rejected.
        view: `dataframe` (Dask), `bag` (Dask, of dicts), `dataset` (pyarrow), `datasets` (Hugging Face).

    Raises:
        DataError: the run, or the node's rows in it, are not there.
    """
    files = open_run(folder).files(node, port)
    from pipeline.views import VIEWS

    if view not in VIEWS:
        raise PipelineError(f"no view is called '{view}'; known: {', '.join(VIEWS)}")
    return VIEWS[view](files)


class Stopper:
    """A flag that signal handlers raise; pass it as `stop`."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self) -> bool:
        return self._event.is_set()

    def set(self, *_: object) -> None:
        """Ask the run to stop."""
        self._event.set()
