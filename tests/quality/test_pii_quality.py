"""Is PII found as well as it was? Recall and precision on labelled sentences, and on e-mail syntax cases.

A gold span counts as found if a span of the same entity covers all of it: what is left over is still personal
data. A found span counts as right if it touches a gold span of its entity. Precision is measured where the data
label the entity: AmbientMeta labels no IP addresses although it has many. Cards and numbers in both sets are
made up, and a third of the telephone numbers belong to no numbering plan.

    python -m tests.quality.test_pii_quality            # prints scores beside floors
    python -m tests.quality.test_pii_quality --update   # writes floors; refuses to lower one
"""

import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from pipeline.schema import TEXT
from stages.safety.pii import ScrubPii
from tests.support.data import real_data

FLOORS = Path(__file__).with_name("floors_pii.json")
FILES = {
    "presidio": "pii/presidio/synth_dataset_v2.json",
    "ambientmeta": "pii/ambientmeta/standard_entities.jsonl",
    "isemail": "pii/isemail/tests.xml",
}
ENTITIES = ("EMAIL_ADDRESS", "IP_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN")
NAMES = {"EMAIL": "EMAIL_ADDRESS", "PHONE": "PHONE_NUMBER", "SSN": "US_SSN"}
NOISE = 0.01  # a release of phonenumbers moves a number or two of 90


class Labelled(NamedTuple):
    text: str
    spans: list[tuple[str, int, int]]


def presidio(path: Path) -> Iterator[Labelled]:
    for row in json.loads(path.read_text(encoding="utf-8")):
        spans = [(s["entity_type"], s["start_position"], s["end_position"]) for s in row["spans"]]
        yield Labelled(row["full_text"], spans)


def ambientmeta(path: Path) -> Iterator[Labelled]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        spans = [
            (NAMES.get(s["entity_type"], s["entity_type"]), s["start"], s["end"]) for s in row["annotations"]
        ]
        yield Labelled(row["text"], spans)


READERS = {"presidio": presidio, "ambientmeta": ambientmeta}


def find(texts: list[str]) -> list[list[tuple[str, int, int]]]:
    stage = ScrubPii(entities=list(ENTITIES))
    batch = pa.record_batch([pa.array(texts, pa.large_string())], schema=pa.schema([TEXT]))
    evidence = stage.annotate(batch, stage.open({})).evidence.to_pylist()
    return [[(s["entity"], s["start"], s["end"]) for s in e["spans"]] if e else [] for e in evidence]


@functools.cache
def score_set(name: str, path: Path) -> dict[str, dict[str, float]]:
    rows = list(READERS[name](path))
    found = find([row.text for row in rows])
    scores = {}
    for entity in ENTITIES:
        gold = right = covered = said = 0
        for row, spans in zip(rows, found, strict=True):
            want = [(s, e) for kind, s, e in row.spans if kind == entity]
            got = [(s, e) for kind, s, e in spans if kind == entity]
            gold, said = gold + len(want), said + len(got)
            covered += sum(any(a <= s and e <= b for a, b in got) for s, e in want)
            right += sum(any(a < e and s < b for s, e in want) for a, b in got)
        if gold:
            scores[entity] = {"recall": round(covered / gold, 4), "precision": round(right / max(said, 1), 4)}
    return scores


@functools.cache
def score_isemail(path: Path) -> dict[str, float]:
    """Share of plainly valid addresses found whole in a sentence; share of the impossible left unclaimed whole."""
    cases = [
        (t.findtext("address") or "", t.findtext("category")) for t in ElementTree.parse(path).iter("test")
    ]
    asked = [(a, category) for a, category in cases if "." in a.rpartition("@")[2]]  # no one-label domains
    found = find([f"Write to {address} today." for address, _ in asked])
    whole = [
        ("EMAIL_ADDRESS", 9, 9 + len(address)) in spans
        for (address, _), spans in zip(asked, found, strict=True)
    ]

    def share(category: str, wanted: bool) -> float:
        of = [
            is_found is wanted for is_found, (_, kind) in zip(whole, asked, strict=True) if kind == category
        ]
        return round(sum(of) / len(of), 4)

    return {"valid_found": share("ISEMAIL_VALID_CATEGORY", True), "errors_left": share("ISEMAIL_ERR", False)}


def measure(name: str, path: Path) -> dict[str, dict[str, float]]:
    return {"EMAIL_ADDRESS": score_isemail(path)} if name == "isemail" else score_set(name, path)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.real_data
@pytest.mark.parametrize("name", FILES)
def test_as_good_as_before(name):
    pinned, path = json.loads(FLOORS.read_text()), real_data(FILES[name])
    assert digest(path) == pinned["data"][name], "the data changed: measure again with --update"
    scores = measure(name, path)
    assert scores.keys() == pinned["floors"][name].keys()
    low = {
        f"{entity} {what}": (scores[entity][what], floor)
        for entity, floors in pinned["floors"][name].items()
        for what, floor in floors.items()
        if scores[entity][what] < floor - NOISE
    }
    assert low == {}


def main() -> None:
    base = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    paths = {name: base / file for name, file in FILES.items()}
    now = {name: measure(name, path) for name, path in paths.items()}
    old = json.loads(FLOORS.read_text())["floors"] if FLOORS.exists() else {}
    lowered = []
    for name, entities in now.items():
        for entity, values in entities.items():
            for what, value in values.items():
                floor = old.get(name, {}).get(entity, {}).get(what)
                print(f"{name:12} {entity:14} {what:12} {value:.4f}  floor {floor}")
                if floor is not None and value < floor:
                    lowered.append(f"{name} {entity} {what}")
    if "--update" in sys.argv:
        if lowered:
            sys.exit(f"not written, these would fall: {', '.join(lowered)}")
        pinned = {"data": {name: digest(path) for name, path in paths.items()}, "floors": now}
        FLOORS.write_text(json.dumps(pinned, indent=2) + "\n")


if __name__ == "__main__":
    main()
