"""schema.org metadata that pages carry as JSON-LD: headline, authors, day, language of the main work."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

MAX_NODES = 2_000  # visited in one script
MAX_AUTHORS = 20
_CONTROLS = re.compile("[\x00-\x1f]")
# What a page is about, best first; a WebPage's own dates are often those of its template.
_ARTICLES = re.compile(r"(?:Article|Posting|Report|Review|Recipe|Book|Chapter|HowTo|Thesis|Poem|QAPage)$")
_PAGES = re.compile(r"(?:WebPage|CreativeWork|ItemPage|AboutPage|FAQPage|VideoObject)$")


class Work(NamedTuple):
    """What JSON-LD says; absent is empty."""

    headline: str = ""
    authors: tuple[str, ...] = ()
    published: str = ""
    language: str = ""


def parse_script(script: str) -> Any:
    """The JSON of a script, None if it is none; wrappers and raw control characters are common."""
    script = script.replace("<![CDATA[", " ").replace("]]>", " ")
    begin = min((i for i in (script.find("{"), script.find("[")) if i >= 0), default=-1)
    end = max(script.rfind("}"), script.rfind("]"))
    if not 0 <= begin < end:
        return None
    try:
        return orjson.loads(_CONTROLS.sub(" ", script[begin : end + 1]))
    except (orjson.JSONDecodeError, UnicodeEncodeError):  # malformed, too deep, or with lone surrogates
        return None


def objects(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Every object of a JSON tree, parents first, at most MAX_NODES."""
    stack = [tree]
    for _ in range(MAX_NODES):
        if not stack:
            return
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(reversed([v for v in node.values() if isinstance(v, dict | list)]))
        elif isinstance(node, list):
            stack.extend(reversed(node[:MAX_NODES]))


def main_work(scripts: list[str]) -> Work:
    """The first article among the scripts, else the first page, with what is missing from the others like it.

    >>> main_work(['{"@type": "NewsArticle", "headline": "Tea", "author": [{"name": "Ann Lee"}, "Bo"]}'])
    Work(headline='Tea', authors=('Ann Lee', 'Bo'), published='', language='')
    """
    trees = [parse_script(script) for script in scripts]
    nodes = [node for tree in trees for node in objects(tree)]
    work = Work()
    for kinds in (_ARTICLES, _PAGES):
        for node in nodes:
            if any(kinds.search(kind) for kind in _types(node)):
                work = _filled(work, node, nodes)
    return work


def _types(node: Mapping[str, Any]) -> list[str]:
    kind = node.get("@type")
    return [k for k in (kind if isinstance(kind, list) else [kind]) if isinstance(k, str)]


def _filled(work: Work, node: Mapping[str, Any], nodes: list[Mapping[str, Any]]) -> Work:
    return Work(
        work.headline or _string(node.get("headline")),
        work.authors or _names(node.get("author"), nodes),
        work.published or _string(node.get("datePublished")) or _string(node.get("dateCreated")),
        work.language or _string(node.get("inLanguage")),
    )


def _string(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _names(value: Any, nodes: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of people given as text, as objects, or by reference to an object elsewhere."""
    found = []
    for item in (value if isinstance(value, list) else [value])[:MAX_AUTHORS]:
        if isinstance(item, dict):
            name = _string(item.get("name")) or _by_id(item.get("@id"), nodes)
        else:
            name = _string(item)
        found.append(name)
    return tuple(name for name in found if name)


def _by_id(key: Any, nodes: list[Mapping[str, Any]]) -> str:
    if not isinstance(key, str):
        return ""
    return next((n for n in (_string(node.get("name")) for node in nodes if node.get("@id") == key) if n), "")
