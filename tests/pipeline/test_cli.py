"""The command line: what it prints, its exit codes, signals, and that `--help` loads next to nothing."""

import importlib.metadata
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from pipeline import __version__, api, cli, models
from pipeline.api import open_run
from pipeline.catalog import explain_stage, list_stages
from pipeline.cli import _json, app
from pipeline.errors import PipelineError
from pipeline.registry import load_class
from stages.registry import STAGES
from tests.support.corpora import FULL, write_corpus
from tests.support.data import ROOT
from tests.support.small import SMALL, small_run, write_documents
from tests.support.toy import TOYS

HEAVY = (
    "dask",
    "distributed",
    "pyarrow.dataset",
    "datasets",
    "trafilatura",
    "fasttext",
    "numba",
    "pandas",
    "jinja2",
)


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A config file of toy stages, which the command line finds."""
    monkeypatch.setattr(api, "discover", lambda: TOYS)
    folder, more = write_corpus(tmp_path / "lines"), write_corpus(tmp_path / "more", files=2, lines=25)
    text = FULL.format(out=tmp_path / "out", folder=folder, more=more, min=5, slow=0, run="")
    (tmp_path / "toy.yaml").write_text(text, "utf-8")
    return tmp_path / "toy.yaml"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("cli")
    result = small_run(tmp)
    write_documents(tmp / "again")
    (tmp / "small.yaml").write_text(SMALL.format(out=tmp / "out", folder=tmp / "docs", min_words=5), "utf-8")
    return tmp, result


# --- run ------------------------------------------------------------------------------------------


def test_run_prints_funnel_sinks_and_report(toy, tmp_path):
    first = invoke("run", toy, "--in-process")
    assert first.exit_code == 0, first.stderr
    folder = open_run(tmp_path / "out").output.path(open_run(tmp_path / "out").identifier)
    lines = first.stdout.split("\n")
    assert lines[0].split() == ["node", "in", "out", "bytes", "out", "tokens", "taken", "out"]
    assert f"out: {folder}/out" in lines
    assert f"report: {folder}/report.html" in lines
    assert Path(folder, "report.html").exists()
    assert re.search(r"level 0: .*  6/6 tasks  .*documents", first.stderr)
    again = invoke("run", toy, "--in-process")
    assert re.search(r"tasks: 0 run, \d+ done before", again.stdout)


def test_run_leaves_signal_handlers_as_they_were(toy):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert invoke("run", toy, "--in-process").exit_code == 0
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_set_changes_a_value(toy, tmp_path):
    assert invoke("run", toy, "--in-process", "--set", "nodes.length.params.min_length=12").exit_code == 0
    manifest = open_run(tmp_path / "out").manifest
    assert manifest["config"]["nodes"]["length"]["params"]["min_length"] == 12


def test_every_problem_of_a_config_is_a_line_and_the_code_is_2(toy):
    text = toy.read_text().replace("stage: measure", "stage: mesure").replace("stage: dedup", "stage: dedupe")
    toy.write_text(text)
    for command in ("run", "check", "plan"):
        result = invoke(command, toy)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.count("did you mean") == 2
        assert all(re.match(r".*toy.yaml:\d+: ", line) for line in result.stderr.strip().split("\n"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["run"], "Missing argument"),
        (["run", "x.yaml", "--workers", "0"], "Invalid value"),
        (["fly"], "No such command"),
        (["stages", "tokenise"], "no stage is called 'tokenise'; did you mean 'tokenize'?"),
        (["init", "nowhere"], "init: nothing is at 'nowhere'"),
    ],
)
def test_a_wrong_command_is_code_2(arguments, message):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_failed_run_says_how_to_continue_and_is_code_1(toy, tmp_path):
    arguments = [
        "run",
        toy,
        "--in-process",
        "--set",
        "nodes.loud.params.boom=alder",
        "--set",
        "run.max_error_ratio=0",
    ]
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert re.search(
        r"^failed: node 'loud' failed on \d+ of \d+ rows, mostly 'ValueError'", result.stderr, re.M
    )
    kept = re.search(
        r"finished work is kept in (.*)/store \((\d+) tasks\). To continue, skipping it:\n  corp",
        result.stderr,
    )
    assert kept[1] == str(tmp_path / "out")
    commits = list((tmp_path / "out/store/units").glob("*/*/commit.json"))
    assert int(kept[2]) == len(commits) > 0
    assert "Traceback" not in result.stderr
    assert "Traceback" in invoke(*arguments, "--debug").stderr


def test_an_error_of_ours_is_no_ordinary_end(toy, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(api, "run", broken)
    result = invoke("run", toy, "--in-process")
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


CHILD = """
import sys
from pipeline import api, cli
from tests.support.toy import TOYS

api.discover = lambda: TOYS
sys.argv[0] = "corpusmill"
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_run_and_the_same_command_continues(toy, tmp_path, number):
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    command = [
        sys.executable,
        str(script),
        "run",
        str(toy),
        "--in-process",
        "--set",
        "nodes.loud.params.slow_s=0.1",
    ]
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    units = tmp_path / "out/store/units"
    until = time.monotonic() + 60
    while not list(units.glob("*/*/commit.json")) and child.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    child.send_signal(number)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 1, said
    assert b"stopping after the tasks under way" in said
    assert b"stopped: asked to stop" in said
    assert b"To continue, skipping it:\n  corpusmill run " in said
    assert not (tmp_path / "out/LATEST").exists()
    done = len(list(units.glob("*/*/commit.json")))
    assert done > 0
    result = invoke("run", toy, "--in-process", "--set", "nodes.loud.params.slow_s=0.1")
    assert result.exit_code == 0
    assert f", {done} done before" in result.stdout


# --- the others -----------------------------------------------------------------------------------


def test_check_and_plan(toy):
    assert invoke("check", toy).stdout == f"{toy}: 12 nodes, no problems\n"
    assert invoke("plan", toy).stdout.startswith("level 0: because the sources are read")


def test_report_prints_the_funnel_again(small):
    tmp, result = small
    printed = invoke("report", tmp / "out").stdout
    assert "too_few_words 1" in printed
    assert f"report: {result.folder}/report.html" in printed
    assert invoke("report", result.folder).stdout == printed


def test_trace(small):
    tmp, _ = small
    assert (
        "  rejected length  length.too_few_words" in invoke("trace", tmp / "out", "docs/a.jsonl#short").stdout
    )
    found = json.loads(invoke("trace", tmp / "out", "shards/00000-shard.arrow:0:0", "--json").stdout)
    assert found["documents"][0]["id"] == found["pieces"][0]["id"]
    missing = invoke("trace", tmp / "out", "no-such-document")
    assert missing.exit_code == 1
    assert "has no document 'no-such-document'" in missing.stderr


def test_a_folder_without_a_run(tmp_path):
    for command in (
        ["report", tmp_path],
        ["trace", tmp_path, "x"],
        ["verify", tmp_path],
        ["diff", tmp_path, tmp_path],
    ):
        result = invoke(*command)
        assert result.exit_code == 1
        assert "holds no finished run" in result.stderr


def test_diff(small):
    tmp, result = small
    changed = small_run(tmp, min_words=0)
    text = invoke("diff", result.folder, changed.folder).stdout
    assert "  nodes.length.params.min_words: 5 -> 0" in text
    data = json.loads(invoke("diff", result.folder, changed.folder, "--json").stdout)
    assert {
        "node": "length",
        "what": "rejected: too_few_words",
        "a": 1,
        "b": 0,
        "change": -1,
        "only": None,
    } in data["counts"]


def test_verify_finds_what_was_altered(tmp_path):
    result = small_run(tmp_path)
    good = invoke("verify", tmp_path / "out")
    assert good.exit_code == 0
    assert re.fullmatch(r"\d+ units and \d+ files of sinks, all as they were committed\n", good.stdout)
    (shard, *_) = sorted(Path(result.sink("shards")).glob("*.arrow"))
    data = shard.read_bytes()
    shard.unlink()  # a new file: the stored one stays as it is
    shard.write_bytes(data[:-1] + b"x")
    (why, *_) = sorted(Path(result.sink("why")).glob("*.jsonl*"))
    why.unlink()
    fates = next((tmp_path / "out/store/units").glob("*/*/fates.arrow"))
    fates.write_bytes(fates.read_bytes() + b"x")
    bad = invoke("verify", tmp_path / "out")
    assert bad.exit_code == 1
    problems = bad.stderr.strip().split("\n")
    assert any(f"shards/{shard.name}: altered since it was committed" in p for p in problems)
    assert any(f"{shard}: was altered: its sha256 is not the manifest's" in p for p in problems)
    assert any(p.endswith(f"why/{why.name}: missing") for p in problems)
    assert any("fates.arrow" in p and "bytes, but" in p for p in problems)


def test_version():
    assert invoke("version").stdout == f"{__version__}\n"


def test_init_writes_a_config_and_never_over_another(small, tmp_path):
    tmp, _ = small
    target = tmp_path / "mine.yaml"
    assert "next: corpusmill check" in invoke("init", tmp / "docs", "--output", target).stdout
    assert invoke("check", target).exit_code == 0
    assert invoke("init", tmp / "docs").stdout.strip() == target.read_text().strip()
    again = invoke("init", tmp / "docs", "--output", target)
    assert again.exit_code == 2
    assert "exists already" in again.stderr


@pytest.mark.parametrize("command", [["schema"], ["init", "data_samples/web"]], ids=" ".join)
def test_a_file_that_cannot_be_written(command, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    target = tmp_path / "nowhere" / "x"
    result = invoke(*command, "--output", target)
    assert result.exit_code == 2
    assert result.stderr == f"{target}: cannot be written: No such file or directory\n"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_json_is_whole_in_any_encoding(encoding, monkeypatch):
    """An escape for a letter beyond the first 65,536 is no JSON, unless JSON makes it."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", out)
    value = {"text": "naïve 海 😀"}
    out.write(_json(value))
    out.flush()
    written = out.buffer.getvalue().decode(encoding)
    assert json.loads(written) == value
    assert ("😀" in written) == (encoding == "utf-8")


def test_models(tmp_path, monkeypatch):
    monkeypatch.setenv("CORPUSMILL_MODELS", str(tmp_path))
    assert "lid176  [not fetched]" in invoke("models", "list").stdout
    assert invoke("models", "verify").stdout == ""
    result = invoke("models", "get", "lid177", "nothing-like-it")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "model 'lid177': not in the catalogue; did you mean 'lid176'?",
        "model 'nothing-like-it': not in the catalogue; known: cl100k, lid176",
    ]


def test_every_altered_model_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CORPUSMILL_MODELS", str(tmp_path))
    for name in models.MODELS:
        models.model_path(name).parent.mkdir(parents=True)
        models.model_path(name).write_bytes(b"not it")
    result = invoke("models", "verify")
    assert result.exit_code == 1
    assert re.findall(r"^model '(\w+)': .* has sha256 ", result.stderr, re.M) == list(models.MODELS)
    assert invoke("models", "list").stdout.count("[here]") == len(models.MODELS)


# --- stages and schema ----------------------------------------------------------------------------


def test_the_list_has_every_stage_once():
    listed = re.findall(r"^  (\w+) +\S", list_stages(), re.M)
    assert sorted(listed) == sorted(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_explained(name):
    cls = load_class(STAGES[name].target)
    text = explain_stage(name)
    assert invoke("stages", name).stdout == text + "\n"
    for param in cls.model_fields:
        assert re.search(rf"^  {param}: .*(required|default)", text, re.M), param
    for reason in cls.reasons:
        assert str(reason) in text
    assert "typing." not in text
    assert "columns depend on the params" not in text


def references(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_schema_follows_from_the_stages():
    schema = json.loads(invoke("schema").stdout)
    definitions = schema["$defs"]
    assert all(ref.removeprefix("#/$defs/") in definitions for ref in references(schema))
    node = definitions["NodeConfig"]
    assert node["properties"]["stage"]["enum"] == sorted(STAGES)
    cases = {case["if"]["properties"]["stage"]["const"]: case["then"] for case in node["allOf"]}
    assert sorted(cases) == sorted(STAGES)
    for name, then in cases.items():
        params = definitions[then["properties"]["params"]["$ref"].removeprefix("#/$defs/")]
        cls = load_class(STAGES[name].target)
        assert params["properties"].keys() == cls.model_fields.keys()
        assert params["additionalProperties"] is False
        needed = [n for n, f in cls.model_fields.items() if f.is_required()]
        assert params.get("required", []) == needed
        assert then.get("required") == (["params"] if needed else None)


def test_the_schema_in_the_repository_is_this_one(tmp_path):
    target = tmp_path / "schema.json"
    assert invoke("schema", "--output", target).exit_code == 0
    committed = ROOT / "configs/schema.json"
    assert target.read_text() == committed.read_text(), f"run: corpusmill schema --output {committed}"


# --- what loads -----------------------------------------------------------------------------------


def test_help_loads_next_to_nothing():
    code = f"""
import sys
from typer.testing import CliRunner
from pipeline.cli import app
for arguments in (["--help"], ["run", "--help"], ["version"]):
    assert CliRunner().invoke(app, arguments).exit_code == 0
print([m for m in {HEAVY} + ("pyarrow",) if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_check_loads_no_dask(tmp_path):
    write_documents(tmp_path / "docs")
    config = tmp_path / "c.yaml"
    config.write_text(SMALL.format(out=tmp_path / "out", folder=tmp_path / "docs", min_words=5))
    code = """
import sys
from typer.testing import CliRunner
from pipeline.cli import app
assert CliRunner().invoke(app, ["check", sys.argv[1]]).exit_code == 0
print([m for m in ("dask", "distributed", "datasets", "trafilatura") if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(config)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# --- commands of packages


@pytest.fixture
def packaged(monkeypatch):
    """A command that a package offers, in the program until the end of the test."""

    class Point(NamedTuple):
        name: str

        def load(self):
            return count_lamps

    def count_lamps(lamps: Annotated[int, typer.Option(help="how many")] = 3) -> None:
        """Count lamps."""
        if lamps < 0:
            raise PipelineError(f"lamps: {lamps} is below 0; write a number of lamps")
        typer.echo(f"{lamps} lamps")

    before = list(app.registered_commands)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [Point("count-lamps")])
    cli.add_commands("anything")
    yield
    app.registered_commands[:] = before


def test_a_package_can_add_a_command(packaged):
    assert invoke("count-lamps", "--lamps", 4).output == "4 lamps\n"
    assert "Count lamps." in invoke("--help").output


def test_what_such_a_command_raises_is_told_as_ours(packaged):
    result = invoke("count-lamps", "--lamps", -1)
    assert result.exit_code == 1
    assert result.stderr == "failed: lamps: -1 is below 0; write a number of lamps\n"
