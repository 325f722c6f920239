"""Verdicts about the documents of a batch: reasons, evidence, cleaned texts; and sources that are protected."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from stages.decontamination._leaks import Verdict
from stages.kernels.hosts import normal_host, raw_hosts

CONTAMINATED_ITEMS = pa.field("contaminated_items", pa.int32())  # items found by deciding definitions
EVIDENCE_TYPE = pa.struct(
    [
        ("benchmark", pa.string()),
        ("item", pa.string()),  # the most telling one
        ("class", pa.string()),
        ("part", pa.string()),
        ("definition", pa.string()),
        ("score", pa.float64()),
        ("matched", pa.string()),  # its longest stretch in this text, at most 500 characters
        ("start", pa.int64()),  # of that stretch, code points
        ("end", pa.int64()),
        ("items", pa.int64()),  # items that decide
        ("leaks", pa.int64()),  # the same, counted once for each definition
        ("spans", pa.int64()),  # stretches of them, those that overlap as one
        ("removed_chars", pa.int64()),  # by action: cut
    ]
)


class Contamination(StrEnum):
    """Why a document falls; the first three by the worst class of what it has."""

    CONTAMINATED_INPUT_AND_OUTPUT = "contaminated_input_and_output"
    CONTAMINATED_INPUT = "contaminated_input"
    CONTAMINATED_OUTPUT = "contaminated_output"
    TOO_MANY_CONTAMINATED_SPANS = "too_many_contaminated_spans"
    TOO_LITTLE_LEFT = "too_little_left"
    PROTECTED_SOURCE = "protected_source"


REASONS = tuple(Contamination)[:3]  # in the order of CLASSES


class ProtectedSource(BaseModel):
    """Sources of a corpus that a benchmark was built from: all their documents are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    benchmark: str = Field(description="a benchmark of the index; the rule is an error without it")
    sources: list[str] = Field([], description="names of sources of the corpus, as in the config")
    domains: list[str] = Field([], description="hosts of URLs, with all that end in `.` and one of them")


class Verdicts:
    """What becomes of each row; filled row by row."""

    def __init__(self, rows: int) -> None:
        """Args: how many rows there are."""
        self.rows = rows
        self.items = np.zeros(rows, np.int32)
        self.reject: dict[int, str] = {}
        self.evidence: dict[int, dict[str, Any]] = {}
        self.cleaned: dict[int, str] = {}

    def note(self, row: int, verdict: Verdict, leak: Mapping[str, Any], removed: int) -> None:
        """Evidence for one row: its most telling leak, and how much there is."""
        self.items[row] = verdict.items
        counts = {"items": verdict.items, "leaks": verdict.leaks, "spans": len(verdict.spans)}
        self.evidence[row] = {**leak, **counts, "removed_chars": removed}

    def reject_column(self) -> pa.Array:
        """The reason of each row, or null."""
        return _spread(self.reject, self.rows, pa.string())

    def evidence_column(self) -> pa.Array:
        """The evidence of each row, or null."""
        return _spread(self.evidence, self.rows, EVIDENCE_TYPE)


def _spread(values: Mapping[int, Any], rows: int, kind: pa.DataType) -> pa.Array:
    """An array with some values in place, and nulls."""
    if not values:
        return pa.nulls(rows, kind)
    return pa.array([values.get(row) for row in range(rows)], kind)


def replace_texts(texts: pa.Array, cleaned: Mapping[int, str]) -> pa.Array:
    """A text column with some rows exchanged."""
    if not cleaned:
        return texts
    mask = np.zeros(len(texts), bool)
    mask[list(cleaned)] = True
    return pc.replace_with_mask(
        texts, pa.array(mask), pa.array([cleaned[row] for row in sorted(cleaned)], texts.type)
    )


def from_sources(batch: pa.RecordBatch, names: Sequence[str]) -> np.ndarray:
    """bool: is a row of one of some sources?"""
    if not names:
        return np.zeros(batch.num_rows, bool)
    sources = batch["source"].cast(pa.string())
    return np.asarray(pc.is_in(sources, pa.array(names, pa.string())).to_numpy(zero_copy_only=False))


def protect(verdicts: Verdicts, batch: pa.RecordBatch, rules: Sequence[ProtectedSource]) -> None:
    """Reject the rows of protected sources and hosts; of several rules the first is named."""
    for rule in reversed(rules):
        matched = _hosts_among(batch, rule.domains) if rule.domains else {}
        if rule.sources:
            names = batch["source"].cast(pa.string())
            own = np.flatnonzero(from_sources(batch, rule.sources)).tolist()
            matched.update({row: names[row].as_py() for row in own})
        for row, name in matched.items():
            verdicts.reject[row] = Contamination.PROTECTED_SOURCE
            verdicts.cleaned.pop(row, None)
            verdicts.evidence[row] = {"benchmark": rule.benchmark, "matched": name}


def _hosts_among(batch: pa.RecordBatch, domains: Sequence[str]) -> dict[int, str]:
    """Rows whose URL's host is one of some domains, or ends in one; with the host."""
    coded = raw_hosts(batch["url"]).dictionary_encode()
    wanted = {normal_host(domain) for domain in domains}
    hosts = [normal_host(host) for host in coded.dictionary.to_pylist()]
    inside = [any(host == name or host.endswith("." + name) for name in wanted) for host in hosts]
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    return {row: hosts[code] for row, code in enumerate(codes.tolist()) if code >= 0 and inside[code]}
