"""Every message that a bad config gets: where, what is wrong, what to write instead."""

import re

import pytest

from pipeline.api import check, parse
from pipeline.errors import ConfigError
from tests.support.toy import TOYS

HEAD = "version: 1\nrun: {name: t}\nnodes:\n"
GOOD = "  a: {stage: read_lines, params: {folder: .}}\n"


def problems(nodes, *, head=HEAD, overrides=()):
    with pytest.raises(ConfigError) as caught:
        check(parse(head + nodes, "bad.yaml", overrides), TOYS)
    return caught.value.problems


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            GOOD + "  b: {stage: mesure, inputs: [a]}\n  c: {stage: write_rows, inputs: [a]}\n",
            "bad.yaml:5: nodes.b.stage: no stage is called 'mesure'; did you mean 'measure'?",
        ),
        (
            GOOD
            + "  b:\n    stage: measure\n    inputs: [a]\n    params: {min_lenth: 3}\n  c: {stage: write_rows, inputs: [b]}\n",
            "bad.yaml:8: nodes.b.params.min_lenth: unknown name; did you mean 'min_length'?",
        ),
        (
            GOOD
            + "  b: {stage: measure, inputs: [a], params: {min_length: many}}\n  c: {stage: write_rows, inputs: [b]}\n",
            "bad.yaml:5: nodes.b.params.min_length: Input should be a valid integer, got 'many'",
        ),
        (
            GOOD
            + '  b: {stage: measure, inputs: [a], params: {min_length: "5"}}\n  c: {stage: write_rows, inputs: [b]}\n',
            "bad.yaml:5: nodes.b.params.min_length: Input should be a valid integer, got '5'",
        ),
        (
            GOOD + "  b: {stage: write_rows, inputs: [aa]}\n  c: {stage: write_rows, inputs: [a]}\n",
            "bad.yaml:5: node 'b' reads 'aa', which does not exist; did you mean 'a'?",
        ),
        (
            GOOD + "  b: {stage: write_rows, inputs: [a.dropped]}\n",
            "bad.yaml:5: node 'b' reads port 'dropped' of 'a'; ports are kept, rejected",
        ),
        (
            GOOD
            + "  b: {stage: measure, inputs: [d]}\n  d: {stage: shout, inputs: [b]}\n  e: {stage: write_rows, inputs: [a]}\n",
            "bad.yaml:5: the graph has a cycle: b -> d -> b",
        ),
        (
            GOOD + "  b: {stage: measure, inputs: [a]}\n  c: {stage: write_rows, inputs: [a]}\n",
            "bad.yaml:5: node 'b' is read by nobody; add a sink after it or remove it",
        ),
        (
            GOOD + "  b: {stage: write_rows, inputs: [a]}\n  c: {stage: write_rows, inputs: [b]}\n",
            "bad.yaml:6: node 'c' reads 'b', which is a sink and has no rows to read; read one of its inputs, or name it under side:",
        ),
        (
            "  a: {stage: read_lines, params: {folder: .}, inputs: [a]}\n  b: {stage: write_rows, inputs: [a]}\n",
            "bad.yaml:4: node 'a' (read_lines) is a source and takes no inputs",
        ),
        (
            GOOD + "  b: {stage: measure}\n  c: {stage: write_rows, inputs: [a, b]}\n",
            "bad.yaml:5: node 'b' (measure) has no inputs; add inputs: [...]",
        ),
        (
            GOOD + "  b: {stage: write_rows, inputs: [a, a]}\n",
            "bad.yaml:5: node 'b' reads 'a' twice; name it once",
        ),
        (
            GOOD + "  b: {stage: listed, inputs: [a]}\n  c: {stage: write_rows, inputs: [b]}\n",
            "bad.yaml:5: node 'b' (listed) needs the side input 'list' (a folder written by write_words, or stored rows); "
            "add side: {list: <node>}",
        ),
        (
            GOOD
            + "  b: {stage: measure, inputs: [a], side: {words: a}}\n  c: {stage: write_rows, inputs: [b]}\n",
            "bad.yaml:5: node 'b' (measure) takes no side input 'words'; known: none",
        ),
        (
            GOOD
            + "  b: {stage: listed, inputs: [a], side: {list: lst}}\n  c: {stage: write_rows, inputs: [b]}\n",
            "bad.yaml:5: node 'b' reads 'lst', which does not exist; known: a, c",
        ),
        (
            GOOD + "  b: {stage: write_rows, inputs: [{node: a, where: {txt: x}}]}\n",
            "bad.yaml:5: node 'b' chooses rows of 'a' by column 'txt', which it does not have; did you mean 'text'?",
        ),
        (
            GOOD + "  b!: {stage: write_rows, inputs: [a]}\n",
            "bad.yaml:5: node 'b!': a name is letters, digits, '_' and '-'",
        ),
        (
            GOOD + "  b: {stage: needs_absent, inputs: [a]}\n  c: {stage: write_rows, inputs: [a]}\n",
            "bad.yaml:5: stage 'needs_absent' needs the package 'tests.support.absent'; install it with: pip install '.[toxicity]'",
        ),
        (
            GOOD + "  b: {stage: write_rows, input: [a]}\n",
            "bad.yaml:5: nodes.b.input: unknown name; did you mean 'inputs'?",
        ),
    ],
)
def test_message(nodes, message):
    assert message in problems(nodes)


def test_column_messages():
    from typing import Any

    import pyarrow as pa

    import tests.support.toy as toy
    from pipeline.stage import StageRef

    class NeedsLangs(toy.Measure):
        def reads(self) -> Any:
            return pa.schema([("txt", pa.large_string()), ("length", pa.int64())])

    toy.NeedsLangs = NeedsLangs
    registry = {**TOYS, "needs_langs": StageRef("tests.support.toy:NeedsLangs")}
    text = (
        HEAD
        + GOOD
        + (
            "  m: {stage: measure, inputs: [a]}\n"
            "  q: {stage: needs_langs, inputs: [m]}\n"
            "  u: {stage: needs_langs, inputs: [a, m]}\n"
            "  c: {stage: write_rows, inputs: [q, u]}\n"
        )
    )
    with pytest.raises(ConfigError) as caught:
        check(parse(text, "bad.yaml"), registry)
    assert caught.value.problems == [
        "bad.yaml:6: node 'q' (needs_langs) reads column 'length' as int64, but it is int32",
        "bad.yaml:6: node 'q' (needs_langs) reads column 'txt', which no node before it writes; did you mean 'text'?",
        "bad.yaml:7: node 'u' (needs_langs) reads column 'length', which its input 'a' lacks; "
        "every input of a union must have what is read",
        "bad.yaml:7: node 'u' (needs_langs) reads column 'txt', which no node before it writes; did you mean 'text'?",
    ]


def test_all_problems_at_once_in_the_order_of_their_lines():
    found = problems(
        "  a: {stage: read_lines, params: {foldr: .}}\n"
        "  b: {stage: mesure, inputs: [a]}\n"
        "  c: {stage: measure, inputs: [x], params: {min_length: a, max_length: b}}\n"
        "  d: {stage: write_rows, inputs: [y.kept]}\n"
    )
    lines = [int(re.match(r"bad.yaml:(\d+):", p).group(1)) for p in found]
    assert lines == sorted(lines)
    assert len(found) >= 6
    assert set(lines) == {4, 5, 6, 7}


def test_a_node_without_a_stage_still_has_its_inputs_checked():
    assert problems(GOOD + "  b: {stage: mesure, inputs: [aa]}\n  c: {stage: write_rows, inputs: [b]}\n") == [
        "bad.yaml:5: node 'b' reads 'aa', which does not exist; did you mean 'a'?",
        "bad.yaml:5: nodes.b.stage: no stage is called 'mesure'; did you mean 'measure'?",
    ]


def test_two_bad_nodes_of_one_kind_are_both_reported():
    found = problems(
        GOOD
        + "  b: {stage: measure, inputs: [a]}\n  c: {stage: measure, inputs: [a]}\n  d: {stage: write_rows, inputs: [a]}\n"
    )
    assert [p.split(": ")[1].split(" is read")[0] for p in found] == ["node 'b'", "node 'c'"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\n", "bad.yaml:2: this is not YAML"),
        ("- 1\n", "bad.yaml:1: the file must hold a mapping with version, run and nodes"),
        ("version: 2\nnodes: {}\n", "bad.yaml:1: version: Input should be 1, got 2"),
        ("version: 1\n", "bad.yaml:1: nodes: is missing; write a value for it"),
        ("version: 1\nnodes: {}\n", "bad.yaml:2: nodes: Dictionary should have at least 1 item"),
        ("version: 1\nrun: {sed: 3}\nnodes: {}\n", "bad.yaml:2: run.sed: unknown name; did you mean 'seed'?"),
        ("version: 1\nnodes:\n  a: {stage: x}\n  a: {stage: y}\n", "the key 'a' stands twice; keep one"),
    ],
)
def test_the_files_form(text, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse(text, "bad.yaml")


def test_a_missing_file():
    from pipeline.api import load_config

    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: .*No such file"):
        load_config("nowhere.yaml")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("run.seed", "--set run.seed: write a path and a value, like run.name=test"),
        ("run.name.x=1", "--set run.name.x=1: 'run.name' holds no names to set"),
        ("run.seed=abc", "--set: run.seed: Input should be a valid integer, got 'abc'"),
    ],
)
def test_overrides(override, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse(HEAD + GOOD, "bad.yaml", [override])


def test_warnings_about_routes():
    text = (
        HEAD
        + GOOD
        + (
            "  b: {stage: write_rows, inputs: [{node: a, where: {text: [x, y]}}]}\n"
            "  c: {stage: write_rows, inputs: [{node: a, where: {text: y}}]}\n"
        )
    )
    _, found = check(parse(text, "w.yaml"), TOYS)
    assert found == [
        "w.yaml:4: node 'a': every reader chooses by value; rows that none chooses go unread (they are counted)",
        "w.yaml:5: nodes 'b' and 'c' may both read the same rows of 'a'",
    ]


def test_a_wrong_setting_does_not_hide_what_is_wrong_with_the_nodes(tmp_path):
    from pipeline.api import load_config

    file = tmp_path / "bad.yaml"
    file.write_text(
        "version: 1\nrun: {sed: 3}\nnodes:\n  a: {stage: read_jsonl, params: {pats: x}}\n  b: {stage: write_jsonl, inputs: [c]}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert [p.removeprefix(f"{file}:") for p in caught.value.problems] == [
        "2: run.sed: unknown name; did you mean 'seed'?",
        "4: nodes.a.params.paths: is missing; write a value for it",
        "4: nodes.a.params.pats: unknown name; did you mean 'paths'?",
        "5: node 'b' reads 'c', which does not exist; known: a",
    ]
