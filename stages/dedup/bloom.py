"""How much of a document stands in another corpus, by a Bloom filter of that corpus's n-grams; act on what does.

Sources: dolma's deduper (Soldaini et al. 2024, arXiv:2402.00159) and DataComp-LM's BFF (Li et al. 2024,
arXiv:2406.11794), whose threshold of 0.8 over 13-grams is the default here.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import MESSAGES, TEXT
from pipeline.stage import MapStage, Marks
from stages.dedup._bloom import BloomFilter, read_filter
from stages.dedup._bloom_kernels import probe_texts
from stages.kernels.buffers import text_buffers
from stages.kernels.dialogue import dialogue_texts

BLOOM_OVERLAP = pa.field(
    "bloom_overlap", pa.float32()
)  # share of the n-grams that are in the filter; null: no word
EVIDENCE_TYPE = pa.struct(
    [
        ("overlap", pa.float64()),
        ("ngrams", pa.int64()),
        ("false_positive_rate", pa.float64()),  # of the filter, for one n-gram
        ("removed_paragraphs", pa.int64()),  # by action: cut
        ("removed_bytes", pa.int64()),
    ]
)
OVERLAPS = tuple(k / 20 for k in range(21))  # edges of bins for reports


class BloomReason(StrEnum):
    """Why a document falls."""

    IN_OTHER_CORPUS = "in_other_corpus"
    NOTHING_LEFT = "nothing_left"


class Probed(NamedTuple):
    """What a filter says about a text column; one entry a row."""

    ngrams: np.ndarray  # int64
    held: np.ndarray  # int64
    cut: np.ndarray  # int64, paragraphs; zeros unless asked for
    left: pa.Array | None  # large_string without them; null where the text is


def probe_column(texts: pa.Array, bloom: BloomFilter, cut_from: float | None = None) -> Probed:
    """N-grams of each text and how many of them the filter holds.

    Args:
        texts: (large_)string; a null has no n-gram.
        bloom: an opened filter, which says what an n-gram is.
        cut_from: take out the lines of which at least this share is held, each with its newline.
    """
    cuts, threshold = cut_from is not None, 0.0 if cut_from is None else cut_from
    asked = (bloom.words, bloom.size.blocks, bloom.size.bits, cuts, threshold)
    args = (*text_buffers(texts), *bloom.rules.kernel_args(), *asked)
    ngrams, held, cut, data, offsets = probe_texts(*args)
    if not cuts:
        return Probed(ngrams, held, cut, None)
    valid = pa.py_buffer(np.packbits(np.asarray(texts.is_valid()), bitorder="little"))
    left = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(data), valid)
    return Probed(ngrams, held, cut, left)


class BloomDedup(MapStage[BloomFilter]):
    """Reject, cut or mark what mostly stands in another corpus, by the share of its n-grams in a Bloom filter.

    The filter says what an n-gram is (`build_bloom_filter`: unit, n, scope). A document, or line, of fewer words
    than n is one n-gram, so it falls only to one that is the same as a whole; one without words is never touched. An
    n-gram that is not in the other corpus is held for one at the filter's false positive rate, which raises an
    overlap by no more than about that. A document that is in the filter itself is all overlap: for repeats within
    one corpus use `ngram_dedup`.
    """

    reasons = BloomReason
    sides: ClassVar[Mapping[str, str]] = {"filter": "a build_bloom_filter node over the other corpus"}
    measures = {"overlap": OVERLAPS}

    threshold: float = Field(
        0.8,
        gt=0,
        le=1,
        description="share of the n-grams, of a document or for `cut` of a line, that is too much",
    )
    action: Literal["reject", "cut", "mark"] = Field(
        "reject",
        description="reject the document, cut lines out of it (the filter must have scope: paragraph), or only "
        "write bloom_overlap",
    )
    on: Literal["text", "messages"] = Field(
        "text", description="the text, or the contents of a dialogue's turns"
    )

    def reads(self) -> pa.Schema:
        """The text, or the dialogue."""
        return pa.schema([MESSAGES if self.on == "messages" else TEXT])

    def writes(self) -> pa.Schema:
        """The overlap; the text too, where it is cut."""
        return pa.schema([BLOOM_OVERLAP, *([TEXT] if self.action == "cut" else [])])

    def problems(self) -> Sequence[str]:
        """Dialogues cannot be cut."""
        if self.on == "messages" and self.action == "cut":
            return [
                "action is 'cut', which would leave half a dialogue; with on: messages, use reject or mark"
            ]
        return []

    def needs_side(self) -> Sequence[str]:
        """The filter."""
        return ["filter"]

    def open(self, side: Mapping[str, Path]) -> BloomFilter:
        """Map the filter.

        Raises:
            ValueError: there is none, or lines are to be cut by the n-grams of whole documents.
        """
        bloom = read_filter(side["filter"])
        if self.action == "cut" and bloom.rules.scope != "paragraph":
            raise ValueError(
                f"bloom_dedup: action is 'cut', but the filter in {side['filter']} has n-grams that run from line to "
                "line; build it with scope: paragraph"
            )
        return bloom

    def annotate(self, batch: pa.RecordBatch, resource: BloomFilter) -> Marks:
        """The overlap of each row; verdict and evidence for those that have too much."""
        texts = dialogue_texts(batch["messages"]) if self.on == "messages" else batch["text"]
        cuts = self.action == "cut"
        found = probe_column(texts, resource, self.threshold if cuts else None)
        has = found.ngrams > 0
        overlap = np.divide(found.held, found.ngrams, out=np.zeros(len(has)), where=has)
        columns = {BLOOM_OVERLAP.name: pa.array(overlap.astype(np.float32), mask=~has)}
        removed = np.zeros(len(has), np.int64)
        if cuts:
            columns["text"] = left = found.left
            sizes = [
                pc.fill_null(pc.binary_length(c), 0).to_numpy(zero_copy_only=False) for c in (texts, left)
            ]
            removed = (sizes[0] - sizes[1]).astype(np.int64)
            blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(left), ""), True)
            lost = (found.cut > 0) & np.asarray(blank)
            touched = found.cut > 0
        else:
            touched = has & (overlap >= self.threshold)
            lost = touched if self.action == "reject" else np.zeros(len(has), bool)
        reason = BloomReason.NOTHING_LEFT if cuts else BloomReason.IN_OTHER_CORPUS
        values = [overlap, found.ngrams, np.full(len(has), resource.rate), found.cut, removed]
        return Marks(
            columns,
            pc.if_else(pa.array(lost), pa.scalar(str(reason)), pa.scalar(None, pa.string())),
            pa.StructArray.from_arrays(
                [pa.array(v) for v in values], fields=list(EVIDENCE_TYPE), mask=pa.array(~touched)
            ),
        )
