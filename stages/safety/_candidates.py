"""Where personal data may be: spans that google-re2 finds in linear time, and neighbours that rule them out.

RE2 is fast and wide here, and knows no look-around; what a span must not touch is checked on its neighbours.
Whether a span *is* what it looks like is asked of presidio, in `_judges`.
"""

import ipaddress
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

import re2


class Entity(StrEnum):
    """What can be found, named as presidio names it; the order settles overlaps, the surer kind first."""

    EMAIL_ADDRESS = "EMAIL_ADDRESS"
    IBAN_CODE = "IBAN_CODE"
    CREDIT_CARD = "CREDIT_CARD"
    US_SSN = "US_SSN"
    IP_ADDRESS = "IP_ADDRESS"
    PHONE_NUMBER = "PHONE_NUMBER"


class Candidate(NamedTuple):
    """A span that may be an entity, in code points."""

    start: int
    end: int


MAX_EMAIL_CHARS = 320  # RFC 5321: local part 64, "@", domain 255
MAX_PHONE_RUN_CHARS = 64  # a longer run of digits and separators is a table row, not a telephone number

# Scripts written with spaces: Han and Kana are left out, or an address would swallow the sentence before it.
_LETTERS = r"\p{Latin}\p{Greek}\p{Cyrillic}\p{Armenian}\p{Georgian}\p{Hebrew}\p{Arabic}\p{Devanagari}\pM"
_LABEL = rf"[{_LETTERS}0-9](?:[{_LETTERS}0-9\-]*[{_LETTERS}0-9])?"
_SEPARATOR = r"[ \x{A0}.\-\x{2010}-\x{2013}]"

# The wide net, for Arrow's RE2 over a whole column: a text that it misses holds no candidate of that kind.
SIEVES = {
    Entity.EMAIL_ADDRESS: r"[^\s@]@[^\s@]",
    Entity.IBAN_CODE: r"[A-Za-z]{2}[0-9]{2}[ \-]?[A-Za-z0-9]{4}",
    Entity.CREDIT_CARD: rf"[0-9]{{4}}{_SEPARATOR}?[0-9]{{4}}{_SEPARATOR}?[0-9]{{4}}",
    Entity.US_SSN: r"[0-9]{3}[\-. ][0-9]{2}[\-. ][0-9]{4}",
    Entity.IP_ADDRESS: r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]",
    Entity.PHONE_NUMBER: r"[0-9](?:[ \x{A0}.\-/()\x{2010}-\x{2013}]{0,3}[0-9]){6}",
}
_PATTERNS = {
    Entity.EMAIL_ADDRESS: re2.compile(
        rf"[{_LETTERS}0-9_][{_LETTERS}0-9_.!#$%&'*+^~\-]*@(?:{_LABEL}\.)+(?:xn--[a-z0-9\-]+|[{_LETTERS}]{{2,}})"
    ),
    Entity.IBAN_CODE: re2.compile(
        r"[A-Za-z]{2}[0-9]{2}(?:[ \-]?[A-Za-z0-9]{4}){2,7}(?:[ \-]?[A-Za-z0-9]{1,3})?"
    ),
    Entity.CREDIT_CARD: re2.compile(
        rf"[0-9]{{12,19}}|[0-9]{{4}}(?:{_SEPARATOR}[0-9]{{4}}){{3}}|[0-9]{{4}}{_SEPARATOR}[0-9]{{6}}{_SEPARATOR}[0-9]{{4,5}}"
    ),
    Entity.US_SSN: re2.compile(SIEVES[Entity.US_SSN]),
    Entity.IP_ADDRESS: re2.compile(
        r"[0-9]{1,3}(?:\.[0-9]{1,3}){3,}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.[0-9]{1,3}){3})?"
    ),
    Entity.PHONE_NUMBER: re2.compile(
        r"[+(]?[0-9](?:[ \x{A0}.\-/()\x{2010}-\x{2013}]{0,3}[0-9]){6,}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?"
    ),
}

# "version 10.2.3.41", "OID 1.3.6.1", "sections 4.12.3.1 to 4.12.3.4": dotted numbers that are no addresses.
_VERSION_BEFORE = re2.compile(
    r"(?i)(?:\b(?:v|rv|ver|vers|version|versions|release|releases|rev|revision|build|firmware|driver|oid|oids|urn|section|sections|"
    r"chapter|clause|article|paragraph|figure|table|patch|update|upgrade|kernel|sdk)[.:]?\s?|§+\s?)"
    r"(?:[0-9][0-9.]*(?:\s?(?:,|&|and|or|to|through|und|bis|et|à|y|-|\x{2013})\s?)+)*$"  # sections 4.1.2.3 and ...
)
# Numbers that people write next to these words identify a thing, not a line to call.
_THING_BEFORE = re2.compile(
    r"(?i)(?:\b(?:isbn|issn|doi|imei|arxiv|pmid|oclc|ean|upc|rfc|oid|version|invoice|order|sku|part|model|serial|patent|case|account|"
    r"id|acct|zip|ref|license|licence|isbn-1[03])(?: (?:no|number|code|id))?\.?[:#]? ?|[#$€£¥=_§])$"
)
_DATE = re2.compile(
    r"^(?:(?:19|20)[0-9]{2}[\-./ ][0-9]{1,2}[\-./ ][0-9]{1,2}|"
    r"[0-9]{1,2}[\-./][0-9]{1,2}[\-./](?:19|20)[0-9]{2})(?:[^0-9]|$)"
)
_DECIMAL = re2.compile(r"^\+?[0-9]{1,4}[.][0-9]+$")
_SSN = re2.compile(r"^[0-9]{3}-[0-9]{2}-[0-9]{4}$")
_QUAD = re2.compile(r"^[0-9]{1,3}(?:[.][0-9]{1,3}){3}$")
_TABLE_ROW = re2.compile(r"(?:^|[^0-9])[0-9][^0-9]+(?:[0-9]+[^0-9]+)*?[0-9](?:[^0-9]|$)")  # two lone digits
_YEARS = re2.compile(r"^\(?(?:1[5-9]|20)[0-9]{2} ?[\-/\x{2010}-\x{2013}] ?(?:1[5-9]|20)[0-9]{2}\)?$")

# Networks that name nobody outside their own: RFC 1122, 1918, 3927, 4193, 4291, 5771, 6598.
_LOCAL = tuple(
    ipaddress.ip_network(n)
    for n in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "224.0.0.0/3", "::/127", "fc00::/7", "fe80::/10", "ff00::/8"),
    )
)


def find_candidates(text: str, entity: Entity) -> Iterator[Candidate]:
    """Spans of a text that may be this entity, left to right, not overlapping."""
    passes = _NEIGHBOURS[entity]
    for match in _PATTERNS[entity].finditer(text):
        start, end = match.span()
        if passes(text, start, end):
            yield Candidate(start, end)


def is_local_ip(value: str) -> bool:
    """Is this address private, loopback, link-local, multicast, a netmask, or otherwise nobody's?

    >>> is_local_ip("192.168.1.7"), is_local_ip("::1"), is_local_ip("81.2.69.160")
    (True, True, False)
    """
    address = ipaddress.ip_address(value)
    return any(address in network for network in _LOCAL if network.version == address.version)


def _char(text: str, at: int) -> str:
    return text[at] if 0 <= at < len(text) else ""


def _in_word(char: str) -> bool:
    """Letters of scripts without spaces do not glue: a number may stand directly after Han."""
    return char == "_" or (char.isalnum() and not _is_unspaced(char))


def _is_unspaced(char: str) -> bool:
    return "\u0e00" <= char <= "\u0eff" or "\u1000" <= char <= "\u109f" or char >= "\u2e80"


def _email_neighbours(text: str, start: int, end: int) -> bool:
    if end - start > MAX_EMAIL_CHARS:
        return False
    after = _char(text, end)
    return not (_in_word(after) or (after == "-" and _in_word(_char(text, end + 1))))


def _number_neighbours(text: str, start: int, end: int) -> bool:
    """Not part of a longer number, word, decimal or identifier."""
    before, after = _char(text, start - 1), _char(text, end)
    if _in_word(before) or _in_word(after):
        return False
    if before in (".", "-", ",", "/") and _in_word(_char(text, start - 2)):
        return False
    return not (after in (".", "-", ",") and after and _char(text, end + 1).isdigit())


def _ip_neighbours(text: str, start: int, end: int) -> bool:
    before, after = _char(text, start - 1), _char(text, end)
    span = text[start:end]
    if _in_word(before) or (before in (".", "@", "~", "^", ":") and before and not _label_colon(text, start)):
        return False
    two_before = _char(text, start - 2)
    if before in ("-", "/") and _in_word(two_before):
        return False  # Chrome/91.0.44.124, lib-1.10.2.45
    if before == "=" and two_before in ("=", "~", "<", ">", "!"):
        return False  # pkg==1.10.2.45; ?ip=81.2.69.160 is an address
    if _in_word(after) or (after in (".", "-") and after and _in_word(_char(text, end + 1))):
        return False
    if ":" in span:
        groups = sum(1 for group in span.split(":") if group)  # f1::<T>() is Rust, dead::beef is C++
        return after != ":" and any(c.isdigit() for c in span) and (groups > 1 or span.startswith("::"))
    parts = span.split(".")
    if len(parts) != 4 or all(len(part) == 1 for part in parts):
        return False  # an OID, or 2.1.3.4: one-digit quads are versions far more often than hosts
    return not _VERSION_BEFORE.search(text[max(0, start - 48) : start])


def _label_colon(text: str, start: int) -> bool:
    """Does the colon before end a label ("IP:1.2.3.4") rather than belong to a longer address?"""
    return _char(text, start - 1) == ":" and _char(text, start) != ":" and not _is_hex(_char(text, start - 2))


def _is_hex(char: str) -> bool:
    return char != "" and char in "0123456789abcdefABCDEF:"


def _phone_neighbours(text: str, start: int, end: int) -> bool:
    span = text[start:end]
    if end - start > MAX_PHONE_RUN_CHARS:
        return False
    before, after = _char(text, start - 1), _char(text, end)
    if _in_word(before) or _in_word(after) or after == "%" or before in ("@", "~", "^"):
        return False
    if before in (".", ",", "-", "/") and _in_word(_char(text, start - 2)):
        return False
    if before == ":" and _char(text, start - 2).isdigit():  # 12:04:05.229409
        return False
    if after in (".", ",", "-", "/", ":") and _char(text, end + 1).isdigit():
        return False
    if any(pattern.search(span) for pattern in (_DATE, _YEARS, _DECIMAL, _QUAD, _SSN)):
        return False
    if span[0] not in "+(" and _TABLE_ROW.search(span):
        return False
    return not _THING_BEFORE.search(text[max(0, start - 20) : start])


_NEIGHBOURS: dict[Entity, Callable[[str, int, int], bool]] = {
    Entity.EMAIL_ADDRESS: _email_neighbours,
    Entity.IBAN_CODE: _number_neighbours,
    Entity.CREDIT_CARD: _number_neighbours,
    Entity.US_SSN: _number_neighbours,
    Entity.IP_ADDRESS: _ip_neighbours,
    Entity.PHONE_NUMBER: _phone_neighbours,
}
