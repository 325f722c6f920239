"""Sentences with alternatives, expanded by draws that a seed alone decides.

`{a|b}` is one of two, `{@name}` one of a list, `{#3-40}` a number; braces nest. There is no RNG: each draw
is a hash of the seed and the count of draws before it, so every platform and Python gives the same text.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")
_INNERMOST = re.compile(r"\{([^{}]*)\}")
_NUMBER = re.compile(r"#(\d+)-(\d+)$")


class Draw:
    """A stream of choices that `seed` decides."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.count = 0

    def below(self, bound: int) -> int:
        """The next number in 0..bound-1."""
        self.count += 1
        digest = hashlib.blake2b(f"{self.seed}/{self.count}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % bound

    def between(self, low: int, high: int) -> int:
        """The next number in low..high, both included."""
        return low + self.below(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """`count` of the options, none twice, in drawn order."""
        rest = list(options)
        return [rest.pop(self.below(len(rest))) for _ in range(min(count, len(rest)))]


class Topic(NamedTuple):
    """What one `#` heading of a content file holds."""

    name: str
    titles: tuple[str, ...]
    sentences: tuple[str, ...]


class Grammar(NamedTuple):
    """The topics of a content file and the lists that they name."""

    lists: dict[str, tuple[str, ...]]
    topics: dict[str, Topic]

    def expand(self, template: str, draw: Draw) -> str:
        """One reading of a template, with tidy spaces and a capital first letter.

        >>> Grammar({"who": ("Ann",)}, {}).expand("{@who} {saw|saw} {#7-7} boats.", Draw("x"))
        'Ann saw 7 boats.'
        """
        text = template
        while found := _INNERMOST.search(text):
            text = text[: found.start()] + self._pick(found.group(1), draw) + text[found.end() :]
        text = re.sub(r" +([,.;:])", r"\1", re.sub(r"  +", " ", text)).strip()
        return text[:1].upper() + text[1:]

    def _pick(self, inside: str, draw: Draw) -> str:
        option = draw.choice(inside.split("|"))
        if option.startswith("@"):
            return draw.choice(self.lists[option[1:]])
        if number := _NUMBER.match(option):
            return str(draw.between(int(number[1]), int(number[2])))
        return option


def read_grammar(*paths: Path) -> Grammar:
    """Reads content files into one grammar; a heading met again adds to its topic."""
    lists: dict[str, tuple[str, ...]] = {}
    topics: dict[str, Topic] = {}
    name = ""
    for line in "\n".join(path.read_text("utf-8") for path in paths).split("\n"):
        if line.startswith("@"):
            key, _, values = line[1:].partition(": ")
            lists[key] = tuple(values.split("|"))
        elif line.startswith("#"):
            name, *titles = re.split(r" \| ", line[1:].strip())
            topics.setdefault(name, Topic(name, tuple(titles), ()))
        elif line and not line.startswith(";"):
            topic = topics[name]
            topics[name] = topic._replace(sentences=(*topic.sentences, line))
    return Grammar(lists, topics)
