"""The shapes in which dialogues are published, each read into the same list of messages.

{"conversations": [{"from": "human", "value": ...}, ...], "system": ..., "tools": ...}    sharegpt
{"messages": [{"role": "user", "content": ...}, ...], "tools": ...}                       messages (OpenAI)
{"instruction": ..., "input": ..., "output": ..., "system": ..., "history": [[q, a]]}     alpaca
"""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, TypedDict

SHOWN_CHARS = 80  # of an offending value, in evidence


class Message(TypedDict):
    """One turn, as schema.MESSAGE_TYPE has it."""

    role: str
    content: str | None
    tool_calls: str | None
    weight: float | None


class Reason(StrEnum):
    """Why a record is no dialogue that we can read."""

    UNKNOWN_FORMAT = "unknown_format"
    NO_MESSAGES = "no_messages"
    UNKNOWN_ROLE = "unknown_role"
    BAD_MESSAGE = "bad_message"
    NOT_TEXT = "not_text"


class NoDialogue(ValueError):
    """A record that is no dialogue: the reason, the message it is about (-1: none), and what was there."""

    def __init__(self, reason: Reason, message: int, found: object) -> None:
        super().__init__(reason.value)
        self.reason, self.message, self.found = reason, message, str(found)[:SHOWN_CHARS]


class Parsed(NamedTuple):
    """A dialogue and what the record said beside it."""

    format: str
    messages: list[Message]
    rest: dict[str, Any]


# What data sets call who speaks: ShareGPT, OpenAI, FastChat, LLaMA-Factory, axolotl.
ROLES: Mapping[str, str] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(
        ("assistant", "gpt", "chatgpt", "model", "ai", "bot", "bing", "bard", "claude"), "assistant"
    ),
    **dict.fromkeys(
        ("tool", "function", "ipython", "observation", "tool_response", "function_response"), "tool"
    ),
}
CALL_ROLES = frozenset({"function_call", "tool_call"})  # ShareGPT: an assistant turn whose value is the call


def parse_record(record: object, format: str) -> Parsed:
    """Read a record as a dialogue.

    Args:
        record: the parsed JSON record.
        format: `sharegpt`, `messages`, `alpaca`, or `auto` to go by the record's keys.

    Raises:
        NoDialogue: it is none, or a message of it is not one.
    """
    if not isinstance(record, dict):
        raise NoDialogue(Reason.UNKNOWN_FORMAT, -1, type(record).__name__)
    name = _guess(record) if format == "auto" else format
    if name is None or not _has_keys(record, name):
        raise NoDialogue(Reason.UNKNOWN_FORMAT, -1, ", ".join(sorted(map(str, record))))
    messages, used = _PARSERS[name](record)
    if not messages:
        raise NoDialogue(Reason.NO_MESSAGES, -1, "")
    return Parsed(name, messages, {key: value for key, value in record.items() if key not in used})


def _guess(record: Mapping[str, object]) -> str | None:
    return next((name for name in _PARSERS if _has_keys(record, name)), None)


def _has_keys(record: Mapping[str, object], name: str) -> bool:
    if name == "alpaca":
        return isinstance(record.get("instruction"), str) and isinstance(record.get("output"), str)
    return _turn_key(record, name) is not None


def _turn_key(record: Mapping[str, object], name: str) -> str | None:
    keys = ("messages",) if name == "messages" else ("conversations", "conversation")
    return next((key for key in keys if isinstance(record.get(key), list)), None)


def _parse_turns(name: str) -> Callable[[Mapping[str, Any]], tuple[list[Message], set[str]]]:
    def parse(record: Mapping[str, Any]) -> tuple[list[Message], set[str]]:
        key = _turn_key(record, name) or ""
        messages = [_message(turn, i) for i, turn in enumerate(record[key])]
        system = record.get("system")
        if isinstance(system, str) and system.strip() and not (messages and messages[0]["role"] == "system"):
            messages.insert(0, _said("system", system))
        return messages, {key, "system"}

    return parse


def _parse_alpaca(record: Mapping[str, Any]) -> tuple[list[Message], set[str]]:
    messages: list[Message] = []
    if isinstance(record.get("system"), str) and record["system"].strip():
        messages.append(_said("system", record["system"]))
    for i, pair in enumerate(record.get("history") or []):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(side, str) for side in pair)):
            raise NoDialogue(Reason.BAD_MESSAGE, 2 * i, pair)
        messages += [_said("user", pair[0]), _said("assistant", pair[1])]
    given = record.get("input")
    if given is not None and not isinstance(given, str):
        raise NoDialogue(Reason.BAD_MESSAGE, len(messages), given)
    asked = f"{record['instruction']}\n\n{given}" if given and given.strip() else record["instruction"]
    messages += [_said("user", asked), _said("assistant", record["output"])]
    return messages, {"instruction", "input", "output", "system", "history"}


_PARSERS: Mapping[str, Callable[[Mapping[str, Any]], tuple[list[Message], set[str]]]] = {
    "messages": _parse_turns("messages"),
    "sharegpt": _parse_turns("sharegpt"),
    "alpaca": _parse_alpaca,
}


def _said(role: str, content: str | None, calls: str | None = None, weight: float | None = None) -> Message:
    return {"role": role, "content": content, "tool_calls": calls, "weight": weight}


def _message(turn: object, at: int) -> Message:
    if not isinstance(turn, dict):
        raise NoDialogue(Reason.BAD_MESSAGE, at, turn)
    said_by = turn.get("role", turn.get("from"))
    name = said_by.strip().lower() if isinstance(said_by, str) else ""
    content = turn.get("content", turn.get("value"))
    weight = _weight(turn, at)
    if name in CALL_ROLES:
        return _said("assistant", None, _calls_of_text(content, at), weight)
    if name not in ROLES:
        raise NoDialogue(Reason.UNKNOWN_ROLE, at, said_by)
    calls = _calls(turn.get("tool_calls") or turn.get("function_call"), at)
    text = _text(content, at)
    if text is None and calls is None:
        raise NoDialogue(Reason.BAD_MESSAGE, at, json.dumps(turn, ensure_ascii=False))
    return _said(ROLES[name], text, calls, weight)


def _text(content: object, at: int) -> str | None:
    """The text of a turn, also from a list of parts as OpenAI writes it; pictures and sound are refused."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise NoDialogue(Reason.BAD_MESSAGE, at, content)
    texts = []
    for part in content:
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            raise NoDialogue(Reason.NOT_TEXT, at, part.get("type") if isinstance(part, dict) else part)
        texts.append(text)
    return "".join(texts)


def _weight(turn: Mapping[str, object], at: int) -> float | None:
    """OpenAI's `weight` (0 or 1), axolotl's `train` (true or false); null = the template's default."""
    weight = turn.get("weight", turn.get("train"))
    if weight is None:
        return None
    if not isinstance(weight, int | float):
        raise NoDialogue(Reason.BAD_MESSAGE, at, weight)
    return float(weight)


def _calls_of_text(content: object, at: int) -> str | None:
    try:
        value = json.loads(content) if isinstance(content, str) else content
    except ValueError as error:
        raise NoDialogue(Reason.BAD_MESSAGE, at, content) from error
    calls = _calls(value, at)
    if calls is None:
        raise NoDialogue(Reason.BAD_MESSAGE, at, content)
    return calls


def _calls(value: object, at: int) -> str | None:
    """Tool calls as a JSON list in OpenAI's shape, arguments parsed; null for none."""
    calls: Sequence[object] = value if isinstance(value, list) else [] if value is None else [value]
    shaped = []
    for call in calls:
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise NoDialogue(Reason.BAD_MESSAGE, at, call)
        named = {"name": function["name"], "arguments": _arguments(function.get("arguments"))}
        extra = {"id": call["id"]} if isinstance(call, dict) and isinstance(call.get("id"), str) else {}
        shaped.append({**extra, "type": "function", "function": named})
    return json.dumps(shaped, ensure_ascii=False) if shaped else None


def _arguments(value: object) -> object:
    """Templates print arguments as JSON, so a string that holds an object would be quoted twice."""
    if not isinstance(value, str):
        return {} if value is None else value
    try:
        parsed = json.loads(value)
    except ValueError:
        return value
    return parsed if isinstance(parsed, dict) else value
