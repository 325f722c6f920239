"""Reject every document but one of those with the same text."""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pydantic import Field

from pipeline.schema import CONTENT, ID, MESSAGES, SOURCE, TEXT
from pipeline.stage import GlobalStage, Marks
from stages.dedup._policy import group_starts, reject_rows, repeated_sources, source_ranks
from stages.kernels.buffers import text_buffers

EVIDENCE_TYPE = pa.struct([("survivor", pa.string())])
# RE2's \s is ASCII: the rest of Unicode's white space and separators is spelt out.
SPACES = r"[\s\x{0b}\x{1c}-\x{1f}\x{85}\pZ]+"


class ExactReason(StrEnum):
    """Why a document falls."""

    EXACT_DUPLICATE = "exact_duplicate"


def normalize(texts: pa.Array) -> pa.Array:
    r"""NFC, lower case, each run of white space as one blank, none at the ends; punctuation stays.

    >>> normalize(pa.array(["\tCLICK\u00a0 here! "]))[0].as_py()
    'click here!'
    """
    folded = pc.utf8_lower(pc.utf8_normalize(texts, form="NFC"))
    return pc.utf8_trim(pc.replace_substring_regex(folded, SPACES, " "), " ")


def content_keys(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """xxh3-128 of each value of a (large_)string or binary column that is not null or empty.

    Returns:
        keys binary(16), and the rows they are of.
    """
    data, offsets = text_buffers(column)
    rows = np.flatnonzero(offsets[1:] > offsets[:-1])
    view, digest = memoryview(data.data), xxhash.xxh3_128_digest
    bounds = zip(offsets[rows].tolist(), offsets[rows + 1].tolist(), strict=True)
    return pa.array([digest(view[start:end]) for start, end in bounds], pa.binary(16)), rows


def dialogue_bytes(messages: pa.Array) -> pa.Array:
    """A dialogue's turns as canonical JSON; empty for a dialogue without turns."""
    return pa.array(
        [orjson.dumps(turns) if turns else b"" for turns in messages.to_pylist()], pa.large_binary()
    )


class ExactDedup(GlobalStage[None]):
    """Of all documents with the same text (or raw content, or dialogue), keep one.

    The one kept is of the source named first in `source_priority`, then the one with the smallest id, so it
    depends on nothing but the documents. Empty and missing texts are equal to nothing and pass untouched.
    Different texts have the same 128-bit key with probability n^2 / 2^129: 1e-19 for 10^10 documents.
    """

    reasons = ExactReason
    libraries: ClassVar[Sequence[str]] = ("pyarrow",)  # its Unicode tables, in `normalized`

    on: Literal["text", "normalized", "content", "messages"] = Field(
        "text",
        description="what must be equal: the text to the byte; the text after NFC, lower case and white "
        "space folding; the raw page; the dialogue's turns",
    )
    source_priority: list[str] = Field(
        default=[], description="sources whose documents survive, best first; the others come after these"
    )

    def reads(self) -> pa.Schema:
        """The column that must be equal."""
        column = {"content": CONTENT, "messages": MESSAGES}.get(self.on, TEXT)
        return pa.schema([ID, SOURCE, column])

    def problems(self) -> Sequence[str]:
        """A source named twice."""
        return repeated_sources(self.source_priority)

    def order(self, round: int) -> Sequence[str]:  # noqa: ARG002
        """The survivor comes first."""
        return ["priority", "id"]

    def emit(self, batch: pa.RecordBatch, resource: None, round: int, verdicts: pa.Table) -> pa.Table:  # noqa: ARG002
        """One row for each document that is not empty."""
        keys, rows = content_keys(self._values(batch))
        at = pa.array(rows)
        return pa.table(
            {
                "key": keys,
                "row": at.cast(pa.int32()),
                "priority": source_ranks(batch["source"], self.source_priority).take(at),
                "id": batch["id"].take(at),
            }
        )

    def _values(self, batch: pa.RecordBatch) -> pa.Array:
        if self.on == "messages":
            return dialogue_bytes(batch["messages"])
        if self.on == "content":
            return batch["content"]
        return normalize(batch["text"]) if self.on == "normalized" else batch["text"]

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:  # noqa: ARG002
        """Every document after the first of its key, with the id of that first."""
        starts = group_starts(bucket["key"])
        first = np.repeat(starts[:-1], np.diff(starts))
        lost = np.flatnonzero(first != np.arange(bucket.num_rows))
        return pa.table(
            {
                "doc": bucket["doc"].take(pa.array(lost)),
                "survivor": bucket["id"].take(pa.array(first[lost])),
            }
        )

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        """Reject what has a survivor."""
        return reject_rows(batch.num_rows, verdicts, ExactReason.EXACT_DUPLICATE, EVIDENCE_TYPE)
