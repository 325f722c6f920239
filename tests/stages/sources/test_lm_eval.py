"""Items of lm-evaluation-harness tasks: with a small stand-in for the package, and with the package if it is there."""

import fnmatch
import json
import os
import subprocess
import sys
import types

import pytest

from pipeline.errors import DataError
from stages.sources.lm_eval import ReadLmEval, load_tasks
from tests.stages.sources.support import run


class FakeTask:
    """A task as the harness has them: documents, and what it makes of one."""

    def __init__(self, test=None, validation=None, text=None, target=None, choice=None, query=None):
        self.docs = {"test": test, "validation": validation, "training": None}
        self.doc_to_text, self.doc_to_target = text, target
        self.config = types.SimpleNamespace(doc_to_choice=choice)
        self.doc_to_choice = choice
        self.query = query
        self.dataset = {"test": types.SimpleNamespace(cache_files=[{"filename": f"/cache/{id(self)}"}])}

    def __getattr__(self, name):
        kind = name.removesuffix("_docs")
        if name == "should_decontaminate":
            return lambda: self.query is not None
        if name == "doc_to_decontamination_query":
            return self.query
        if name.startswith("has_"):
            return lambda: self.docs[kind.removeprefix("has_")] is not None
        if kind in self.docs:
            return lambda: self.docs[kind]
        raise AttributeError(name)


def lettered(doc):
    return f"Question: {doc['q']}\nA. {doc['c'][0]}\nB. {doc['c'][1]}\nAnswer:"


DOC = {"q": "Which lamp?", "c": ["red", "blue"], "a": 1}
TASKS = {
    "quiz_texts": FakeTask([DOC], text=lambda d: f"Q: {d['q']}\nA:", target=lambda d: d["a"], choice=lambda d: d["c"]),
    "quiz_letters": FakeTask([DOC], text=lettered, target=lambda d: d["a"], choice=lambda d: ["A", "B"]),
    "quiz_key": FakeTask([DOC], text=lettered, target=lambda d: "B", choice=lambda d: ["A", "B"]),
    "quiz_several": FakeTask([DOC], text=lambda d: d["q"], target=lambda d: [1, 0], choice=lambda d: d["c"]),
    "sums": FakeTask([{"q": "How many?", "a": "1+1=<<1+1=2>>2\n#### 2"}], text=lambda d: d["q"], target=lambda d: d["a"]),
    "facts": FakeTask(None, [{"q": "Who?"}], text=lambda d: d["q"], target=lambda d: ["Ada", "Ada L."]),
    "code": FakeTask([{"q": "def f():"}], text=lambda d: d["q"], target=lambda d: "    x = 1\n    return x"),
    "texts": FakeTask([{"q": "All of it."}], text=lambda d: "", target=lambda d: d["q"]),
    "schema": FakeTask(
        [{"s": "The lamp beat the torch as the _ shone."}],
        text=lambda d: 0,
        target=lambda d: "shone.",
        choice=lambda d: ["The lamp beat the torch as the lamp", "The lamp beat the torch as the torch"],
        query=lambda d: d["s"],
    ),
    "empty": FakeTask([{"q": ""}], text=lambda d: "", target=lambda d: ""),
}  # fmt: skip
GROUPS = {"quizzes": ["quiz_texts", "quiz_letters"]}


class FakeManager:
    def __init__(self, include_path=None):
        self.include_path = include_path

    def match_tasks(self, names):
        return [one for one in [*TASKS, *GROUPS] for name in names if fnmatch.fnmatch(one, name)]

    def load(self, names):
        return {"tasks": {leaf: TASKS[leaf] for name in names for leaf in GROUPS.get(name, [name])}}


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", types.ModuleType("lm_eval"))
    tasks = types.ModuleType("lm_eval.tasks")
    tasks.TaskManager = FakeManager
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", tasks)
    load_tasks.cache_clear()
    yield tasks
    load_tasks.cache_clear()


MC = [("question", "Which lamp?"), ("choice", "red"), ("choice", "blue")]
WANTED = {
    "quiz_texts": [*MC, ("answer", "blue")],
    "quiz_letters": [*MC, ("answer", "blue")],
    "quiz_key": [*MC, ("answer", "blue")],
    "quiz_several": [*MC, ("answer", "blue"), ("answer", "red")],
    "sums": [
        ("question", "How many?"),
        ("solution", "1+1=2"),
        ("solution", "1+1=<<1+1=2>>2"),
        ("answer", "2"),
    ],
    "facts": [("question", "Who?"), ("answer", "Ada"), ("answer", "Ada L.")],
    "code": [("question", "def f():"), ("solution", "    x = 1\n    return x")],
    "texts": [("question", "All of it."), ("answer", "All of it.")],
    "schema": [
        ("question", "The lamp beat the torch as the _ shone."),
        ("solution", "The lamp beat the torch as the lamp shone."),
    ],
}


@pytest.mark.parametrize("task", WANTED)
def test_what_tasks_make_of_their_documents(harness, task):
    source = ReadLmEval(tasks=[task])
    assert list(source.problems()) == []
    ((name, item),) = source.items()
    assert (name, item.benchmark, item.item) == (task, task, "0")
    assert item.parts == WANTED[task]


def test_groups_and_globs_become_their_tasks(harness):
    source = ReadLmEval(tasks=["quizzes", "quiz_t*"])
    rows, damages = run(source)
    assert damages == []
    assert [(row["benchmark"], row["origin"]["file"]) for row in rows] == [
        ("quiz_letters", "quiz_letters"),
        ("quiz_texts", "quiz_texts"),
    ]
    assert len(source.files("items")) == 2
    assert source.label("items") == "quiz_letters,quiz_texts [evaluated]"


def test_what_is_wrong_is_said_before_work(harness, tmp_path):
    (problem,) = ReadLmEval(tasks=["sums", "summs"]).problems()
    assert "no task, group or tag 'summs'" in problem
    with pytest.raises(DataError, match="'facts': it has no test documents; write another `docs`"):
        ReadLmEval(tasks=["facts"], docs="test").split()
    with pytest.raises(DataError, match="lm-eval task 'empty': record 0: no question"):
        ReadLmEval(tasks=["empty"]).split()
    gone = ReadLmEval(tasks=["sums"], include_path=str(tmp_path / "gone"))
    assert [str(path) for path in gone.resources()] == [str(tmp_path / "gone")]

    def fails(self, names):
        raise ConnectionError("no route")

    harness.TaskManager = type("Failing", (FakeManager,), {"load": fails})
    with pytest.raises(DataError, match=r"task 'code': cannot be loaded \(ConnectionError: no route\)"):
        ReadLmEval(tasks=["code"]).split()


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    load_tasks.cache_clear()
    (problem,) = ReadLmEval(tasks=["sums"]).problems()
    assert "pip install 'corpusmill[lm-eval]'" in problem
    with pytest.raises(DataError, match="needs the package lm_eval"):
        ReadLmEval(tasks=["sums"]).split()


TASK = """
task: lamps
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
output_type: multiple_choice
test_split: test
description: "Answer the questions about lamps.\\n\\n"
doc_to_text: "Question: {{{{q}}}}\\nA. {{{{c[0]}}}}\\nB. {{{{c[1]}}}}\\nAnswer:"
doc_to_choice: ["A", "B"]
doc_to_target: a
"""
SCRIPT = """
import sys
from stages.sources.lm_eval import ReadLmEval
source = ReadLmEval(tasks=["lamps"], include_path=sys.argv[1])
assert source.problems() == [], source.problems()
assert source.split() == ["items"]
assert source.files("items")
print([item.parts for _, item in source.items()])
"""


def test_with_the_package_itself(tmp_path):
    pytest.importorskip("lm_eval")
    (tmp_path / "data.jsonl").write_text(json.dumps(DOC) + "\n", "utf-8")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "lamps.yaml").write_text(TASK.format(data=tmp_path / "data.jsonl"), "utf-8")
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    # A process of its own: the package logs, warns and keeps registers, none of which are ours.
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "tasks")], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([WANTED["quiz_letters"]])
