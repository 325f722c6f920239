"""Line deduplication by its definition: dictionaries of texts, no hashing of ours, regular expressions for sentences."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pyarrow as pa
import xxhash

from stages.dedup._line_units import CCNET_MARKS, CLOSERS, FULL_STOPS, STOPS, hosts_of
from stages.dedup.line import LineDedup
from tests.stages.kernels.test_words import oracle as words_of

_S, _F, _C = (re.escape(marks) for marks in (STOPS, FULL_STOPS, CLOSERS))
_BREAKS = [
    re.compile(r"\n\s*(?=\S)"),
    re.compile(rf"[{_S}][{_C}]*\s+(?=\S)"),
    re.compile(rf"[{_F}][{_S}{_F}{_C}]*+\s*(?=\S)"),
]


class Page(NamedTuple):
    id: str
    text: str | None
    url: str | None = None


def is_lower(char: str) -> bool:
    return unicodedata.category(char) in ("Ll", "Lt")


def cut(text: str, unit: str) -> list[str]:
    """Pieces that make up the text again."""
    if unit == "sentences":
        begins = {m.end() for m in _BREAKS[0].finditer(text)} | {m.end() for m in _BREAKS[2].finditer(text)}
        begins |= {m.end() for m in _BREAKS[1].finditer(text) if not is_lower(text[m.end()])}
        first = len(text) - len(text.lstrip())
        places = [0, *sorted(b for b in begins if b > first), len(text)]
        return [text[a:b] for a, b in pairwise(places) if a < b]
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    if unit == "line":
        return lines
    paragraphs: list[str] = []
    after_blank = False
    for line in lines:
        if paragraphs and (not after_blank or not line.strip()):
            paragraphs[-1] += line
        else:
            paragraphs.append(line)
        after_blank = not line.strip()
    return paragraphs


def form_of(piece: str, form: str) -> Hashable:
    """What is compared; falsy: nothing is."""
    piece = piece.strip()
    if form == "words":
        return tuple(word for word, _, _ in words_of(piece, signs=True))
    if form == "ccnet":
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in piece).replace("ς", "σ")
        zeros = "".join("0" if unicodedata.category(c) == "Nd" else c for c in lowered)
        return "".join(c for c in zeros if c not in CCNET_MARKS and unicodedata.category(c) != "Cc")
    return piece


def runs_of(pieces: Sequence[str], stage: LineDedup) -> list[tuple[Hashable, list[int]]]:
    """What is compared of a text: its form, and the pieces it covers."""
    forms = [form_of(piece, stage.normalize) for piece in pieces]
    full = [i for i, form in enumerate(forms) if form]
    width = min(stage.span or (3 if stage.unit == "sentences" else 1), len(full))
    runs = [full[i : i + width] for i in range(len(full) - width + 1)] if full else []
    return [
        (tuple(forms[i] for i in run), run)
        for run in runs
        if sum(len(pieces[i].strip()) for i in run) >= stage.min_chars
    ]


def rank(page: Page) -> int:
    return int.from_bytes(xxhash.xxh3_128_digest(page.id.encode())[:8], "little")


def write(pieces: Sequence[str], gone: set[int]) -> str:
    """What is left: a line that loses its last sentences still ends."""
    out = ""
    line: list[int] = []
    for i, piece in enumerate(pieces):
        line.append(i)
        space = piece[len(piece.rstrip()) :]
        if "\n" in space or i == len(pieces) - 1:
            kept = "".join(pieces[k] for k in line if k not in gone)
            ended = i in gone and kept and "\n" in space
            out += kept.rstrip() + space if ended else kept
            line = []
    return out


def dedup(pages: Sequence[Page], stage: LineDedup) -> dict[str, tuple[str | None, int]]:
    """For each id the text that is left, and how many pieces went."""
    ordered = sorted(pages, key=rank)
    pieces = {page.id: cut(page.text or "", stage.unit) for page in pages}
    places: dict[Any, list[tuple[str, list[int]]]] = defaultdict(list)
    for page in ordered:
        host = hosts_of_one(page.url) if stage.scope == "domain" else None
        if stage.scope == "domain" and host is None:
            continue
        within = {"corpus": "", "domain": host, "document": page.id}[stage.scope]
        for form, run in runs_of(pieces[page.id], stage):
            places[within, form].append((page.id, run))
    gone: dict[str, set[int]] = defaultdict(set)
    for found in places.values():
        documents = {name for name, _ in found}
        if len(found) >= stage.min_count and len(documents) >= stage.min_documents:
            for name, run in found[1 if stage.keep == "first" else 0 :]:
                gone[name] |= set(run)
    return {
        page.id: (
            write(pieces[page.id], gone[page.id]) if gone[page.id] else page.text,
            len(gone[page.id]),
        )
        for page in pages
    }


def hosts_of_one(url: str | None) -> str | None:
    return hosts_of(pa.array([url], pa.string()))[0].as_py()
