"""Empty, tiny, lopsided and huge partitions: T71, and what an engine forgets."""

import json
from pathlib import Path

import pytest

from pipeline.api import open_node, parse
from pipeline.errors import ConfigError
from tests.support.corpora import rows, run_here

EVERY_KIND = """
version: 1
run: {{output: {out}, max_error_ratio: 1, batch_bytes: 65536}}
nodes:
  a: {{stage: read_lines, params: {{folder: {folder}}}}}
  m: {{stage: measure, inputs: [a], params: {{min_length: {min}}}}}
  d: {{stage: dedup, inputs: [m]}}
  c: {{stage: count_first_letter, inputs: [d]}}
  w: {{stage: split_words, inputs: [c]}}
  list: {{stage: write_rows, inputs: [d]}}
  k: {{stage: listed, inputs: [m], side: {{list: list}}}}
  k2: {{stage: listed, inputs: [m], side: {{list: m}}}}
  out: {{stage: write_rows, inputs: [w]}}
  out2: {{stage: write_rows, inputs: [k, k2]}}
"""


def go(tmp_path, files, min_length=1):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    return run_here(parse(EVERY_KIND.format(out=tmp_path / "out", folder=folder, min=min_length)))


def test_empty_files_among_others(tmp_path):
    result = go(tmp_path, {"a.txt": "", "b.txt": "one two\n", "c.txt": "", "d.txt": "one two\nthree\n"})
    assert [r["text"] for r in rows(result.sink("out"))] == ["one", "two", "three"]
    assert len(rows(result.sink("out2"))) == 6  # each of 3 rows through k and through k2


@pytest.mark.parametrize("files", [{"a.txt": ""}, {"a.txt": "", "b.txt": ""}, {"a.txt": "!damage\n"}])
def test_nothing_at_all(tmp_path, files):
    result = go(tmp_path, files)
    assert rows(result.sink("out")) == []
    assert json.loads(Path(result.sink("out"), "manifest.json").read_text()) == {"rows": 0, "letters": 0}


def test_no_document_survives(tmp_path):
    result = go(tmp_path, {"a.txt": "x\ny\n", "b.txt": "z\n"}, min_length=100)
    assert rows(result.sink("out")) == []
    nodes = {n["node"]: n for n in result.report["nodes"]}
    assert nodes["m"]["sources"]["a"]["rejected"] == {"too_short": 3}


def test_one_document(tmp_path):
    assert [r["text"] for r in rows(go(tmp_path, {"a.txt": "alone"}).sink("out"))] == ["alone"]


def test_a_skewed_partition_and_one_giant_document(tmp_path):
    giant = "word " * 400_000
    many = "".join(f"line {i}\n" for i in range(3000))
    result = go(tmp_path, {"a.txt": giant + "\n", "b.txt": many, "c.txt": "x\n"})
    assert len(rows(result.sink("out"))) == 400_000 + 6000 + 1


def test_everything_is_one_duplicate(tmp_path):
    result = go(tmp_path, {f"{i}.txt": "same\n" * 500 for i in range(3)})
    assert [r["id"] for r in rows(result.sink("out"))] == ["a/0.txt#0"]


def test_a_source_with_nothing_to_read(tmp_path):
    with pytest.raises(ConfigError, match="node 'a': the source has nothing to read; check its paths"):
        go(tmp_path, {})


def test_stored_rows_open_elsewhere(tmp_path):
    result = go(tmp_path, {"a.txt": "one two\nx\n", "b.txt": "three\n"})
    folder = result.folder
    assert open_node(folder, "m", view="dataset").to_table().num_rows == 3
    assert sorted(open_node(tmp_path / "out", "m").compute()["text"]) == ["one two", "three", "x"]
    assert open_node(folder, "m", view="bag").pluck("text").compute(scheduler="sync") == [
        "one two",
        "x",
        "three",
    ]
    assert open_node(folder, "m", view="datasets")["text"][0] == "one two"


def test_asking_for_what_was_not_stored(tmp_path):
    from pipeline.errors import DataError

    result = go(tmp_path, {"a.txt": "x\n"})
    with pytest.raises(DataError, match=r"did not store 'w.kept'; it has .*set checkpoint: true"):
        open_node(result.folder, "w")
    with pytest.raises(DataError, match="holds no finished run"):
        open_node(tmp_path / "nowhere", "w")


def test_an_output_in_memory(tmp_path):
    """The store works on any fsspec filesystem: the same bytes, and a second run that does nothing."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text("one two\nthree\n")
    config = parse(EVERY_KIND.format(out="memory://bucket/out", folder=folder, min=1))
    first = run_here(config)
    assert run_here(config).executed == 0
    import fsspec

    fs = fsspec.filesystem("memory")
    assert fs.exists(f"{first.folder}/out/manifest.json")
    assert fs.cat(f"{'memory://bucket/out'}/LATEST").decode().strip() == first.folder.rsplit("/", 1)[-1]
