"""From weights, a budget and what there is to exact quotas: integers that sum to the budget, in every phase."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple

Scarce = Literal["error", "shrink", "redistribute"]
Weights = Mapping[str, Fraction]  # of each group; they sum to 1


class PhaseShare(NamedTuple):
    """A stretch of training with a mixture of its own."""

    share: Fraction  # of the budget; all phases' sum to 1
    weights: Weights


class Shortage(ValueError):
    """The budget asks more of a group than it may give."""


def exact(number: float) -> Fraction:
    """A number as it was written: .1 is a tenth.

    >>> exact(.1), exact(3)
    (Fraction(1, 10), Fraction(3, 1))
    """
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def normalised(weights: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Weights that sum to 1; those of 0 stay.

    Raises:
        ValueError: all are 0.
    """
    total = sum(weights.values())
    if not total:
        raise ValueError("all weights are 0; give at least one group a weight above 0")
    return {name: weight / total for name, weight in weights.items()}


def natural_weights(available: Mapping[str, int], temperature: float = 1.0) -> dict[str, Fraction]:
    """Weights by what there is: size ** (1 / temperature), so that a high temperature makes groups alike.

    Source: Conneau et al. 2020 (XLM-R, arXiv:1911.02116), section 3.1, where alpha is 1 / temperature.

    >>> natural_weights({"a": 1, "b": 4}, 2.0)
    {'a': Fraction(1, 3), 'b': Fraction(2, 3)}
    """
    if temperature == 1.0:
        return normalised({name: Fraction(size) for name, size in available.items()})
    return normalised({name: exact(float(size) ** (1 / temperature)) for name, size in available.items()})


def largest_budget(limits: Mapping[str, int], phases: Sequence[PhaseShare]) -> Fraction:
    """The most that can be given in these proportions without any group passing its limit."""
    demand = demand_of(phases)
    return min((limits[name] / asked for name, asked in demand.items() if asked), default=Fraction(0))


def demand_of(phases: Sequence[PhaseShare]) -> dict[str, Fraction]:
    """What each group gives of a budget of 1, over all phases."""
    demand: dict[str, Fraction] = {}
    for phase in phases:
        for name, weight in phase.weights.items():
            demand[name] = demand.get(name, Fraction(0)) + phase.share * weight
    return demand


def plan_quotas(
    limits: Mapping[str, int], phases: Sequence[PhaseShare], budget: int | None, scarce: Scarce = "error"
) -> list[dict[str, int]]:
    """What each group gives in each phase.

    Args:
        limits: what each group may give at most, over all phases.
        phases: in order.
        budget: of all groups and phases together; None: the most that the proportions allow.
        scarce: what if a group has too little: raise; take a smaller budget, in the same proportions; or let
            the other groups of the phase give more, by their weights.

    Returns:
        a quota for each group, one mapping a phase; all of them sum to the budget, or with `shrink` to the
        largest that is possible, with `redistribute` to what all groups have.

    Raises:
        Shortage: `scarce` is "error", and a group would pass its limit.

    >>> half = PhaseShare(Fraction(1), {"a": Fraction(1, 2), "b": Fraction(1, 2)})
    >>> plan_quotas({"a": 3, "b": 9}, [half], 7, "redistribute")
    [{'a': 3, 'b': 4}]
    >>> plan_quotas({"a": 3, "b": 9}, [half], None)
    [{'a': 3, 'b': 3}]
    """
    most = largest_budget(limits, phases)
    if budget is None:
        budget = int(most)
    elif budget > most and scarce == "error":
        raise Shortage(_shortage(limits, phases, budget, most))
    elif scarce == "shrink":
        budget = min(budget, int(most))
    room = dict(limits)
    quotas: list[dict[str, int]] = []
    ends = [int(share * budget) for share in accumulate(phase.share for phase in phases)]
    totals = [end - start for start, end in pairwise([0, *ends])]
    for phase, total in zip(phases, totals, strict=True):
        quota = _fill(total, phase.weights, room)
        room = {name: left - quota.get(name, 0) for name, left in room.items()}
        quotas.append(quota)
    if budget <= most:
        _give_lost(quotas, phases, totals, room)
    return quotas


def _give_lost(
    quotas: Sequence[dict[str, int]],
    phases: Sequence[PhaseShare],
    totals: Sequence[int],
    room: dict[str, int],
) -> None:
    """Give the units that phases lack of their totals."""
    for short, total in enumerate(totals):
        # of a few units, a phase's total may be more than its groups have in all; then a neighbour has the unit
        for _ in range(total - sum(quotas[short].values())):
            any(_give_one(k, quotas, phases, room) for k in _nearest(short, len(phases)))


def _nearest(k: int, count: int) -> list[int]:
    """The numbers below `count`, those next to `k` first.

    >>> _nearest(1, 4)
    [1, 0, 2, 3]
    """
    return sorted(range(count), key=lambda other: (abs(other - k), other))


def _give_one(
    short: int, quotas: Sequence[dict[str, int]], phases: Sequence[PhaseShare], room: dict[str, int]
) -> bool:
    """One unit more for a phase whose groups have no room left, because rounding up used it in other phases.

    A unit of such a group moves here from another phase, where a group that has room takes its place; or one that has
    none, by way of a third phase, and so on: an augmenting path of a flow from groups to phases, the shortest. False
    if there is none.
    """
    # phase -> the phase that its unit goes to, and whose unit it is
    came: dict[int, tuple[int, str] | None] = {short: None}
    queue = [short]
    for at in queue:
        for name in sorted(name for name, weight in phases[at].weights.items() if weight):
            if room[name]:
                room[name] -= 1
                quotas[at][name] += 1
                here = at
                while (step := came[here]) is not None:
                    to, moved = step
                    quotas[here][moved] -= 1
                    quotas[to][moved] += 1
                    here = to
                return True
            for other, quota in enumerate(quotas):
                if other not in came and quota.get(name, 0):
                    came[other] = (at, name)
                    queue.append(other)
    return False


def _fill(total: int, weights: Weights, room: Mapping[str, int]) -> dict[str, int]:
    """`total` shared by weights; a group whose share is more than its room gives that, and the others the rest."""
    quota = dict.fromkeys(weights, 0)
    open_ = {name: weight for name, weight in weights.items() if weight}
    while open_:
        whole = sum(open_.values())
        shares = {name: weight / whole * total for name, weight in open_.items()}
        full = [name for name, share in shares.items() if share >= room[name]]
        if not full:
            return quota | _rounded(shares, total)
        for name in full:
            quota[name] = room[name]
            del open_[name]
        total -= sum(room[name] for name in full)
    return quota


def _rounded(shares: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """Whole parts, and one more for the largest remainders (ties by name) until they sum to `total`.

    >>> _rounded({"a": Fraction(4, 3), "b": Fraction(5, 3)}, 3)
    {'a': 1, 'b': 2}
    """
    result = {name: int(share) for name, share in shares.items()}
    missing = total - sum(result.values())
    for name in sorted(shares, key=lambda name: (result[name] - shares[name], name))[:missing]:
        result[name] += 1
    return result


def _shortage(limits: Mapping[str, int], phases: Sequence[PhaseShare], budget: int, most: Fraction) -> str:
    short = [
        f"'{name}' may give {limits[name]:,} of the {float(asked * budget):,.0f} asked"
        for name, asked in sorted(demand_of(phases).items())
        if asked * budget > limits[name]
    ]
    return (
        f"budget {budget:,} asks too much: {'; '.join(short)}. Give a budget of at most "
        f"{int(most):,}, raise max_epochs, or set scarce to shrink or redistribute"
    )
