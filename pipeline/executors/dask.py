"""Tasks on a Dask cluster: processes of this machine, or a cluster that is running elsewhere.

Dask schedules coarse tasks and never holds the data: a task's argument is a few hundred bytes and its result a
commit record. Only a window of tasks is submitted at once, so ten thousand partitions cost the scheduler
no more than a few hundred.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from distributed import Client, as_completed
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from pipeline.errors import Interrupted, PipelineError
from pipeline.executors import Stop
from pipeline.run import Done, Task, work

POLL_S = 1.0
TASKS_PER_WORKER = 8  # waiting at a worker: enough that it never idles, few enough to be given to another


class DaskExecutor:
    """Runs tasks through a Client, which it closes together with the cluster it was given."""

    def __init__(self, client: Client, cluster: Any = None) -> None:
        self._client = client
        self._cluster = cluster

    def map(self, tasks: Sequence[Task], stop: Stop) -> Iterator[tuple[int, Done]]:
        """See Executor; a task whose worker is lost is given to another."""
        waiting = iter(enumerate(tasks))
        indices: dict[str, int] = {}
        running = as_completed(raise_errors=False)
        try:
            self._submit(running, waiting, indices, self._window())
            while indices:
                if stop():
                    raise Interrupted("asked to stop")
                try:
                    future = running.next(timeout=POLL_S)  # the scheduler's silence must not hide a stop
                except TimeoutError:
                    self._check_alive()
                    continue
                index = indices.pop(future.key)
                yield index, self._result(future, tasks[index])
                self._submit(running, waiting, indices, self._window() - len(indices))
        except (CommClosedError, FutureCancelledError, OSError) as error:
            raise PipelineError(f"the Dask scheduler was lost ({error}); what is committed stays") from error
        finally:
            running.clear()

    def _window(self) -> int:
        return TASKS_PER_WORKER * max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))

    def _check_alive(self) -> None:
        if self._client.status not in ("running", "connecting", "newly-created"):
            raise PipelineError(f"the Dask scheduler was lost (client is {self._client.status}); what is committed stays")

    def _submit(self, running: Any, waiting: Iterator[tuple[int, Task]], indices: dict[str, int], room: int) -> None:
        for _ in range(room):
            item = next(waiting, None)
            if item is None:
                return
            index, task = item
            future = self._client.submit(work, task._replace(hard=True), pure=False, retries=2)
            indices[future.key] = index
            running.add(future)

    def _result(self, future: Any, task: Task) -> Done:
        try:
            done: Done = future.result()
        except KilledWorker as error:
            raise PipelineError(
                f"the {task.kind} task of {task.args.get('split', task.args.get('node'))} killed its worker again and "
                f"again ({error}); give workers more memory, or lower run.batch_bytes"
            ) from error
        return done

    def close(self) -> None:
        """Close the client, and the cluster if it is ours."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
