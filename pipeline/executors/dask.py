"""Tasks on a Dask cluster: processes of this machine, or a cluster that is running elsewhere.

Dask schedules coarse tasks and never holds the data: a task's argument is a few hundred bytes and its result a
commit record. Only a window of tasks is submitted at once, so ten thousand partitions cost the scheduler
no more than a few hundred.
"""

import queue
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

from distributed import Client, WorkerPlugin
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from pipeline.errors import Interrupted, PipelineError
from pipeline.executors import Stop
from pipeline.run import work
from pipeline.tasks import Done, Task

POLL_S = 0.5
TASKS_PER_WORKER = 8  # waiting at a worker: enough that it never idles, few enough to be given to another
GRACE_S = (
    20.0  # for running tasks to commit when the run is asked to stop; schedulers kill after 30 s or more
)
TRIES = 3  # of a task that fails with an OSError: a network file system may have hiccuped


class IgnoreInterrupt(WorkerPlugin):
    """Ctrl-C reaches every process of a terminal; the driver alone answers it, and lets workers finish."""

    name = "corpusmill-ignore-interrupt"

    def setup(self, worker: Any) -> None:  # noqa: ARG002
        """Runs once in each worker process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class DaskExecutor:
    """Runs tasks through a Client, which it closes together with the cluster it was given."""

    def __init__(self, client: Client, cluster: Any = None) -> None:
        self._client = client
        self._cluster = cluster

    def map(self, tasks: Sequence[Task], stop: Stop) -> Iterator[tuple[int, Done]]:
        """See Executor; a task whose worker is lost is given to another."""
        ended: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        running: dict[int, Any] = {}
        tries: dict[int, int] = {}
        waiting: Iterator[int] = iter(range(len(tasks)))
        stop_by: float | None = None

        def submit(index: int) -> None:
            tries[index] = tries.get(index, 0) + 1
            future = self._client.submit(work, tasks[index]._replace(hard=True), pure=False)
            running[index] = future
            future.add_done_callback(lambda f: ended.put((index, f)))

        try:
            window = self._window()
            while True:
                while len(running) < window and (index := next(waiting, None)) is not None:
                    submit(index)
                if not running:
                    if stop_by is not None:
                        raise Interrupted("asked to stop")
                    return
                if stop():
                    waiting, stop_by = iter(()), stop_by or time.monotonic() + GRACE_S
                    if time.monotonic() >= stop_by:
                        raise Interrupted("asked to stop")
                try:  # the scheduler's silence must not hide a stop
                    index, future = ended.get(timeout=POLL_S)
                except queue.Empty:
                    self._check_alive()
                    window = self._window()
                    continue
                del running[index]
                done = self._result(future, tasks[index], last=tries[index] >= TRIES)
                if done is None:
                    submit(index)
                else:
                    yield index, done
        except (CommClosedError, FutureCancelledError) as error:
            raise PipelineError(f"the Dask scheduler was lost ({error}); what is committed stays") from error
        finally:
            if running and self._client.status == "running":
                self._client.cancel(list(running.values()))

    def _window(self) -> int:
        return TASKS_PER_WORKER * max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))

    def _check_alive(self) -> None:
        if self._client.status not in ("running", "newly-created"):
            raise PipelineError(
                f"the Dask scheduler was lost (the client is {self._client.status}); what is committed stays"
            )

    def _result(self, future: Any, task: Task, *, last: bool) -> Done | None:
        """What a task returned; None where it should be tried again."""
        try:
            done: Done = future.result()
        except KilledWorker as error:
            raise PipelineError(
                f"the {task.kind} task of {task.args.get('split', task.args.get('node'))} killed its worker again and "
                f"again ({error}); give workers more memory, or lower run.batch_bytes"
            ) from error
        except OSError:
            if last or self._client.status != "running":
                raise
            return None
        return done

    def close(self) -> None:
        """Close the client, and the cluster if it is ours."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
