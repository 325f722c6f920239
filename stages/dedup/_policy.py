"""Which of several like documents survives, and how a verdict about the others becomes a rejection."""

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import DATE, ID, SOURCE
from pipeline.stage import ANY_TYPE, GlobalStage, Marks

R = TypeVar("R")
CLUSTER_SIZES = (2, 3, 4, 5, 6, 8, 11, 21, 51, 101, 1001, 10001, 100001)  # edges of bins for reports
_DAY = r"^(?P<y>[0-9]{4})(?:-(?P<m>[0-9]{2})(?:-(?P<d>[0-9]{2}))?)?"
_NO_DAY = 99_999_999


def source_ranks(source: pa.Array, preferred: Sequence[str]) -> pa.Array:
    """Place of each row's source in the list, as int32; a source that is not in it comes after all that are.

    >>> source_ranks(pa.array(["web", "books"]).dictionary_encode(), ["books"]).to_pylist()
    [1, 0]
    """
    names = source.dictionary_decode() if pa.types.is_dictionary(source.type) else source
    places = pc.index_in(names, value_set=pa.array(list(preferred), names.type))
    return pc.fill_null(places, len(preferred)).cast(pa.int32())


def day_numbers(dates: pa.Array) -> pa.Array:
    """Days of ISO dates as int64 that sort like them (yyyymmdd); a missing month or day is 00; null without a year.

    >>> day_numbers(pa.array(["2024-05-01T10:00Z", "2024", "soon", None])).to_pylist()
    [20240501, 20240000, None, None]
    """
    parts = pc.extract_regex(dates.cast(pa.string()), _DAY)
    total = pa.repeat(pa.scalar(0, pa.int64()), len(dates))
    for name, weight in (("y", 10_000), ("m", 100), ("d", 1)):
        digits = pc.struct_field(parts, name)
        number = pc.if_else(pc.equal(digits, ""), "0", digits).cast(pa.int64())
        total = pc.add(total, pc.multiply(number, weight))
    return total


def repeated_sources(preferred: Sequence[str]) -> list[str]:
    """What is wrong with a list of preferred sources: a name that is there twice."""
    twice = sorted({name for name in preferred if list(preferred).count(name) > 1})
    return [f"source_priority names {name!r} twice; leave one" for name in twice]


def reject_rows(rows: int, verdicts: pa.Table, reason: str, evidence: pa.StructType) -> Marks:
    """Reject each row that has a verdict, with the verdict's columns as evidence.

    Args:
        rows: in the batch.
        verdicts: `row` and the fields of `evidence`; any columns when it has no rows.
        reason: of every rejection.
        evidence: the fields to hand on.
    """
    if not verdicts.num_rows:
        return Marks(reject=pa.nulls(rows, pa.string()), evidence=pa.nulls(rows, evidence))
    place = np.full(rows, -1, np.int64)
    place[verdicts["row"].to_numpy()] = np.arange(verdicts.num_rows)
    missing = place < 0
    indices = pa.array(place, pa.int64(), mask=missing)
    fields = [evidence.field(i) for i in range(evidence.num_fields)]
    values = [_plain(verdicts[f.name]).cast(f.type).take(indices) for f in fields]
    return Marks(
        reject=pc.if_else(pa.array(missing), pa.scalar(None, pa.string()), reason),
        evidence=pa.StructArray.from_arrays(values, fields=fields, mask=pa.array(missing)),
    )


def hash_halves(id_hash: pa.Array) -> np.ndarray:
    """The first 64 bits of each id's hash: a total order of documents that depends on nothing but their ids."""
    raw = np.frombuffer(id_hash.buffers()[1], np.uint8)[
        id_hash.offset * 16 : (id_hash.offset + len(id_hash)) * 16
    ]
    halves: np.ndarray = raw.reshape(-1, 16)[:, :8].copy().view(np.uint64).reshape(-1)
    return halves


def mix_references(numbers: np.ndarray) -> np.ndarray:
    """Uniform keys from document references (splitmix64's finisher)."""
    h = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = h ^ (h >> np.uint64(31))
    return mixed


def distinct(numbers: np.ndarray) -> np.ndarray:
    """Each number once, ascending; np.unique() goes through a hash table, which takes ten times as long.

    >>> distinct(np.array([7, 3, 7], np.uint64)).tolist()
    [3, 7]
    """
    ascending = np.sort(numbers)
    new = np.ones(len(ascending), bool)
    new[1:] = ascending[1:] != ascending[:-1]
    once: np.ndarray = ascending[new]
    return once


def group_starts(keys: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Where each run of equal keys begins, and the number of keys at the end.

    >>> group_starts(pa.array([3, 3, 5], pa.uint64())).tolist()
    [0, 2, 3]
    """
    keys = _plain(keys)
    if not len(keys):
        return np.zeros(1, np.int64)
    changes = np.asarray(pc.not_equal(keys[1:], keys[:-1]))
    return np.concatenate([[0], np.flatnonzero(changes) + 1, [len(keys)]]).astype(np.int64)


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


class SurvivorPolicy(GlobalStage[R]):
    """What the stages have in common that keep one document of several: which one."""

    source_priority: list[str] = Field(
        default=[], description="sources whose documents survive, best first; the others come after these"
    )
    quality: str | None = Field(
        None, description="a numeric column; within a source the document with the largest value survives"
    )
    prefer: Literal["longest", "shortest", "newest", "oldest", "first"] = Field(
        "first",
        description="which survives of equal source and quality: by length, by `date`, or the smallest id",
    )

    def policy_reads(self) -> list[pa.Field]:
        """Columns that the policy looks at."""
        dated = [DATE] if self.prefer in ("newest", "oldest") else []
        scored = [pa.field(self.quality, ANY_TYPE)] if self.quality else []
        return [ID, SOURCE, *dated, *scored]

    def problems(self) -> Sequence[str]:
        """A source named twice."""
        return repeated_sources(self.source_priority)

    @property
    def policy_order(self) -> list[str]:
        """Columns of policy_columns() that sort documents, the survivor first."""
        ranked = [] if self.prefer == "first" else ["rank"]
        return ["priority", *(["quality"] if self.quality else []), *ranked, "id"]

    def policy_columns(self, batch: pa.RecordBatch, rows: pa.Array, texts: pa.Array) -> dict[str, pa.Array]:
        """The columns that the policy sorts by, ascending.

        Args:
            batch: has the columns of policy_reads().
            rows: the rows wanted, as indices of the batch.
            texts: what lengths are measured of (strings: code points; else bytes), one for each of `rows`.
        """
        columns = {"priority": source_ranks(batch["source"], self.source_priority).take(rows)}
        if self.quality:
            values = batch[self.quality].take(rows).cast(pa.float64())
            known = pc.and_(pc.is_valid(values), pc.invert(pc.fill_null(pc.is_nan(values), True)))
            columns["quality"] = pc.if_else(known, pc.negate(values), float("inf"))
        if self.prefer != "first":
            columns["rank"] = self._ranks(batch, rows, texts)
        return columns | {"id": batch["id"].take(rows)}

    def _ranks(self, batch: pa.RecordBatch, rows: pa.Array, texts: pa.Array) -> pa.Array:
        if self.prefer in ("newest", "oldest"):
            days = day_numbers(batch["date"].take(rows))
            return pc.fill_null(pc.negate(days) if self.prefer == "newest" else days, _NO_DAY)
        is_text = pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)
        lengths = pc.utf8_length(texts) if is_text else pc.binary_length(texts)
        lengths = pc.fill_null(lengths, 0).cast(pa.int64())
        return pc.negate(lengths) if self.prefer == "longest" else lengths
