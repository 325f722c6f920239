"""Personal data out of texts and dialogues: e-mail, IP addresses, telephone and card numbers, IBANs, SSNs.

    column ──▶ RE2 sieve (Arrow, whole column) ──▶ RE2 candidates ──▶ presidio judges ──▶ spans ──▶ edits

A clean document costs one RE2 scan in Arrow and is not copied. Edits are made at spans only, so what stands
around them stays as it was, and a span becomes a fixed placeholder, so scrubbing twice is scrubbing once.
Nothing here catches an error: a text that cannot be judged fails, it never passes as clean.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Literal

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import MESSAGE_TYPE, MESSAGES, TEXT
from pipeline.stage import MapStage, Marks
from stages.safety._candidates import SIEVES, Entity
from stages.safety._judges import Judge, Span, find_pii, load_judges

EntityName = Literal["EMAIL_ADDRESS", "IP_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN"]
EVIDENCE_TYPE = pa.struct(
    [
        (
            "spans",
            pa.list_(
                pa.struct(
                    [
                        ("entity", pa.string()),
                        ("message", pa.int32()),
                        ("start", pa.int64()),
                        ("end", pa.int64()),
                        ("score", pa.float32()),
                    ]
                )
            ),
        )
    ]
)
MAX_EVIDENCE_SPANS = 100  # of a document that is one long address list
Places = dict[int, list[tuple[int | None, Span]]]
Finder = Callable[[str], list[Span]]


class Reason(StrEnum):
    """Why a document goes, when `action` is `reject`."""

    CONTAINS_PII = "contains_pii"


def replace_spans(text: str, spans: Sequence[Span], replacement: str) -> str:
    """Each span of a text becomes its placeholder; everything else stays, code point by code point.

    >>> replace_spans("to a@b.io!", [Span("EMAIL_ADDRESS", 3, 9, 1.0)], "<{entity}>")
    'to <EMAIL_ADDRESS>!'
    """
    pieces, at = [], 0
    for span in spans:
        pieces += [text[at : span.start], replacement.format(entity=span.entity)]
        at = span.end
    return "".join([*pieces, text[at:]])


def find_all(text: str, find: Finder, replacement: str) -> list[Span]:
    """Every span that must go for the scrubbed text to hold none, in offsets of the given text.

    A placeholder is not a letter or digit, so what it now stands next to may be recognised where it was not
    before (`a@b.io1.2.3.44`): the search goes on until nothing more is found.
    """
    spans = find(text)
    while spans:
        more = [
            _shifted_back(span, spans, replacement) for span in find(replace_spans(text, spans, replacement))
        ]
        if not more:
            break
        spans = sorted([*spans, *more], key=lambda span: span.start)
    return spans


def _shifted_back(found: Span, spans: Sequence[Span], replacement: str) -> Span:
    """A span of the scrubbed text in offsets of the text before; it never touches a placeholder."""
    shift = 0
    for span in spans:
        if span.start + shift >= found.start:
            break
        shift += len(replacement.format(entity=span.entity)) - (span.end - span.start)
    return found._replace(start=found.start - shift, end=found.end - shift)


def rows_to_search(column: pa.Array, entities: Sequence[Entity]) -> np.ndarray:
    """Indices of the rows that may hold any of the entities: one pass of Arrow's RE2 over the column."""
    sieve = "|".join(f"(?:{SIEVES[entity]})" for entity in entities)
    hit = pc.fill_null(pc.match_substring_regex(column, sieve), False)
    return np.flatnonzero(hit.to_numpy(zero_copy_only=False))


def scrub_column(
    column: pa.Array, entities: Sequence[Entity], find: Finder, replacement: str
) -> tuple[pa.Array, dict[int, list[Span]]]:
    """A text column without personal data, and what was found in each row that had any.

    Returns:
        the column, same type and nulls, rows without findings untouched; spans by row, offsets in code points
        of the text as it came.
    """
    found: dict[int, list[Span]] = {}
    edited: list[str] = []
    for row in rows_to_search(column, entities).tolist():
        text = column[row].as_py()
        spans = find_all(text, find, replacement)
        if spans:
            found[row] = spans
            edited.append(replace_spans(text, spans, replacement))
    if not found:
        return column, found
    mask = np.zeros(len(column), bool)
    mask[list(found)] = True
    return pc.replace_with_mask(column, pa.array(mask), pa.array(edited, column.type)), found


def scrub_json(value: str, find: Finder, replacement: str) -> tuple[str, int]:
    """A JSON text whose strings and numbers hold no personal data, and how many spans were replaced.

    A number that is one becomes a string. JSON without findings comes back as it was, byte for byte.
    """
    count = 0

    def scrub(node: object) -> object:
        nonlocal count
        if isinstance(node, dict):
            return {str(scrub(key)): scrub(item) for key, item in node.items()}
        if isinstance(node, list):
            return [scrub(item) for item in node]
        if isinstance(node, bool) or not isinstance(node, str | int | float):
            return node
        text = str(node)
        spans = find_all(text, find, replacement)
        count += len(spans)
        return replace_spans(text, spans, replacement) if spans else node

    scrubbed = scrub(json.loads(value))
    return (json.dumps(scrubbed, ensure_ascii=False), count) if count else (value, 0)


class ScrubPii(MapStage[Mapping[Entity, Judge]]):
    """Find personal data and replace it, reject the document, or only count it."""

    reasons = Reason
    libraries = ("presidio-analyzer", "phonenumbers", "tldextract", "google-re2")
    summarize = {f"pii_{entity.value.lower()}": "sum" for entity in Entity}

    entities: list[EntityName] = Field(
        ["EMAIL_ADDRESS", "IP_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD"],
        min_length=1,
        description="what to look for; IBAN_CODE and US_SSN can be added; the order does not matter",
    )
    column: Literal["text", "messages"] = Field(
        "text",
        description="where to look; messages also scrubs `text`, their rendering by parse_dialogue",
    )
    action: Literal["replace", "reject", "mark"] = Field(
        "replace", description="replace each span, reject the document, or only write the counts"
    )
    replacement: str = Field(
        "<{entity}>",
        description="what stands for a span; {entity} is its name; brackets around it are a must: [PII]",
    )
    min_score: float = Field(
        0.4,
        ge=0,
        le=1,
        description="least score of presidio (0.35 more for a telephone number with a '+' or beside 'call')",
    )
    phone_regions: list[str] = Field(
        ["US", "GB", "DE", "FR", "IL", "IN", "CA", "BR"],
        min_length=1,
        description="countries whose national numbers are known, ISO 3166 codes; each one costs time",
    )
    keep_private_ips: bool = Field(
        True, description="leave 127.0.0.1, 192.168.0.1, fe80::1 and other addresses that name no one outside"
    )

    def reads(self) -> pa.Schema:
        return pa.schema([MESSAGES, TEXT] if self.column == "messages" else [TEXT])

    def writes(self) -> pa.Schema:
        counts = [pa.field(f"pii_{entity.value.lower()}", pa.int32()) for entity in self._wanted()]
        edited = [] if self.action != "replace" else [MESSAGES, TEXT] if self.column == "messages" else [TEXT]
        return pa.schema([*edited, *counts])

    def problems(self) -> Sequence[str]:
        found = []
        unknown = sorted(set(self.phone_regions) - set(phonenumbers.SUPPORTED_REGIONS))
        if unknown:
            found.append(
                f"phone_regions: {', '.join(unknown)} is no region; write ISO 3166 codes such as US, GB"
            )
        if not _is_bracketed(self.replacement):
            found.append(
                f"replacement: {self.replacement!r} could be read as part of a word or number; "
                "put it in <>, [] or {{}}, with no field but {entity}, such as <{entity}>"
            )
        return found

    def open(self, side: Mapping[str, Path]) -> Mapping[Entity, Judge]:  # noqa: ARG002
        return load_judges(self._wanted(), self.phone_regions, self.keep_private_ips)

    def annotate(self, batch: pa.RecordBatch, resource: Mapping[Entity, Judge]) -> Marks:
        def find(text: str) -> list[Span]:
            return find_pii(text, resource, self.min_score)

        if self.column == "text":
            text, found = scrub_column(batch["text"], self._wanted(), find, self.replacement)
            columns = {"text": text}
            places: Places = {row: [(None, span) for span in spans] for row, spans in found.items()}
        else:
            messages, places = self._scrub_messages(batch["messages"], find)
            text, _ = scrub_column(batch["text"], self._wanted(), find, self.replacement)
            columns = {"messages": messages, "text": text}
        counts = _counts(places, batch.num_rows, self._wanted())
        return self._marks(columns, counts, places, batch.num_rows)

    def _wanted(self) -> list[Entity]:
        return [entity for entity in Entity if entity.value in self.entities]

    def _scrub_messages(self, messages: pa.Array, find: Finder) -> tuple[pa.Array, Places]:
        """Contents by span, tool calls by JSON value; a finding in a tool call has the span 0..0."""
        flat = pc.list_flatten(messages)
        rows = pc.list_parent_indices(messages).to_numpy()
        starts = np.searchsorted(rows, np.arange(len(messages)))
        content, found = scrub_column(
            pc.struct_field(flat, "content"), self._wanted(), find, self.replacement
        )
        calls, called = self._scrub_calls(pc.struct_field(flat, "tool_calls"), find)
        places: Places = {}
        for at in sorted({*found, *called}):
            row = int(rows[at])
            spans = [*found.get(at, []), *called.get(at, [])]
            places.setdefault(row, []).extend((at - int(starts[row]), span) for span in spans)
        if not places:
            return messages, places
        fields = [pc.struct_field(flat, "role"), content, calls, pc.struct_field(flat, "weight")]
        values = pa.StructArray.from_arrays(fields, fields=list(MESSAGE_TYPE))
        lengths = pc.fill_null(pc.list_value_length(messages), 0).to_numpy()
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
        rebuilt = pa.LargeListArray.from_arrays(
            offsets, values, type=MESSAGES.type, mask=pc.is_null(messages)
        )
        return rebuilt, places

    def _scrub_calls(self, calls: pa.Array, find: Finder) -> tuple[pa.Array, dict[int, list[Span]]]:
        found: dict[int, list[Span]] = {}
        texts = calls.to_pylist()
        for row in rows_to_search(calls, self._wanted()).tolist():
            spans: list[Span] = []

            def noting(text: str, spans: list[Span] = spans) -> list[Span]:
                new = find(text)
                spans += [span._replace(start=0, end=0) for span in new]
                return new

            texts[row], count = scrub_json(texts[row], noting, self.replacement)
            if count:
                found[row] = spans
        return (pa.array(texts, calls.type) if found else calls), found

    def _marks(
        self,
        columns: Mapping[str, pa.Array],
        counts: Mapping[str, pa.Array],
        places: Mapping[int, Sequence[tuple[int | None, Span]]],
        rows: int,
    ) -> Marks:
        if self.action == "mark":
            return Marks(dict(counts))
        shown = [_evidence(places[row]) if row in places else None for row in range(rows)]
        evidence = pa.array(shown, EVIDENCE_TYPE)
        if self.action == "replace":
            return Marks({**columns, **counts}, None, evidence)
        reject = [Reason.CONTAINS_PII.value if row in places else None for row in range(rows)]
        return Marks(dict(counts), pa.array(reject, pa.string()), evidence)


def _is_bracketed(replacement: str) -> bool:
    pairs = ("<>", "[]", "{}")
    try:
        text = replacement.format(entity="EMAIL_ADDRESS")
    except (KeyError, IndexError, ValueError):
        return False
    return len(text) > 2 and text[0] + text[-1] in pairs and not any(c in "@:" or c.isdigit() for c in text)


def _counts(
    places: Mapping[int, Sequence[tuple[int | None, Span]]], rows: int, entities: Sequence[Entity]
) -> dict[str, pa.Array]:
    table = {entity.value: np.zeros(rows, np.int32) for entity in entities}
    for row, spans in places.items():
        for _, span in spans:
            table[span.entity][row] += 1
    return {f"pii_{name.lower()}": pa.array(values) for name, values in table.items()}


def _evidence(spans: Sequence[tuple[int | None, Span]]) -> dict[str, object]:
    """Where and what kind, never the value: reports and logs are read by more people than the data."""
    return {
        "spans": [
            {
                "entity": span.entity,
                "message": message,
                "start": span.start,
                "end": span.end,
                "score": span.score,
            }
            for message, span in spans[:MAX_EVIDENCE_SPANS]
        ]
    }
