"""Setting bad rows aside: those that make a stage raise, hang, or bring the whole worker down.

A batch that raises is halved until the guilty rows stand alone; the others go on as if nothing had been.
What hangs is interrupted by a watchdog, and a worker that cannot be interrupted ends itself. What kills the
worker (a crash in native code, the kernel's memory guard) is found by a journal: a unit that did not come back
is run again with a note of each batch before it is handed over, then of each row, and a row that was in
flight in DEATHS deaths running is set aside unread. A kill from outside costs attempts but blames nobody, unless
it hits the same single row that often.
"""

import ctypes
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import pyarrow as pa

from pipeline.errors import PipelineError
from pipeline.io.store import Store

T = TypeVar("T")
DEATHS = 3
TRACEBACK_CHARS = 4000


class Timeout(Exception):
    """A stage took longer over a batch than `watchdog_s`."""


class Died(Exception):
    """A row was in flight each time the worker died."""


class Failure(NamedTuple):
    """A row that a stage could not take."""

    row: int  # index in the batch given to `isolate`
    error: str  # the exception's class
    detail: str  # its traceback, cut to TRACEBACK_CHARS


def isolate(
    batch: pa.RecordBatch, call: Callable[[pa.RecordBatch, int], T], guard: "Guard", start: int = 0
) -> Iterator[tuple[int, pa.RecordBatch, T] | Failure]:
    """Run `call` on the batch; where it raises, on its halves, down to single rows.

    Args:
        batch: rows for the stage.
        call: the stage's work on a slice, given the slice and its first row's index in the batch.
        guard: watches the time and remembers what killed a worker before.
        start: index of the batch's first row, for recursion.

    Yields:
        (index of the slice's first row, slice, result) in row order, and a Failure for each row set aside.
    """
    if batch.num_rows == 0:
        return
    if guard.alone(batch) and batch.num_rows > 1:
        for i in range(batch.num_rows):
            yield from isolate(batch.slice(i, 1), call, guard, start + i)
        return
    try:
        with guard.watching(batch):
            result = call(batch, start)
    except PipelineError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever a stage raises is about its rows, until proven otherwise)
        if batch.num_rows == 1:
            text = "".join(traceback.format_exception(error))
            yield Failure(start, type(error).__name__, text[-TRACEBACK_CHARS:])
            return
        half = batch.num_rows // 2
        yield from isolate(batch.slice(0, half), call, guard, start)
        yield from isolate(batch.slice(half), call, guard, start + half)
    else:
        yield start, batch, result


class Journal:
    """Notes of attempts at one unit, kept in the store so that the next attempt on any machine sees them."""

    def __init__(self, store: Store, unit: str) -> None:
        self._store = store
        self._name = f"attempts/{unit}.json"
        note = store.read_json(self._name) if store.exists(self._name) else {}
        self.deaths = int(note.get("deaths", -1)) + 1
        self.blamed: dict[str, int] = dict(note.get("blamed", {}))
        in_flight = note.get("in_flight")
        if in_flight is not None:
            self.blamed[in_flight] = self.blamed.get(in_flight, 0) + 1
        self._write(None)

    def _write(self, in_flight: str | None) -> None:
        note = {"deaths": self.deaths, "blamed": self.blamed, "in_flight": in_flight}
        self._store.write_json(self._name, note)

    def note(self, key: str) -> None:
        """What is about to be handed to a stage."""
        self._write(key)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        """The process lives, whether or not the unit came through: nobody is to blame for a death."""
        self._store.remove(self._name)


class Guard:
    """Watches one unit's calls of stages."""

    def __init__(self, journal: Journal, seconds: float | None, hard: bool) -> None:
        self._journal = journal
        self._seconds = seconds
        self._hard = hard  # whether this process may end itself; a nanny starts another
        self.node = ""

    def _key(self, batch: pa.RecordBatch) -> str:
        ids = batch.column("id")
        return f"{self.node}|{batch.num_rows}|{ids[0].as_py()}|{ids[len(ids) - 1].as_py()}"

    def alone(self, batch: pa.RecordBatch) -> bool:
        """Whether this batch was in flight when a worker died, so that its rows must go one by one."""
        return bool(self._journal.blamed) and self._journal.blamed.get(self._key(batch), 0) > 0

    @contextmanager
    def watching(self, batch: pa.RecordBatch) -> Iterator[None]:
        """Note what is in flight (after a death) and cut it off after the time allowed.

        Raises:
            Died: this row was in flight in DEATHS deaths.
            Timeout: the time ran out.
        """
        if self._journal.deaths > 0:
            key = self._key(batch)
            if batch.num_rows == 1 and self._journal.blamed.get(key, 0) >= DEATHS:
                raise Died(f"the worker died {DEATHS} times while node '{self.node}' had this row")
            self._journal.note(key)
        if self._seconds is None:
            yield
            return
        with _Watchdog.of_thread().limit(self._seconds, self._hard):
            yield


class _Watchdog:
    """One thread that interrupts another. Python code is stopped by an exception; native code cannot be."""

    _local = threading.local()

    def __init__(self) -> None:
        self._target = threading.get_ident()
        self._deadline: float | None = None
        self._hard = False
        self._wake = threading.Condition()
        threading.Thread(target=self._watch, daemon=True, name="corpusmill-watchdog").start()

    @classmethod
    def of_thread(cls) -> "_Watchdog":
        """The calling thread's watchdog, started on first use."""
        dog = getattr(cls._local, "dog", None)
        if dog is None:
            dog = cls._local.dog = cls()
        return dog

    @contextmanager
    def limit(self, seconds: float, hard: bool) -> Iterator[None]:
        self._hard = hard
        self._deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            self._deadline = None

    def _watch(self) -> None:
        interrupted: float | None = None
        while True:
            with self._wake:
                self._wake.wait(0.25)
            deadline, now = self._deadline, time.monotonic()
            if deadline is None or now < deadline:
                interrupted = None
            elif interrupted is None:
                interrupted = now
                self._interrupt()
            elif self._hard and now > interrupted + 30:
                os._exit(70)  # stuck in native code: the journal will find the row

    def _interrupt(self) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._target), ctypes.py_object(Timeout))
