"""Gopher's quality and repetition rules, on the columns that `text_signals` wrote.

Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
arXiv:2112.11446, appendix A.1.1. The thresholds are the paper's. They were made for English: another language
needs its own stop words (a param of `text_signals`), and often other word lengths; `null` turns a rule off.
"""

from collections.abc import Sequence
from enum import StrEnum

import pyarrow as pa
from pydantic import Field

from pipeline.schema import WORD_COUNT
from pipeline.stage import MapStage, Marks
from stages.filters._rules import Rule, active, columns_of, crossed_bounds, first_failures

MEAN_WORD_LENGTH = pa.field("mean_word_length", pa.float64())
HASH_TO_WORD_RATIO = pa.field("hash_to_word_ratio", pa.float64())
ELLIPSIS_TO_WORD_RATIO = pa.field("ellipsis_to_word_ratio", pa.float64())
STARTING_WITH_BULLET = pa.field("fraction_of_lines_starting_with_bullet", pa.float64())
ENDING_WITH_ELLIPSIS = pa.field("fraction_of_lines_ending_with_ellipsis", pa.float64())
FRACTION_OF_WORDS_WITH_ALPHA = pa.field("fraction_of_words_with_alpha", pa.float64())
DISTINCT_STOP_WORDS = pa.field("distinct_stop_words", pa.int32())


class QualityReason(StrEnum):
    """What is wrong with a document, in the order of the rules."""

    TOO_FEW_WORDS = "too_few_words"
    TOO_MANY_WORDS = "too_many_words"
    MEAN_WORD_TOO_SHORT = "mean_word_too_short"
    MEAN_WORD_TOO_LONG = "mean_word_too_long"
    TOO_MANY_HASHES = "too_many_hashes"
    TOO_MANY_ELLIPSES = "too_many_ellipses"
    TOO_MANY_BULLET_LINES = "too_many_bullet_lines"
    TOO_MANY_ELLIPSIS_LINES = "too_many_ellipsis_lines"
    TOO_FEW_ALPHA_WORDS = "too_few_alpha_words"
    TOO_FEW_STOP_WORDS = "too_few_stop_words"


class GopherRules(MapStage[None]):
    """Reject documents that break a quality rule of Gopher (Rae et al. 2021, appendix A.1.1).

    Reads what `text_signals` writes. The first rule broken, in the order of the params, is the reason. A
    signal that is null (there was nothing to measure) breaks no rule; a null word count counts as 0.
    """

    reasons = QualityReason

    min_words: int | None = Field(50, ge=0, description="words; null turns the rule off")
    max_words: int | None = Field(100_000, ge=0, description="words; null turns the rule off")
    min_mean_word_length: float | None = Field(3, ge=0, description="characters of the mean word")
    max_mean_word_length: float | None = Field(10, ge=0, description="characters of the mean word")
    max_hash_to_word_ratio: float | None = Field(0.1, ge=0, description="hash signs a word")
    max_ellipsis_to_word_ratio: float | None = Field(0.1, ge=0, description="ellipses (... or …) a word")
    max_bullet_lines: float | None = Field(
        0.9, ge=0, le=1, description="fraction of lines that start with a bullet"
    )
    max_ellipsis_lines: float | None = Field(
        0.3, ge=0, le=1, description="fraction of lines that end with ..."
    )
    min_alpha_words: float | None = Field(0.8, ge=0, le=1, description="fraction of words with a letter")
    min_stop_words: int | None = Field(
        2, ge=0, description="distinct stop words; the list is a param of text_signals, by default English"
    )

    def rules(self) -> list[Rule]:
        """The rules that are on, in order."""
        reason = QualityReason
        return active(
            [
                Rule(reason.TOO_FEW_WORDS, WORD_COUNT, min=self.min_words, null_is=0),
                Rule(reason.TOO_MANY_WORDS, WORD_COUNT, max=self.max_words),
                Rule(reason.MEAN_WORD_TOO_SHORT, MEAN_WORD_LENGTH, min=self.min_mean_word_length),
                Rule(reason.MEAN_WORD_TOO_LONG, MEAN_WORD_LENGTH, max=self.max_mean_word_length),
                Rule(reason.TOO_MANY_HASHES, HASH_TO_WORD_RATIO, max=self.max_hash_to_word_ratio),
                Rule(reason.TOO_MANY_ELLIPSES, ELLIPSIS_TO_WORD_RATIO, max=self.max_ellipsis_to_word_ratio),
                Rule(reason.TOO_MANY_BULLET_LINES, STARTING_WITH_BULLET, max=self.max_bullet_lines),
                Rule(reason.TOO_MANY_ELLIPSIS_LINES, ENDING_WITH_ELLIPSIS, max=self.max_ellipsis_lines),
                Rule(reason.TOO_FEW_ALPHA_WORDS, FRACTION_OF_WORDS_WITH_ALPHA, min=self.min_alpha_words),
                Rule(reason.TOO_FEW_STOP_WORDS, DISTINCT_STOP_WORDS, min=self.min_stop_words),
            ]
        )

    def reads(self) -> pa.Schema:
        """The columns of the rules that are on."""
        return columns_of(self.rules())

    def problems(self) -> Sequence[str]:
        """Bounds that keep nothing."""
        return crossed_bounds(self)

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:  # noqa: ARG002
        """The first broken rule of each row, with what was measured."""
        return first_failures(batch, self.rules())


class RepetitionReason(StrEnum):
    """What a document has too much of, in the order of the rules (table A1)."""

    DUPLICATE_LINES = "too_many_duplicate_lines"
    DUPLICATE_PARAGRAPHS = "too_many_duplicate_paragraphs"
    DUPLICATE_LINE_CHARS = "too_many_duplicate_line_chars"
    DUPLICATE_PARAGRAPH_CHARS = "too_many_duplicate_paragraph_chars"
    TOP_2GRAM = "top_2gram_too_frequent"
    TOP_3GRAM = "top_3gram_too_frequent"
    TOP_4GRAM = "top_4gram_too_frequent"
    DUPLICATE_5GRAMS = "too_many_duplicate_5grams"
    DUPLICATE_6GRAMS = "too_many_duplicate_6grams"
    DUPLICATE_7GRAMS = "too_many_duplicate_7grams"
    DUPLICATE_8GRAMS = "too_many_duplicate_8grams"
    DUPLICATE_9GRAMS = "too_many_duplicate_9grams"
    DUPLICATE_10GRAMS = "too_many_duplicate_10grams"


def _fraction(default: float, of: str) -> float | None:
    field: float | None = Field(default, ge=0, le=1, description=f"{of}; null turns the rule off")
    return field


class GopherRepetition(MapStage[None]):
    """Reject documents that repeat themselves more than Gopher allows (Rae et al. 2021, table A1).

    Reads what `text_signals` writes; docs/signals.md defines each fraction. The first rule broken, in the
    order of the params, is the reason; a null signal breaks none.
    """

    reasons = RepetitionReason

    max_duplicate_line_fraction: float | None = _fraction(0.30, "lines that came before")
    max_duplicate_paragraph_fraction: float | None = _fraction(0.30, "paragraphs that came before")
    max_duplicate_line_char_fraction: float | None = _fraction(0.20, "characters in lines that came before")
    max_duplicate_paragraph_char_fraction: float | None = _fraction(
        0.20, "characters in paragraphs that came before"
    )
    max_top_2gram_char_fraction: float | None = _fraction(0.20, "characters in the most frequent 2-gram")
    max_top_3gram_char_fraction: float | None = _fraction(0.18, "characters in the most frequent 3-gram")
    max_top_4gram_char_fraction: float | None = _fraction(0.16, "characters in the most frequent 4-gram")
    max_duplicate_5gram_char_fraction: float | None = _fraction(0.15, "characters in repeated 5-grams")
    max_duplicate_6gram_char_fraction: float | None = _fraction(0.14, "characters in repeated 6-grams")
    max_duplicate_7gram_char_fraction: float | None = _fraction(0.13, "characters in repeated 7-grams")
    max_duplicate_8gram_char_fraction: float | None = _fraction(0.12, "characters in repeated 8-grams")
    max_duplicate_9gram_char_fraction: float | None = _fraction(0.11, "characters in repeated 9-grams")
    max_duplicate_10gram_char_fraction: float | None = _fraction(0.10, "characters in repeated 10-grams")

    def rules(self) -> list[Rule]:
        """The rules that are on; a param is `max_` and its column's name, in the order of the reasons."""
        limits = [(name, getattr(self, name)) for name in type(self).model_fields]
        return active(
            Rule(reason, pa.field(name.removeprefix("max_"), pa.float64()), max=limit)
            for reason, (name, limit) in zip(RepetitionReason, limits, strict=True)
        )

    def reads(self) -> pa.Schema:
        """The columns of the rules that are on."""
        return columns_of(self.rules())

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:  # noqa: ARG002
        """The first broken rule of each row, with what was measured."""
        return first_failures(batch, self.rules())
