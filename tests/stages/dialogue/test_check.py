"""check_dialogue: one dialogue a reason, and an oracle that walks turn by turn."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import MESSAGES
from stages.dialogue.check import CheckDialogue, Reason

CALL = "call"  # an assistant turn with tool calls


def message(role, content="words"):
    if role == CALL:
        return {"role": "assistant", "content": None, "tool_calls": "[{}]", "weight": None}
    return {"role": role, "content": content, "tool_calls": None, "weight": None}


def check(*dialogues, **params):
    batch = pa.record_batch([pa.array(dialogues, MESSAGES.type)], schema=pa.schema([MESSAGES]))
    return CheckDialogue(**params).annotate(batch, None)


def roles(*names):
    return [message(name) for name in names]


REJECTED = [
    (Reason.EMPTY_TURN, [message("user"), message("assistant", " \n")], 1),
    (Reason.EMPTY_TURN, [message("user", None), message("assistant")], 0),
    (Reason.EMPTY_TURN, [message("system", "\u3000"), *roles("user", "assistant")], 0),
    (Reason.STARTS_WITH_ASSISTANT, roles("assistant", "user", "assistant"), 0),
    (Reason.STARTS_WITH_ASSISTANT, roles("system", "assistant"), 1),
    (Reason.STARTS_WITH_ASSISTANT, roles("tool", "assistant"), 0),
    (Reason.ROLES_DO_NOT_ALTERNATE, roles("user", "user", "assistant"), 1),
    (Reason.ROLES_DO_NOT_ALTERNATE, roles("user", "assistant", "assistant"), 2),
    (Reason.ROLES_DO_NOT_ALTERNATE, roles("user", "assistant", "system", "user", "assistant"), 2),
    (Reason.ROLES_DO_NOT_ALTERNATE, roles("user", "assistant", "tool", "assistant"), 2),
    (Reason.ROLES_DO_NOT_ALTERNATE, roles("user", CALL, "user", "assistant"), 2),
    (Reason.NO_ASSISTANT_TURN, roles("user"), None),
    (Reason.NO_ASSISTANT_TURN, roles("system"), None),
    (Reason.ENDS_WITH_USER, roles("user", "assistant", "user"), 2),
    (Reason.ENDS_WITH_USER, roles("user", CALL, "tool"), 2),
    (Reason.NO_ASSISTANT_TURN, [], None),
    (Reason.NO_ASSISTANT_TURN, None, None),
]


@pytest.mark.parametrize(("reason", "dialogue", "at"), REJECTED)
def test_each_reason(reason, dialogue, at):
    marks = check(dialogue)
    assert marks.reject.to_pylist() == [reason.value]
    assert marks.evidence[0].as_py()["message"] == at


@pytest.mark.parametrize(
    "dialogue",
    [
        roles("user", "assistant"),
        roles("system", "user", "assistant", "user", "assistant"),
        roles("user", CALL, "tool", "tool", CALL, "tool", "assistant"),
        [message("user", "你好"), message("assistant", "。")],
    ],
)
def test_good_dialogues_pass(dialogue):
    marks = check(dialogue)
    assert marks.reject.to_pylist() == [None]
    assert marks.evidence.null_count == 1
    assert marks.columns["turn_count"][0].as_py() == len(dialogue) - (dialogue[0]["role"] == "system")


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"min_turns": 3}, "too_few_turns"),
        ({"min_turns": 2}, None),
        ({"max_turns": 1, "min_turns": None}, "too_many_turns"),
        ({"max_turns": 2}, None),
        ({"max_chars": 9}, "too_long_chars"),
        ({"max_chars": 10}, None),
    ],
)
def test_thresholds_are_inclusive(params, reason):
    marks = check(roles("user", "assistant"), **params)
    assert marks.reject.to_pylist() == [reason]
    if reason:
        assert marks.evidence[0].as_py() == {"message": None, "turns": 2, "chars": 10}


@pytest.mark.parametrize(
    ("param", "dialogue"),
    [
        ("allow_empty_turns", [message("user"), message("assistant", "")]),
        ("allow_assistant_first", roles("assistant", "user", "assistant")),
        ("allow_any_order", roles("user", "user", "assistant")),
        ("allow_user_last", roles("user", "assistant", "user")),
    ],
)
def test_each_rule_can_be_turned_off(param, dialogue):
    assert check(dialogue).reject.null_count == 0
    assert check(dialogue, **{param: True}).reject.null_count == 1
    lonely = roles("user")
    assert check(lonely, allow_no_assistant=True, allow_user_last=True, min_turns=1).reject.null_count == 1


def test_crossed_thresholds_are_told():
    assert "nothing can pass" in CheckDialogue(min_turns=3, max_turns=2).problems()[0]


def oracle(dialogue):
    """The default rules, message by message."""
    start = 1 if dialogue and dialogue[0]["role"] == "system" else 0
    kinds = [CALL if m["tool_calls"] else m["role"] for m in dialogue]
    if any(not (m["content"] or "").strip() and not m["tool_calls"] for m in dialogue):
        return "empty_turn"
    if len(kinds) > start and kinds[start] != "user":
        return "starts_with_assistant"
    after = {
        "user": {"assistant", CALL},
        "assistant": {"user"},
        CALL: {"tool"},
        "tool": {"tool", "assistant", CALL},
        "system": set(),
    }
    if any(b not in after[a] for a, b in zip(kinds[start:], kinds[start + 1 :], strict=False)):
        return "roles_do_not_alternate"
    if not {"assistant", CALL} & set(kinds):
        return "no_assistant_turn"
    if kinds[-1] not in ("assistant", CALL):
        return "ends_with_user"
    return "too_few_turns" if len(kinds) - start < 2 else None


MESSAGE = st.builds(
    message,
    st.sampled_from(["system", "user", "assistant", "tool", CALL]),
    st.sampled_from(["a", "é", " ", None]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.none(), st.lists(MESSAGE, max_size=7)), max_size=6), st.integers(0, 3))
def test_agrees_with_the_oracle_wherever_the_batch_is_cut(dialogues, cut):
    batch = pa.record_batch([pa.array(dialogues, MESSAGES.type)], schema=pa.schema([MESSAGES])).slice(cut)
    marks = CheckDialogue().annotate(batch, None)
    assert marks.reject.to_pylist() == [oracle(d or []) for d in dialogues[cut:]]
    assert len(marks.columns["turn_count"]) == batch.num_rows
