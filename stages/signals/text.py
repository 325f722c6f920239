"""Counts and ratios of a document's text: what the rules of Gopher, C4, FineWeb and RedPajama look at.

One compiled pass over the Arrow buffer computes all of it, so rules cost nothing more. What is a word, a
line and a paragraph, and what each number means, is defined in docs/signals.md; in short:

* a word is what stands between white space, without punctuation and symbols around it, compared in lower
  case; in scripts written without spaces (Han, Kana, Thai, ...) every character is compared like a word,
  and `word_count` estimates how many words they make;
* a line ends at a newline, and blank ones do not count; a paragraph is a run of lines with none blank;
* a ratio is null, never 0, where there is nothing to measure.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import CHAR_COUNT, TEXT, WORD_COUNT
from pipeline.stage import MapStage, Marks
from stages.kernels.buffers import text_buffers
from stages.kernels.unicode import LIMIT, WORD, char_classes, lower_table
from stages.signals._counts import COUNTS, char_kinds, plain_counts
from stages.signals._kernels import count_text, hash_word
from stages.signals.repetition import REPETITION_FIELDS, Counts, ratio, repetition_columns

# Rae et al. 2021, appendix A.1.1, "Quality filtering": the words every English text has.
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
MAX_STOP_WORDS = 64

KNOWN_WORDS = ("javascript", "lorem", "ipsum")  # in the order of _kernels.JAVASCRIPT, LOREM, IPSUM

# Words that a character of an unspaced script makes, in fortieths: what gives translations of one text equal
# counts (docs/signals.md, "Word count without spaces").
FORTIETHS, HAN, KANA, SYLLABIC = 40, 25, 12, 10

LINE_COUNT = pa.field("line_count", pa.int32())
PARAGRAPH_COUNT = pa.field("paragraph_count", pa.int32())
CURLY_BRACE_COUNT = pa.field("curly_brace_count", pa.int32())
MAX_WORD_LENGTH = pa.field("max_word_length", pa.int32())
DISTINCT_STOP_WORDS = pa.field("distinct_stop_words", pa.int32())
SENTENCE_COUNT = pa.field("sentence_count", pa.int32())
LOREM_IPSUM_COUNT = pa.field("lorem_ipsum_count", pa.int32())
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
JAVASCRIPT_LINE_FRACTION = pa.field("javascript_line_fraction", pa.float64())
NUMERIC_LINE_FRACTION = pa.field("numeric_line_fraction", pa.float64())
UPPERCASE_LINE_FRACTION = pa.field("uppercase_line_fraction", pa.float64())
STOP_WORD_FRACTION = pa.field("stop_word_fraction", pa.float64())
ALL_CAPS_WORD_FRACTION = pa.field("all_caps_word_fraction", pa.float64())
UNIQUE_WORD_FRACTION = pa.field("unique_word_fraction", pa.float64())
UNIGRAM_ENTROPY = pa.field("unigram_entropy", pa.float64())
UPPERCASE_CHAR_FRACTION = pa.field("uppercase_char_fraction", pa.float64())
DIGIT_CHAR_FRACTION = pa.field("digit_char_fraction", pa.float64())
CURLY_BRACE_FRACTION = pa.field("curly_brace_fraction", pa.float64())

COUNT_FIELDS = {  # column -> count
    WORD_COUNT: "estimated_words",
    CHAR_COUNT: "chars",
    LINE_COUNT: "lines",
    PARAGRAPH_COUNT: "paragraphs",
    SENTENCE_COUNT: "sentences",
    CURLY_BRACE_COUNT: "braces",
    MAX_WORD_LENGTH: "max_word_chars",
    DISTINCT_STOP_WORDS: "stop_words",
    LOREM_IPSUM_COUNT: "lorem_ipsums",
}
RATIO_FIELDS = {  # column -> part, whole
    FRACTION_OF_WORDS_WITH_ALPHA: ("alpha_words", "words_and_symbols"),
    STOP_WORD_FRACTION: ("stop_word_uses", "words"),
    ALL_CAPS_WORD_FRACTION: ("all_caps_words", "words"),
    UNIQUE_WORD_FRACTION: ("unique_words", "words"),
    HASH_TO_WORD_RATIO: ("hashes", "estimated_words"),
    ELLIPSIS_TO_WORD_RATIO: ("ellipses", "estimated_words"),
    NEWLINE_TO_WORD_RATIO: ("newlines", "estimated_words"),
    STARTING_WITH_BULLET: ("bullet_lines", "lines"),
    ENDING_WITH_ELLIPSIS: ("ellipsis_lines", "lines"),
    ENDING_WITH_TERMINAL: ("terminal_lines", "lines"),
    SHORT_LINE_FRACTION: ("short_lines", "lines"),
    JAVASCRIPT_LINE_FRACTION: ("javascript_lines", "lines"),
    NUMERIC_LINE_FRACTION: ("numeric_lines", "lines"),
    UPPERCASE_LINE_FRACTION: ("uppercase_lines", "lines"),
    UPPERCASE_CHAR_FRACTION: ("upper_chars", "cased_chars"),
    DIGIT_CHAR_FRACTION: ("digit_chars", "visible_chars"),
    CURLY_BRACE_FRACTION: ("braces", "visible_chars"),
}
TEXT_SIGNALS = pa.schema(
    [
        *COUNT_FIELDS,
        MEAN_WORD_LENGTH,
        UNIGRAM_ENTROPY,
        SYMBOL_TO_WORD_RATIO,
        *RATIO_FIELDS,
        *REPETITION_FIELDS,
    ]
)


def word_hashes(words: Iterable[str]) -> np.ndarray:
    """uint64 hashes of words, in lower case, as the scan computes them."""
    lower = lower_table()
    points = [[lower[ord(c)] if ord(c) < LIMIT else ord(c) for c in word] for word in words]
    return np.array([hash_word(np.array(word, np.int64)) for word in points], np.uint64)


def count_signals(text: pa.Array, stop_words: Sequence[str] = STOP_WORDS) -> Counts:
    """The counts of each text by the names in COUNTS, int64, and four that follow from them.

    `estimated_words`; `cased_chars`, letters of upper, lower or title case; `measured_words`, what a mean
    word length can be taken over; `word_log_sum` (float64), the sum of c ln c over the counts c of the words.
    Null text counts as empty.

    >>> counts = count_signals(pa.array(["The cat and the dog.", None], pa.large_string()))
    >>> counts["words"].tolist(), counts["stop_words"].tolist()
    ([5, 0], [2, 0])
    """
    data, offsets = text_buffers(text)
    stops = np.unique(word_hashes(stop_words))
    known = word_hashes(KNOWN_WORDS)
    table, logs = count_text(data, offsets, char_kinds(), lower_table(), plain_counts(), stops, known)
    counts = {name: table[:, k] for k, name in enumerate(COUNTS)}
    spaced, words = counts["spaced_words"], counts["words"]
    return counts | {
        "estimated_words": estimate_words(counts),
        "cased_chars": counts["upper_chars"] + counts["lower_chars"],
        # Where characters stand for words their "length" says nothing: such documents have no mean.
        "measured_words": np.where(2 * spaced < words, 0, spaced),
        "word_log_sum": logs,
    }


def estimate_words(counts: Counts) -> np.ndarray:
    """Words as a reader counts them, int64: those between spaces, and what the other characters make."""
    kana, syllabic = counts["kana_words"], counts["syllabic_words"]
    han = counts["words"] - counts["spaced_words"] - kana - syllabic
    fortieths: np.ndarray = HAN * han + KANA * kana + SYLLABIC * syllabic
    estimated: np.ndarray = counts["spaced_words"] + (fortieths + FORTIETHS - 1) // FORTIETHS
    return estimated


def unigram_entropy(counts: Counts) -> pa.Array:
    """Entropy of a document's words in nats, ln n - (sum of c ln c) / n; null without words."""
    words = counts["words"]
    some = np.maximum(words, 1)
    entropy = np.log(some) - counts["word_log_sum"] / some
    return pa.array(np.maximum(entropy, 0.0), pa.float64(), mask=words == 0)


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
    signs = counts["hashes"] + counts["ellipses"]
    columns[SYMBOL_TO_WORD_RATIO.name] = ratio(signs, counts["estimated_words"])
    columns[MEAN_WORD_LENGTH.name] = ratio(counts["spaced_word_chars"], counts["measured_words"])
    columns[UNIGRAM_ENTROPY.name] = unigram_entropy(counts)
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

    version = 2  # word_count estimates words in scripts without spaces, where version 1 counted characters
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
