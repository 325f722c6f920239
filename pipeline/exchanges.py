"""The exchange of one Global node as the driver sees it: which tasks, in which order.

For each round: reductions of ranges of buckets, then, where the stage wants it, their merging in a tree, or the
merging of links into groups; then the next round's emission. The driver holds names and counts alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline import exchange
from pipeline.checkpoint import unit_folder
from pipeline.desk import Desk
from pipeline.errors import StageError
from pipeline.rounds import PAIRS_FILE, VERDICTS_FILE
from pipeline.tasks import Done, Task
from pipeline.unit import emit_file

REDUCE_TASKS = 128  # an exchange is cut in about so many, unless it is small
REDUCE_BYTES = 16 << 20  # ... where one task is enough for so much
MOST_ROUNDS = 100  # of stars: a chain of 10^10 documents takes about 40
FAN_IN = 8  # files that one merge takes
LINK_BYTES = 128  # memory that merging takes a link at most: the link itself, its two numbers, sorting


class Partition(NamedTuple):
    """One split of one source."""

    number: int
    source: str
    split: str
    label: str  # the split's name without where it lies
    digest: str  # of its input's bytes


class Verdicts(NamedTuple):
    """A stored file of a reduction or merge."""

    name: str
    rows: int


Emitted = Sequence[tuple[int, list[Any]]]  # (partition, bucket sizes)


class NodeExchange:
    """All rounds of a Global node. Use once."""

    def __init__(
        self, desk: Desk, node: str, gathered: Mapping[Partition, str], sides: Mapping[str, str]
    ) -> None:
        self._desk, self._node, self._gathered, self._sides = desk, node, gathered, sides
        self._stage: Any = desk.plan.graph.nodes[node].stage
        self._run = desk.plan.run
        self.failed: dict[int, list[Any]] = {}  # partition -> rows that failed in a later round

    def run(self, emitted: Emitted) -> str:
        """Returns the name of the listing of the last round's verdicts."""
        units = {p.number: unit for p, unit in self._gathered.items()}
        remembered: list[str] = []
        for round in range(type(self._stage).rounds):
            files = self._reduce(round, emitted, units)
            if files and self._stage.links(round):
                files = self._group(round, files)
            elif files and self._stage.resolves(round):
                files = self._resolve(round, files)
            verdicts = self._desk.listing({"files": [f.name for f in files]})
            if round in type(self._stage).remembers:
                remembered += [f.name for f in files]
            if round + 1 < type(self._stage).rounds:
                emitted, units = self._emit(round + 1, verdicts)
        return self._desk.listing({"files": [*remembered, *(f.name for f in files)]})

    def _emit(self, round: int, verdicts: str) -> tuple[Emitted, dict[int, str]]:
        """A later round's emission, from the rows gathered."""
        chosen = list(self._gathered)
        tasks = [
            self._desk.task(
                "emit",
                node=self._node,
                round=round,
                partition=p.number,
                split=p.split,
                parent=self._gathered[p],
                verdicts=verdicts,
                sides=self._sides,
            )
            for p in chosen
        ]
        emitted, units = [], {}
        for index, done in self._desk.map(f"{self._node}: emit {round + 1}", tasks):
            number = chosen[index].number
            self.failed.setdefault(number, []).extend(done.record["failed"])
            if self._node in done.record["emitted"]:
                emitted.append((number, done.record["emitted"][self._node]["buckets"]))
                units[number] = done.address
        return emitted, units

    def _ranges(self, emitted: Emitted) -> list[tuple[int, int]]:
        """Runs of buckets, each a task's work."""
        sizes = np.zeros(self._run.buckets, np.int64)
        for _, buckets in emitted:
            for bucket, _rows, size in buckets:
                sizes[bucket] += size
        limit = min(self._run.bucket_bytes, max(REDUCE_BYTES, int(sizes.sum()) // REDUCE_TASKS))
        return exchange.ranges(sizes, limit)

    def _reduce(self, round: int, emitted: Emitted, units: Mapping[int, str]) -> list[Verdicts]:
        file = emit_file(self._node, round)
        files = [[number, f"{unit_folder(units[number])}/{file}"] for number, _ in sorted(emitted)]
        listing = self._desk.listing({"emitted": files})
        tasks = [
            self._desk.task("reduce", node=self._node, round=round, listing=listing, range=[low, high])
            for low, high in self._ranges(emitted)
        ]
        return self._verdicts(f"{self._node}: exchange {round + 1}", tasks)

    def _ordered(self, label: str, tasks: Sequence[Task]) -> list[Done]:
        """Results in the order of the tasks."""
        done = dict(self._desk.map(label, tasks))
        results = [done[index] for index in range(len(tasks))]
        self._desk.outcome.exchanges += [(self._node, result.address) for result in results]
        return results

    def _verdicts(self, label: str, tasks: Sequence[Task]) -> list[Verdicts]:
        return [
            Verdicts(f"{unit_folder(done.address)}/{VERDICTS_FILE}", done.record["rows"][VERDICTS_FILE])
            for done in self._ordered(label, tasks)
        ]

    def _merge(self, round: int, groups: Sequence[Sequence[Verdicts]]) -> list[Verdicts]:
        final = len(groups) == 1
        tasks = [
            self._desk.task(
                "resolve", node=self._node, round=round, files=[f.name for f in group], final=final
            )
            for group in groups
        ]
        return self._verdicts(f"{self._node}: merge {round + 1}", tasks)

    def _resolve(self, round: int, files: list[Verdicts]) -> list[Verdicts]:
        """Merge reductions in a tree, whose shape depends on their number alone."""
        while True:
            groups = [files[i : i + FAN_IN] for i in range(0, len(files), FAN_IN)]
            files = self._merge(round, groups)
            if len(groups) == 1:
                return files

    # --- groups -----------------------------------------------------------------------------------

    def _group(self, round: int, files: list[Verdicts]) -> list[Verdicts]:
        """Merge links into groups: in a tree while a merge fits in memory, by stars beyond that."""
        while len(groups := pack(files, self._run.bucket_bytes // LINK_BYTES)) < len(files):
            merged = iter(self._merge(round, [g for g in groups if len(g) > 1]))
            files = [next(merged) if len(g) > 1 else g[0] for g in groups]
        return files if len(files) == 1 else self._stars(files)

    def _stars(self, files: list[Verdicts]) -> list[Verdicts]:
        """Large and small stars in turn, until the links stay as they are."""
        pairs = self._step("spread", [([file.name], (0, 0)) for file in files])
        seen: list[int] | None = None
        for _ in range(MOST_ROUNDS):
            large = self._step("large", self._inputs(pairs))
            now = [sum(d.record["seen"][k] for d in large) % 2**64 for k in (0, 1)]
            if now == seen:
                break
            seen = now
            pairs = self._step("small", self._inputs(large))
        else:
            raise StageError(
                f"node '{self._node}': its links still change after {MOST_ROUNDS} rounds; "
                "this is a defect, please report it"
            )
        tasks = [self._star("read", *given) for given in self._inputs(pairs)]
        return self._verdicts(f"{self._node}: groups", tasks)

    def _inputs(self, made: Sequence[Done]) -> list[tuple[list[str], tuple[int, int]]]:
        """All files of a step, with each range of buckets of the next."""
        some = [d for d in made if self._node in d.record["emitted"]]
        files = [f"{unit_folder(d.address)}/{PAIRS_FILE}" for d in some]
        return [
            (files, cut)
            for cut in self._ranges([(0, d.record["emitted"][self._node]["buckets"]) for d in some])
        ]

    def _star(self, step: str, files: list[str], cut: tuple[int, int]) -> Task:
        listing = self._desk.listing({"files": files})
        return self._desk.task("star", node=self._node, step=step, listing=listing, range=list(cut))

    def _step(self, step: str, given: Sequence[tuple[list[str], tuple[int, int]]]) -> list[Done]:
        return self._ordered(f"{self._node}: {step} stars", [self._star(step, *g) for g in given])


def pack(files: Sequence[Verdicts], rows: int) -> list[list[Verdicts]]:
    """Neighbouring files in groups of at most FAN_IN whose rows are at most `rows`, unless one has more alone.

    >>> [[f.rows for f in g] for g in pack([Verdicts("", n) for n in (3, 4, 5, 20, 1)], rows=10)]
    [[3, 4], [5], [20], [1]]
    """
    groups: list[list[Verdicts]] = []
    for file in files:
        total = sum(f.rows for f in groups[-1]) if groups else 0
        if groups and len(groups[-1]) < FAN_IN and total + file.rows <= rows:
            groups[-1].append(file)
        else:
            groups.append([file])
    return groups
