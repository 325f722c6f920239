"""Placeholder text, source code and policy text: measured line by line, marked in columns, rejected beyond limits.

C4 rejects a page for one "lorem ipsum" or one curly brace and cuts lines that name a policy (Raffel et al. 2020,
section 2.2). That loses pages about programming for a brace in them. This stage measures *how much* of a document
is of each kind, in several languages; its limits are ours, not a paper's. `annotate_only: true` on the node
keeps every document and leaves the columns for later rules.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import MapStage, Marks
from stages.filters._boilerplate_kernels import COUNTS, count_boilerplate
from stages.filters._edits import LineTables, line_tables
from stages.filters._line_kernels import BRACE
from stages.filters._phrases import build_phrases, phrase_problems
from stages.filters._rules import Rule, active, first_failures
from stages.kernels.buffers import text_buffers

PLACEHOLDER_LINES = pa.field("placeholder_line_count", pa.int32())
CODE_LINE_FRACTION = pa.field("code_line_fraction", pa.float64())
POLICY_WORD_FRACTION = pa.field("policy_word_fraction", pa.float64())
COLUMNS = pa.schema([PLACEHOLDER_LINES, CODE_LINE_FRACTION, POLICY_WORD_FRACTION])

PLACEHOLDERS = ("lorem ipsum", "dolor sit amet", "placeholder text", "your text here")
POLICIES = (
    *(
        "terms of use",
        "privacy policy",
        "cookie policy",
        "uses cookies",
        "use of cookies",
        "use cookies",
    ),  # C4
    *(
        "accept all cookies",
        "cookie settings",
        "cookie preferences",
        "manage consent",
        "your privacy choices",
    ),
    *("datenschutzerklärung", "verwendet cookies", "verwenden cookies", "alle cookies akzeptieren"),
    *("politique de confidentialité", "politique de cookies", "utilise des cookies", "utilisons des cookies"),
    *("política de privacidad", "política de cookies", "utiliza cookies", "utilizamos cookies"),
    *("política de privacidade", "termos de uso", "informativa sulla privacy", "utilizza i cookie"),
    *("privacybeleid", "polityka prywatności", "политика конфиденциальности", "файлы cookie"),
    *("隐私政策", "使用条款", "プライバシーポリシー", "利用規約"),
)
CODE_ENDS = ";{}"
CODE_SIGNS = "{}=<>"
CODE_PHRASES = (");", "//", "/*", "*/")


class Reason(StrEnum):
    """What a document is, in the order of the checks."""

    PLACEHOLDER_TEXT = "placeholder_text"
    SOURCE_CODE = "source_code"
    POLICY_TEXT = "policy_text"


class BoilerplateRules(MapStage[LineTables]):
    """Reject documents that are placeholder text, source code or a policy; the measures stay as columns.

    A document without lines has no fractions and breaks no rule. Null text counts as empty.
    """

    reasons = Reason

    max_placeholder_lines: int | None = Field(
        0, ge=0, description="lines with a placeholder phrase; null turns the rule off"
    )
    max_code_lines: float | None = Field(
        0.5, ge=0, le=1, description="fraction of lines that are source code; null turns the rule off"
    )
    max_policy_words: float | None = Field(
        0.5,
        ge=0,
        le=1,
        description="fraction of words in lines with a policy phrase; null turns the rule off",
    )
    placeholder_phrases: tuple[str, ...] = Field(PLACEHOLDERS, description="case does not matter")
    policy_phrases: tuple[str, ...] = Field(
        POLICIES, description="of terms, privacy and consent, in several languages; case does not matter"
    )

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        """`placeholder_line_count`, `code_line_fraction` and `policy_word_fraction`; fractions null without lines."""
        return COLUMNS

    def problems(self) -> Sequence[str]:
        """Phrases that would be in every line, or in none."""
        names = ("placeholder_phrases", "policy_phrases")
        return [problem for name in names for problem in phrase_problems(name, getattr(self, name))]

    def rules(self) -> list[Rule]:
        """The limits that are set, in order."""
        return active(
            [
                Rule(Reason.PLACEHOLDER_TEXT, PLACEHOLDER_LINES, max=self.max_placeholder_lines),
                Rule(Reason.SOURCE_CODE, CODE_LINE_FRACTION, max=self.max_code_lines),
                Rule(Reason.POLICY_TEXT, POLICY_WORD_FRACTION, max=self.max_policy_words),
            ]
        )

    def open(self, side: Mapping[str, Path]) -> LineTables:  # noqa: ARG002
        """The automaton of all phrases, and the classes of characters."""
        tables = line_tables(
            build_phrases(self.placeholder_phrases, self.policy_phrases, CODE_PHRASES), CODE_ENDS
        )
        tables.kinds[[ord(char) for char in CODE_SIGNS]] |= np.uint16(BRACE)
        return tables

    def annotate(self, batch: pa.RecordBatch, resource: LineTables) -> Marks:
        """The three measures of each row and the first limit that it is beyond."""
        columns = boilerplate_columns(batch.column(TEXT.name), resource)
        measured = pa.RecordBatch.from_arrays(list(columns.values()), schema=COLUMNS)
        return first_failures(measured, self.rules())._replace(columns=columns)


def boilerplate_columns(text: pa.Array, tables: LineTables) -> dict[str, pa.Array]:
    """COLUMNS for a text column, by name."""
    data, offsets = text_buffers(text)
    table = count_boilerplate(data, offsets, tables.kinds, tables.phrases, tables.cites)
    counts = {name: table[:, k] for k, name in enumerate(COUNTS)}
    empty = counts["lines"] == 0
    fractions = {
        CODE_LINE_FRACTION: counts["code_lines"] / np.where(empty, 1, counts["lines"]),
        POLICY_WORD_FRACTION: counts["policy_words"] / np.where(empty, 1, counts["words"]),
    }
    columns = {PLACEHOLDER_LINES.name: pa.array(counts["placeholder_lines"], pa.int64()).cast(pa.int32())}
    return columns | {field.name: pa.array(v, pa.float64(), mask=empty) for field, v in fractions.items()}
