"""Folders of HTML files, each a page: its bytes as they lie, for the extractor to make text of."""

from collections.abc import Iterator

import pyarrow as pa

from pipeline.schema import CHARSET, CONTENT, MEDIA_TYPE, ORIGIN, TEXT, URL
from pipeline.stage import Damage
from stages.sources._documents import read_documents
from stages.sources._files import GroupedFiles

COLUMNS = pa.schema([ORIGIN, URL, CONTENT, MEDIA_TYPE, CHARSET, TEXT])
XHTML = (".xhtml", ".xht")


def page_columns(file: str, page: bytes) -> dict[str, object]:
    """A page's row: its bytes, and the kind that its name says."""
    kind = "application/xhtml+xml" if file.lower().endswith(XHTML) else "text/html"
    return {"content": page, "media_type": kind}


class ReadHtml(GroupedFiles):
    """Read HTML files: one row a file, `url` and `charset` null since no server said them."""

    suffixes = (".html", ".htm", ".xhtml", ".xht")
    libraries = ("zstandard",)

    def writes(self) -> pa.Schema:
        """Origin and the page."""
        return COLUMNS

    def read(self, split: str, resource: None) -> Iterator[pa.RecordBatch | Damage]:  # noqa: ARG002
        """The group's pages, sorted by path."""
        return read_documents(self, split, page_columns)
