"""Benchmark files read whole into records: JSON lines, JSON, CSV, TSV, Parquet, Arrow. Any fault ends it."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stages.sources._files import Located, list_path, open_file
from stages.sources._streams import Fault, codec_of_name, read_pieces
from stages.sources.arrow import open_batches
from stages.sources.jsonl import BOM

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow")
# What lies beside the data in folders of `datasets`, and is none.
NOT_DATA = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
# Where JSON objects around a list of items keep it: BBH, SQuAD, TriviaQA, others.
LISTS = ("examples", "data", "Data", "questions", "items", "instances", "rows")

Record = dict[str, Any]


class FileError(Exception):
    """What is wrong with a file, and where in it."""


class CsvForm(NamedTuple):
    """How the rows of a CSV file have names."""

    columns: Sequence[str]  # of files without a header; none: the first row is one
    header: bool | None  # None: the first row is a header if there are no columns, or it has `names`
    names: Callable[[Sequence[str]], bool]  # whether a row has the names that the fields ask for


def list_data(path: str, split: str | None = None) -> list[Located]:
    """The data files of one entry of `paths`; of a folder saved with `save_to_disk`, its Arrow files.

    Args:
        path: a file, a folder or a glob.
        split: of a saved folder with several splits, the one to read.
    """
    found = [file for file in list_path(path, SUFFIXES) if not file.url.endswith(NOT_DATA)]
    saved = [
        f for f in found if f.url.endswith(".arrow") and not f.url.rsplit("/", 1)[-1].startswith("cache-")
    ]
    if saved and all(file.url.endswith(".arrow") for file in found):
        found = saved
    if split is not None:
        found = [file for file in found if split in file.url.split("/")[:-1]]
    return found


def read_bytes(url: str) -> bytes:
    """A file, decompressed by the ending of its name.

    Raises:
        FileError: the compression is broken.
        DataError: it cannot be opened.
    """
    parts = []
    with closing(open_file(url)) as raw:
        for piece in read_pieces(raw, codec_of_name(url)):
            if isinstance(piece, Fault):
                raise FileError(f"{piece.detail}; fetch the file again")
            parts.append(piece.data)
    return b"".join(parts)


def read_records(url: str, path: str | None, form: CsvForm) -> list[Record]:
    """All records of a file, in order.

    Args:
        url: the file.
        path: where a JSON object keeps its items: names of nested lists, `data.paragraphs.qas`; `*` is any name,
            which becomes a field `*`.
        form: for CSV and TSV.

    Raises:
        FileError: it has none, or a part that cannot be read.
        DataError: it cannot be opened.
    """
    ending = ending_of(url)
    data = read_bytes(url)
    if not data.strip():
        raise FileError("the file is empty; a benchmark has items")
    if ending is None and not data.lstrip().startswith((b"{", b"[")):
        raise FileError(f"its name ends in none of {', '.join(SUFFIXES)} (.gz, .zst, .bz2, .xz after it)")
    if ending in (".parquet", ".arrow"):
        records = _table(data, ending)
    elif ending in (".csv", ".tsv"):
        records = _csv(data, form, ending == ".tsv")
    else:
        records = _json(data, ending, path)
    records = [part for record in records for part in unnest(record, path)]
    if not records:
        raise FileError("it holds no items")
    return records


def ending_of(name: str) -> str | None:
    """What a file's name says of its format, whether it is compressed or not.

    >>> ending_of("a/b.JSON.gz"), ending_of("high/1.txt")
    ('.json', None)
    """
    name = name.lower()
    name = name.rpartition(".")[0] if codec_of_name(name) is not None else name
    return next((ending for ending in SUFFIXES if name.endswith(ending)), None)


def _json(data: bytes, ending: str | None, path: str | None) -> list[Record]:
    data = data.removeprefix(BOM).strip()
    if not data.startswith(b"["):
        if ending in (".json", None):
            try:
                return _inside(orjson.loads(data), path)
            except orjson.JSONDecodeError as error:
                if b"\n" not in data or not _is_json(data.split(b"\n", 1)[0]):
                    raise FileError(f"not JSON: {error}") from error
        return list(_lines(data))
    try:
        values = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise FileError(f"not JSON: {error}") from error
    return [_object(value, f"record {number}") for number, value in enumerate(values)]


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _lines(data: bytes) -> Iterator[Record]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            try:
                yield _object(orjson.loads(line), f"line {number}")
            except orjson.JSONDecodeError as error:
                raise FileError(f"line {number}: not JSON: {error}") from error


def _object(value: Any, where: str) -> Record:
    if not isinstance(value, dict):
        raise FileError(f"{where}: a JSON {type(value).__name__}, not an object with fields")
    return value


def _inside(value: Any, path: str | None) -> list[Record]:
    """Items of a JSON object around a list of them; the object itself if it has no such list."""
    top = _object(value, "the file")
    for name in LISTS if path is None else ():
        inner = top.get(name)
        if isinstance(inner, list) and inner and all(isinstance(part, dict) for part in inner):
            return inner
    return [top]


def unnest(record: Record, path: str | None) -> list[Record]:
    """The records in nested lists, each with the fields of what it lies in; levels that are not there are passed.

    >>> unnest({"c": 1, "qas": [{"q": 2}, {"q": 3}]}, "data.qas")
    [{'c': 1, 'q': 2}, {'c': 1, 'q': 3}]
    """
    found = [record]
    for name in path.split(".") if path is not None else ():
        found = [inner for outer in found for inner in _unnest(outer, name)]
    return found


def _unnest(record: Record, name: str) -> Sequence[Record]:
    if name == "*":
        named = [(key, value) for key, value in record.items() if isinstance(value, dict)]
        return [value | {"*": key} for key, value in named] if len(named) == len(record) else [record]
    inner = record.get(name)
    if not isinstance(inner, list) or not all(isinstance(part, dict) for part in inner):
        return [record]
    outer = {key: value for key, value in record.items() if key != name}
    return [outer | part for part in inner]


def _csv(data: bytes, form: CsvForm, tabs: bool) -> list[Record]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FileError(f"line {line}: not UTF-8: {error.reason}; convert the file") from error
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # else passages over 128 KiB are refused
    # Tab-separated benchmarks quote nothing, and begin fields with quotation marks.
    reader = (
        csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
        if tabs
        else csv.reader(io.StringIO(text, newline=""), strict=True)
    )
    rows: list[tuple[int, list[str]]] = []
    try:
        rows += [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise FileError(f"line {reader.line_num}: not CSV: {error}") from error
    return _named(rows, form)


def _named(rows: list[tuple[int, list[str]]], form: CsvForm) -> list[Record]:
    columns = list(form.columns)
    first = [cell.strip() for cell in rows[0][1]]
    header = form.header if form.header is not None else not columns or form.names(first)
    if header:
        columns, rows = first, rows[1:]
    elif not columns:
        raise FileError("without a header the file needs `columns: [...]`, the names of its columns in order")
    records = []
    for line, row in rows:
        if len(row) != len(columns):
            raise FileError(
                f"line {line}: {len(row)} columns, not {len(columns)} ({', '.join(columns[:12])}); mend the row, or "
                "write other `columns`"
            )
        records.append(dict(zip(columns, row, strict=True)))
    return records


def _table(data: bytes, ending: str) -> list[Record]:
    try:
        if ending == ".parquet":
            return pq.read_table(pa.BufferReader(data), use_threads=False).to_pylist()  # type: ignore[no-any-return]
        _, batches = open_batches(io.BytesIO(data))
        return [row for batch in batches for row in batch.to_pylist()]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FileError(f"not {ending[1:].capitalize()}: {error}") from error


def matches(record: Mapping[str, Any], where: Mapping[str, Sequence[str]]) -> bool:
    """Whether a record has one of the values that each field is asked for; compared as text."""
    return all(str(record.get(name)) in values for name, values in where.items())
