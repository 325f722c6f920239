"""Text for a terminal: harmless, aligned, as wide as it shows."""

import unicodedata
from collections.abc import Sequence


def printable(text: str) -> str:
    r"""Text of the web without what would steer the terminal.

    >>> printable("red \x1b[31m")
    'red \\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def columns_of(text: str) -> int:
    """Terminal columns that printable text takes: two for wide letters such as Han, none for marks.

    >>> columns_of("abc"), columns_of("漢字"), columns_of("e\u0301")
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut_columns(text: str, width: int) -> tuple[str, str]:
    """The longest beginning that fits a width, of one character at least, and the rest.

    >>> cut_columns("漢字", 3)
    ('漢', '字')
    """
    used = 0
    for i, char in enumerate(text):
        used += _columns(char)
        if used > width and i:
            return text[:i], text[i:]
    return text, ""


def aligned(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Rows of equal length as lines; the columns in `left` and the last one begin at the left.

    >>> aligned([("a", "1", "x"), ("long", "20", "yy")])
    ['a      1  x', 'long  20  yy']
    """
    last = len(rows[0]) - 1
    widths = [max(len(row[i]) for row in rows) for i in range(last)]
    lines = []
    for row in rows:
        cells = [row[i].ljust(widths[i]) if i in left else row[i].rjust(widths[i]) for i in range(last)]
        lines.append("  ".join([*cells, row[last]]).rstrip())
    return lines
