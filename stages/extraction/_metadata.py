"""Title, authors, day, language, description and canonical address, from what the markup says of itself.

Each is looked up where publishers put it for machines, in the order below; nothing is guessed from the text.
What no tag says stays null.
"""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from htmldate import find_date

from stages.extraction._clean import one_line
from stages.extraction._dates import FIRST_YEAR, LAST_YEAR, iso_day
from stages.extraction._dom import parse_html
from stages.extraction._head import Head, read_byline, read_head, text_of
from stages.extraction._json_ld import Work, main_work

MAX_TITLE_CHARS = 500
MAX_AUTHOR_CHARS = 200
MAX_DESCRIPTION_CHARS = 1000
MAX_URL_CHARS = 2000

TITLE_NAMES = ("og:title", "citation_title", "dc.title", "dcterms.title", "twitter:title", "parsely-title")
AUTHOR_NAMES = (
    "citation_author",
    "author",
    "article:author",
    "dc.creator",
    "dcterms.creator",
    "byl",
    "parsely-author",
    "sailthru.author",
    "og:article:author",
)
DATE_NAMES = (
    "article:published_time",
    "og:article:published_time",
    "datepublished",
    "citation_publication_date",
    "citation_online_date",
    "citation_date",
    "dc.date.issued",
    "dcterms.issued",
    "dcterms.created",
    "dc.date.created",
    "dcterms.date",
    "dc.date",
    "dc:date",
    "parsely-pub-date",
    "sailthru.date",
    "article.published",
    "pubdate",
    "publishdate",
    "publish-date",
    "publish_date",
    "publication_date",
    "originalpublicationdate",
    "cxenseparse:recs:publishtime",
    "ptime",
    "pdate",
    "date",
    "datecreated",
)
DESCRIPTION_NAMES = (
    "og:description",
    "description",
    "dc.description",
    "dcterms.abstract",
    "twitter:description",
)
_TAG = re.compile(r"^([a-z]{2,3})(?:[-_]([a-z0-9]{1,8}))?(?:[-_][a-z0-9]{1,8}){0,5}$", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s+[|–—\-:·•»«/]+\s+")
_NOT_A_NAME = re.compile(r"https?:|www\.|@|[<>{}\[\]]")
_BY = re.compile(r"^(?:by|von|par|por|door|di)[:\s]\s*", re.IGNORECASE)


class Metadata(NamedTuple):
    """What a page says of itself; None where it says nothing."""

    title: str | None = None
    author: str | None = None  # names, joined by "; "
    published: str | None = None  # ISO 8601 day
    lang_hint: str | None = None  # "en", "pt-BR": as declared, which need not be true
    description: str | None = None
    canonical_url: str | None = None


def page_metadata(markup: str, dates: Literal["meta", "htmldate"] | None = "meta") -> Metadata:
    """Metadata of a decoded page.

    >>> page_metadata('<html lang=en-gb><title>Tea &amp; cake</title><meta name=author content="By Ann">')[:4]
    ('Tea & cake', 'Ann', None, 'en-GB')
    """
    head = read_head(markup)
    work = main_work(head.scripts)
    return Metadata(
        _title(head, work),
        _author(head, work, markup),
        _published(head, work, markup, dates),
        language_tag(head, work),
        one_line(head.first(*DESCRIPTION_NAMES) or "", MAX_DESCRIPTION_CHARS),
        _url(head),
    )


def _title(head: Head, work: Work) -> str | None:
    """The title for machines, else the headline, else <title>; without the site's name where it is known."""
    heads = [text for text in (text_of(h, MAX_TITLE_CHARS) for h in head.headings) if text]
    title = (
        one_line(head.first(*TITLE_NAMES) or "", MAX_TITLE_CHARS)
        or text_of(work.headline, MAX_TITLE_CHARS)
        or text_of(head.title, MAX_TITLE_CHARS)
    )
    return without_site(title, one_line(head.first("og:site_name") or "", 200), heads) if title else None


def without_site(title: str, site: str | None, headings: list[str]) -> str:
    """A title without the part that names the site: known by its name, or by the heading that is the rest.

    >>> without_site("Tea - The Paper", "The Paper", []), without_site("Tea | X", None, ["Tea"])
    ('Tea', 'Tea')
    >>> without_site("Tea - Cake", None, [])
    'Tea - Cake'
    """
    parts = _SEPARATOR.split(title)
    if len(parts) < 2:
        return title
    for end in (0, -1):
        if site and parts[end].casefold() == site.casefold():
            cut = _SEPARATOR.search(title) if end == 0 else list(_SEPARATOR.finditer(title))[-1]
            if cut:
                return title[cut.end() :] if end == 0 else title[: cut.start()]
    if len(headings) == 1 and headings[0] != title and title.casefold().startswith(headings[0].casefold()):
        rest = title[len(headings[0]) :]
        return headings[0] if _SEPARATOR.match(rest) else title
    return title


def _author(head: Head, work: Work, markup: str) -> str | None:
    """Names from JSON-LD, else from the first meta name that has any, else from what is marked as author."""
    candidates: list[Iterable[str]] = [work.authors, *(head.meta.get(name, ()) for name in AUTHOR_NAMES)]
    for candidate in candidates:
        names = dict.fromkeys(name for name in map(_name, candidate) if name)
        if names:
            return one_line("; ".join(names), MAX_AUTHOR_CHARS)
    byline = text_of(read_byline(markup), MAX_AUTHOR_CHARS)
    return _name(byline) if byline else None


def _name(text: str) -> str | None:
    """A name without "by"; None for addresses, markup and what holds no letter."""
    name = one_line(text, MAX_AUTHOR_CHARS)
    if not name or _NOT_A_NAME.search(name) or not any(c.isalpha() for c in name):
        return None
    return _BY.sub("", name, count=1) or None


def _published(head: Head, work: Work, markup: str, dates: Literal["meta", "htmldate"] | None) -> str | None:
    if dates is None:
        return None
    if dates == "htmldate":
        return _by_htmldate(markup)
    said = [work.published, *(value for name in DATE_NAMES for value in head.meta.get(name, ())[:1])]
    marked = [t["datetime"] for t in head.times if "pubdate" in t or "published" in _marks(t)]
    for text in said + marked:
        day = iso_day(text) if text else None
        if day:
            return day
    # unmarked <time> tags may be those of comments and teasers, unless all say the same day
    days = {iso_day(t["datetime"]) for t in head.times}
    return days.pop() if len(days) == 1 else None


def _marks(time: dict[str, str]) -> str:
    return f"{time.get('itemprop', '')} {time.get('class', '')}".lower().replace(
        "date-published", "published"
    )


def _by_htmldate(markup: str) -> str | None:
    """The opinion of htmldate, which also reads visible dates; without bounds it would ask the clock."""
    tree = parse_html(markup)
    if tree is None:
        return None
    found = find_date(
        tree,
        extensive_search=False,
        original_date=True,
        min_date=f"{FIRST_YEAR}-01-01",
        max_date=f"{LAST_YEAR}-12-31",
    )
    return str(found) if found else None


def language_tag(head: Head, work: Work) -> str | None:
    """The language that a page declares: of <html>, else Content-Language, else og:locale, else JSON-LD."""
    for said in (head.language, head.first("content-language"), head.first("og:locale"), work.language):
        match = _TAG.match((said or "").strip())
        if match:
            region = match[2] or ""
            region = region.upper() if len(region) == 2 else region.title()
            return match[1].lower() + (f"-{region}" if region else "")
    return None


def _url(head: Head) -> str | None:
    """<link rel=canonical>, else og:url, if absolute."""
    for url in (head.canonical, head.first("og:url") or ""):
        if url.startswith(("http://", "https://")) and len(url) <= MAX_URL_CHARS:
            return one_line(url, MAX_URL_CHARS)
    return None
