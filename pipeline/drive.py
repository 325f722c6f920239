"""The driver: which tasks, in which order, and what their results add up to.

It holds addresses and counts, never data. For each level: the partitions' units, then, for each Global node that
gathered in it, the rounds of its exchange, then the commits of its sinks. Every task is asked for on every run;
those whose commit record is in the store are done already.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipeline.arrange import split_name
from pipeline.checkpoint import committed, timing_of, unit_folder
from pipeline.desk import Desk, Outcome, Progress
from pipeline.errors import ConfigError, SourceBrake, TooManyErrors
from pipeline.exchanges import NodeExchange, Partition
from pipeline.executors import Executor
from pipeline.fingerprint import inputs_digest
from pipeline.graph import Graph
from pipeline.io.store import Store
from pipeline.plan import Entry, Level, Plan
from pipeline.run import level_address
from pipeline.tasks import Done, Task, light


def cut(graph: Graph) -> list[Partition]:
    """All partitions, sources in the order of the config, splits by name; reads the inputs to digest them.

    Raises:
        ConfigError: an input is missing, or a source has nothing to read.
    """
    wanted = [
        (node.name, split, list(node.stage.files(split)))  # type: ignore[attr-defined]
        for node in graph.nodes.values()
        if node.kind == "source"
        for split in sorted(node.stage.split())  # type: ignore[attr-defined]
    ]
    idle = {n.name for n in graph.nodes.values() if n.kind == "source"} - {source for source, _, _ in wanted}
    if idle:
        raise ConfigError(
            [f"node '{name}': the source has nothing to read; check its paths" for name in sorted(idle)]
        )
    try:
        with ThreadPoolExecutor(8) as pool:
            digests = list(pool.map(inputs_digest, (files for _, _, files in wanted)))
    except OSError as error:
        raise ConfigError(f"an input cannot be read: {error}") from error
    return [
        Partition(number, source, split, graph.nodes[source].stage.label(split), digest)  # type: ignore[attr-defined]
        for number, ((source, split, _), digest) in enumerate(zip(wanted, digests, strict=True))
    ]


class Driver:
    """Runs a plan to its end. Use once."""

    def __init__(
        self,
        plan: Plan,
        plan_name: str,
        partitions: Sequence[Partition],
        store: Store,
        executor: Executor,
        progress: Progress,
        stop: Callable[[], bool],
    ) -> None:
        self.plan, self.partitions, self.store = plan, list(partitions), store
        self.desk = Desk(plan, plan_name, store, executor, progress, stop)
        self._units: dict[tuple[int, int], str] = {}  # (level, partition) -> address
        self._files: dict[tuple[int, int], frozenset[str]] = {}
        self._sides: dict[str, str] = {}  # node -> folder
        self._failed: dict[
            tuple[str, int], list[Any]
        ] = {}  # rows that failed in a later round of an exchange
        self._verdicts: dict[str, str] = {}  # Global node -> name of the listing of its verdict files

    def run(self) -> Outcome:
        """Every level in turn.

        Raises:
            PipelineError: what stopped it; committed work stays.
        """
        for level in self.plan.levels:
            emitted = self._run_level(level.index)
            self._check_errors()
            self._check_brakes(level)
            for step in level.steps:
                if step.action == "gather":
                    self._exchange(step.node, level.index, emitted.get(step.node, []))
                elif step.action == "place":
                    self._arrange(step.node, level.index)
            for step in level.steps:
                if step.action == "write":
                    self._finish_node(step.node, level.index, "commit")
                elif step.action not in ("gather", "place") and self.plan.graph.side_readers(step.node):
                    self._finish_node(step.node, level.index, "collect")
        return self.desk.outcome

    # --- levels -----------------------------------------------------------------------------------

    def _run_level(self, level: int) -> dict[str, list[tuple[int, list[Any]]]]:
        """Run a level's units.

        Returns:
            for each Global node gathered here, (partition, bucket sizes).
        """
        chosen = [(p, args) for p in self.partitions if (args := self._level_args(level, p)) is not None]
        emitted: dict[str, list[tuple[int, list[Any]]]] = {}

        def record(partition: Partition, done: Done) -> None:
            key = (level, partition.number)
            self._units[key] = done.address
            self._files[key] = frozenset(done.record["rows"])
            self.desk.outcome.units.append((*key, done.address))
            for node, told in done.record["emitted"].items():
                emitted.setdefault(node, []).append((partition.number, told["buckets"]))

        todo: list[tuple[Partition, Task]] = []
        for partition, args in chosen:
            task = self.desk.task("level", **args)
            old = None if args["verdicts"] else committed(self.store, level_address(self.plan, args, {}))
            if old is None:
                todo.append((partition, task))
            else:
                done = Done(old["address"], True, light(old), timing_of(self.store, old["address"]))
                self.desk.note(task, done)
                record(partition, done)
        names = ", ".join(
            s.node for s in self.plan.levels[level].steps if s.action not in ("gather", "place")
        )
        for index, done in self.desk.map(f"level {level}: {names}", [t for _, t in todo]):
            record(todo[index][0], done)
        return emitted

    def _level_args(self, level: int, partition: Partition) -> dict[str, Any] | None:
        """A unit's arguments, or None where nothing of the partition reaches the level."""
        steps = self.plan.steps_for(level, partition.source)
        if not steps:
            return None
        parents = {}
        for entry in self.plan.levels[level].entries:
            made = (self.plan.stored[entry], partition.number)
            if made in self._units and entry.file in self._files[made]:
                parents[f"{entry.node}.{entry.port}"] = self._units[made]
        reads = any(s.action in ("read", "arrange") for s in steps)
        if not parents and not reads:
            return None
        return {
            "level": level,
            "partition": partition.number,
            "source": partition.source,
            "split": partition.split,
            "label": partition.label,
            "digest": partition.digest if reads else "",
            "parents": parents,
            "failed": {
                s.node: failed
                for s in steps
                if s.action == "verdict" and (failed := self._failed.get((s.node, partition.number)))
            },
            "verdicts": {s.node: self._verdicts[s.node] for s in steps if s.action == "verdict"},
            "sides": self._sides_of(s.node for s in steps),
        }

    def _sides_of(self, nodes: Iterator[str] | Sequence[str]) -> dict[str, str]:
        return {t: self._sides[t] for n in nodes for t in self.plan.graph.nodes[n].side.values()}

    def _check_errors(self) -> None:
        """Stop when a node failed on too many of its rows.

        Raises:
            TooManyErrors: with the node's most frequent error.
        """
        run = self.plan.run
        for node, sources in self.desk.outcome.books.data["nodes"].items():
            rows = sum(a["in"] for a in sources.values())
            errors: dict[str, int] = {}
            for account in sources.values():
                for name, count in account["failed"].items():
                    errors[name] = errors.get(name, 0) + count
            failed = sum(errors.values())
            if failed > max(run.error_allowance, run.max_error_ratio * rows):
                worst = max(sorted(errors), key=errors.__getitem__)
                raise TooManyErrors(
                    f"node '{node}' failed on {failed} of {rows} rows, mostly '{worst}' ({errors[worst]})"
                    f"{self._an_example(node, worst)}; mend it, or raise run.max_error_ratio ({run.max_error_ratio})"
                )

    def _check_brakes(self, level: Level) -> None:
        """Stop when a node took out too much of one source.

        Raises:
            SourceBrake: with the share and the reasons.
        """
        for name in (s.node for s in level.steps if s.action not in ("gather", "place")):
            limit = self.plan.graph.nodes[name].max_source_loss
            if limit is None:
                continue
            for source, account in self.desk.outcome.books.data["nodes"].get(name, {}).items():
                lost = sum(account["rejected"].values())
                if lost > limit * account["in"]:
                    why = ", ".join(
                        f"{reason} {count}" for reason, count in sorted(account["rejected"].items())
                    )
                    raise SourceBrake(
                        f"node '{name}' rejected {lost} of {account['in']} rows of source '{source}' "
                        f"({lost / account['in']:.0%}): {why}; mend it, or raise "
                        f"nodes.{name}.max_source_loss ({limit})"
                    )

    def _an_example(self, node: str, error: str) -> str:
        """A failed row and the last line of its traceback."""
        samples = self.desk.outcome.books.data["samples"].get(node, {}).get(error)
        if not samples:
            return ""
        detail = json.loads(samples[0]["evidence"])["traceback"].strip().splitlines()[-1]
        return f", such as {samples[0]['id']}: {detail}"

    # --- exchanges --------------------------------------------------------------------------------

    def _exchange(self, name: str, level: int, emitted: list[tuple[int, list[Any]]]) -> None:
        """All rounds of a Global node; leaves the name of its last verdicts."""
        file = Entry(name, "in").file
        gathered = {
            p: self._units[level, p.number]
            for p in self.partitions
            if file in self._files.get((level, p.number), ())
        }
        exchange = NodeExchange(self.desk, name, gathered, self._sides_of([name]))
        self._verdicts[name] = exchange.run(emitted)
        for number, failed in exchange.failed.items():
            self._failed.setdefault((name, number), []).extend(failed)

    def _arrange(self, name: str, level: int) -> None:
        """Cut what an arranging node had put away into partitions of its own."""
        file = Entry(name, "in").file
        units = [
            self._units[level, p.number]
            for p in self.partitions
            if file in self._files.get((level, p.number), ())
        ]
        if not units:
            return
        task = self.desk.task("bounds", node=name, listing=self.desk.listing({"units": units}))
        for _, done in self.desk.map(f"{name}: bounds", [task]):
            first = len(self.partitions)
            self.partitions += [
                Partition(first + part, name, split_name(part), split_name(part), done.address)
                for part in range(done.record["parts"])
            ]

    # --- whole nodes ------------------------------------------------------------------------------

    def _finish_node(self, name: str, level: int, kind: str) -> None:
        """Commit a sink, or collect a node's rows, once all partitions have passed it."""
        wanted = "" if kind == "commit" else Entry(name, "kept").file
        units = [
            (p.number, self._units[level, p.number])
            for p in self.partitions
            if (level, p.number) in self._units
            and name in self.plan.graph.reach[p.source]
            and (not wanted or wanted in self._files[level, p.number])
        ]
        listing = self.desk.listing({"units": units})
        task = self.desk.task(kind, node=name, listing=listing, sides=self._sides_of([name]))
        for _, done in self.desk.map(f"{name}: {kind}", [task]):
            self._sides[name] = f"{unit_folder(done.address)}/out"
            if kind == "commit":
                self.desk.outcome.sinks[name] = done.address
