"""Counts and ratios of a document's text: all that Gopher's rules need, and most of C4's and FineWeb's.

One compiled pass over the Arrow buffer computes all of it, so rules cost nothing more. What is a word, a
line and a paragraph, and what each number means, is defined in docs/signals.md; in short:

* a word is what stands between white space, without punctuation and symbols around it, compared in lower
  case; in scripts written without spaces (Han, Kana, Thai, ...) every character is a word;
* a line ends at a newline, and blank ones do not count; a paragraph is a run of lines with none blank;
* a ratio is null, never 0, where there is nothing to measure.
"""

import functools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import CHAR_COUNT, TEXT, WORD_COUNT
from pipeline.stage import MapStage, Marks
from stages.kernels.buffers import text_buffers
from stages.kernels.unicode import LIMIT, WORD, char_classes, lower_table
from stages.signals._kernels import BULLET, COUNTED, COUNTS, TERMINAL, count_text, hash_word
from stages.signals.repetition import REPETITION_FIELDS, Counts, ratio, repetition_columns

# Rae et al. 2021, appendix A.1.1, "Quality filtering": the words every English text has.
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
MAX_STOP_WORDS = 64

# RedPajama's bullets and dolma's `*` and `-`. No em dash: it opens dialogue in French, Spanish and Russian.
BULLETS = "•‣⁃∙·▪▫■□●○◦▶◀►–-*"
# C4's . ! ? " ' and their counterparts in other scripts, so that a rule on it does not delete a language.
TERMINALS = ".!?\"'…。！？｡．؟۔।॥។။።։׃”’»›」』"

LINE_COUNT = pa.field("line_count", pa.int32())
PARAGRAPH_COUNT = pa.field("paragraph_count", pa.int32())
CURLY_BRACE_COUNT = pa.field("curly_brace_count", pa.int32())
MAX_WORD_LENGTH = pa.field("max_word_length", pa.int32())
DISTINCT_STOP_WORDS = pa.field("distinct_stop_words", pa.int32())
MEAN_WORD_LENGTH = pa.field("mean_word_length", pa.float64())
FRACTION_OF_WORDS_WITH_ALPHA = pa.field("fraction_of_words_with_alpha", pa.float64())
HASH_TO_WORD_RATIO = pa.field("hash_to_word_ratio", pa.float64())
ELLIPSIS_TO_WORD_RATIO = pa.field("ellipsis_to_word_ratio", pa.float64())
SYMBOL_TO_WORD_RATIO = pa.field("symbol_to_word_ratio", pa.float64())
NEWLINE_TO_WORD_RATIO = pa.field("newline_to_word_ratio", pa.float64())
STARTING_WITH_BULLET = pa.field("fraction_of_lines_starting_with_bullet", pa.float64())
ENDING_WITH_ELLIPSIS = pa.field("fraction_of_lines_ending_with_ellipsis", pa.float64())
ENDING_WITH_TERMINAL = pa.field("fraction_of_lines_ending_with_terminal_punctuation", pa.float64())
SHORT_LINE_FRACTION = pa.field("short_line_fraction", pa.float64())

COUNT_FIELDS = {  # column -> count
    WORD_COUNT: "words",
    CHAR_COUNT: "chars",
    LINE_COUNT: "lines",
    PARAGRAPH_COUNT: "paragraphs",
    CURLY_BRACE_COUNT: "braces",
    MAX_WORD_LENGTH: "max_word_chars",
    DISTINCT_STOP_WORDS: "stop_words",
}
RATIO_FIELDS = {  # column -> part, whole
    FRACTION_OF_WORDS_WITH_ALPHA: ("alpha_words", "words_and_symbols"),
    HASH_TO_WORD_RATIO: ("hashes", "words"),
    ELLIPSIS_TO_WORD_RATIO: ("ellipses", "words"),
    NEWLINE_TO_WORD_RATIO: ("newlines", "words"),
    STARTING_WITH_BULLET: ("bullet_lines", "lines"),
    ENDING_WITH_ELLIPSIS: ("ellipsis_lines", "lines"),
    ENDING_WITH_TERMINAL: ("terminal_lines", "lines"),
    SHORT_LINE_FRACTION: ("short_lines", "lines"),
}
TEXT_SIGNALS = pa.schema(
    [*COUNT_FIELDS, MEAN_WORD_LENGTH, SYMBOL_TO_WORD_RATIO, *RATIO_FIELDS, *REPETITION_FIELDS]
)


@functools.cache
def char_kinds() -> np.ndarray:
    """uint16 for each code point below LIMIT: its Unicode class and what the scan asks of it beyond that."""
    kinds = char_classes().astype(np.uint16)
    for chars, bit in ((BULLETS, BULLET), (TERMINALS, TERMINAL), (".#{…", COUNTED)):
        kinds[[ord(char) for char in chars]] |= np.uint16(bit)
    return kinds


def stop_hashes(stop_words: Sequence[str]) -> np.ndarray:
    """uint64 hashes of the distinct words, in lower case, as the scan computes them."""
    lower = lower_table()
    words = {tuple(lower[ord(c)] if ord(c) < LIMIT else ord(c) for c in word) for word in stop_words}
    hashes = [hash_word(np.array(word, np.int64)) for word in sorted(words)]
    return np.array(hashes, np.uint64)


def count_signals(text: pa.Array, stop_words: Sequence[str] = STOP_WORDS) -> Counts:
    """The integer counts of each text, by the names in COUNTS; null text counts as empty.

    >>> counts = count_signals(pa.array(["The cat and the dog.", None], pa.large_string()))
    >>> counts["words"].tolist(), counts["stop_words"].tolist()
    ([5, 0], [2, 0])
    """
    data, offsets = text_buffers(text)
    table = count_text(data, offsets, char_kinds(), lower_table(), stop_hashes(stop_words))
    return {name: table[:, k] for k, name in enumerate(COUNTS)}


def text_signals(text: pa.Array, stop_words: Sequence[str] = STOP_WORDS) -> dict[str, pa.Array]:
    """Every column of TEXT_SIGNALS for a text column.

    >>> text_signals(pa.array(["one two"], pa.large_string()))["mean_word_length"].to_pylist()
    [3.0]
    """
    counts = count_signals(text, stop_words)
    columns = {
        field.name: pa.array(counts[name], pa.int64()).cast(field.type)
        for field, name in COUNT_FIELDS.items()
    }
    for field, (part, whole) in RATIO_FIELDS.items():
        columns[field.name] = ratio(counts[part], counts[whole])
    columns[SYMBOL_TO_WORD_RATIO.name] = ratio(counts["hashes"] + counts["ellipses"], counts["words"])
    # Where characters stand for words their "length" says nothing: such documents have no mean.
    spaced = counts["spaced_words"]
    measured = np.where(2 * spaced < counts["words"], 0, spaced)
    columns[MEAN_WORD_LENGTH.name] = ratio(counts["spaced_word_chars"], measured)
    return columns | repetition_columns(counts)


def unusable_stop_words(stop_words: Sequence[str]) -> list[str]:
    """The stop words that no word of a text can equal: empty, several words, punctuation at an end.

    >>> unusable_stop_words(["the", "of course", "l'"])
    ['of course', "l'"]
    """
    kinds = char_classes()

    def usable(word: str) -> bool:
        ends = [ord(c) >= LIMIT or bool(kinds[ord(c)] & WORD) for c in (word[:1], word[-1:]) if c]
        return bool(ends) and all(ends) and count_signals(pa.array([word]))["words"][0] == 1

    return [word for word in stop_words if not usable(word)]


class TextSignals(MapStage[None]):
    """Count words, lines and repetition once; `gopher_rules` and other rules read the columns it writes.

    Signals are numbers without a verdict: nothing is rejected here. Null text counts as empty.
    """

    summarize = {"word_count": "sum", "char_count": "sum"}

    stop_words: tuple[str, ...] = Field(
        STOP_WORDS,
        max_length=MAX_STOP_WORDS,
        description="single words whose distinct number is `distinct_stop_words`; case does not matter. "
        "The default is Gopher's English list: give another language its own",
    )

    def reads(self) -> pa.Schema:
        """The text."""
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        """TEXT_SIGNALS: docs/signals.md defines each."""
        return TEXT_SIGNALS

    def problems(self) -> Sequence[str]:
        """Stop words that cannot occur."""
        return [
            f"stop_words: {word!r} is not one word, so no text can have it; write words without punctuation"
            for word in unusable_stop_words(self.stop_words)
        ]

    def annotate(self, batch: pa.RecordBatch, resource: None) -> Marks:  # noqa: ARG002
        """All signals of each row."""
        return Marks(columns=text_signals(batch.column(TEXT.name), self.stop_words))
