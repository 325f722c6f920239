"""Where the driver's tasks are written out, handed to the executor, and their results put in the books."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.books import Books
from pipeline.executors import Executor
from pipeline.fingerprint import address
from pipeline.io.store import Store
from pipeline.plan import Plan
from pipeline.tasks import Done, Task


class Progress(Protocol):
    """What the driver tells while it works."""

    def phase(self, label: str, total: int) -> None:
        """A group of tasks begins."""

    def advance(self, done: int, reused: int, rows: int) -> None:
        """Tasks of the phase that have ended, how many of them had been done before, documents taken in."""

    def end(self) -> None:
        """The phase is over."""


@dataclass
class Outcome:
    """What a run made, as far as it came."""

    books: Books
    units: list[tuple[int, int, str]] = field(default_factory=list)  # level, partition, address
    exchanges: list[tuple[str, str]] = field(default_factory=list)  # node, address of a task of its exchange
    sinks: dict[str, str] = field(default_factory=dict)  # sink node -> address of its commit
    timings: list[dict[str, Any]] = field(default_factory=list)
    executed: int = 0
    reused: int = 0


class Desk:
    """Makes tasks of one plan, has them done, and keeps the outcome."""

    def __init__(
        self,
        plan: Plan,
        plan_name: str,
        store: Store,
        executor: Executor,
        progress: Progress,
        stop: Callable[[], bool],
    ) -> None:
        self.plan, self.store = plan, store
        self.outcome = Outcome(Books(plan.run.samples))
        self._plan_name, self._executor, self._progress, self._stop = plan_name, executor, progress, stop

    def task(self, kind: str, **args: Any) -> Task:
        """A task of a kind that run.py knows."""
        return Task(kind, self.store.root, self._plan_name, args)

    def map(self, label: str, tasks: Sequence[Task]) -> Iterator[tuple[int, Done]]:
        """Have tasks done; yields the place of each with its result, as they come."""
        if not tasks:
            return
        self._progress.phase(label, len(tasks))
        reused = rows = 0
        for done, (index, result) in enumerate(self._executor.map(tasks, self._stop), 1):
            reused += result.reused
            if tasks[index].kind == "level" and tasks[index].args["level"] == 0:
                rows += sum(
                    a["in"]
                    for a in result.record["books"]["nodes"].get(tasks[index].args["source"], {}).values()
                )
            self.note(tasks[index], result)
            self._progress.advance(done, reused, rows)
            yield index, result
        self._progress.end()

    def note(self, task: Task, done: Done) -> None:
        """Put a finished task in the books."""
        self.outcome.executed += not done.reused
        self.outcome.reused += done.reused
        self.outcome.books.merge(done.record["books"])
        if done.timing:
            what = {k: task.args[k] for k in ("level", "node", "round", "split") if k in task.args}
            self.outcome.timings.append({"kind": task.kind, "reused": done.reused, **what, **done.timing})

    def listing(self, value: Mapping[str, Any]) -> str:
        """The name, by content, under which a list that tasks read lies in the store."""
        name = f"lists/{address(value)}.json"
        if not self.store.exists(name):
            self.store.write_json(name, value)
        return name
