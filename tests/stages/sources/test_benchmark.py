"""Benchmark items from files of all kinds; whatever is wrong with them is said before work starts."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import pickle
import sys
import types
from pathlib import Path

import datasets
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pydantic import ValidationError

from pipeline.api import parse, run
from pipeline.errors import ConfigError, DataError
from pipeline.executors.local import LocalExecutor
from pipeline.schema import BENCHMARK, ITEM, ITEM_PARTS, ORIGIN, TEXT
from pipeline.stage import StageRef
from stages.registry import STAGES
from stages.sources._benchmark_hub import cached_files
from stages.sources.benchmark import ReadBenchmark
from tests.stages.sources.support import run as rows_of
from tests.support.data import SAMPLES

RECORDS = [
    {"id": "a", "question": "Which lamp?", "choices": ["red", "blue"], "answer": "B"},
    {"id": "b", "question": "Which of the doors?", "choices": ["left", "right"], "answer": "A"},
]
PARTS = [
    [("question", "Which lamp?"), ("choice", "red"), ("choice", "blue"), ("answer", "blue")],
    [("question", "Which of the doors?"), ("choice", "left"), ("choice", "right"), ("answer", "left")],
]


def write(folder, records, name="mine.jsonl"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return str(path)


def parts(source):
    assert list(source.problems()) == []
    return [item.parts for _, item in source.items()]


def mine(folder, *records, **params):
    return ReadBenchmark(paths=write(folder, records), **params)


# --- what comes out -------------------------------------------------------------------------------------


def test_rows(tmp_path):
    source = ReadBenchmark(paths=write(tmp_path, RECORDS))
    assert source.writes() == pa.schema([ORIGIN, TEXT, BENCHMARK, ITEM, ITEM_PARTS])
    rows, damages = rows_of(source)
    assert damages == []
    assert rows[0] == {
        "origin": {"file": "mine.jsonl", "key": "0", "offset": -1},
        "text": "Which lamp?\n\nA. red\nB. blue\n\nAnswer: B. blue",
        "benchmark": "mine",
        "item": "a",
        "item_parts": [{"part": part, "text": text} for part, text in PARTS[0]],
    }
    small = ReadBenchmark(paths=str(tmp_path), batch_rows=1)
    assert [batch.num_rows for batch in small.read("items", None)] == [1, 1]
    assert (
        rows_of(small)[0] == [row | {"benchmark": tmp_path.name} for row in rows] or rows_of(small)[0] == rows
    )


def test_a_dataset_in_the_repository():
    source = ReadBenchmark(paths=str(SAMPLES / "evals" / "quiz.jsonl"))
    assert list(source.problems()) == []
    items = [item for _, item in source.items()]
    assert len(items) == 24
    assert items[0].item == "quiz-00"
    assert items[0].parts[-1] == ("answer", "mercury")


PACKERS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def as_csv(records, delimiter=","):
    out = io.StringIO()
    flat = [{**r, "choices": None, "c1": r["choices"][0], "c2": r["choices"][1]} for r in records]
    writer = csv.DictWriter(out, list(flat[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue().encode()


def as_arrow(records, new=pa.ipc.new_file):
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(records)
    with new(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def as_parquet(records):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(records), sink)
    return sink.getvalue().to_pybytes()


LINES = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", LINES),
        ("a.ndjson", b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n\n")),
        ("a.json", json.dumps(RECORDS).encode()),
        ("a.json", json.dumps({"version": 1, "examples": RECORDS}, indent=1).encode()),
        ("a.json", json.dumps({"data": RECORDS}).encode()),
        ("a.json", LINES),
        ("a.jsonl", json.dumps(RECORDS).encode()),
        ("a.csv", as_csv(RECORDS)),
        ("a.tsv", as_csv(RECORDS, "\t")),
        ("a.parquet", as_parquet(RECORDS)),
        ("a.arrow", as_arrow(RECORDS)),
        ("a.arrow", as_arrow(RECORDS, pa.ipc.new_stream)),
    ],
)
def test_formats(tmp_path, packed, name, data):
    (tmp_path / (name + packed)).write_bytes(PACKERS[packed](data))
    fields = {"question": "question", "answer": "answer", "id": "id"}
    fields["choices"] = ["c1", "c2"] if name[-3:] in ("csv", "tsv") else "choices"
    source = ReadBenchmark(paths=str(tmp_path / (name + packed)), fields=fields)
    assert parts(source) == PARTS
    assert {item.benchmark for _, item in source.items()} == {"a"}


def test_folders_of_save_to_disk(tmp_path):
    both = datasets.Dataset.from_list(RECORDS)
    both.save_to_disk(str(tmp_path / "one"))
    assert parts(ReadBenchmark(paths=str(tmp_path / "one"))) == PARTS
    splits = datasets.DatasetDict({"train": both.select([1]), "test": both.select([0])})
    splits.save_to_disk(str(tmp_path / "two"))
    assert parts(ReadBenchmark(paths=str(tmp_path / "two"), hub_split="test")) == PARTS[:1]
    (problem,) = ReadBenchmark(paths=str(tmp_path / "two"), hub_split="dev").problems()
    assert "no data file" in problem


def test_several_files_number_items_on(tmp_path):
    bare = [{"question": f"Which of {i} lamps?", "answer": "all"} for i in range(3)]
    write(tmp_path, bare[:2], "train-00000-of-00002.jsonl")
    write(tmp_path, bare[2:], "train-00001-of-00002.jsonl")
    source = ReadBenchmark(paths=f"{tmp_path}/*.jsonl", name="lamps")
    assert [(item.benchmark, item.item) for _, item in source.items()] == [
        ("lamps", "0"),
        ("lamps", "1"),
        ("lamps", "2"),
    ]
    assert [row["origin"]["file"][-14:-6] for row in rows_of(source)[0]] == ["of-00002"] * 3
    apart = ReadBenchmark(paths=str(tmp_path), name="lamps", part_by_file=True)
    assert list(apart.problems()) != []  # both shards are lamps/train, and number their items from 0
    write(tmp_path, bare, "x/deep.jsonl")
    write(tmp_path, bare, "x/high_test.jsonl")
    apart = ReadBenchmark(paths=str(tmp_path / "x"), name="lamps", part_by_file=True)
    assert [(i.benchmark, i.item) for _, i in apart.items()] == [
        (f"lamps/{part}", str(k)) for part in ("deep", "high") for k in range(3)
    ]


def test_remote_files():
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/bench/a.jsonl", LINES)
    source = ReadBenchmark(paths="memory://bench/a.jsonl")
    assert list(source.problems()) == []
    assert list(source.split()) == ["items"]
    assert [row["item"] for row in rows_of(source)[0]] == ["a", "b"]
    fs.pipe_file("/bench/a.jsonl", b"{")
    assert list(source.problems()) == []
    with pytest.raises(DataError, match=r"memory://.*a\.jsonl: line 1: not JSON"):
        source.split()


# --- fields, answers, questions ---------------------------------------------------------------------------


def test_fields_of_ones_own(tmp_path):
    record = {
        "m": {"q": " Which?  ", "alt": ["What lamp?", "Which?"], "more": "Say."},
        "ctx": ["One.", "Two."],
        "why": "So.",
        "code": "    return",
        "ans": 3.0,
        "n": 17,
    }
    fields = {
        "question": ["m.q", "m.alt", "m.q + m.more"],
        "passage": "ctx",
        "solution": ["why", "code", "lost?"],
        "answer": "lost | ans",
        "id": "n",
    }
    source = mine(tmp_path, record, fields=fields)
    assert parts(source) == [
        [
            ("passage", "One."),
            ("passage", "Two."),
            ("question", "Which?"),
            ("question", "What lamp?"),
            ("question", "Which?  \nSay."),
            ("solution", "So."),
            ("solution", "    return"),
            ("answer", "3"),
        ]
    ]
    assert source.items()[0][1].item == "17"


@pytest.mark.parametrize(
    ("answers", "form", "right"),
    [
        (["A", "(B)"], None, ["red", "blue"]),
        (["a.", "b"], None, ["red", "blue"]),
        ([0, 1], None, ["red", "blue"]),
        ([1, 2], None, ["red", "blue"]),
        ([2, 1], "index1", ["blue", "red"]),
        ([1, 1], "index0", ["blue", "blue"]),
        (["1", " 0 "], None, ["blue", "red"]),
        (["blue", "red"], None, ["blue", "red"]),
        ([["red", "blue"], "blue"], None, ["red", "blue"]),
    ],
)
def test_answers(tmp_path, answers, form, right):
    records = [
        {"question": f"Which {i}?", "choices": ["red", "blue"], "answer": a} for i, a in enumerate(answers)
    ]
    found = parts(mine(tmp_path, *records, answer_form=form))
    assert [next(text for part, text in item if part == "answer") for item in found] == right


def test_answers_that_may_mean_two_things_are_asked_for(tmp_path):
    numbers = {"question": "How many?", "choices": ["1", "2", "0", "3"], "answer": "1"}
    (problem,) = mine(tmp_path, numbers, numbers).problems()
    assert (
        "answers such as '1' may be text or index0 or index1; write answer_form: text (or index0)" in problem
    )
    assert parts(mine(tmp_path, numbers, answer_form="index0"))[0][-1] == ("answer", "2")
    assert parts(mine(tmp_path, numbers, answer_form="text"))[0][-1] == ("answer", "1")


def test_questions_are_stripped(tmp_path):
    shots = "Answer these.\n\nQuestion: One?\nAnswer: a\n\nQuestion: Which lamp?\nA. red\nB. blue\nAnswer:"
    record = {"question": shots, "answer": "B"}
    source = mine(tmp_path, record, strip_before=["Question:"], unpack_options=True)
    assert parts(source) == PARTS[:1]
    plain = parts(mine(tmp_path, record))[0]
    assert plain[0] == ("question", shots.removesuffix("\nAnswer:"))
    exact = mine(tmp_path, {"question": "Q: Why?", "answer": "b"}, strip_prefixes=[], strip_suffixes=[])
    assert parts(exact)[0][0] == ("question", "Q: Why?")


def test_what_all_questions_begin_with_comes_off_on_request(tmp_path):
    rest = "lamps burned in the tower on the night of the storm, and how many went out?"
    records = [{"question": f"Answer with one number only. {i} {rest}", "answer": str(i)} for i in range(6)]
    assert parts(mine(tmp_path, *records))[3][0][1].startswith("Answer with one number only. 3 lamps")
    assert parts(mine(tmp_path, *records, strip_common_prefix=True))[3][0] == ("question", f"3 {rest}")


def test_where_chooses_records(tmp_path):
    records = [
        {"question": f"Which {i}?", "answer": "x", "split": s, "n": i}
        for i, s in enumerate(["dev", "test", "test"])
    ]
    source = mine(tmp_path, *records, where={"split": "test"})
    assert [item.item for _, item in source.items()] == ["1", "2"]
    assert [
        i.item for _, i in mine(tmp_path, *records, where={"split": ["dev", "test"], "n": 2}).items()
    ] == ["2"]
    (problem,) = mine(tmp_path, *records, where={"split": "train"}).problems()
    assert "no record has split in ['train']; its values are: dev, test" in problem


def test_csv_without_a_header(tmp_path):
    (tmp_path / "a.csv").write_text('"Which, lamp?",red,blue,B\n\n"Which\nof them?",left,right,A\n', "utf-8")
    fields = {"question": "q", "choices": ["x", "y"], "answer": "z"}
    source = ReadBenchmark(paths=str(tmp_path / "a.csv"), columns=["q", "x", "y", "z"], fields=fields)
    assert [item[0][1] for item in parts(source)] == ["Which, lamp?", "Which\nof them?"]
    (tmp_path / "b.csv").write_text("q,x,y,z\nWhich?,red,blue,B\n", "utf-8")
    named = ReadBenchmark(paths=str(tmp_path / "b.csv"), columns=["q", "x", "y", "z"], fields=fields)
    assert [item[0][1] for item in parts(named)] == ["Which?"]
    forced = ReadBenchmark(
        paths=str(tmp_path / "b.csv"), columns=["q", "x", "y", "z"], header=False, fields={"question": "q"}
    )
    assert [item[0][1] for item in parts(forced)] == ["q", "Which?"]
    long = "x" * 300_000  # longer than Python's csv takes by default
    (tmp_path / "c.csv").write_text(f'question,answer\n"{long}",y\n', "utf-8")
    assert parts(ReadBenchmark(paths=str(tmp_path / "c.csv")))[0][0][1] == long


# --- what is wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "wanted"),
    [
        ("a.jsonl", LINES + b'{"question": \n', "a.jsonl: line 3: not JSON"),
        ("a.jsonl", LINES + b'{"question": "caf\xe9"}\n', "line 3: not JSON"),
        ("a.jsonl", LINES + b"[1]\n", "line 3: a JSON list, not an object"),
        ("a.jsonl", b"", "the file is empty"),
        ("a.json", b" \n", "the file is empty"),
        ("a.json", b"[]", "it holds no items"),
        ("a.json", b'[{"question": "x"}, 3]', "record 1: a JSON int"),
        ("a.json", b'{"a": ', "not JSON"),
        ("a.jsonl.gz", gzip.compress(LINES)[:-9], "ends in the middle"),
        ("a.csv", b"question,answer\nx,y\nx\n", "line 3: 1 columns, not 2 (question, answer)"),
        ("a.csv", b'question,answer\n"x" y,z\n', "line 2: not CSV"),
        ("a.csv", b"question,answer\nx,caf\xe9\n", "line 2: not UTF-8"),
        ("a.csv", b"question,answer\n", "it holds no items"),
        ("a.parquet", b"PAR1 but not really", "not Parquet"),
        ("a.arrow", b"ARROW1 but not really", "not Arrow"),
        ("a.txt", b"Which lamp?", "its name ends in none of .jsonl"),
        ("a.jsonl", b'{"prompts": "x", "answer": "y"}\n', "record 0: no field 'question or query or prompt or problem or input'; its fields are: prompts, answer; write `fields: {question: "),
        ("a.jsonl", LINES + b'{"question": " ", "answer": "y"}\n', "record 2: field 'question' is empty"),
        ("a.jsonl", LINES + b'{"question": "x", "choices": ["a", "b"], "answer": "C"}\n', "record 2: answer 'C' is not a label from A to B (choices: 'a', 'b'); mend the record"),
        ("a.jsonl", LINES + b'{"question": "x", "choices": ["a", "b"], "answer": null}\n', "record 2: field 'answer' is empty; fill it, or write `answer: answer?`"),
        ("a.jsonl", LINES + b'{"question": {"stem": "x"}, "answer": "y"}\n', "record 2: field 'question' is an object, not text; name a field of it: question.stem"),
        ("a.jsonl", LINES + b'{"question": "x", "choices": "a b", "answer": "A"}\n', "record 2: field 'choices' is str, not a list of choices"),
        ("a.jsonl", LINES + b'{"question": "x", "choices": ["", null], "answer": "A"}\n', "record 2: all of its choices are empty"),
        ("a.jsonl", LINES + b'{"id": "a", "question": "x", "choices": ["a", "b"], "answer": "A"}\n', "record 2: the id 'a' of a is also that of record 0 of a.jsonl"),
    ],
)  # fmt: skip
def test_faults_are_found_before_work_starts(tmp_path, name, data, wanted):
    (tmp_path / name).write_bytes(data)
    source = ReadBenchmark(paths=str(tmp_path / name))
    problems = list(source.problems())
    assert problems, "nothing found"
    assert wanted in problems[0]
    assert name in problems[0]
    with pytest.raises(DataError) as error:
        list(source.read("items", None))
    assert str(error.value) == "\n".join(problems)


def test_many_bad_records_are_counted(tmp_path):
    bad = [{"question": "", "answer": "y"}] * 30
    problems = list(mine(tmp_path, *RECORDS, *bad).problems())
    assert len(problems) == 6
    assert "25 more records like these" in problems[-1]


def test_a_mended_file_is_read_again(tmp_path):
    source = mine(tmp_path, {"question": "", "answer": "y"})
    assert "is empty" in source.problems()[0]
    path = write(tmp_path, [{"question": "x", "answer": "y"}])
    os.utime(path, ns=(1, 1))  # however coarse the clock of the filesystem is
    assert list(source.problems()) == []


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({}, "paths: nothing to read"),
        ({"paths": "nowhere/*.jsonl"}, "nothing matches"),
        ({"paths": "x.jsonl", "benchmark": "gsm9k"}, "no ready map 'gsm9k'; the maps are gsm8k, "),
        ({"paths": "x.jsonl", "hub": "openai/gsm8k", "hub_split": "test"}, "hub and paths: both are given"),
        ({"hub": "openai/gsm8k"}, "hub_split: which split of 'openai/gsm8k'"),
        ({"paths": "x.csv", "header": False}, "header: false needs `columns: [...]`"),
    ],
)
def test_params_that_do_not_fit(params, wanted):
    (problem,) = ReadBenchmark(**params).problems()
    assert wanted in problem


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError, match="qestion"):
        ReadBenchmark.model_validate_json('{"paths": "a", "fields": {"qestion": "q"}}')


def test_the_stage_travels(tmp_path):
    source = mine(tmp_path, *RECORDS)
    copy = pickle.loads(pickle.dumps(source))
    assert rows_of(copy) == rows_of(source)
    assert ReadBenchmark.model_validate_json(source.model_dump_json()) == source


# --- the hub ----------------------------------------------------------------------------------------------


class FakeSet(list):
    cache_files = ({"filename": "/cache/gsm8k-test.arrow"},)


def test_data_sets_of_the_hub(monkeypatch):
    asked = []

    def load_dataset(path, name, *, split, revision):
        asked.append((path, name, split, revision))
        if split == "dev":
            raise ValueError("Unknown split 'dev'")
        return FakeSet([{"question": "How many?", "answer": "1+1=<<1+1=2>>2\n#### 2"}])

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    cached_files.cache_clear()
    params = {"hub": "openai/gsm8k", "hub_config": "main", "hub_split": "test", "hub_revision": "abc"}
    source = ReadBenchmark(**params, benchmark="gsm8k")
    assert list(source.problems()) == []
    assert list(source.split()) == ["items"]
    assert list(source.files("items")) == ["/cache/gsm8k-test.arrow"]
    assert source.label("items") == "openai/gsm8k/main/test@abc"
    (row,) = rows_of(source)[0]
    assert (row["benchmark"], row["item"], row["item_parts"][-1]["text"]) == ("gsm8k", "0", "2")
    assert set(asked) == {("openai/gsm8k", "main", "test", "abc")}
    assert rows_of(ReadBenchmark(**params))[0][0]["benchmark"] == "gsm8k"
    with pytest.raises(DataError, match=r"hub 'openai/gsm8k/dev': cannot be loaded \(Unknown split 'dev'\)"):
        ReadBenchmark(hub="openai/gsm8k", hub_split="dev").split()
    with pytest.raises(DataError, match="hub 'openai/gsm8k/main/test@abc': record 0: no field 'q'"):
        ReadBenchmark(**params, fields={"question": "q"}).split()
    cached_files.cache_clear()


# --- in the engine ----------------------------------------------------------------------------------------

CONFIG = """
version: 1
run: {{name: bench, output: {out}}}
nodes:
  evals: {{stage: read_benchmark, params: {{paths: "{path}", name: lamps}}}}
  items: {{stage: write_jsonl, inputs: [evals]}}
"""
REGISTRY = {**STAGES, "read_benchmark": StageRef("stages.sources.benchmark:ReadBenchmark")}


def in_engine(folder, path):
    config = parse(CONFIG.format(out=folder / "out", path=path), "bench.yaml")
    return run(config, registry=REGISTRY, executor=LocalExecutor())


def test_an_edited_file_is_a_new_run_and_the_same_one_is_not(tmp_path):
    path = write(tmp_path, RECORDS)
    first = in_engine(tmp_path, path)
    assert in_engine(tmp_path, path).folder == first.folder
    changed = [{**RECORDS[0], "question": "Which lamp is lit?"}, RECORDS[1]]
    write(tmp_path, changed)
    second = in_engine(tmp_path, path)
    assert second.folder != first.folder
    Path(path).rename(tmp_path / "other.jsonl")
    assert in_engine(tmp_path, tmp_path / "other.jsonl").folder != second.folder


def test_a_malformed_file_stops_the_run_before_it_starts(tmp_path):
    path = write(tmp_path, [*RECORDS, {"question": "", "answer": "x"}])
    with pytest.raises(
        ConfigError, match=r"node 'evals' \(read_benchmark\): .*mine\.jsonl: record 2: field 'question' is"
    ):
        in_engine(tmp_path, path)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="nothing matches"):
        in_engine(tmp_path, tmp_path / "gone.jsonl")


@pytest.mark.parametrize("before", [None, "0"])
def test_a_run_without_network_closes_the_hub(tmp_path, monkeypatch, before):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    if before is not None:
        monkeypatch.setenv("HF_HUB_OFFLINE", before)
    file = tmp_path / "cached.arrow"
    file.write_bytes(b"a")
    asked = []

    class Cached(list):
        cache_files = ({"filename": str(file)},)

    def load_dataset(*_, **__):
        asked.append(os.environ.get("HF_HUB_OFFLINE"))
        return Cached(RECORDS)

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    text = CONFIG.replace('paths: "{path}"', "hub: lamps, hub_split: test").format(out=tmp_path / "out")
    for offline, seen in ((True, "1"), (False, before)):
        cached_files.cache_clear()
        run(parse(text, "bench.yaml"), registry=REGISTRY, executor=LocalExecutor(), offline=offline)
        assert set(asked) == {seen}
        assert os.environ.get("HF_HUB_OFFLINE") == before
        asked.clear()
    cached_files.cache_clear()
