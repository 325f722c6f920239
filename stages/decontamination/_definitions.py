"""What counts as contamination: the definitions of the literature, as params."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Definition(BaseModel):
    """What every definition has. Lengths are in words; two characters of Han, Kana or Thai are one word."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str | None = Field(
        None,
        min_length=1,
        description="how results call it; null: the kind, with n if it has one, such as ngram_13",
    )

    @property
    def title(self) -> str:
        """The name, or the one made for it."""
        parts = [getattr(self, "kind"), getattr(self, "n", None)]  # noqa: B009 - subclasses have it
        return self.name or "_".join(str(part) for part in parts if part is not None)


class NgramDefinition(_Definition):
    """A run of n words of the item's input or output; of a part with fewer words, all of it.

    Source: Brown et al. 2020 (GPT-3, arXiv:2005.14165, appendix C), with n = 13; n = 8 is the usual stricter one.
    """

    kind: Literal["ngram"] = "ngram"
    n: int = Field(13, ge=2, le=1000, description="words of a run (GPT-3: 13)")
    min_hits: int = Field(
        1,
        ge=1,
        description="n-grams of one item that a document must have; overlapping ones count one by one",
    )
    max_documents: int | None = Field(
        None,
        ge=1,
        description="leave out n-grams that stand in more documents of the corpus (GPT-3: 10); needs the side "
        "input `counts`. The most copied items are let through then, so: null, unless boilerplate is in the way",
    )


class CoverageDefinition(_Definition):
    """The fraction of an input, or an output, that stands in the document in runs of at least n words.

    Sources: Chowdhery et al. 2022 (PaLM, arXiv:2204.02311, section 8): 70 % of an item's 8-grams; Touvron et al.
    2023 (Llama 2, arXiv:2307.09288, appendix A.6): the fraction of tokens in runs of more than 10 tokens.
    """

    kind: Literal["coverage"] = "coverage"
    n: int = Field(8, ge=2, le=1000, description="words of a run that counts (PaLM: 8)")
    min_fraction: float = Field(
        0.7, gt=0, le=1, description="fraction from which an item is found (PaLM: 0.7)"
    )
    of: Literal["words", "ngrams"] = Field(
        "words", description="fraction of the words (as Llama 2), or of the n-grams (as PaLM)"
    )


class LongestSpanDefinition(_Definition):
    """The longest run of an input, or an output, that stands in the document, as a fraction of its words.

    Source: Singh et al. 2024 (ConTAM, arXiv:2411.03923), which finds it to tell contamination better than the
    union of all matches.
    """

    kind: Literal["longest_span"] = "longest_span"
    min_fraction: float = Field(0.5, gt=0, le=1, description="fraction from which an item is found")
    min_words: int = Field(8, ge=1, description="words of the shortest run that counts")
    skip_words: int = Field(
        0,
        ge=0,
        description="words that may differ between two runs for them to be one; each run must be as long as the "
        "index's seeds",
    )


class RareNgramsDefinition(_Definition):
    """Rare n-grams of an item close together, each weighted by how rare it is among the items (IDF).

    Follows the idea of allenai/decon: a cluster of hits counts by the weights of its different n-grams, as a
    fraction of the weights of all n-grams of the item. Needs an index built with `rare_words`.
    """

    kind: Literal["rare_ngrams"] = "rare_ngrams"
    min_score: float = Field(0.8, gt=0, le=1, description="fraction from which an item is found (decon: 0.8)")
    max_gap: int = Field(
        10, ge=0, description="n-grams without a hit that may lie between two hits of one cluster (decon: 11)"
    )


class ShortDefinition(_Definition):
    """A whole question that is shorter than the index's seeds, where the context says it is the item.

    It counts if one of the item's answers, or two of its choices, stand near it, or if it stands alone: a line or
    a sentence of its own, perhaps after `Question:`, a number or a bullet.
    """

    kind: Literal["short"] = "short"
    context_words: int = Field(
        30, ge=1, description="words before and after the question in which answer or choices are looked for"
    )
    alone_words: int | None = Field(
        5, ge=1, description="words that a question must have to count when it stands alone; null: never"
    )


Definition = Annotated[
    NgramDefinition | CoverageDefinition | LongestSpanDefinition | RareNgramsDefinition | ShortDefinition,
    Field(discriminator="kind"),
]
