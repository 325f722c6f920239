"""`corpusmill init`: what it makes of some files, and that what it makes is a config without problems."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.api import check, load_config, parse, run
from pipeline.errors import ConfigError
from pipeline.executors.local import LocalExecutor
from pipeline.starter import first_record, inputs_of, is_dialogue, reader_of, starter_config
from shards.verify import verify
from tests.support.data import SAMPLES

ARTICLE = {"doc_id": "7", "content": "A long article about rye.", "uri": "http://a.example/", "note": "x"}
CHAT = {"id": "1", "messages": [{"role": "user", "content": "Hi"}]}


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def jsonl(*records):
    return "".join(json.dumps(r) + "\n" for r in records)


def arrow_bytes(table, make):
    sink = pa.BufferOutputStream()
    with make(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("a.warc", "read_warc"),
        ("a.warc.gz", "read_warc"),
        ("a.warc.wet.gz", "read_warc"),
        ("A.JSONL.ZST", "read_jsonl"),
        ("a.json", "read_jsonl"),
        ("a.parquet", "read_parquet"),
        ("a.html", "read_html"),
        ("a.md", "read_text"),
        ("a.arrow", "read_arrow"),
        ("a.pdf", None),
        ("jsonl", None),
    ],
)
def test_readers_by_name(name, stage):
    assert reader_of(name) == stage


TABLE = pa.table({"text": ["one"], "url": ["u"]})


@pytest.mark.parametrize(
    ("name", "data", "stage", "expected"),
    [
        ("a.jsonl", jsonl(ARTICLE, CHAT), "read_jsonl", ARTICLE),
        ("a.jsonl.gz", gzip.compress(jsonl(ARTICLE).encode()), "read_jsonl", ARTICLE),
        ("a.jsonl.zst", zstandard.compress(jsonl(ARTICLE).encode()), "read_jsonl", ARTICLE),
        ("a.json", json.dumps([ARTICLE, CHAT], indent=2), "read_jsonl", ARTICLE),
        ("bom.json", b"\xef\xbb\xbf" + json.dumps([ARTICLE]).encode(), "read_jsonl", ARTICLE),
        ("long.jsonl", '{"text": "' + "x" * (1 << 21) + '"}', "read_jsonl", {}),
        ("number.jsonl", "7\n", "read_jsonl", {}),
        ("empty.jsonl", "", "read_jsonl", {}),
        ("broken.jsonl.gz", b"\x1f\x8b\x08\x00broken", "read_jsonl", {}),
        ("broken.parquet", b"PAR1 no", "read_parquet", {}),
        ("file.arrow", arrow_bytes(TABLE, pa.ipc.new_file), "read_arrow", {"text": "one", "url": "u"}),
        ("stream.arrow", arrow_bytes(TABLE, pa.ipc.new_stream), "read_arrow", {"text": "one", "url": "u"}),
        ("none.arrow", arrow_bytes(TABLE[:0], pa.ipc.new_file), "read_arrow", {"text": None, "url": None}),
        ("a.html", "<p>x", "read_html", {}),
    ],
)
def test_the_first_record(tmp_path, name, data, stage, expected):
    assert first_record(stage, write(tmp_path / name, data)) == expected


@pytest.mark.parametrize(
    ("rows", "expected"), [(1, {"text": "one", "url": "u"}), (0, {"text": None, "url": None})]
)
def test_the_first_row_of_parquet(tmp_path, rows, expected):
    pq.write_table(TABLE[:rows], tmp_path / "a.parquet")
    assert first_record("read_parquet", str(tmp_path / "a.parquet")) == expected


@pytest.mark.parametrize(
    ("record", "params"),
    [
        ({"text": "x", "id": 1}, {"id": "id"}),
        (ARTICLE, {"text": "content", "id": "doc_id", "url": "uri"}),
        ({"short": "ab", "essay": "much longer", "n": 3}, {"text": "essay"}),
        ({"n": 3}, {}),
        (CHAT, {"text": None, "id": "id"}),
        ({"conversations": [], "url": "u"}, {"text": None}),
        ({"text": "x", "created": "2020"}, {"date": "created"}),
    ],
)
def test_fields_become_params(tmp_path, record, params):
    (found,) = inputs_of([write(tmp_path / "a.jsonl", jsonl(record))])
    assert found.params == params


@pytest.mark.parametrize(
    ("record", "yes"),
    [
        (CHAT, True),
        ({"conversations": []}, True),
        ({"instruction": "a", "output": "b"}, True),
        ({"instruction": "a"}, False),
        ({"messages": "two new messages"}, False),
        ({}, False),
    ],
)
def test_dialogues(record, yes):
    assert is_dialogue(record) is yes


@pytest.mark.parametrize(
    "arguments",
    [
        ["web"],
        ["web/*.warc.gz", "html"],
        ["docs"],
        ["docs/library.jsonl.gz", "docs/linked.jsonl.zst", "docs/books.parquet"],
        ["web", "html", "docs"],
        ["dialogues"],
        ["dialogues/alpaca.jsonl", "dialogues/sharegpt.jsonl"],
    ],
    ids=" ".join,
)
def test_what_it_makes_of_the_samples_is_checked_without_a_problem(arguments):
    text = starter_config([str(SAMPLES / a) for a in arguments])
    graph, warnings = check(parse(text, "starter.yaml"))
    assert warnings == []
    kinds = [node.kind for node in graph.nodes.values()]
    assert kinds.count("sink") >= 3
    sources = [node.stage for node in graph.nodes.values() if node.kind == "source"]
    assert all(stage.split() for stage in sources)


def test_files_that_are_read_alike_share_a_source(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.jsonl", jsonl(ARTICLE))
    write(tmp_path / "c.jsonl", jsonl({"text": "x"}))
    found = inputs_of([str(tmp_path / f"{n}.jsonl") for n in "abc"])
    assert [(i.name, i.stage) for i in found] == [("library", "read_jsonl"), ("library2", "read_jsonl")]
    assert json.loads(found[0].paths) == [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]


def test_a_folder_of_two_kinds_gives_two_sources(tmp_path):
    write(tmp_path / "x" / "a.html", "<p>")
    write(tmp_path / "x" / "b.txt", "b")
    write(tmp_path / "x" / "c.pdf", "c")
    found = inputs_of([str(tmp_path / "x")])
    assert [(i.name, i.stage) for i in found] == [("folder", "read_html"), ("library", "read_text")]
    assert check(parse(starter_config([str(tmp_path / "x")])))[1] == []


def test_a_name_that_yaml_would_misread_is_quoted(tmp_path):
    path = write(tmp_path / "no: {a}.jsonl", jsonl({"yes": "some text", "no": "x"}))
    config = parse(starter_config([path]))
    assert config.data["nodes"]["library"]["params"] == {"paths": path, "text": "yes"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nothing-here"], "init: nothing is at '.*nothing-here'; name a file, a folder or a glob"),
        (["a.pdf"], "init: no stage reads '.*a.pdf'; there are readers for .warc, .jsonl, "),
        (
            ["chat.jsonl", "a.jsonl"],
            'init: ".*chat.jsonl" holds dialogues and ".*a.jsonl" documents; make a config for each',
        ),
    ],
)
def test_what_it_refuses(tmp_path, names, message):
    write(tmp_path / "a.pdf", "x")
    write(tmp_path / "a.jsonl", jsonl(ARTICLE))
    write(tmp_path / "chat.jsonl", jsonl(CHAT))
    with pytest.raises(ConfigError, match=message):
        starter_config([str(tmp_path / n) for n in names])


@pytest.mark.parametrize(
    "arguments",
    [["web/plain.warc.gz"], ["docs/library.jsonl.gz"], ["html"], ["docs/books.parquet"], ["dialogues"]],
    ids=" ".join,
)
def test_what_it_makes_of_the_samples_runs(arguments, tmp_path):
    """To shards that have rows, with the text of every document that came in accounted for."""
    file = tmp_path / "starter.yaml"
    file.write_text(starter_config([str(SAMPLES / a) for a in arguments]), "utf-8")
    result = run(load_config(file, [f"run.output={tmp_path / 'out'}"]), executor=LocalExecutor())
    sinks = result.report["sinks"]
    assert sinks["shards"] > 0
    assert verify(result.sink("shards")) == []
    read = sum(result.report["sources"].values())
    rejected = sum(sum(n["total"]["rejected"].values()) for n in result.report["nodes"])
    made = sum(n["total"]["made"] for n in result.report["nodes"])
    assert read + made == sinks["shards"] + rejected
    assert sinks["why"] == rejected
    assert result.report["failed"] == {}
