"""configs/mixture.yaml on data_samples: quotas hold, phases follow each other, and every token leads to its document."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.api import open_run
from pipeline.trace import stories
from shards.composition import composition, source_of
from shards.loader import TokenShards
from shards.verify import verify
from tests.e2e.conftest import read_jsonl, run_config

pytestmark = pytest.mark.dask


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    return run_config("mixture.yaml", tmp_path_factory.mktemp("mixture"))


@pytest.fixture(scope="module")
def planned(mixture):
    return json.loads((Path(mixture.result.sink("mixture")) / "manifest.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def data(mixture):
    return TokenShards(mixture.result.sink("shards"), shuffle=False)


def test_shards_hold_what_was_planned(planned, data):
    assert verify(data.folder.name) == []
    taken = {group["name"]: group["cuts"][-1]["size"] for group in planned["groups"]}
    (all_,) = composition(data, len(data))
    assert dict(all_.sources) == taken
    for group in planned["groups"]:
        assert 0 <= sum(group["quotas"]) - taken[group["name"]] < 1100  # less than one document
    assert sum(sum(group["quotas"]) for group in planned["groups"]) == 21_000


def test_only_what_may_be_repeated_is(data):
    copies = Counter(name for row in range(len(data)) for name in {p["id"] for p in data.pieces(row)})
    again = {name for name in copies if name.rpartition("#")[2].isdigit() and name.count("#") > 1}
    assert again
    assert {source_of(name) for name in again} == {"library"}


def test_phases_follow_each_other(mixture, planned, data):
    """Annealing takes no page, so none comes after the first document that only annealing takes."""
    main = sum(group["cuts"][0]["size"] for group in planned["groups"])
    tokens, seen = 0, []
    for row in range(len(data)):
        for piece in data.pieces(row):
            tokens += piece["tokens"]
            seen.append((tokens, source_of(piece["id"])))
    late = [source for at, source in seen if at > main + 2 * 512]
    assert late
    assert "folder" not in late
    assert (
        mixture.total("mix", "kept")
        == mixture.total("order", "resumed")
        == mixture.total("shards", "written")
    )


def test_what_was_left_says_why(mixture):
    left = [row for row in read_jsonl(mixture.result.sink("why")) if row["rejected_by"] == "mix.over_quota"]
    assert left
    for row in left:
        told = json.loads(row["evidence"])
        assert told["source"] == row["source"]
        assert told["quota"] < told["available"]


def test_a_row_leads_back_to_its_documents(mixture, data):
    run = open_run(mixture.result.folder)
    for row in (0, len(data) - 1):
        name = data.pieces(row)[0]["id"]
        (story,) = stories(run, name)
        events = [(event.event, event.node) for event in story.events]
        assert ("arranged", "order") in events
        assert ("written", "shards") in events
        assert any("shard.arrow" in place for place in story.places)


def test_megatron_has_the_same_tokens(mixture, data):
    folder = Path(mixture.result.sink("megatron"))
    ids = np.fromfile(folder / "text_document.bin", np.uint16)
    assert len(ids) == data.manifest.tokens
    stored = np.concatenate([data[row]["input_ids"] for row in range(len(data))])
    assert np.array_equal(np.sort(stored), np.sort(ids))
