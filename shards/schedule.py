"""Which component each row of a mixture comes from: exact proportions at every prefix, computed at any place.

After n rows, a component of weight w has given floor(n*w) or ceil(n*w) rows. Its t-th row is a job that may be done
from place floor((t-1)/w) and must be done before place ceil(t/w); taking the job with the nearest deadline at each
place meets all deadlines. With weights a/P the order repeats after P places, so one period is computed and kept.
Source: Baruah, Cohen, Plaxton, Varvel, Proportionate Progress, Algorithmica 15 (1996), for one resource.
"""

import hashlib
import heapq
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

PERIOD = 100_000  # at most; weights with up to five decimals are kept exactly, others are rounded to 1/PERIOD


def shares(weights: Sequence[float | int | Fraction]) -> list[Fraction]:
    """Weights as fractions of their sum, with one denominator of at most PERIOD.

    Decimal numbers mean what they say (0.1 is a tenth). Where that needs a larger denominator, shares are rounded
    to 1/PERIOD by the largest remainder, and none becomes 0.

    Raises:
        ValueError: no weights, or one that is not a positive number.

    >>> shares([0.7, 0.2, 0.1])
    [Fraction(7, 10), Fraction(1, 5), Fraction(1, 10)]
    """
    exact = [_fraction(weight) for weight in weights]
    if not exact or len(exact) > PERIOD:
        raise ValueError(f"weights: has {len(exact)}; give one for each component")
    total = sum(exact, Fraction(0))
    wanted = [weight / total for weight in exact]
    if math.lcm(*(share.denominator for share in wanted)) <= PERIOD:
        return wanted
    counts = [max(1, math.floor(share * PERIOD)) for share in wanted]
    by_need = sorted(range(len(wanted)), key=lambda i: (counts[i] - wanted[i] * PERIOD, i))
    for i in by_need[: max(0, PERIOD - sum(counts))]:
        counts[i] += 1
    return [Fraction(count, sum(counts)) for count in counts]


def _fraction(weight: float | int | Fraction) -> Fraction:
    try:
        found = weight if isinstance(weight, Fraction) else Fraction(str(weight))
    except ValueError:
        found = Fraction(0)
    if found <= 0:
        raise ValueError(f"weights: {weight!r} is not a positive number; leave out what is not to be read")
    return found


class Schedule:
    """The component of each place, and the how-manieth of its component it is.

    Args:
        weights: of the components; only their ratios matter.
        seed: which component comes first where several could.
    """

    def __init__(self, weights: Sequence[float | int | Fraction], seed: int = 0) -> None:
        self.shares = shares(weights)
        self.period = math.lcm(*(share.denominator for share in self.shares))
        self.counts = np.array([int(share * self.period) for share in self.shares], np.int64)
        self._components = one_period(self.counts.tolist(), self.period, seed)
        self._slots = [np.flatnonzero(self._components == c) for c in range(len(self.counts))]
        self._ordinals = np.empty(self.period, np.int64)
        for slots in self._slots:
            self._ordinals[slots] = np.arange(len(slots))

    def at(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Component of each place, and how many rows of that component come before it; int64."""
        rounds, slots = np.divmod(np.asarray(places, np.int64), self.period)
        components = self._components[slots]
        return components, rounds * self.counts[components] + self._ordinals[slots]

    def given(self, place: int) -> list[int]:
        """Rows that each component has given before this place."""
        rounds, slot = divmod(place, self.period)
        return [
            rounds * int(count) + int(np.searchsorted(slots, slot))
            for count, slots in zip(self.counts, self._slots, strict=True)
        ]

    def place_of(self, component: int, ordinal: int) -> int:
        """Where a component gives its row number `ordinal`."""
        rounds, slot = divmod(ordinal, int(self.counts[component]))
        return rounds * self.period + int(self._slots[component][slot])


def one_period(counts: Sequence[int], period: int, seed: int) -> np.ndarray:
    """Component of each place of a period: the nearest deadline first.

    Args:
        counts: how many places each component gets; they sum to `period`.
        period: number of places.
        seed: decides between equal deadlines.

    Returns:
        int64, shape (period,).
    """
    ranks = [hashlib.blake2b(f"{seed}/{c}".encode(), digest_size=8).digest() for c in range(len(counts))]
    found = np.empty(period, np.int64)
    done = [0] * len(counts)
    waiting = [(0, c) for c in range(len(counts))]  # (place from which the next row may come, component)
    ready: list[tuple[int, bytes, int]] = []  # (place before which it must have come, rank, component)
    for place in range(period):
        while waiting and waiting[0][0] <= place:
            c = heapq.heappop(waiting)[1]
            heapq.heappush(ready, (-(-(done[c] + 1) * period // counts[c]), ranks[c], c))
        c = heapq.heappop(ready)[2]
        found[place] = c
        done[c] += 1
        if done[c] < counts[c]:
            heapq.heappush(waiting, (done[c] * period // counts[c], c))
    return found
