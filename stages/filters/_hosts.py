"""Lists of domains to compare hosts with.

A domain of a list stands for itself and all below it: `example.com` is `a.example.com` too, but not
`notexample.com`.
"""

import gzip
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from stages.kernels.hosts import normal_host

_NOT_A_HOST = re.compile(r"[\s/\\?#@\[\]]")


def listed_parent(host: str, domains: frozenset[str]) -> str | None:
    """The longest domain of the list that the host is or lies below, or None.

    >>> listed_parent("a.example.com", frozenset({"example.com", "com"}))
    'example.com'
    """
    while host:
        if host in domains:
            return host
        host = host.partition(".")[2]
    return None


def domain_problem(entry: str) -> str | None:
    """What is wrong with an entry of a domain list, or None.

    >>> domain_problem("https://example.com/x")
    "'https://example.com/x' is not a domain; write it without scheme and path, such as example.com"
    """
    if _NOT_A_HOST.search(entry) or not normal_host(_bare(entry)):
        return f"{entry!r} is not a domain; write it without scheme and path, such as example.com"
    return None


def _bare(entry: str) -> str:
    return entry.strip().removeprefix("*").lstrip(".")


def domain_set(entries: Iterable[str]) -> frozenset[str]:
    """Normalised domains; `.example.com` and `*.example.com` mean `example.com`."""
    return frozenset(normal_host(_bare(entry)) for entry in entries)


def read_domains(path: Path) -> list[str]:
    """The entries of a list file, `.gz` or plain UTF-8: one domain a line, `#` starts a comment.

    Raises:
        ValueError: a line is not a domain.
    """
    entries = read_lines(path)
    for number, entry in entries:
        problem = domain_problem(entry)
        if problem:
            raise ValueError(f"{path} line {number}: {problem}")
    return [entry for _, entry in entries]


def read_lines(path: Path) -> Sequence[tuple[int, str]]:
    """Line numbers and contents of a list file, without comments and blank lines.

    `#` starts a comment at the beginning of a line or after white space.
    """
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = data.decode("utf-8-sig").splitlines()
    bare = ((number, re.sub(r"(^|\s)#.*", "", line).strip()) for number, line in enumerate(lines, 1))
    return [(number, line) for number, line in bare if line]
