"""Stages as text, and the config's schema: it accepts what we run and refuses what `check` refuses."""

import copy
import json
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from pipeline import catalog, yaml12
from pipeline.api import check, parse
from pipeline.catalog import config_schema, explain_stage, first_sentence, list_stages, type_text
from pipeline.errors import ConfigError
from pipeline.registry import load_class
from pipeline.stage import MapStage
from pipeline.starter import starter_config
from stages.registry import STAGES
from tests.support.data import ROOT, SAMPLES
from tests.support.json_schema import faults
from tests.support.toy import TOYS

READY = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.fixture(scope="module")
def schema():
    return json.loads(json.dumps(config_schema()))


# --- the schema -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", READY, ids=lambda p: p.name)
def test_the_ready_configs_fit_the_schema(schema, path):
    assert faults(yaml12.load(path.read_text("utf-8")).data, schema) == []


@pytest.mark.parametrize("folder", ["web", "dialogues", "docs"])
def test_what_init_makes_fits_the_schema(schema, folder):
    text = starter_config([str(SAMPLES / folder)])
    assert faults(yaml12.load(text).data, schema) == []


def _plain(value):
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


@pytest.mark.parametrize("name", STAGES)
def test_every_default_fits_the_schema(schema, name):
    """What pydantic lets a user leave out is also what its schema lets them write."""
    cls = load_class(STAGES[name].target)
    params = {
        field: info.get_default(call_default_factory=True)
        for field, info in cls.model_fields.items()
        if not info.is_required()
    }
    written = json.loads(json.dumps(params, default=_plain))
    found = faults(written, schema["$defs"][f"params.{name}"], schema)
    assert [f for f in found if ": required " not in f] == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (["version"], 2, ".version: const"),
        (["runs"], {}, ".runs: forbidden"),
        (["run", "seed"], -1, ".run.seed: minimum"),
        (["run", "name"], "../x", ".run.name: pattern"),
        (["nodes", "near", "stage"], "minhash", ".nodes.near.stage: enum"),
        (["nodes", "near", "inputs"], "exact", ".nodes.near.inputs: type array"),
        (["nodes", "near", "params", "n"], 0, ".nodes.near.params.n: minimum"),
        (["nodes", "near", "params", "band"], 14, ".nodes.near.params.band: forbidden"),
        (["nodes", "near", "params", "unit"], "syllable", ".nodes.near.params.unit: enum"),
        (["nodes", "near", "params", "threshold"], "0.8", ".nodes.near.params.threshold: type number"),
        (["nodes", "crawl", "params"], {}, ".nodes.crawl.params: required paths"),
        (["nodes", "length", "params", "min_words"], True, ".nodes.length.params.min_words: anyOf"),
        (["nodes", "length", "annotate_only"], "yes", ".nodes.length.annotate_only: type boolean"),
    ],
)
def test_the_schema_refuses_what_check_refuses(schema, path, value, fault, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = copy.deepcopy(yaml12.load((ROOT / "configs/web.yaml").read_text("utf-8")).data)
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert faults(config, schema) == [fault]
    with pytest.raises(ConfigError):
        check(parse(json.dumps(config), "web.yaml"))


def test_a_node_without_its_params(schema):
    config = {"version": 1, "nodes": {"a": {"stage": "read_warc"}}}
    assert faults(config, schema) == [".nodes.a: required params"]
    assert faults({"version": 1, "nodes": {"a": {"stage": "text_signals"}}}, schema) == []
    assert faults({"version": 1, "nodes": {}}, schema) == [".nodes: minProperties"]
    assert faults({"version": 1, "nodes": {"a": {}}}, schema) == [".nodes.a: required stage"]


def test_the_schema_is_one_document_whose_references_resolve(schema):
    assert schema["title"] == "corpusmill pipeline"
    assert schema["$schema"].endswith("2020-12/schema")
    assert json.dumps(schema).count('"$ref"') > len(STAGES)


# --- stages as text ---------------------------------------------------------------------------------


def test_a_stage_whose_package_is_missing_says_which_extra(monkeypatch):
    monkeypatch.setattr(catalog, "discover", lambda: TOYS)
    assert (
        "not installed\n  needs_absent           needs 'tests.support.absent': extra 'toxicity'"
        in list_stages()
    )
    with pytest.raises(
        ConfigError,
        match=r"stage 'needs_absent' needs the package 'tests.support.absent'; .*'\.\[toxicity\]'",
    ):
        explain_stage("needs_absent")
    assert "needs_absent" not in {k.removeprefix("params.") for k in config_schema()["$defs"]}


def test_other_peoples_stages_are_explained_too(monkeypatch):
    monkeypatch.setattr(catalog, "discover", lambda: TOYS)
    text = explain_stage("measure")
    assert text.startswith("measure  (map)\n\n  Writes the length and rejects outside of a range.")
    assert "  min_length: int, or null, default null\n      characters" in text
    assert "rejects for\n  too_short, too_long" in text
    assert "the report adds up or counts\n  length" in text
    assert explain_stage("listed").endswith(
        "side inputs\n  list: a folder written by write_words, or stored rows"
    )
    assert "params\n  none" in explain_stage("split_words")


def test_the_kinds_come_in_the_order_of_a_pipeline(monkeypatch):
    monkeypatch.setattr(catalog, "discover", lambda: TOYS)
    heads = [line for line in list_stages().split("\n") if line and not line.startswith((" ", "corpusmill"))]
    assert heads == ["source", "map", "expand", "global", "sink", "not installed"]


def test_an_unknown_stage():
    with pytest.raises(
        ConfigError, match="no stage is called 'minhash_dedupe'; did you mean 'minhash_dedup'"
    ):
        explain_stage("minhash_dedupe")


class Inner(BaseModel):
    field: str = Field(description="what it is called")
    op: Literal[">=", "<"] = ">="


class Nested(MapStage[None]):
    """Holds models.

    And says more.
    """

    where: list[Inner] = Field(min_length=1, description="all must hold")
    share: float = Field(0.5, gt=0, le=1)
    names: dict[str, int] = {}


def test_params_that_hold_models_show_what_is_in_them():
    assert catalog._params(Nested).split("\n") == [
        "params",
        "  where: list of Inner with at least 1, required",
        "      all must hold",
        "        field: str, required",
        "            what it is called",
        '        op: >= | <, default ">="',
        "  share: float > 0 and <= 1, default 0.5",
        "  names: mapping of str to int, default {}",
    ]
    assert first_sentence(Nested) == "Holds models."


@pytest.mark.parametrize(
    ("annotation", "shown"),
    [
        (int, "int"),
        (str | None, "str, or null"),
        (str | int | None, "str or int, or null"),
        (list[str | int], "list of str or int"),
        (tuple[str, ...], "list of str"),
        (Annotated[int, Field(ge=1)], "int"),
        (list[Annotated[int, Field(ge=1)]] | None, "list of int, or null"),
        (Literal["a", 1], "a | 1"),
    ],
)
def test_types_as_a_person_writes_them(annotation, shown):
    assert type_text(annotation) == shown


def test_columns_are_shown_as_what_they_hold():
    text = explain_stage("minhash_dedup")
    assert "  source: dictionary of string\n" in text
    assert "indices=" not in text
