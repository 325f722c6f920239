"""Records of the common dialogue formats to `messages`, and to a plain text that other stages can read.

The JSONL source puts a whole record into `metadata` when told that it has no text field (`text: null`). What
a
dialogue is made of moves from there to `messages`, so that it stands in one place to be scrubbed or changed;
`tools` and whatever else the record said stay in `metadata`. `text` is the same dialogue as "role: content"
paragraphs: what language identification, deduplication and word lists look at, and nobody trains on.
"""

import json
from collections.abc import Sequence
from typing import Literal

import pyarrow as pa
from pydantic import Field

from pipeline.schema import MESSAGES, METADATA, TEXT
from pipeline.stage import MapStage, Marks
from stages.dialogue._formats import Message, NoDialogue, Parsed, Reason, parse_record

DIALOGUE_FORMAT = pa.field("dialogue_format", pa.string())
EVIDENCE_TYPE = pa.struct([("message", pa.int32()), ("found", pa.string())])


def plain_text(messages: Sequence[Message]) -> str:
    """A dialogue as paragraphs of "role: content", with tool calls as the JSON they are.

    >>> plain_text([{"role": "user", "content": "Hi", "tool_calls": None, "weight": None}])
    'user: Hi'
    """
    said = [(m["role"], [part for part in (m["content"], m["tool_calls"]) if part]) for m in messages]
    return "\n\n".join(f"{role}: {' '.join(parts)}" for role, parts in said)


def parse_row(metadata: str | None, format: str) -> Parsed:
    """Read one `metadata` value as a dialogue.

    Raises:
        NoDialogue: it is not JSON, not an object, or not a dialogue.
    """
    try:
        record = json.loads(metadata) if metadata else None
    except ValueError as error:
        raise NoDialogue(Reason.UNKNOWN_FORMAT, -1, error) from error
    return parse_record(record, format)


class ParseDialogue(MapStage[None]):
    """Read ShareGPT, OpenAI and Alpaca records into messages."""

    reasons = Reason
    summarize = {"dialogue_format": "values"}

    format: Literal["auto", "sharegpt", "messages", "alpaca"] = Field(
        "auto", description="how records are written; auto goes by the keys of each record"
    )

    def reads(self) -> pa.Schema:
        return pa.schema([METADATA])

    def writes(self) -> pa.Schema:
        return pa.schema([MESSAGES, TEXT, METADATA, DIALOGUE_FORMAT])

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:  # noqa: ARG002
        parsed: list[Parsed | None] = []
        reasons: list[str | None] = []
        evidence: list[dict[str, object] | None] = []
        given = batch["metadata"].to_pylist()
        for metadata in given:
            try:
                parsed.append(parse_row(metadata, self.format))
                reasons.append(None)
                evidence.append(None)
            except NoDialogue as error:
                parsed.append(None)
                reasons.append(error.reason.value)
                evidence.append({"message": error.message, "found": error.found})
        rest = [_rest(p, metadata) for p, metadata in zip(parsed, given, strict=True)]
        columns = {
            "messages": pa.array([p and p.messages for p in parsed], MESSAGES.type),
            "text": pa.array([p and plain_text(p.messages) for p in parsed], TEXT.type),
            "metadata": pa.array(rest, METADATA.type),
            "dialogue_format": pa.array([p and p.format for p in parsed], pa.string()),
        }
        return Marks(columns, pa.array(reasons, pa.string()), pa.array(evidence, EVIDENCE_TYPE))


def _rest(parsed: Parsed | None, metadata: str | None) -> str | None:
    return metadata if parsed is None else json.dumps(parsed.rest, ensure_ascii=False)
