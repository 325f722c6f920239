"""What batches are made of: sources, lengths and scores per thousand rows, so that a loss spike leads to its documents.

for part in composition(TokenShards("out/shards", seed=17), every=1000):
    print(part.first, part.sources, part.mean_document)
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from shards.loader import TokenShards

TOP = 10  # documents that a part names


class Part(NamedTuple):
    """Some rows that follow each other in the order in which a trainer takes them."""

    first: int  # position of its first row
    rows: int
    tokens: int
    sources: Mapping[str, int]  # tokens by source, the largest first
    documents: int  # pieces: a document in two rows counts twice
    mean_document: float  # tokens of a piece
    largest: Mapping[str, int]  # tokens of the documents that have most of them
    mean_score: float | None  # of the documents that have one, each counted by its tokens


def source_of(document: str) -> str:
    """The source node's name, with which a document's id begins.

    >>> source_of("web/a.warc#1"), source_of("odd")
    ('web', 'odd')
    """
    return document.partition("/")[0]


def composition(
    data: TokenShards, every: int = 1000, epoch: int = 0, scores: Mapping[str, float] | None = None
) -> Iterator[Part]:
    """Parts of an epoch, in the loader's order (stored order where it does not shuffle).

    Args:
        data: the shards, with the trainer's seed.
        every: rows of a part.
        epoch: whose order.
        scores: of documents, by id.

    Raises:
        ValueError: `every` is below 1.
    """
    if every < 1:
        raise ValueError(f"every is {every}; give 1 or more rows")
    for first in range(0, len(data), every):
        places = np.arange(first, min(first + every, len(data)))
        yield _part(data, first, data.order(places, epoch), scores)


def _part(data: TokenShards, first: int, rows: np.ndarray, scores: Mapping[str, float] | None) -> Part:
    documents: Counter[str] = Counter()
    pieces = 0
    for row in np.sort(rows).tolist():  # as they lie, so that a shard is mapped once
        for piece in data.pieces(row):
            documents[piece["id"]] += piece["tokens"]
            pieces += 1
    sources: Counter[str] = Counter()
    for name, tokens in documents.items():
        sources[source_of(name)] += tokens
    total = sum(documents.values())
    known = {name: scores[name] for name in documents if name in scores} if scores else {}
    weight = sum(documents[name] for name in known)
    score = sum(value * documents[name] for name, value in known.items()) / weight if weight else None
    ordered = sorted(sources.items(), key=lambda pair: (-pair[1], pair[0]))
    largest = sorted(documents.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]
    mean = total / pieces if pieces else 0.0
    return Part(first, len(rows), total, dict(ordered), pieces, mean, dict(largest), score)
