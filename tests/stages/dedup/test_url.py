"""URLs that are one, URLs that must stay two, and documents that fall for theirs."""

import random
import re
import string
from urllib.parse import unquote

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.dedup._urls import DEFAULT_PAGES, SESSION_PARAMS, TRACKING_PARAMS, UrlRules, canonical_urls
from stages.dedup.url import UrlDedup
from tests.support.exchange import NO_VERDICTS, run_global

IGNORED = {*TRACKING_PARAMS, *SESSION_PARAMS}


def canonical(url, **rules):
    (made,) = canonical_urls(pa.array([url], pa.string()), UrlRules(**rules)).to_pylist()
    return made


# --- the canonical form ----------------------------------------------------------------------------------

SAME = {  # what becomes one by default: (param that turns it off, its value, a, b)
    "scheme": ("merge_schemes", False, "http://a.com/x", "https://a.com/x"),
    "www": ("strip_www", False, "http://www.a.com/x", "http://a.com/x"),
    "slash at the end": ("strip_trailing_slash", False, "http://a.com/x/", "http://a.com/x"),
    "slashes": ("collapse_slashes", False, "http://a.com/x//y", "http://a.com/x/y"),
    "tracking": ("ignored_params", [], "http://a.com/x?utm_source=n&UTM_Medium=m", "http://a.com/x"),
    "click id": ("ignored_params", [], "http://a.com/x?a=1&fbclid=IwAR0", "http://a.com/x?a=1"),
    "session": ("session_params", [], "http://a.com/x?PHPSESSID=abc&a=1", "http://a.com/x?a=1"),
    "session in the path": ("session_params", [], "http://a.com/x;jsessionid=F1?a=1", "http://a.com/x?a=1"),
    "default page": ("default_pages", [], "http://a.com/x/Index.html", "http://a.com/x/"),
    "default page at the root": ("default_pages", [], "http://a.com/index.php?a=1", "http://a.com/?a=1"),
    "order": ("sort_params", False, "http://a.com/?b=2&a=1", "http://a.com/?a=1&b=2"),
    "empty param": ("drop_empty_params", False, "http://a.com/?a=&b=2", "http://a.com/?b=2"),
    "unreserved": ("decode_unreserved", False, "http://a.com/%7Eb%61r", "http://a.com/~bar"),
    "fragment": ("fragments", "keep", "http://a.com/x#part", "http://a.com/x"),
}


@pytest.mark.parametrize("name", SAME)
def test_a_habit_makes_one_of_two_and_can_be_turned_off(name):
    param, off, a, b = SAME[name]
    assert canonical(a) == canonical(b)
    assert canonical(a, **{param: off}) != canonical(b, **{param: off})
    assert canonical(b) is not None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("HTTP://A.COM/x", "http://a.com/x"),
        ("http://a.com", "http://a.com/"),
        ("http://a.com?q=1", "http://a.com/?q=1"),
        ("http://a.com:80/x", "http://a.com/x"),
        ("http://a.com:0080/x", "http://a.com/x"),
        ("http://a.com:/x", "http://a.com/x"),
        ("https://a.com:443/x", "http://a.com:80/x"),
        ("http://a.com:443/x", "https://a.com:80/x"),
        ("http://me:secret@a.com/x", "http://a.com/x"),
        ("http://me@b.org@a.com/x", "http://a.com/x"),
        ("http://a.com./x", "http://a.com/x"),
        ("http://a.com/a/./b/../c", "http://a.com/a/c"),
        ("http://a.com/a/%2E%2e/c", "http://a.com/c"),
        ("http://a.com/../../c", "http://a.com/c"),
        ("http://a.com/a/b/..", "http://a.com/a/"),
        ("http://a.com/%c3%a9%2f", "http://a.com/é%2F"),
        ("http://a.com/a b", "http://a.com/a%20b"),
        ("http://a.com/100%", "http://a.com/100%25"),
        ("http://münchen.de/x", "https://www.xn--mnchen-3ya.de/x"),
        ("http://MÜNCHEN.de:80/x", "http://m%C3%BCnchen.de/x"),
        ("http:\\\\a.com\\x", "http://a.com/x"),
        ("  http://a.com/x\n", "http://a.com/x"),
        ("http://a.com/x\ty", "http://a.com/xy"),
        ("//a.com/x", "a.com/x"),
        ("http:////a.com/x", "http://a.com/x"),
        ("http://a.com/?a=1&amp;b=2", "http://a.com/?b=2&a=1"),
        ("http://a.com/?&&a=1&", "http://a.com/?a=1"),
        ("http://a.com/?", "http://a.com/"),
        ("http://a.com/x#", "http://a.com/x"),
        ("http://a.com/x#!", "http://a.com/x"),
        ("http://a.com/x?utm_id=1#!/r", "http://a.com/x#!/r"),
        ("ftp://a.com:21/x", "FTP://a.com/x"),
        ("http://[2001:DB8::1]:80/", "http://[2001:db8::1]"),
        ("http://a.com/x;JSESSIONID=1;v=2/y", "http://a.com/x;v=2/y"),
    ],
)
def test_always_one(a, b):
    assert canonical(a) == canonical(b) is not None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("http://a.com/X", "http://a.com/x"),
        ("http://a.com/x", "http://a.com/y"),
        ("http://a.com/x", "http://b.com/x"),
        ("http://sub.a.com/x", "http://a.com/x"),
        ("http://www.com/x", "http://com/x"),
        ("http://wwwa.com/x", "http://a.com/x"),
        ("http://a.com:8080/x", "http://a.com/x"),
        ("http://a.com:21/x", "http://a.com/x"),
        ("ftp://a.com/x", "http://a.com/x"),
        ("http://a.com/?id=1", "http://a.com/?id=2"),
        ("http://a.com/?12345", "http://a.com/?12346"),
        ("http://a.com/?a=1&a=2", "http://a.com/?a=2&a=1"),
        ("http://a.com/?ref=a", "http://a.com/"),
        ("http://a.com/?inside=1", "http://a.com/"),
        ("http://a.com/?q=a%26b", "http://a.com/?q=a&b"),
        ("http://a.com/a%2Fb", "http://a.com/a/b"),
        ("http://a.com/a%3Fb", "http://a.com/a?b"),
        ("http://a.com/%2541", "http://a.com/%41"),
        ("http://a.com/#!/x", "http://a.com/#!/y"),
        ("http://a.com/#/x", "http://a.com/"),
        ("http://a.com/index.html.bak", "http://a.com/"),
        ("http://a.com/myindex.html", "http://a.com/"),
        ("http://a.com/x;v=1", "http://a.com/x;v=2"),
        ("http://a.com/...", "http://a.com/"),
        ("http://straße.de/", "http://strasse.de/"),
    ],
)
def test_never_one(a, b):
    assert canonical(a) != canonical(b)
    assert None not in (canonical(a), canonical(b))


@pytest.mark.parametrize(
    "url",
    [
        *(
            None,
            "",
            " ",
            "/x",
            "x",
            "index.html",
            "a.com",
            "images/a.b",
            "#x",
            "?x",
            "http://",
            "http:///",
            "http://?x",
        ),
        *(
            "mailto:bob@a.com",
            "javascript:alert(1)",
            "data:text/html,x",
            "tel:12345",
            "file:///etc/passwd",
            "about:blank",
        ),
        *(
            "http://a.com:x/",
            "http://a.com:99999999999999999999/",
            "http://[::1/x",
            "http://a b.com/",
            "http://@/",
            "://",
        ),
        *(
            "http://a%2Fb.com/",
            "http://.../",
            "http://" + "é" * 2000 + ".com/",
            "http://%25/",
            "http:a.com/x",
        ),
    ],
)
def test_no_host_to_go_by(url):
    assert canonical(url) is None


def test_more_params_and_prefixes():
    assert canonical("http://a.com/?x_1=2&b=3", ignored_params=["x_*"]) == "a.com?b=3"
    assert canonical("http://a.com/?%78_1=2", ignored_params=["X_1"]) == "a.com"
    assert canonical("http://a.com/home.HTM", default_pages=["home.*"]) == "a.com"


def test_ports_where_schemes_are_told_apart():
    assert canonical("http://a.com:80", merge_schemes=False) == "http://a.com"
    assert canonical("https://a.com:443", merge_schemes=False) == "https://a.com"
    assert canonical("https://a.com:80", merge_schemes=False) == "https://a.com:80"


def test_all_kept_is_all_there():
    kept = {
        "ignored_params": [], "session_params": [], "default_pages": [], "fragments": "keep", "merge_schemes": False,
        "strip_www": False, "strip_trailing_slash": False, "collapse_slashes": False, "sort_params": False,
        "drop_empty_params": False, "decode_unreserved": False,
    }  # fmt: skip
    url = "https://www.a.com:8443/a//b/index.html/?z=&utm_id=1&a=%7e#top"
    assert canonical(url, **kept) == url.replace("%7e", "%7E")


def test_columns_with_nulls_offsets_and_odd_hosts():
    urls = ["http://a.com/1", None, "http://ü.de/2", "", "x", "http://a.com/3", "http://ü ü.de/"]
    expected = ["a.com/1", None, "xn--tda.de/2", None, None, "a.com/3", None]
    for kind in (pa.string(), pa.large_string()):
        column = pa.array(urls, kind)
        assert canonical_urls(column).to_pylist() == expected
        assert canonical_urls(column.slice(2, 4)).to_pylist() == expected[2:6]
        assert canonical_urls(column.slice(0, 0)).to_pylist() == []
        canonical_urls(column).validate(full=True)


def test_hostile_urls_take_linear_time():
    many = "http://a.com/?" + "&".join(f"k{i * 7919 % 100_003}={i}" for i in range(100_000))
    pieces = canonical(many).partition("?")[2].split("&")
    names = [piece.partition("=")[0] for piece in pieces]
    assert names == sorted(names)
    assert len(names) == 100_000
    assert canonical("http://a.com/" + "a/" * 100_000 + "../" * 100_000) == "a.com"
    assert canonical("http://a.com/" + "/" * 1_000_000) == "a.com"
    assert canonical("http://a.com/" + "index.php/" * 100_000) == "a.com"
    assert canonical("http://" + "www." * 100_000 + "a.com") == "a.com"


# --- against the same rules in plain Python --------------------------------------------------------------


def spelled(part):
    part = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", part)
    tokens = re.findall(r"%[0-9A-Fa-f]{2}|.", part, re.DOTALL)
    plain = string.ascii_letters + string.digits + "-._~"
    out = ""
    for token in tokens:
        if len(token) == 3:
            char = chr(int(token[1:], 16))
            out += char if char in plain else token.upper()
        elif token in plain + "!$&'()*+,;=:@/?#[]":
            out += token
        else:
            out += "".join(f"%{b:02X}" for b in token.encode())
    return out


def ignored(name):
    low = name.lower()
    return any(low.startswith(i[:-1]) if i.endswith("*") else low == i for i in IGNORED)


def oracle(url):
    """By default rules, for a URL with http(s), an ASCII host and no odd white space."""
    _, host, port, path, query, fragment = re.fullmatch(
        r"(https?)://(?:[^/?#]*@)?([^/?#:]+)(:\d*)?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", url, re.DOTALL
    ).groups()
    host = host.lower().rstrip(".")
    while host.startswith("www.") and "." in host[4:]:
        host = host[4:]
    number = int((port or ":0")[1:] or 0)
    host += f":{number}" if number not in (0, 80, 443) else ""
    stack = []
    for segment in spelled(path).split("/")[1:]:
        first, *rest = segment.split(";")
        segment = ";".join([first, *(r for r in rest if not ignored(r.partition("=")[0]))])
        if segment == "..":
            stack = stack[:-1]
        elif segment not in ("", "."):
            stack.append(segment)
    while stack and stack[-1].lower() in DEFAULT_PAGES:
        stack.pop()
    pieces = [re.sub(r"^(amp;)+", "", p, flags=re.IGNORECASE) for p in spelled(query or "").split("&")]
    pairs = [p.partition("=") for p in pieces if p]
    pairs = [p for p in pairs if not (p[1] and not p[2]) and not ignored(p[0])]
    joined = "&".join("".join(p) for p in sorted(pairs, key=lambda p: p[0].encode()))
    route = "#" + spelled(fragment) if fragment and fragment[0] in "!/" and len(fragment) > 1 else ""
    return "/".join([host, *stack]) + ("?" + joined if joined else "") + route


PARTS = [
    *("a", "B", "%41", "%7e", "%2f", "%2F", "%", "%4", "%zz", "é", "橋", " ", "~", ".", "..", "/", "//", ";", "=", "&", "+"),
    *("index.html", "INDEX.PHP", "jsessionid=1", "utm_source", "utm_x=1", "id=2", "amp;", "sid=", "'", '"', "|", "[", "%00"),
]  # fmt: skip
pieces = st.lists(st.sampled_from(PARTS), max_size=8).map("".join)


@settings(deadline=None, max_examples=400)
@given(
    st.sampled_from(["http", "https"]),
    st.sampled_from(["a.com", "WWW.A.com", "www.com", "www.www.a.b.", "localhost", "1.2.3.4"]),
    st.sampled_from(["", ":", ":80", ":443", ":8080", ":007"]),
    pieces,
    pieces,
    st.lists(st.sampled_from([*PARTS, "!", "#"]), max_size=4).map("".join),
)
def test_agrees_with_plain_python(scheme, host, port, path, query, fragment):
    url = f"{scheme}://{host}{port}/{path}x?{query}#{fragment}y"
    made = canonical(url)
    assert made == oracle(url)
    assert canonical("http://" + made) == made
    assert made.isascii()


def test_real_urls_of_many_kinds_keep_what_they_say():
    """Nothing of path and query is lost but what the rules name."""
    rng = random.Random(4)
    for _ in range(300):
        path = "/".join("".join(rng.choices("abcXYZ09-_.~éß橋 ", k=6)).strip(".") + "x" for _ in range(3))
        assert unquote(canonical(f"https://a.com/{path}?v={path}")) == f"a.com/{path}?v={path}"


# --- documents ---------------------------------------------------------------------------------------------


def batch_of(*urls, **columns):
    rows = len(urls)
    return pa.record_batch(
        {
            "id": pa.array([f"web/{i:03d}" for i in range(rows)], pa.string()),
            "source": pa.array(["web"] * rows, pa.string()).dictionary_encode(),
            "url": pa.array(urls, pa.string()),
            **columns,
        }
    )


def said(stage, *batches, **kwargs):
    marks = run_global(stage, list(batches), **kwargs)
    return [
        (reason, evidence)
        for m in marks
        for reason, evidence in zip(m.reject.to_pylist(), m.evidence.to_pylist(), strict=True)
    ]


def test_the_first_stays_and_is_the_evidence():
    batch = batch_of(
        "http://a.com/x", "http://b.com", "https://www.a.com/x?utm_id=1", None, "", "x", None, "", "x"
    )
    evidence = {"survivor": "web/000", "url": "a.com/x", "cluster_size": 2}
    verdicts = said(UrlDedup(), batch)
    assert verdicts[2] == ("duplicate_url", evidence)
    assert [v for k, v in enumerate(verdicts) if k != 2] == [(None, None)] * 8


@pytest.mark.parametrize(
    ("params", "kept"),
    [({}, 0), ({"prefer": "newest"}, 2), ({"prefer": "longest"}, 1), ({"prefer": "shortest"}, 0)],
)
def test_the_survivor_policy(params, kept):
    dates = pa.array([None, "2020-01-01", "2024-05-01"])
    texts = pa.array(["a", "a longer text", "ab"], pa.large_string())
    batch = batch_of(*["http://a.com"] * 3, date=dates, text=texts)
    stage = UrlDedup(**params)
    assert set(stage.reads().names) <= set(batch.schema.names)
    assert [reason is None for reason, _ in said(stage, batch)] == [k == kept for k in range(3)]


@pytest.mark.parametrize("limit", [None, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_partitions_and_order_do_not_matter(limit, seed):
    spellings = [
        "http://a.com/{}",
        "https://www.a.com/{}/",
        "http://a.com:80/{}?utm_id=1#x",
        "http://a.com/b/../{}",
    ]
    urls = [spellings[i % 4].format(i // 6) for i in range(48)]
    batch = batch_of(*urls)
    whole = said(UrlDedup(), batch)
    assert sum(reason is not None for reason, _ in whole) == 40
    cut = said(
        UrlDedup(),
        batch.slice(0, 7),
        batch.slice(7, 0),
        batch.slice(7),
        max_group_rows=limit,
        shuffle_seed=seed,
    )
    assert [(r, e and e["survivor"]) for r, e in cut] == [(r, e and e["survivor"]) for r, e in whole]
    if limit is None:
        assert cut == whole


def test_empty_batches():
    empty = batch_of()
    assert UrlDedup().emit(empty, None, 0, NO_VERDICTS).num_rows == 0
    assert (
        UrlDedup().emit(empty, None, 0, NO_VERDICTS).schema
        == UrlDedup().emit(batch_of("http://a.com"), None, 0, NO_VERDICTS).schema
    )
    assert said(UrlDedup(), empty) == []


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        (
            {"more_ignored_params": ["*"]},
            "more_ignored_params has '*'; write a name, or the beginning of one",
        ),
        ({"default_pages": [""]}, "default_pages has ''"),
        ({"ignored_params": ["*_id"]}, "ignored_params has '*_id'"),
        ({"source_priority": ["a", "a"]}, "names 'a' twice"),
    ],
)
def test_problems(params, problem):
    (found,) = UrlDedup(**params).problems()
    assert problem in found


def test_every_option_still_finds_an_obvious_duplicate():
    """T16."""
    for name, field in UrlDedup.model_fields.items():
        if field.annotation is bool or name in (
            "default_pages",
            "ignored_params",
            "session_params",
            "fragments",
        ):
            for value in {bool: [True, False]}.get(
                field.annotation, [["x"], []] if name != "fragments" else ["drop", "keep"]
            ):
                verdicts = said(
                    UrlDedup(**{name: value}), batch_of("http://a.com/p?q=1", "http://a.com/p?q=1")
                )
                assert [reason for reason, _ in verdicts] == [None, "duplicate_url"]
