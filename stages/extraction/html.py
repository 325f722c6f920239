"""Raw pages to main text and metadata: which pages to read, what they may cost, and one of the engines.

Same bytes, same text: nothing depends on the clock, on other pages or on the machine's speed. A page that
makes a library raise is left to the engine of the pipeline, which sets that row aside.

Which engine to choose, and what each keeps: docs/extraction.md, with the measurements.
"""

import logging
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import pyarrow as pa
from pydantic import Field

from pipeline.schema import CHARSET, CONTENT, DATE, MEDIA_TYPE, TEXT, TITLE
from pipeline.stage import MapStage, Marks
from stages.extraction._best_model import WEIGHTS
from stages.extraction._budget import Cost, page_cost
from stages.extraction._charset import decode_page
from stages.extraction._clean import clean_text
from stages.extraction._columns import (
    AUTHOR,
    DEFAULT_ITEMS,
    DESCRIPTION,
    EVIDENCE_TYPE,
    EXTRACTION_DOUBT,
    EXTRACTOR,
    ITEMS,
    Item,
)
from stages.extraction._engines import ENGINES, Engine, Favour, Found, Options, extract_union
from stages.extraction._media_type import HTML, PLAIN, media_type_of
from stages.extraction._metadata import Metadata, page_metadata
from stages.extraction._problems import find_problems
from stages.extraction._stop_words import StopLists, load_stop_lists


class Reason(StrEnum):
    """Why a page goes."""

    HTTP_STATUS_NOT_KEPT = "http_status_not_kept"
    MEDIA_TYPE_NOT_KEPT = "media_type_not_kept"
    PAGE_TOO_LARGE = "page_too_large"
    PAGE_TOO_MANY_TAGS = "page_too_many_tags"
    PAGE_TOO_DEEP = "page_too_deep"
    PAGE_TOO_MANY_ATTRIBUTES = "page_too_many_attributes"
    NO_CONTENT = "no_content"


class Outcome(NamedTuple):
    """One page: its text, or why there is none."""

    found: Found | None = None
    metadata: Metadata = Metadata()
    reason: Reason | None = None
    evidence: dict[str, int | str | None] | None = None


class ExtractHtml(MapStage[StopLists | None]):
    """Turn raw pages into main text, title and metadata; rows that come with text pass as they are."""

    version = 2
    reasons = Reason
    libraries = ("trafilatura", "justext", "resiliparse", "lxml", "htmldate")
    checkpoint = True
    summarize = {EXTRACTOR.name: "values"}

    engine: Literal["best", "trafilatura", "resiliparse", "justext", "union"] = Field(
        "best",
        description="best: a cheap extractor, and a dearer one where its result is doubtful; trafilatura: "
        "for articles; resiliparse: fast; justext: by stop words; union: what any of `engines` finds",
    )
    engines: list[Engine] = Field(
        ["resiliparse", "trafilatura"],
        description="of a union: all that the first finds, and lines that only the others find",
    )
    favour: Favour = Field(
        "precision",
        description="what to do in doubt; fast (trafilatura only) skips its second opinions; not with best",
    )
    format: Literal["text", "markdown"] = Field(
        "text",
        description="markdown keeps headings, lists, tables and code; trafilatura and resiliparse only",
    )
    include_tables: bool = Field(True, description="keep the text of tables")
    include_links: bool = Field(False, description="keep link targets beside their text; not with justext")
    include_comments: bool = Field(
        False, description="keep readers' comments; not with justext, which cannot tell them apart"
    )
    language: str = Field(
        "auto",
        description="whose stop words justext uses: a language's English name, or auto for each page's own",
    )
    metadata: bool | list[Item] = Field(
        DEFAULT_ITEMS,
        description="what to read of the page besides its title: all (true), nothing (false), or a list",
    )
    dates: Literal["meta", "htmldate"] | None = Field(
        "meta",
        description="where to look for the day of publication: in tags for it, or with htmldate also in what "
        "is styled as a date; null = not at all",
    )
    media_types: list[str] = Field(
        [HTML, "application/xhtml+xml", PLAIN],
        description="what to read; text/plain is decoded, all else goes to the engine; "
        "a page served without a type is looked at",
    )
    statuses: list[int] | None = Field(
        [200], description="HTTP statuses to read, where the column http_status says one; null = all"
    )
    max_bytes: int | None = Field(10_000_000, ge=1, description="bytes of a page, decompressed; null = off")
    max_tags: int | None = Field(100_000, ge=1, description='how many "<" a page may have; null = off')
    max_depth: int | None = Field(
        200, ge=1, description="how deep elements may nest (an estimate); null = off"
    )
    max_attributes: int | None = Field(
        500, ge=1, description="attributes of one tag; null = off; parsers compare each with all before it"
    )
    min_chars: int = Field(1, ge=1, description="code points of text below which a page has no content")

    def reads(self) -> pa.Schema:
        return pa.schema([CONTENT, MEDIA_TYPE, CHARSET])

    def writes(self) -> pa.Schema:
        doubt = [EXTRACTION_DOUBT] if self.engine == "best" else []
        return pa.schema([TEXT, TITLE, EXTRACTOR, *doubt, *(f for item in self.items() for f in ITEMS[item])])

    def drops(self) -> Sequence[str]:
        return (CONTENT.name, CHARSET.name)

    def resources(self) -> Sequence[Path]:
        return [WEIGHTS] if self.engine == "best" else []

    def problems(self) -> Sequence[str]:
        return find_problems(
            self.engine, self.engines, self.options(), self.language, self.max_depth, self.model_fields_set
        )

    def items(self) -> list[Item]:
        """The metadata to write, in the order of ITEMS."""
        if isinstance(self.metadata, bool):
            return list(ITEMS) if self.metadata else []
        return [item for item in ITEMS if item in self.metadata]

    def options(self) -> Options:
        """What an engine is asked for."""
        return Options(
            self.favour,
            self.include_tables,
            self.include_links,
            self.include_comments,
            self.format == "markdown",
        )

    def open(self, side: Mapping[str, Path]) -> StopLists | None:  # noqa: ARG002
        for name in ("trafilatura", "justext", "htmldate"):
            # they log each page without main text as an error; for us it is a counted outcome
            logging.getLogger(name).setLevel(logging.CRITICAL)
        used = self.engines if self.engine == "union" else [self.engine]
        return load_stop_lists(self.language) if "justext" in used else None

    def annotate(self, batch: pa.RecordBatch, resource: StopLists | None) -> Marks:
        served, charset = batch[MEDIA_TYPE.name].to_pylist(), batch[CHARSET.name].to_pylist()
        status, ready = _optional(batch, "http_status"), _optional(batch, TEXT.name)
        pages = []
        for row, content in enumerate(batch[CONTENT.name]):
            if not content.is_valid and ready[row] is not None:
                pages.append(Outcome(Found(ready[row], None)))
            else:
                pages.append(self.outcome(content.as_py(), served[row], charset[row], status[row], resource))
        reject = pa.array([page.reason for page in pages], pa.string())
        evidence = pa.array([page.evidence for page in pages], EVIDENCE_TYPE)
        return Marks(self._columns(batch, pages), reject, evidence)

    def _columns(self, batch: pa.RecordBatch, pages: list[Outcome]) -> dict[str, pa.Array]:
        """The columns of writes(); a title, author or date that the row has already is not overwritten."""
        found = [page.found or Found(None, None) for page in pages]
        values: dict[str, list[Any]] = {
            TEXT.name: [one.text for one in found],
            EXTRACTOR.name: [one.extractor for one in found],
            EXTRACTION_DOUBT.name: [one.doubt for one in found],
            DATE.name: [page.metadata.published for page in pages],
            **{name: [getattr(page.metadata, name) for page in pages] for name in Metadata._fields},
        }
        for name in (TITLE.name, AUTHOR.name, DATE.name, DESCRIPTION.name):
            known = _optional(batch, name)
            values[name] = [new if old is None else old for old, new in zip(known, values[name], strict=True)]
        return {field.name: pa.array(values[field.name], field.type) for field in self.writes()}

    def outcome(
        self,
        content: bytes | None,
        served: str | None,
        charset: str | None,
        status: int | None,
        stop_lists: StopLists | None,
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
            return self._with_text(Found(decode_page(body, charset).text, "plain"), Metadata(), facts)
        cost = page_cost(body)
        facts |= {"tags": cost.tags, "depth": cost.depth, "attributes": cost.attributes}
        too_much = self._over_budget(cost)
        if too_much:
            return Outcome(reason=too_much, evidence=facts)
        markup = decode_page(body, charset).text
        metadata = page_metadata(markup, self.dates if "date" in self.items() else None)
        return self._with_text(self.extract(markup, stop_lists), metadata, facts)

    def extract(self, markup: str, stop_lists: StopLists | None) -> Found:
        """Main text of a decoded page by the chosen engine; empty if it finds none."""
        if self.engine == "union":
            return extract_union(markup, self.engines, self.options(), stop_lists)
        return ENGINES[self.engine](markup, self.options(), stop_lists)

    def _over_budget(self, cost: Cost) -> Reason | None:
        if self.max_tags is not None and cost.tags > self.max_tags:
            return Reason.PAGE_TOO_MANY_TAGS
        if self.max_depth is not None and cost.depth > self.max_depth:
            return Reason.PAGE_TOO_DEEP
        if self.max_attributes is not None and cost.attributes > self.max_attributes:
            return Reason.PAGE_TOO_MANY_ATTRIBUTES
        return None

    def _with_text(self, found: Found, metadata: Metadata, facts: dict[str, int | str | None]) -> Outcome:
        found = found._replace(text=clean_text(found.text or ""))
        chars = len(found.text or "")
        if chars < self.min_chars:
            return Outcome(found, metadata, Reason.NO_CONTENT, facts | {"chars": chars})
        return Outcome(found, metadata)


def _optional(batch: pa.RecordBatch, name: str) -> list[Any]:
    """A column that may not be there, as null in every row then."""
    if name not in batch.schema.names:
        return [None] * batch.num_rows
    return cast("list[Any]", batch[name].to_pylist())
