"""The command line over one run of `configs/web.yaml`: each answer held against what the run wrote."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from typer.testing import CliRunner

from pipeline.api import open_run
from pipeline.cli import app
from tests.support.data import ROOT

MAIN = "from pipeline.cli import main; main()"


@pytest.fixture(scope="module", autouse=True)
def _in_the_repository():
    """Configs name their files from the repository's top."""
    before = Path.cwd()
    os.chdir(ROOT)
    yield
    os.chdir(before)


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def web_command(output):
    return ["run", "configs/web.yaml", "--in-process", "--set", f"run.output={output}"]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The output folder, and what the command said."""
    output = tmp_path_factory.mktemp("web") / "out"
    result = invoke(*web_command(output))
    assert result.exit_code == 0, result.stderr
    return output, result


@pytest.fixture(scope="module")
def output(first):
    return first[0]


@pytest.fixture(scope="module")
def run(output):
    return open_run(output)


def lines_of(run, sink):
    for file in sorted(Path(run.output.path(f"{run.identifier}/{sink}")).glob("*.jsonl.zst")):
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(file.read_bytes())) as stream:
            yield from map(json.loads, stream.read().decode().splitlines())


@pytest.fixture(scope="module")
def rejected(run):
    """One rejected document for each reason, the first."""
    found = {}
    for row in lines_of(run, "why"):
        found.setdefault(row["rejected_by"], row)
    return found


def said(*arguments):
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout.removesuffix("\n").split("\n")


# --- run and report ---------------------------------------------------------------------------------


def test_a_run_ends_with_its_funnel(first, run):
    _, result = first
    report = run.read_json("report.json")
    printed = result.stdout.split("\n")
    for node, line in zip(report["nodes"], printed[1:], strict=False):
        cells = line.split()
        assert cells[:2] == [node["node"], f"{node['total']['in']:,}"]
    folder = run.output.path(run.identifier)
    assert printed[-2] == f"report: {folder}/report.html"
    assert {f"{sink}: {folder}/{sink}" for sink in run.manifest["sinks"]} <= set(printed)
    assert re.match(r"tasks: \d+ run, 0 done before", printed[-3])
    assert re.search(r"^warning: configs/web.yaml:\d+: node 'length': every reader chooses", result.stderr)


def test_report_prints_the_same_funnel(first, output):
    printed = said("report", output)
    assert "\n".join(printed).split("\n\n")[0] == first[1].stdout.split("\n\n")[0]


def test_a_run_that_only_reuses_renders_too(output, run):
    before = {p.name: p.read_bytes() for p in Path(run.output.path(run.identifier)).glob("*") if p.is_file()}
    again = said(*web_command(output))
    assert re.fullmatch(r"tasks: 0 run, \d+ done before", again[-2])
    folder = Path(run.output.path(run.identifier))
    page = (folder / "report.html").read_text("utf-8")
    assert re.search(rf"all {again[-2].split()[3]} tasks were done before", page)
    for name in ("report.json", "manifest.json", "plan.txt"):
        assert (folder / name).read_bytes() == before[name]
    timings = json.loads((folder / "timings.json").read_text())
    assert timings["executed"] == 0
    assert timings["node_cpu_s"] == json.loads(before["timings.json"])["node_cpu_s"]
    assert all(task["reused"] for task in timings["slowest"])


# --- trace ------------------------------------------------------------------------------------------


def test_every_reason_can_be_traced_by_id_by_record_and_by_address(output, rejected):
    assert len(rejected) > 12
    for reason, row in rejected.items():
        by_id = said("trace", output, row["id"])
        assert by_id[0] == row["id"]
        assert any(line.split() == ["rejected", reason.split(".")[0], reason] for line in by_id)
        for name, value in json.loads(row["evidence"] or "{}").items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            assert f"            {name}: {text.splitlines()[0] if text else ''}" in by_id
        assert said("trace", output, row["id"].partition("/")[2]) == by_id
    for row in list(rejected.values())[:3]:
        assert row["id"] in said("trace", output, row["url"])


def test_a_duplicate_shows_the_one_that_stayed_and_where_it_is(output, rejected):
    row = rejected["near.near_duplicate"]
    survivor = json.loads(row["evidence"])["survivor"]
    lines = said("trace", output, row["id"])
    behind = lines[lines.index("the document that stayed:") + 1 :]
    assert behind[0] == survivor
    assert any(line.startswith("  tokens   shards/") for line in behind)


def shard_rows(run):
    for file in sorted(Path(run.output.path(f"{run.identifier}/shards")).glob("*.arrow")):
        with pa.ipc.open_stream(str(file)) as reader:
            yield f"shards/{file.name}", reader.read_all()


def test_rows_and_tokens_lead_to_their_documents(output, run):
    name, table = max(shard_rows(run), key=lambda item: item[1].num_rows)
    row = next(i for i, p in enumerate(table["pieces"].to_pylist()) if len(p) > 1)
    pieces = table["pieces"][row].as_py()
    expected = [f"{p['tokens']} tokens from {p['id']}, characters {p['start']}-{p['end']}" for p in pieces]
    assert said("trace", output, f"{name}:{row}")[: len(pieces)] == expected
    last = len(table["input_ids"][row]) - 1
    assert said("trace", output, f"{name}:{row}:0")[0] == expected[0]
    assert said("trace", output, f"{name}:{row}:{last}")[0] == expected[-1]
    assert invoke("trace", output, f"{name}:{row}:{last + 1}").exit_code == 1


def test_a_piece_and_the_page_it_was_cut_from(output, run):
    piece = next(row["id"] for row in lines_of(run, "documents") if re.search(r"#.*#3$", row["id"]))
    parent = piece.rpartition("#")[0]
    lines = said("trace", output, piece)
    assert lines[:4] == [piece, f"  a piece of {parent}", "  read     crawl", "  expanded pieces"]
    whole = said("trace", output, parent)
    assert whole[0] == parent
    assert piece in next(line for line in whole if line.startswith("  cut into "))
    every = said("trace", output, f"{parent.rpartition('#')[2][:8]}")
    assert every[: len(whole) + 1] == [*whole, ""]
    assert set(lines) <= set(every)


def test_an_id_with_a_slip_names_the_nearest(output, rejected):
    good = rejected["lang.language_not_kept"]["id"]
    assert re.search(r"-[0-9a-f]{12}$", good)
    result = invoke("trace", output, f"{good[:-3]}z{good[-2:]}")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.split("\n")[1] == f"  {good}"


# --- diff and verify --------------------------------------------------------------------------------


def test_diff_of_a_changed_threshold(output, run):
    changed = invoke(*web_command(output), "--set", "nodes.near.params.threshold=0.9")
    assert changed.exit_code == 0, changed.stderr
    other = open_run(output)
    assert other.identifier != run.identifier
    folders = [output / r.identifier for r in (run, other)]
    lines = said("diff", *folders)
    assert lines[0] == f"{run.identifier} -> {other.identifier}"
    assert lines[2:6] == ["config:", "  nodes.near.params.threshold: 0.75 -> 0.9", "", "inputs: equal"]
    rows = {
        (r["node"], r["what"]): r["change"]
        for r in json.loads("\n".join(said("diff", *folders, "--json")))["counts"]
    }
    assert rows["near", "rejected: near_duplicate"] == -rows["near", "kept"] < 0
    assert not [node for node, _ in rows if node in ("crawl", "pages", "lang", "exact")]


def test_verify(output):
    (line,) = said("verify", output)
    assert re.fullmatch(r"[\d,]+ units and \d+ files of sinks, all as they were committed", line)


# --- what cannot run --------------------------------------------------------------------------------


def test_a_missing_model_and_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("CORPUSMILL_MODELS", str(tmp_path / "none"))
    result = invoke(*web_command(tmp_path / "out"), "--offline")
    assert result.exit_code == 2
    (line,) = [x for x in result.stderr.splitlines() if not x.startswith("warning: ")]
    assert line.startswith("node 'lang' (identify_language): model 'lid176': not in ")
    assert "run `corpusmill models get lid176` where the package index can be reached" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        ("nowhere.yaml", r"^nowhere\.yaml: cannot be read as a cluster file: .*No such file"),
        ("configs/web.yaml", r"^configs/web\.yaml:\d+: nodes: unknown name; known: address, "),
    ],
)
def test_a_cluster_that_is_no_cluster(tmp_path, cluster, message):
    result = invoke("run", "configs/web.yaml", "--cluster", cluster, "--set", f"run.output={tmp_path / 'o'}")
    assert result.exit_code == 2
    assert re.search(message, result.stderr, re.MULTILINE)
    assert not (tmp_path / "o" / "store").exists()


def test_a_scheduler_that_does_not_answer_is_worth_another_try(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.cluster.CONNECT_S", 0.2)
    result = invoke(
        "run", "configs/web.yaml", "--cluster", "tcp://127.0.0.1:9", "--set", f"run.output={tmp_path / 'o'}"
    )
    assert result.exit_code == 1
    assert "failed: no Dask scheduler answers at tcp://127.0.0.1:9" in result.stderr
    assert "no task was finished. To start again:\n  corpusmill" in result.stderr


# --- encodings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_text_that_the_output_cannot_hold_is_escaped(output, rejected, encoding):
    """A Japanese page on a terminal that knows none of it: escapes, not a traceback."""
    row = rejected["lang.language_not_kept"]
    word = row["text"][:4]
    assert not word.isascii()
    command = [sys.executable, "-c", MAIN, "trace", str(output), row["id"]]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    plain = subprocess.run(command, capture_output=True, env=environment)
    as_json = subprocess.run([*command, "--json"], capture_output=True, env=environment)
    assert (plain.returncode, as_json.returncode) == (0, 0), plain.stderr + as_json.stderr
    assert row["id"].encode() in plain.stdout
    shown = word.encode("latin-1", "backslashreplace").decode("latin-1")
    assert any(w in plain.stdout.decode("utf-8") for w in (word, shown))
    story = json.loads(as_json.stdout.decode("utf-8"))["documents"][0]
    assert any((e["excerpt"] or "").startswith(word) for e in story["events"])
