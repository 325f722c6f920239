"""Plain lines and bars, by a clock that the test sets."""

import io

import pytest
from rich.console import Console

from pipeline import progress
from pipeline.progress import Bars, Lines, make_progress, seconds_text


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def test_a_line_now_and_then_and_one_at_the_end(clock):
    out = io.StringIO()
    lines = Lines(out)
    lines.phase("level 0: web, pages", 40)
    for done in range(1, 41):
        clock.now += 0.5
        lines.advance(done, 0, done * 100)
    lines.end()
    said = out.getvalue().split("\n")
    assert said[0] == "level 0: web, pages  10/40 tasks  1,000 documents, 200/s  about 15 s left"
    assert said[-2] == "level 0: web, pages  40/40 tasks  4,000 documents, 200/s  20 s"
    assert len(said) - 1 == 4


def test_a_quick_phase_is_one_line(clock):
    out = io.StringIO()
    lines = Lines(out)
    lines.phase("near: merge 1", 1)
    lines.advance(1, 1, 0)
    lines.end()
    lines.close()
    assert out.getvalue() == "near: merge 1  1/1 tasks  1 done before  0 s\n"


def test_phases_do_not_mix(clock):
    out = io.StringIO()
    lines = Lines(out)
    lines.phase("one", 2)
    lines.advance(2, 2, 50)
    lines.end()
    lines.phase("two", 3)
    clock.now += 1
    lines.advance(3, 0, 0)
    lines.end()
    assert out.getvalue().split("\n")[1] == "two  3/3 tasks  1 s"


def test_bars_show_rate_and_tasks():
    out = io.StringIO()
    bars = Bars(Console(file=out, force_terminal=True, width=160, color_system=None))
    bars.phase("level 0: " + ", ".join(f"node{i}" for i in range(40)), 4)
    bars.advance(2, 1, 1000)
    bars.advance(4, 1, 2000)
    bars.end()
    text = out.getvalue()
    assert "4/4 tasks" in text
    assert "2,000 documents" in text
    assert "1 done before" in text
    assert "node20" not in text


def test_a_run_that_breaks_off_gives_the_terminal_back():
    out = io.StringIO()
    bars = Bars(Console(file=out, force_terminal=True, width=100))
    bars.close()
    bars.phase("level 0", 4)
    bars.close()
    assert out.getvalue().rstrip("\n").endswith("\x1b[?25h")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bars_for_a_terminal_alone():
    assert isinstance(make_progress(Terminal()), Bars)
    assert isinstance(make_progress(io.StringIO()), Lines)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (7300, "2 h 1 min")],
)
def test_durations(seconds, shown):
    assert seconds_text(seconds) == shown
