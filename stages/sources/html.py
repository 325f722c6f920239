"""Folders of HTML files, each a page: its bytes as they lie, for the extractor to make text of."""

from collections.abc import Iterator

import pyarrow as pa

from pipeline.schema import CHARSET, CONTENT, MEDIA_TYPE, ORIGIN, TEXT, URL
from pipeline.stage import Damage
from stages.sources._documents import KEY, read_whole
from stages.sources._files import BATCH_BYTES, GroupedFiles
from stages.sources._rows import Rows

COLUMNS = pa.schema([ORIGIN, URL, CONTENT, MEDIA_TYPE, CHARSET, TEXT])
XHTML = (".xhtml", ".xht")


class ReadHtml(GroupedFiles):
    """Read HTML files: one row a file, `url` and `charset` null since no server said them."""

    suffixes = (".html", ".htm", ".xhtml", ".xht")
    libraries = ("zstandard",)

    def writes(self) -> pa.Schema:
        """Origin and the page."""
        return COLUMNS

    def read(self, split: str, resource: None) -> Iterator[pa.RecordBatch | Damage]:  # noqa: ARG002
        """The group's pages, sorted by path."""
        rows, base = Rows(self.writes(), self.batch_rows, BATCH_BYTES), self.base()
        for url in self.files(split):
            file = self.relative(url, base)
            page = read_whole(url, file, self.max_record_bytes)
            if isinstance(page, Damage):
                yield page
                continue
            kind = "application/xhtml+xml" if file.lower().endswith(XHTML) else "text/html"
            yield from rows.add(file, KEY, 0, {"content": page, "media_type": kind})
        yield from rows.flush()
