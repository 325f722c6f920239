"""Markdown from resiliparse's minimal HTML: headings, lists, code, links and tables; one pass, no tree.

The input knows no element but h1-h6, p, ul, ol, li, pre, br and a, and escapes `<` and `&` in text; cells of
a table come as plain text with two tabs between them, a row on a line. Nothing is escaped for markdown's
sake except what would break a table: the text is for a model to read, not for a renderer.
"""

import re
from typing import NamedTuple

from stages.extraction._clean import unescape

_TOKEN = re.compile(r"<(/?)(h[1-6]|p|ul|ol|li|pre|br|a)((?:\s[^<>]*)?)>")
_HREF = re.compile(r'\shref="([^"]*)"')
_BACKTICKS = re.compile(r"`+")
CELL = "\t\t"


class Block(NamedTuple):
    """One block of the text."""

    kind: str  # "text", "item", "row" or "code"
    text: str


class _Writer:
    """Blocks as they are closed, and what stands open."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.line: list[str] = []  # pieces of the line being read
        self.heading = 0
        self.lists: list[int | None] = []  # open lists: the number of the last item, None if not numbered
        self.bullet = ""  # what the next line of an item begins with
        self.code: list[str] | None = None
        self.link: tuple[str, int] | None = None  # target, and where its text begins in `line`

    def text(self, text: str) -> None:
        if self.code is not None:
            self.code.append(unescape(text))
            return
        first, *others = text.split("\n")
        self.line.append(unescape(first))
        for other in others:
            self.end_line()
            self.line.append(unescape(other))

    def tag(self, closing: bool, name: str, attributes: str) -> None:
        if name == "pre":
            self._pre(closing)
        elif self.code is not None:
            return  # a link inside code is its text
        elif name == "a":
            self._a(closing, attributes)
        else:
            self.end_line()
            self._block(closing, name)

    def _block(self, closing: bool, name: str) -> None:
        if name[0] == "h":
            self.heading = 0 if closing else int(name[1])
        elif name in ("ul", "ol"):
            if not closing:
                self.lists.append(0 if name == "ol" else None)
            elif self.lists:
                self.lists.pop()
        elif name == "li" and self.lists:
            number = self.lists[-1]
            if closing:
                self.bullet = ""
            elif number is None:
                self.bullet = "- "
            else:
                self.lists[-1] = number + 1
                self.bullet = f"{number + 1}. "

    def _a(self, closing: bool, attributes: str) -> None:
        if not closing:
            target = _HREF.search(attributes)
            self.link = (unescape(target.group(1)), len(self.line)) if target else None
            return
        if self.link and self.link[1] <= len(self.line):
            target_text, start = self.link
            shown = "".join(self.line[start:])
            if shown.strip() and target_text:
                target_text = f"<{target_text}>" if re.search(r"[\s()]", target_text) else target_text
                self.line[start:] = [f"[{shown}]({target_text})"]
        self.link = None

    def _pre(self, closing: bool) -> None:
        self.end_line()
        if not closing:
            self.code = []
        elif self.code is not None:
            self.blocks.append(Block("code", fenced("".join(self.code))))
            self.code = None

    def end_line(self) -> None:
        text = "".join(self.line)
        self.line = []
        self.link = None
        row = CELL in text
        text = text.rstrip(" ") if row else " ".join(text.split())
        if not text.strip():
            return
        if self.lists:
            bullet = self.bullet or "  "
            self.bullet = ""
            self.blocks.append(Block("item", "  " * (len(self.lists) - 1) + bullet + " ".join(text.split())))
        elif row:
            self.blocks.append(Block("row", text))
        else:
            self.blocks.append(Block("text", "#" * self.heading + " " * (self.heading > 0) + text))


def fenced(code: str) -> str:
    """A code block with a fence that its text does not hold."""
    longest = max((len(run) for run in _BACKTICKS.findall(code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{code.strip(chr(10)).rstrip()}\n{fence}"


def table_of(rows: list[str]) -> str:
    r"""Rows with CELL between their cells as a markdown table; the first row is its head.

    >>> print(table_of(["Name\t\tAge", "Ann|Lee\t\t42"]))
    | Name | Age |
    | --- | --- |
    | Ann\|Lee | 42 |
    """
    cells = [[cell.strip().replace("|", "\\|") for cell in row.split(CELL)] for row in rows]
    width = max(map(len, cells))
    lines = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def markdown_of(minimal: str) -> str:
    r"""Markdown of minimal HTML, blocks with a blank line between them.

    >>> print(markdown_of("<h2>Tea &amp; cake</h2>\n<ul>\n  <li>one</li>\n  <li>two</li>\n</ul>"))
    ## Tea & cake
    <BLANKLINE>
    - one
    - two
    """
    writer = _Writer()
    end = 0
    for token in _TOKEN.finditer(minimal):
        writer.text(minimal[end : token.start()])
        writer.tag(token.group(1) == "/", token.group(2), token.group(3))
        end = token.end()
    writer.text(minimal[end:])
    writer.tag(True, "pre", "")  # a block that was never closed
    return _join(writer.blocks)


def _join(blocks: list[Block]) -> str:
    """Items of a list and rows of a table stand together, all else apart."""
    parts: list[list[Block]] = []
    for block in blocks:
        if parts and block.kind in ("item", "row") and parts[-1][0].kind == block.kind:
            parts[-1].append(block)
        else:
            parts.append([block])
    texts = (
        table_of([b.text for b in part]) if part[0].kind == "row" else "\n".join(b.text for b in part)
        for part in parts
    )
    return "\n\n".join(texts)
