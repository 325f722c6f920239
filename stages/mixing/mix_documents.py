"""Take the documents that a planned mixture takes, as often as it takes them."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import ID_HASH, SOURCE
from pipeline.stage import ANY_TYPE, ExpandStage, Expansion
from stages.mixing._plan import MixturePlan, copies_by_phase, read_plan
from stages.mixing._sizes import group_values, keys_of

MIX_PHASE = pa.field("mix_phase", pa.int32())  # index of the phase that the document is for
MIX_COPY = pa.field("mix_copy", pa.int32())  # 0 for the first time that the mixture takes it, then 1, ...


class Reason(StrEnum):
    """Why the mixture does not take a document."""

    OVER_QUOTA = "over_quota"  # its group's quotas are filled by others
    NOT_IN_MIXTURE = "not_in_mixture"  # its group has no quota


def group_numbers(names: pa.DictionaryArray, plan: MixturePlan) -> np.ndarray:
    """Index of each document's group in the plan, int64; -1 for a group that it does not know."""
    known = {group.name: k for k, group in enumerate(plan.groups)}
    numbers = np.array([known.get(name, -1) for name in names.dictionary.to_pylist()], np.int64)
    return numbers[names.indices.to_numpy()] if len(names) else np.zeros(0, np.int64)


def take_copies(plan: MixturePlan, groups: np.ndarray, keys: np.ndarray) -> Expansion:
    """Each document as often as the plan takes it, in the order of phases."""
    counts = copies_by_phase(plan, groups, keys)
    total = counts.sum(axis=1)
    rows = np.arange(len(total))
    parents = np.repeat(rows, total)
    phase = np.repeat(np.tile(np.arange(len(plan.phases)), len(rows)), counts.ravel())
    copy = np.arange(len(parents)) - np.repeat(np.cumsum(total) - total, total)
    wanted = np.array([any(group.quotas) for group in plan.groups] + [False])
    reasons = np.where(wanted[groups], Reason.OVER_QUOTA.value, Reason.NOT_IN_MIXTURE.value)
    columns = {"mix_phase": pa.array(phase, pa.int32()), "mix_copy": pa.array(copy, pa.int32())}
    left = total == 0
    if not left.any():
        return Expansion(pa.array(parents, pa.int64()), columns)
    reject = pa.array(np.where(left, reasons, ""), pa.string(), mask=~left)
    return Expansion(pa.array(parents, pa.int64()), columns, reject, _evidence(plan, groups, left))


def _evidence(plan: MixturePlan, groups: np.ndarray, left: np.ndarray) -> pa.Array:
    names = [group.name for group in plan.groups] + [None]
    sizes = [(group.size, sum(group.quotas)) for group in plan.groups] + [(0, 0)]
    available, quota = np.array(sizes, np.int64).T[:, groups]
    fields = {
        plan.by: pa.array(np.array(names, object)[groups], pa.string()),
        "available": pa.array(available),
        "quota": pa.array(quota),
    }
    return pa.StructArray.from_arrays(list(fields.values()), names=list(fields), mask=pa.array(~left))


class MixDocuments(ExpandStage[MixturePlan]):
    """Take the documents of a planned mixture; those that epochs above 1 repeat become `#1`, `#2`, ...

    Which documents are taken depends on their ids and the seed alone.
    """

    reasons = Reason
    sides: ClassVar[Mapping[str, str]] = {"mixture": "a plan_mixture node over the same documents"}
    summarize: ClassVar[Mapping[str, Literal["sum", "values"]]] = {"mix_phase": "values"}

    by: str = Field(
        SOURCE.name, min_length=1, description="column whose values are the groups, as in plan_mixture"
    )

    def reads(self) -> pa.Schema:
        """The groups' column."""
        return pa.schema([ID_HASH, SOURCE if self.by == SOURCE.name else pa.field(self.by, ANY_TYPE)])

    def writes(self) -> pa.Schema:
        """The phase, and which copy of the document this is."""
        return pa.schema([MIX_PHASE, MIX_COPY])

    def needs_side(self) -> Sequence[str]:
        """The plan."""
        return ["mixture"]

    def open(self, side: Mapping[str, Path]) -> MixturePlan:
        """The plan.

        Raises:
            ValueError: there is none, or it is by another column.
        """
        plan = read_plan(side["mixture"])
        if plan.by != self.by:
            raise ValueError(
                f"by is '{self.by}', but the mixture is planned by '{plan.by}'; give both nodes the same"
            )
        return plan

    def expand(self, batch: pa.RecordBatch, resource: MixturePlan) -> Expansion:
        """Copies of each row, none for rows that the mixture does not take."""
        groups = group_numbers(group_values(batch.column(self.by)), resource)
        return take_copies(resource, groups, keys_of(batch.column(ID_HASH.name), resource.seed))
