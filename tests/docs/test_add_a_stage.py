"""The page on adding a stage: its code is written to files, imported, tested and run."""

import doctest
import importlib
import sys

import pytest

from tests.docs.support import DOCS, blocks

PAGE = DOCS / "add-a-stage.md"


@pytest.fixture
def package(tmp_path, monkeypatch):
    for block in blocks(PAGE):
        if block.file:
            target = tmp_path / block.file
            target.parent.mkdir(exist_ok=True)
            target.write_text(block.body, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [m for m in sys.modules if m.split(".")[0] == "my_stages"]:
        del sys.modules[name]


def cases(function):
    """Arguments of a test function, from its parametrize mark."""
    marks = [m for m in getattr(function, "pytestmark", []) if m.name == "parametrize"]
    return [(value,) for value in marks[0].args[1]] if marks else [()]


def test_its_tests_pass(package):
    module = importlib.import_module("my_stages.test_brackets")
    functions = [f for name, f in vars(module).items() if name.startswith("test_")]
    assert len(functions) >= 4
    for function in functions:
        for arguments in cases(function):
            function(*arguments)


def test_its_doctests_pass(package):
    failed, tried = doctest.testmod(importlib.import_module("my_stages.brackets"))
    assert tried > 0
    assert not failed


def test_every_registered_stage_is_on_the_page_and_describes_itself(package):
    from pipeline.registry import load_class

    for name, ref in importlib.import_module("my_stages.registry").STAGES.items():
        cls = load_class.__wrapped__(ref.target)
        assert cls.__doc__, name
        assert all(field.description for field in cls.model_fields.values()), name


def total(sources, key):
    values = [account[key] for account in sources.values()]
    return sum(sum(v.values()) if isinstance(v, dict) else v for v in values)


def test_the_whole_pipeline_does_what_the_page_says(package):
    books = importlib.import_module("my_stages.try_it").main()
    assert (total(books["table"], "in"), total(books["table"], "failed")) == (4, 1)
    assert (total(books["pages"], "in"), total(books["pages"], "kept")) == (3, 4)
    assert total(books["whole"], "rejected") == 1
    assert total(books["polite"], "rejected") == 1
    assert total(books["fresh"], "rejected") == 1
    assert total(books["ids"], "written") == 1
    assert total(books["why"], "written") == 3
    latest = (package / "runs/pages/LATEST").read_text().strip()
    files = sorted((package / "runs/pages" / latest / "ids").glob("*-ids.txt"))
    assert [line for file in files for line in file.read_text().splitlines()] == ["table/a.tsv#0#1"]
