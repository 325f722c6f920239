"""Hosts of URLs, in the one form in which they can be compared.

A host as written can have upper case, a port, a user name in front, a trailing dot, and letters beyond ASCII
or their punycode.
"""

import unicodedata
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

# As browsers read it: a scheme or just slashes may be missing, `\` is a slash, the last @ ends the user name.
HOST_PATTERN = (
    r"^[\x00-\x20]*(?:(?:[A-Za-z][A-Za-z0-9+.\-]*:)?[/\\]{2,})?(?:[^/\\?#]*@)?"
    r"(?P<host>\[[^\]/\\?#]*\]|[^/\\?#:]*)"
)


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
