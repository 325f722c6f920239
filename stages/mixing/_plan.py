"""The plan of a mixture: what each group has, what each phase takes, and where in the groups' orders phases end.

All documents of a group lie end to end in its order, and that line is repeated for every epoch. Phases take consecutive
stretches of it, so no document comes twice before all have come once, and a document belongs to the phase in
whose stretch it ends: the phases up to any point hold what their quotas say, less a part of one document.
"""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.stage import Summary
from stages.mixing._sizes import GroupSize, SizedFiles, cut_key

FORMAT = 1
PLAN, TABLE = "manifest.json", "mixture.txt"


class Cut(NamedTuple):
    """Where a phase ends in a group's line."""

    epoch: int  # whole passes before it
    below: int  # of this pass, documents whose key is below
    size: int  # of all documents up to here


class GroupPlan(NamedTuple):
    """One group's part of a mixture."""

    name: str
    documents: int
    size: int
    quotas: Sequence[int]  # of each phase
    cuts: Sequence[Cut]  # of each phase


class MixturePlan(NamedTuple):
    """What mix_documents needs."""

    by: str
    seed: int
    phases: Sequence[str]
    groups: Sequence[GroupPlan]
    unit: str = "tokens"


def cut_group(
    name: str, held: GroupSize, quotas: Sequence[int], partitions: Sequence[SizedFiles]
) -> GroupPlan:
    """Where the phases of a group end."""
    cuts = []
    for at in accumulate(quotas):
        epoch, rest = divmod(at, held.size) if held.size else (0, 0)
        below, size = cut_key(name, rest, held.bins, partitions) if rest else (0, 0)
        cuts.append(Cut(epoch, below, epoch * held.size + size))
    return GroupPlan(name, held.documents, held.size, tuple(quotas), tuple(cuts))


def copies_by_phase(plan: MixturePlan, groups: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """How often each document comes in each phase.

    Args:
        plan: the mixture.
        groups: index of each document's group in the plan, -1 for none.
        keys: each document's key.

    Returns:
        int64, shape (documents, phases).
    """
    shape = (len(plan.groups), len(plan.phases))
    epochs = np.array([[cut.epoch for cut in group.cuts] for group in plan.groups], np.int64).reshape(shape)
    below = np.array([[cut.below for cut in group.cuts] for group in plan.groups], np.uint64).reshape(shape)
    if not plan.groups:
        return np.zeros((len(groups), len(plan.phases)), np.int64)
    upto = epochs[groups] + (keys[:, None] < below[groups])
    upto[groups < 0] = 0
    return np.diff(upto, axis=1, prepend=0)


def write_plan(plan: MixturePlan, out: Path) -> None:
    """The plan as JSON, and as a table for a person."""
    groups = [group._asdict() | {"cuts": [cut._asdict() for cut in group.cuts]} for group in plan.groups]
    data = {"format": FORMAT, **plan._asdict(), "groups": groups}
    (out / PLAN).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (out / TABLE).write_text(table_of(plan), "utf-8")


def read_plan(folder: Path) -> MixturePlan:
    """The plan that plan_mixture wrote.

    Raises:
        ValueError: the folder holds none.
    """
    if not (folder / PLAN).is_file():
        raise ValueError(f"mixture: {folder} holds no {PLAN}; give a plan_mixture node as side input")
    data: Mapping[str, Any] = json.loads((folder / PLAN).read_text("utf-8"))
    if data.get("format") != FORMAT:
        raise ValueError(
            f"mixture: {folder / PLAN} has format {data.get('format')!r}, not {FORMAT}; run plan_mixture"
        )
    groups = [
        GroupPlan(**(group | {"cuts": tuple(Cut(**cut) for cut in group["cuts"])}))
        for group in data["groups"]
    ]
    return MixturePlan(data["by"], data["seed"], data["phases"], groups, data["unit"])


def summary_of(plan: MixturePlan) -> Summary:
    """The same for the run's report, with a bar for what is taken."""
    taken = sum(group.cuts[-1].size for group in plan.groups)
    phases = plan.phases if len(plan.phases) > 1 else ()
    rows: list[list[str | int | float]] = []
    for group in plan.groups:
        mine = group.cuts[-1].size
        each = np.diff([cut.size for cut in group.cuts], prepend=0).tolist() if phases else []
        share, epochs = (mine / whole if whole else 0.0 for whole in (taken, group.size))
        rows.append(
            [group.name, group.documents, group.size, mine, round(100 * share, 1), round(epochs, 2), *each]
        )
    columns = [plan.by, "documents", plan.unit, "taken", "of all, %", "epochs", *phases]
    return Summary("mixture", columns, rows, "taken")


def table_of(plan: MixturePlan) -> str:
    """One line for each group: what there is, what is taken, how many epochs that is, and each phase's part.

    >>> cut = Cut(1, 9, 30)
    >>> print(table_of(MixturePlan("source", 0, ["all"], [GroupPlan("web", 4, 20, [31], [cut])])))
    group  documents  tokens  taken  of all %  epochs  all
    web            4      20     30     100.0    1.50   30
    <BLANKLINE>
    """
    taken = sum(group.cuts[-1].size for group in plan.groups)
    rows = [["group", "documents", plan.unit, "taken", "of all %", "epochs", *plan.phases]]
    for group in plan.groups:
        mine = group.cuts[-1].size
        each = np.diff([cut.size for cut in group.cuts], prepend=0).tolist()
        rows.append(
            [
                group.name,
                *(f"{number:,}" for number in (group.documents, group.size, mine)),
                f"{100 * mine / taken if taken else 0:.1f}",
                f"{float(Fraction(mine, group.size)) if group.size else 0:.2f}",
                *(f"{number:,}" for number in each),
            ]
        )
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = (
        "  ".join([row[0].ljust(widths[0]), *(v.rjust(w) for v, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines) + "\n"
