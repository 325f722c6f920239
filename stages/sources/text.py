"""Plain text files, each a document."""

from collections.abc import Iterator
from typing import Literal

import pyarrow as pa
from pydantic import Field

from pipeline.schema import ORIGIN, TEXT
from pipeline.stage import Damage
from stages.sources._documents import KEY, read_documents
from stages.sources._files import GroupedFiles

COLUMNS = pa.schema([ORIGIN, TEXT])


class ReadText(GroupedFiles):
    """Read text files: one row a file, its line breaks as they are."""

    suffixes = (".txt", ".md", ".rst", ".text")
    libraries = ("zstandard",)

    charset: str = Field("utf-8", description="charset of every file; a byte order mark is taken off UTF-8")
    errors: Literal["strict", "replace"] = Field(
        "strict",
        description="bytes that are no text: strict counts the file as failed, replace writes U+FFFD",
    )

    def problems(self) -> list[str]:
        """Also a charset that Python does not know."""
        found = list(super().problems())
        try:
            b"a".decode(self.charset, "ignore")  # of no bytes at all, Python would not look the charset up
        except LookupError:
            found.append(
                f"charset: '{self.charset}' is unknown; write one such as utf-8, cp1252 or shift_jis"
            )
        return found

    def writes(self) -> pa.Schema:
        """Origin and text."""
        return COLUMNS

    def read(self, split: str, resource: None) -> Iterator[pa.RecordBatch | Damage]:  # noqa: ARG002
        """The group's files, sorted by path."""
        return read_documents(self, split, self._columns)

    def _columns(self, file: str, data: bytes) -> dict[str, object] | Damage:
        try:
            return {"text": data.decode(self.charset, self.errors).removeprefix("\ufeff")}
        except UnicodeDecodeError as error:
            detail = (
                f"not {self.charset}: {error.reason} at byte {error.start}; errors: replace would keep it"
            )
            return Damage(file, KEY, error.start, "bad_charset", detail)
