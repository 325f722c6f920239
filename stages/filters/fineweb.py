"""FineWeb's own rules, on the columns that `text_signals` wrote.

Penedo et al. 2024, "The FineWeb Datasets", arXiv:2406.17557, the section on developing heuristic filters, and
`FineWebQualityFilter` of datatrove, with whose defaults the dataset was made. The two differ once: the paper says
0.1 for the characters in duplicate lines, the code 0.01. The default here is the code's.
"""

from collections.abc import Sequence
from enum import StrEnum

import pyarrow as pa
from pydantic import Field

from pipeline.stage import MapStage, Marks
from stages.filters._rules import Rule, active, columns_of, first_failures

ENDING_WITH_TERMINAL = pa.field("fraction_of_lines_ending_with_terminal_punctuation", pa.float64())
SHORT_LINE_FRACTION = pa.field("short_line_fraction", pa.float64())
DUPLICATE_LINE_CHARS = pa.field("duplicate_line_char_fraction", pa.float64())
NEWLINE_TO_WORD_RATIO = pa.field("newline_to_word_ratio", pa.float64())


class Reason(StrEnum):
    """What is wrong with a document, in the order of the rules."""

    TOO_FEW_TERMINAL_LINES = "too_few_terminal_lines"
    TOO_MANY_SHORT_LINES = "too_many_short_lines"
    DUPLICATE_LINE_CHARS = "too_many_duplicate_line_chars"
    TOO_MANY_NEWLINES = "too_many_newlines"


class FinewebRules(MapStage[None]):
    """Reject documents that are lists rather than prose (FineWeb, Penedo et al. 2024).

    Reads what `text_signals` writes. The first rule broken, in the order of the params, is the reason. A null
    signal breaks no rule, but a document without lines has none that ends in a terminal mark.
    """

    reasons = Reason

    min_terminal_lines: float | None = Field(
        0.12, ge=0, le=1, description="fraction of lines that end in a terminal mark; null turns the rule off"
    )
    max_short_lines: float | None = Field(
        0.67, ge=0, le=1, description="fraction of lines of at most 30 characters; null turns the rule off"
    )
    max_duplicate_line_chars: float | None = Field(
        0.01, ge=0, le=1, description="fraction of characters in lines that came before; the paper prints 0.1"
    )
    max_newlines_per_word: float | None = Field(
        0.3, ge=0, description="newline characters a word; null turns the rule off"
    )

    def rules(self) -> list[Rule]:
        """The rules that are on, in order."""
        return active(
            [
                Rule(
                    Reason.TOO_FEW_TERMINAL_LINES,
                    ENDING_WITH_TERMINAL,
                    min=self.min_terminal_lines,
                    null_is=0,
                ),
                Rule(Reason.TOO_MANY_SHORT_LINES, SHORT_LINE_FRACTION, max=self.max_short_lines),
                Rule(Reason.DUPLICATE_LINE_CHARS, DUPLICATE_LINE_CHARS, max=self.max_duplicate_line_chars),
                Rule(Reason.TOO_MANY_NEWLINES, NEWLINE_TO_WORD_RATIO, max=self.max_newlines_per_word),
            ]
        )

    def reads(self) -> pa.Schema:
        """The columns of the rules that are on."""
        return columns_of(self.rules())

    def problems(self) -> Sequence[str]:
        """All rules off."""
        return (
            []
            if self.rules()
            else ["params: every rule is off, so nothing would be filtered; remove the node"]
        )

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:  # noqa: ARG002
        """The first broken rule of each row, with what was measured."""
        return first_failures(batch, self.rules())
