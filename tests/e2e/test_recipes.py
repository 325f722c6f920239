"""Every recipe under configs/recipes is whole: it plans, it runs over the samples, and it says where it is from."""

import json

import pytest
import yaml

from pipeline.api import load_config, plan, run
from pipeline.executors.local import LocalExecutor
from pipeline.plan import describe
from tests.e2e.conftest import Finished, read_jsonl
from tests.support.data import ROOT, SAMPLES

RECIPES = sorted((ROOT / "configs" / "recipes").glob("*.yaml"))
EXPECTED = json.loads((SAMPLES / "expected.json").read_text("utf-8"))
NAMES = ["c4", "dclm", "fineweb", "gopher", "redpajama-v2", "refinedweb"]


def test_the_recipes_are_there():
    assert [path.stem for path in RECIPES] == NAMES


@pytest.fixture(scope="module", params=RECIPES, ids=lambda path: path.stem)
def recipe(request, tmp_path_factory):
    config = load_config(request.param, [f"run.output={tmp_path_factory.mktemp(request.param.stem)}"])
    return request.param, Finished(run(config, executor=LocalExecutor()))


def test_it_plans(recipe):
    said = describe(plan(load_config(recipe[0])))
    assert "documents" in said


def test_books_balance_and_documents_are_left(recipe):
    _, finished = recipe
    rejected = sum(sum(finished.rejected(node).values()) for node in finished.nodes)
    written = finished.total("documents", "written")
    read = sum(
        finished.total(name, "in") for name, node in finished.nodes.items() if node["kind"] == "source"
    )
    assert written > 100
    assert rejected > 50
    assert written + rejected + (33 if "library" in finished.nodes else 0) == read


def test_planted_noise_is_gone_and_most_good_pages_stay(recipe):
    path, finished = recipe
    kept = {row["url"] for row in read_jsonl(finished.result.sink("documents"))}
    noise = (
        ["too_short"] if path.stem == "c4" else ["too_short", "repetitive"]
    )  # C4 has no rule on repetition
    assert not kept & {url for kind in noise for url in EXPECTED[kind]["urls"]}
    good = [url for url in EXPECTED["clean"]["urls"] if "harrow-notes" in url]
    share = sum(url in kept for url in good) / len(good)
    assert share > {"dclm": 0.3}.get(path.stem, 0.8)


def test_every_recipe_names_its_paper_and_its_deviations(recipe):
    text = recipe[0].read_text("utf-8")
    assert "arXiv:" in text or "JMLR" in text
    assert "Deviations:" in text
    assert f"corpusmill run configs/recipes/{recipe[0].name}" in text


def test_english_rules_see_english_alone(recipe):
    """Where Gopher's stop words count, the rows are English: by what is kept before, or by `where`."""
    nodes = yaml.safe_load(recipe[0].read_text("utf-8"))["nodes"]
    kept = [n["params"].get("keep") for n in nodes.values() if n["stage"] == "identify_language"]
    for name, node in nodes.items():
        if node["stage"] == "gopher_rules" and "min_stop_words" not in node.get("params", {}):
            chosen = [entry.get("where") for entry in node["inputs"] if isinstance(entry, dict)]
            assert chosen == [{"lang": "en"}] or kept == [["en"]], (name, chosen, kept)
