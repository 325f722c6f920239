"""The columns that extraction writes beside the canonical ones, and the shape of its evidence."""

from collections.abc import Mapping
from typing import Literal

import pyarrow as pa

from pipeline.schema import DATE

EVIDENCE_TYPE = pa.struct(
    [
        ("bytes", pa.int64()),
        ("tags", pa.int64()),
        ("depth", pa.int64()),
        ("attributes", pa.int64()),
        ("chars", pa.int64()),
        ("media_type", pa.string()),
        ("http_status", pa.int32()),
    ]
)
EXTRACTOR = pa.field("extractor", pa.string())  # which engine made the text; "plain" needed none
EXTRACTION_DOUBT = pa.field("extraction_doubt", pa.float32())  # 0..1: how unsure `best` was of its cheap text
AUTHOR = pa.field("author", pa.string())  # names, joined by "; "
PUBLISHED = pa.field("published", pa.string())  # ISO 8601 day that the page gives; `date` may be the crawl's
LANG_HINT = pa.field("lang_hint", pa.string())  # the language a page declares: "en", "pt-BR"
DESCRIPTION = pa.field("description", pa.string())
CANONICAL_URL = pa.field("canonical_url", pa.string())
Item = Literal["author", "date", "lang_hint", "description", "canonical_url"]
DEFAULT_ITEMS: list[Item] = ["author", "date", "lang_hint"]
# which columns a metadata item writes; `date` is what the row had, else `published`
ITEMS: Mapping[Item, tuple[pa.Field, ...]] = {
    "author": (AUTHOR,),
    "date": (DATE, PUBLISHED),
    "lang_hint": (LANG_HINT,),
    "description": (DESCRIPTION,),
    "canonical_url": (CANONICAL_URL,),
}
