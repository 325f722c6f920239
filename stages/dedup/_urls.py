"""One spelling for all the URLs under which a server has the same page.

    http://user@WWW.Example.com:80/a/../b//caf%c3%a9/index.html?utm_source=x&b=2&a=1#top
    example.com/b/caf%C3%A9?a=1&b=2

RFC 3986, section 6.2.2 and 6.2.3 (case, percent signs, dot segments, default ports) never merges two pages. The
rest is what servers do by habit, and each habit can be turned off; a URL says nothing certain about its page.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.dedup._url_kernels import (
    COLLAPSE,
    DECODE,
    DROP_EMPTY,
    MADE,
    MERGE_SCHEMES,
    ODD_HOST,
    RESERVED,
    SORT,
    STRIP_SLASH,
    STRIP_WWW,
    UNRESERVED,
    canonical_column,
    find_host,
)
from stages.kernels.buffers import text_buffers
from stages.kernels.hosts import normal_host

# Names that mail programs, advertisers and analytics add to links; the page does not depend on them.
TRACKING_PARAMS = (
    *(
        "utm_*",
        "mtm_*",
        "pk_*",
        "piwik_*",
        "matomo_*",
        "itm_*",
        "hsa_*",
        "ga_source",
        "ga_medium",
        "ga_campaign",
    ),
    *(
        "gclid",
        "gclsrc",
        "gbraid",
        "wbraid",
        "dclid",
        "gad_source",
        "srsltid",
        "_ga",
        "_gl",
        "fbclid",
        "fb_action_ids",
    ),
    *(
        "fb_action_types",
        "fb_source",
        "fb_ref",
        "msclkid",
        "yclid",
        "ysclid",
        "_openstat",
        "twclid",
        "ttclid",
        "igshid",
    ),
    *(
        "igsh",
        "li_fat_id",
        "epik",
        "mc_cid",
        "mc_eid",
        "mkt_tok",
        "_hsenc",
        "_hsmi",
        "__hstc",
        "__hssc",
        "__hsfp",
    ),
    *(
        "hsctatracking",
        "oly_enc_id",
        "oly_anon_id",
        "vero_id",
        "vero_conv",
        "wickedid",
        "rb_clickid",
        "s_cid",
        "cmpid",
    ),
    *(
        "guccounter",
        "guce_referrer",
        "guce_referrer_sig",
        "ref_src",
        "ref_url",
        "spm",
        "__twitter_impression",
    ),
)
SESSION_PARAMS = (
    *(
        "phpsessid",
        "jsessionid",
        "sid",
        "sessid",
        "sessionid",
        "session_id",
        "aspsessionid*",
        "cfid",
        "cftoken",
    ),
    *("zenid", "oscsid", "osccid"),
)
DEFAULT_PAGES = (
    *(
        "index.html",
        "index.htm",
        "index.shtml",
        "index.xhtml",
        "index.php",
        "index.asp",
        "index.aspx",
        "index.jsp",
    ),
    *("index.cfm", "default.html", "default.htm", "default.asp", "default.aspx"),
)
FRAGMENTS = ("drop", "routes", "keep")
_LONGEST_HOST = 1000  # bytes; DNS has no name of more than 253


class UrlRules(NamedTuple):
    """Which spellings count as one; the first three lists may end names in `*`, and case of ASCII never counts."""

    ignored_params: Sequence[str] = TRACKING_PARAMS
    session_params: Sequence[str] = SESSION_PARAMS
    default_pages: Sequence[str] = DEFAULT_PAGES
    fragments: Literal["drop", "routes", "keep"] = "routes"
    merge_schemes: bool = True
    strip_www: bool = True
    strip_trailing_slash: bool = True
    collapse_slashes: bool = True
    sort_params: bool = True
    drop_empty_params: bool = True
    decode_unreserved: bool = True


def canonical_urls(urls: pa.Array, rules: UrlRules | None = None) -> pa.Array:
    """The canonical form of each URL, large_string; null where there is no host to go by.

    `http` and `https` are dropped and any other scheme stays, and so does what merging would be a guess: case of the
    path, order of equal parameters, names without a value. A URL without scheme and slashes needs a dot in its
    host and a path. A host that cannot be one, a port that is no number: null.

    >>> canonical_urls(pa.array(["HTTPS://www.A.com:443/x/./y/?b=1&a=2&utm_id=3#z", "mailto:a@b.c"])).to_pylist()
    ['a.com/x/y?a=2&b=1', None]
    """
    made, offsets, status = _canonical(text_buffers(urls), rules or UrlRules())
    column = _strings(made, offsets, status == MADE)
    odd = np.flatnonzero(status == ODD_HOST)
    if not len(odd):
        return column
    plain = [_plain_host(url) for url in urls.take(pa.array(odd)).cast(pa.large_string()).to_pylist()]
    made, offsets, again = _canonical(text_buffers(pa.array(plain, pa.large_string())), rules or UrlRules())
    mask = np.zeros(len(urls), bool)
    mask[odd] = True
    return pc.replace_with_mask(column, pa.array(mask), _strings(made, offsets, again == MADE))


def _canonical(
    buffers: tuple[np.ndarray, np.ndarray], rules: UrlRules
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    flags = (
        MERGE_SCHEMES * rules.merge_schemes
        | STRIP_WWW * rules.strip_www
        | STRIP_SLASH * rules.strip_trailing_slash
        | COLLAPSE * rules.collapse_slashes
        | SORT * rules.sort_params
        | DROP_EMPTY * rules.drop_empty_params
        | DECODE * rules.decode_unreserved
    )
    ignored = _name_table([*rules.ignored_params, *rules.session_params])
    pages, routes = _name_table(rules.default_pages), FRAGMENTS.index(rules.fragments)
    return canonical_column(*buffers, _byte_classes(), ignored, pages, routes, flags)  # type: ignore[no-any-return]


def _byte_classes() -> np.ndarray:
    classes = np.zeros(256, np.uint8)
    classes[list(b"!$&'()*+,;=:@/?#[]")] = RESERVED
    letters = b"abcdefghijklmnopqrstuvwxyz"
    classes[list(letters + letters.upper() + b"0123456789-._~")] = UNRESERVED
    return classes


def _name_table(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bytes of all names, where each ends, and whether it is a prefix."""
    coded = [name.removesuffix("*").lower().encode() for name in names]
    data = np.frombuffer(b"".join(coded), np.uint8)
    return (
        data,
        np.cumsum([len(c) for c in coded], dtype=np.int64),
        np.array([n.endswith("*") for n in names], bool),
    )


def _strings(data: np.ndarray, offsets: np.ndarray, known: np.ndarray) -> pa.Array:
    if not len(known):
        return pa.array([], pa.large_string())
    valid = pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.LargeStringArray.from_buffers(len(known), pa.py_buffer(offsets), pa.py_buffer(data), valid)


def _plain_host(url: str) -> str:
    """The URL with its host in ASCII; "" where the host is longer than any, or cannot be one."""
    data = url.translate({9: None, 10: None, 13: None}).strip("".join(map(chr, range(33)))).encode()
    _, first, last, _ = find_host(np.frombuffer(data, np.uint8), len(data))
    if first < 0 or last - first > _LONGEST_HOST:
        return ""
    host = normal_host(data[first:last].decode())
    usable = host.isascii() and all(c.isalnum() or c in "-._~" for c in host)
    return (data[:first] + host.encode() + data[last:]).decode() if usable else ""
