"""Reject documents that are near-duplicates of an earlier run's."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import ID, MESSAGES, TEXT
from pipeline.stage import MapStage, Marks
from stages.dedup._judge_kernels import best_matches
from stages.dedup._minhash import MinhashParams
from stages.dedup._minhash_index import META, MinhashIndex, open_index, read_meta
from stages.dedup._policy import distinct
from stages.dedup.minhash import SIMILARITIES

EVIDENCE_TYPE = pa.struct([("survivor", pa.string()), ("similarity", pa.float64())])


class AgainstReason(StrEnum):
    """Why a document falls."""

    NEAR_DUPLICATE = "near_duplicate_of_earlier"


class Opened(NamedTuple):
    """An index, and the params that its keys and sets were made with."""

    found: MinhashIndex
    params: MinhashParams


class MinhashAgainst(MapStage[Opened]):
    """Of new documents, reject those that are verified similar to one of an index (incremental deduplication).

    The index is what `build_minhash_index` wrote in this run or an earlier one, with the params it was built with. Its
    documents are never in the output; each rejection names the most similar of them. Put `minhash_dedup`
    after it for duplicates among the new documents. The two together give what deduplicating old and new at once
    gives with the old first in the survivor policy, but for pairs that share no band and would have met in the group of
    a third document.
    """

    reasons = AgainstReason
    sides: ClassVar[Mapping[str, str]] = {"index": "a build_minhash_index node"}
    measures: ClassVar[Mapping[str, Sequence[float]]] = {"similarity": SIMILARITIES}

    index: str | None = Field(
        None, description="folder of an index that an earlier run wrote; null: the side input `index`"
    )
    threshold: float | None = Field(
        None, gt=0, le=1, description="least exact similarity that rejects; null: the index's own"
    )
    measure: Literal["jaccard", "containment"] = Field(
        "jaccard", description="as of minhash_dedup; containment is that of the new document in the old"
    )
    on: Literal["text", "messages"] = Field(
        "text", description="what is compared; must be what the index was built on"
    )
    max_candidates: int = Field(
        1000,
        ge=1,
        description="documents of the index that one document is compared with at most, first of the index first",
    )

    def reads(self) -> pa.Schema:
        """The text."""
        return pa.schema([ID, MESSAGES if self.on == "messages" else TEXT])

    def needs_side(self) -> Sequence[str]:
        """The index, unless a folder is given."""
        return () if self.index else ("index",)

    def resources(self) -> Sequence[Path]:
        """The card of the index, which has a digest of the rest."""
        return [Path(self.index) / META] if self.index else []

    def problems(self) -> Sequence[str]:
        """A folder that holds no index, or one of other texts."""
        if not self.index:
            return ()
        try:
            meta = read_meta(Path(self.index))
        except ValueError as error:
            return [str(error)]
        return [] if meta["on"] == self.on else [_other(meta["on"], self.on)]

    def open(self, side: Mapping[str, Path]) -> Opened:
        """Map the index.

        Raises:
            ValueError: there is none, or it was built on something else.
        """
        index = open_index(Path(self.index) if self.index else side["index"])
        if index.meta["on"] != self.on:
            raise ValueError(_other(index.meta["on"], self.on))
        given = {
            name: index.meta[name] for name in ("on", "unit", "n", "bands", "rows_per_band", "scheme", "seed")
        }
        return Opened(index, MinhashParams(**given, threshold=self.threshold or index.meta["threshold"]))

    def annotate(self, batch: pa.RecordBatch, resource: Opened) -> Marks:
        """Reject what is like a document of the index."""
        index, params = resource
        texts = params.texts(batch)
        keys, rows = params.band_keys(texts)
        sets = params.sets(texts)
        starts, docs = _candidates(index, keys, rows, batch.num_rows, self.max_candidates)
        matched, similarity = best_matches(
            starts,
            docs,
            sets.values.to_numpy(),
            sets.offsets.to_numpy(),
            index.sets,
            index.ends,
            params.threshold,
            self.measure == "containment",
        )
        found = matched >= 0
        lost = pa.array(found)
        names = index.ids.take(pa.array(np.where(found, matched, 0), mask=~found)) if len(index.ids) else None
        survivors = (
            pa.nulls(batch.num_rows, pa.string())
            if names is None
            else names.combine_chunks().cast(pa.string())
        )
        evidence = pa.StructArray.from_arrays(
            [survivors, pa.array(similarity)], fields=list(EVIDENCE_TYPE), mask=pc.invert(lost)
        )
        reason = pc.if_else(lost, AgainstReason.NEAR_DUPLICATE, pa.scalar(None, pa.string()))
        return Marks(reject=reason, evidence=evidence)


def _other(built: str, wanted: str) -> str:
    return f"index: was built on {built}, but on is {wanted}; make them agree"


def _candidates(
    index: MinhashIndex, keys: np.ndarray, rows: np.ndarray, count: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Documents of the index that share a band key with each row: where each row's begin, and the documents."""
    flat, whose = keys.reshape(-1), np.repeat(rows, keys.shape[1])
    low, high = (np.searchsorted(index.keys, flat, side) for side in ("left", "right"))
    high = np.minimum(high, low + most)
    spans = high - low
    places = np.repeat(low - np.cumsum(spans) + spans, spans) + np.arange(spans.sum())
    pairs = distinct((np.repeat(whose, spans).astype(np.uint64) << np.uint64(32)) | index.docs[places])
    owners = (pairs >> np.uint64(32)).astype(np.int64)
    starts = np.searchsorted(owners, np.arange(count + 1))
    starts_capped = np.minimum(np.diff(starts), most)
    keep = np.arange(len(pairs)) - starts[owners] < most if len(pairs) else np.empty(0, bool)
    docs = (pairs[keep] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return np.concatenate([[0], np.cumsum(starts_capped)]).astype(np.int64), docs
