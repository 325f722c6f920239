"""Stages come from entry points: ours, and anybody's."""

from types import SimpleNamespace

import pytest

from pipeline import registry
from pipeline.api import check, parse
from pipeline.errors import ConfigError
from pipeline.stage import StageRef
from stages.registry import STAGES
from tests.support.toy import TOYS


def points(monkeypatch, *mappings):
    found = [SimpleNamespace(load=lambda m=m: m) for m in mappings]
    monkeypatch.setattr(registry, "entry_points", lambda group: found if group == registry.GROUP else [])
    registry.discover.cache_clear()


@pytest.fixture(autouse=True)
def _fresh():
    yield
    registry.discover.cache_clear()


def test_our_own_entry_point_gives_our_registry():
    assert dict(registry.discover()) == dict(sorted(STAGES.items()))


def test_another_packages_stages_stand_beside_ours(monkeypatch, tmp_path):
    (tmp_path / "a.txt").write_text("x\n")
    points(monkeypatch, STAGES, TOYS)
    text = f"""
version: 1
nodes:
  a: {{stage: read_lines, params: {{folder: {tmp_path}}}}}
  b: {{stage: exact_dedup, inputs: [a]}}
  c: {{stage: write_rows, inputs: [b]}}
"""
    graph, _ = check(parse(text))
    assert [n.stage_name for n in graph.nodes.values()] == ["read_lines", "exact_dedup", "write_rows"]


def test_two_packages_cannot_claim_one_name(monkeypatch):
    points(monkeypatch, {"x": StageRef("a:A")}, {"x": StageRef("b:B")})
    with pytest.raises(ConfigError, match="two packages register a stage 'x': a:A and b:B"):
        registry.discover()


def test_every_entry_loads_and_is_a_stage():
    from pipeline.graph import kind_of

    for ref in STAGES.values():
        assert kind_of(registry.load_class(ref.target))
