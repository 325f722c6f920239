"""Two texts beside each other, with the words that differ marked.

Words are compared as they stand; white space is not compared. In scripts without spaces (Han, Kana, Thai, ...) a
character is a word. What both begin and end with is passed over; between, a longest common subsequence is found
with 64 cells to a machine word (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"), so time and memory
are bounded by DIFFED, whatever the texts are. What lies beyond is said to be not compared.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple

from pipeline.terminal import columns_of, cut_columns, printable

MOST_WORDS = 200_000  # of a text that are looked at
DIFFED = 16_000  # words of each text that are compared beyond what both begin and end with
CONTEXT = 8  # equal words shown on each side of a difference
FOLDED = 8  # equal words fewer than these are not worth folding
MOST_LINES = 120
LEAST_WIDTH, MOST_WIDTH = 40, 240
BETWEEN = " | "

_UNSPACED = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef"
)
_UNSPACED += "\U00020000-\U0003ffff"
_MARKS = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u17b4-\u17d3\u3099\u309a"
)
_WORD = re.compile(rf"(\s*)((?!\s)[{_UNSPACED}][{_MARKS}]*|[^\s{_UNSPACED}]{{1,64}})")


class Word(NamedTuple):
    """A word, and whether white space stands before it."""

    text: str
    spaced: bool


Words = Sequence[Word]


class Stretch(NamedTuple):
    """Words of both texts that are equal, that differ, or that were not compared."""

    kind: Literal["equal", "changed", "not compared"]
    left: Words
    right: Words


class Piece(NamedTuple):
    """A word as it is shown."""

    text: str
    spaced: bool
    changed: bool


class Hunk(NamedTuple):
    """What is shown side by side."""

    left: list[Piece]
    right: list[Piece]


# --- comparing --------------------------------------------------------------------------------------


def words_of(text: str, most: int) -> tuple[list[Word], bool]:
    """A text's first words, and whether these are all of them.

    >>> words_of("one two 漢字", 9)[0][2:]
    [Word(text='漢', spaced=True), Word(text='字', spaced=False)]
    """
    found = [Word(m[2], bool(m[1])) for m in islice(_WORD.finditer(text), most + 1)]
    return found[:most], len(found) <= most


def common_words(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """Places of a longest common subsequence in both, ascending.

    Takes len(a) * len(b) / 8 bytes, and time in proportion.

    >>> common_words("abcd", "xbcyd")
    [(1, 1), (2, 2), (3, 4)]
    """
    where: dict[str, int] = {}
    for i, word in enumerate(a):
        where[word] = where.get(word, 0) | 1 << i
    full = (1 << len(a)) - 1
    state, states = full, []
    for word in b:
        matched = state & where.get(word, 0)
        state = ((state + matched) | (state - matched)) & full
        states.append(state)
    pairs = []
    i, j = len(a), len(b)
    while i and j:  # a bit of 0 at (j, i): one more common word than without a's word i
        if states[j - 1] >> (i - 1) & 1:
            i -= 1
            continue
        j -= 1
        if not j or states[j - 1] >> (i - 1) & 1:
            i -= 1
            pairs.append((i, j))
    return pairs[::-1]


def compare(left: str, right: str) -> list[Stretch]:
    """The two texts as stretches, in order; none for two texts without words."""
    (a, all_a), (b, all_b) = words_of(left, MOST_WORDS), words_of(right, MOST_WORDS)
    head = _equal_at_start(a, b)
    tail = _equal_at_start(a[head:][::-1], b[head:][::-1]) if all_a and all_b else 0
    middle_a, middle_b = a[head : len(a) - tail], b[head : len(b) - tail]
    diffed_a, diffed_b = middle_a[:DIFFED], middle_b[:DIFFED]
    rest = (middle_a[DIFFED:], middle_b[DIFFED:])
    stretches = [
        Stretch("equal", a[:head], b[:head]),
        *smooth(_differences(diffed_a, diffed_b)),
        Stretch("not compared", *rest),
        Stretch("equal", a[len(a) - tail :], b[len(b) - tail :]),
    ]
    found = [s for s in stretches if s.left or s.right]
    return found if all_a and all_b else [*found, Stretch("not compared", [], [])]


def _equal_at_start(a: Words, b: Words) -> int:
    for i, (one, two) in enumerate(zip(a, b, strict=False)):
        if one.text != two.text:
            return i
    return min(len(a), len(b))


def _differences(a: Words, b: Words) -> Iterator[Stretch]:
    """Stretches that differ and that are equal, by turns."""
    pairs = common_words([w.text for w in a], [w.text for w in b])
    at_a = at_b = 0
    start = 0
    while start < len(pairs):
        i, j = pairs[start]
        if i > at_a or j > at_b:
            yield Stretch("changed", a[at_a:i], b[at_b:j])
        end = start
        while end < len(pairs) and pairs[end] == (i + end - start, j + end - start):
            end += 1
        at_a, at_b = i + end - start, j + end - start
        yield Stretch("equal", a[i:at_a], b[j:at_b])
        start = end
    if at_a < len(a) or at_b < len(b):
        yield Stretch("changed", a[at_a:], b[at_b:])


def smooth(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches without equal words by chance: those fewer than the words that differ on either side.

    Two texts about different things share `the` and `of`; marked apart, no one can read either.
    """
    found: list[Stretch] = []
    for stretch in stretches:
        found.append(stretch)
        while len(found) >= 3 and stretch.kind == "changed" and _by_chance(*found[-3:]):
            one, two, three = found[-3:]
            joined = ([*one.left, *two.left, *three.left], [*one.right, *two.right, *three.right])
            found[-3:] = [Stretch("changed", *joined)]
    return found


def _by_chance(before: Stretch, equal: Stretch, after: Stretch) -> bool:
    least = min(max(len(s.left), len(s.right)) for s in (before, after))
    return before.kind == after.kind == "changed" and equal.kind == "equal" and len(equal.left) < least


# --- showing ----------------------------------------------------------------------------------------


def hunks(stretches: Sequence[Stretch]) -> Iterator[Hunk | str]:
    """Differences with some equal words around them, and a line for each stretch that is left out."""
    hunk = Hunk([], [])
    for place, stretch in enumerate(stretches):
        if stretch.kind == "equal":
            before = CONTEXT if place else 0
            after = CONTEXT if place + 1 < len(stretches) else 0
            count = len(stretch.left)
            if count <= before + after + FOLDED:
                _append(hunk, stretch.left, stretch.right, changed=False)
                continue
            _append(hunk, stretch.left[:before], stretch.right[:before], changed=False)
            if hunk.left or hunk.right:
                yield hunk
            yield f"... {count - before - after:,} equal words ..."
            hunk = Hunk([], [])
            at = count - after
            _append(hunk, stretch.left[at:], stretch.right[at:], changed=False)
        elif stretch.kind == "changed":
            _append(hunk, stretch.left, stretch.right, changed=True)
        else:
            if hunk.left or hunk.right:
                yield hunk
            hunk = Hunk([], [])
            yield _not_compared(stretch)
    if hunk.left or hunk.right:
        yield hunk


def _not_compared(stretch: Stretch) -> str:
    if not stretch.left and not stretch.right:
        return f"... what follows after {MOST_WORDS:,} words is not compared ..."
    return f"... {len(stretch.left):,} and {len(stretch.right):,} words are not compared ..."


def _append(hunk: Hunk, left: Words, right: Words, *, changed: bool) -> None:
    for side, words in zip(hunk, (left, right), strict=True):
        side += [Piece(printable(text), spaced, changed) for text, spaced in words]


def side_by_side(
    stretches: Sequence[Stretch], heads: tuple[str, str], width: int = 100, *, colour: bool = False
) -> list[str]:
    """Lines of two columns.

    Args:
        stretches: as `compare` gives them.
        heads: what stands above the columns.
        width: of a line, in terminal columns.
        colour: mark what differs in red and green instead of with [-...-] and {+...+}.
    """
    column = (min(max(width, LEAST_WIDTH), MOST_WIDTH) - len(BETWEEN)) // 2
    total = 2 * column + len(BETWEEN)
    titles = [[Piece(printable(word), True, False) for word in head.split()] for head in heads]
    lines = [*_columns(Hunk(*titles), column, colour=False), f"{'-' * column}-+-{'-' * column}"]
    for part in hunks(stretches):
        if isinstance(part, str):
            lines.append(part.center(total).rstrip())
        else:
            lines += _columns(part, column, colour=colour)
        if len(lines) > MOST_LINES:
            return [*lines[:MOST_LINES], "... and more; --json has all of it".center(total).rstrip()]
    return lines


def _columns(hunk: Hunk, width: int, *, colour: bool) -> list[str]:
    left = _wrap(hunk.left if colour else _marked(hunk.left, "[-", "-]"), width)
    right = _wrap(hunk.right if colour else _marked(hunk.right, "{+", "+}"), width)
    lines = []
    for i in range(max(len(left), len(right))):
        one = left[i] if i < len(left) else []
        two = right[i] if i < len(right) else []
        blanks = " " * (width - sum(columns_of(text) for text, _ in one))
        lines.append(
            f"{_line(one, 31 if colour else 0)}{blanks}{BETWEEN}{_line(two, 32 if colour else 0)}".rstrip()
        )
    return lines


def _marked(pieces: Sequence[Piece], opening: str, closing: str) -> list[Piece]:
    """Pieces with marks before the first and after the last of each stretch that differs."""
    found = []
    for i, piece in enumerate(pieces):
        text = piece.text
        if piece.changed:
            first = i == 0 or not pieces[i - 1].changed
            last = i + 1 == len(pieces) or not pieces[i + 1].changed
            text = f"{opening if first else ''}{text}{closing if last else ''}"
        found.append(piece._replace(text=text))
    return found


def _wrap(pieces: Iterable[Piece], width: int) -> list[list[tuple[str, bool]]]:
    """Lines of (text, whether it differs), none wider than the column."""
    lines: list[list[tuple[str, bool]]] = [[]]
    used = 0
    for text, spaced, changed in pieces:
        gap = " " if spaced and used else ""
        if used and used + len(gap) + columns_of(text) > width:
            lines.append([])
            used, gap = 0, ""
        rest = text
        while columns_of(rest) > width:
            part, rest = cut_columns(rest, width)
            lines[-1].append((part, changed))
            lines.append([])
        if gap:
            lines[-1].append((gap, False))
        lines[-1].append((rest, changed))
        used += len(gap) + columns_of(rest)
    return lines


def _line(parts: Iterable[tuple[str, bool]], colour: int) -> str:
    return "".join(f"\x1b[{colour}m{text}\x1b[0m" if colour and changed else text for text, changed in parts)
