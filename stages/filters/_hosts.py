"""Hosts of URLs, in the one form in which they can be compared, and lists of domains to compare them with.

A host as written can have upper case, a port, a user name in front, a trailing dot, and letters beyond ASCII
or their punycode. A domain of a list stands for itself and all below it: `example.com` is `a.example.com`
too, but not `notexample.com`.
"""

import gzip
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

# As browsers read it: a scheme or just slashes may be missing, `\` is a slash, the last @ ends the user name.
HOST_PATTERN = (
    r"^[\x00-\x20]*(?:(?:[A-Za-z][A-Za-z0-9+.\-]*:)?[/\\]{2,})?(?:[^/\\?#]*@)?"
    r"(?P<host>\[[^\]/\\?#]*\]|[^/\\?#:]*)"
)
_NOT_A_HOST = re.compile(r"[\s/\\?#@\[\]]")


def raw_hosts(urls: pa.Array) -> pa.Array:
    """The host of each URL as written, string; "" where there is none, null for null.

    >>> raw_hosts(pa.array(["http://me@A.com:80/x?y", "a.com/x", "//a.com", "/x", None])).to_pylist()
    ['A.com', 'a.com', 'a.com', '', None]
    """
    return pc.struct_field(pc.extract_regex(urls, HOST_PATTERN), "host")


def normal_host(host: str) -> str:
    """A host in lower case ASCII: punycode for other letters, no brackets, no dot at the end.

    >>> normal_host("WWW.Münch%65n.DE."), normal_host("www.xn--mnchen-3ya.de"), normal_host("[::1]")
    ('www.xn--mnchen-3ya.de', 'www.xn--mnchen-3ya.de', '::1')
    """
    host = unquote(host) if "%" in host else host
    if not host.isascii():
        host = unicodedata.normalize("NFKC", host).replace("。", ".")
        host = ".".join(map(_punycode, host.lower().split(".")))
    return host.lower().strip().strip("[]").rstrip(".")


def _punycode(label: str) -> str:
    """Straight punycode, as IDNA 2008 and browsers: the stdlib codec `idna` turns ß into ss."""
    return label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")


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
