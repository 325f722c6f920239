"""How much two texts of one page say the same: the F1 of their words."""

import numpy as np

from stages.extraction._best_kernels import shared_words


def agreement(one: str, other: str) -> float:
    """2 x common words / all words of both, as multisets; 1 for two texts without words.

    >>> agreement("the old bridge", "the new bridge!")
    0.6666666666666666
    """
    return float(
        shared_words(*(np.frombuffer(text.encode("utf-8", "ignore"), np.uint8) for text in (one, other)))
    )
