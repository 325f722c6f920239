"""What the tags of a page say about it: one scan, no tree, in time linear in the page's length.

Only the first HEAD_CHARS are scanned, and JSON-LD scripts wherever they stand. Comments, styles, drawings and
other scripts are stepped over, so what they hold is not taken for a tag. Everything has a limit, and what is
beyond it is ignored; real heads are far below all of them.
"""

import re
from dataclasses import dataclass, field

from stages.extraction._clean import one_line, unescape

HEAD_CHARS = 262_144
MAX_TAGS = 2_000  # of the kinds that count
MAX_ATTRIBUTES = 40  # of one tag
MAX_TITLE_MARKUP = 5_000
MAX_LINK_CHARS = 2_500  # from the name of a link to the word canonical, with an address between them
MAX_SCRIPTS = 20
MAX_SCRIPT_CHARS = 500_000

_TAG = re.compile(
    r"<(?:(?P<comment>!--)|(?P<name>html|meta|link|time|script|style|title|h1|svg)(?=[\s/>]))", re.IGNORECASE
)
# An attribute, its value at most 10,000 characters. Possessive quantifiers: nothing is tried twice, so a tag
# without an end costs its length and no more.
_ATTRIBUTE = re.compile(
    r"[\s/]*+([^\s=>/\"']++)"
    r"(?:\s*+=\s*+(?:\"([^\"]{0,10000}+)\"|'([^']{0,10000}+)'|([^\s\"'>]{1,10000}+)))?+"
)
_TAG_END = re.compile(r"[\s/]*+>")
_ENDS = {
    name: re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE)
    for name in ("title", "h1", "script", "style", "svg")
}
_MARKUP = re.compile(r"<[^<>]{0,2000}+>")
_AUTHOR = ('rel="author"', 'itemprop="author"')
_ANY_TAG_END = re.compile(r"[^<>]{0,500}+>")
_LD_JSON = re.compile(r"<script[^<>]{0,300}?application/ld\+json[^<>]{0,300}?>", re.IGNORECASE)


@dataclass
class Head:
    """What a page's tags say, in page order; what is absent is empty."""

    language: str = ""  # lang of <html>
    meta: dict[str, list[str]] = field(
        default_factory=dict
    )  # name, property, itemprop or http-equiv -> contents
    canonical: str = ""  # href of <link rel=canonical>
    title: str = ""  # markup of the first <title>
    headings: list[str] = field(default_factory=list)  # markup of each <h1>
    times: list[dict[str, str]] = field(default_factory=list)  # attributes of each <time datetime=...>
    scripts: list[str] = field(default_factory=list)  # JSON-LD as it stands there

    def first(self, *names: str) -> str | None:
        """The first content of the first of these meta names that the page has."""
        return next((self.meta[name][0] for name in names if name in self.meta), None)


def read_attributes(markup: str, start: int) -> tuple[dict[str, str], int]:
    """Attributes of the tag whose name ends at `start`, names in lower case, values unescaped; where it ends.

    >>> read_attributes("<meta name=a content='b &gt; c'>", 5)
    ({'name': 'a', 'content': 'b > c'}, 32)
    """
    attributes: dict[str, str] = {}
    for _ in range(MAX_ATTRIBUTES):
        match = _ATTRIBUTE.match(markup, start)
        if match is None:
            break
        value = next((v for v in match.groups()[1:] if v is not None), "")
        attributes.setdefault(match.group(1).lower(), unescape(value))
        start = match.end()
    end = _TAG_END.match(markup, start)
    return attributes, end.end() if end else start


def text_of(markup: str, max_chars: int) -> str | None:
    r"""A small piece of markup as one line of text.

    >>> text_of("Tea &amp;\n <b>cake</b>", 500)
    'Tea & cake'
    """
    return one_line(unescape(_MARKUP.sub(" ", markup[:MAX_TITLE_MARKUP])), max_chars)


def read_head(markup: str) -> Head:
    """What the tags in the first HEAD_CHARS of a page say, and its JSON-LD scripts."""
    area = markup[:HEAD_CHARS]
    head = Head(scripts=_scripts(markup))
    position = 0
    for _ in range(MAX_TAGS):
        match = _TAG.search(area, position)
        if match is None:
            break
        if match["comment"]:
            end = area.find("-->", match.end())
            position = end if end >= 0 else len(area)
            continue
        name = match["name"].lower()
        if name in _ENDS:
            position = _add_content(head, name, area, area.find(">", match.end()) + 1)
            continue
        position = match.end()
        # nearly one in three of these tags is a link to a style or an icon
        if name != "link" or "canonical" in area[position : position + MAX_LINK_CHARS].lower():
            attributes, position = read_attributes(area, position)
            _add(head, name, attributes)
    return head


def _add(head: Head, name: str, attributes: dict[str, str]) -> None:
    """Take note of a tag that says all in its attributes."""
    if name == "meta":
        _add_meta(head, attributes)
    elif name == "html":
        head.language = head.language or attributes.get("lang") or attributes.get("xml:lang") or ""
    elif name == "time":
        if attributes.get("datetime"):
            head.times.append(attributes)
    elif "canonical" in attributes.get("rel", "").lower().split():
        head.canonical = head.canonical or attributes.get("href", "").strip()


def _add_content(head: Head, name: str, area: str, start: int) -> int:
    """Take note of an element whose content begins at `start`, 0 if its tag has no end; where to read on."""
    if start == 0:
        return len(area)
    if name not in ("title", "h1"):  # to the end of the script, which may be the end of the page
        end = _ENDS[name].search(area, start)
        return end.start() if end else len(area)
    # the end must be near: if each search ran to the end of the page, many starts would cost the square
    end = _ENDS[name].search(area, start, start + MAX_TITLE_MARKUP)
    if end and name == "h1":
        head.headings.append(area[start : end.start()])
    elif end:
        head.title = head.title or area[start : end.start()]
    return end.start() if end else start


def _add_meta(head: Head, attributes: dict[str, str]) -> None:
    content = attributes.get("content", "").strip()
    for key in ("property", "name", "itemprop", "http-equiv"):
        if content and key in attributes:
            for name in attributes[key].lower().split():  # RDFa allows several
                head.meta.setdefault(name, []).append(content)


def read_byline(markup: str) -> str:
    """Markup in the first element that says it names the author, up to the next end tag; else empty."""
    area = markup[:HEAD_CHARS]
    for mark in _AUTHOR:
        start = area.find(mark)
        tag = _ANY_TAG_END.match(area, start + len(mark)) if start >= 0 else None
        if tag:
            end = area.find("</", tag.end(), tag.end() + 500)
            if end >= 0:
                return area[tag.end() : end]
    return ""


def _scripts(markup: str) -> list[str]:
    """JSON-LD scripts of the whole page; one without an end or longer than MAX_SCRIPT_CHARS is left out."""
    found: list[str] = []
    position = 0
    for _ in range(MAX_SCRIPTS):
        # plain search for the type first: most of a page is passed at the speed of memory
        said = markup.find("application/ld+json", position)
        start = _LD_JSON.search(markup, max(position, said - 330), said + 330) if said >= 0 else None
        if said < 0:
            break
        position = said + 1
        if start is None:
            continue
        end = _ENDS["script"].search(markup, start.end(), start.end() + MAX_SCRIPT_CHARS)
        if end:
            found.append(markup[start.end() : end.start()])
            position = end.end()
    return found
