"""Every console block of the pages on the command line and the report, typed in order into one empty folder."""

import re
import shlex
import sys

import pytest
from typer.testing import CliRunner

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
        return [shell.type(command) for _, command, _ in typed()]


@pytest.mark.parametrize(
    ("number", "page", "command", "printed"),
    [pytest.param(i, *item, id=f"{i}-{item[1]}") for i, item in enumerate(typed())],
)
def test_the_page_says_what_the_command_says(said, number, page, command, printed):
    assert pattern(printed).fullmatch(said[number]) or (printed == "" and said[number] == "\n"), said[number]


def test_the_pattern_is_strict():
    assert pattern("a …\n…\nz").fullmatch("a b\nc\nd\nz\n")
    assert pattern("a\n…").fullmatch("a\n")
    assert not pattern("a …\nz").fullmatch("a b\nc\nz\n")
    assert not pattern("a").fullmatch("a\nb\n")
    assert not pattern("a.c").fullmatch("abc\n")
