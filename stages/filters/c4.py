"""C4's rules: lines that are no prose are cut, pages that are none are rejected.

Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", JMLR 21
(140), section 2.2. Numbers and lists are the paper's; where it is silent, its published code (`c4_utils.py` of
TensorFlow Datasets) is followed, and docs/filters.md says where. The list of bad words is `bad_words`' matter.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import MapStage, Marks
from stages.filters._c4_kernels import COUNTS, clean_pages
from stages.filters._edits import (
    TERMINAL_MARKS,
    Edited,
    LineTables,
    cut_evidence,
    edited_column,
    line_tables,
    reasons_of,
)
from stages.filters._phrases import build_phrases, phrase_problems
from stages.kernels.buffers import text_buffers

POLICY_PHRASES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
UNBOUNDED = 1 << 62
CUTS = COUNTS[1:7]  # counts that evidence shows of a kept row


class Reason(StrEnum):
    """What is wrong with a page, in the order of the checks."""

    LOREM_IPSUM = "lorem_ipsum"
    CURLY_BRACE = "curly_brace"
    TOO_FEW_SENTENCES = "too_few_sentences"
    NOTHING_LEFT = "nothing_left"


class C4Rules(MapStage[LineTables]):
    """Cut lines that are no prose, then reject pages with placeholder text, code, or too little left (C4).

    Rewrites `text` of kept rows; put `text_signals` after it, since what was measured before is no longer so.
    A rejected row keeps its text. Evidence counts what was cut, by rule. `null` or an empty list turns a rule
    off. Null text counts as empty.
    """

    reasons = Reason

    require_terminal_mark: bool = Field(
        True, description="cut lines that do not end in a terminal mark, or end in an ellipsis"
    )
    terminal_marks: str = Field(
        TERMINAL_MARKS,
        min_length=1,
        description="characters that may end a line: C4's . ! ? \" ' and those of other scripts",
    )
    min_words_per_line: int | None = Field(
        5, ge=0, description="cut lines with fewer words (between white space); datatrove has 3"
    )
    max_word_length: int | None = Field(
        1000, ge=1, description="cut lines with a longer word, in characters; from C4's code, not the paper"
    )
    javascript_phrases: tuple[str, ...] = Field(
        ("javascript",), description="cut lines that have one of these; case does not matter"
    )
    policy_phrases: tuple[str, ...] = Field(
        POLICY_PHRASES, description="cut lines that have one of these; case does not matter"
    )
    remove_citations: bool = Field(True, description="take out [1], [], [edit], [citation needed]")
    citation_marks: tuple[str, ...] = Field(
        ("edit", "citation needed"),
        description="what else than digits in brackets is a citation; case matters",
    )
    placeholder_phrases: tuple[str, ...] = Field(
        ("lorem ipsum",), description="reject pages that have one of these; case does not matter"
    )
    reject_curly_braces: bool = Field(True, description="reject pages that have a {")
    page_rules_read: Literal["passing_lines", "all_lines"] = Field(
        "passing_lines",
        description="where placeholders and { are looked for: lines that are long enough and end well, as C4's "
        "code and datatrove do, or the whole page, as the paper says",
    )
    min_sentences: int | None = Field(
        3, ge=0, description="reject pages with fewer sentences in the lines kept; datatrove has 5"
    )
    keep_blank_lines: bool = Field(
        False,
        description="keep one blank line where there were some; C4 leaves none, so no paragraphs either",
    )

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([TEXT])

    def problems(self) -> Sequence[str]:
        """Phrases that would be in every line, or in none; citations that are no text."""
        problems = []
        letters = [char for char in self.terminal_marks if char.isalnum() or char.isspace()]
        if letters:
            problems.append(
                f"terminal_marks: {letters[0]!r} is no punctuation, so it ends no line; write marks such as . ! ?"
            )
        for name in ("javascript_phrases", "policy_phrases", "placeholder_phrases", "citation_marks"):
            problems += phrase_problems(name, getattr(self, name))
        return problems

    def open(self, side: Mapping[str, Path]) -> LineTables:  # noqa: ARG002
        """The automaton of all phrases, and the classes of characters."""
        phrases = build_phrases(self.javascript_phrases, self.policy_phrases, self.placeholder_phrases)
        # marks must not be empty where citations are looked for: a lone ] ends none
        cites = (*self.citation_marks, "]") if self.remove_citations else ()
        return line_tables(phrases, self.terminal_marks, self.reject_curly_braces, cites)

    def annotate(self, batch: pa.RecordBatch, resource: LineTables) -> Marks:
        """The text without what was cut, and the first page rule that it breaks."""
        text = batch.column(TEXT.name)
        edited = self.clean(text, resource)
        reject = reasons_of(edited.verdicts, tuple(Reason))
        counts = dict(zip(COUNTS, edited.counts.T, strict=True))
        shown = {name: counts[name] for name in ("lines", *CUTS)}
        cut = sum((counts[name] for name in CUTS), np.zeros(len(text), np.int64)) > 0
        measured = np.stack([counts[name] for name in ("lorem", "braces", "sentences", "kept_lines")])
        rule = np.maximum(edited.verdicts.astype(np.int64) - 1, 0)
        values = measured[rule, np.arange(len(text))].astype(np.float64)
        limits = np.array([0, 0, self.min_sentences or 0, 1], np.float64)[rule]
        evidence = cut_evidence(reject, values, limits, shown, cut)
        return Marks({TEXT.name: edited_column(text, edited)}, reject, evidence)

    def clean(self, text: pa.Array, tables: LineTables) -> Edited:
        """Texts, counts (COUNTS) and verdicts of a text column."""
        data, offsets = text_buffers(text)
        return Edited(
            *clean_pages(
                data,
                offsets,
                tables.kinds,
                tables.phrases,
                tables.cites,
                UNBOUNDED if self.max_word_length is None else self.max_word_length,
                self.min_words_per_line or 0,
                self.require_terminal_mark,
                self.page_rules_read == "all_lines",
                self.keep_blank_lines,
                self.min_sentences or 0,
            )
        )
