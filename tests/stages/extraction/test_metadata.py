"""Metadata: where each fact is looked for, in which order, and what is refused."""

import pytest

from stages.extraction._dates import iso_day
from stages.extraction._head import HEAD_CHARS, read_head
from stages.extraction._json_ld import main_work, objects, parse_script
from stages.extraction._metadata import (
    MAX_AUTHOR_CHARS,
    MAX_DESCRIPTION_CHARS,
    MAX_TITLE_CHARS,
    page_metadata,
    without_site,
)


def ld(json: str) -> str:
    return f'<script type="application/ld+json">{json}</script>'


@pytest.mark.parametrize(
    ("markup", "title"),
    [
        ("<title>Tea</title>", "Tea"),
        ("<TITLE lang=en>Tea &amp;\n cake</TITLE>", "Tea & cake"),
        ('<title>Tea</title><meta property="og:title" content="Cake">', "Cake"),
        ("<meta name='citation_title' content='Cake'><title>Tea</title>", "Cake"),
        ("<title>Tea</title>" + ld('{"@type": "NewsArticle", "headline": "Cake"}'), "Cake"),
        ("<title>Tea</title>" + ld('{"@type": "Organization", "headline": "Cake"}'), "Tea"),
        ("<title>Tea | The Paper</title><meta property=og:site_name content='the paper'>", "Tea"),
        ("<title>The Paper: Tea</title><meta property=og:site_name content='The Paper'>", "The Paper: Tea"),
        ("<title>The Paper - Tea</title><meta property=og:site_name content='The Paper'>", "Tea"),
        ("<title>Tea - Cake</title>", "Tea - Cake"),
        ("<title>Tea – X</title><h1>Tea</h1>", "Tea"),
        ("<title>Tea – X</title><h1>Tea</h1><h1>Other</h1>", "Tea – X"),
        ("<title>Teapots – X</title><h1>Tea</h1>", "Teapots – X"),
        ("<!-- <title>old</title> --><title>Tea</title>", "Tea"),
        ("<script>var a = '<title>x</title>'</script><title>Tea</title>", "Tea"),
        ("<svg><title>icon</title></svg><title>Tea</title>", "Tea"),
        ("<title></title>", None),
        ("<title>Tea", None),
        ("", None),
        ("<title>&#xD800;&#1;T&#0;ea</title>", "\ufffdT\ufffdea"),
        ("<title>" + "&#" + "9" * 4500 + ";</title>", "\ufffd"),
        ("<title>" + "x" * 2000 + "</title>", "x" * MAX_TITLE_CHARS),
        ("<title>" + "x" * 9000 + "</title>", None),  # no title is that long
        ("<meta property='og:title' content='a > b'>", "a > b"),
        ("<meta content=Tea property=og:title>", "Tea"),
        ("<meta property='og:title' content='   '><title>Tea</title>", "Tea"),
        ("<meta property='dc:title og:title' content='Tea'>", "Tea"),
    ],
)
def test_titles(markup, title):
    assert page_metadata(markup).title == title


@pytest.mark.parametrize(
    ("markup", "author"),
    [
        ("<meta name=author content='Ann Lee'>", "Ann Lee"),
        ("<meta name=AUTHOR content='By Ann Lee'>", "Ann Lee"),
        ("<meta name=author content='Byron Lee'>", "Byron Lee"),
        ("<meta name=citation_author content='Lee, A.'><meta name=citation_author content='Wu, B.'>", "Lee, A.; Wu, B."),
        ("<meta property=article:author content='https://example.org/ann'>", None),
        ("<meta name=author content='ann@example.org'><meta name=byl content='Ann'>", "Ann"),
        ("<meta name=author content='123'>", None),
        (ld('{"@type": "BlogPosting", "author": {"@type": "Person", "name": "Ann"}}'), "Ann"),
        (ld('{"@type": ["Thing", "Article"], "author": ["Ann", {"name": "Bo"}, {"name": 3}, null, "Ann"]}'), "Ann; Bo"),
        (
            ld('{"@graph": [{"@type": "Article", "author": {"@id": "#a"}}, {"@id": "#a", "name": "Ann"}]}'),
            "Ann",
        ),
        (ld('{"@type": "Article", "author": "Ann"}') + "<meta name=author content=Bo>", "Ann"),
        ('<p>By <a href=/ann rel="author">Ann <b>Lee</b></a>', "Ann Lee"),
        ('<span itemprop="author"><span>Ann</span></span>', "Ann"),
        ('<p rel="author"', None),
        ("<meta name=author content='" + "Ann " * 500 + "'>", ("Ann " * 50).strip()),
    ],
)  # fmt: skip
def test_authors(markup, author):
    found = page_metadata(markup).author
    assert found == author
    assert found is None or len(found) <= MAX_AUTHOR_CHARS


@pytest.mark.parametrize(
    ("markup", "day"),
    [
        ('<meta property="article:published_time" content="2014-03-12T23:10:00-05:00">', "2014-03-12"),
        ("<meta itemprop=datePublished content=2014-3-9>", "2014-03-09"),
        (ld('{"@type": "Article", "datePublished": "2014-03-12"}') + "<meta name=date content=2015-01-01>", "2014-03-12"),
        ("<time datetime=2014-03-12 pubdate>yesterday</time><time datetime=2015-01-01>", "2014-03-12"),
        ("<time datetime=2015-01-01></time><time class='entry-date published' datetime=2014-03-12></time>", "2014-03-12"),
        ("<time datetime=2014-03-12></time>", "2014-03-12"),
        ("<time datetime=2014-03-12></time><time datetime=2014-03-12T10:00></time>", "2014-03-12"),
        ("<time datetime=2014-03-12></time><time datetime=2015-03-12></time>", None),  # which one?
        ("<meta name=date content='not a date'><meta name=pubdate content=20140312>", "2014-03-12"),
        ("<time>2014-03-12</time>", None),
    ],
)  # fmt: skip
def test_days(markup, day):
    assert page_metadata(markup).published == day
    assert page_metadata(markup, dates=None).published is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2014-03-12", "2014-03-12"),
        ("2014/3/2 10:00", "2014-03-02"),
        ("20140312T101500Z", "2014-03-12"),
        ("1394582400", "2014-03-12"),
        ("1394582400000", "2014-03-12"),
        ("12 March 2014", "2014-03-12"),
        ("12th Mar. 2014", "2014-03-12"),
        ("Wed, 12 Mar 2014 08:00:00 +0100", "2014-03-12"),
        ("March 2nd, 2014 at noon", "2014-03-02"),
        ("12.03.2014", "2014-03-12"),
        ("31/12/2014", "2014-12-31"),
        ("12/31/2014", "2014-12-31"),
        ("05/05/2014", "2014-05-05"),
        ("04/05/2014", None),
        ("2014-02-31", None),
        ("1970-01-01", None),
        ("2514-01-01", None),
        ("12 Mars 2014", None),  # months by their English names only
        ("marching 12 2014", None),
        ("2014-03", None),
        ("", None),
        ("9" * 100_000, None),
    ],
)
def test_one_day_in_many_spellings(text, day):
    assert iso_day(text) == day


@pytest.mark.parametrize(
    ("markup", "tag"),
    [
        ("<html lang=en>", "en"),
        ("<html lang='pt_br'>", "pt-BR"),
        ("<html xml:lang=ZH-hant-TW>", "zh-Hant"),
        ("<html lang=''><meta http-equiv=content-language content=de>", "de"),
        ("<meta property=og:locale content=fr_FR>", "fr-FR"),
        ("<html lang='en, de'>", None),
        ("<html lang=klingonish>", None),
        (ld('{"@type": "WebPage", "inLanguage": "is"}'), "is"),
        ("<html data-lang=en>", None),
    ],
)
def test_the_language_that_is_declared(markup, tag):
    assert page_metadata(markup).lang_hint == tag


@pytest.mark.parametrize(
    ("markup", "url"),
    [
        ("<link rel=canonical href='https://example.org/a?b=1&amp;c=2'>", "https://example.org/a?b=1&c=2"),
        ("<link rel='shortlink Canonical' href='http://example.org/'>", "http://example.org/"),
        ("<link rel=canonical href='/a'><meta property=og:url content='https://example.org/a'>", "https://example.org/a"),
        ("<link rel=canonical href='javascript:alert(1)'>", None),
        ("<link rel=canonical href='https://example.org/" + "a" * 3000 + "'>", None),
    ],
)  # fmt: skip
def test_canonical_urls(markup, url):
    assert page_metadata(markup).canonical_url == url


def test_descriptions_are_cut():
    found = page_metadata("<meta name=description content='" + "word " * 1000 + "'>").description
    assert len(found) == MAX_DESCRIPTION_CHARS - 1  # a blank at the end goes


@pytest.mark.parametrize(
    "script",
    ["", "{", "{]", '{"a": }', "null", "3", '"@type"', "[" * 5000 + "]" * 5000, '{"@type": "Article", "author":', "\ud800{}"],
)  # fmt: skip
def test_malformed_json_is_ignored(script):
    markup = "<title>Tea</title>" + ld(script) + ld('{"@type": "Article", "author": "Ann"}')
    assert page_metadata(markup)[:2] == ("Tea", "Ann")


def test_json_as_pages_wrap_it():
    assert parse_script('\n//<![CDATA[\n{"a": "b\n c"}\n//]]>\n') == {"a": "b  c"}
    assert parse_script('<!-- [{"a": 1}] -->') == [{"a": 1}]


def test_a_page_that_is_all_json_is_not_walked_whole():
    assert len(list(objects([{"a": k} for k in range(100_000)]))) < 2001
    deep = ld('{"a":' * 900 + '{"@type": "Article", "headline": "Deep"}' + "}" * 900)
    assert main_work(read_head(deep).scripts).headline == "Deep"


def test_only_the_head_is_scanned_but_every_script():
    far = "<html>" + "x" * HEAD_CHARS
    assert page_metadata(far + "<meta name=author content=Ann>").author is None
    assert page_metadata(far + ld('{"@type": "Article", "author": "Ann"}')).author == "Ann"


def test_the_site_is_taken_off_at_either_end_once():
    assert without_site("The Paper | Tea | The Paper", "The Paper", []) == "Tea | The Paper"
    assert without_site("The Paper", "The Paper", []) == "The Paper"


def test_htmldate_also_reads_what_people_read():
    markup = (
        "<html><body><span class=post-date>March 12, 2014</span><p>Some text about tea.</p></body></html>"
    )
    assert page_metadata(markup).published is None
    assert page_metadata(markup, dates="htmldate").published == "2014-03-12"
    assert page_metadata("", dates="htmldate").published is None
    now = "<html><body><time>yesterday at 10:15</time><p>Copyright</p></body></html>"
    assert (
        page_metadata(now, dates="htmldate").published is None
    )  # nothing that depends on the day of the run
