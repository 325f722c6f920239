"""Stored rows as the tables of other libraries, which load when asked for."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds


def as_dataset(files: list[str]) -> Any:
    """A pyarrow dataset over the files."""
    return ds.dataset(files, format="ipc")


def _read(file: str) -> Any:
    import fsspec

    with fsspec.open(file, "rb") as stream, pa.ipc.open_file(stream.read()) as reader:
        return reader.read_all()


def _frame(file: str) -> Any:
    import pandas as pd

    return _read(file).to_pandas(types_mapper=pd.ArrowDtype)


def _rows(file: str) -> list[dict[str, Any]]:
    return _read(file).to_pylist()  # type: ignore[no-any-return]


def as_dataframe(files: list[str]) -> Any:
    """A Dask DataFrame, one partition a file, with Arrow-backed columns."""
    import dask.dataframe as dd

    return dd.from_map(_frame, files, meta=_frame(files[0]).iloc[:0])


def as_bag(files: list[str]) -> Any:
    """A Dask Bag of rows as dicts."""
    import dask.bag as db
    from dask.delayed import delayed

    return db.from_delayed([delayed(_rows)(file) for file in files])


def as_datasets(files: list[str]) -> Any:
    """A `datasets.Dataset` over the same Arrow data."""
    import datasets

    return datasets.concatenate_datasets([datasets.Dataset(_read(file)) for file in files])


VIEWS: Mapping[str, Callable[[list[str]], Any]] = {
    "dataframe": as_dataframe,
    "bag": as_bag,
    "dataset": as_dataset,
    "datasets": as_datasets,
}
