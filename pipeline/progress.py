"""What a person sees while a run goes on: bars on a terminal, plain lines anywhere else."""

import sys
import time
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LABEL_CHARS = 40  # a bar wants room
LINE_S = 5.0  # a log file wants a line now and then, not one a task


def seconds_text(seconds: float) -> str:
    """A duration as people say it.

    >>> [seconds_text(s) for s in (4, 75, 7300)]
    ['4 s', '1 min 15 s', '2 h 1 min']
    """
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Lines:
    """Plain lines: at most one in LINE_S, and one at the end of each phase."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._label, self._total, self._started, self._said = "", 0, 0.0, 0.0
        self._now = (0, 0, 0)

    def phase(self, label: str, total: int) -> None:
        """A group of tasks begins."""
        self._label, self._total, self._now = label, total, (0, 0, 0)
        self._started = self._said = time.monotonic()

    def advance(self, done: int, reused: int, rows: int) -> None:
        """Some of its tasks have ended."""
        self._now = (done, reused, rows)
        if time.monotonic() - self._said >= LINE_S and done < self._total:
            self._say()

    def end(self) -> None:
        """It is over."""
        self._say()

    def close(self) -> None:
        """Nothing is left open."""

    def _say(self) -> None:
        self._said = time.monotonic()
        done, reused, rows = self._now
        took = self._said - self._started
        parts = [f"{self._label}  {done:,}/{self._total:,} tasks"]
        if reused:
            parts.append(f"{reused:,} done before")
        if rows:
            parts.append(f"{rows:,} documents, {rows / max(took, 1e-9):,.0f}/s")
        if done < self._total and done:
            parts.append(f"about {seconds_text(took / done * (self._total - done))} left")
        else:
            parts.append(seconds_text(took))
        print("  ".join(parts), file=self._out, flush=True)


class Bars:
    """One bar a phase, with a rate and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Any = None
        self._task: Any = None
        self._started = 0.0

    def phase(self, label: str, total: int) -> None:
        """A group of tasks begins."""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} tasks{task.fields[more]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._started = time.monotonic()
        self._bar.start()
        shown = label if len(label) <= LABEL_CHARS else f"{label[: LABEL_CHARS - 1]}…"
        self._task = self._bar.add_task(shown, total=total, more="")

    def advance(self, done: int, reused: int, rows: int) -> None:
        """Some of its tasks have ended."""
        took = max(time.monotonic() - self._started, 1e-9)
        more = f"  {rows:,} documents  {rows / took:,.0f}/s" if rows else ""
        more += f"  {reused:,} done before" if reused else ""
        self._bar.update(self._task, completed=done, more=more)

    def end(self) -> None:
        """It is over."""
        self._bar.stop()

    def close(self) -> None:
        """Leave the terminal as it was, also when a run breaks off."""
        if self._bar is not None:
            self._bar.stop()


def make_progress(stream: TextIO | None = None) -> Lines | Bars:
    """Bars for a terminal, lines for anything else; standard error unless told otherwise."""
    stream = sys.stderr if stream is None else stream
    return Bars(Console(file=stream)) if stream.isatty() else Lines(stream)
