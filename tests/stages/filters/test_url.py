"""URL lists: hosts in every spelling, one URL for each reason, files, and lists and URLs made to be slow."""

import gzip
import json

import pyarrow as pa
import pytest

from pipeline.schema import URL
from stages.filters._hosts import domain_set, listed_parent, read_domains, read_lines
from stages.filters.url import FilterUrl, Reason
from stages.kernels.hosts import normal_host, raw_hosts


def judge(params, *urls):
    stage = FilterUrl.model_validate_json(json.dumps(params))
    assert stage.problems() == []
    batch = pa.RecordBatch.from_arrays([pa.array(urls, pa.string())], schema=pa.schema([URL]))
    marks = stage.annotate(batch, stage.open({}))
    return marks.reject.to_pylist(), marks.evidence.to_pylist()


def test_each_reason():
    params = {
        "blocked_domains": ["bad.com"],
        "allowed_domains": ["good.com", "bad.com"],
        "blocked_words": ["casino"],
        "soft_words": ["hot", "free", "win"],
        "blocked_patterns": [r"/\d{4,}\.html$"],
        "missing": "reject",
    }
    urls = ("https://x.bad.com/", "https://other.com/", "https://good.com/casino-x",
            "https://good.com/hot/hot-free", "https://good.com/12345.html", None, "https://good.com/story")  # fmt: skip
    reasons, evidence = judge(params, *urls)
    expected = [
        "blocked_domain",
        "not_allowed_domain",
        "blocked_word_in_url",
        "too_many_soft_words_in_url",
        "blocked_pattern",
        "missing_url",
    ]
    assert reasons == [*expected, None]
    assert set(expected) == set(Reason)
    assert evidence == [
        {"domain": "x.bad.com", "matched": "bad.com"},
        {"domain": "other.com", "matched": None},
        {"domain": "good.com", "matched": "casino"},
        {"domain": "good.com", "matched": "hot, free"},
        {"domain": "good.com", "matched": r"/\d{4,}\.html$"},
        {"domain": "", "matched": None},
        None,
    ]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://Example.COM/a", "example.com"),
        ("http://example.com:8080?x", "example.com"),
        ("http://example.com.", "example.com"),
        ("http://example.com#x", "example.com"),
        ("http://user:pw@example.com/", "example.com"),
        ("http://good.com@example.com/", "example.com"),
        ("http://a@b@example.com/", "example.com"),
        ("http:\\\\example.com\\a", "example.com"),
        ("http:///example.com/", "example.com"),
        ("//example.com/a", "example.com"),
        ("example.com/a@b", "example.com"),
        ("  https://example.com/", "example.com"),
        ("http://ex%61mple.com/", "example.com"),
        ("http://example。com/", "example.com"),
        ("http://ｅxample.com/", "example.com"),
        ("http://münchen.de/", "xn--mnchen-3ya.de"),
        ("http://MÜNCHEN.de/", "xn--mnchen-3ya.de"),
        ("http://mu\u0308nchen.de/", "xn--mnchen-3ya.de"),
        ("http://xn--MNCHEN-3ya.de/", "xn--mnchen-3ya.de"),
        ("http://straße.de/", "xn--strae-oqa.de"),
        ("http://пример.рф/", "xn--e1afmkfd.xn--p1ai"),
        ("http://[2001:DB8::1]:80/", "2001:db8::1"),
        ("http://127.0.0.1:80/", "127.0.0.1"),
        ("/only/a/path", ""),
        ("", ""),
    ],
)
def test_host_of_a_url(url, host):
    raw = raw_hosts(pa.array([url]))[0].as_py()
    assert normal_host(raw) == host


@pytest.mark.parametrize(
    ("url", "rejected"),
    [
        ("http://example.com/", True),
        ("http://a.b.example.com/", True),
        ("http://notexample.com/", False),
        ("http://example.com.evil.org/", False),
        ("http://example.co/", False),
        ("http://com/", False),
        ("http://other.org/?u=http://example.com/", False),
        ("http://www.xn--mnchen-3ya.de/", True),
        ("http://sub.star.net/", True),
        ("http://dot.net/", True),
        ("http://xn--strae-oqa.de/", True),
    ],
)
def test_a_domain_means_itself_and_all_below(url, rejected):
    entries = ["Example.com", "münchen.de", "*.star.net", ".dot.net.", "straße.de"]
    reasons, _ = judge({"blocked_domains": entries}, url)
    assert reasons == ["blocked_domain" if rejected else None]


def test_the_longest_entry_is_the_evidence():
    assert listed_parent("a.b.c", domain_set(["c", "b.c"])) == "b.c"
    assert listed_parent("", domain_set(["c"])) is None


def test_a_missing_url_is_kept_by_default_whatever_the_lists():
    assert judge({"allowed_domains": ["good.com"]}, None, "", " ") == ([None] * 3, [None] * 3)
    assert judge({"missing": "reject"}, None, "", "http://a.com")[0] == ["missing_url", "missing_url", None]


def test_a_url_without_a_host_is_not_allowed():
    assert judge({"allowed_domains": ["good.com"]}, "/path")[0] == ["not_allowed_domain"]


def test_words_stand_alone_and_substrings_do_not():
    params = {"blocked_words": ["sex"], "blocked_substrings": ["PORN"]}
    urls = ("http://a.com/Sex/x", "http://essex.uk/", "http://sexton.com", "http://x.com/my_sex", "http://pornhut.com",
            "http://a.com/?q=sex")  # fmt: skip
    reasons, evidence = judge(params, *urls)
    hit = "blocked_word_in_url"
    assert reasons == [hit, None, None, hit, hit, hit]
    assert evidence[4]["matched"] == "PORN"


def test_words_beyond_ascii():
    params = {"blocked_words": ["казино", "İstanbul"]}
    urls = ("http://a.com/КАЗИНО/", "http://a.com/казинок", "http://a.com/İSTANBUL-x", "http://a.com/ok")
    assert judge(params, *urls)[0] == ["blocked_word_in_url", None, "blocked_word_in_url", None]


def test_block_comes_before_allow():
    params = {"blocked_domains": ["sub.good.com"], "allowed_domains": ["good.com"]}
    reasons, _ = judge(params, "http://good.com", "http://sub.good.com", "http://x.org")
    assert reasons == [None, "blocked_domain", "not_allowed_domain"]


def test_list_files(tmp_path):
    domains = tmp_path / "domains.txt"
    domains.write_text("# adult\nbad.com\n\n  Worse.org  # why\n", encoding="utf-8")
    packed = tmp_path / "more.txt.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbfpacked.net\r\n"))
    words = tmp_path / "words.txt"
    words.write_text("casino\nc#\n", encoding="utf-8")
    params = {"blocked_domain_files": [str(domains), str(packed)], "blocked_word_files": [str(words)]}
    stage = FilterUrl.model_validate_json(json.dumps(params))
    assert stage.resources() == [domains, packed, words]
    urls = (
        "http://bad.com",
        "http://a.worse.org",
        "http://packed.net",
        "http://x.com/casino",
        "http://adult",
    )
    assert judge(params, *urls)[0] == ["blocked_domain"] * 3 + ["blocked_word_in_url", None]
    assert read_lines(words) == [(1, "casino"), (2, "c#")]


def test_an_empty_allow_file_allows_nothing(tmp_path):
    empty = tmp_path / "allowed.txt"
    empty.write_text("# none yet\n", encoding="utf-8")
    assert judge({"allowed_domain_files": [str(empty)]}, "http://a.com")[0] == ["not_allowed_domain"]


@pytest.mark.parametrize("entry", ["http://bad.com/", "0.0.0.0 bad.com", "bad.com/path", "."])
def test_a_line_that_is_no_domain_is_refused_with_its_place(tmp_path, entry):
    path = tmp_path / "hosts.txt"
    path.write_text(f"good.com\n{entry}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"hosts\.txt line 2: .* is not a domain; write it without scheme"):
        read_domains(path)
    assert "blocked_domains" in FilterUrl(blocked_domains=(entry,)).problems()[0]


def test_problems():
    assert "no list is given" in FilterUrl().problems()[0]
    assert "an empty entry is in every URL" in FilterUrl(blocked_words=("",)).problems()[0]
    assert "is no RE2 pattern" in FilterUrl(blocked_patterns=("(?=x)",)).problems()[0]
    assert FilterUrl(missing="reject").problems() == []


def test_an_empty_batch():
    assert judge({"blocked_domains": ["a.com"], "blocked_words": ["x"], "blocked_patterns": ["y"]}) == (
        [],
        [],
    )


def test_hostile_urls_and_patterns_stay_linear():
    url = "http://" + "a." * 20_000 + "com/" + "a" * 200_000 + "!"
    params = {"blocked_patterns": ["(a+)+$"], "blocked_words": ["a" * 50], "blocked_domains": ["b.com"]}
    assert judge(params, url, "http://b.com")[0] == [None, "blocked_domain"]


def test_verdicts_do_not_depend_on_the_batch():
    params = {"blocked_domains": ["bad.com"], "blocked_words": ["x1"], "blocked_patterns": ["q$"]}
    urls = [
        f"http://{host}/{path}" for host in ("bad.com", "a.org", "BAD.com:80") for path in ("x1", "q", "ok")
    ]
    reasons, evidence = judge(params, *urls)
    alone = [judge(params, url) for url in urls]
    assert reasons == [one[0][0] for one in alone]
    assert evidence == [one[1][0] for one in alone]
