"""README.md here says which test proves what: every trap has a row, and every test it names is there."""

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
ROW = re.compile(r"\| T(\d+) \| (.+?) \| (.+) \|")
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
LATER = re.compile(r"later: [\w ,-]{5,}")
NOT_HERE = re.compile(r"n/a because .{20,}")


def rows():
    text = (TESTS / "traps" / "README.md").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| T") and not line.startswith("| Trap")]
    return [ROW.fullmatch(line).groups() for line in lines]


@functools.cache
def names_in(file):
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_trap_has_one_row():
    assert [int(number) for number, _, _ in rows()] == list(range(1, 72))


@pytest.mark.parametrize(("number", "what", "proof"), rows(), ids=[f"T{n}" for n, _, _ in rows()])
def test_its_proof_is_there(number, what, proof):
    assert len(what) > 20
    if NOT_HERE.fullmatch(proof):
        return
    tests, _, later = proof.partition("; ")
    if LATER.fullmatch(proof):
        tests, later = "", proof
    assert not later or LATER.fullmatch(later)
    named = NAMED.findall(tests)
    assert NAMED.sub("", tests).strip(", ") == "", "a proof is tests, n/a because, or later:"
    assert named or later
    for file, test in named:
        assert test.startswith("test_")
        assert test in names_in(file), f"T{number}: {file} has no {test}"


def test_every_trap_test_of_this_folder_is_in_the_table():
    """A trap test that no row names proves nothing to anybody."""
    named = {test for _, _, proof in rows() for _, test in NAMED.findall(proof)}
    own = set().union(*(names_in(f"traps/{name}.py") for name in ("test_texts", "test_runs")))
    assert {test for test in own if test.startswith("test_")} - named <= {"test_nobody_calls_hash"}
