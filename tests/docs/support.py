"""Pages and their code blocks."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.support.data import ROOT

DOCS = ROOT / "docs"
README = ROOT / "README.md"
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    body: str

    @property
    def file(self) -> str | None:
        """The file that its first line names: `# my_stages/brackets.py`."""
        found = re.match(r"# ([\w/.-]+\.\w+)\n", self.body)
        return found[1] if found else None


def pages() -> list[Path]:
    """Every Markdown file of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        return sorted(ROOT / line for line in listed.stdout.split("\n") if line and (ROOT / line).exists())
    skip = {".venv", ".git", "node_modules", ".pytest_cache"}
    return sorted(p for p in ROOT.rglob("*.md") if not skip & set(p.relative_to(ROOT).parts))


def blocks(page: Path) -> list[Block]:
    """The page's fenced blocks, in order."""
    return [Block(m["language"], m["body"]) for m in _FENCE.finditer(page.read_text("utf-8"))]


def without_blocks(page: Path) -> str:
    """The page's prose."""
    return _FENCE.sub("", page.read_text("utf-8"))


def table_rows(text: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, its head left out."""
    section = text.split(f"\n{heading}\n", 1)[1]
    rows = []
    for line in section.split("\n"):
        if line.startswith("|"):
            cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            rows.append(cells)
        elif rows:
            break
    return rows[2:]
