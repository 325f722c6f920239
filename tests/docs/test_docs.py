"""Do the pages say what is true? Commands, links, tables, layout, the picture of the DAG, error messages."""

import json
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from pipeline import yaml12
from pipeline.api import check, parse
from pipeline.cluster import ClusterConfig
from pipeline.config import NodeConfig, RunConfig
from pipeline.errors import ConfigError
from pipeline.registry import load_class
from stages.registry import STAGES
from tests.docs.support import DOCS, README, blocks, pages, table_rows, without_blocks
from tests.support.data import ROOT

RUN_COMMAND = """\
<!-- command: run -->
```sh
python3 -m venv .venv
.venv/bin/pip install -q -c constraints.txt .
.venv/bin/corpusmill run configs/web.yaml
```
"""
TEST_COMMAND = """\
<!-- command: test -->
```sh
python3 -m venv .venv
.venv/bin/pip install -q -c constraints.txt -e '.[dev]'
.venv/bin/pytest
```
"""


@pytest.mark.parametrize("command", [RUN_COMMAND, TEST_COMMAND], ids=["run", "test"])
def test_the_readme_has_the_command_that_ci_runs(command):
    """.ci/run takes them from there, by their marker."""
    assert README.read_text("utf-8").count(command) == 1


# --- links ----------------------------------------------------------------------------------------


def anchor(heading):
    """The anchor of a heading: lower case, no punctuation, blanks as hyphens."""
    plain = re.sub(r"[`*]", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(page):
    return {anchor(m[1]) for m in re.finditer(r"^#+ (.+)$", without_blocks(page), re.MULTILINE)}


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_resolve(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, part = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (part and file.suffix == ".md" and part not in anchors(file)):
            broken.append(target)
    assert not broken


def test_every_page_is_in_the_index():
    index = (DOCS / "README.md").read_text("utf-8")
    missing = [p.name for p in DOCS.glob("*.md") if p.name != "README.md" and f"]({p.name})" not in index]
    assert not missing


def test_every_decision_is_in_its_index():
    folder = DOCS / "decisions"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text("utf-8"))
    assert listed == sorted(p.name for p in folder.glob("0*.md"))


# --- tables ---------------------------------------------------------------------------------------


def expected_rows(model, described):
    return [
        [
            f"`{name}`",
            f"`{json.dumps(field.get_default(call_default_factory=True))}`",
            described.get(name, field.description),
        ]
        for name, field in model.model_fields.items()
    ]


def test_the_table_of_run_settings_is_the_models():
    text = (DOCS / "configuration.md").read_text("utf-8")
    assert table_rows(text, "## Run settings") == expected_rows(RunConfig, {})


def test_the_table_of_node_keys_names_them_all():
    rows = table_rows((DOCS / "configuration.md").read_text("utf-8"), "## Nodes")
    assert [row[0].strip("`") for row in rows] == list(NodeConfig.model_fields)


def test_the_table_of_cluster_keys_is_the_models():
    text = (DOCS / "clusters.md").read_text("utf-8")
    kinds = {"kind": "local, address, slurm or in-process"}
    assert table_rows(text, "## Cluster files") == expected_rows(ClusterConfig, kinds)
    assert re.findall(r"[\w-]+", kinds["kind"].replace(" or ", " ")) == list(
        ClusterConfig.model_fields["kind"].annotation.__args__
    )


@pytest.mark.parametrize("folder", [DOCS.parent / "configs/clusters"], ids=["configs/clusters"])
def test_every_cluster_file_is_documented(folder):
    text = (DOCS / "clusters.md").read_text("utf-8")
    assert not [p.name for p in folder.iterdir() if f"configs/clusters/{p.name}" not in text]


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    page = (DOCS / "decisions/0005-dependencies.md").read_text("utf-8")
    names = [re.match(r"[\w.-]+(\[[\w,]+\])?", d)[0] for d in project["dependencies"]]
    assert not [name for name in names if f"`{name}`" not in page]
    bounds = dict(re.findall(r"`([\w.-]+)` `(<[\d.]+)`", page))
    stated = {
        re.match(r"[\w.-]+", d)[0]: m[0] for d in project["dependencies"] if (m := re.search(r"<[\d.]+", d))
    }
    assert bounds == stated


def test_the_yaml_traps_are_read_as_the_page_says():
    rows = table_rows((DOCS / "configuration.md").read_text("utf-8"), "## YAML traps")
    assert len(rows) == 6
    for written, got, _ in rows:
        ((value,),) = (yaml12.load(written.strip("`")).data.values(),)
        value = value[-1] if isinstance(value, list) else value
        shown = got.strip("`").strip('"')
        assert (str(value) == shown) or (shown == "the text" and isinstance(value, str))


# --- layout ---------------------------------------------------------------------------------------


def modules():
    """What the layout must name: every module of the engine and of shards, and the families of stages."""
    found = set()
    for package in ("pipeline", "shards"):
        found |= {str(p.relative_to(ROOT)) for p in (ROOT / package).rglob("*.py") if p.name != "__init__.py"}
    found |= {f"stages/{p.parent.name}/" for p in (ROOT / "stages").glob("*/__init__.py")}
    return found | {"stages/registry.py"}


def test_the_layout_is_the_trees():
    text = (DOCS / "architecture.md").read_text("utf-8").split("\n## Layout\n")[1].split("\n## ")[0]
    named = re.findall(r"^\| `((?:pipeline|stages|shards)/[\w/.]*)` \|", text, re.MULTILINE)
    assert not [name for name, count in Counter(named).items() if count > 1]
    named = {n for n in named if not n.endswith("__init__.py") or not (ROOT / n).exists()}
    assert named == modules()


# --- the picture ----------------------------------------------------------------------------------

EDGE = re.compile(r"^(?P<left>.+?) (?:-->|-\.->)(?:\|(?P<label>[^|]*)\|)? (?P<right>.+)$")


def picture():
    """Nodes with their stages, and edges with their kind, of the README's picture."""
    (diagram,) = [b.body for b in blocks(README) if b.language == "mermaid"]
    nodes = dict(re.findall(r"(\w+)\[\"\w+<br/>(\w+)\"\]", diagram))
    edges = set()
    for line in diagram.split("\n"):
        if not (found := EDGE.match(line.strip())):
            continue
        for left in found["left"].split(" & "):
            for right in found["right"].split(" & "):
                edges.add((left.strip(), right.strip(), found["label"] or ""))
    return nodes, edges


def test_the_picture_is_the_config():
    config = yaml12.load((ROOT / "configs/web.yaml").read_text("utf-8")).data["nodes"]
    edges = set()
    for name, node in config.items():
        for edge in node.get("inputs", []):
            if isinstance(edge, dict):
                ((column, value),) = edge["where"].items()
                values = value if isinstance(value, list) else [value]
                edges.add((edge["node"], name, f"{column}: {', '.join(values)}"))
            else:
                upstream, _, port = edge.partition(".")
                edges.add((upstream, name, port))
        for side, target in node.get("side", {}).items():
            edges.add((target, name, f"side: {side}"))
    drawn_nodes, drawn_edges = picture()
    assert drawn_nodes == {name: node["stage"] for name, node in config.items()}
    assert drawn_edges == edges


# --- configs and messages on the pages ------------------------------------------------------------


def config_blocks():
    """Whole configs on pages, each with the text block after it, if that is next."""
    for page in (DOCS / "configuration.md", README):
        listed = blocks(page)
        for block, after in zip(listed, [*listed[1:], None], strict=True):
            if block.language == "yaml" and "\nversion: 1\n" in f"\n{block.body}":
                yield (
                    block.file or page.name,
                    block.body,
                    after.body if after and after.language == "text" else None,
                )


@pytest.mark.parametrize(("name", "body", "messages"), [pytest.param(*c, id=c[0]) for c in config_blocks()])
def test_configs_do_what_the_page_says(name, body, messages, monkeypatch):
    monkeypatch.chdir(ROOT)
    if messages is None:
        assert check(parse(body, name))[1] == []
        return
    with pytest.raises(ConfigError) as caught:
        check(parse(body, name))
    assert "\n".join(caught.value.problems) == messages.strip()


# --- stages and commands --------------------------------------------------------------------------


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_describes_itself(name):
    """`corpusmill stages` prints these; no page repeats them."""
    cls = load_class(STAGES[name].target)
    assert cls.__doc__
    assert not [field for field, info in cls.model_fields.items() if not info.description]


def commands():
    """Names of the commands that the command line has, subcommands as `models get`."""
    import typer

    from pipeline import cli

    def walk(command, path):
        children = getattr(command, "commands", None)
        if not children:
            return {" ".join(path)}
        return {
            name for child, sub in children.items() if not sub.hidden for name in walk(sub, [*path, child])
        }

    return walk(typer.main.get_command(cli.app), [])


def test_the_page_on_the_command_line_has_every_command():
    text = (DOCS / "cli.md").read_text("utf-8")
    assert not [name for name in commands() if not re.search(rf"corpusmill {name}\b", text)]


def spoken(page):
    """Commands that a page's code mentions, as one or two words."""
    code = [b.body for b in blocks(page) if b.language == "sh"]
    code += [c for c in re.findall(r"`([^`\n]+)`", without_blocks(page)) if "import" not in c]
    return re.findall(r"(?:^|\s|/)corpusmill ([a-z][a-z-]*)(?: ([a-z]+))?", "\n".join(code), re.MULTILINE)


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_on_a_page_exists(page):
    known = commands()
    groups = {name.split()[0] for name in known if " " in name}
    said = {f"{first} {second}" if first in groups and second else first for first, second in spoken(page)}
    assert not said - known - groups


def test_paths_on_the_readme_exist():
    """Folders and files that the README's last table names."""
    rows = table_rows(README.read_text("utf-8"), "## Where things are")
    named = [m for row in rows for m in re.findall(r"`([\w./-]+)`", row[0])]
    assert len(named) > 5
    assert not [name for name in named if not Path(ROOT, name).exists()]


def test_every_place_for_tests_has_its_question():
    rows = table_rows((ROOT / "CONTRIBUTING.md").read_text("utf-8"), "## Tests")
    named = {n for row in rows for n in re.findall(r"`tests/(\w+)/`", row[0])}
    assert named == {p.parent.name for p in (ROOT / "tests").glob("*/__init__.py")} - {"support"}
