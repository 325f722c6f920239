"""Items of benchmarks, from their published files or the hub, each in its parts: what is looked for in a corpus.

A benchmark is small and must be whole: an item left out could leak unseen, and a list of clean items would be
wrong. So nothing is counted as failed here. A file that is missing, a line that cannot be read, an item without a
question, an answer that means none of the choices and an id that two items have are errors, found before work
starts: of local files when the config is checked, of others when the run begins.
"""

import functools
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import xxhash
from pydantic import Field

from pipeline.errors import DataError
from pipeline.stage import Damage
from stages.sources._benchmark_answers import FORMS, Form
from stages.sources._benchmark_fields import BenchmarkFields
from stages.sources._benchmark_hub import HubSet, cached_files, records_of
from stages.sources._benchmark_items import FilePlace, Item, Made, Reading, fits, make_items, twice
from stages.sources._benchmark_maps import MAPS, USUAL, BenchmarkMap
from stages.sources._benchmark_records import (
    SUFFIXES,
    CsvForm,
    FileError,
    Record,
    ending_of,
    list_data,
    read_records,
)
from stages.sources._benchmark_rows import COLUMNS, SPLIT, batches_of
from stages.sources._benchmark_text import PREFIXES
from stages.sources._benchmark_text import SUFFIXES as ANSWER_SUFFIXES
from stages.sources._files import FilesSource, Located

# What file names say of splits, as in astronomy_test.csv and train-00000-of-00001.parquet.
SPLIT_NAME = re.compile(r"(?:[._-](?:test|dev|val|validation|train))?(?:-\d{5}-of-\d{5})?$")


def file_part(name: str) -> str:
    """What a file is called in the names of benchmarks that have a part a file.

    >>> file_part("test/astronomy_test.csv.gz"), file_part("train-00000-of-00001.parquet")
    ('astronomy', 'train')
    """
    stem = posixpath.basename(_bare(name))
    return SPLIT_NAME.sub("", stem) or stem


def _bare(name: str) -> str:
    for ending in (".gz", ".zst", ".bz2", ".xz", *SUFFIXES):
        name = name.removesuffix(ending)
    return name


class ReadBenchmark(FilesSource):
    """Read the items of a benchmark: one row an item, its parts in `item_parts`, a readable form in `text`.

    A ready map says where known benchmarks keep the parts; `fields` says it for others. An item without an id of
    its own is called by its number in the source, from 0, as in lm-eval's results; where each file is a part of
    the benchmark, by its number in the file; where JSON files are a record each, by the file. Any fault of a file or
    an item is an error before work starts, not a row that is counted as failed: an item left out could leak
    unseen.
    """

    suffixes = SUFFIXES
    libraries = ("datasets", "orjson", "pyarrow", "zstandard")

    paths: str | list[str] = Field(
        [],
        description="files, folders or globs, as local paths or fsspec URLs: JSON lines, JSON, CSV, TSV, Parquet, "
        "Arrow, folders of `save_to_disk`; instead of hub",
    )
    hub: str | None = Field(None, description="data set of the hub, such as openai/gsm8k; instead of paths")
    hub_config: str | None = Field(None, description="its configuration, such as main")
    hub_split: str | None = Field(
        None, description="its split, such as test; of a folder of save_to_disk with splits, the one to read"
    )
    hub_revision: str | None = Field(None, description="its commit or tag; null: the newest")
    benchmark: str | None = Field(None, description=f"ready map: {', '.join(MAPS)}")
    fields: BenchmarkFields | None = Field(
        None,
        description="which field is which part, instead of a ready map's; null without a ready map: usual names",
    )
    name: str | None = Field(
        None, min_length=1, description="what verdicts call it; null: the ready map's name, or the file's"
    )
    part_by_file: bool | None = Field(
        None,
        description="each file is a part of the benchmark: mmlu/astronomy; null: as the ready map has it",
    )
    records: str | None = Field(
        None, description="where a JSON object keeps its items, as names of nested lists: data.paragraphs.qas"
    )
    columns: list[str] = Field([], description="names of the columns of CSV and TSV files without a header")
    header: bool | None = Field(
        None, description="whether they have one; null: they do, unless columns are known and it lacks them"
    )
    where: dict[str, str | int | bool | list[str | int | bool]] = Field(
        {}, description="only records whose field has this value, or one of these: {split: test}"
    )
    answer_form: Form | None = Field(
        None,
        description="how the answer to a multiple-choice item is written; null: the one that fits all items",
    )
    unpack_options: bool | None = Field(
        None,
        description="choices stand at the end of the question, labelled; null: as the ready map has it",
    )
    strip_before: list[str] = Field(
        [],
        description="few-shot examples off: a question begins after the last line that begins with one of these, "
        "such as Question:",
    )
    strip_prefixes: list[str] = Field(list(PREFIXES), description="what questions may begin with, taken off")
    strip_suffixes: list[str] = Field(
        list(ANSWER_SUFFIXES), description="what questions may end in, taken off"
    )
    strip_common_prefix: bool | None = Field(
        None,
        description="take off what all questions of a file begin with, up to the end of a sentence or line; null: "
        "as the ready map has it",
    )
    batch_rows: int = Field(1024, ge=1, description="items in a batch, at most; 32 MB bounds it too")

    def writes(self) -> pa.Schema:
        """Origin, a readable text, the benchmark, the item's id and its parts."""
        return COLUMNS

    def located(self) -> list[Located]:
        """Every data file, once, sorted by path."""
        found = {file.url: file for path in self.patterns() for file in list_data(path, self.hub_split)}
        return [found[url] for url in sorted(found)]

    def split(self) -> Sequence[str]:
        """One partition, if there is anything; what is not local is read here, so that faults come before work.

        Raises:
            DataError: a file that is not on this machine, or a data set of the hub, is not whole.
        """
        if self.hub is None and not self.located():
            return []
        if self.hub is not None or not self._all_local():
            cached_files.cache_clear()  # a run begins: what an earlier one saw may be old
            self.items()
        return [SPLIT]

    def files(self, split: str) -> Sequence[str]:  # noqa: ARG002
        """All files."""
        return cached_files(self._hub()) if self.hub is not None else [file.url for file in self.located()]

    def label(self, split: str) -> str:  # noqa: ARG002
        """The benchmark, with a hash of its files' names."""
        if self.hub is not None:
            return self._hub().title
        base = self.base()
        names = "\n".join(self.relative(file.url, base) for file in self.located())
        return f"{SPLIT} [{xxhash.xxh3_64_hexdigest(names.encode())}]"

    def problems(self) -> Sequence[str]:
        """Params that do not go together; then everything wrong with files on this machine, read whole."""
        found = list(self._wrong_params())
        if found or self.hub is not None:
            return found
        found = list(super().problems())
        if found or not self._all_local():
            return found
        if not self.located():
            return [
                f"paths: no data file among {self.patterns()}; a split of a saved folder goes into hub_split"
            ]
        return list(_file_problems(self.model_dump_json(), _stamps(self.located())))

    def _wrong_params(self) -> Iterator[str]:
        if self.benchmark is not None and self.benchmark not in MAPS:
            yield (
                f"benchmark: there is no ready map '{self.benchmark}'; the maps are {', '.join(MAPS)}; for another "
                "benchmark write `name` and `fields`"
            )
        if self.hub is not None and self.patterns():
            yield "hub and paths: both are given; read one of them in a node, the other in another"
        elif self.hub is None and not self.patterns():
            yield "paths: nothing to read; name files, or a data set with hub and hub_split"
        if self.hub is not None and self.hub_split is None:
            yield f"hub_split: which split of '{self.hub}' is to be read? such as hub_split: test"
        if self.header is False and not (self.columns or self._map().columns):
            yield "header: false needs `columns: [...]`, the names of the columns in order"

    def read(self, split: str, resource: None) -> Iterator[pa.RecordBatch | Damage]:  # noqa: ARG002
        """All items, files in order of their names.

        Raises:
            DataError: a fault of a file or an item.
        """
        yield from batches_of(self.items(), self.batch_rows)

    def items(self) -> list[tuple[str, Item]]:
        """Every item, with its file's name relative to the source.

        Raises:
            DataError: with all faults.
        """
        found, faults = self._items()
        if faults:
            raise DataError("\n".join(faults))
        return found

    def _items(self) -> tuple[list[tuple[str, Item]], list[str]]:
        found: list[tuple[str, Item]] = []
        faults: list[str] = []
        first, several = 0, self.hub is None and len(self.located()) > 1
        for where, name, records in self._records(faults):
            made = self._make(records, name, first, several)
            first += made.records
            faults += [f"{where}: {fault}" for fault in made.faults]
            found += [(name, item) for item in made.items]
        return found, faults or twice(found)

    def _records(self, faults: list[str]) -> Iterator[tuple[str, str, list[Record]]]:
        """(where for messages, name in ids, records) of each file; what cannot be read goes to `faults`."""
        if self.hub is not None:
            title = self._hub().title
            yield f"hub '{title}'", title, records_of(self._hub())
            return
        base, ready = self.base(), self._map()
        layouts = self._layouts()
        columns = tuple(self.columns) or ready.columns
        form = CsvForm(
            columns, self.header, lambda row: any(fits(row.__contains__, layout) for layout in layouts)
        )
        for file in self.located():
            try:
                records = read_records(file.url, self.records or ready.records, form)
            except FileError as error:
                faults.append(f"{file.url}: {error}")
            else:
                yield file.url, self.relative(file.url, base), records

    def _make(self, records: list[Record], file: str, first: int, several: bool) -> Made:
        alone = several and len(records) == 1 and ending_of(file) in (".json", None)
        place = FilePlace(file_part(file), first, _bare(file) if alone else None)
        return make_items(records, self._reading(), place)

    def _reading(self) -> Reading:
        ready = self._map()
        forms = FORMS if self.fields is not None or self.benchmark is None else ready.forms
        where = {k: v if isinstance(v, list) else [v] for k, v in self.where.items()}
        return Reading(
            name=self.name or self.benchmark or self._own_name(),
            layouts=self._layouts(),
            forms=forms if self.answer_form is None else (self.answer_form,),
            unpack=ready.unpack,
            lenient=ready.lenient,
            words=ready.words,
            where={name: [str(value) for value in values] for name, values in where.items()},
            by_file=ready.by_file if self.part_by_file is None else self.part_by_file,
            options=ready.options if self.unpack_options is None else self.unpack_options,
            before=self.strip_before,
            prefixes=self.strip_prefixes,
            suffixes=self.strip_suffixes,
            common=ready.common_prefix if self.strip_common_prefix is None else self.strip_common_prefix,
        )

    def _map(self) -> BenchmarkMap:
        return MAPS.get(self.benchmark or "", BenchmarkMap("", (USUAL,)))

    def _layouts(self) -> Sequence[BenchmarkFields]:
        return (self.fields,) if self.fields is not None else self._map().layouts

    def _own_name(self) -> str:
        if self.hub is not None:
            return self.hub.rpartition("/")[2]
        located = self.located()
        return file_part(located[0].url) if len(located) == 1 else posixpath.basename(self.base())

    def _hub(self) -> HubSet:
        return HubSet(self.hub or "", self.hub_config, self.hub_split or "", self.hub_revision)

    def _all_local(self) -> bool:
        return all("://" not in file.url for file in self.located())


Stamp = tuple[str, int, int]


def _stamps(files: Sequence[Located]) -> tuple[Stamp, ...]:
    """What changes when a local file does."""
    return tuple((file.url, file.size, Path(file.url).stat().st_mtime_ns) for file in files)


@functools.lru_cache(maxsize=256)
def _file_problems(params: str, stamps: tuple[Stamp, ...]) -> tuple[str, ...]:  # noqa: ARG001
    """Faults of local files; a command asks several times, and the stamps say whether a file has changed."""
    return tuple(ReadBenchmark.model_validate_json(params)._items()[1])
