"""Where the parts of a histogram of similarities go, with the S-curve of the bands over it. Plain numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.clusters import bin_names
from pipeline.duplicates import chance

WIDTH, HEIGHT = 560, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 46, 12, 34  # margins around the plot
LEAST_BAR = 5.0  # a bin of one point, such as similarity 1, has no width of its own
BELOW = 0.25  # of the scale that is shown below the first bar, where the curve says what was missed
STEPS = 60


@dataclass(frozen=True)
class Bar:
    """A bin."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Chart:
    """All of it, in the units of its picture."""

    bars: list[Bar]
    curve: str  # an SVG path, or nothing
    threshold: float | None  # where its line stands
    ticks: list[tuple[float, str]]
    most: int  # documents of the highest bar


def similarity_chart(measured: Mapping[str, Any], params: Mapping[str, float]) -> Chart | None:
    """A chart of similarities between 0 and 1; None without any.

    Args:
        measured: `edges` and `counts`, as the report has them.
        params: the node's; with `bands` and `rows_per_band` a curve is drawn, with `threshold` a line.
    """
    edges, counts = measured["edges"], measured["counts"]
    if not any(counts):
        return None
    start = _start(edges, counts, params.get("threshold"))
    most = max(counts)

    def place(value: float) -> float:
        inside = (min(max(value, start), 1.0) - start) / (1 - start)
        return LEFT + inside * (WIDTH - LEFT - RIGHT)

    bounds = zip(
        [start, *edges], [*edges, max(1.0, edges[-1])], bin_names(edges, most=1.0), counts, strict=True
    )
    bars = []
    for low, high, name, count in bounds:
        if count:
            height = count / most * (HEIGHT - TOP - BOTTOM)
            width = max(place(high) - place(low) - 1, LEAST_BAR)
            bars.append(
                Bar(place(low), HEIGHT - BOTTOM - height, width, height, f"{name}: {count:,} documents")
            )
    ticks = [(place(n / 20), f"{n / 20:g}") for n in range(21) if n / 20 >= start - 1e-9]
    threshold = params.get("threshold")
    line = None if threshold is None or threshold < start else place(threshold)
    return Chart(bars, _curve(params, start, place), line, ticks, most)


def _start(edges: Sequence[float], counts: Sequence[int], threshold: float | None) -> float:
    """Where the scale begins: some way below the first bar and the threshold, at a twentieth."""
    first = next(i for i, count in enumerate(counts) if count)
    lowest = min(0.0 if first == 0 else edges[first - 1], 1.0 if threshold is None else threshold)
    return min(max(0, int((lowest - BELOW) * 20)) / 20, 0.95)


def _curve(params: Mapping[str, float], start: float, place: Any) -> str:
    points = []
    for i in range(STEPS + 1):
        similarity = start + (1 - start) * i / STEPS
        height = chance(similarity, params)
        if height is None:
            return ""
        points.append(f"{place(similarity):.1f} {HEIGHT - BOTTOM - height * (HEIGHT - TOP - BOTTOM):.1f}")
    return "M" + " L".join(points)
