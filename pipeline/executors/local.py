"""All tasks in this process, one after the other: for tests, debugging and `--in-process`."""

from collections.abc import Callable, Iterator, Sequence

from pipeline.errors import Interrupted
from pipeline.executors import Stop
from pipeline.run import work
from pipeline.tasks import Done, Task


class LocalExecutor:
    """Runs tasks in the order given, or in one that `shuffle` makes of their indices (for tests)."""

    def __init__(self, shuffle: Callable[[list[int]], list[int]] | None = None) -> None:
        self._shuffle = shuffle

    def map(self, tasks: Sequence[Task], stop: Stop) -> Iterator[tuple[int, Done]]:
        """See Executor."""
        order = list(range(len(tasks)))
        for index in self._shuffle(order) if self._shuffle else order:
            if stop():
                raise Interrupted("asked to stop")
            yield index, work(tasks[index])

    def close(self) -> None:
        """Nothing to let go of."""
