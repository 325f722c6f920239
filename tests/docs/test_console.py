"""Every console block of the pages on the command line and the report, typed in order into one empty folder."""

import json
import re
import shlex
import sys

import pytest
from typer.testing import CliRunner

from pipeline.books import COUNTERS
from pipeline.cli import app
from tests.docs.support import DOCS, blocks
from tests.support.data import ROOT

PAGES = ["cli.md", "reading-a-report.md"]


def typed():
    """(page, command, what is printed according to the page), in order."""
    for page in PAGES:
        for block in blocks(DOCS / page):
            if block.language == "console":
                for part in block.body.removeprefix("$ ").split("\n$ "):
                    command, _, printed = part.partition("\n")
                    yield page, command, printed.strip("\n")


def pattern(printed):
    """A line of `…` alone stands for any lines, `…` within a line for anything on it."""
    lines = []
    for line in printed.split("\n"):
        any_text = "[^\n]*".join(map(re.escape, line.split("…")))
        lines.append(r"(?:[^\n]*\n)*" if line == "…" else rf"{any_text}\n")
    return re.compile("".join(lines))


class Shell:
    """Enough of one."""

    def __init__(self, patch):
        self.patch, self.code = patch, 0

    def type(self, command):
        words = shlex.split(command)
        if command == "echo $?":
            return f"{self.code}\n"
        assert words[0] == "corpusmill", command
        self.patch.setattr(sys, "argv", words)
        extra = ["--in-process"] if words[1] == "run" else []
        result = CliRunner().invoke(app, [*words[1:], *extra])
        self.code = result.exit_code
        return "".join(f"{line.rstrip()}\n" for line in result.output.rstrip("\n").split("\n"))


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each command said, in order, in a folder that has the samples and the ready configs alone."""
    folder = tmp_path_factory.mktemp("console")
    for name in ("configs", "data_samples"):
        (folder / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shell = Shell(patch)
        return [shell.type(command) for _, command, _ in typed()], folder


@pytest.mark.parametrize(
    ("number", "page", "command", "printed"),
    [pytest.param(i, *item, id=f"{i}-{item[1]}") for i, item in enumerate(typed())],
)
def test_the_page_says_what_the_command_says(said, number, page, command, printed):
    found = said[0][number]
    assert pattern(printed).fullmatch(found) or (printed == "" and found == "\n"), found


def fits(shown, real):
    """Whether the real value has all that is shown; "…" stands for any value, and for what is left out of a list."""
    if shown == "…":
        return True
    if isinstance(shown, dict):
        return isinstance(real, dict) and all(k in real and fits(v, real[k]) for k, v in shown.items())
    if isinstance(shown, list):
        if shown[:1] == ["…"] and len(shown) > 1:
            return any(fits(shown[1:], real[k:]) for k in range(len(real)))
        rest = shown[-1:] == ["…"] and len(shown) > 1
        shown = shown[:-1] if rest else shown
        return (rest or len(shown) == len(real)) and all(map(fits, shown, real))
    return shown == real


def inside(value):
    """A value and all values in it."""
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from inside(inner)


def test_the_json_on_the_page_is_a_runs(said):
    _, folder = said
    run = folder / "runs/web" / (folder / "runs/web/LATEST").read_text().strip()
    files = [json.loads((run / name).read_text("utf-8")) for name in ("report.json", "timings.json")]
    shown = [json.loads(b.body) for b in blocks(DOCS / "reading-a-report.md") if b.language == "json"]
    assert len(shown) == len(files)
    for example, file in zip(shown, files, strict=True):
        assert any(fits(example, value) for value in inside(file)), example


def test_every_key_and_counter_is_on_the_page(said):
    _, folder = said
    text = (DOCS / "reading-a-report.md").read_text("utf-8")
    run = folder / "runs/web" / (folder / "runs/web/LATEST").read_text().strip()
    for name in ("report.json", "timings.json"):
        missing = [key for key in json.loads((run / name).read_text("utf-8")) if f"`{key}`" not in text]
        assert not missing, name
    assert not [name for name in COUNTERS if f"`{name}`" not in text]


def test_the_fit_is_strict():
    assert fits({"a": ["…"], "b": [1, "…"]}, {"a": [5], "b": [1, 2, 3], "c": 0})
    assert not fits({"a": 1}, {"a": 2})
    assert not fits({"a": 1}, {})
    assert not fits([1], [1, 2])


def test_the_pattern_is_strict():
    assert pattern("a …\n…\nz").fullmatch("a b\nc\nd\nz\n")
    assert pattern("a\n…").fullmatch("a\n")
    assert not pattern("a …\nz").fullmatch("a b\nc\nz\n")
    assert not pattern("a").fullmatch("a\nb\n")
    assert not pattern("a.c").fullmatch("abc\n")
