"""Plan a mixture: measure every group of documents, and say which of them each phase of training takes."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pipeline.schema import ID_HASH, SOURCE
from pipeline.stage import ANY_TYPE, ShardInfo, Sink, Summary
from stages.mixing._plan import MixturePlan, cut_group, read_plan, summary_of, write_plan
from stages.mixing._quotas import (
    PhaseShare,
    Scarce,
    Weights,
    demand_of,
    exact,
    natural_weights,
    normalised,
    plan_quotas,
)
from stages.mixing._sizes import COLUMNS, Unit, bin_sizes, open_sized, read_sized, write_sized


class Phase(BaseModel):
    """A stretch of training with a mixture of its own, such as warm-up or annealing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(min_length=1, description="what reports call it")
    share: float = Field(gt=0, description="of the budget, beside the other phases' shares")
    weights: dict[str, float] = Field({}, description="weights of groups in this phase; none: the node's")


class PlanMixture(Sink[None]):
    """Measure groups of documents and plan which of them a mixture takes; side input `mixture` of `mix_documents`.

    Writes manifest.json and mixture.txt: for each group what there is, what is taken, how many epochs that is.
    """

    by: str = Field(
        SOURCE.name, min_length=1, description="column whose values are the groups: source, lang, ..."
    )
    unit: Unit = Field(
        "tokens", description="what is counted: tokens and words (token_count, word_count), chars, documents"
    )
    weights: dict[str, float] = Field(
        {},
        description="share of each group, relative to the others' (0 leaves it out); none: by what there is, "
        "see temperature",
    )
    others: Literal["error", "drop"] = Field(
        "error", description="groups that have no weight where others do: stop the run, or leave them out"
    )
    temperature: float = Field(
        1.0,
        gt=0,
        description="without weights: shares go with size ** (1 / temperature); 1 keeps the proportions, more "
        "makes groups alike",
    )
    budget: int | None = Field(
        None, ge=1, description="units of the whole mixture; null: the most that weights and max_epochs allow"
    )
    max_epochs: float | dict[str, float] = Field(
        1.0,
        description="how often a group may be gone through, for all or by group (others: 1); above 1, documents "
        "are repeated",
    )
    scarce: Scarce = Field(
        "error",
        description="what if a group has too little for the budget: stop the run; take a smaller budget; or let "
        "the other groups give more",
    )
    phases: list[Phase] = Field(
        [], description="stretches of the budget with weights of their own, in order; none: one phase"
    )
    seed: int = Field(0, description="chooses which documents are taken where not all are")

    def reads(self) -> pa.Schema:
        """The groups' column, of any type that has a text form, and the count."""
        fields = [ID_HASH, SOURCE if self.by == SOURCE.name else pa.field(self.by, ANY_TYPE)]
        return pa.schema(fields + ([COLUMNS[self.unit]] if self.unit in COLUMNS else []))

    def problems(self) -> Sequence[str]:
        """Weights and epochs below 0, a temperature beside weights, phases of one name."""
        found = [
            f"{where}: '{name}' is {value:g}; give 0 or more"
            for where, named in (
                ("weights", self.weights),
                (
                    "max_epochs",
                    self.max_epochs if isinstance(self.max_epochs, dict) else {"all": self.max_epochs},
                ),
                *((f"phases: {phase.name}: weights", phase.weights) for phase in self.phases),
            )
            for name, value in named.items()
            if not 0 <= value < float("inf")
        ]
        if self.temperature != 1 and self.weights:
            found.append(
                f"temperature {self.temperature:g} beside weights; temperature makes weights where none are given"
            )
        names = [phase.name for phase in self.phases]
        found += [
            f"phases: two are called '{name}'" for name in sorted({n for n in names if names.count(n) > 1})
        ]
        for where, weights in (
            ("weights", self.weights),
            *((f"phases: {p.name}", p.weights) for p in self.phases),
        ):
            if weights and not any(weights.values()):
                found.append(f"{where}: all are 0; give at least one group a weight above 0")
        return found

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """Groups, places in their orders and sizes of one partition's documents."""
        files, rows = write_sized(
            (read_sized(batch, self.by, self.unit, self.seed) for batch in batches), out
        )
        return ShardInfo(files, rows)

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """The plan.

        Raises:
            ValueError: weights name a group that no document has, or leave one out; the budget is too large.
        """
        partitions = [open_sized([out / name for name in shard.files]) for shard in shards if shard.files]
        found = bin_sizes(partitions)
        available = {name: held.size for name, held in found.items()}
        phases = self._phases(available)
        limits = {name: int(self._max_epochs(name) * size) for name, size in available.items()}
        quotas = plan_quotas(limits, phases, self.budget, self.scarce)
        groups = [
            cut_group(name, held, [quota.get(name, 0) for quota in quotas], partitions)
            for name, held in found.items()
        ]
        names = [phase.name for phase in self.phases] or ["all"]
        write_plan(MixturePlan(self.by, self.seed, names, groups, self.unit), out)

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """What is there and what is taken of each group."""
        return [summary_of(read_plan(out))]

    def _max_epochs(self, group: str) -> Fraction:
        epochs = self.max_epochs.get(group, 1.0) if isinstance(self.max_epochs, dict) else self.max_epochs
        return exact(epochs)

    def _phases(self, available: Mapping[str, int]) -> list[PhaseShare]:
        common = self._weights(self.weights, available, "weights")
        shares = normalised({phase.name: exact(phase.share) for phase in self.phases} or {"all": Fraction(1)})
        own = {
            phase.name: self._weights(phase.weights, available, f"phases: {phase.name}")
            if phase.weights
            else common
            for phase in self.phases
        }
        phases = [PhaseShare(share, own.get(name, common)) for name, share in shares.items()]
        empty = sorted(name for name, asked in demand_of(phases).items() if asked and not available.get(name))
        if empty and self.weights:
            raise ValueError(
                f"{self.by} '{empty[0]}' has a weight, but its documents have no {self.unit}; "
                "give it weight 0"
            )
        return phases

    def _weights(self, given: Mapping[str, float], available: Mapping[str, int], where: str) -> Weights:
        if not given:
            sized = {name: size for name, size in available.items() if size}
            return natural_weights(sized, self.temperature) if sized else {}
        unknown = sorted(given.keys() - available.keys())
        if unknown:
            raise ValueError(
                f"{where} names '{unknown[0]}', but no document has this {self.by}; there are "
                f"{', '.join(available) or 'no documents'}"
            )
        missing = sorted(available.keys() - given.keys())
        if missing and self.others == "error":
            raise ValueError(
                f"{where} leaves out '{missing[0]}', which documents have as {self.by}; give it a "
                "weight (0 leaves it out), or set others: drop"
            )
        return normalised({name: exact(weight) for name, weight in given.items()})
