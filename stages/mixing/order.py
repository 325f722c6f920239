"""Put all documents in one order: shuffled, by a column, by phases, or shuffled within steps of a column."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pipeline.schema import ID_HASH, hash_fractions
from pipeline.stage import ANY_TYPE, ArrangeStage

SHUFFLE = "shuffle"
_SIGN = np.uint64(1) << np.uint64(63)
_LAST = np.uint64(0xFFFFFFFFFFFFFFFF)


class Key(BaseModel):
    """What documents are ordered by."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    column: str = Field(min_length=1, description="a column of numbers; null and NaN come last")
    descending: bool = Field(False, description="the largest first")
    step: float | None = Field(
        None, gt=0, description="values within so much of each other are alike; what follows orders them"
    )
    ratio: float | None = Field(
        None, gt=1, description="values above 0 within such a factor of each other are alike: 1.25"
    )


def places_of(values: pa.Array, key: Key) -> np.ndarray:
    """Numbers that sort as the column's values do; uint64, null and NaN last.

    Raises:
        ValueError: the column holds no numbers.

    >>> places_of(pa.array([2, None, -1]), Key(column="n")).argsort().tolist()
    [2, 0, 1]
    """
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    if not (
        pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_null(values.type)
    ):
        raise ValueError(f"column '{key.column}' is {values.type}; order by a column of numbers")
    missing = pc.is_null(values, nan_is_null=True).to_numpy(zero_copy_only=False)
    whole = pa.types.is_integer(values.type) and key.step is None and key.ratio is None
    plain = pc.fill_null(values.cast(pa.int64() if whole else pa.float64()), 0).to_numpy(zero_copy_only=False)
    places = plain.view(np.uint64) ^ _SIGN if whole else _float_places(_rounded(plain, key))
    if key.descending:
        places = ~places
    return np.where(missing, _LAST, np.minimum(places, _LAST - np.uint64(1)))


def _rounded(values: np.ndarray, key: Key) -> np.ndarray:
    if key.step is not None:
        return np.asarray(np.floor(values / key.step))
    if key.ratio is not None:
        above = np.maximum(values, np.finfo(np.float64).tiny)
        return np.asarray(np.where(values > 0, np.floor(np.log(above) / np.log(key.ratio)), -np.inf))
    return values


def _float_places(values: np.ndarray) -> np.ndarray:
    """Bits of doubles in an order of their own: a negative number's turned round, the others above them."""
    bits = (values + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


class OrderDocuments(ArrangeStage[None]):
    """Put all documents in one order, and cut it into new partitions; sinks behind it write in this order.

    Documents that the keys leave alike are ordered by a hash of their id. Reports count what follows under this
    node's name, as the documents of all sources are mixed.
    """

    by: list[str | Key] = Field(
        [SHUFFLE],
        min_length=1,
        description="what counts first, second ...: `shuffle`, the name of a column of numbers (such as mix_phase), "
        "or {column, descending, step, ratio}",
    )
    partitions: int | None = Field(
        None, ge=1, description="how many to cut, of about as many documents; null: as many as came"
    )
    seed: int = Field(0, description="chooses the order that `shuffle` gives")

    def reads(self) -> pa.Schema:
        """The columns that are ordered by."""
        keys = [key for key in self._keys() if key is not None]
        return pa.schema([ID_HASH, *(pa.field(key.column, ANY_TYPE) for key in keys)])

    def problems(self) -> Sequence[str]:
        """A key that is there twice or has two steps, keys behind a shuffle."""
        keys = self._keys()
        names = [SHUFFLE if key is None else key.column for key in keys]
        found = [f"by: '{name}' is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
        if SHUFFLE in names[:-1]:
            found.append(
                "by: shuffle leaves no two documents alike, so what follows it does nothing; put it last"
            )
        found += [
            f"by: {key.column}: step and ratio are both given; give one"
            for key in keys
            if key is not None and key.step is not None and key.ratio is not None
        ]
        return found

    def _keys(self) -> list[Key | None]:
        """Keys, None for the shuffle."""
        named = (
            key if isinstance(key, Key) else None if key == SHUFFLE else Key(column=key) for key in self.by
        )
        return list(named)

    def parts(self) -> int | None:
        """As many as the param says."""
        return self.partitions

    def place(self, batch: pa.RecordBatch, resource: None) -> pa.RecordBatch:  # noqa: ARG002
        """A number for each key."""
        columns: dict[str, Any] = {}
        for number, key in enumerate(self._keys()):
            if key is None:
                fractions = hash_fractions(batch.column(ID_HASH.name), f"{self.seed}/order")
                places = (fractions * (1 << 53)).astype(np.uint64)
            else:
                places = places_of(batch.column(key.column), key)
            columns[str(number)] = pa.array(places, pa.uint64())
        return pa.RecordBatch.from_pydict(columns)
