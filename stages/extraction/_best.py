"""The best text for the least time: blocks judged by a small model, and other extractors where it is in doubt.

The model says of each block how likely it is main text, so it knows the F1 to expect of its own result. Where
that is not near 1, resiliparse reads the page too. Do the two differ much, resiliparse is right more often:
its rules lose hardly anything, which is how the model fails where it fails badly. Where they agree, the blocks
have less boilerplate. Trafilatura, ten times as dear, comes last: where neither found anything.
"""

from typing import NamedTuple

from stages.extraction._best_agreement import agreement
from stages.extraction._best_blocks import extract_blocks
from stages.extraction._resiliparse import extract_resiliparse
from stages.extraction._trafilatura import extract_trafilatura

# Both were chosen on pages whose site the model had not seen (benchmarks/train_best.py), and neither is sharp:
# doubts of 0.015 to 0.03 give the same F1 there, and agreements of 0.65 to 0.75 the same within 0.003.
MAX_DOUBT = 0.02  # two articles in five are more doubtful, and four in five pages of a few lines
MIN_AGREEMENT = 0.7


class BestText(NamedTuple):
    """Main text, who found it, and how doubtful it is: 0 (sure) to 1."""

    text: str
    extractor: str  # "blocks", "resiliparse" or "trafilatura"
    doubt: float  # 1 - the F1 that the block model expects of itself, or 1 - agreement if that is more


def extract_best(markup: str, tables: bool = True, links: bool = False, comments: bool = False) -> BestText:
    """Main text of a page with its line structure; empty if there is none.

    Args:
        markup: the page.
        tables: keep the text of data tables.
        links: write links as `[text](target)`; every page goes to trafilatura then.
        comments: keep readers' comments.
    """
    if links:
        return BestText(extract_trafilatura(markup, "precision", tables, links, comments), "trafilatura", 0.0)
    blocks = extract_blocks(markup, tables, comments)
    if blocks.doubt <= MAX_DOUBT or not blocks.blocks:
        return BestText(blocks.text, "blocks", blocks.doubt)
    other = extract_resiliparse(markup, "balanced" if comments else "precision", tables, links, comments)
    alike = agreement(blocks.text, other)
    doubt = max(blocks.doubt, 1.0 - alike)
    if alike >= MIN_AGREEMENT and blocks.text:
        return BestText(blocks.text, "blocks", doubt)
    if other.strip():
        return BestText(other, "resiliparse", doubt)
    if blocks.text:
        return BestText(blocks.text, "blocks", doubt)
    return BestText(extract_trafilatura(markup, "precision", tables, links, comments), "trafilatura", 1.0)
