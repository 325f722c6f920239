"""A label for where a page came from, by its URL: written to a column, nothing rejected.

Its first use is to mark sources of machine-translated and scanned text (arXiv:2401.05749 finds that much of the
web's text in smaller languages is machine translation); `filter_column` on `url_class` rejects what is not wanted,
the report counts each label by source.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pipeline.schema import URL
from pipeline.stage import MapStage, Marks
from stages.filters._hosts import domain_problem, domain_set, listed_parent, read_domains
from stages.filters._known_sources import KNOWN_SOURCES
from stages.filters._rules import pattern_problems
from stages.kernels.hosts import normal_host, raw_hosts

URL_CLASS = pa.field("url_class", pa.string())


class UrlClass(BaseModel):
    """One label and the URLs that have it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    label: str = Field(min_length=1, description="what is written to `url_class`")
    domains: tuple[str, ...] = Field((), description="domains, with all below them")
    domain_files: tuple[Path, ...] = Field((), description="files of such domains, one a line, .gz or not")
    patterns: tuple[str, ...] = Field((), description="RE2 patterns that match in the URL")


class Labelled(NamedTuple):
    """A class with its domains loaded."""

    label: str
    domains: frozenset[str]
    patterns: tuple[str, ...]


class TagUrl(MapStage[Sequence[Labelled]]):
    """Write the label of the first class that a URL belongs to, or null, to `url_class`.

    Your `classes` come first, in order, then the `known` lists of machine-translated and scanned sources.
    """

    libraries = ("pyarrow",)  # RE2
    summarize = {"url_class": "values"}

    classes: tuple[UrlClass, ...] = Field(
        (),
        description="labels of your own: {label: wiki, domains: [...], domain_files: [...], patterns: [...]}",
    )
    known: tuple[Literal["machine_translated", "scanned"], ...] = Field(
        ("machine_translated", "scanned"), description="built-in lists to use, each its own label"
    )

    def reads(self) -> pa.Schema:
        return pa.schema([URL])

    def writes(self) -> pa.Schema:
        """`url_class`."""
        return pa.schema([URL_CLASS])

    def resources(self) -> Sequence[Path]:
        """All domain files."""
        return [path for one in self.classes for path in one.domain_files]

    def problems(self) -> Sequence[str]:
        """Entries that are no domain, patterns that RE2 refuses, classes that nothing can belong to."""
        problems = []
        for k, one in enumerate(self.classes):
            where = f"classes[{k}]"
            problems += pattern_problems(f"{where}.patterns", one.patterns)
            problems += [f"{where}.domains: {found}" for found in map(domain_problem, one.domains) if found]
            if not (one.domains or one.domain_files or one.patterns):
                problems.append(
                    f"{where}: {one.label!r} has no domains and no patterns, so no URL can have it; add some"
                )
        if not self.classes and not self.known:
            problems.append("params: no class is given, so every label would be null; set classes or known")
        return problems

    def open(self, side: Mapping[str, Path]) -> Sequence[Labelled]:  # noqa: ARG002
        """Read the domain files."""
        own = [
            Labelled(one.label, domain_set([*one.domains, *_listed(one.domain_files)]), one.patterns)
            for one in self.classes
        ]
        known = [(label, KNOWN_SOURCES[label]) for label in self.known]
        return [*own, *(Labelled(label, domain_set(one.domains), one.patterns) for label, one in known)]

    def annotate(self, batch: pa.RecordBatch, resource: Sequence[Labelled]) -> Marks:
        """The label of each URL."""
        return Marks({URL_CLASS.name: label_urls(batch.column(URL.name), resource)})


def _listed(files: Sequence[Path]) -> list[str]:
    return [domain for path in files for domain in read_domains(path)]


def label_urls(urls: pa.Array, classes: Sequence[Labelled]) -> pa.Array:
    """The label of the first class of each URL, string; null for null and for none.

    >>> classes = [Labelled("wiki", frozenset({"wiki.org"}), ()), Labelled("old", frozenset(), ("/19[0-9]{2}/",))]
    >>> label_urls(pa.array(["http://en.wiki.org/1950/", "http://a.b/1950/", "http://a.b/", None]), classes).to_pylist()
    ['wiki', 'old', None, None]
    """
    hosts = pc.fill_null(raw_hosts(urls), "").dictionary_encode()
    names = [normal_host(host) for host in hosts.dictionary.to_pylist()]
    labels = pa.nulls(len(urls), pa.string())
    for one in reversed(classes):
        listed = pa.array([listed_parent(name, one.domains) is not None for name in names], pa.bool_())
        matched = listed.take(hosts.indices)
        for pattern in one.patterns:
            matched = pc.or_(matched, pc.fill_null(pc.match_substring_regex(urls, pattern), False))
        labels = pc.if_else(matched, one.label, labels)
    return labels
