"""parse_dialogue: every format read into messages, everything else named."""

import json

import pyarrow as pa
import pytest

from pipeline.schema import METADATA
from stages.dialogue.parse import ParseDialogue
from tests.support.data import real_data


def parse(*records, format="auto"):
    raw = [record if record is None or isinstance(record, str) else json.dumps(record) for record in records]
    batch = pa.record_batch([pa.array(raw, pa.string())], schema=pa.schema([METADATA]))
    return ParseDialogue(format=format).annotate(batch, None)


def turns(marks, row=0):
    return [(m["role"], m["content"]) for m in marks.columns["messages"][row].as_py()]


def test_sharegpt():
    marks = parse(
        {
            "id": 7,
            "system": "Be kind.",
            "tools": "[]",
            "conversations": [
                {"from": "human", "value": "Hi"},
                {"from": "gpt", "value": "Hello", "weight": 0},
            ],
        }
    )
    assert turns(marks) == [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello")]
    assert marks.columns["messages"][0].as_py()[2]["weight"] == 0.0
    assert marks.columns["dialogue_format"][0].as_py() == "sharegpt"
    assert marks.columns["text"][0].as_py() == "system: Be kind.\n\nuser: Hi\n\nassistant: Hello"
    assert json.loads(marks.columns["metadata"][0].as_py()) == {"id": 7, "tools": "[]"}
    assert marks.reject.null_count == 1


def test_openai_messages_with_parts_and_calls():
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    marks = parse(
        {
            "messages": [
                {"role": "developer", "content": "D"},
                {"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "content": "2", "tool_call_id": "c1"},
                {"role": "assistant", "content": "Two"},
            ]
        }
    )
    assert turns(marks) == [
        ("system", "D"), ("user", "AB"), ("assistant", None), ("tool", "2"), ("assistant", "Two"),
    ]  # fmt: skip
    calls = json.loads(marks.columns["messages"][0].as_py()[2]["tool_calls"])
    assert calls == [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]
    assert marks.columns["dialogue_format"][0].as_py() == "messages"
    assert '"add"' in marks.columns["text"][0].as_py()


def test_sharegpt_function_calls():
    marks = parse(
        {
            "conversations": [
                {"from": "human", "value": "add"},
                {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1}}'},
                {"from": "observation", "value": "1"},
                {"from": "gpt", "value": "One"},
            ]
        }
    )
    assert [role for role, _ in turns(marks)] == ["user", "assistant", "tool", "assistant"]
    assert json.loads(marks.columns["messages"][0].as_py()[1]["tool_calls"])[0]["function"]["name"] == "add"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"instruction": "I", "output": "O"}, [("user", "I"), ("assistant", "O")]),
        ({"instruction": "I", "input": "", "output": "O"}, [("user", "I"), ("assistant", "O")]),
        ({"instruction": "I", "input": "X", "output": "O"}, [("user", "I\n\nX"), ("assistant", "O")]),
        (
            {"instruction": "I", "output": "O", "system": "S", "history": [["q", "a"]]},
            [("system", "S"), ("user", "q"), ("assistant", "a"), ("user", "I"), ("assistant", "O")],
        ),
    ],
)
def test_alpaca(record, expected):
    marks = parse(record)
    assert turns(marks) == expected
    assert marks.columns["dialogue_format"][0].as_py() == "alpaca"
    assert json.loads(marks.columns["metadata"][0].as_py()) == {}


HI = {"from": "human", "value": "Hi"}
REJECTED = [
    (None, "unknown_format", -1),
    ("", "unknown_format", -1),
    ("not json", "unknown_format", -1),
    ("[1]", "unknown_format", -1),
    ({"text": "a document"}, "unknown_format", -1),
    ({"messages": "a string"}, "unknown_format", -1),
    ({"messages": []}, "no_messages", -1),
    ({"conversations": [HI, {"from": "narrator", "value": "x"}]}, "unknown_role", 1),
    ({"conversations": [HI, {"value": "x"}]}, "unknown_role", 1),
    ({"conversations": [HI, "gpt: x"]}, "bad_message", 1),
    ({"conversations": [HI, {"from": "gpt", "value": 3}]}, "bad_message", 1),
    ({"conversations": [HI, {"from": "gpt"}]}, "bad_message", 1),
    ({"conversations": [HI, {"from": "function_call", "value": "add(1)"}]}, "bad_message", 1),
    ({"conversations": [HI, {"from": "gpt", "value": "x", "weight": "high"}]}, "bad_message", 1),
    ({"messages": [{"role": "assistant", "tool_calls": [{"nothing": 1}]}]}, "bad_message", 0),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "not_text", 0),
    ({"instruction": "I", "output": "O", "input": 3}, "bad_message", 0),
    ({"instruction": "I", "output": "O", "history": ["q"]}, "bad_message", 0),
]


@pytest.mark.parametrize(("record", "reason", "message"), REJECTED)
def test_what_is_no_dialogue_is_named(record, reason, message):
    marks = parse(record)
    assert marks.reject.to_pylist() == [reason]
    assert marks.evidence[0].as_py()["message"] == message
    assert marks.columns["messages"][0].as_py() is None
    assert marks.columns["metadata"][0].as_py() == (
        record if record is None or isinstance(record, str) else json.dumps(record)
    )


def test_a_named_format_takes_no_other():
    assert (
        parse({"messages": [{"role": "user", "content": "x"}]}, format="sharegpt").reject[0].as_py()
        == "unknown_format"
    )


def test_good_and_bad_rows_keep_their_places_and_an_empty_batch_its_types():
    marks = parse({"conversations": [HI]}, "x", {"instruction": "I", "output": "O"})
    assert marks.reject.to_pylist() == [None, "unknown_format", None]
    assert turns(marks, 2)[0] == ("user", "I")
    empty = parse()
    stage = ParseDialogue()
    assert {name: array.type for name, array in empty.columns.items()} == {
        f.name: f.type for f in stage.writes()
    }
    assert len(empty.reject) == 0


def test_non_latin_and_huge_messages_survive():
    text = "漢字🎈 " * 300_000
    marks = parse({"conversations": [{"from": "human", "value": text}]})
    assert turns(marks) == [("user", text)]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "format", "count"),
    [
        ("fastchat/dummy_conversation.json", "sharegpt", 500),
        ("llamafactory/glaive_toolcall_en_demo.json", "sharegpt", 300),
        ("llamafactory/identity.json", "alpaca", 91),
    ],
)
def test_published_data_is_read_whole(name, format, count):
    records = json.loads(real_data(f"sft/{name}").read_text(encoding="utf-8"))
    marks = parse(*records)
    assert marks.reject.null_count == count
    assert set(marks.columns["dialogue_format"].to_pylist()) == {format}
