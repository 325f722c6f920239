"""Where a page came from: lists of domains, words and patterns in its URL.

RefinedWeb (Penedo et al. 2023, arXiv:2306.01116, appendix G.1) filters by domain list first and by words in
the URL second: strict ones anywhere in it (here `blocked_substrings`), hard ones as whole words
(`blocked_words`), soft ones only if two come together (`soft_words`); so does this. Words are looked up with
Aho-Corasick and patterns with RE2, both linear in the URL, so that no list and no hostile URL can make it slow.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple

import ahocorasick
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import URL
from pipeline.stage import MapStage, Marks
from stages.filters._hosts import domain_problem, domain_set, listed_parent, read_domains, read_lines
from stages.filters._rules import pattern_problems
from stages.kernels.hosts import normal_host, raw_hosts

EVIDENCE_TYPE = pa.struct([("domain", pa.string()), ("matched", pa.string())])


class Reason(StrEnum):
    """What is wrong with the URL, in the order of the checks."""

    MISSING_URL = "missing_url"
    BLOCKED_DOMAIN = "blocked_domain"
    NOT_ALLOWED_DOMAIN = "not_allowed_domain"
    BLOCKED_WORD_IN_URL = "blocked_word_in_url"
    TOO_MANY_SOFT_WORDS_IN_URL = "too_many_soft_words_in_url"
    BLOCKED_PATTERN = "blocked_pattern"


class UrlLists(NamedTuple):
    """The lists of a filter, loaded."""

    blocked: frozenset[str]
    allowed: frozenset[str] | None  # None = all
    words: Any  # ahocorasick.Automaton of lowered word -> (word, its length, must it stand alone), or None
    soft: Any  # the same of soft words
    most_soft: int
    patterns: Sequence[str]


class FilterUrl(MapStage[UrlLists]):
    """Reject documents by the URL they came from.

    A listed domain stands for itself and everything below it. Hosts are compared in lower case and punycode,
    without port, user name or trailing dot. List files have one entry a line, `#` for comments, `.gz` or not.
    """

    reasons = Reason
    libraries = ("pyahocorasick", "pyarrow")

    blocked_domains: tuple[str, ...] = Field((), description="domains whose pages are rejected")
    blocked_domain_files: tuple[Path, ...] = Field((), description="files of such domains")
    allowed_domains: tuple[str, ...] = Field(
        (), description="if any is given, pages of all others are rejected"
    )
    allowed_domain_files: tuple[Path, ...] = Field((), description="files of such domains")
    blocked_words: tuple[str, ...] = Field(
        (),
        description="words that reject a URL if no letter or digit stands beside them; case does not matter",
    )
    blocked_word_files: tuple[Path, ...] = Field((), description="files of such words")
    blocked_substrings: tuple[str, ...] = Field(
        (), description="what rejects a URL anywhere in it, inside words too; case does not matter"
    )
    blocked_substring_files: tuple[Path, ...] = Field((), description="files of such substrings")
    soft_words: tuple[str, ...] = Field(
        (), description="words that reject a URL only if more than max_soft_words of them stand in it"
    )
    soft_word_files: tuple[Path, ...] = Field((), description="files of such words")
    max_soft_words: int = Field(
        1, ge=0, description="distinct soft words that a URL may have; RefinedWeb rejects at two"
    )
    blocked_patterns: tuple[str, ...] = Field((), description="RE2 patterns that reject a URL they match in")
    missing: Literal["keep", "reject"] = Field("keep", description="what becomes of documents without a URL")

    def reads(self) -> pa.Schema:
        """The URL."""
        return pa.schema([URL])

    def resources(self) -> Sequence[Path]:
        """All list files."""
        groups = (
            *(self.blocked_domain_files, self.allowed_domain_files),
            *(self.blocked_word_files, self.blocked_substring_files, self.soft_word_files),
        )
        return [path for group in groups for path in group]

    def problems(self) -> Sequence[str]:
        """Entries that are no domain, empty words, patterns that RE2 refuses, nothing to do."""
        problems = pattern_problems("blocked_patterns", self.blocked_patterns)
        for name in ("blocked_domains", "allowed_domains"):
            found = map(domain_problem, getattr(self, name))
            problems += [f"{name}: {problem}" for problem in found if problem]
        for name in ("blocked_words", "blocked_substrings", "soft_words"):
            if any(not word.strip() for word in getattr(self, name)):
                problems.append(f"{name}: an empty entry is in every URL; remove it")
        inline = (self.blocked_domains, self.allowed_domains, self.blocked_words, self.blocked_substrings)
        if (
            not any((*inline, self.soft_words, self.blocked_patterns, self.resources()))
            and self.missing == "keep"
        ):
            problems.append(
                "params: no list is given, so nothing would be filtered; set blocked_domains or another"
            )
        return problems

    def open(self, side: Mapping[str, Path]) -> UrlLists:  # noqa: ARG002
        """Read the list files and build the word automaton."""
        has_allowed = bool(self.allowed_domains or self.allowed_domain_files)
        allowed = domain_set(_entries(self.allowed_domains, self.allowed_domain_files, domains=True))
        words = _entries(self.blocked_words, self.blocked_word_files)
        substrings = _entries(self.blocked_substrings, self.blocked_substring_files)
        return UrlLists(
            blocked=domain_set(_entries(self.blocked_domains, self.blocked_domain_files, domains=True)),
            allowed=allowed if has_allowed else None,
            words=word_automaton(words, substrings),
            soft=word_automaton(_entries(self.soft_words, self.soft_word_files), ()),
            most_soft=self.max_soft_words,
            patterns=self.blocked_patterns,
        )

    def annotate(self, batch: pa.RecordBatch, resource: UrlLists) -> Marks:
        """The first check that each URL fails, with its domain and the entry that matched."""
        return judge_urls(batch.column(URL.name), resource, self.missing)


def _entries(inline: Sequence[str], files: Sequence[Path], domains: bool = False) -> list[str]:
    entries = list(inline)
    for path in files:
        entries += read_domains(path) if domains else [line for _, line in read_lines(path)]
    return entries


def word_automaton(words: Iterable[str], substrings: Iterable[str]) -> Any:
    """An Aho-Corasick automaton over both lists, or None if both are empty; a word in both is a substring."""
    automaton = ahocorasick.Automaton()
    for alone, group in ((True, words), (False, substrings)):
        for word in group:
            lowered = word.lower()
            automaton.add_word(lowered, (word, len(lowered), alone))
    if not len(automaton):
        return None
    automaton.make_automaton()
    return automaton


def blocked_word(url: str, automaton: Any) -> str | None:
    """The first listed word in a lower-case URL, or None; words count only between other characters.

    >>> automaton = word_automaton(["sex"], ["casino"])
    >>> [blocked_word(u, automaton) for u in ("a.com/sex-x", "essex.uk", "onlinecasinos.x")]
    ['sex', None, 'casino']
    """
    return next(_words_in(url, automaton), None)


def _words_in(url: str, automaton: Any) -> Iterator[str]:
    for last, (word, length, alone) in automaton.iter(url):
        first = last - length + 1
        if not alone or not (url[max(first - 1, 0) : first].isalnum() or url[last + 1 : last + 2].isalnum()):
            yield str(word)


def soft_words(url: str, automaton: Any, most: int) -> str | None:
    """The distinct listed words in a lower-case URL, in their order there, if they are more than `most`.

    >>> automaton = word_automaton(["hot", "free"], [])
    >>> [soft_words(u, automaton, 1) for u in ("a.com/hot/hot", "free.com/hot-x", "hotel.com/freedom")]
    [None, 'free, hot', None]
    """
    found = dict.fromkeys(_words_in(url, automaton))
    return ", ".join(found) if len(found) > most else None


def judge_urls(urls: pa.Array, lists: UrlLists, missing: str) -> Marks:
    """Run all checks on a URL column; null and blank URLs are only ever `missing_url`."""
    absent = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(urls), ""), True)
    hosts = pc.fill_null(raw_hosts(urls), "").dictionary_encode()
    names = [normal_host(host) for host in hosts.dictionary.to_pylist()]
    blocked = _by_host(hosts, [listed_parent(name, lists.blocked) for name in names])
    allowed = lists.allowed
    outside = [None if allowed is None or listed_parent(name, allowed) else "" for name in names]
    word = _searched(urls, lists.words, blocked_word)
    soft = _searched(urls, lists.soft, lambda url, words: soft_words(url, words, lists.most_soft))
    checks = [
        (Reason.BLOCKED_DOMAIN, blocked),
        (Reason.NOT_ALLOWED_DOMAIN, _by_host(hosts, outside)),
        (Reason.BLOCKED_WORD_IN_URL, word),
        (Reason.TOO_MANY_SOFT_WORDS_IN_URL, soft),
        *((Reason.BLOCKED_PATTERN, _pattern_found(urls, pattern)) for pattern in lists.patterns),
    ]
    nothing = pa.nulls(len(urls), pa.string())
    if missing == "keep":
        checks = [(reason, pc.if_else(absent, nothing, matched)) for reason, matched in checks]
    else:
        checks.insert(0, (Reason.MISSING_URL, pc.if_else(absent, "", nothing)))
    return _first(checks, _by_host(hosts, names))


def _by_host(hosts: pa.DictionaryArray, values: Sequence[str | None]) -> pa.Array:
    """What was found out about each distinct host, for every row."""
    return pa.array(values, pa.string()).take(hosts.indices)


def _searched(urls: pa.Array, automaton: Any, search: Callable[[str, Any], str | None]) -> pa.Array:
    """What `search` finds in each URL in lower case; null where there is no automaton or no URL."""
    if automaton is None:
        return pa.nulls(len(urls), pa.string())
    return pa.array(
        [search(url.lower(), automaton) if url else None for url in urls.to_pylist()], pa.string()
    )


def _pattern_found(urls: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(urls, pattern), pattern, pa.scalar(None, pa.string()))


def _first(checks: Sequence[tuple[Reason, pa.Array]], domains: pa.Array) -> Marks:
    """The first check with an entry in each row: its reason, and the entry as evidence ("" becomes null)."""
    cases = pa.StructArray.from_arrays(
        [pc.is_valid(matched) for _, matched in checks], names=[str(k) for k in range(len(checks))]
    )
    reject = pc.case_when(cases, *(pa.scalar(str(reason)) for reason, _ in checks))
    entry = pc.case_when(cases, *(matched for _, matched in checks))
    entry = pc.if_else(pc.equal(entry, ""), pa.scalar(None, pa.string()), entry)
    evidence = pa.StructArray.from_arrays(
        [domains, entry], fields=list(EVIDENCE_TYPE), mask=pc.is_null(reject)
    )
    return Marks(reject=reject, evidence=evidence)
