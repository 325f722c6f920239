"""Near-duplicate detection by its definition: every pair, Python sets, no hashing beyond Python's own equality."""

from collections.abc import Callable, Sequence

from tests.stages.dedup.documents import Doc
from tests.stages.kernels.test_words import oracle


def shingles(text: str | None, n: int = 5) -> frozenset[tuple[str, ...]]:
    words = [word for word, _, _ in oracle(text or "", signs=True)]
    if not words:
        return frozenset()
    n = min(n, len(words))
    return frozenset(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def similarity(a: frozenset, b: frozenset) -> float:
    return len(a & b) / len(a | b) if a and b else 0.0


def contained(a: frozenset, b: frozenset) -> float:
    return len(a & b) / len(a) if a and b else 0.0


def judge(
    ordered: Sequence[frozenset], threshold: float, measure: Callable[..., float] = similarity
) -> list[tuple[int, float]]:
    """For each set in the order of preference: the first survivor that it is similar to, or -1."""
    said: list[tuple[int, float]] = []
    for i, mine in enumerate(ordered):
        pairs = ((j, measure(mine, ordered[j])) for j in range(i) if said[j][0] < 0)
        said.append(next(((j, s) for j, s in pairs if s >= threshold), (-1, 0.0)))
    return said


def in_order(documents: Sequence[Doc], longest: bool = True) -> list[Doc]:
    return sorted(documents, key=lambda d: (-len(d[2] or "") if longest else 0, f"{d[0]}/{d[1]}"))
