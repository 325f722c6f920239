"""RefinedWeb's line-wise corrections: what extraction left of menus, counters and buttons.

Penedo et al. 2023, "The RefinedWeb Dataset for Falcon LLM", arXiv:2306.01116, section 3.1 and appendix G.2. The
paper describes the lines in words and gives an example of each; the numbers it leaves open are those of DCLM's
reproduction (Li et al. 2024, arXiv:2406.11794, `dclm_baseline_refinedweb.yaml`). It notes itself that the rules
were found by looking at English pages and need adapting to other languages: all lists are params.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import MapStage, Marks
from stages.filters._edits import Edited, LineTables, cut_evidence, edited_column, line_tables, reasons_of
from stages.filters._phrases import build_phrases, phrase_problems
from stages.filters._refinedweb_kernels import COUNTS, correct_lines
from stages.kernels.buffers import text_buffers
from stages.kernels.words import hash_words, word_alphabet

COUNTER_WORDS = (
    *("like", "likes", "share", "shares", "comment", "comments", "retweet", "retweets", "repost", "reposts"),
    *("quotes", "bookmarks", "upvotes", "downvotes", "download", "downloads", "view", "views"),
    *("follower", "followers", "reply", "replies"),
)
START_PHRASES = ("sign-in", "sign in", "signin")
END_PHRASES = ("read more...", "read more…", "read more")
ANY_PHRASES = ("items in cart",)
NOT_LIMITED = 2.0  # no share is as large
CUTS = COUNTS[1:6]  # counts that evidence shows of a kept row


class Reason(StrEnum):
    """What is wrong with a document, in the order of the checks."""

    TOO_MANY_FLAGGED_WORDS = "too_many_flagged_words"
    NOTHING_LEFT = "nothing_left"


class Corrections(NamedTuple):
    """What `open` returns: tables of scan_line() and the hashes of the counter words."""

    tables: LineTables
    counters: np.ndarray


class RefinedwebRules(MapStage[Corrections]):
    """Cut or edit lines that are no content; reject documents of which they are more than a few (RefinedWeb).

    Rewrites `text` of kept rows; put `text_signals` after it, since what was measured before is no longer so.
    A rejected row keeps its text. Evidence counts the flagged lines, by rule. `null` or an empty list turns a
    rule off. Null text counts as empty, and as such has nothing left.
    """

    reasons = Reason

    max_uppercase_fraction: float | None = Field(
        0.5, ge=0, le=1, description="cut lines of which a larger share of the characters is upper case"
    )
    cut_numeric_lines: bool = Field(True, description="cut lines of digits alone")
    counter_words: tuple[str, ...] = Field(
        COUNTER_WORDS,
        description='cut lines of numbers and these words alone ("3 likes"); case does not matter',
    )
    min_words_per_line: int | None = Field(
        2, ge=0, description="cut lines with fewer words: one alone says little"
    )
    start_phrases: tuple[str, ...] = Field(
        START_PHRASES, description="flag short lines that begin with one of these; case does not matter"
    )
    end_phrases: tuple[str, ...] = Field(
        END_PHRASES, description="flag short lines that end with one of these"
    )
    any_phrases: tuple[str, ...] = Field(ANY_PHRASES, description="flag short lines that have one of these")
    max_phrase_line_words: int = Field(
        10, ge=0, description="words of the longest line in which phrases and counters are looked for"
    )
    on_phrase: Literal["edit", "cut"] = Field(
        "edit", description="take the phrase out of its line, as the paper does, or cut the line"
    )
    max_flagged_word_fraction: float | None = Field(
        0.05, ge=0, le=1, description="reject if flagged lines had a larger share of the document's words"
    )

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return pa.schema([TEXT])

    def problems(self) -> Sequence[str]:
        """Phrases that would be in every line or in none; counter words that are several words."""
        problems = []
        for name in ("start_phrases", "end_phrases", "any_phrases"):
            problems += phrase_problems(name, getattr(self, name))
        words = hash_words(pa.array(self.counter_words, pa.string()), word_alphabet())
        for word, count in zip(self.counter_words, np.diff(words.offsets), strict=True):
            if count != 1:
                problems.append(
                    f"counter_words: {word!r} is not one word, so no line can have it; write single words"
                )
        return problems

    def open(self, side: Mapping[str, Path]) -> Corrections:  # noqa: ARG002
        """The automaton of all phrases, the classes of characters, the counters' hashes."""
        phrases = build_phrases(self.start_phrases, self.end_phrases, self.any_phrases)
        words = hash_words(pa.array(self.counter_words, pa.string()), word_alphabet())
        return Corrections(line_tables(phrases), words.hashes)

    def annotate(self, batch: pa.RecordBatch, resource: Corrections) -> Marks:
        """The text without flagged lines and phrases, or the reason that there are too many."""
        text = batch.column(TEXT.name)
        edited = self.correct(text, resource)
        reject = reasons_of(edited.verdicts, tuple(Reason))
        counts = dict(zip(COUNTS, edited.counts.T, strict=True))
        shown = {name: counts[name] for name in ("lines", *CUTS, "words", "flagged_words")}
        share = counts["flagged_words"] / np.maximum(counts["words"], 1)
        nothing = edited.verdicts == len(Reason)
        most = self.max_flagged_word_fraction
        evidence = cut_evidence(
            reject,
            np.where(nothing, counts["kept_lines"], share),
            np.where(nothing, 1.0, np.nan if most is None else most),
            shown,
            counts["flagged_words"] > 0,
        )
        return Marks({TEXT.name: edited_column(text, edited)}, reject, evidence)

    def correct(self, text: pa.Array, corrections: Corrections) -> Edited:
        """Texts, counts (COUNTS) and verdicts of a text column."""
        data, offsets = text_buffers(text)
        tables, alphabet = corrections.tables, word_alphabet()
        upper, most = self.max_uppercase_fraction, self.max_flagged_word_fraction
        return Edited(
            *correct_lines(
                data,
                offsets,
                tables.kinds,
                tables.phrases,
                tables.cites,
                (alphabet.kinds, alphabet.folded, alphabet.quick),
                corrections.counters,
                NOT_LIMITED if upper is None else upper,
                self.cut_numeric_lines,
                self.min_words_per_line or 0,
                self.max_phrase_line_words,
                self.on_phrase == "cut",
                NOT_LIMITED if most is None else most,
            )
        )
