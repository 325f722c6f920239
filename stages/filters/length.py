"""Length limits in words, characters and tokens, on counts that earlier stages made."""

from collections.abc import Sequence
from enum import StrEnum

import pyarrow as pa
from pydantic import Field

from pipeline.schema import CHAR_COUNT, TOKEN_COUNT, WORD_COUNT
from pipeline.stage import MapStage, Marks
from stages.filters._rules import Rule, active, columns_of, crossed_bounds, first_failures


class Reason(StrEnum):
    """Which limit a document is beyond."""

    TOO_FEW_WORDS = "too_few_words"
    TOO_MANY_WORDS = "too_many_words"
    TOO_FEW_CHARS = "too_few_chars"
    TOO_MANY_CHARS = "too_many_chars"
    TOO_FEW_TOKENS = "too_few_tokens"
    TOO_MANY_TOKENS = "too_many_tokens"


class FilterLength(MapStage[None]):
    """Reject documents shorter or longer than the limits that are set; all are off by default.

    Reads only the counts that have a limit: `word_count` and `char_count` come from `text_signals`,
    `token_count` from `tokenize`. A null count counts as 0.
    """

    reasons = Reason

    min_words: int | None = Field(None, ge=0, description="words; null turns the rule off")
    max_words: int | None = Field(None, ge=0, description="words; null turns the rule off")
    min_chars: int | None = Field(None, ge=0, description="Unicode code points; null turns the rule off")
    max_chars: int | None = Field(None, ge=0, description="Unicode code points; null turns the rule off")
    min_tokens: int | None = Field(None, ge=0, description="tokens; null turns the rule off")
    max_tokens: int | None = Field(None, ge=0, description="tokens; null turns the rule off")

    def rules(self) -> list[Rule]:
        """The limits that are set, in the order of the params."""
        return active(
            [
                Rule(Reason.TOO_FEW_WORDS, WORD_COUNT, min=self.min_words, null_is=0),
                Rule(Reason.TOO_MANY_WORDS, WORD_COUNT, max=self.max_words),
                Rule(Reason.TOO_FEW_CHARS, CHAR_COUNT, min=self.min_chars, null_is=0),
                Rule(Reason.TOO_MANY_CHARS, CHAR_COUNT, max=self.max_chars),
                Rule(Reason.TOO_FEW_TOKENS, TOKEN_COUNT, min=self.min_tokens, null_is=0),
                Rule(Reason.TOO_MANY_TOKENS, TOKEN_COUNT, max=self.max_tokens),
            ]
        )

    def reads(self) -> pa.Schema:
        """The counts that have a limit."""
        return columns_of(self.rules())

    def problems(self) -> Sequence[str]:
        """No limit at all, or limits that keep nothing."""
        if not self.rules():
            return [
                "params: no limit is set, so nothing would be filtered; set min_words, max_chars or another"
            ]
        return crossed_bounds(self)

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:  # noqa: ARG002
        """The first limit that each row is beyond, with its count."""
        return first_failures(batch, self.rules())
