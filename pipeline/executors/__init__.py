"""Where tasks run. An executor maps `run.work` over tasks and yields results as they come, in any order."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from pipeline.tasks import Done, Task

Stop = Callable[[], bool]


class Executor(Protocol):
    """Runs tasks; knows nothing of what they mean."""

    def map(self, tasks: Sequence[Task], stop: Stop) -> Iterator[tuple[int, Done]]:
        """(index, result) for each task as it ends.

        Raises:
            Interrupted: `stop()` became true; running tasks may still commit.
            Exception: a task's own, after which no further task is begun.
        """
        ...

    def close(self) -> None:
        """Let go of workers."""
        ...
