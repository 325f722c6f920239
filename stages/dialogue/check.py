"""Dialogues whose turns do not make a conversation: empty turns, wrong order, nothing to learn from.

    user ──▶ assistant ──▶ user ...          assistant with tool calls ──▶ tool ──▶ tool | assistant

A system message may come first and is no turn. Each rule has its own reason, and the evidence names the
message.
"""

from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import MESSAGES
from pipeline.stage import MapStage, Marks

TURN_COUNT = pa.field("turn_count", pa.int32())  # messages but the first system message
EVIDENCE_TYPE = pa.struct([("message", pa.int32()), ("turns", pa.int32()), ("chars", pa.int64())])

SYSTEM, USER, ASSISTANT, TOOL, CALL, OTHER = range(6)  # CALL: an assistant turn with tool calls
_ROLES = pa.array(["system", "user", "assistant", "tool"])
# _FOLLOWS[a, b]: may b come directly after a?
_FOLLOWS = np.zeros((6, 6), bool)
_FOLLOWS[SYSTEM, [USER, ASSISTANT, TOOL, CALL]] = True  # who may come first is the other rule's question
_FOLLOWS[USER, [ASSISTANT, CALL]] = True
_FOLLOWS[ASSISTANT, USER] = True
_FOLLOWS[CALL, TOOL] = True
_FOLLOWS[TOOL, [TOOL, ASSISTANT, CALL]] = True


class Reason(StrEnum):
    """Why a dialogue goes; the first that holds, in this order."""

    EMPTY_TURN = "empty_turn"
    STARTS_WITH_ASSISTANT = "starts_with_assistant"
    ROLES_DO_NOT_ALTERNATE = "roles_do_not_alternate"
    NO_ASSISTANT_TURN = "no_assistant_turn"
    ENDS_WITH_USER = "ends_with_user"
    TOO_FEW_TURNS = "too_few_turns"
    TOO_MANY_TURNS = "too_many_turns"
    TOO_LONG_CHARS = "too_long_chars"


class Turns:
    """A batch of dialogues as flat numpy arrays: one entry a message, rows begin at `offsets`."""

    def __init__(self, messages: pa.Array) -> None:
        flat = pc.list_flatten(messages)
        lengths = pc.fill_null(pc.list_value_length(messages), 0).to_numpy().astype(np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(lengths)])
        self.rows = np.repeat(np.arange(len(lengths)), lengths)
        roles = pc.fill_null(pc.index_in(pc.struct_field(flat, "role"), _ROLES), OTHER).to_numpy().copy()
        calls = pc.is_valid(pc.struct_field(flat, "tool_calls")).to_numpy(zero_copy_only=False)
        roles[(roles == ASSISTANT) & calls] = CALL
        self.kinds = roles
        content = pc.fill_null(pc.struct_field(flat, "content"), "")
        self.chars = pc.utf8_length(content).to_numpy().astype(np.int64)
        blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(content)), 0).to_numpy(zero_copy_only=False)
        self.empty = blank & ~calls
        first = np.zeros(len(roles), bool)
        first[self.offsets[:-1][lengths > 0]] = True
        self.is_turn = ~(first & (roles == SYSTEM))

    def count(self, where: np.ndarray) -> np.ndarray:
        """How many messages of each row fulfil a condition, int64."""
        found: np.ndarray = np.bincount(self.rows[where], minlength=len(self.offsets) - 1)
        return found

    def first(self, where: np.ndarray) -> np.ndarray:
        """Index in its dialogue of the first message that fulfils a condition, -1 for none."""
        found = np.full(len(self.offsets) - 1, -1, np.int64)
        at = np.flatnonzero(where)[::-1]  # written backwards, so the first one stays
        found[self.rows[at]] = at - self.offsets[self.rows[at]]
        return found

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of a value over the messages of each row."""
        total = np.concatenate([[0], np.cumsum(values)])
        found: np.ndarray = total[self.offsets[1:]] - total[self.offsets[:-1]]
        return found

    def opening(self) -> np.ndarray:
        """Is this message the first turn of its dialogue?"""
        before = np.concatenate([[0], np.cumsum(self.is_turn)])[:-1]
        found: np.ndarray = self.is_turn & (before == before[self.offsets[self.rows]])
        return found

    def out_of_order(self) -> np.ndarray:
        """May this message not follow the one before it?"""
        wrong = np.zeros(len(self.kinds), bool)
        if len(wrong) > 1:
            same = self.rows[1:] == self.rows[:-1]
            wrong[1:] = same & ~_FOLLOWS[self.kinds[:-1], self.kinds[1:]]
        found: np.ndarray = wrong | (self.kinds == OTHER)
        return found

    def closing(self) -> np.ndarray:
        """Is this message the last of its dialogue?"""
        last = np.zeros(len(self.kinds), bool)
        last[self.offsets[1:][self.offsets[1:] > self.offsets[:-1]] - 1] = True
        return last


class CheckDialogue(MapStage[None]):
    """Reject dialogues that are not a conversation with something to learn from."""

    reasons = Reason

    allow_empty_turns: bool = Field(
        False, description="keep dialogues with a turn of nothing but white space"
    )
    allow_assistant_first: bool = Field(
        False, description="keep dialogues that the assistant or a tool begins"
    )
    allow_any_order: bool = Field(False, description="keep dialogues where roles do not take turns")
    allow_no_assistant: bool = Field(False, description="keep dialogues in which the assistant says nothing")
    allow_user_last: bool = Field(False, description="keep dialogues that end before the assistant answers")
    min_turns: int | None = Field(2, ge=1, description="messages, the system message not counted; null = off")
    max_turns: int | None = Field(
        None, ge=1, description="messages, the system message not counted; null = off"
    )
    max_chars: int | None = Field(None, ge=1, description="code points of all contents together; null = off")

    def reads(self) -> pa.Schema:
        return pa.schema([MESSAGES])

    def writes(self) -> pa.Schema:
        return pa.schema([TURN_COUNT])

    def problems(self) -> list[str]:
        if self.min_turns is not None and self.max_turns is not None and self.min_turns > self.max_turns:
            return [
                f"min_turns {self.min_turns} is above max_turns {self.max_turns}: nothing can pass; swap them"
            ]
        return []

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:  # noqa: ARG002
        turns = Turns(batch["messages"])
        count, chars = turns.count(turns.is_turn), turns.sums(turns.chars)
        verdict = np.full(batch.num_rows, None, object)
        message = np.full(batch.num_rows, -1, np.int64)
        open_rows = np.ones(batch.num_rows, bool)
        for reason, bad, where in self._rules(turns, count, chars):
            new = bad & open_rows
            verdict[new], message[new] = reason.value, where[new]
            open_rows &= ~bad
        reject = pa.array(verdict, pa.string())
        shown = pa.array(message.astype(np.int32), mask=message < 0)
        columns = [shown, pa.array(count.astype(np.int32)), pa.array(chars)]
        evidence = pa.StructArray.from_arrays(columns, fields=list(EVIDENCE_TYPE), mask=pc.is_null(reject))
        return Marks({"turn_count": columns[1]}, reject, evidence)

    def _rules(
        self, turns: Turns, count: np.ndarray, chars: np.ndarray
    ) -> list[tuple[Reason, np.ndarray, np.ndarray]]:
        """(reason, rows it holds for, the message to show) of the rules that are on, in order."""
        nowhere = np.full(len(count), -1, np.int64)
        speaks = np.isin(turns.kinds, (ASSISTANT, CALL))
        by_message = [
            (Reason.EMPTY_TURN, self.allow_empty_turns, turns.empty),
            (
                Reason.STARTS_WITH_ASSISTANT,
                self.allow_assistant_first,
                turns.opening() & (turns.kinds != USER),
            ),
            (Reason.ROLES_DO_NOT_ALTERNATE, self.allow_any_order, turns.out_of_order()),
        ]
        rules = [(r, (at := turns.first(bad)) >= 0, at) for r, allowed, bad in by_message if not allowed]
        if not self.allow_no_assistant:
            rules.append((Reason.NO_ASSISTANT_TURN, turns.count(speaks) == 0, nowhere))
        if not self.allow_user_last:
            last = turns.first(turns.closing() & ~speaks & turns.is_turn)
            rules.append((Reason.ENDS_WITH_USER, last >= 0, last))
        if self.min_turns is not None:
            rules.append((Reason.TOO_FEW_TURNS, count < self.min_turns, nowhere))
        if self.max_turns is not None:
            rules.append((Reason.TOO_MANY_TURNS, count > self.max_turns, nowhere))
        if self.max_chars is not None:
            rules.append((Reason.TOO_LONG_CHARS, chars > self.max_chars, nowhere))
        return rules
