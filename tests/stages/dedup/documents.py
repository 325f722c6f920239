"""Batches of documents, and what stages said about them, by id."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipeline.schema import id_hashes
from pipeline.stage import GlobalStage
from tests.support.exchange import run_global

Doc = tuple[str, str, str | None]  # source, key, text


def batch_of(documents: Sequence[Doc]) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "id": pa.array([f"{source}/{key}" for source, key, _ in documents], pa.string()),
            "id_hash": id_hashes(f"{source}/{key}" for source, key, _ in documents),
            "source": pa.array([source for source, _, _ in documents], pa.string()).dictionary_encode(),
            "text": pa.array([text for _, _, text in documents], pa.large_string()),
        }
    )


def docs(*texts: str | None, source: str = "web") -> list[Doc]:
    return [(source, f"{i:05d}", text) for i, text in enumerate(texts)]


def verdicts(
    stage: GlobalStage[Any], documents: Sequence[Doc], partitions: int = 2, **kwargs: Any
) -> dict[str, Any]:
    """Evidence of each rejected document, by id; checks reasons and shapes on the way."""
    parts = [batch_of(documents[i::partitions]) for i in range(partitions)]
    said: dict[str, Any] = {}
    for batch, marks in zip(parts, run_global(stage, parts, **kwargs), strict=True):
        assert len(marks.reject) == len(marks.evidence) == batch.num_rows
        assert not marks.columns
        for name, reason, evidence in zip(
            batch["id"].to_pylist(), marks.reject.to_pylist(), marks.evidence.to_pylist(), strict=True
        ):
            assert (reason is None) == (evidence is None)
            if reason is not None:
                assert reason in set(stage.reasons)
                said[name] = evidence
    return said


def lost(stage: GlobalStage[Any], documents: Sequence[Doc], **kwargs: Any) -> set[str]:
    return set(verdicts(stage, documents, **kwargs))
