"""Scores of KenLM binaries, such as those that CCNet published, by the kenlm package (the extra `lm`).

CCNet scores lines of SentencePiece pieces, after lower-casing, taking accents off, writing 0 for every digit and ASCII
for typographic punctuation (cc_net/text_normalizer.py); without a SentencePiece model lines are our words.
"""

import re
import unicodedata

import numpy as np
import pyarrow as pa

from stages.signals._lm_model import Scores, lines_of

try:
    import kenlm
except ImportError as error:
    raise ImportError(
        "perplexity: a KenLM binary needs the package kenlm; run pip install 'corpusmill[lm]'"
    ) from error

_TO_ASCII = str.maketrans(
    {
        **dict.fromkeys("“”„«»″「」『』《》", '"'),
        **dict.fromkeys("‘’‚‹›′", "'"),
        **dict.fromkeys("–‒", "-"),
        "—": " - ",
        "…": "...",
        "，": ",",
        "。": ".",
        "、": ",",
        "！": "!",
        "？": "?",
        "：": ":",
        "；": ";",
        "（": "(",
        "）": ")",
        "％": "%",
        "【": "[",
        "】": "]",
    }
)
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"\w+")


def ccnet_line(line: str) -> str:
    """A line as CCNet prepares it.

    >>> ccnet_line("Élan “vital”, 1907…")
    'elan "vital", 0000...'
    """
    lowered = unicodedata.normalize("NFD", line.strip().lower().translate(_TO_ASCII))
    plain = "".join(char for char in lowered if unicodedata.category(char) != "Mn")
    return _DIGIT.sub("0", plain)


class KenlmScorer:
    """A KenLM model of any format that the package reads."""

    cuts: tuple[float, float] | None = None

    def __init__(self, path: str, sentencepiece: str | None) -> None:
        try:
            self.model = kenlm.Model(path)
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{path}: no KenLM model that can be read: {error}") from error
        self.pieces = None
        if sentencepiece is not None:
            from sentencepiece import SentencePieceProcessor

            self.pieces = SentencePieceProcessor(model_file=sentencepiece)

    def score(self, text: pa.Array) -> Scores:
        """Perplexity over lines as CCNet has it: 10 to the mean of -log10 over pieces and line ends."""
        lines, rows = lines_of(text)
        logs, words, unknown, ends = (np.zeros(len(text)) for _ in range(4))
        for row, line in zip(rows.tolist(), lines.to_pylist(), strict=True):
            tokens = self._tokens(line)
            if not tokens:
                continue
            scored = list(self.model.full_scores(" ".join(tokens), bos=True, eos=True))
            logs[row] += sum(log for log, _, _ in scored)
            words[row] += len(scored)
            ends[row] += 1
            unknown[row] += sum(is_unknown for _, _, is_unknown in scored[:-1])
        with np.errstate(invalid="ignore", divide="ignore"):
            return Scores(10.0 ** (-logs / words), unknown / (words - ends))

    def _tokens(self, line: str) -> list[str]:
        if self.pieces is not None:
            return list(self.pieces.encode(ccnet_line(line), out_type=str))
        return _WORD.findall(line.lower())
