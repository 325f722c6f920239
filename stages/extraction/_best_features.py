"""What the models see of a page, by name.

No word of any language is looked at, only class names, marks such as © and the shape of the text, so that a
page and its translation look alike. Sizes are in letters; a Han or kana character counts for three.
"""

from typing import NamedTuple

import numpy as np

from stages.extraction._best_feature_kernels import block_features
from stages.extraction._best_scan import Scan
from stages.extraction._best_tags import CLASS_WORDS, CODE, FACTS, NAMES, split_names

TEXT = split_names(
    "size words link_share punctuation ends_sentence digits upper word_size links lines marks starts_lower"
)
NEAR = ["size", "link_share", "ends_sentence", "alike"]
PLACE = split_names(
    "running_before running_after near_running near_links text_before to_last_running to_next_running "
    "to_heading since_h1 page_size page_running page_links page_blocks share"
)
AROUND = [
    "size",
    "links",
    "running",
    "blocks",
    "tag",
]  # of the parent, its parent, and the branch off the core
CORE = split_names(
    "core_depth up_to_core core_share branch_children alike alike_parent depth alike_size alike_links "
    "alike_parent_size alike_parent_links same_text"
)
FEATURES = [
    *TEXT,
    *(f"{name}{at:+d}" for at in (-2, -1, 1, 2) for name in NEAR),
    *PLACE,
    "tag",
    *(f"{name}_{of}" for of in ("parent", "grand", "branch") for name in AROUND),
    *CORE,
    *(f"in_{name}" for name in (*FACTS, "hidden")),
    *(f"class_{name}" for name in CLASS_WORDS),
    *(f"near_{name}" for name in CLASS_WORDS),
]
# tags as the model sees them: sorted by what they usually hold, so that a threshold parts them
_ORDER = split_names(
    "p pre blockquote li dd dt td th tr tbody table caption figcaption figure h1 h2 h3 h4 h5 h6 "
    "article main section div center body ul ol dl details summary header address aside footer nav "
    "form fieldset legend label button option"
)
TAG_ORDER = np.full(len(NAMES), len(_ORDER), np.float32)
for _place, _name in enumerate(_ORDER):
    TAG_ORDER[CODE[_name]] = _place


class Features(NamedTuple):
    """What the models see of a page."""

    rows: np.ndarray  # float32 [blocks, FEATURES]
    sizes: np.ndarray  # float32 [blocks], letters
    out: np.ndarray  # uint8 [blocks], why a block is out whatever it looks like, or 0
    group: np.ndarray  # int32 [nodes], equal for elements that look alike


def page_features(scan: Scan) -> Features:
    """Features of the blocks of a page."""
    return Features(*block_features(*scan, TAG_ORDER))
