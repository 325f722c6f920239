"""Reject every document but one of those from the same address."""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from pipeline.schema import TEXT, URL
from pipeline.stage import Marks
from stages.dedup._policy import CLUSTER_SIZES, SurvivorPolicy, reject_rows
from stages.dedup._urls import DEFAULT_PAGES, SESSION_PARAMS, TRACKING_PARAMS, UrlRules, canonical_urls
from stages.dedup.exact import content_keys, name_losers

EVIDENCE_TYPE = pa.struct([("survivor", pa.string()), ("url", pa.string()), ("cluster_size", pa.int64())])


class UrlReason(StrEnum):
    """Why a document falls."""

    DUPLICATE_URL = "duplicate_url"


class UrlDedup(SurvivorPolicy[None]):
    """Of all documents whose URLs come to the same canonical form, keep one.

    Two crawls of one page differ in scheme, `www.`, tracking parameters or session; the texts may differ too, so
    `prefer: newest` (by `date`) or `longest` is a choice to make. Documents without a URL, or with one that names no
    host, are nobody's duplicates. The text is not compared: where a site has different pages behind one canonical
    form, all but one are lost, so look at `url` in the evidence before trusting the settings marked as risky.
    """

    reasons = UrlReason
    singles: ClassVar[bool] = False
    measures = {"cluster_size": CLUSTER_SIZES}

    merge_schemes: bool = Field(True, description="http and https are one")
    strip_www: bool = Field(True, description="www.example.com is example.com")
    fragments: Literal["drop", "routes", "keep"] = Field(
        "routes",
        description="what follows #: dropped, dropped unless it begins with ! or / (pages of one address that "
        "scripts tell apart), or kept",
    )
    strip_trailing_slash: bool = Field(True, description="/a/ is /a")
    collapse_slashes: bool = Field(True, description="/a//b is /a/b")
    decode_unreserved: bool = Field(True, description="%61 and %7E are a and ~ (RFC 3986)")
    default_pages: list[str] = Field(
        default=list(DEFAULT_PAGES), description="file names that stand for their folder, such as index.html"
    )
    ignored_params: list[str] = Field(
        default=list(TRACKING_PARAMS),
        description="query parameters that do not tell pages apart; a `*` at the end stands for anything",
    )
    session_params: list[str] = Field(
        default=list(SESSION_PARAMS),
        description="more of them, that name a visit, also after `;` in a path; risky where `sid` is a page's number",
    )
    more_ignored_params: list[str] = Field(
        default=[], description="added to the two lists above, such as [ref, source, campaign]"
    )
    sort_params: bool = Field(True, description="order of query parameters does not count")
    drop_empty_params: bool = Field(True, description="`a=` is no parameter; a name without `=` is one")

    @property
    def rules(self) -> UrlRules:
        """What makes two URLs one."""
        return UrlRules(
            ignored_params=(*self.ignored_params, *self.more_ignored_params),
            session_params=self.session_params,
            default_pages=self.default_pages,
            fragments=self.fragments,
            merge_schemes=self.merge_schemes,
            strip_www=self.strip_www,
            strip_trailing_slash=self.strip_trailing_slash,
            collapse_slashes=self.collapse_slashes,
            sort_params=self.sort_params,
            drop_empty_params=self.drop_empty_params,
            decode_unreserved=self.decode_unreserved,
        )

    def reads(self) -> pa.Schema:
        """The URL, and what the survivor policy looks at."""
        fields = [f for f in self.policy_reads() if f.name != URL.name]
        return pa.schema([*fields, URL, *([TEXT] if self.prefer in ("longest", "shortest") else [])])

    def problems(self) -> Sequence[str]:
        """Names that would match everything or nothing; a source named twice."""
        found = list(super().problems())
        for param in ("ignored_params", "session_params", "more_ignored_params", "default_pages"):
            found += [
                f"{param} has {name!r}; write a name, or the beginning of one and a * behind it"
                for name in getattr(self, param)
                if not name.removesuffix("*") or "*" in name[:-1]
            ]
        return found

    def order(self, round: int) -> Sequence[str]:  # noqa: ARG002
        """The survivor comes first."""
        return self.policy_order

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:  # noqa: ARG002
        """One row for each document whose URL names a host."""
        keys, rows = content_keys(canonical_urls(batch["url"], self.rules))
        at = pa.array(rows, pa.int64())
        by_length = self.prefer in ("longest", "shortest")
        policy = self.policy_columns(batch, at, batch["text"].take(at) if by_length else at)
        return pa.table({"key": keys, "row": at.cast(pa.int32()), **policy})

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:  # noqa: ARG002
        """Every document after the first of its URL, with the id of that first."""
        return name_losers(bucket)

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        """Reject what has a survivor."""
        if verdicts.num_rows:
            lost = batch["url"].take(verdicts["row"].combine_chunks())
            verdicts = verdicts.append_column("url", canonical_urls(lost, self.rules).cast(pa.string()))
        return reject_rows(batch.num_rows, verdicts, UrlReason.DUPLICATE_URL, EVIDENCE_TYPE)
