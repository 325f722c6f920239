"""Which field of a JSON object, or column of a table, becomes which column of a document."""

import decimal
from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa
from pydantic import Field

from pipeline.schema import DATE, METADATA, ORIGIN, TEXT, URL
from stages.sources._files import FilesSource

COLUMNS = pa.schema([ORIGIN, TEXT, URL, DATE, METADATA])


class FieldError(Exception):
    """An object that does not have what the mapping asks for."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


class MappedFiles(FilesSource):
    """A source whose records have named fields. A dotted name goes into nested ones: `meta.url`."""

    text: str | None = Field(
        "text", description="field with the document; null leaves `text` null and all fields in `metadata`"
    )
    id: str | None = Field(
        None,
        description="field with the record's own id; null, or a record without it, takes its number",
    )
    url: str | None = Field(None, description="field with the address")
    date: str | None = Field(None, description="field with the date, best as ISO 8601")
    keep_metadata: bool = Field(True, description="keep all other fields, as JSON in `metadata`")

    def writes(self) -> pa.Schema:
        """Origin, the mapped fields and the rest."""
        return COLUMNS


def look_up(record: Mapping[str, Any], path: str) -> tuple[bool, Any]:
    """Whether a record has a field, and its value.

    >>> look_up({"a": {"b": 1}}, "a.b"), look_up({"a.b": 2}, "a.b"), look_up({}, "a")
    ((True, 1), (True, 2), (False, None))
    """
    if path in record:
        return True, record[path]
    value: Any = record
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return False, None
        value = value[name]
    return True, value


def take_out(record: dict[str, Any], path: str) -> None:
    """Remove a field that has become a column."""
    if path in record:
        del record[path]
        return
    *folders, last = path.split(".")
    value: Any = record
    for name in folders:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, dict):
        value.pop(last, None)


def map_record(record: dict[str, Any], fields: MappedFiles) -> tuple[str | None, dict[str, Any]]:
    """The key and the columns of one JSON object, which is used up.

    Raises:
        FieldError: the text field is missing, or is not text. A text of null stays null.
    """
    found: dict[str, Any] = {}
    key: str | None = None
    if fields.text is not None:
        there, text = look_up(record, fields.text)
        if not there:
            names = ", ".join(sorted(record)[:8]) or "none"
            raise FieldError("missing_text", f"no field '{fields.text}'; its fields are: {names}")
        if text is not None and not isinstance(text, str):
            raise FieldError("bad_text", f"field '{fields.text}' is a {type(text).__name__}, not text")
        found["text"] = text
    for column, path in (("id", fields.id), ("url", fields.url), ("date", fields.date)):
        value = look_up(record, path)[1] if path is not None else None
        found[column] = plain_text(value)
    key = found.pop("id")
    if fields.keep_metadata:
        if fields.text is not None:
            for path in (fields.text, fields.id, fields.url, fields.date):
                if path is not None:
                    take_out(record, path)
        found["metadata"] = to_json(record)
    return key, found


def plain_text(value: Any) -> str | None:
    """A scalar as text; null, and what is no scalar, as null."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(value)


def to_json(value: Any) -> str:
    """Compact JSON of anything that comes out of JSON, Parquet or Arrow."""
    return orjson.dumps(value, default=_other, option=orjson.OPT_NON_STR_KEYS).decode()


def _other(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, tuple | set):
        return list(value)
    return str(value)
