"""Numbers by which OCR noise, language-model text and machine translation are known; no verdict.

Compiled passes over the Arrow buffer (`_machine_kernels.py`). `mark_machine_text` turns them into calibrated
scores; docs/machine-text.md defines each column and says what it is worth. In short:

* `style_*`: how varied the words and sentences are, function words, punctuation. Repetition is looked for in
  windows of fixed length, so that a long document does not look more repetitive than a short one;
* `ocr_*`: words that are not in the list, that one usual misreading undone would put there, broken words, ...;
* `lm_*`, `mt_*`: stock phrases of language models, remains of machine translation.

A ratio is null, never 0, where there is nothing to measure.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import TEXT
from pipeline.stage import MapStage, Marks
from stages.kernels.buffers import text_buffers
from stages.signals import _machine_tables as machine
from stages.signals._machine_kernels import measure_text
from stages.signals._machine_reference import PHRASES, REFERENCE, load_tables
from stages.signals._machine_repetition_kernels import WINDOW_WORDS

GROUPS = (  # kinds of English function words: `groups` of machine_text_phrases.json, in its order
    *("articles", "demonstratives", "prepositions", "conjunctions", "subordinators", "first_person"),
    *("second_person", "third_person", "auxiliaries", "modals", "negations", "question_words"),
    *("connectives", "quantifiers", "hedges"),
)
PUNCTUATION = {
    "commas": machine.COMMA,
    "full_stops": machine.STOP,
    "semicolons": machine.SEMICOLON,
    "colons": machine.COLON,
    "question_marks": machine.QUESTION,
    "exclamation_marks": machine.EXCLAMATION,
    "brackets": machine.BRACKET,
    "quotes": machine.QUOTE,
    "dashes": machine.DASH,
    "hyphens": machine.HYPHEN,
}
COUNTS = {  # column -> count of the kernel
    "style_words": "words",
    "style_sentences": "sentences",
    "lm_disclosures": "disclosures",
    "mt_marks": "translations",
    "mt_widgets": "widgets",
}
RATIOS = {  # column -> part, whole
    "style_distinct_words": ("distinct_in_windows", "window_words"),
    "style_repeated_bigrams": ("repeated_2", "words"),
    "style_repeated_trigrams": ("repeated_3", "words"),
    "style_repeated_4grams": ("repeated_4", "words"),
    "style_squeezed": ("squeezed_bytes", "bytes"),
    "style_sentence_words": ("words", "sentences"),
    "style_repeated_starts": ("repeated_starts", "sentences"),
    "style_word_chars": ("letters", "spaced_words"),
    "style_long_words": ("long_words", "spaced_words"),
    "style_capitalised": ("capitalised", "spaced_words"),
    "style_upper_words": ("upper_words", "spaced_words"),
    "style_digit_words": ("digit_words", "words"),
    "style_contractions": ("contractions", "spaced_words"),
    **{f"style_{name}": (f"punctuation_{number}", "words") for name, number in PUNCTUATION.items()},
    **{f"style_{name}": (f"group_{k}", "spaced_words") for k, name in enumerate(GROUPS, 1)},
    "style_function_words": ("function_words", "spaced_words"),
    "style_top_200_words": ("band_1", "judged"),
    "style_top_2000_words": ("top_2000", "judged"),
    "ocr_judged_words": ("judged", "words"),
    "ocr_known_words": ("known", "judged"),
    "ocr_confusable_words": ("confusable", "judged"),
    "ocr_confusable_unknown": ("confusable", "unknown"),
    "ocr_atypical_words": ("atypical", "judged"),
    "ocr_vowelless_words": ("vowelless", "judged"),
    "ocr_digits_in_words": ("digits_inside", "spaced_words"),
    "ocr_odd_case_words": ("odd_case", "spaced_words"),
    "ocr_symbols_in_words": ("symbols_inside", "spaced_words"),
    "ocr_isolated_letters": ("isolated", "spaced_words"),
    "ocr_broken_words": ("broken", "judged"),
    "ocr_hyphen_breaks": ("hyphen_breaks", "judged"),
    "ocr_stray_symbols": ("stray", "words"),
    "lm_stock_phrases": ("stock", "words"),
    "mt_doubled_words": ("doubled", "words"),
    "mt_mixed_script_words": ("mixed_script", "words"),
    "mt_foreign_letters": ("foreign_letters", "script_letters"),
}
OTHERS = ("style_sentence_burstiness", "style_gap_burstiness", "style_word_chars_spread", "ocr_trigram_bits")
MACHINE_TEXT_SIGNALS = pa.schema(
    [
        *(pa.field(name, pa.int32()) for name in COUNTS),
        *(pa.field(name, pa.float64()) for name in (*RATIOS, *OTHERS)),
    ]
)
BITS = 8  # trigram costs are in eighths of a bit


def divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """float64 part / whole, nan where the whole is 0."""
    filled: np.ndarray = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole != 0)
    return filled


def spread_of(total: np.ndarray, squares: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Standard deviation of `count` numbers from their sum and sum of squares; nan for none."""
    mean = divide(total, count)
    spread: np.ndarray = np.sqrt(np.maximum(divide(squares, count) - mean * mean, 0))
    return spread


def measure(text: pa.Array, tables: machine.Tables, max_bytes: int | None = None) -> dict[str, np.ndarray]:
    """The kernel's counts of each text and what is summed from them, by name; null text counts as empty."""
    data, offsets = text_buffers(text)
    limit = max_bytes if max_bytes is not None else int(offsets[-1])
    table, bursts = measure_text(data, offsets, tables, limit)
    counts = {name: table[:, k] for k, name in enumerate(machine.NAMES)}
    counts["gap_burstiness"] = bursts
    counts["top_2000"] = counts["band_1"] + counts["band_2"]
    counts["known"] = counts["top_2000"] + counts["band_3"] + counts["band_4"]
    counts["unknown"] = counts["judged"] - counts["known"]
    counts["function_words"] = sum(counts[f"group_{k}"] for k in range(1, len(GROUPS) + 1))
    counts["foreign_letters"] = counts["script_letters"] - counts["main_script"]
    counts["window_words"] = counts["windows"] * np.minimum(counts["words"], WINDOW_WORDS)
    return counts


def machine_text_signals(
    text: pa.Array, tables: machine.Tables, max_bytes: int | None = None
) -> dict[str, pa.Array]:
    """Every column of MACHINE_TEXT_SIGNALS for a text column.

    Args:
        text: (large_)string.
        tables: load_tables().
        max_bytes: read no more of each text; null = all.

    >>> found = machine_text_signals(pa.array(["As an AI language model, I cannot."]), load_tables())
    >>> found["lm_disclosures"].to_pylist(), found["style_sentence_words"].to_pylist()
    ([1], [7.0])
    """
    counts = measure(text, tables, max_bytes)
    floats = {name: divide(counts[part], counts[whole]) for name, (part, whole) in RATIOS.items()}
    mean = floats["style_sentence_words"]
    spread = spread_of(counts["words"], counts["sentence_words_squared"], counts["sentences"])
    floats["style_sentence_burstiness"] = divide(spread - mean, spread + mean)
    floats["style_gap_burstiness"] = counts["gap_burstiness"]
    floats["style_word_chars_spread"] = spread_of(
        counts["letters"], counts["letters_squared"], counts["spaced_words"]
    )
    floats["ocr_trigram_bits"] = divide(counts["trigram_cost"], counts["trigrams"] * BITS)
    return {
        **{name: pa.array(counts[source], pa.int64()).cast(pa.int32()) for name, source in COUNTS.items()},
        **{name: pa.array(values, mask=np.isnan(values)) for name, values in floats.items()},
    }


class MachineTextSignals(MapStage[machine.Tables]):
    """Measure style, character confusions and stock phrases; `mark_machine_text` reads what it writes.

    Signals are numbers without a verdict: nothing is rejected here. Null text counts as empty.
    """

    summarize = {"lm_disclosures": "sum", "mt_marks": "sum"}

    max_bytes: int | None = Field(
        262_144,
        ge=1000,
        description="bytes read from the start of each text, which bounds the time a long one takes; null = all",
    )

    def reads(self) -> pa.Schema:
        return pa.schema([TEXT])

    def writes(self) -> pa.Schema:
        return MACHINE_TEXT_SIGNALS

    def resources(self) -> Sequence[Path]:
        return [REFERENCE, PHRASES]

    def open(self, side: Mapping[str, Path]) -> machine.Tables:  # noqa: ARG002
        return load_tables()

    def annotate(self, batch: pa.RecordBatch, resource: machine.Tables) -> Marks:
        return Marks(machine_text_signals(batch.column(TEXT.name), resource, self.max_bytes))
