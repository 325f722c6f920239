"""Raw pages to main text: which pages to read, what they may cost, and one of three engines.

Same bytes, same text: nothing depends on the clock, on other pages or on the machine's speed. A page that
makes a library raise is left to the engine, which sets that row aside.

Token precision / recall / F1, mean over pages, on 58 news articles and on 130 varied pages, and pages a CPU
second (benchmarks/extraction.py, tests/quality/test_extraction_quality.py), without readers' comments:

    trafilatura precision   .974 .992 .982    .977 .918 .934    48
    trafilatura balanced    .937 .994 .959    .959 .938 .935    50
    trafilatura recall      .948 .994 .968    .966 .935 .939    72
    trafilatura fast        .949 .994 .968    .978 .912 .927    68
    resiliparse precision   .911 .996 .949    .939 .971 .950   560
    justext     precision   .713 .730 .705    .552 .504 .507    70
"""

import logging
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import pyarrow as pa
from pydantic import Field

from pipeline.schema import CHARSET, CONTENT, MEDIA_TYPE, TEXT, TITLE
from pipeline.stage import MapStage, Marks
from stages.extraction._budget import Cost, page_cost
from stages.extraction._charset import decode_page
from stages.extraction._clean import clean_text, page_title
from stages.extraction._justext import extract_justext, languages, stop_words
from stages.extraction._resiliparse import extract_resiliparse
from stages.extraction._trafilatura import extract_trafilatura

HTML, PLAIN, BINARY = "text/html", "text/plain", "application/octet-stream"
MAX_JUSTEXT_DEPTH = 200  # it walks the tree recursively, and a table counts once for its four levels
EVIDENCE_TYPE = pa.struct(
    [
        ("bytes", pa.int64()),
        ("tags", pa.int64()),
        ("depth", pa.int64()),
        ("chars", pa.int64()),
        ("media_type", pa.string()),
        ("http_status", pa.int32()),
    ]
)
_LOOKS_LIKE_HTML = re.compile(
    rb"<(?:!doctype\s|!--|html|head|body|title|meta|script|style|div|p|h1|table|a|br|font)[\s>/]?",
    re.IGNORECASE,
)
_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
)


class Reason(StrEnum):
    """Why a page goes."""

    HTTP_STATUS_NOT_KEPT = "http_status_not_kept"
    MEDIA_TYPE_NOT_KEPT = "media_type_not_kept"
    PAGE_TOO_LARGE = "page_too_large"
    PAGE_TOO_MANY_TAGS = "page_too_many_tags"
    PAGE_TOO_DEEP = "page_too_deep"
    NO_CONTENT = "no_content"


class Outcome(NamedTuple):
    """One page: its text, or why there is none."""

    text: str | None = None
    title: str | None = None
    reason: Reason | None = None
    evidence: dict[str, int | str | None] | None = None


def media_type_of(content: bytes, served: str | None) -> str:
    """What a page is: as served, unless its first bytes say that this is wrong or nothing was said.

    >>> media_type_of(b"%PDF-1.7 ...", "text/html"), media_type_of(b" <!DOCTYPE html>", None)
    ('application/pdf', 'text/html')
    """
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    said = (served or "").partition(";")[0].strip().lower()
    if said:
        return said
    head = content[:1024]
    if _LOOKS_LIKE_HTML.search(head):
        return HTML
    return BINARY if b"\0" in head else PLAIN


class ExtractHtml(MapStage[frozenset[str]]):
    """Turn raw pages into main text and title; rows that come with text already pass as they are."""

    reasons = Reason
    libraries = ("trafilatura", "justext", "resiliparse", "lxml")
    checkpoint = True

    engine: Literal["trafilatura", "justext", "resiliparse"] = Field(
        "trafilatura",
        description="trafilatura: best on articles; resiliparse: ten times as fast, better on other pages; "
        "justext: by stop words, needs `language`",
    )
    favour: Literal["precision", "balanced", "recall", "fast"] = Field(
        "precision", description="what to do in doubt; fast (trafilatura only) skips its second opinions"
    )
    include_tables: bool = Field(True, description="keep the text of tables")
    include_links: bool = Field(False, description="keep link targets beside their text; not with justext")
    include_comments: bool = Field(
        False, description="keep readers' comments; not with justext, which cannot tell them apart"
    )
    language: str = Field("English", description="whose stop words justext uses, by its English name")
    media_types: list[str] = Field(
        [HTML, "application/xhtml+xml", PLAIN],
        description="what to read; text/plain is decoded, all else goes to the engine; "
        "a page served without a type is looked at",
    )
    statuses: list[int] | None = Field(
        [200], description="HTTP statuses to read, where the column http_status says one; null = all"
    )
    max_bytes: int | None = Field(10_000_000, ge=1, description="bytes of a page, decompressed; null = off")
    max_tags: int | None = Field(
        100_000, ge=1, description='how many "<" a page may have; null = off; lower it for justext'
    )
    max_depth: int | None = Field(
        200, ge=1, description="how deep elements may nest (an estimate); null = off"
    )
    min_chars: int = Field(1, ge=1, description="code points of text below which a page has no content")

    def reads(self) -> pa.Schema:
        return pa.schema([CONTENT, MEDIA_TYPE, CHARSET])

    def writes(self) -> pa.Schema:
        return pa.schema([TEXT, TITLE])

    def drops(self) -> Sequence[str]:
        return (CONTENT.name, CHARSET.name)

    def problems(self) -> Sequence[str]:
        found = []
        if self.favour == "fast" and self.engine != "trafilatura":
            found.append(
                f"favour: only trafilatura has 'fast'; with {self.engine} write precision, balanced or recall"
            )
        if self.engine == "justext":
            if self.language not in languages():
                found.append(
                    f"language: justext has no stop words for {self.language!r}; write one such as 'German'"
                )
            if self.include_links or self.include_comments:
                found.append("include_links, include_comments: justext has neither; leave them out")
            if self.max_depth is None or self.max_depth > MAX_JUSTEXT_DEPTH:
                found.append(f"max_depth: justext is recursive; write {MAX_JUSTEXT_DEPTH} or less")
        return found

    def open(self, side: Mapping[str, Path]) -> frozenset[str]:  # noqa: ARG002
        for name in ("trafilatura", "justext"):
            # they log each page without main text as an error; for us it is a counted outcome
            logging.getLogger(name).setLevel(logging.CRITICAL)
        return stop_words(self.language) if self.engine == "justext" else frozenset()

    def annotate(self, batch: pa.RecordBatch, resource: frozenset[str]) -> Marks:
        served, charset = batch[MEDIA_TYPE.name].to_pylist(), batch[CHARSET.name].to_pylist()
        status = _optional(batch, "http_status")
        ready, titles = _optional(batch, TEXT.name), _optional(batch, TITLE.name)
        pages = []
        for row, content in enumerate(batch[CONTENT.name]):
            if not content.is_valid and ready[row] is not None:
                pages.append(Outcome(ready[row], titles[row]))
            else:
                pages.append(self.outcome(content.as_py(), served[row], charset[row], status[row], resource))
        columns = {
            TEXT.name: pa.array([page.text for page in pages], TEXT.type),
            TITLE.name: pa.array([page.title for page in pages], TITLE.type),
        }
        reject = pa.array([page.reason for page in pages], pa.string())
        return Marks(columns, reject, pa.array([page.evidence for page in pages], EVIDENCE_TYPE))

    def outcome(
        self,
        content: bytes | None,
        served: str | None,
        charset: str | None,
        status: int | None,
        stoplist: frozenset[str],
    ) -> Outcome:
        """What becomes of one page; `content` null is a page without a body."""
        body = content or b""
        kind = media_type_of(body, served)
        facts: dict[str, int | str | None] = {"bytes": len(body), "media_type": kind, "http_status": status}
        if self.statuses is not None and status is not None and status not in self.statuses:
            return Outcome(reason=Reason.HTTP_STATUS_NOT_KEPT, evidence=facts)
        if kind not in self.media_types:
            return Outcome(reason=Reason.MEDIA_TYPE_NOT_KEPT, evidence=facts)
        if self.max_bytes is not None and len(body) > self.max_bytes:
            return Outcome(reason=Reason.PAGE_TOO_LARGE, evidence=facts)
        if kind == PLAIN:
            return self._with_text(clean_text(decode_page(body, charset).text), None, facts)
        cost = page_cost(body)
        facts |= {"tags": cost.tags, "depth": cost.depth}
        too_much = self._over_budget(cost)
        if too_much:
            return Outcome(reason=too_much, evidence=facts)
        markup = decode_page(body, charset).text
        return self._with_text(clean_text(self.extract(markup, stoplist)), page_title(markup), facts)

    def extract(self, markup: str, stoplist: frozenset[str]) -> str:
        """Main text of a decoded page by the chosen engine; empty if it finds none."""
        if self.engine == "trafilatura":
            return extract_trafilatura(
                markup, self.favour, self.include_tables, self.include_links, self.include_comments
            )
        favour = cast("Literal['precision', 'balanced', 'recall']", self.favour)
        if self.engine == "justext":
            return extract_justext(markup, favour, stoplist, self.include_tables)
        return extract_resiliparse(
            markup, favour, self.include_tables, self.include_links, self.include_comments
        )

    def _over_budget(self, cost: Cost) -> Reason | None:
        if self.max_tags is not None and cost.tags > self.max_tags:
            return Reason.PAGE_TOO_MANY_TAGS
        if self.max_depth is not None and cost.depth > self.max_depth:
            return Reason.PAGE_TOO_DEEP
        return None

    def _with_text(self, text: str, title: str | None, facts: dict[str, int | str | None]) -> Outcome:
        if len(text) < self.min_chars:
            return Outcome(text, title, Reason.NO_CONTENT, facts | {"chars": len(text)})
        return Outcome(text, title)


def _optional(batch: pa.RecordBatch, name: str) -> list[Any]:
    """A column that may not be there, as null in every row then."""
    if name not in batch.schema.names:
        return [None] * batch.num_rows
    return cast("list[Any]", batch[name].to_pylist())
