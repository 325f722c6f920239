"""The best text for the least time: blocks judged by a small model, and other extractors where it is in doubt.

The model says of each block how likely it is main text, so it knows the F1 to expect of its own result. Where
that is not near 1, resiliparse reads the page too. Do the two differ much, resiliparse is right more often:
its rules lose hardly anything, which is how the model fails where it fails badly. Where they agree, the blocks
have less boilerplate. In between trafilatura, ten times as dear, reads the page if it is a long one.
"""

from typing import Literal, NamedTuple

from stages.extraction._best_agreement import agreement
from stages.extraction._best_blocks import extract_blocks
from stages.extraction._resiliparse import extract_resiliparse
from stages.extraction._trafilatura import extract_trafilatura

# All were chosen on pages whose site the model had not seen (benchmarks/train_best.py), and none is sharp:
# doubts of 0.015 to 0.03 give the same F1 there, and agreements of 0.65 to 0.75 the same within 0.003.
MAX_DOUBT = 0.03  # of labelled pages 29 % are more doubtful, of small samples of crawls 74 %
MIN_AGREEMENT = 0.7
SURE_AGREEMENT = 0.85
MAX_SHARED_DOUBT = 0.05  # of a page on which the two agree so-so
MIN_DEAR_CHARS = 1000  # crawls are full of doubtful pages of a few lines, which have little to gain


class BestText(NamedTuple):
    """Main text, who found it, and how doubtful it is: 0 (sure) to 1."""

    text: str
    extractor: str  # "blocks", "resiliparse" or "trafilatura"
    doubt: float | None  # 1 - the F1 that the block model expects of itself, or 1 - agreement if that is more


def choose(doubt: float, alike: float, chars: int) -> Literal["blocks", "resiliparse", "trafilatura"]:
    """Whose text to take of a page on which both cheap extractors found some.

    Args:
        doubt: 1 - the F1 that the block model expects of itself.
        alike: agreement of its text with resiliparse's; 1 where that was not asked.
        chars: length of the block model's text.

    >>> choose(0.01, 1.0, 9000), choose(0.1, 0.5, 9000), choose(0.1, 0.8, 9000), choose(0.1, 0.8, 200)
    ('blocks', 'resiliparse', 'trafilatura', 'blocks')
    """
    if doubt <= MAX_DOUBT or alike >= SURE_AGREEMENT:
        return "blocks"
    if alike < MIN_AGREEMENT:
        return "resiliparse"
    return "trafilatura" if doubt > MAX_SHARED_DOUBT and chars >= MIN_DEAR_CHARS else "blocks"


def extract_best(markup: str, tables: bool = True, links: bool = False, comments: bool = False) -> BestText:
    """Main text of a page with its line structure; empty if there is none.

    Args:
        markup: the page.
        tables: keep the text of data tables.
        links: write links as `[text](target)`; every page goes to trafilatura then.
        comments: keep readers' comments.
    """
    if links:
        return BestText(
            extract_trafilatura(markup, "precision", tables, links, comments), "trafilatura", None
        )
    blocks = extract_blocks(markup, tables, comments)
    if blocks.doubt <= MAX_DOUBT or not blocks.blocks:
        return BestText(blocks.text, "blocks", blocks.doubt)
    other = extract_resiliparse(markup, "balanced" if comments else "precision", tables, links, comments)
    alike = agreement(blocks.text, other)
    texts = {"blocks": blocks.text, "resiliparse": other}
    chosen = choose(blocks.doubt, alike, len(blocks.text))
    if chosen == "trafilatura" or not (blocks.text or other.strip()):
        texts["trafilatura"] = extract_trafilatura(markup, "precision", tables, links, comments)
    # who was chosen may have found nothing; then the others, the cheapest first
    found = next((name for name in (chosen, *texts) if texts[name].strip()), "trafilatura")
    return BestText(texts[found], found, max(blocks.doubt, 1.0 - alike))
